//! Gathers the records of one book for the search.

use std::collections::{HashMap, HashSet};

use florin_platform::sql::{Db, query};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::evidence::Evidence;
use super::explain::{BookFacts, DAY_MS, EntryFact, Unapplied, UnappliedFact};
use super::read::BookNow;
use crate::model::amount::{Currencies, join, parse_amount};
use crate::model::instant::{parse_millis, parse_rfc3339};
use crate::model::{BookId, Direction};
use crate::store::WriteError;

/// Entries and events of one book that are read; more are told as `bounded`.
const RECORDS_MAX: i64 = 50_000;
/// Statement lines of one book that are read.
const LINES_MAX: usize = 20_000;
/// Parked dead letters that are read for one check.
const LETTERS_MAX: i64 = 10_000;

/// Which records are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The instant of the comparison, epoch ms.
    pub anchor: i64,
    /// Records after it do not count in the balance.
    pub until: i64,
    /// Look-back in ms.
    pub look_back_ms: i64,
    /// Only lines of this statement.
    pub statement: Option<&'a str>,
}

/// What is excluded because an open correction repairs it already.
#[derive(Debug, Clone, Default)]
pub struct Spoken {
    /// Events.
    pub events: HashSet<String>,
    /// Lines.
    pub lines: HashSet<String>,
}

/// Parked dead letters by book.
pub type Letters = HashMap<BookId, Vec<UnappliedFact>>;

/// Where records come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Entries, events, corrections.
    pub db: &'a Db,
    /// Statement lines.
    pub evidence: &'a dyn Evidence,
    /// Parked dead letters.
    pub letters: &'a Letters,
}

/// A book and its balance at [`Window::until`], minor units.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Which book.
    pub id: &'a BookId,
    /// Its row, if it has one.
    pub book: Option<&'a BookNow>,
    /// Its balance.
    pub shadow: i128,
}

/// The records of one book.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub async fn gather(
    sources: Sources<'_>,
    subject: Subject<'_>,
    window: Window<'_>,
    spoken: &Spoken,
) -> Result<BookFacts, WriteError> {
    let Sources {
        db,
        evidence,
        letters,
    } = sources;
    let Subject { id, book, shadow } = subject;
    let mut facts = BookFacts::default();
    let from = window
        .anchor
        .saturating_sub(window.look_back_ms.max(DAY_MS));
    let to = match window.until {
        i64::MAX => i64::MAX,
        until => until.saturating_add(DAY_MS),
    };
    if let Some(book) = book.filter(|book| book.events > 0) {
        let settled = settled(db, id).await?;
        records(db, book, (from, to), &settled, spoken, &mut facts).await?;
        run(&mut facts.entries, shadow, window.until)?;
    }
    if let Some(parked) = letters.get(id) {
        let near = parked
            .iter()
            .filter(|letter| (from..=to).contains(&letter.at));
        facts.unapplied.extend(near.cloned());
        facts
            .unapplied
            .sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    }
    let lines = evidence.lines(id, (from, window.until), window.statement, LINES_MAX);
    facts.lines = lines.await?;
    facts.truncated |= facts.lines.len() >= LINES_MAX;
    for line in &mut facts.lines {
        line.open &= !spoken.lines.contains(&line.id);
    }
    Ok(facts)
}

