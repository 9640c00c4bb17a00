//! How far things are: what is durable, what is indexed, who waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

/// A place in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Last journal frame.
    pub frame: u64,
    /// Last record.
    pub seq: u64,
}

/// Shared by writer, indexer and readers.
pub(super) struct Progress {
    durable: Mutex<Mark>,
    indexed: Mutex<Mark>,
    indexed_changed: Condvar,
    indexed_frame: watch::Sender<u64>,
    indexed_seq: watch::Sender<u64>,
    stopped: AtomicBool,
}

impl Progress {
    pub(super) fn new(at: Mark) -> Self {
        Self {
            durable: Mutex::new(at),
            indexed: Mutex::new(at),
            indexed_changed: Condvar::new(),
            indexed_frame: watch::channel(at.frame).0,
            indexed_seq: watch::channel(at.seq).0,
            stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn durable(&self) -> Mark {
        *self.durable.lock()
    }

    pub(super) fn set_durable(&self, mark: Mark) {
        *self.durable.lock() = mark;
    }

    pub(super) fn indexed(&self) -> Mark {
        *self.indexed.lock()
    }

    pub(super) fn set_indexed(&self, mark: Mark) {
        *self.indexed.lock() = mark;
        self.indexed_changed.notify_all();
        self.indexed_frame.send_replace(mark.frame);
        self.indexed_seq
            .send_if_modified(|seq| std::mem::replace(seq, mark.seq) != mark.seq);
    }

    /// The index stopped for good; nobody waits for it any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _guard = self.indexed.lock();
        self.indexed_changed.notify_all();
        self.indexed_frame.send_modify(|_| {});
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Blocks while the index is more than `records` behind `seq`.
    pub(super) fn wait_for_index(&self, seq: u64, records: u64) {
        let mut indexed = self.indexed.lock();
        while indexed.seq + records < seq && !self.is_stopped() {
            self.indexed_changed
                .wait_for(&mut indexed, Duration::from_millis(100));
        }
    }

    /// Waits until a frame is indexed; false when the index stopped.
    pub(super) async fn indexed_through(&self, frame: u64) -> bool {
        let mut watch = self.indexed_frame.subscribe();
        let reached = watch.wait_for(|at| *at >= frame || self.is_stopped()).await;
        reached.is_ok_and(|at| *at >= frame)
    }

    /// Last indexed `seq`, for followers of the feed.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.indexed_seq.subscribe()
    }
}
