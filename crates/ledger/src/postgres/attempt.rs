//! One attempt to decide a batch: lock the head, load, judge, write, commit.

use std::time::Duration;

use florin_base::Timestamp;
use sqlx::{Connection, PgConnection, Row as _};

use super::{
    ahead::{After, Ahead},
    apply::{self, HeadAfter},
    batcher::Batcher,
    collect::{Collector, Keys},
    load::{self, LoadError},
    pulse::Pulse,
    queue::{Message, links_of},
    schema::within,
    settle::InDoubt,
    writes::{Rows, Writes},
};
use crate::{
    call::{Answer, Call, Head, Unavailable},
    engine::{ClockState, judge_one},
    model::Record,
    proof::{Frontier, Hash},
    rules::{
        Judge, Start,
        book::{Fault, Note},
    },
};

/// Most expiries in one batch.
const EXPIRIES: usize = 4_096;
/// Most times a batch is judged before it counts as a fault: each time loads what was missed.
const JUDGEMENTS_MAX: u32 = 64;

/// Locks the head and tells how the ledger stands; the last statement runs under the lock.
const LOCK: &str = "BEGIN; \
    SELECT seq, batch, note, accounts, assets, recorded_at, settled_at, chain, frontier FROM head FOR UPDATE; \
    SELECT (SELECT expires_at FROM pendings WHERE expires_at IS NOT NULL ORDER BY expires_at, seq LIMIT 1), \
      (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// Certainly not done.
    NotDone(sqlx::Error),
    /// A row or a rule is broken: certainly not done, and trying again would not help.
    Broken(String),
    /// The connection was lost while committing; what is answered if the commit happened.
    InCommit(sqlx::Error, Box<Decided>),
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Sql(error) => Self::NotDone(error),
            LoadError::Malformed(error) => Self::Broken(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::NotDone(error)
    }
}

/// The head as locked.
pub(super) struct Locked {
    pub head: Head,
    pub note: u64,
    pub accounts: u64,
    pub assets: usize,
    pub settled_at: i64,
    chain: Hash,
    frontier: Frontier,
    pub next_due: Option<i64>,
    server_micros: i64,
}

/// What an attempt answers.
#[derive(Debug)]
pub(super) struct Decided {
    /// One for each message, in order; `None` for those that wait for the next batch.
    pub answers: Vec<Option<Result<Answer, Unavailable>>>,
    /// Ledger time of the batch: nothing recorded later gets this time or an earlier one.
    pub now: Result<Timestamp, Unavailable>,
    /// Count of records.
    pub records: usize,
    /// How many of them are expiries of wallet holds.
    pub expired_holds: u64,
    /// What was written, kept so that its memory is given back after the answers.
    pub written: Option<Made>,
}

impl Decided {
    /// No call of the batch waits for the next one.
    pub(super) fn answers_all(&self, messages: &[Message]) -> bool {
        let mut both = messages.iter().zip(&self.answers);
        both.all(|(message, answer)| answer.is_some() || !matches!(message, Message::Call(..)))
    }
}

/// What a judgement adds to the ledger.
#[derive(Debug)]
pub(super) struct Made {
    pub records: Vec<Record>,
    notes: Vec<Note>,
}

/// A judged batch.
pub(super) struct Judgement {
    answers: Vec<Option<Result<Answer, Unavailable>>>,
    pub made: Made,
    expired_holds: u64,
}

