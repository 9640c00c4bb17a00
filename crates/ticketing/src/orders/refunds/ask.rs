//! A refund that somebody asks for: whether he may, and how much of what (contract B5).

use florin_ledger::call::Query as LedgerQuery;
use florin_ledger::{Ledger, View};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::query;
use serde_json::{Value, json};

use super::super::card_port;
use super::super::desk::Cx;
use super::super::row::{self, OrderRow};
use super::decide::{Decision, Left, decide, left};
use super::show;
use crate::api::problem::conflict;
use crate::model::amounts::{self, Minor, Paid};
use crate::money::due::DueRow;
use crate::money::p05_refund::payable_loss;
use crate::money::promised;
use crate::store::idempotency::{Kept, Once};
use crate::tickets::Death;

/// Most that support may refund of one order, in hundredths of the currency's major unit.
const SUPPORT_MAX_MAJOR: Minor = 100;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tickets; `None`: all of the order.
    pub ticket_ids: Option<Vec<String>>,
    /// So much of each ticket; `None`: all that is left.
    pub amount_per_ticket: Option<Minor>,
    /// The tickets stay good.
    pub keep_tickets: bool,
    /// Why.
    pub reason: Option<String>,
    /// Used tickets too.
    pub force: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The buyer.
    Buyer,
    /// The organiser, or the platform.
    Organizer,
    /// Support, up to a limit.
    Support,
}

/// What a refund call answers.
#[derive(Debug)]
pub enum Refunded {
    /// The body and what is due.
    New(Value, Vec<DueRow>),
    /// The first answer of the same request.
    Again(Kept),
}

/// Judges and decides a refund in a transaction. That of an organiser's own wish must be alone in
/// the room, since it is judged against all his events.
///
/// # Errors
/// The refusals of contract B5; the store's.
pub async fn ask(
    cx: &mut Cx,
    order_id: &str,
    who: Who,
    ask: &Ask,
    once: &Once,
) -> Result<Refunded, Problem> {
    if let Some(kept) = once.replay(&mut cx.tx).await? {
        return Ok(Refunded::Again(kept));
    }
    let found = row::find_in(&mut cx.tx, order_id).await?;
    let order = found.ok_or_else(row::not_found)?;
    if !order.was_confirmed() {
        return Err(super::super::payment::wrong_state(&order));
    }
    let marks = cx.room.store.marks();
    if card_port::is_disputed(&mut cx.tx, marks, order_id).await? {
        return Err(conflict(
            "payment_disputed",
            "The payment is in dispute; it cannot be refunded meanwhile.",
        ));
    }
    let all = left(cx, &order).await?;
    let chosen = chosen(&all, ask)?;
    match who {
        Who::Buyer => by_buyer(cx, &order, &chosen, ask).await?,
        Who::Organizer | Who::Support => by_staff(&chosen, ask)?,
    }
    let lines = lines(&order, &chosen, ask)?;
    let add = |sum: Paid, (_, parts): &(Left, Paid)| sum.plus(parts);
    let parts = lines.iter().fold(Paid::default(), add);
    bounds(cx, &order, who, &parts).await?;
    let decision = Decision {
        lines,
        death: (!ask.keep_tickets).then_some(Death::Refunded),
        cause: match who {
            Who::Buyer => "buyer",
            Who::Organizer => "organizer",
            Who::Support => "support",
        },
        reason: ask.reason.clone(),
        job_id: None,
        done_outside: false,
    };
    let tickets: Vec<(String, Minor)> = decision
        .lines
        .iter()
        .map(|(ticket, parts)| (ticket.id.clone(), parts.by_buyer(order.fee_payer)))
        .collect();
    let (refund, dues) = decide(cx, &order, decision).await?;
    let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
    let body = json!({"items": [show(&refund, &tickets, scale)]});
    let kept = Kept {
        status: 202,
        location: None,
        person: None,
        body: body.to_string().into_bytes(),
    };
    once.keep(&mut cx.tx, &kept, cx.now).await?;
    Ok(Refunded::New(body, dues))
}

fn chosen(all: &[Left], ask: &Ask) -> Result<Vec<Left>, Problem> {
    let Some(ids) = &ask.ticket_ids else {
        let alive: Vec<Left> = all
            .iter()
            .filter(|ticket| !ticket.is_dead())
            .cloned()
            .collect();
        return match alive.is_empty() {
            true => Err(ticket_state()),
            false => Ok(alive),
        };
    };
    let mut found: Vec<Left> = Vec::with_capacity(ids.len());
    for id in ids {
        let ticket = all.iter().find(|ticket| ticket.id == *id);
        let ticket = ticket.ok_or_else(|| {
            Problem::not_found("ticket_not_found", "The order has no such ticket.")
        })?;
        if ticket.is_dead() {
            return Err(ticket_state());
        }
        if found.iter().any(|known| known.id == *id) {
            return Err(Problem::validation("ticketIds", "A ticket is named twice."));
        }
        found.push(ticket.clone());
    }
    match found.is_empty() {
        true => Err(Problem::validation(
            "ticketIds",
            "Name at least one ticket.",
        )),
        false => Ok(found),
    }
}

fn ticket_state() -> Problem {
    conflict(
        "ticket_state",
        "The ticket was refunded or cancelled already.",
    )
}

