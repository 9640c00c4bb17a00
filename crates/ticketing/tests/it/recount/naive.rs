//! Figures counted again, line by line and row by row.

use florin_ledger::model::{Mode, Record};
use serde_json::{Value, json};

use super::Fair;
use crate::cards::Cards;
use crate::stage::SECOND;

/// A line of a posting, as it stands in the ledger.
struct Line {
    posting: String,
    component: String,
    debit: String,
    credit: String,
    amount: i64,
}

impl Line {
    /// The line that a record of the ledger is, if it moves money of a posting.
    fn read(stage: &Cards, record: &Record) -> Option<Self> {
        let transfer = record.transfer()?;
        if !matches!(transfer.mode, Mode::Single | Mode::Post) {
            return None;
        }
        let account = |slot| stage.ledger.facts(slot).id.to_string();
        Some(Self {
            posting: transfer.metadata.get("posting")?.to_owned(),
            component: transfer
                .metadata
                .get("component")
                .unwrap_or_default()
                .to_owned(),
            debit: account(transfer.debit),
            credit: account(transfer.credit),
            amount: i64::try_from(transfer.amount).expect("small"),
        })
    }

    fn of(&self, postings: &[&str]) -> bool {
        postings.is_empty() || postings.contains(&&*self.posting)
    }
}

/// Minor units as they are printed.
pub fn shown(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

/// Half up, four decimals.
fn ratio(part: i64, whole: i64) -> Value {
    match whole {
        0 => Value::Null,
        _ => {
            // More may have come than still have a ticket.
            let scaled = (part * 20_000 + whole).div_euclid(2 * whole);
            let sign = if scaled < 0 { "-" } else { "" };
            let (ones, rest) = (scaled.abs() / 10_000, scaled.abs() % 10_000);
            format!("{sign}{ones}.{rest:04}").into()
        }
    }
}

/// Money figures as of a position of the ledger, in which there is nothing but this sale.
pub async fn money(fair: &Fair, position: u64) -> Value {
    let view = fair.stage.ledger.read_view().await.expect("open");
    let mut lines: Vec<Line> = Vec::new();
    view.records(0, usize::MAX, |record| {
        if record.seq <= position {
            lines.extend(Line::read(&fair.stage, record));
        }
    })
    .expect("reads");
    let name = |kind: &str| format!("florin:tk:{kind}:");
    let credits = |postings: &[&str], kind: &str| -> i64 {
        let fit = |l: &&Line| l.of(postings) && l.credit.starts_with(&name(kind));
        lines.iter().filter(fit).map(|l| l.amount).sum()
    };
    let debits = |postings: &[&str], kind: &str| -> i64 {
        let fit = |l: &&Line| l.of(postings) && l.debit.starts_with(&name(kind));
        lines.iter().filter(fit).map(|l| l.amount).sum()
    };
    let grown = |postings: &[&str], kind: &str| credits(postings, kind) - debits(postings, kind);
    let sales = ["P2", "P2o"];
    let net =
        |l: &&Line| l.of(&sales) && l.component == "net" && l.credit.starts_with(&name("payable"));
    let gross = lines.iter().filter(net).map(|l| l.amount).sum::<i64>() + credits(&sales, "tax");
    let figures = ["P2", "P2o", "P5"];
    let (refunds, paid) = (credits(&["P5"], "refunds"), debits(&sales, "clearing"));
    let out = ["P8", "P9"];
    json!({
        "grossSales": shown(gross),
        "tax": shown(grown(&figures, "tax")),
        "platformFees": shown(grown(&figures, "fee:platform")),
        "processingFees": shown(grown(&figures, "fee:processing")),
        "refunds": shown(refunds),
        "lateReturns": shown(credits(&["P7"], "refunds")),
        "organiserNet": shown(grown(&[], "payable") - grown(&out, "payable")),
        "payable": shown(grown(&[], "payable")),
        "payouts": shown(-grown(&out, "payable") - grown(&out, "tax")),
        "chargebacksOpen": shown(-grown(&[], "chargebacks")),
        "chargebacksLost": shown(debits(&["P12"], "payable")),
        "buyersPaid": shown(paid),
        "refundRate": ratio(refunds, paid),
    })
}

/// Counts of tickets, orders and passages, from their rows.
pub async fn tickets(fair: &Fair, over: bool) -> Value {
    let holding = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1
        AND channel = 'online' AND status IN ('valid', 'used', 'suspended', 'listed')";
    let comps = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1
        AND channel = 'comp' AND status IN ('valid', 'used', 'suspended', 'listed')";
    let came = "SELECT COUNT(DISTINCT c.ticket_id) AS n FROM tk_check_ins c
        WHERE c.event_id = $1 AND c.counted = TRUE AND c.direction = 'in'
        AND c.conflict IS NULL AND c.undone_at IS NULL";
    let entries = "SELECT effective_at FROM tk_check_ins WHERE event_id = $1
        AND counted = TRUE AND direction = 'in' AND conflict IS NULL AND undone_at IS NULL";
    let hour_ago = fair.stage.room.now() - 3_600 * SECOND;
    let entries = fair.rows(entries).await;
    let late = entries.iter().filter(|row| {
        let at: i64 = row.get("effective_at").expect("a time");
        at > hour_ago
    });
    let late = late.count();
    let cards = "SELECT COUNT(*) AS n FROM tk_orders WHERE event_id = $1
        AND confirmed_at IS NOT NULL AND payment_method = 'card'";
    let cards = fair.number(cards).await;
    let provider = fair.stage.provider().await;
    let disputes = provider["disputes"].as_array().expect("a list").len();
    let disputes = i64::try_from(disputes).expect("small");
    let discounts = "SELECT CAST(COALESCE(SUM(discount), 0) AS BIGINT) AS n FROM tk_orders
        WHERE event_id = $1 AND confirmed_at IS NOT NULL AND channel = 'online'";
    let orders = "SELECT COUNT(*) AS n FROM tk_orders WHERE event_id = $1
        AND confirmed_at IS NOT NULL AND tickets > 0";
    let gross = "SELECT CAST(COALESCE(SUM(tickets), 0) AS BIGINT) AS n FROM tk_orders
        WHERE event_id = $1 AND confirmed_at IS NOT NULL";
    let inside = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1 AND inside = TRUE";
    let issued = "SELECT COUNT(*) AS n FROM tk_tickets WHERE event_id = $1";
    let (sold, comps) = (fair.number(holding).await, fair.number(comps).await);
    let came = fair.number(came).await;
    let (orders, gross) = (fair.number(orders).await, fair.number(gross).await);
    let average = match orders {
        0 => Value::Null,
        n => shown((2 * gross + n) / (2 * n)).into(),
    };
    json!({
        "ticketsIssued": fair.number(issued).await,
        "ticketsSold": sold,
        "comps": comps,
        "sellThrough": ratio(sold + comps, 140),
        "orders": orders,
        "averageOrder": average,
        "discounts": shown(fair.number(discounts).await),
        "attended": came,
        "attendance": ratio(came, sold + comps),
        "insideNow": fair.number(inside).await,
        "checkInsLastHour": late,
        "noShow": if over { ratio(sold + comps - came, sold + comps) } else { Value::Null },
        "chargebackRate": ratio(disputes, cards),
    })
}
