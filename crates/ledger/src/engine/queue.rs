//! Calls waiting for the writer: bounded, taken all at once.

use std::{collections::VecDeque, time::Duration};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::call::{Answer, Call, ImportLine, Query, Unavailable, View};

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

/// An upper bound of the bytes a call adds to a journal frame.
pub(super) fn weight(call: &Call) -> usize {
    const ITEM: usize = 700;
    let text = |d: &Option<Box<str>>| d.as_ref().map_or(0, |d| d.len());
    let pairs = |m: &crate::model::Metadata| {
        m.pairs()
            .iter()
            .map(|(k, v)| k.len() + v.len() + 12)
            .sum::<usize>()
    };
    let item = |i: &crate::call::Item| ITEM + text(&i.description) + pairs(&i.metadata);
    match call {
        Call::Transfers(c) => c.items.iter().map(item).sum(),
        Call::Import(c) => c
            .lines
            .iter()
            .map(|line| match line {
                ImportLine::Transfer(t) => item(&t.item) + ITEM,
                ImportLine::Account(a) => ITEM + pairs(&a.metadata),
                ImportLine::Wallet { wallet } => ITEM + pairs(&wallet.metadata),
                _ => 12 * ITEM,
            })
            .sum(),
        Call::WalletMove(c) => 3 * ITEM + text(&c.description) + pairs(&c.metadata),
        Call::ResolveHold(_) => 48 << 10, // repeats description and pairs of the hold
        Call::CreateWallet(c) => 3 * ITEM + pairs(&c.metadata),
        Call::CreateAccount(c) => 2 * ITEM + pairs(&c.metadata),
        // A chain to reverse may be as long as a call.
        Call::Reverse(_) => crate::rules::REVERSAL_BYTES_MAX,
        Call::CreateAsset { .. } | Call::PatchAccount(_) | Call::UpdateWallet(_) => 48 << 10,
    }
}

/// How many items a call has.
pub(super) fn items(call: &Call) -> usize {
    match call {
        Call::Transfers(c) => c.items.len(),
        Call::Import(c) => c.lines.len(),
        _ => 1,
    }
}