/// Entries and unapplied events, the latest ones if there are too many.
async fn records(
    db: &Db,
    book: &BookNow,
    (from, to): (i64, i64),
    settled: &HashSet<String>,
    spoken: &Spoken,
    facts: &mut BookFacts,
) -> Result<(), WriteError> {
    let text = "SELECT ts, event_id, m0, m1, m2, state, is_open, correction, cause, reference
        FROM shadow_entries WHERE book_id = $1 AND ts >= $2 AND ts <= $3
        ORDER BY ts DESC, event_id DESC LIMIT $4";
    let statement = query(text)
        .bind(book.number)
        .bind(from)
        .bind(to)
        .bind(RECORDS_MAX);
    let rows = db.fetch_all(statement).await?;
    facts.truncated = rows.len() as i64 >= RECORDS_MAX;
    for row in rows.iter().rev() {
        let id: String = row.get("event_id")?;
        let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
        let amount = join(columns).ok_or(WriteError::Damaged("amount"))?;
        let (at, reference) = (row.get("ts")?, row.get("reference")?);
        let state: String = row.get("state")?;
        if state == "applied" {
            let cause: Option<String> = row.get("cause")?;
            let repairs = row.get::<bool>("correction")? && cause.is_some();
            let settled = repairs || settled.contains(&id) || spoken.events.contains(&id);
            facts.entries.push(EntryFact {
                id,
                at,
                amount,
                running: 0,
                reference,
                settled,
            });
            continue;
        }
        let state = match state.as_str() {
            "held" => Unapplied::Held,
            "held_for_review" => Unapplied::Review,
            _ => Unapplied::Rejected,
        };
        if !spoken.events.contains(&id) {
            facts.unapplied.push(UnappliedFact {
                id,
                at,
                amount,
                reference,
                state,
            });
        }
    }
    Ok(())
}

/// Running balances that agree with the balance at the end of what counts.
fn run(entries: &mut [EntryFact], shadow: i128, until: i64) -> Result<(), WriteError> {
    let overflow = || WriteError::Damaged("sum of entries");
    let mut counted: i128 = 0;
    for entry in entries.iter().filter(|entry| entry.at <= until) {
        counted = counted.checked_add(entry.amount).ok_or_else(overflow)?;
    }
    let mut running = shadow.checked_sub(counted).ok_or_else(overflow)?;
    for entry in entries {
        running = running.checked_add(entry.amount).ok_or_else(overflow)?;
        entry.running = running;
    }
    Ok(())
}

/// Events that an applied correction names as its cause.
async fn settled(db: &Db, id: &BookId) -> Result<HashSet<String>, WriteError> {
    let text = "SELECT cause FROM shadow_corrections WHERE account_id = $1 AND currency = $2
        AND status = 'applied' AND kind <> 'redrive' AND cause IS NOT NULL";
    let statement = query(text).bind(&id.account_id).bind(&id.currency);
    let rows = db.fetch_all(statement).await?;
    rows.iter().map(|row| Ok(row.get("cause")?)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Letter<'a> {
    event_id: String,
    account_id: String,
    #[serde(rename = "type")]
    direction: String,
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    reference: Option<String>,
}

/// The parked dead letters whose bytes name a book, a type and an amount.
///
/// # Errors
/// [`WriteError::Store`].
pub async fn letters(db: &Db, currencies: &dyn Currencies) -> Result<Letters, WriteError> {
    let text = "SELECT payload, received_at FROM shadow_dead_letters WHERE status = 'parked'
        ORDER BY arrival DESC LIMIT $1";
    let mut letters = Letters::new();
    for row in db.fetch_all(query(text).bind(LETTERS_MAX)).await? {
        let payload: Vec<u8> = row.get("payload")?;
        let received: i64 = row.get("received_at")?;
        if let Some((book, fact)) = letter(&payload, received, currencies) {
            letters.entry(book).or_default().push(fact);
        }
    }
    Ok(letters)
}

fn letter(
    payload: &[u8],
    received: i64,
    currencies: &dyn Currencies,
) -> Option<(BookId, UnappliedFact)> {
    let letter: Letter<'_> = serde_json::from_slice(payload).ok()?;
    let currency = letter
        .currency
        .unwrap_or_else(|| currencies.default_code().to_owned());
    let scale = currencies.scale(&currency)?;
    let direction = Direction::from_word(&letter.direction.to_lowercase())?;
    let amount = parse_amount(letter.amount.get().trim_matches('"'), scale).ok()?;
    let at = letter.timestamp.map(RawValue::get).and_then(|text| {
        let rfc = text.trim_matches('"');
        parse_millis(text).or_else(|_| parse_rfc3339(rfc)).ok()
    });
    let fact = UnappliedFact {
        id: letter.event_id,
        at: at.unwrap_or(received / 1_000),
        amount: direction.signed(amount),
        reference: letter.reference,
        state: Unapplied::DeadLetter,
    };
    Some((BookId::new(letter.account_id, currency), fact))
}
