//! The lines of this room's postings, copied from the ledger's feed for listing and folding.
//!
//! The ledger stays the truth: the copy can be dropped and is made again from the first record.
//! Every figure that is folded from it is as of [`position`], and complete up to there (INV-T11).

use florin_ledger::model::{Mode, Record};
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, query};
use serde_json::{Value, json};

use crate::Ticketing;
use crate::api::money::print;
use crate::orders::judge::time;
use crate::store::bulk;

/// Records read at a time.
const READ_MAX: usize = 4_096;
/// The name of this reader.
const READER: &str = "postings";

/// A line found in the feed.
struct Line {
    seq: u64,
    chain_id: String,
    transfer_id: String,
    debit: u32,
    credit: u32,
    amount: u128,
    asset: u16,
    posting: String,
    component: String,
    subject: [Option<String>; 6],
    recorded_at: i64,
}

/// Names of metadata, in the order of [`Line::subject`].
const SUBJECT: [&str; 6] = [
    "orgId",
    "eventId",
    "orderId",
    "refundId",
    "payoutId",
    "disputeId",
];

/// The record is a line of a posting: it moves money, and says which posting it belongs to.
fn line(record: &Record) -> Option<Line> {
    let transfer = record.transfer()?;
    if !matches!(transfer.mode, Mode::Single | Mode::Post) {
        return None;
    }
    let posting = transfer.metadata.get("posting")?;
    let ours = transfer.id.starts_with("tk:")
        || transfer
            .origin
            .as_ref()
            .is_some_and(|origin| &*origin.module == super::MODULE);
    if !ours {
        return None;
    }
    let text = |name: &str| transfer.metadata.get(name).map(str::to_owned);
    let chain = transfer.chain.as_ref().map(|(id, _)| id.to_string());
    Some(Line {
        seq: record.seq,
        chain_id: chain.unwrap_or_else(|| transfer.id.to_string()),
        transfer_id: transfer.id.to_string(),
        debit: transfer.debit,
        credit: transfer.credit,
        amount: transfer.amount,
        asset: transfer.asset,
        posting: posting.to_owned(),
        component: text("component").unwrap_or_default(),
        subject: SUBJECT.map(text),
        recorded_at: record.recorded_at.0,
    })
}

/// How far the feed was read: every line up to this `seq` is copied.
///
/// # Errors
/// The store's.
pub async fn position(db: &Db) -> Result<u64, Problem> {
    let text = "SELECT seq FROM tk_posting_position WHERE reader = $1";
    let row = db.fetch_optional(query(text).bind(READER)).await?;
    let seq: i64 = row.map_or(Ok(0), |row| row.get("seq"))?;
    Ok(u64::try_from(seq).unwrap_or(0))
}

/// Copies what is new; answers the position after it. Several processes may copy at a time: a
/// line is one row whoever writes it.
///
/// # Errors
/// 503 when the ledger is away; the store's.
pub async fn catch_up(room: &Ticketing) -> Result<u64, Problem> {
    let mut at = position(&room.store.db).await?;
    loop {
        let after = at;
        let view = room.ledger.read_view().await.map_err(|_| away())?;
        if view.seq() <= after {
            return Ok(after);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut lines = Vec::new();
            let last = view.records(after, READ_MAX, |record| lines.extend(line(record)));
            last.map(|last| (last, lines))
        });
        let (last, lines) = read
            .await
            .map_err(Problem::internal)?
            .map_err(Problem::internal)?;
        if last <= after {
            return Ok(after);
        }
        write(room, &lines, last).await?;
        at = last;
    }
}

fn away() -> Problem {
    Problem::unavailable("store_unavailable", "The ledger does not answer.")
}

