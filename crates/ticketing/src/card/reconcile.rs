//! Each day's movements of the provider's balance against the account `psp:stripe` (contract C5).
//!
//! A movement matches when the postings that belong to its object changed the account by exactly
//! what the provider says. Whatever is on one side only, or differs, is listed; nothing is
//! corrected here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use florin_base::Timestamp;
use florin_ledger::engine::IdLookup;
use florin_ledger::model::{Body, Slot};
use florin_ledger::{Ledger, ReadView};
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, query};
use serde_json::{Value, json};

use super::checkout::provider_away;
use super::decide::away;
use super::provider::Movement;
use super::{disputes, intents};
use crate::Ticketing;
use crate::api::money::print;
use crate::api::problem::{conflict, field};
use crate::model::amounts::Minor;
use crate::money::{self, Account, projector};

const DAY: i64 = 86_400_000_000;
/// Time of day after which yesterday is compared.
const AFTER: i64 = 2 * 3_600_000_000;
/// How often it is looked whether yesterday was compared.
const LOOK: Duration = Duration::from_secs(600);

/// The postings of one object of the provider, by the ids of their transfers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Expected {
    transfers: Vec<String>,
    order_id: Option<String>,
}

/// Compares yesterday, each night.
pub async fn nightly(room: &Ticketing) {
    let mut every = tokio::time::interval(LOOK);
    loop {
        every.tick().await;
        let now = room.now();
        let today = now - now.rem_euclid(DAY);
        if now - today < AFTER {
            continue;
        }
        if let Err(problem) = report(room, today - DAY).await {
            tracing::warn!(%problem, "yesterday's card payments are not compared yet");
        }
    }
}

/// The comparison of a day as it is kept; one that is not there is made, and kept once the day is
/// over.
///
/// # Errors
/// 400 for days that are not there yet, 503 when provider, ledger or store is away.
pub async fn report(room: &Ticketing, day: i64) -> Result<Value, Problem> {
    let name = date(day);
    let text = "SELECT body FROM tk_card_reports WHERE day = $1";
    let statement = query(text).bind(&name);
    if let Some(row) = room.store.db.fetch_optional(statement).await? {
        let body: String = row.get("body")?;
        return serde_json::from_str(&body).map_err(Problem::internal);
    }
    let now = room.now();
    if day > now {
        return Err(field("date", "date_in_future", "That day has not begun."));
    }
    let body = compare(room, day).await?;
    if day + DAY + AFTER <= now {
        let text = "INSERT INTO tk_card_reports (day, body, made_at) VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING";
        let statement = query(text).bind(&name).bind(body.to_string()).bind(now);
        room.store
            .db
            .lane("ticketing_inbox")
            .execute(statement)
            .await?;
    }
    Ok(body)
}

/// A day by its date.
///
/// # Errors
/// 400 `date_invalid`.
pub fn day_of(text: &str) -> Result<i64, Problem> {
    let start = Timestamp::parse(&format!("{text}T00:00:00Z"));
    let wrong = |_| field("date", "date_invalid", "A day such as 2030-06-29.");
    start.map(|time| time.micros()).map_err(wrong)
}