async fn by_buyer(
    cx: &mut Cx,
    order: &OrderRow,
    chosen: &[Left],
    ask: &Ask,
) -> Result<(), Problem> {
    if ask.keep_tickets || ask.amount_per_ticket.is_some() || ask.force {
        return Err(Problem::forbidden("orders:refund"));
    }
    if chosen.iter().any(|ticket| ticket.transferred) {
        return Err(conflict(
            "ticket_transferred",
            "The ticket was handed on to another person.",
        ));
    }
    if chosen.iter().any(|ticket| ticket.used) {
        return Err(conflict("ticket_used", "The ticket was used."));
    }
    let text = "SELECT status, refund_until FROM tk_events WHERE id = $1";
    let row = cx
        .tx
        .fetch_optional(query(text).bind(&order.event_id))
        .await?;
    let row = row.ok_or_else(crate::api::problem::event_not_found)?;
    let status: String = row.get("status")?;
    let until: Option<i64> = row.get("refund_until")?;
    if status == "postponed" || until.is_some_and(|until| cx.now < until) {
        return Ok(());
    }
    let text = "SELECT id, refundable_until FROM tk_types WHERE event_id = $1";
    let rows = cx.tx.fetch_all(query(text).bind(&order.event_id)).await?;
    for ticket in chosen {
        let mut until: Option<i64> = None;
        for row in &rows {
            if row.get::<String>("id")? == ticket.type_id {
                until = row.get("refundable_until")?;
            }
        }
        if until.is_none_or(|until| cx.now >= until) {
            return Err(conflict(
                "refund_period_over",
                "The time in which you may refund this ticket yourself is over.",
            ));
        }
    }
    Ok(())
}

fn by_staff(chosen: &[Left], ask: &Ask) -> Result<(), Problem> {
    let refuses_used = !ask.force && !ask.keep_tickets;
    match refuses_used && chosen.iter().any(|ticket| ticket.used) {
        true => Err(conflict(
            "ticket_used",
            "The ticket was used; `force` refunds it all the same.",
        )),
        false => Ok(()),
    }
}

fn lines(order: &OrderRow, chosen: &[Left], ask: &Ask) -> Result<Vec<(Left, Paid)>, Problem> {
    let line = |ticket: &Left| {
        let whole = ticket.left.by_buyer(order.fee_payer);
        let amount = ask.amount_per_ticket.unwrap_or(whole);
        let parts = amounts::refund(&ticket.left, order.fee_payer, amount).ok_or_else(|| {
            conflict(
                "refund_exceeds",
                "That is more than what was paid and is left.",
            )
            .with("ticketId", &*ticket.id)
        })?;
        Ok((ticket.clone(), parts))
    };
    chosen.iter().map(line).collect()
}

/// What bounds a refund by will: support's limit, the organiser's payable.
async fn bounds(cx: &mut Cx, order: &OrderRow, who: Who, parts: &Paid) -> Result<(), Problem> {
    let scale = cx.room.settings.scale(&order.currency).unwrap_or(2);
    let amount = parts.by_buyer(order.fee_payer);
    let most = SUPPORT_MAX_MAJOR * 10i64.pow(u32::from(scale));
    if who == Who::Support && order.refunded + amount > most {
        return Err(Problem::new(
            Status::Forbidden,
            "refund_limit",
            "Support may refund up to 100.00 per order.",
        ));
    }
    if who == Who::Buyer || amount == 0 {
        return Ok(());
    }
    let room = cx.room.clone();
    promised::post_all(&room, &mut cx.tx, &order.org_id, &order.currency).await?;
    let has = payable(&room.ledger, &order.org_id, &order.currency).await?;
    let loss = i128::from(payable_loss(order.fee_payer, parts));
    match has < loss {
        true => Err(conflict(
            "insufficient_payable",
            "The organisation's sales do not cover this refund.",
        )),
        false => Ok(()),
    }
}

/// Σ of an organisation's payables in a currency, minor units.
///
/// # Errors
/// 503 when the ledger is away.
pub async fn payable(ledger: &Ledger, org_id: &str, currency: &str) -> Result<i128, Problem> {
    let mut sum: i128 = 0;
    for (_, balance) in payables(ledger, org_id, currency, "payable").await? {
        sum += balance;
    }
    Ok(sum)
}

/// The accounts `{name}:{org}:{event}` of an organisation, by event, minor units.
///
/// # Errors
/// 503 when the ledger is away.
pub async fn payables(
    ledger: &Ledger,
    org_id: &str,
    currency: &str,
    name: &str,
) -> Result<Vec<(String, i128)>, Problem> {
    let away = || Problem::unavailable("store_unavailable", "The ledger does not answer.");
    let prefix = format!("florin:tk:{name}:{org_id}:");
    let suffix = format!(":{currency}");
    let mut after = None;
    let mut found = Vec::new();
    loop {
        let ask = LedgerQuery::Accounts {
            asset: None,
            kind: None,
            status: None,
            id_prefix: Some((&*prefix).into()),
            metadata: Vec::new(),
            after,
            limit: 500,
        };
        let View::Accounts(accounts, more) = ledger.query(ask).await.map_err(|_| away())? else {
            return Err(away());
        };
        for account in &accounts {
            let id = account.facts.id.to_string();
            let event = id
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(&suffix));
            if let Some(event) = event {
                let balance = account.totals.balance(account.facts.normal);
                found.push((event.to_owned(), balance.to_i128().unwrap_or(i128::MAX)));
            }
        }
        match more {
            Some(slot) => after = Some(slot),
            None => return Ok(found),
        }
    }
}
