//! The desk: reserves and confirmations of one event that wait while a commit is under way become
//! the next commit together, as in the ledger.
//!
//! **Invariants.** The calls of a batch are judged one after another, each against what the ones
//! before it took, and each is all or nothing. Answers leave after the commit. When a batch
//! cannot be written, each of its calls is tried alone, so that one of them cannot fail the rest.
//!
//! Reserves, free checkouts, both steps of a payment by wallet and the ends of refunds into
//! wallets are written together, in a few statements for all of them; what else happens to an
//! order (a card's news, a refund, a cancellation) is a work of its own. Calls that wait beside
//! each other have no order among them: a batch does works first, then refunds that ended and
//! confirmations, then new payments, then reserves.
//!
//! On a database of its own the events share one transaction at a time; on a shared one each
//! event has its lane, and a few batches run side by side.

mod calls;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, Weak};

use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;
use tokio::sync::{mpsc, oneshot};

use super::checkout::{Checked, Free};
use super::refunds::Ended;
use super::reserve::{self, Ask, Reserved};
use super::wallet_pay::{self, Attempt, Begun, Finished};
use crate::room::Inner;
use crate::store::stock::Moves;
use crate::{Ticketing, events};
use calls::{Held, Job, Task, Waiting, together};

/// Calls that may wait at one of the queues; then 503 `overloaded`.
const WAITING_MAX: usize = 8_192;
/// Calls of one commit.
const BATCH_MAX: usize = 512;
/// Work of one commit on a shared database: each of its statements is a round trip, and the commit
/// has to end within the patience of a request, also when the server is some way off.
const WORKS_MAX: usize = 48;
/// Queues of a shared database; an event always goes to the same.
const QUEUES: usize = 4;

/// What works inside a batch of its event.
pub struct Cx {
    /// The room.
    pub room: Ticketing,
    /// The transaction, in the event's lane.
    pub tx: Tx,
    /// Time of the batch.
    pub now: i64,
    /// How the counters move; written at the end, or by [`Cx::flush`].
    pub moves: Moves,
    /// Something was written that must not stay if the call is refused after it.
    pub dirty: bool,
    sold_moved: bool,
}

/// A pending answer of some work.
pub type Working<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

impl Cx {
    /// In a transaction of the event's lane.
    pub fn new(room: Ticketing, tx: Tx) -> Self {
        let now = room.now();
        Self {
            room,
            tx,
            now,
            moves: Moves::default(),
            dirty: false,
            sold_moved: false,
        }
    }

    /// Writes the counters, so that they can be read.
    ///
    /// # Errors
    /// The store's.
    pub async fn flush(&mut self) -> Result<(), Problem> {
        let moves = std::mem::take(&mut self.moves);
        self.sold_moved |= moves.touches_sold();
        moves.apply(&mut self.tx).await?;
        Ok(())
    }

    /// Writes the counters and lets the event follow them (published ⇄ sold out).
    ///
    /// # Errors
    /// The store's.
    pub async fn close_event(&mut self, event_id: &str) -> Result<(), Problem> {
        self.flush().await?;
        if std::mem::take(&mut self.sold_moved) {
            events::after_stock_change(&self.room.store, &mut self.tx, event_id).await?;
        }
        Ok(())
    }
}

/// The queues.
#[derive(Debug, Clone)]
pub struct Desk(Arc<[mpsc::Sender<Job>]>);

/// The other ends of the queues, until the room is there to serve them.
pub struct Unserved(Vec<mpsc::Receiver<Job>>);

impl Desk {
    /// Queues for a database that several processes share, or for one of its own.
    pub fn new(is_shared: bool) -> (Self, Unserved) {
        let queues = if is_shared { QUEUES } else { 1 };
        let ends = (0..queues).map(|_| mpsc::channel(WAITING_MAX));
        let (senders, receivers): (Vec<_>, Vec<_>) = ends.unzip();
        (Self(senders.into()), Unserved(receivers))
    }

    /// Reserves; the answer comes after the commit.
    ///
    /// # Errors
    /// The first refusal of contract B1; 503 `overloaded` when too much waits; the store's.
    pub async fn reserve(&self, ask: Ask) -> Result<Reserved, Problem> {
        let (waiting, answer) = Waiting::new(ask);
        self.put(Job::Reserve(waiting))?;
        answer.await.map_err(|_| stopped())?
    }

    /// Confirms an order that costs nothing; the answer comes after the commit.
    ///
    /// # Errors
    /// As [`checkout::free`](super::checkout::free); 503 `overloaded`.
    pub async fn free(&self, ask: Free) -> Result<Checked, Problem> {
        let (waiting, answer) = Waiting::new(ask);
        self.put(Job::Free(waiting))?;
        answer.await.map_err(|_| stopped())?
    }