impl Batcher {
    /// Decides a batch on a connection.
    ///
    /// # Errors
    /// [`Failed`]; the connection is to be thrown away then.
    pub(super) async fn attempt(
        &mut self,
        connection: &mut PgConnection,
        pulse: &mut Pulse,
        messages: &[Message],
        judged: Option<Ahead>,
    ) -> Result<Decided, Failed> {
        let locked = pulse.during(lock(connection)).await?;
        let head = locked.head;
        if self.valid_at != Some(head.seq) {
            self.working.cache.clear();
        }
        self.next_due = locked.next_due;
        self.time.observe(locked.settled_at);
        if !self.clock_is_safe(locked.settled_at, locked.server_micros) {
            pulse.during(rollback(connection)).await?;
            return Ok(refused(messages, Unavailable::ClockUnsafe));
        }
        if head.batch > 0 {
            self.known = Some((head.batch, locked.chain.as_bytes().to_vec()));
        }
        let judged = judged.filter(|ahead| self.valid_at == Some(head.seq) && ahead.fits(&locked));
        let (start, judgement, prepared) = match judged {
            Some(ahead) => (ahead.start, ahead.judgement, Some(ahead.writes)),
            None => {
                // Only a clock that may decide moves ledger time on: a wrong one must leave no
                // trace.
                let start = Start {
                    batch: head.batch + 1,
                    now: self.time.next(),
                    last_seq: head.seq,
                    last_note: locked.note,
                };
                let loading = self.load(connection, messages, &locked, start);
                pulse.during(loading).await?;
                let judgement = self.judge(connection, pulse, messages, start).await?;
                (start, judgement, None)
            }
        };
        let made = judgement.made;
        let mut decided = Decided {
            answers: judgement.answers,
            now: Ok(start.now),
            records: made.records.len(),
            expired_holds: judgement.expired_holds,
            written: None,
        };
        if made.records.is_empty() && made.notes.is_empty() {
            pulse
                .during(end_without_records(connection, messages, start))
                .await?;
            self.valid_at = Some(head.seq);
            self.shared.advance(head);
            return Ok(decided);
        }
        let writes = prepared.unwrap_or_else(|| Writes::of(&self.working, start, &made.records));
        let (mut head, writes) = self
            .write(connection, pulse, locked, start, &made, writes)
            .await?;
        (head.links, head.link_numbers) = links_of(messages, &decided.answers);
        decided.written = Some(made);
        pulse.during(apply::apply(connection, head, writes)).await?;
        match pulse.during(commit(connection)).await {
            Ok(()) => {
                self.settled(true);
                Ok(decided)
            }
            Err(error) => Err(Failed::InCommit(error, Box::new(decided))),
        }
    }

