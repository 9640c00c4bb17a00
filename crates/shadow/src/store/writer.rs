//! The writer: takes what waits, one transaction at a time.

use std::sync::Arc;

use florin_base::Clock;
use florin_platform::sql::Db;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::bulk::Marks;
use super::cache::{Books, NewBook};
use super::error::WriteError;
use super::intake::{self, Intake, IntakeReply};
use super::session::{Core, Session};
use super::{Settings, Working, failpoint};

/// Events that are committed together at most.
const GROUP_MAX: usize = 20_000;

type IntakeAnswer = oneshot::Sender<Result<IntakeReply, WriteError>>;
type Run = Box<dyn FnOnce(Session) -> BoxFuture<'static, Core> + Send>;

/// Something for the writer.
pub(super) enum Job {
    /// Events.
    Intake(Intake, IntakeAnswer),
    /// Anything else.
    Work(Work),
}

/// Work with a transaction of its own.
pub(super) struct Work {
    run: Run,
    refuse: Box<dyn FnOnce(WriteError) + Send>,
}

/// Wraps typed work; its answer comes through the receiver.
pub(super) fn work<T, F>(
    fail: &'static str,
    work: F,
) -> (Job, oneshot::Receiver<Result<T, WriteError>>)
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut Session) -> Working<'a, T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let reply = Arc::new(parking_lot::Mutex::new(Some(reply)));
    let refusing = Arc::clone(&reply);
    let send = |to: &parking_lot::Mutex<Option<oneshot::Sender<_>>>, result| {
        // Nobody waits any more when the caller went away; the outcome stands all the same.
        if let Some(to) = to.lock().take() {
            let _ = to.send(result);
        }
    };
    let run: Run = Box::new(move |mut session| {
        Box::pin(async move {
            let outcome = work(&mut session).await;
            let (core, result) = match outcome {
                Ok(value) => {
                    let (core, done) = session.finish(fail).await;
                    (core, done.map(|_| value))
                }
                Err(error) => session.abandon(error),
            };
            send(&reply, result);
            core
        })
    });
    let refuse = Box::new(move |error| send(&refusing, Err(error)));
    (Job::Work(Work { run, refuse }), answer)
}

/// Runs until the last handle is gone.
pub(super) async fn run(
    db: Db,
    clock: Arc<dyn Clock>,
    settings: Settings,
    mut waiting: mpsc::Receiver<Job>,
) {
    let mut core = Core {
        books: Books::default(),
        known_head: 0,
        marks: match db.is_shared() {
            true => Marks::Numbered,
            false => Marks::Plain,
        },
        fresh: NewBook {
            rules: settings.rules(),
        },
    };
    let mut next = None;
    loop {
        let job = match next.take() {
            Some(job) => job,
            None => match waiting.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        match job {
            Job::Intake(intake, reply) => {
                let mut group = vec![(intake, reply)];
                next = gather(&mut group, &mut waiting);
                core = take_group(&db, &*clock, core, group).await;
            }
            Job::Work(work) => core = run_work(&db, &*clock, core, work).await,
        }
    }
}

/// Takes more intakes that wait already; answers the first job that is none, or that repeats a
/// key of the group: it is to find the first result.
fn gather(
    group: &mut Vec<(Intake, IntakeAnswer)>,
    waiting: &mut mpsc::Receiver<Job>,
) -> Option<Job> {
    let mut events: usize = group.iter().map(|(intake, _)| intake.items.len()).sum();
    while events < GROUP_MAX {
        match waiting.try_recv() {
            Ok(Job::Intake(intake, reply)) => {
                if repeats_a_key(group, &intake) {
                    return Some(Job::Intake(intake, reply));
                }
                events += intake.items.len();
                group.push((intake, reply));
            }
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}

fn repeats_a_key(group: &[(Intake, IntakeAnswer)], intake: &Intake) -> bool {
    let Some(key) = &intake.key else { return false };
    let mut keys = group.iter().filter_map(|(other, _)| other.key.as_ref());
    keys.any(|other| other.scope == key.scope)
}

async fn begin(db: &Db, clock: &dyn Clock, core: Core) -> Result<Session, (Core, WriteError)> {
    match db.begin().await {
        Ok(tx) => Session::begin(core, tx, clock.wall_micros()).await,
        Err(error) => Err((core, error.into())),
    }
}

async fn run_work(db: &Db, clock: &dyn Clock, core: Core, work: Work) -> Core {
    match begin(db, clock, core).await {
        Ok(session) => (work.run)(session).await,
        Err((core, error)) => {
            (work.refuse)(error);
            core
        }
    }
}

async fn take_group(
    db: &Db,
    clock: &dyn Clock,
    core: Core,
    group: Vec<(Intake, IntakeAnswer)>,
) -> Core {
    let started = clock.boot_micros();
    let (intakes, answers): (Vec<Intake>, Vec<IntakeAnswer>) = group.into_iter().unzip();
    let (core, result) = match begin(db, clock, core).await {
        Err((core, error)) => (core, Err(error)),
        Ok(mut session) => match intake::take_all(&mut session, intakes).await {
            Ok(replies) => {
                let (core, done) = session.finish("intake.before_commit").await;
                (core, done.map(|_| replies))
            }
            Err(error) => session.abandon(error),
        },
    };
    failpoint::reach("intake.after_commit");
    let micros = (clock.boot_micros() - started).unsigned_abs();
    let took = std::time::Duration::from_micros(micros);
    metrics::histogram!("shadow_intake_seconds").record(took.as_secs_f64());
    match result {
        Ok(replies) => {
            for (answer, reply) in answers.into_iter().zip(replies) {
                let _ = answer.send(Ok(reply));
            }
        }
        Err(error) => {
            tracing::warn!(%error, "an intake was not recorded");
            let unknown = matches!(error, WriteError::CommitUnknown);
            let mut first = Some(error);
            for answer in answers {
                let again = match unknown {
                    true => WriteError::CommitUnknown,
                    false => WriteError::Stopped,
                };
                let _ = answer.send(Err(first.take().unwrap_or(again)));
            }
        }
    }
    core
}
