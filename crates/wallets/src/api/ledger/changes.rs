//! `GET /ledger/changes`: the change feed (contract A8).
//!
//! The lines are the ledger's own bytes; this file only chooses which of them to send. A
//! follower waits on the ledger's watch, never on a timer, except for its heartbeat.

use std::{collections::HashSet, time::Duration};

use axum::{extract::State, response::Response};
use bytes::Bytes;
use florin_ledger::{
    Ledger, ReadView, Unavailable,
    engine::ReadError,
    model::{AccountId, Body, Record, Slot},
};
use florin_platform::http::{
    problem::{Problem, Status},
    shutdown::Shutdown,
};
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    params::Params,
    stream::{self, NDJSON, Sink},
    support::with_seq,
};
use crate::api::{Shared, answer::MinSeq};

/// Records of one page without `limit` (contract 0).
const LIMIT_DEFAULT: usize = 1_000;
/// Largest `limit`.
const LIMIT_MAX: usize = 100_000;
/// Records read at a time; one chunk of the stream.
const CHUNK: usize = 1_000;
/// Time between heartbeats of a quiet stream.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// The types of A8.
const TYPES: [&str; 7] = [
    "asset.created",
    "account.created",
    "account.updated",
    "transfer",
    "transfer.expired",
    "wallet.created",
    "wallet.updated",
];

/// The type of a record, as in its line.
pub fn type_word(body: &Body) -> &'static str {
    match body {
        Body::AssetCreated(_) => TYPES[0],
        Body::AccountCreated(_) => TYPES[1],
        Body::AccountUpdated { .. } => TYPES[2],
        Body::Transfer(_) => TYPES[3],
        Body::Expired { .. } => TYPES[4],
        Body::WalletCreated(_) => TYPES[5],
        Body::WalletUpdated { .. } => TYPES[6],
    }
}

/// Which lines a reader wants.
#[derive(Debug, Clone, Default)]
struct Filter {
    types: Option<HashSet<String>>,
    accounts: Option<Vec<AccountId>>,
}

impl Filter {
    fn read(params: &mut Params) -> Result<Self, Problem> {
        let types = params.with("types", "types of records, separated by commas", |text| {
            let known = |word: &str| TYPES.contains(&word).then(|| word.to_owned());
            text.split(',').map(known).collect()
        })?;
        let accounts = params.with("accounts", "account ids, separated by commas", |text| {
            text.split(',').map(AccountId::parse).collect()
        })?;
        Ok(Self { types, accounts })
    }

    const fn is_empty(&self) -> bool {
        self.types.is_none() && self.accounts.is_none()
    }

    fn lets(&self, record: &Record, slots: &HashSet<Slot>) -> bool {
        let typed = self
            .types
            .as_ref()
            .is_none_or(|types| types.contains(type_word(&record.body)));
        let touched = || match &record.body {
            // An account is wanted by its id: its record may touch no totals yet.
            Body::AccountCreated(new) => self
                .accounts
                .as_ref()
                .is_some_and(|accounts| accounts.contains(&new.id)),
            Body::AccountUpdated { slot, .. } | Body::WalletUpdated { slot, .. } => {
                slots.contains(slot)
            }
            Body::WalletCreated(new) => slots.contains(&new.slot),
            Body::Transfer(t) => slots.contains(&t.debit) || slots.contains(&t.credit),
            Body::Expired { debit, credit, .. } => slots.contains(debit) || slots.contains(credit),
            Body::AssetCreated(_) => false,
        };
        typed && (self.accounts.is_none() || touched())
    }

    /// Slots of the wanted accounts that exist by now.
    async fn slots(&self, ledger: &Ledger) -> Result<HashSet<Slot>, Unavailable> {
        let mut slots = HashSet::new();
        for id in self.accounts.iter().flatten() {
            slots.extend(ledger.slot_of(id).await?);
        }
        Ok(slots)
    }
}

/// Lines wanted among the next records.
struct Chunk {
    bytes: Vec<u8>,
    lines: usize,
    /// Last `seq` looked at.
    last: u64,
}

/// Reads at most `most` records after `after` and keeps the wanted lines.
fn read_chunk(
    view: &ReadView,
    filter: &Filter,
    slots: &HashSet<Slot>,
    after: u64,
    most: usize,
) -> Result<Chunk, ReadError> {
    let mut bytes = Vec::new();
    let last = view.feed(after, most, &mut bytes)?;
    if filter.is_empty() {
        return Ok(Chunk {
            bytes,
            lines: (last - after) as usize,
            last,
        });
    }
    let mut kept = Vec::new();
    let mut lines = 0;
    // `seq` has no gaps (INV-L7): the lines are those of after+1, after+2, …
    for (seq, line) in (after + 1..=last).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        if filter.lets(&view.record(seq)?, slots) {
            kept.extend_from_slice(line);
            lines += 1;
        }
    }
    Ok(Chunk {
        bytes: kept,
        lines,
        last,
    })
}

/// A reader of the feed.
struct Reader {
    ledger: Ledger,
    filter: Filter,
    after: u64,
    /// Lines still wanted.
    left: usize,
    /// Time between heartbeats.
    heartbeat: Duration,
}

