//! The one task of this process that writes: gathers, decides, answers.
//!
//! It runs on a thread of its own, because judging and hashing a large batch takes milliseconds.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use florin_base::{IdSource, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    PostgresOptions, Shared,
    ahead::{Ahead, Next as NextBatch},
    attempt::{Decided, Failed, close, rollback},
    book::Working,
    cache::Cache,
    clerk::{Clerk, answer},
    partitions::{self, Month},
    pulse::Pulse,
    queue::Message,
    schema::within,
    session::{OpenFailed, Session, is_busy, is_doubled, is_ended, is_lost},
    settle::{InDoubt, Lost},
};
use crate::{call::Unavailable, engine::LedgerTime};

/// Most bytes and items gathered into one commit, unless a single call has more.
const BATCH: (usize, usize) = (8 << 20, 16_384);
/// The same for a commit of nothing but large calls: their callers wait long anyway, and the more
/// accounts the server visits in order of their place, the less it does for each.
const BULK: (usize, usize) = (28 << 20, 65_536);
/// Longest sleep with nothing to do; each replica looks for due reservations so often.
const IDLE: Duration = Duration::from_millis(500);
/// Wait between two attempts to reach a database that is away.
pub(super) const RECONNECT: Duration = Duration::from_millis(100);
/// How long a batch that was certainly not done is tried again before its callers hear of it:
/// within a second, though connecting once more takes its time.
const RETRY: Duration = Duration::from_millis(400);
/// The same while others hold the head's lock: the database answers, it is only busy.
pub(super) const RETRY_BUSY: Duration = Duration::from_secs(5);
/// How many batches look up their identities after one met an identity that was not new.
const DOUBTS: u32 = 64;
/// After so long a month of the journal that could not be made is tried again; two more are there.
const MONTHS_AGAIN: Duration = Duration::from_secs(300);

/// Everything the batcher owns.
pub(super) struct Batcher {
    pub shared: Arc<Shared>,
    pub writer: Uuid,
    /// Number of the last attempt that was written.
    pub attempt: i64,
    pub channel: String,
    pub time: LedgerTime,
    pub working: Working,
    /// The `seq` at which the cache was true.
    pub valid_at: Option<u64>,
    pub in_doubt: Option<InDoubt>,
    /// When the next reservation expires, as of the last batch.
    pub next_due: Option<i64>,
    /// Batches left whose identities are looked up before they are judged.
    pub doubts: u32,
    /// Records from which on a batch is written in two steps, so that work goes on beside it.
    pub large_batch: usize,
    /// The next batch, if it was judged ahead.
    pub next: Option<NextBatch>,
    /// A commit that was seen: its number and the hash chain after it.
    pub known: Option<(u64, Vec<u8>)>,
    pub clock_accepted: bool,
    pub clock_compared: bool,
    clerk: Clerk,
    pub session: Option<Session>,
    pub pulse: Option<Pulse>,
    /// The journal has partitions up to this month.
    months_made: Option<Month>,
    /// When a month that could not be made is tried again.
    months_again: Option<Instant>,
    pub waiting: VecDeque<Message>,
}

impl Batcher {
    pub(super) fn new(shared: Arc<Shared>, channel: String, options: &PostgresOptions) -> Self {
        let (clock, policy) = (shared.clock.clone(), shared.policy.clone());
        let writer = IdSource::new().uuid_v7(clock.wall_micros());
        let directory = shared.directory.clone();
        let working = Working::new(
            directory,
            shared.hash_key,
            Cache::new(options.accounts_cached),
        );
        Self {
            time: LedgerTime::new(clock, 0, policy.clock_forward_max_micros),
            writer,
            attempt: 0,
            channel,
            working,
            valid_at: None,
            in_doubt: None,
            next_due: None,
            doubts: 0,
            large_batch: options.large_batch,
            next: None,
            known: None,
            clock_accepted: false,
            clock_compared: false,
            clerk: Clerk::start(),
            session: None,
            pulse: Some(Pulse::new(shared.connections.clone())),
            months_made: None,
            months_again: None,
            waiting: VecDeque::new(),
            shared,
        }
    }