    /// Loads what the batch will need, as far as its calls tell.
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        messages: &[Message],
        locked: &Locked,
        start: Start,
    ) -> Result<(), LoadError> {
        let mut assets = self.shared.directory.assets();
        if assets.len() < locked.assets {
            let newer = load::assets(connection, assets.len()).await?;
            assets.extend(newer);
            self.shared.directory.set_assets(&assets);
        }
        self.working.begin(locked.accounts, assets);
        if locked.next_due.is_some_and(|at| at <= start.now.0) {
            load::due(connection, &mut self.working, start.now, EXPIRIES + 1).await?;
        }
        let mut collector = Collector::new(&self.working, self.doubts == 0);
        for message in messages {
            if let Message::Call(call, _) = message {
                collector.call(call);
            }
        }
        let Collector { keys, trusted, .. } = collector;
        self.working.trust(trusted);
        load::load(connection, &mut self.working, keys).await
    }

    /// Judges until nothing is missed.
    async fn judge(
        &mut self,
        connection: &mut PgConnection,
        pulse: &mut Pulse,
        messages: &[Message],
        start: Start,
    ) -> Result<Judgement, Failed> {
        let mut refused = vec![false; messages.len()];
        for round in 0..JUDGEMENTS_MAX {
            let (judgement, broken_import) = self.judge_once(messages, start, &refused);
            let missed = self.working.take_missed();
            if !missed.is_empty() {
                let reach = 32u64 << round.min(20);
                let keys = Keys {
                    reach: if missed.records.is_empty() || round == 0 {
                        0
                    } else {
                        reach
                    },
                    last_seq: start.last_seq,
                    ..missed
                };
                pulse
                    .during(load::load(connection, &mut self.working, keys))
                    .await?;
                continue;
            }
            match broken_import {
                // Not everything of an import can be taken back, so the others are judged anew.
                Some(index) => refused[index] = true,
                None => {
                    let unverified = self.working.take_unverified();
                    if unverified.is_empty() {
                        return Ok(judgement);
                    }
                    let keys = Keys {
                        identities: unverified.clone(),
                        last_seq: start.last_seq,
                        ..Keys::default()
                    };
                    pulse
                        .during(load::load(connection, &mut self.working, keys))
                        .await?;
                    if !self.working.knows_any(&unverified) {
                        return Ok(judgement);
                    }
                }
            }
        }
        Err(Failed::Broken("a batch was never judged to an end".into()))
    }

    /// One judgement of the whole batch, and the first import that a fault interrupted.
    pub(super) fn judge_once(
        &mut self,
        messages: &[Message],
        start: Start,
        refused: &[bool],
    ) -> (Judgement, Option<usize>) {
        self.working.forget_judgement();
        let policy = self.shared.policy.clone();
        let count = messages.iter().map(Message::items).sum();
        let mut judge = Judge::new(&mut self.working, &policy, start, count);
        let settled = judge.expire_due(EXPIRIES);
        let mut broken_import = None;
        let mut answers = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let Message::Call(call, _) = message else {
                answers.push(None);
                continue;
            };
            if refused[index] {
                answers.push(Some(Err(Unavailable::StoreUnavailable)));
                continue;
            }
            if !settled {
                answers.push(None);
                continue;
            }
            let answer = judge_one(&mut judge, start, Call::clone(call));
            if answer.is_err() && matches!(**call, Call::Import(_)) {
                broken_import.get_or_insert(index);
            }
            answers.push(Some(answer.map_err(|Fault(what)| {
                tracing::debug!(what, "a call was not decided");
                Unavailable::StoreUnavailable
            })));
        }
        let expired_holds = judge.expired_holds();
        let (records, notes) = judge.finish();
        let judgement = Judgement {
            answers,
            made: Made { records, notes },
            expired_holds,
        };
        (judgement, broken_import)
    }

    /// What the batch writes; of a large one, the rows are sent already. From here on its commit
    /// is in doubt until [`Batcher::settled`].
    async fn write(
        &mut self,
        connection: &mut PgConnection,
        pulse: &mut Pulse,
        locked: Locked,
        start: Start,
        Made { records, notes }: &Made,
        mut writes: Writes,
    ) -> Result<(HeadAfter, Writes), Failed> {
        let mut edge = locked.frontier;
        let replaces = self.doubts > 0;
        let large = records.len() >= self.large_batch;
        let rows = match large {
            true => std::mem::take(&mut writes.rows),
            false => Rows::default(),
        };
        let sending = apply::rows(connection, rows, replaces);
        let preparing = async {
            let edge = &mut edge;
            writes
                .seal(&self.working, start, records, notes, &locked.chain, edge)
                .await;
            let after = After {
                seq: start.last_seq + records.len() as u64,
                batch: if records.is_empty() {
                    locked.head.batch
                } else {
                    start.batch
                },
                note: start.last_note + notes.len() as u64,
                accounts: locked.accounts + self.working.new_slots().len() as u64,
                assets: self.working.assets().len(),
            };
            let applied = large && self.look_ahead(&after, &mut writes.tails);
            (after, applied)
        };
        let both = async {
            let (sent, prepared) = tokio::join!(sending, preparing);
            sent.map(|()| prepared)
        };
        let (after, applied) = pulse.during(both).await?;
        let tails = std::mem::take(&mut writes.tails);
        self.attempt += 1;
        let head = HeadAfter {
            writer: self.writer,
            attempt: self.attempt,
            channel: self.channel.clone(),
            before_seq: start.last_seq,
            seq: after.seq,
            batch: after.batch,
            note: after.note,
            accounts: after.accounts,
            assets: after.assets,
            recorded_at: start.now.0,
            chain: writes.chain.unwrap_or(locked.chain).as_bytes().to_vec(),
            frontier: edge.to_bytes(),
            replaces,
            links: Vec::new(),
            link_numbers: Vec::new(),
        };
        self.in_doubt = Some(InDoubt {
            after: Head {
                seq: after.seq,
                batch: after.batch,
                recorded_at: start.now,
            },
            chain: head.chain.clone(),
            tails,
            applied,
        });
        Ok((head, writes))
    }

    /// Whether the own clock may decide: it did not jump, and it is not far from the ledger's.
    fn clock_is_safe(&mut self, settled_at: i64, server_micros: i64) -> bool {
        let wall = self.shared.clock.wall_micros();
        let far = self.shared.policy.clock_forward_max_micros;
        // At the first batch there is no own history to measure a jump against.
        let ahead = !self.clock_compared && wall.saturating_sub(server_micros) > far;
        let behind = settled_at.saturating_sub(wall) > far;
        let state = match self.time.state() {
            _ if (ahead || behind) && !self.clock_accepted => ClockState::Unsafe,
            state => state,
        };
        self.clock_compared |= state != ClockState::Unsafe;
        // What refuses a call here must be seen in the status before the caller looks.
        self.shared.status.lock().clock = state;
        state != ClockState::Unsafe
    }
}

