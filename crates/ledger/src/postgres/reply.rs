//! Where an answer goes: to a caller of this process, or over a link to another one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::call::{Answer, Unavailable};

/// A link as seen by the sequencer: what is to be sent back over it.
pub(super) struct Origin {
    /// Its row of `writers`.
    pub link: Uuid,
    answers: Mutex<Vec<(u64, Result<Answer, Unavailable>)>>,
    /// Something is to be sent, or the link is no use any more.
    pub filled: Notify,
    waiting: AtomicUsize,
    broken: AtomicBool,
}

impl Origin {
    pub(super) fn new(link: Uuid) -> Self {
        Self {
            link,
            answers: Mutex::default(),
            filled: Notify::new(),
            waiting: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Everything that was answered since.
    pub(super) fn take(&self) -> Vec<(u64, Result<Answer, Unavailable>)> {
        std::mem::take(&mut self.answers.lock())
    }

    /// Calls that were not answered yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Nothing more can be said over it: a call was dropped without an answer, or the other side
    /// ended it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.filled.notify_one();
    }
}

/// Where the answer to a call goes.
pub(super) enum Reply {
    /// To whoever called here.
    Here(oneshot::Sender<Result<Answer, Unavailable>>),
    /// Over a link, to its call of that number.
    There(Far),
}

/// A call of a link. Dropped without an answer it breaks the link, whose other side then finds
/// out what became of its calls.
pub(super) struct Far {
    origin: Arc<Origin>,
    number: u64,
    answered: bool,
}

impl Far {
    pub(super) fn new(origin: &Arc<Origin>, number: u64) -> Self {
        origin.waiting.fetch_add(1, Ordering::SeqCst);
        Self {
            origin: origin.clone(),
            number,
            answered: false,
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.origin.waiting.fetch_sub(1, Ordering::SeqCst);
        match self.answered {
            true => self.origin.filled.notify_one(),
            false => self.origin.give_up(),
        }
    }
}

impl Reply {
    /// Answers. A caller that went away needs no answer.
    pub(super) fn send(self, answer: Result<Answer, Unavailable>) {
        match self {
            Self::Here(reply) => drop(reply.send(answer)),
            Self::There(mut far) => {
                far.origin.answers.lock().push((far.number, answer));
                far.answered = true;
            }
        }
    }

    /// The link and the number of a call that came over one.
    pub(super) fn link(&self) -> Option<(Uuid, u64)> {
        match self {
            Self::Here(_) => None,
            Self::There(far) => Some((far.origin.link, far.number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_dropped_breaks_its_link_and_an_answered_one_does_not() {
        let origin = Arc::new(Origin::new(Uuid::nil()));
        let reply = Reply::There(Far::new(&origin, 7));
        assert_eq!(
            (origin.waiting(), reply.link()),
            (1, Some((Uuid::nil(), 7)))
        );
        reply.send(Err(Unavailable::Overloaded));
        assert_eq!((origin.waiting(), origin.is_broken()), (0, false));
        assert_eq!(origin.take()[0].0, 7);
        drop(Reply::There(Far::new(&origin, 8)));
        assert_eq!((origin.waiting(), origin.is_broken()), (0, true));
    }
}