    /// Runs until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            if let Some(NextBatch { messages, judged }) = self.next.take() {
                self.decide(messages, Some(judged)).await;
                continue;
            }
            let shared = self.shared.clone();
            // In this order: what came before the end is in the queue by then.
            let closed = shared.queue.is_closed();
            shared.queue.take_all(&mut self.waiting);
            if self.waiting.is_empty() && closed {
                break;
            }
            if self.session.is_none() {
                if self.connect().await {
                    continue;
                }
                self.refuse_waiting();
                if shared.queue.is_closed() {
                    break;
                }
                tokio::time::sleep(RECONNECT).await;
                continue;
            }
            self.make_months().await;
            if self.waiting.is_empty() {
                let filled = shared.queue.filled();
                if tokio::time::timeout(self.patience(), filled).await.is_err() {
                    self.tick().await;
                }
                continue;
            }
            let batch = self.gather();
            self.decide(batch, None).await;
        }
        if let Some(session) = self.session.take() {
            close(session.connection).await;
        }
    }

    /// How long to wait for calls: until the next reservation expires, but not long.
    fn patience(&self) -> Duration {
        let until = self.next_due.map(|at| at - self.time.now());
        let until = until.map(|micros| Duration::from_micros(micros.max(1_000).unsigned_abs()));
        until.map_or(IDLE, |until| until.min(IDLE))
    }

    pub(super) fn take_pulse(&mut self) -> Pulse {
        let connections = &self.shared.connections;
        self.pulse
            .take()
            .unwrap_or_else(|| Pulse::new(connections.clone()))
    }

    /// Makes partitions of the journal ahead, once a month.
    async fn make_months(&mut self) {
        let now = Timestamp(self.time.now());
        let month = Month::of(now);
        if self.months_made.is_some_and(|made| made >= month) {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        if self.months_again.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let made = partitions::ensure(&mut session.connection, now);
        match within(Duration::from_secs(2), made).await {
            Ok(true) => self.months_made = Some(month),
            Ok(false) => self.months_again = Some(Instant::now() + MONTHS_AGAIN),
            // Without its month a record goes to the default partition.
            Err(error) => {
                self.months_again = Some(Instant::now() + MONTHS_AGAIN);
                self.lost(&error);
            }
        }
    }

    /// Nobody called: expires what is due, and notices a database that went away.
    async fn tick(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let next = sqlx::query_scalar::<_, i64>(
            "SELECT expires_at FROM pendings WHERE expires_at IS NOT NULL ORDER BY expires_at, seq LIMIT 1",
        )
        .fetch_optional(&mut session.connection);
        match within(Duration::from_millis(400), next).await {
            Ok(next) => self.next_due = next,
            Err(error) => return self.lost(&error),
        }
        if self.next_due.is_some_and(|at| at <= self.time.now()) {
            self.decide(Vec::new(), None).await;
        }
    }

    pub(super) async fn connect(&mut self) -> bool {
        if self.shared.status.lock().failed.is_some() {
            return false;
        }
        let ledger = self.shared.ledger_id;
        let session = Session::open(&self.shared.connections, ledger, self.known.as_ref()).await;
        match session {
            Err(OpenFailed::Another(what)) => {
                tracing::error!(
                    what,
                    "the database holds another history; no postings until a restart"
                );
                let mut status = self.shared.status.lock();
                status.failed = Some(what.to_owned());
                drop(status);
                self.shared.queue.set_away(true);
                false
            }
            Ok(session) => {
                self.session = Some(session);
                if self.shared.queue.is_away() {
                    tracing::info!("the ledger's database is back");
                }
                self.shared.status.lock().refusing = None;
                self.shared.queue.set_away(false);
                true
            }
            Err(OpenFailed::Away(error)) => {
                self.away(&error);
                false
            }
        }
    }

    /// From now on callers hear at once that the database is away.
    pub(super) fn away(&self, error: &sqlx::Error) {
        let mut status = self.shared.status.lock();
        if status.refusing.is_none() {
            tracing::error!(%error, "the ledger's database is away");
        }
        status.refusing = Some(format!("the ledger's database is away: {error}"));
        drop(status);
        self.shared.queue.set_away(true);
    }

    /// The connection is no use any more.
    pub(super) fn lost(&mut self, error: &sqlx::Error) {
        tracing::warn!(%error, "the connection to the ledger's database was given up");
        self.session = None;
        self.valid_at = None;
    }

    pub(super) fn refuse_waiting(&mut self) {
        for message in self.waiting.drain(..) {
            match message {
                Message::AcceptClock(reply) => {
                    self.time.accept();
                    self.clock_accepted = true;
                    let _gone = reply.send(());
                }
                message => message.refuse(Unavailable::StoreUnavailable),
            }
        }
    }

    /// Takes waiting messages up to the size of a commit.
    pub(super) fn gather(&mut self) -> Vec<Message> {
        let (mut bytes, mut count) = (0, 0);
        let mut batch = Vec::new();
        let (mut bytes_max, mut count_max) = BULK;
        while let Some(message) = self.waiting.pop_front() {
            let (weight, items) = (message.weight(), message.items());
            if items < self.large_batch {
                (bytes_max, count_max) = BATCH;
            }
            match &message {
                Message::Call(..) if message.is_oversize() => {
                    tracing::error!("a call is larger than a commit may be");
                    message.refuse(Unavailable::StoreUnavailable);
                    continue;
                }
                Message::AcceptClock(_) => {
                    self.time.accept();
                    self.clock_accepted = true;
                }
                _ => {}
            }
            bytes += weight;
            count += items;
            if !batch.is_empty() && (bytes > bytes_max || count > count_max) {
                self.waiting.push_front(message);
                break;
            }
            batch.push(message);
        }
        batch
    }

    /// Decides a batch and answers it.
    async fn decide(&mut self, mut batch: Vec<Message>, mut judged: Option<Ahead>) {
        let begun = Instant::now();
        loop {
            let Some(mut session) = self.session.take() else {
                if self.connect().await {
                    continue;
                }
                if begun.elapsed() >= RETRY {
                    return refuse_all(batch, Unavailable::StoreUnavailable);
                }
                tokio::time::sleep(RECONNECT / 2).await;
                continue;
            };
            let mut pulse = self.take_pulse();
            let attempt = self.attempt(&mut session.connection, &mut pulse, &batch, judged.take());
            let attempted = attempt.await;
            self.pulse = Some(pulse);
            if attempted.is_err()
                && let Some(next) = self.next.take()
            {
                self.put_back(next.messages);
            }
            let next = match attempted {
                Ok(decided) => {
                    self.session = Some(session);
                    Next::Answer(decided)
                }
                Err(Failed::NotDone(error)) => {
                    let next = self.not_done(session, &error, begun).await;
                    if is_ended(&error) {
                        self.drop_ended(&mut batch).await;
                    }
                    next
                }
                Err(Failed::Broken(what)) => {
                    tracing::error!(what, "a batch was not decided");
                    self.valid_at = None;
                    Next::Refuse(Unavailable::StoreUnavailable)
                }
                Err(Failed::InCommit(error, decided)) => {
                    let lost = Lost {
                        session,
                        decided: *decided,
                        since: begun,
                    };
                    self.settle_in_time(lost, &error, &mut batch).await
                }
            };
            match next {
                Next::Answer(decided) => {
                    metrics::histogram!("ledger_commit_duration_seconds").record(begun.elapsed());
                    return self.answer(batch, decided);
                }
                Next::Again => {}
                Next::Refuse(why) => return refuse_all(batch, why),
            }
        }
    }

    /// A batch was certainly not done: again, or give up.
    async fn not_done(&mut self, session: Session, error: &sqlx::Error, begun: Instant) -> Next {
        self.valid_at = None;
        self.settled(false);
        let doubled = is_doubled(error);
        if doubled {
            self.doubts = DOUBTS;
        }
        let busy = doubled || is_busy(error) || is_ended(error);
        let mut connection = session.connection;
        let undone = within(Duration::from_millis(300), rollback(&mut connection));
        if busy && undone.await.is_ok() {
            self.session = Some(Session {
                connection,
                ..session
            });
        } else {
            tracing::warn!(%error, "a batch was not done");
        }
        let patience = if busy { RETRY_BUSY } else { RETRY };
        let lost = is_lost(error);
        if begun.elapsed() < patience && (busy || lost) {
            return Next::Again;
        }
        if lost && self.session.is_none() {
            // Whoever waits behind this batch has waited as long.
            self.away(error);
            self.refuse_waiting();
        }
        Next::Refuse(Unavailable::StoreUnavailable)
    }

    fn answer(&mut self, batch: Vec<Message>, decided: Decided) {
        if decided.records > 0 {
            metrics::histogram!("ledger_batch_size").record(decided.records as u32);
        }
        if decided.expired_holds > 0 {
            metrics::counter!("wallet_holds_expired_total").increment(decided.expired_holds);
        }
        if decided.records >= self.large_batch && decided.answers_all(&batch) {
            return self.clerk.hand_over(batch, decided);
        }
        let later = answer(batch, decided);
        self.put_back(later);
    }
}

/// What follows an attempt.
pub(super) enum Next {
    Answer(Decided),
    Again,
    Refuse(Unavailable),
}

pub(super) fn refuse_all(batch: Vec<Message>, why: Unavailable) {
    for message in batch {
        message.refuse(why);
    }
}