    /// Begins to pay an order from a wallet; the answer comes after the commit.
    ///
    /// # Errors
    /// As [`checkout::wallet`](super::checkout::wallet) before the ledger is asked; 503
    /// `overloaded`.
    pub async fn begin(&self, ask: wallet_pay::Ask) -> Result<Begun, Problem> {
        let (waiting, answer) = Waiting::new(ask);
        self.put(Job::Begin(waiting))?;
        answer.await.map_err(|_| stopped())?
    }

    /// Confirms an order by the attempt whose money is reserved, or gives that up; the answer
    /// comes after the commit.
    ///
    /// # Errors
    /// 404 `order_not_found`, 503 `overloaded`; the store's.
    pub async fn finish(&self, attempt: &Attempt) -> Result<Finished, Problem> {
        let (waiting, answer) = Waiting::new(attempt.clone());
        self.put(Job::Finish(waiting))?;
        answer.await.map_err(|_| stopped())?
    }

    /// Writes the end of a refund into a wallet; the answer comes after the commit.
    ///
    /// # Errors
    /// 404 `refund_not_found`, 503 `overloaded`; the store's.
    pub async fn end_refund(&self, ended: Ended) -> Result<(), Problem> {
        let (waiting, answer) = Waiting::new(ended);
        self.put(Job::EndRefund(waiting))?;
        answer.await.map_err(|_| stopped())?
    }

    /// Runs work on an event; the answer comes after the commit. The work may run more than once,
    /// each time from the beginning and in a new transaction.
    ///
    /// # Errors
    /// What the work answers, else as [`Desk::reserve`].
    pub async fn run<T, F>(&self, event_id: &str, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: for<'a> FnMut(&'a mut Cx) -> Working<'a, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task {
            work,
            done: None,
            reply,
        };
        self.put(Job::Work(event_id.to_owned(), Box::new(task)))?;
        answer.await.map_err(|_| stopped())?
    }

    fn put(&self, job: Job) -> Result<(), Problem> {
        let mut hasher = DefaultHasher::new();
        job.event_id().hash(&mut hasher);
        let queue = hasher.finish() % self.0.len() as u64;
        let queue = &self.0[usize::try_from(queue).unwrap_or(0)];
        queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Problem::overloaded(),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }
}

fn stopped() -> Problem {
    Problem::unavailable("store_unavailable", "The server is stopping.")
}

impl Unserved {
    /// Serves the queues until the room is dropped.
    pub fn serve(self, room: &Weak<Inner>) {
        for queue in self.0 {
            tokio::spawn(serve(room.clone(), queue));
        }
    }
}

async fn serve(room: Weak<Inner>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut jobs, BATCH_MAX).await > 0 {
        let Some(room) = room.upgrade().map(Ticketing::from_inner) else {
            return;
        };
        for group in groups(std::mem::take(&mut jobs), room.store.db.is_shared()) {
            commit(&room, group).await;
        }
        jobs.reserve(BATCH_MAX);
    }
}

/// One transaction's jobs: all of them on a database of its own, else those of one event; in
/// either case the jobs of an event stand together, in the order in which they came.
fn groups(jobs: Vec<Job>, by_event: bool) -> Vec<Vec<Job>> {
    let mut events: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        let known = events
            .iter_mut()
            .find(|group| group[0].event_id() == job.event_id());
        match known {
            Some(group) => group.push(job),
            None => events.push(vec![job]),
        }
    }
    match by_event {
        true => events.into_iter().flat_map(parts).collect(),
        false => vec![events.into_iter().flatten().collect()],
    }
}

/// The jobs of an event in commits of at most [`WORKS_MAX`], in their order. Reserves are written
/// together and count as nothing.
fn parts(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut parts: Vec<Vec<Job>> = Vec::new();
    let mut works = 0;
    for job in jobs {
        let is_work = matches!(job, Job::Work(..));
        match parts.last_mut() {
            Some(part) if !is_work || works < WORKS_MAX => part.push(job),
            _ => {
                works = 0;
                parts.push(vec![job]);
            }
        }
        works += usize::from(is_work);
    }
    parts
}

/// Why a group was not written.
enum Failed {
    /// The store did not take it, whatever was in it.
    Store(Problem),
    /// One of its calls could not be written.
    Call(Problem),
}

impl Failed {
    fn store(problem: impl Into<Problem>) -> Self {
        Self::Store(problem.into())
    }
}

/// Writes a group; when one of its calls cannot be written, each is tried alone. A store that is
/// away is not asked once for each call: all of them would wait for it one after another.
async fn commit(room: &Ticketing, jobs: Vec<Job>) {
    let mut held: Vec<Held> = jobs.into_iter().map(Held::new).collect();
    match write(room, &mut held).await {
        Ok(()) => held.into_iter().for_each(Held::answer),
        Err(Failed::Store(problem)) => refuse(held, &problem),
        Err(Failed::Call(problem)) if held.len() == 1 => refuse(held, &problem),
        Err(Failed::Call(problem)) => {
            tracing::warn!(
                code = problem.code(),
                "a batch failed; its calls are tried alone"
            );
            one_by_one(room, held).await;
        }
    }
}

