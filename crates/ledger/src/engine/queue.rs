//! Calls waiting for the writer: bounded, taken all at once.

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::call::{Answer, Call, Query, Unavailable, View};

/// Something for the writer.
pub(super) enum Message {
    Call(Box<Call>, oneshot::Sender<Result<Answer, Unavailable>>),
    Query(Query, oneshot::Sender<Result<View, Unavailable>>),
    AcceptClock(oneshot::Sender<()>),
    Stop,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Message>,
    closed: bool,
}

/// The queue.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    max: usize,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            filled: Condvar::new(),
            max,
        }
    }

    /// Adds a message; `Overloaded` when the queue is full, `StoreUnavailable` once closed.
    pub(super) fn push(&self, message: Message) -> Result<(), Unavailable> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Unavailable::StoreUnavailable);
        }
        let bounded = matches!(message, Message::Call(..) | Message::Query(..));
        if bounded && inner.waiting.len() >= self.max {
            return Err(Unavailable::Overloaded);
        }
        inner.waiting.push_back(message);
        if inner.waiting.len() == 1 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves everything that waits to `out`; waits for something up to `timeout`.
    pub(super) fn take_all(&self, out: &mut VecDeque<Message>, timeout: Duration) {
        let mut inner = self.inner.lock();
        if inner.waiting.is_empty() && !timeout.is_zero() {
            self.filled.wait_for(&mut inner, timeout);
        }
        out.append(&mut inner.waiting);
    }

    /// Takes no more; what waits is dropped, which answers `CommitUnknown` to nobody: it was
    /// never begun, and its sender reads the closed channel as "not done".
    pub(super) fn close(&self) -> VecDeque<Message> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        std::mem::take(&mut inner.waiting)
    }

    pub(super) fn depth(&self) -> usize {
        self.inner.lock().waiting.len()
    }
}
