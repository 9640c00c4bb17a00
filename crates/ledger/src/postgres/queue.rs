//! Calls waiting for the batcher of this process: bounded, refused at once while the store is
//! away.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
};

use florin_base::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::reply::Reply;
use crate::call::{Answer, Call, Unavailable};

/// Most bytes of a single call.
const CALL_BYTES_MAX: usize = crate::journal::MAX_PAYLOAD_BYTES;

/// Something for the batcher.
pub(super) enum Message {
    Call(Box<Call>, Reply),
    /// Ledger time, with the promise that no later record gets an earlier one.
    Time(oneshot::Sender<Result<Timestamp, Unavailable>>),
    AcceptClock(oneshot::Sender<()>),
}

impl Message {
    /// How many items it has.
    pub(super) fn items(&self) -> usize {
        match self {
            Self::Call(call, _) => call.items(),
            Self::Time(_) | Self::AcceptClock(_) => 0,
        }
    }

    /// Most bytes that it adds to a commit.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Call(call, _) => call.weight(),
            Self::Time(_) | Self::AcceptClock(_) => 0,
        }
    }

    /// Larger than a commit may be. Callers bound their lists well below; one that did not is
    /// refused before anything is judged.
    pub(super) fn is_oversize(&self) -> bool {
        match self {
            Self::Call(call, _) => {
                matches!(**call, Call::Transfers(_) | Call::Import(_))
                    && call.weight() > CALL_BYTES_MAX
            }
            Self::Time(_) | Self::AcceptClock(_) => false,
        }
    }

    /// Tells its sender that it was not done.
    pub(super) fn refuse(self, why: Unavailable) {
        // A caller that went away needs no answer.
        match self {
            Self::Call(_, reply) => reply.send(Err(why)),
            Self::Time(reply) => drop(reply.send(Err(why))),
            Self::AcceptClock(_) => {}
        }
    }
}

/// Links whose calls a batch decides, and the last call of each.
pub(super) fn links_of(
    messages: &[Message],
    answers: &[Option<Result<Answer, Unavailable>>],
) -> (Vec<Uuid>, Vec<i64>) {
    let mut last = BTreeMap::new();
    for (message, answer) in messages.iter().zip(answers) {
        if let (Message::Call(_, reply), Some(_)) = (message, answer)
            && let Some((link, number)) = reply.link()
        {
            let known = last.entry(link).or_insert(0);
            *known = number.max(*known);
        }
    }
    let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
    last.into_iter()
        .map(|(link, number)| (link, signed(number)))
        .unzip()
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Message>,
    closed: bool,
}

/// The queue.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    max: usize,
    away: AtomicBool,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            filled: Notify::new(),
            max,
            away: AtomicBool::new(false),
        }
    }

    /// Adds a message; `Overloaded` when the queue is full, `StoreUnavailable` while the store is
    /// away and once closed.
    pub(super) fn push(&self, message: Message) -> Result<(), Unavailable> {
        match self.take_in(message) {
            Ok(()) => Ok(()),
            Err((_message, why)) => Err(why),
        }
    }

    /// Adds a message, or tells its sender why not.
    pub(super) fn push_or_refuse(&self, message: Message) {
        if let Err((message, why)) = self.take_in(message) {
            message.refuse(why);
        }
    }

    fn take_in(&self, message: Message) -> Result<(), (Message, Unavailable)> {
        let mut inner = self.inner.lock();
        let needs_store = !matches!(message, Message::AcceptClock(_));
        if inner.closed || (needs_store && self.away.load(Ordering::SeqCst)) {
            return Err((message, Unavailable::StoreUnavailable));
        }
        if needs_store && inner.waiting.len() >= self.max {
            return Err((message, Unavailable::Overloaded));
        }
        inner.waiting.push_back(message);
        self.filled.notify_one();
        Ok(())
    }

    /// Moves everything that waits to `out`.
    pub(super) fn take_all(&self, out: &mut VecDeque<Message>) {
        out.append(&mut self.inner.lock().waiting);
    }

    /// Waits until something was pushed or the queue was closed.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// The store went away or came back; whoever waits now is refused when it went.
    pub(super) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        if away {
            self.refuse_all();
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    fn refuse_all(&self) {
        let waiting = std::mem::take(&mut self.inner.lock().waiting);
        for message in waiting {
            match message {
                // An operator's word about the clock does not need the store.
                Message::AcceptClock(_) => self.inner.lock().waiting.push_back(message),
                message => message.refuse(Unavailable::StoreUnavailable),
            }
        }
    }

    /// Takes no more; what waits is still decided.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    pub(super) fn depth(&self) -> usize {
        self.inner.lock().waiting.len()
    }
}