impl Reader {
    /// Sends what there is in a view. Returns false when the stream is over.
    async fn send(&mut self, view: &ReadView, sink: &Sink) -> bool {
        while self.left > 0 && self.after < view.seq() {
            // Accounts wanted may come into being while the stream goes on.
            let slots = match self.filter.slots(&self.ledger).await {
                Ok(slots) => slots,
                Err(error) => return break_off(sink, error.into()).await,
            };
            let (view, filter, after) = (view.clone(), self.filter.clone(), self.after);
            let most = if filter.is_empty() {
                CHUNK.min(self.left)
            } else {
                CHUNK
            };
            let read = move || read_chunk(&view, &filter, &slots, after, most);
            let mut chunk = match tokio::task::spawn_blocking(read).await {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => return break_off(sink, error.into()).await,
                Err(error) => return break_off(sink, error.into()).await,
            };
            if chunk.lines > self.left {
                cut(&mut chunk, self.left);
            }
            self.after = chunk.last;
            self.left -= chunk.lines;
            if !chunk.bytes.is_empty() && sink.send(Ok(chunk.bytes.into())).await.is_err() {
                return false;
            }
        }
        self.left > 0
    }

    /// Sends everything, now and later, until the reader goes away.
    async fn follow(mut self, mut view: ReadView, sink: Sink, shutdown: Shutdown) {
        let mut watch = self.ledger.watch();
        // What came between the view and the watch must not wait for the next commit.
        watch.mark_changed();
        let mut heartbeat =
            tokio::time::interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.send(&view, &sink).await {
            tokio::select! {
                changed = watch.changed() => if changed.is_err() { return },
                _ = heartbeat.tick() => {
                    let line = format!("{{\"heartbeat\":{}}}\n", view.seq());
                    if sink.send(Ok(Bytes::from(line))).await.is_err() {
                        return;
                    }
                }
                () = sink.closed() => return,
                () = shutdown.drain() => return,
            }
            view = match self.ledger.recent_view(self.after).await {
                Ok(view) => view,
                // The reader comes back with its last `seq` when the store answers again.
                Err(_) => return,
            };
        }
    }
}

/// Ends the stream without its proper end.
async fn break_off(sink: &Sink, error: stream::Broken) -> bool {
    tracing::warn!(%error, "the change feed could not be read");
    let _ = sink.send(Err(error)).await;
    false
}

/// Keeps the first `lines` lines.
fn cut(chunk: &mut Chunk, lines: usize) {
    let ends = chunk
        .bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n');
    let end = ends
        .map(|(index, _)| index + 1)
        .nth(lines.saturating_sub(1));
    chunk.bytes.truncate(end.unwrap_or(0));
    chunk.lines = lines;
}

/// Streams the records after a `seq`, one line each, in order and without gaps.
#[utoipa::path(
    get, path = "/api/v1/ledger/changes", tag = "Ledger",
    params(
        ("after" = Option<u64>, Query, description = "Last `seq` seen; default 0"),
        ("limit" = Option<u32>, Query, description = "Most lines, 1 to 100000; default 1000, without `follow`"),
        ("follow" = Option<bool>, Query, description = "Go on with new records as they come"),
        ("types" = Option<String>, Query, description = "Only these types, separated by commas"),
        ("accounts" = Option<String>, Query, description = "Only what concerns these accounts"),
    ),
    responses(
        (status = 200, description = "One record per line", content_type = "application/x-ndjson", body = String),
        (status = 409, description = "`seq_ahead`: the reader is ahead of this ledger and must stop"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    mut params: Params,
) -> Result<Response, Problem> {
    let after = params.parsed("after", "a whole number")?.unwrap_or(0);
    let follow = params.flag("follow")?;
    let limit = params.with("limit", "1 to 100000", |text| {
        text.parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
    })?;
    let filter = Filter::read(&mut params)?;
    params.end()?;
    let view = api.view(min, after).await?;
    let seq = view.seq();
    if after > seq {
        let detail = format!("The last record is {seq}; nothing after it was ever given out.");
        return Err(Problem::new(Status::Conflict, "seq_ahead", detail).with("lastSeq", seq));
    }
    let unlimited = if follow { usize::MAX } else { LIMIT_DEFAULT };
    let mut reader = Reader {
        ledger: api.ledger.clone(),
        filter,
        after,
        left: limit.unwrap_or(unlimited),
        heartbeat: api.heartbeat,
    };
    let (sink, response) = stream::response(NDJSON);
    let shutdown = api.shutdown.clone();
    tokio::spawn(async move {
        if follow {
            reader.follow(view, sink, shutdown).await;
        } else {
            reader.send(&view, &sink).await;
        }
    });
    Ok(with_seq(response, seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_cut_at_a_line_end() {
        let mut chunk = Chunk {
            bytes: b"a\nbb\nc\n".to_vec(),
            lines: 3,
            last: 3,
        };
        cut(&mut chunk, 2);
        assert_eq!((chunk.bytes.as_slice(), chunk.lines), (&b"a\nbb\n"[..], 2));
    }

    #[test]
    fn unknown_types_are_refused() {
        let read = |query: &str| Filter::read(&mut Params::parse(query).expect("parses"));
        assert_eq!(
            read("types=transfer,asset.created")
                .expect("known")
                .types
                .map(|t| t.len()),
            Some(2)
        );
        assert_eq!(
            read("types=transfers").expect_err("unknown").code(),
            "validation_failed"
        );
        assert!(read("accounts=a,%20").is_err());
    }
}
