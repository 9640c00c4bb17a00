//! Answers large batches on a thread of its own, so that the next batch reaches the database
//! while callers are woken and the memory of the last one is given back.
//!
//! Boundary: decides nothing; what it answers is committed.

use std::{sync::mpsc, thread};

use super::{attempt::Decided, queue::Message};

/// Batches that may wait for their answers; the batcher waits when there are more.
const WAITING: usize = 4;

type Batch = (Vec<Message>, Decided);

/// The thread; ends, with everything answered, when this is dropped.
pub(super) struct Clerk {
    batches: Option<mpsc::SyncSender<Batch>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Clerk {
    /// A system that gives no thread gets its answers from the batcher itself.
    pub(super) fn start() -> Self {
        let (sender, batches) = mpsc::sync_channel::<Batch>(WAITING);
        let answer_all = move || {
            for (messages, decided) in batches {
                answer(messages, decided);
            }
        };
        let thread = thread::Builder::new().name("ledger-answers".into());
        match thread.spawn(answer_all) {
            Ok(thread) => Self {
                batches: Some(sender),
                thread: Some(thread),
            },
            Err(error) => {
                tracing::warn!(%error, "large batches are answered by the thread that decides them");
                Self {
                    batches: None,
                    thread: None,
                }
            }
        }
    }

    /// Answers a batch of which every message has its answer.
    pub(super) fn hand_over(&self, messages: Vec<Message>, decided: Decided) {
        let batch = (messages, decided);
        let left = match &self.batches {
            Some(batches) => batches
                .send(batch)
                .err()
                .map(|mpsc::SendError(batch)| batch),
            None => Some(batch),
        };
        if let Some((messages, decided)) = left {
            answer(messages, decided);
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has dropped its senders: their callers were told.
            drop(thread.join());
        }
    }
}

/// Tells every caller; answers the messages that wait for the next batch.
pub(super) fn answer(messages: Vec<Message>, decided: Decided) -> Vec<Message> {
    let mut later = Vec::new();
    for (message, answer) in messages.into_iter().zip(decided.answers) {
        match (message, answer) {
            (Message::Call(_, reply), Some(answer)) => reply.send(answer),
            (message @ Message::Call(..), None) => later.push(message),
            (Message::Time(reply), _) => drop(reply.send(decided.now)),
            (Message::AcceptClock(reply), _) => drop(reply.send(())),
        }
    }
    later
}