/// Nothing to record; a promise about time is kept all the same.
async fn end_without_records(
    connection: &mut PgConnection,
    messages: &[Message],
    start: Start,
) -> Result<(), sqlx::Error> {
    let promised = messages.iter().any(|m| matches!(m, Message::Time(_)));
    if !promised {
        return rollback(connection).await;
    }
    sqlx::query("UPDATE head SET settled_at = $1")
        .bind(start.now.0)
        .execute(&mut *connection)
        .await?;
    // Whether a lost commit happened does not matter: nobody was promised anything.
    commit(connection).await
}

fn refused(messages: &[Message], why: Unavailable) -> Decided {
    let answer = |message: &Message| match message {
        Message::Call(..) => Some(Err(why)),
        Message::Time(_) | Message::AcceptClock(_) => None,
    };
    Decided {
        answers: messages.iter().map(answer).collect(),
        now: Err(why),
        records: 0,
        expired_holds: 0,
        written: None,
    }
}

async fn lock(connection: &mut PgConnection) -> Result<Locked, sqlx::Error> {
    let rows = sqlx::raw_sql(LOCK).fetch_all(connection).await?;
    let [row, under] = &*rows else {
        return Err(sqlx::Error::RowNotFound);
    };
    let decode = |what: &'static str| sqlx::Error::Decode(what.into());
    let number = |column| row.try_get::<i64, _>(column).map(|n| n as u64);
    let chain: Vec<u8> = row.try_get(7)?;
    let frontier: Vec<u8> = row.try_get(8)?;
    let assets: i32 = row.try_get(4)?;
    Ok(Locked {
        head: Head {
            seq: number(0)?,
            batch: number(1)?,
            recorded_at: Timestamp(row.try_get(5)?),
        },
        note: number(2)?,
        accounts: number(3)?,
        assets: assets as usize,
        settled_at: row.try_get(6)?,
        chain: Hash(
            chain
                .try_into()
                .map_err(|_| decode("the head's chain hash does not have 32 bytes"))?,
        ),
        frontier: Frontier::from_bytes(&frontier).map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
        next_due: under.try_get(0)?,
        server_micros: under.try_get(1)?,
    })
}

async fn commit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("COMMIT").execute(connection).await.map(drop)
}

pub(super) async fn rollback(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("ROLLBACK")
        .execute(connection)
        .await
        .map(drop)
}

/// A connection that ends its session politely when it can.
pub(super) async fn close(connection: PgConnection) {
    // The server notices a closed socket as well.
    drop(within(Duration::from_millis(200), connection.close()).await);
}
