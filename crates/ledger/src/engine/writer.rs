//! The single writer: takes whatever waits as one batch, applies the rules, appends the batch to
//! the journal, syncs it once, then answers. While it syncs, the next batch gathers: group commit
//! without a timer.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    deciding::judge_one,
    history::Committed,
    progress::{Mark, Progress},
    queries,
    queue::{Message, Queue},
    snapshot::Job,
    state::State,
    time::{ClockState, LedgerTime},
};
use crate::{
    call::{Answer, Call, Unavailable, View},
    journal::{Journal, MAX_PAYLOAD_BYTES, Position},
    policy::Policy,
    record::codec::{self, Header},
    rules::{Judge, Start},
};

/// Most bytes gathered into one frame, unless a single call is larger.
const BATCH_BYTES: usize = 8 << 20;
/// Most items gathered into one frame, unless a single call has more.
const BATCH_ITEMS: usize = 16_384;
/// Bytes of a frame kept for its header, expiries and notes.
const FRAME_ROOM: usize = 1 << 20;
/// Most expiries in one frame.
const EXPIRIES: usize = 4_096;
/// How far the index may lag before postings wait for it, in records.
const INDEX_LAG_MAX: u64 = 400_000;
/// How often disk space is looked at.
const SPACE_CHECK: Duration = Duration::from_millis(500);
/// Longest sleep with nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// What `/ready` and metrics show of the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Why the ledger takes no postings until it is restarted.
    pub failed: Option<String>,
    /// Why it takes none for now: disk full or read-only.
    pub refusing: Option<String>,
    /// State of the clock.
    pub clock: ClockState,
    /// Free space of the disk, in thousandths.
    pub disk_free_per_mille: Option<u32>,
    /// Last commit.
    pub head: crate::call::Head,
}

/// Everything the writer thread owns.
pub(super) struct Writer {
    pub state: State,
    pub journal: Journal,
    pub time: LedgerTime,
    pub policy: Arc<Policy>,
    pub queue: Arc<Queue>,
    pub progress: Arc<Progress>,
    pub commits: Option<SyncSender<Arc<Committed>>>,
    pub status: Arc<Mutex<Status>>,
    pub ledger_id: u128,
    pub seq: u64,
    pub batch: u64,
    pub note: u64,
    pub snapshot_dir: PathBuf,
    /// Bytes of journal between snapshots.
    pub snapshot_bytes: u64,
    pub snapshot_at: Position,
    pub min_free_per_mille: u32,
    pub run: Run,
}

/// What the loop keeps between turns.
#[derive(Default)]
pub(super) struct Run {
    waiting: VecDeque<Message>,
    pub(super) job: Option<Job>,
    space_checked: Option<Instant>,
    payload: Vec<u8>,
    offsets: Vec<u32>,
}

/// An answer that is sent once the batch is durable.
enum Reply {
    Call(
        oneshot::Sender<Result<Answer, Unavailable>>,
        Result<Answer, Unavailable>,
    ),
    View(oneshot::Sender<Result<View, Unavailable>>, Box<View>),
}

impl Writer {
    /// Runs until told to stop; then takes a last snapshot.
    pub(super) fn run(mut self) {
        let mut stop = false;
        while !stop {
            let timeout = self.patience();
            let mut waiting = std::mem::take(&mut self.run.waiting);
            self.queue.take_all(&mut waiting, timeout);
            self.run.waiting = waiting;
            stop = self.turn();
            self.snapshot_step();
        }
        for message in self.queue.close() {
            self.run.waiting.push_back(message);
        }
        while !self.run.waiting.is_empty() {
            self.turn();
        }
        self.last_snapshot();
    }

    fn patience(&self) -> Duration {
        if self.refusal().is_some() && self.run.waiting.is_empty() {
            return IDLE;
        }
        if !self.run.waiting.is_empty()
            || self.run.job.as_ref().is_some_and(|job| !job.is_complete())
        {
            return Duration::ZERO;
        }
        let next = self
            .state
            .due
            .first_key_value()
            .map(|((at, _), _)| *at - self.time.now());
        next.map_or(IDLE, |micros| {
            Duration::from_micros(micros.max(0).unsigned_abs())
        })
        .min(IDLE)
    }

