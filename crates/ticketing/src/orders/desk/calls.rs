//! What waits at the desk, and what became of it.

use std::collections::BTreeSet;

use florin_platform::http::problem::Problem;
use tokio::sync::oneshot;

use super::{Cx, Working};
use crate::orders::checkout::{self, Checked, Free};
use crate::orders::refunds::{self, Ended};
use crate::orders::reserve::{Ask, Reserved};
use crate::orders::wallet_pay::{self, Attempt, Begun, Finished};

/// Some work on one event: judged and written inside a batch.
pub(super) trait Work: Send {
    fn run<'a>(&'a mut self, cx: &'a mut Cx) -> Working<'a, ()>;
    fn answer(self: Box<Self>, failed: Option<Problem>);
}

pub(super) struct Task<T, F> {
    pub(super) work: F,
    pub(super) done: Option<T>,
    pub(super) reply: oneshot::Sender<Result<T, Problem>>,
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: for<'a> FnMut(&'a mut Cx) -> Working<'a, T> + Send,
{
    fn run<'a>(&'a mut self, cx: &'a mut Cx) -> Working<'a, ()> {
        Box::pin(async move {
            self.done = Some((self.work)(cx).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, failed: Option<Problem>) {
        reply(self.reply, self.done, failed);
    }
}

fn reply<T>(reply: oneshot::Sender<Result<T, Problem>>, done: Option<T>, failed: Option<Problem>) {
    let answer = match (failed, done) {
        (Some(problem), _) => Err(problem),
        (None, Some(done)) => Ok(done),
        (None, None) => Err(Problem::internal("a call without an end")),
    };
    // Whoever asked may have gone.
    let _ = reply.send(answer);
}

/// A call of a kind that is written together.
pub(super) struct Waiting<A, T> {
    pub(super) ask: A,
    pub(super) done: Option<T>,
    reply: oneshot::Sender<Result<T, Problem>>,
}

impl<A, T> Waiting<A, T> {
    pub(super) fn new(ask: A) -> (Box<Self>, oneshot::Receiver<Result<T, Problem>>) {
        let (reply, answer) = oneshot::channel();
        let done = None;
        (Box::new(Self { ask, done, reply }), answer)
    }

    fn answer(self, failed: Option<Problem>) {
        reply(self.reply, self.done, failed);
    }
}

pub(super) enum Job {
    Reserve(Box<Waiting<Ask, Reserved>>),
    Begin(Box<Waiting<wallet_pay::Ask, Begun>>),
    Finish(Box<Waiting<Attempt, Finished>>),
    Free(Box<Waiting<Free, Checked>>),
    EndRefund(Box<Waiting<Ended, ()>>),
    Work(String, Box<dyn Work>),
}

impl Job {
    pub(super) fn event_id(&self) -> &str {
        match self {
            Self::Reserve(waiting) => &waiting.ask.event_id,
            Self::Begin(waiting) => &waiting.ask.event_id,
            Self::Finish(waiting) => &waiting.ask.event_id,
            Self::Free(waiting) => &waiting.ask.event_id,
            Self::EndRefund(waiting) => &waiting.ask.event_id,
            Self::Work(event_id, _) => event_id,
        }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

/// What became of a call; `None` before it is judged.
pub(super) type Outcome = Option<Result<(), Problem>>;

/// A job with what became of it in this transaction.
pub(super) struct Held {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
}

impl Held {
    pub(super) fn new(job: Job) -> Self {
        Self { job, outcome: None }
    }

    pub(super) fn answer(self) {
        let unjudged = || Err(Problem::internal("a call that was not judged"));
        let failed = self.outcome.unwrap_or_else(unjudged).err();
        match self.job {
            Job::Reserve(waiting) => waiting.answer(failed),
            Job::Begin(waiting) => waiting.answer(failed),
            Job::Finish(waiting) => waiting.answer(failed),
            Job::Free(waiting) => waiting.answer(failed),
            Job::EndRefund(waiting) => waiting.answer(failed),
            Job::Work(_, work) => work.answer(failed),
        }
    }
}

/// Calls about orders of one event that are written together.
pub(super) trait Together: Sized + Send + Sync {
    type Done: Send;
    fn of(job: &mut Job) -> Option<&mut Waiting<Self, Self::Done>>;
    fn order_id(&self) -> &str;
    /// Answers in the order of the asks.
    fn write<'a>(
        cx: &'a mut Cx,
        asks: &'a [&'a Self],
    ) -> Working<'a, Vec<Result<Self::Done, Problem>>>;
}

macro_rules! together {
    ($ask:ty, $job:ident, $done:ty, $write:path) => {
        impl Together for $ask {
            type Done = $done;

            fn of(job: &mut Job) -> Option<&mut Waiting<Self, $done>> {
                match job {
                    Job::$job(waiting) => Some(waiting),
                    _ => None,
                }
            }

            fn order_id(&self) -> &str {
                &self.order_id
            }

            fn write<'a>(
                cx: &'a mut Cx,
                asks: &'a [&'a Self],
            ) -> Working<'a, Vec<Result<$done, Problem>>> {
                Box::pin($write(cx, asks))
            }
        }
    };
}

together!(wallet_pay::Ask, Begin, Begun, wallet_pay::begin_all);
together!(Attempt, Finish, Finished, wallet_pay::finish_all);
together!(Free, Free, Checked, checkout::free_all);
together!(Ended, EndRefund, (), refunds::end_all);

/// Writes the calls of one kind. A second call about the same order comes in a round of its own,
/// and sees what became of the first.
pub(super) async fn together<A: Together>(cx: &mut Cx, group: &mut [Held]) -> Result<(), Problem> {
    let mut rest: Vec<(&mut Waiting<A, A::Done>, &mut Outcome)> = group
        .iter_mut()
        .filter_map(|held| Some((A::of(&mut held.job)?, &mut held.outcome)))
        .collect();
    while !rest.is_empty() {
        let mut orders = BTreeSet::new();
        let (round, later): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|(waiting, _)| orders.insert(waiting.ask.order_id().to_owned()));
        let asks: Vec<&A> = round.iter().map(|(waiting, _)| &waiting.ask).collect();
        let answers = A::write(cx, &asks).await?;
        for ((waiting, outcome), answer) in round.into_iter().zip(answers) {
            *outcome = Some(answer.map(|done| waiting.done = Some(done)));
        }
        rest = later;
    }
    Ok(())
}