fn date(day: i64) -> String {
    let text = Timestamp(day).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

async fn compare(room: &Ticketing, day: i64) -> Result<Value, Problem> {
    let provider = room.card.as_deref().ok_or_else(|| {
        conflict(
            "card_unavailable",
            "This installation takes no card payments.",
        )
    })?;
    let second = |micros: i64| micros.div_euclid(1_000_000);
    let (from, until) = (second(day), second(day + DAY));
    // A posting may be recorded on the other side of midnight.
    let wide = provider.movements(from - 86_400, until + 86_400).await;
    let wide = wide.map_err(|error| provider_away(&error))?;
    let mut known = BTreeSet::new();
    let mut wanted = Vec::new();
    for movement in wide {
        let expected = expected(&room.store.db, &movement).await?;
        known.extend(expected.transfers.iter().cloned());
        if (from..until).contains(&movement.created) {
            wanted.push((movement, expected));
        }
    }
    let scale = |currency: &str| room.settings.scale(currency).unwrap_or(2);
    let accounts = accounts(room, wanted.iter().map(|(movement, _)| &*movement.currency)).await?;
    let view = room
        .ledger
        .read_view()
        .await
        .map_err(|error| away(error.into()))?;
    let judged = tokio::task::spawn_blocking(move || judge(&view, &accounts, wanted))
        .await
        .map_err(Problem::internal)??;
    let mut matched = 0;
    let mut differences = Vec::new();
    for (movement, expected, posted) in judged {
        if posted == Some(movement.net) {
            matched += 1;
            continue;
        }
        let places = scale(&movement.currency);
        differences.push(json!({
            "kind": if posted.is_some() { "amount" } else { "missing_in_ledger" },
            "transactionId": movement.id,
            "type": movement.kind,
            "source": movement.source,
            "orderId": expected.order_id,
            "currency": movement.currency,
            "provider": print(movement.net, places),
            "ledger": posted.map(|sum| print(sum, places)),
        }));
    }
    projector::catch_up(room).await?;
    differences.extend(unknown(room, day, &known).await?);
    Ok(json!({
        "date": date(day),
        "matched": matched,
        "differences": differences,
        "balances": balances(room).await?,
        "madeAt": Timestamp(room.now()).to_string(),
    }))
}

/// Which transfers belong to a movement of the provider.
async fn expected(db: &Db, movement: &Movement) -> Result<Expected, Problem> {
    let source = &movement.source;
    let (transfers, order_id) = match movement.kind.as_str() {
        "charge" | "payment" => {
            let statement = intents::select("WHERE charge_id = $1").bind(source);
            let row = db.fetch_optional(statement).await?;
            let row = row.as_ref().map(intents::intent).transpose()?;
            let ids = |id: &str| {
                vec![
                    format!("tk:{id}:1:P1:payment"),
                    format!("tk:{id}:1:P4:provider_cost"),
                ]
            };
            row.map(|row| (ids(&row.id), Some(row.order_id)))
                .unwrap_or_default()
        }
        "refund" | "payment_refund" | "refund_failure" | "payment_failure_refund" => {
            let text = "SELECT id, order_id FROM tk_card_refunds WHERE provider_id = $1";
            let row = db.fetch_optional(query(text).bind(source)).await?;
            match row {
                None => Default::default(),
                Some(row) => {
                    let id: String = row.get("id")?;
                    let back = if movement.amount > 0 { ":back" } else { "" };
                    let ids = vec![format!("tk:{id}{back}:P6:settle")];
                    (ids, Some(row.get("order_id")?))
                }
            }
        }
        "adjustment" => {
            let statement = disputes::select("WHERE provider_id = $1").bind(source);
            let row = db.fetch_optional(statement).await?;
            let row = row.as_ref().map(disputes::dispute).transpose()?;
            let name = if movement.amount < 0 { "P10" } else { "P11" };
            let ids = |id: &str| {
                vec![
                    format!("tk:{id}:1:{name}:dispute"),
                    format!("tk:{id}:1:{name}:dispute_fee"),
                ]
            };
            row.map(|row| (ids(&row.id), Some(row.order_id)))
                .unwrap_or_default()
        }
        "payout" => (vec![format!("tk:{source}:1:P13:bank")], None),
        _ => Default::default(),
    };
    Ok(Expected {
        transfers,
        order_id,
    })
}

/// The account of each currency.
async fn accounts<'a>(
    room: &Ticketing,
    currencies: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Slot>, Problem> {
    let mut accounts = BTreeMap::new();
    for currency in currencies.collect::<BTreeSet<_>>() {
        let id = Account::Psp.id(currency);
        let slot = room.ledger.slot_of(&id).await;
        if let Some(slot) = slot.map_err(|error| away(error.into()))? {
            accounts.insert(currency.to_owned(), slot);
        }
    }
    Ok(accounts)
}

type Judged = (Movement, Expected, Option<Minor>);

/// What the ledger says about each movement; `None`: nothing.
fn judge(
    view: &ReadView,
    accounts: &BTreeMap<String, Slot>,
    wanted: Vec<(Movement, Expected)>,
) -> Result<Vec<Judged>, Problem> {
    let mut judged = Vec::with_capacity(wanted.len());
    for (movement, expected) in wanted {
        let mut sum = None;
        if let Some(slot) = accounts.get(&movement.currency) {
            for id in &expected.transfers {
                if let Some(change) = change(view, *slot, id)? {
                    *sum.get_or_insert(0) += change;
                }
            }
        }
        judged.push((movement, expected, sum));
    }
    Ok(judged)
}

fn change(view: &ReadView, slot: Slot, id: &str) -> Result<Option<Minor>, Problem> {
    let found = view.transfer(id).map_err(Problem::internal)?;
    let IdLookup::Recorded(record) = found else {
        return Ok(None);
    };
    let Body::Transfer(transfer) = &record.body else {
        return Ok(None);
    };
    let amount = Minor::try_from(transfer.amount).map_err(Problem::internal)?;
    Ok(match (transfer.debit == slot, transfer.credit == slot) {
        (true, false) => Some(amount),
        (false, true) => Some(-amount),
        _ => None,
    })
}

/// Postings of the day on the provider's account that belong to no movement.
async fn unknown(
    room: &Ticketing,
    day: i64,
    known: &BTreeSet<String>,
) -> Result<Vec<Value>, Problem> {
    let text = "SELECT transfer_id, posting, currency, amount, debit, credit, order_id
        FROM tk_posting_lines WHERE recorded_at >= $1 AND recorded_at < $2 ORDER BY seq";
    let statement = query(text).bind(day).bind(day + DAY);
    let mut found = Vec::new();
    for row in room.store.db.patient().fetch_all(statement).await? {
        let currency: String = row.get("currency")?;
        let psp = Account::Psp.id(&currency).to_string();
        let (debit, credit): (String, String) = (row.get("debit")?, row.get("credit")?);
        let id: String = row.get("transfer_id")?;
        if (debit != psp && credit != psp) || known.contains(&id) {
            continue;
        }
        let amount: Minor = row.get("amount")?;
        let signed = if debit == psp { amount } else { -amount };
        let order: Option<String> = row.get("order_id")?;
        found.push(json!({
            "kind": "missing_at_provider",
            "transferId": id,
            "type": row.get::<String>("posting")?,
            "orderId": order,
            "currency": currency,
            "provider": null,
            "ledger": print(signed, room.settings.scale(&currency).unwrap_or(2)),
        }));
    }
    Ok(found)
}

/// The balance of each currency on both sides, now (INV-T10).
///
/// # Errors
/// 503 when provider or ledger is away.
pub async fn balances(room: &Ticketing) -> Result<Vec<Value>, Problem> {
    let Some(provider) = room.card.as_deref() else {
        return Ok(Vec::new());
    };
    let sums = provider
        .balance()
        .await
        .map_err(|error| provider_away(&error))?;
    let mut shown = Vec::with_capacity(sums.len());
    for (currency, amount) in sums {
        let ours = posted(&room.ledger, &currency).await?;
        let scale = room.settings.scale(&currency).unwrap_or(2);
        shown.push(json!({
            "currency": currency,
            "provider": print(amount, scale),
            "ledger": ours.to_decimal(scale),
        }));
    }
    Ok(shown)
}

async fn posted(ledger: &Ledger, currency: &str) -> Result<florin_base::Signed, Problem> {
    money::balance(ledger, &Account::Psp, currency)
        .await
        .map_err(away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_printed() {
        let day = day_of("2030-01-01").expect("a day");
        assert_eq!(day, 1_893_456_000_000_000);
        assert_eq!(date(day), "2030-01-01");
        assert!(day_of("2030-02-30").is_err() && day_of("yesterday").is_err());
    }
}