    /// One batch. True when told to stop.
    fn turn(&mut self) -> bool {
        self.check_space();
        let (batch, stop) = self.gather();
        let mut refusal = self.refusal();
        let bytes: usize = batch.iter().map(message_weight).sum::<usize>() + EXPIRIES * 256 + 4_096;
        if refusal.is_none() {
            refusal = self.reserve(bytes);
        }
        let due = self
            .state
            .due
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= self.time.now());
        if batch.is_empty() && (!due || refusal.is_some()) {
            return stop;
        }
        self.progress.wait_for_index(self.seq, INDEX_LAG_MAX);
        self.decide(batch, refusal);
        stop
    }

    /// Takes waiting messages up to the size of a frame.
    fn gather(&mut self) -> (Vec<Message>, bool) {
        let (mut bytes, mut count) = (0, 0);
        let mut batch = Vec::new();
        while let Some(message) = self.run.waiting.pop_front() {
            match &message {
                Message::Stop => return (batch, true),
                Message::Call(call, _) if Self::is_oversize(call) => {
                    tracing::error!("a call is larger than a frame of the journal");
                    if let Message::Call(_, reply) = message {
                        // A caller that went away needs no answer.
                        drop(reply.send(Err(Unavailable::StoreUnavailable)));
                    }
                    continue;
                }
                Message::Call(call, _) => {
                    bytes += call.weight();
                    count += call.items();
                    if !batch.is_empty() && (bytes > BATCH_BYTES || count > BATCH_ITEMS) {
                        self.run.waiting.push_front(message);
                        break;
                    }
                }
                Message::Query(..) | Message::AcceptClock(_) => {}
            }
            batch.push(message);
        }
        (batch, false)
    }

    /// Callers bound their lists well below a frame; one that did not is refused before anything
    /// is judged.
    fn is_oversize(call: &Call) -> bool {
        let is_list = matches!(call, Call::Transfers(_) | Call::Import(_));
        is_list && call.weight() + FRAME_ROOM > MAX_PAYLOAD_BYTES
    }

    /// Why no postings are taken now.
    fn refusal(&self) -> Option<Unavailable> {
        let clock = self.time.state();
        let mut status = self.status.lock();
        // What refuses a call here must be seen in the status before the caller looks.
        status.clock = clock;
        if status.failed.is_some() || status.refusing.is_some() || self.progress.is_stopped() {
            return Some(Unavailable::StoreUnavailable);
        }
        (clock == ClockState::Unsafe).then_some(Unavailable::ClockUnsafe)
    }

    fn reserve(&mut self, bytes: usize) -> Option<Unavailable> {
        match self.journal.reserve(bytes.min(self.journal.max_payload())) {
            Ok(()) => None,
            Err(error) => {
                let mut status = self.status.lock();
                let reason = error.to_string();
                if status.refusing.as_deref() != Some(&*reason) {
                    tracing::error!(%error, "the ledger takes no postings");
                }
                if error.is_retryable() {
                    status.refusing = Some(reason);
                    self.run.space_checked = Some(now());
                } else {
                    status.failed = Some(reason);
                }
                Some(Unavailable::StoreUnavailable)
            }
        }
    }

    fn check_space(&mut self) {
        if self
            .run
            .space_checked
            .is_some_and(|at| at.elapsed() < SPACE_CHECK)
        {
            return;
        }
        self.run.space_checked = Some(now());
        let free = self
            .journal
            .space()
            .ok()
            .map(|space| space.free_per_mille());
        let full = free.is_some_and(|free| free < self.min_free_per_mille);
        let refusing = full.then(|| {
            let min = self.min_free_per_mille;
            let (percent, tenth) = (min / 10, min % 10);
            format!("the disk has less than {percent}.{tenth} % of its space free")
        });
        let mut status = self.status.lock();
        if status.refusing != refusing {
            tracing::warn!(refusing, "disk space");
        }
        status.refusing = refusing;
        status.disk_free_per_mille = free;
        status.clock = self.time.state();
    }

    /// Judges a batch, makes it durable, answers.
    fn decide(&mut self, messages: Vec<Message>, mut refusal: Option<Unavailable>) {
        let begun = now();
        let start = Start {
            batch: self.batch + 1,
            now: self.next_time(),
            last_seq: self.seq,
            last_note: self.note,
        };
        let (head, lost) = {
            let status = self.status.lock();
            (status.head, status.failed.is_some())
        };
        let policy = self.policy.clone();
        let count = messages.iter().map(message_items).sum();
        let mut judge = Judge::new(&mut self.state, &policy, start, count);
        let mut replies = Vec::with_capacity(messages.len());
        let mut later = Vec::new();
        let settled = refusal.is_some() || judge.expire_due(EXPIRIES);
        for message in messages {
            if !settled {
                later.push(message);
                continue;
            }
            match message {
                Message::Call(call, reply) => {
                    let is_import = matches!(*call, Call::Import(_));
                    let answer = match refusal {
                        Some(refusal) => Err(refusal),
                        None => judge_one(&mut judge, start, *call).map_err(|fault| {
                            tracing::error!(%fault, "a call was not decided");
                            Unavailable::StoreUnavailable
                        }),
                    };
                    if is_import && answer.is_err() && refusal.is_none() {
                        // Assets, wallets and bounds of accounts are not rolled back: memory is
                        // ahead of the journal, so nothing may build on it.
                        let what = "a lookup failed in the middle of an import";
                        self.status.lock().failed = Some(what.into());
                        refusal = Some(Unavailable::StoreUnavailable);
                    }
                    replies.push(Reply::Call(reply, answer));
                }
                // After a failed commit memory may show what a restart takes back.
                Message::Query(_, reply) if lost => {
                    drop(reply.send(Err(Unavailable::StoreUnavailable)));
                }
                Message::Query(query, reply) => {
                    let seq = start.last_seq + judge.staged().0 as u64;
                    let view = queries::answer(judge.book(), &policy, query, seq, start, head);
                    replies.push(Reply::View(reply, Box::new(view)));
                }
                Message::AcceptClock(reply) => {
                    self.time.accept();
                    let _gone = reply.send(());
                }
                Message::Stop => {}
            }
        }
        let expired_holds = judge.expired_holds();
        let (records, notes) = judge.finish();
        for message in later.into_iter().rev() {
            self.run.waiting.push_front(message);
        }
        let durable = if records.is_empty() && notes.is_empty() {
            true
        } else {
            let committed = self.commit(start, records, notes);
            metrics::histogram!("ledger_commit_duration_seconds").record(begun.elapsed());
            if committed && expired_holds > 0 {
                metrics::counter!("wallet_holds_expired_total").increment(expired_holds);
            }
            committed
        };
        answer_all(replies, durable);
    }

    /// Ledger time of the next batch. Reads alone do not move it on.
    fn next_time(&mut self) -> florin_base::Timestamp {
        self.time.next()
    }

    /// Appends and syncs; false when that failed, after which nothing is taken any more.
    fn commit(
        &mut self,
        start: Start,
        records: Vec<crate::model::Record>,
        notes: Vec<crate::rules::book::Note>,
    ) -> bool {
        let header = Header {
            batch: if records.is_empty() {
                self.batch
            } else {
                start.batch
            },
            first_seq: start.last_seq + 1,
            recorded_at: start.now,
            records: records.len() as u32,
            first_note: start.last_note + 1,
            notes: notes.len() as u32,
        };
        codec::encode(
            &header,
            &records,
            &notes,
            &mut self.run.payload,
            &mut self.run.offsets,
        );
        let frame = self.journal.end().batch;
        let appended = self.journal.append(frame, &self.run.payload);
        let synced = appended.and_then(|appended| self.journal.sync().map(|_| appended));
        let appended = match synced {
            Ok(appended) => appended,
            Err(error) => {
                tracing::error!(%error, "the journal failed; no postings until a restart");
                self.status.lock().failed = Some(error.to_string());
                return false;
            }
        };
        self.seq += records.len() as u64;
        self.note += notes.len() as u64;
        self.batch = header.batch;
        self.progress.set_durable(Mark {
            frame,
            seq: self.seq,
        });
        self.status.lock().head = crate::call::Head {
            seq: self.seq,
            batch: self.batch,
            recorded_at: start.now,
        };
        metrics::histogram!("ledger_batch_size").record(records.len() as u32);
        let offsets = std::mem::take(&mut self.run.offsets);
        let committed = Arc::new(Committed {
            frame,
            header,
            records,
            notes,
            payload_lsn: appended.payload_lsn.0,
            offsets,
        });
        if let Some(history) = &mut self.state.history {
            history.committed(committed.clone());
        }
        if let Some(commits) = &self.commits {
            // A stopped index is noticed through `Progress`.
            drop(commits.send(committed));
        }
        true
    }
}

fn message_weight(message: &Message) -> usize {
    match message {
        Message::Call(call, _) => call.weight(),
        _ => 0,
    }
}

fn message_items(message: &Message) -> usize {
    match message {
        Message::Call(call, _) => call.items(),
        _ => 0,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "durations of commits for metrics; no decision depends on them"
)]
fn now() -> Instant {
    Instant::now()
}

fn answer_all(replies: Vec<Reply>, durable: bool) {
    for reply in replies {
        // A caller that went away is no fault: its posting stands.
        match reply {
            Reply::Call(sender, answer) => {
                let answer = if durable {
                    answer
                } else {
                    answer.and(Err(Unavailable::CommitUnknown))
                };
                drop(sender.send(answer));
            }
            Reply::View(sender, view) => {
                let view = if durable {
                    Ok(*view)
                } else {
                    Err(Unavailable::StoreUnavailable)
                };
                drop(sender.send(view));
            }
        }
    }
}
