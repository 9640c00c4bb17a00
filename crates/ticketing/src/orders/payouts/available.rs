//! What an organisation may have, from the ledger's balances (contract C4, "available").

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Row, Tx, query};

use super::super::card_port;
use super::super::refunds::ask::payables;
use super::review;
use crate::Ticketing;
use crate::model::amounts::Minor;
use crate::money::p08_payout::Line;
use crate::money::promised;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// An organisation as payouts see it.
#[derive(Debug, Clone)]
pub struct Org {
    /// Its id.
    pub id: String,
    /// It is known who it is.
    pub verified: bool,
    /// It remits the tax itself.
    pub remits_tax: bool,
    /// Kind of the payout method.
    pub method: Option<(String, String)>,
    /// Days after an event's end.
    pub delay_days: i64,
}

/// What an event holds for its organiser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The event.
    pub event_id: String,
    /// Its end.
    pub ends_at: i64,
    /// It is over for long enough.
    pub is_due: bool,
    /// Payable, minor units.
    pub payable: i128,
    /// Tax that the organiser remits.
    pub tax: i128,
}

/// What an organisation has in a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// May be paid out now.
    pub available: i128,
    /// The rest.
    pub pending: i128,
    /// Disputed payments that are open.
    pub chargebacks: i128,
}

/// Reads an organisation.
///
/// # Errors
/// 404 `org_not_found`; the store's.
pub async fn org(tx: &mut Tx, id: &str) -> Result<Org, Problem> {
    let text = "SELECT id, verified, tax_remitter, payout_kind, payout_target, payout_delay_days
        FROM tk_orgs WHERE id = $1";
    let row = tx.fetch_optional(query(text).bind(id)).await?;
    let row = row.ok_or_else(crate::api::problem::org_not_found)?;
    let kind: Option<String> = row.get("payout_kind")?;
    let target: Option<String> = row.get("payout_target")?;
    Ok(Org {
        id: row.get("id")?,
        verified: row.get("verified")?,
        remits_tax: row.get::<String>("tax_remitter")? == "organizer",
        method: kind.map(|kind| (kind, target.unwrap_or_default())),
        delay_days: row.get("payout_delay_days")?,
    })
}

/// What each event of an organisation holds in a currency, oldest end first, after everything
/// that was decided before. The transaction is alone in the room.
///
/// # Errors
/// 503 when the ledger is away; the store's.
pub async fn owed(
    room: &Ticketing,
    tx: &mut Tx,
    org: &Org,
    currency: &str,
) -> Result<Vec<Owed>, Problem> {
    let now = room.now();
    let until = now - org.delay_days * DAY;
    let text = "SELECT id, status, ends_at FROM tk_events
        WHERE org_id = $1 AND currency = $2 AND ends_at IS NOT NULL ORDER BY ends_at, id";
    let rows = tx
        .fetch_all(query(text).bind(&org.id).bind(currency))
        .await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        events.push(event(row, until)?);
    }
    promised::post_all(room, tx, &org.id, currency).await?;
    fill(room, org, currency, &mut events).await?;
    for line in review::waiting(tx, &org.id, currency).await? {
        let mut events = events.iter_mut();
        if let Some(event) = events.find(|event| event.event_id == line.event_id) {
            event.payable -= i128::from(line.net);
            event.tax -= i128::from(line.tax);
        }
    }
    Ok(events)
}

fn event(row: &Row, until: i64) -> Result<Owed, Problem> {
    let status: String = row.get("status")?;
    let ends_at: i64 = row.get("ends_at")?;
    Ok(Owed {
        event_id: row.get("id")?,
        ends_at,
        is_due: matches!(&*status, "completed" | "cancelled") && ends_at <= until,
        payable: 0,
        tax: 0,
    })
}

async fn fill(
    room: &Ticketing,
    org: &Org,
    currency: &str,
    events: &mut [Owed],
) -> Result<(), Problem> {
    let payable: BTreeMap<String, i128> = payables(&room.ledger, &org.id, currency, "payable")
        .await?
        .into_iter()
        .collect();
    let tax: BTreeMap<String, i128> = match org.remits_tax {
        true => payables(&room.ledger, &org.id, currency, "tax")
            .await?
            .into_iter()
            .collect(),
        false => BTreeMap::new(),
    };
    for event in events {
        event.payable = payable.get(&event.event_id).copied().unwrap_or(0);
        event.tax = tax.get(&event.event_id).copied().unwrap_or(0);
    }
    Ok(())
}

/// Σ due payables and tax, with their sign, and the debts of the other events, each once, less
/// open chargebacks; never below zero.
pub fn balance(events: &[Owed], chargebacks: i128) -> Balance {
    let (mut due, mut debts, mut all) = (0, 0, 0);
    for event in events {
        all += event.payable + event.tax;
        match event.is_due {
            true => due += event.payable + event.tax,
            false => debts += event.payable.min(0),
        }
    }
    let available = (due + debts - chargebacks).max(0);
    Balance {
        available,
        pending: all - available,
        chargebacks,
    }
}

/// Lines that make up an amount: per event, oldest end first, net before tax.
pub fn lines(events: &[Owed], amount: Minor) -> Vec<Line> {
    let mut rest = i128::from(amount);
    let mut lines = Vec::new();
    for event in events.iter().filter(|event| event.is_due) {
        let net = rest.min(event.payable.max(0));
        let tax = (rest - net).min(event.tax.max(0));
        rest -= net + tax;
        if net + tax > 0 {
            lines.push(Line {
                event_id: event.event_id.clone(),
                net: Minor::try_from(net).unwrap_or(Minor::MAX),
                tax: Minor::try_from(tax).unwrap_or(Minor::MAX),
            });
        }
    }
    lines
}

/// What an organisation has in a currency now.
///
/// # Errors
/// As [`owed`].
pub async fn now(
    room: &Ticketing,
    tx: &mut Tx,
    org: &Org,
    currency: &str,
) -> Result<(Vec<Owed>, Balance), Problem> {
    let events = owed(room, tx, org, currency).await?;
    let chargebacks = card_port::open_chargebacks(tx, &org.id, currency).await?;
    let balance = balance(&events, chargebacks);
    Ok((events, balance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(id: &str, is_due: bool, payable: i128, tax: i128) -> Owed {
        Owed {
            event_id: id.into(),
            ends_at: 0,
            is_due,
            payable,
            tax,
        }
    }

    #[test]
    fn row_43_a_negative_payable_reduces_the_next_payout() {
        let events = [
            owed("over", true, 900, 100),
            owed("running", false, 5_000, 0),
            owed("debt", false, -300, 0),
            owed("owing", true, -50, 10),
        ];
        let found = balance(&events, 100);
        assert_eq!(found.available, 900 + 100 - 50 + 10 - 300 - 100);
        assert_eq!(found.available + found.pending, 5_660);
        assert_eq!(balance(&events, 10_000).available, 0);
    }

    #[test]
    fn lines_take_net_before_tax_and_the_oldest_event_first() {
        let events = [
            owed("a", true, 500, 40),
            owed("b", false, 900, 0),
            owed("c", true, 300, 20),
        ];
        let line = |event: &str, net, tax| Line {
            event_id: event.into(),
            net,
            tax,
        };
        assert_eq!(lines(&events, 520), [line("a", 500, 20)]);
        assert_eq!(
            lines(&events, 850),
            [line("a", 500, 40), line("c", 300, 10)]
        );
    }
}