async fn one_by_one(room: &Ticketing, held: Vec<Held>) {
    let mut rest = held.into_iter();
    while let Some(next) = rest.next() {
        let mut alone = vec![Held::new(next.job)];
        match write(room, &mut alone).await {
            Ok(()) => alone.into_iter().for_each(Held::answer),
            Err(Failed::Call(problem)) => refuse(alone, &problem),
            Err(Failed::Store(problem)) => {
                refuse(alone.into_iter().chain(rest.by_ref()), &problem);
            }
        }
    }
}

fn refuse(held: impl IntoIterator<Item = Held>, problem: &Problem) {
    for mut held in held {
        held.outcome = Some(Err(problem.clone()));
        held.answer();
    }
}

async fn write(room: &Ticketing, held: &mut [Held]) -> Result<(), Failed> {
    let reserves = held
        .iter()
        .filter(|held| matches!(held.job, Job::Reserve(_)))
        .count();
    let mut numbers = room.numbers.take(reserves).await.map_err(Failed::Store)?;
    let Some(first) = held.first() else {
        return Ok(());
    };
    let tx = match room.store.db.is_shared() {
        true => room.store.begin_event(first.job.event_id()).await,
        false => room.store.begin().await,
    };
    let tx = tx.map_err(Failed::store)?;
    let mut cx = Cx::new(room.clone(), tx);
    let mut rest = held;
    while let Some(first) = rest.first() {
        let event_id = first.job.event_id().to_owned();
        let count = rest
            .iter()
            .take_while(|held| held.job.event_id() == event_id)
            .count();
        let (group, others) = rest.split_at_mut(count);
        let done = event(&mut cx, &event_id, group, &mut numbers).await;
        done.map_err(Failed::Call)?;
        rest = others;
    }
    cx.tx.commit().await.map_err(Failed::store)
}

async fn event(
    cx: &mut Cx,
    event_id: &str,
    group: &mut [Held],
    numbers: &mut Vec<String>,
) -> Result<(), Problem> {
    // What was sold or given back comes first: the reserves behind it see it.
    for held in group.iter_mut() {
        let Job::Work(_, work) = &mut held.job else {
            continue;
        };
        cx.dirty = false;
        held.outcome = Some(match work.run(cx).await {
            Ok(()) => Ok(()),
            Err(problem) if problem.status().as_u16() < 500 && !cx.dirty => Err(problem),
            Err(problem) => return Err(problem),
        });
    }
    together::<Ended>(cx, group).await?;
    together::<Attempt>(cx, group).await?;
    together::<Free>(cx, group).await?;
    together::<wallet_pay::Ask>(cx, group).await?;
    cx.flush().await?;
    let mut reserves = Vec::new();
    for held in group.iter_mut() {
        if let Job::Reserve(waiting) = &mut held.job {
            reserves.push((waiting, &mut held.outcome));
        }
    }
    if !reserves.is_empty() {
        let asks: Vec<&Ask> = reserves.iter().map(|(waiting, _)| &waiting.ask).collect();
        let outcomes = reserve::batch(cx, event_id, &asks, numbers).await?;
        for ((waiting, outcome), answer) in reserves.into_iter().zip(outcomes) {
            *outcome = Some(answer.map(|done| waiting.done = Some(done)));
        }
    }
    cx.close_event(event_id).await
}

#[cfg(test)]
mod tests {
    use super::calls::Work;
    use super::*;

    struct Nothing;

    impl Work for Nothing {
        fn run<'a>(&'a mut self, _: &'a mut Cx) -> Working<'a, ()> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn answer(self: Box<Self>, _: Option<Problem>) {}
    }

    fn jobs(events: &[&str]) -> Vec<Job> {
        let job = |event: &&str| Job::Work((*event).to_owned(), Box::new(Nothing));
        events.iter().map(job).collect()
    }

    #[test]
    fn one_transaction_has_one_event_on_a_shared_database_and_not_too_much_of_it() {
        let sizes = |groups: Vec<Vec<Job>>| -> Vec<(String, usize)> {
            let size = |group: &Vec<Job>| (group[0].event_id().to_owned(), group.len());
            groups.iter().map(size).collect()
        };
        let mixed = ["a", "b", "a"];
        let two = [("a".to_owned(), 2), ("b".to_owned(), 1)];
        assert_eq!(sizes(groups(jobs(&mixed), true)), two);
        assert_eq!(sizes(groups(jobs(&mixed), false)), [("a".to_owned(), 3)]);
        let many = vec!["a"; 2 * WORKS_MAX + 1];
        let wanted = [WORKS_MAX, WORKS_MAX, 1].map(|size| ("a".to_owned(), size));
        assert_eq!(sizes(groups(jobs(&many), true)), wanted);
        assert_eq!(groups(Vec::new(), true).len(), 0);
    }
}