async fn write(room: &Ticketing, lines: &[Line], last: u64) -> Result<(), Problem> {
    let rows = lines.iter().map(|line| row(room, line)).collect();
    let db = room.store.db.lane("ticketing_postings").patient();
    let mut tx = db.begin().await?;
    let prefix = "INSERT INTO tk_posting_lines (seq, chain_id, posting, component, transfer_id,
        debit, credit, amount, currency, org_id, event_id, order_id, refund_id, payout_id,
        dispute_id, recorded_at)";
    let marks = room.store.marks();
    bulk::insert(&mut tx, marks, prefix, "ON CONFLICT DO NOTHING", rows).await?;
    let text = "INSERT INTO tk_posting_position (reader, seq) VALUES ($1, $2)
        ON CONFLICT (reader) DO UPDATE SET seq = excluded.seq
        WHERE tk_posting_position.seq < excluded.seq";
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    tx.execute(query(text).bind(READER).bind(last)).await?;
    tx.commit().await?;
    Ok(())
}

fn row(room: &Ticketing, line: &Line) -> Vec<Arg> {
    let account = |slot| room.ledger.facts(slot).id.to_string();
    let mut row = vec![
        Arg::from(i64::try_from(line.seq).unwrap_or(i64::MAX)),
        Arg::from(&line.chain_id),
        Arg::from(&line.posting),
        Arg::from(&line.component),
        Arg::from(&line.transfer_id),
        Arg::from(account(line.debit)),
        Arg::from(account(line.credit)),
        Arg::from(i64::try_from(line.amount).unwrap_or(i64::MAX)),
        Arg::from(&*room.ledger.asset(line.asset).code),
    ];
    row.extend(line.subject.iter().cloned().map(Arg::from));
    row.push(Arg::from(line.recorded_at));
    row
}

/// Which postings are listed.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// Of an order.
    Order(&'a str),
    /// Of an event.
    Event(&'a str),
}

/// Postings after a `seq`, oldest first, at most so many chains, and the `seq` of the last line.
///
/// # Errors
/// The store's.
pub async fn list(
    room: &Ticketing,
    of: Of<'_>,
    after: u64,
    limit: usize,
) -> Result<(Vec<Value>, Option<u64>), Problem> {
    let (column, id) = match of {
        Of::Order(id) => ("order_id", id),
        Of::Event(id) => ("event_id", id),
    };
    // A posting has at most a few lines, or two for each event of a payout.
    let lines_max = limit.saturating_mul(8).saturating_add(8);
    let text = format!(
        "SELECT seq, chain_id, posting, component, transfer_id, debit, credit, amount, currency,
        recorded_at FROM tk_posting_lines WHERE {column} = $1 AND seq > $2 ORDER BY seq LIMIT $3"
    );
    let statement = florin_platform::sql::Query::assembled(text)
        .bind(id)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(lines_max).unwrap_or(i64::MAX));
    let rows = room.store.db.fetch_all(statement).await?;
    let mut chains: Vec<(Value, u64)> = Vec::new();
    for row in &rows {
        let chain_id: String = row.get("chain_id")?;
        let seq = u64::try_from(row.get::<i64>("seq")?).unwrap_or(0);
        let currency: String = row.get("currency")?;
        let scale = room.settings.scale(&currency).unwrap_or(2);
        let transfer = json!({
            "id": row.get::<String>("transfer_id")?,
            "debitAccountId": row.get::<String>("debit")?,
            "creditAccountId": row.get::<String>("credit")?,
            "amount": print(row.get("amount")?, scale),
            "component": row.get::<String>("component")?,
        });
        match chains
            .last_mut()
            .filter(|(chain, _)| chain["chainId"] == *chain_id)
        {
            Some((chain, last)) => {
                if let Some(transfers) = chain["transfers"].as_array_mut() {
                    transfers.push(transfer);
                }
                *last = seq;
            }
            None => {
                let chain = json!({
                    "chainId": chain_id,
                    "posting": row.get::<String>("posting")?,
                    "seq": seq,
                    "recordedAt": time(row.get("recorded_at")?),
                    "currency": currency,
                    "transfers": [transfer],
                });
                chains.push((chain, seq));
            }
        }
    }
    let more = chains.len() > limit || rows.len() == lines_max;
    if rows.len() == lines_max && chains.len() > 1 {
        // The last one may be cut; it begins the next page.
        chains.pop();
    }
    chains.truncate(limit);
    let last = chains.last().map(|(_, last)| *last).filter(|_| more);
    Ok((chains.into_iter().map(|(chain, _)| chain).collect(), last))
}
