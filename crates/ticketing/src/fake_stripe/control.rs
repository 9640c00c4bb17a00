//! `/_control/…`: what a tester does to the provider.

use axum::response::Response;
use florin_base::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Refusal, json_answer};
use super::book::{Book, Order};
use super::disputes::{self, Action};
use super::faults::{Fault, Kind};
use super::intents::{self, Authenticated};
use super::objects::{BalanceTransaction, Payout};

/// Most faults that wait.
const FAULTS_MAX: usize = 100;

/// Answers a control call.
pub fn handle(fake: &Shared, method: &str, what: &str, body: &[u8]) -> Response {
    let done = match (method, what) {
        ("POST", "webhooks") => read(body).and_then(|wanted| webhooks(fake, &wanted)),
        ("POST", "faults") => read(body).and_then(|wanted| faults(fake, wanted)),
        ("POST", "dispute") => read(body).and_then(|wanted: Dispute| {
            let now = fake.now();
            disputes::act(
                &mut fake.book.lock(),
                &wanted.payment_intent,
                wanted.action,
                now,
            )
        }),
        ("POST", "authenticate") => read(body).and_then(|wanted| authenticate(fake, &wanted)),
        ("POST", "payout") => read(body).and_then(|wanted| payout(fake, &wanted)),
        ("POST", "clock") => read(body).and_then(|wanted| clock(fake, &wanted)),
        ("GET", "state") => Ok(state(fake)),
        _ => Err(Refusal::of(
            404,
            "invalid_request_error",
            "No such control.",
        )),
    };
    fake.due.notify_one();
    match done {
        Ok(value) => json_answer(200, &value),
        Err(refusal) => json_answer(refusal.status, &refusal.body()),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Refusal::invalid("", error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Webhooks {
    mode: Option<String>,
    repeat: Option<u32>,
    delay_ms: Option<u64>,
    order: Option<String>,
}

fn webhooks(fake: &Shared, wanted: &Webhooks) -> Result<Value, Refusal> {
    let mut book = fake.book.lock();
    match wanted.mode.as_deref() {
        None => {}
        Some("deliver") => book.delivering.drop = false,
        Some("drop") => {
            book.delivering.drop = true;
            book.deliveries.clear();
        }
        Some(_) => return Err(Refusal::invalid("mode", "`deliver` or `drop`")),
    }
    if let Some(repeat) = wanted.repeat {
        if !(1..=100).contains(&repeat) {
            return Err(Refusal::invalid("repeat", "1 to 100"));
        }
        book.delivering.repeat = repeat;
    }
    if let Some(delay) = wanted.delay_ms {
        book.delivering.delay_ms = delay;
    }
    book.delivering.order = match wanted.order.as_deref() {
        None => book.delivering.order,
        Some("created") => Order::Created,
        Some("reverse") => Order::Reverse,
        Some("random") => Order::Random,
        Some(_) => {
            return Err(Refusal::invalid(
                "order",
                "`created`, `reverse` or `random`",
            ));
        }
    };
    let now = &book.delivering;
    Ok(json!({
        "mode": if now.drop { "drop" } else { "deliver" },
        "repeat": now.repeat,
        "delayMs": now.delay_ms,
        "order": format!("{:?}", now.order).to_lowercase(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Faults {
    path: Option<String>,
    kind: Option<Kind>,
    status: Option<u16>,
    next: Option<u32>,
    clear: Option<bool>,
}

fn faults(fake: &Shared, wanted: Faults) -> Result<Value, Refusal> {
    let mut book = fake.book.lock();
    if wanted.clear == Some(true) {
        book.faults.clear();
    }
    if let Some(path) = wanted.path {
        if book.faults.len() >= FAULTS_MAX {
            return Err(Refusal::invalid("path", "too many faults wait"));
        }
        let status = wanted.status.unwrap_or(500);
        if !(400..=599).contains(&status) {
            return Err(Refusal::invalid("status", "400 to 599"));
        }
        book.faults.push(Fault {
            path,
            kind: wanted.kind.unwrap_or(Kind::Fail),
            status,
            left: wanted.next.unwrap_or(1).max(1),
        });
    }
    Ok(json!({"faults": shown_faults(&book)}))
}

fn shown_faults(book: &Book) -> Vec<Value> {
    let shown = |fault: &Fault| {
        json!({
            "path": fault.path, "kind": fault.kind, "status": fault.status, "next": fault.left,
        })
    };
    book.faults.iter().map(shown).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dispute {
    payment_intent: String,
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Authenticate {
    payment_intent: String,
    result: String,
    #[serde(default)]
    force: bool,
    amount_received: Option<i64>,
}

fn authenticate(fake: &Shared, wanted: &Authenticate) -> Result<Value, Refusal> {
    let how = match wanted.result.as_str() {
        "success" | "succeed" | "succeeded" | "pass" => Authenticated::Passed,
        "failure" | "fail" | "failed" => Authenticated::Failed,
        "processing" => Authenticated::Processing,
        _ => {
            return Err(Refusal::invalid(
                "result",
                "`success`, `fail` or `processing`",
            ));
        }
    };
    let now = fake.now();
    let mut book = fake.book.lock();
    let id = &wanted.payment_intent;
    intents::authenticate(
        &mut book,
        id,
        how,
        wanted.force,
        wanted.amount_received,
        now,
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WantedPayout {
    amount: Option<i64>,
    currency: Option<String>,
}

fn payout(fake: &Shared, wanted: &WantedPayout) -> Result<Value, Refusal> {
    let now = fake.now();
    let mut book = fake.book.lock();
    let balance = book.balance();
    let currency = match &wanted.currency {
        Some(currency) => currency.to_ascii_lowercase(),
        None => {
            let mut full = balance.iter().filter(|(_, amount)| **amount > 0);
            full.next()
                .map(|(currency, _)| currency.clone())
                .unwrap_or_default()
        }
    };
    let there = balance.get(&currency).copied().unwrap_or_default();
    let amount = wanted.amount.unwrap_or(there);
    if amount <= 0 || amount > there {
        let message = format!("The balance is {there} {currency}.");
        return Err(Refusal::invalid("amount", message).with("code", "balance_insufficient"));
    }
    let id = book.id("po", now);
    let transaction = book.move_balance(BalanceTransaction {
        id: String::new(),
        kind: "payout",
        category: "payout",
        amount: -amount,
        fee: 0,
        currency: currency.clone(),
        source: id.clone(),
        created: now,
    });
    let payout = Payout {
        id: id.clone(),
        amount,
        currency,
        balance_transaction: transaction,
        created: now,
    };
    let told = payout.json();
    book.payouts.insert(id, payout);
    book.tell("payout.paid", told.clone(), now);
    Ok(told)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Clock {
    now: Option<String>,
    advance_seconds: Option<i64>,
}

fn clock(fake: &Shared, wanted: &Clock) -> Result<Value, Refusal> {
    match (&wanted.now, wanted.advance_seconds) {
        (Some(text), None) => {
            let time = Timestamp::parse(text)
                .map_err(|_| Refusal::invalid("now", "A time with its zone."))?;
            let offset = time.micros() - fake.clock.wall_micros();
            fake.book.lock().clock_offset = offset;
        }
        (None, Some(seconds)) if (0..=315_360_000).contains(&seconds) => {
            fake.book.lock().clock_offset += seconds * 1_000_000;
        }
        _ => {
            let message = "Give one of `now` and `advanceSeconds` (0 or more).";
            return Err(Refusal::invalid("now", message));
        }
    }
    let now = fake.now();
    super::refunds::settle_due(&mut fake.book.lock(), now);
    Ok(json!({"now": Timestamp(now * 1_000_000).to_string()}))
}

fn state(fake: &Shared) -> Value {
    let now = fake.now();
    let book = fake.book.lock();
    let events = book.events.iter().map(|event| {
        json!({
            "id": event.id, "type": event.kind, "created": event.created,
            "attempts": event.attempts, "delivered": event.delivered,
            "object": event.object["id"],
        })
    });
    let disputes = book.disputes.keys().map(|id| disputes::shown(&book, id));
    json!({
        "now": Timestamp(now * 1_000_000).to_string(),
        "balance": book.balance(),
        "paymentIntents": book.intents.values().map(|one| one.json()).collect::<Vec<_>>(),
        "charges": book.charges.values().map(|one| one.json()).collect::<Vec<_>>(),
        "refunds": book.refunds.values().map(|one| one.json()).collect::<Vec<_>>(),
        "disputes": disputes.collect::<Vec<_>>(),
        "payouts": book.payouts.values().map(|one| one.json()).collect::<Vec<_>>(),
        "balanceTransactions": book.transactions.iter().map(|one| one.json()).collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "webhookEndpoints": book.endpoints.iter().map(|one| one.json()).collect::<Vec<_>>(),
        "pendingDeliveries": book.deliveries.len() + book.in_flight,
        "faults": shown_faults(&book),
        "calls": book.calls,
    })
}
