//! Single objects and lists: newest first, `limit`, `starting_after`, `ending_before`, `created`.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::book::Book;
use super::disputes;
use super::form::Form;

const PAGE: &[&str] = &[
    "limit",
    "starting_after",
    "ending_before",
    "created",
    "expand",
];

/// A page of items given oldest first.
pub fn page(url: &str, items: Vec<Value>, form: &Form) -> Result<Value, Refusal> {
    let limit = form.int("limit")?.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(Refusal::invalid("limit", "This value must be 1 to 100."));
    }
    let limit = usize::try_from(limit).unwrap_or(10);
    let (after, before) = (form.int("created[gt]")?, form.int("created[lt]")?);
    let (from, until) = (form.int("created[gte]")?, form.int("created[lte]")?);
    let in_time = |item: &Value| {
        let created = item["created"].as_i64().unwrap_or_default();
        after.is_none_or(|bound| created > bound)
            && from.is_none_or(|bound| created >= bound)
            && before.is_none_or(|bound| created < bound)
            && until.is_none_or(|bound| created <= bound)
    };
    let mut all: Vec<Value> = items.into_iter().rev().filter(in_time).collect();
    let place = |all: &[Value], name: &str| -> Result<Option<usize>, Refusal> {
        let Some(id) = form.get(name) else {
            return Ok(None);
        };
        let found = all.iter().position(|item| item["id"] == id);
        found
            .map(Some)
            .ok_or_else(|| Refusal::missing("object", id).with("param", name))
    };
    let has_more = if let Some(last) = place(&all, "starting_after")? {
        all.drain(..=last);
        all.len() > limit
    } else if let Some(first) = place(&all, "ending_before")? {
        all.truncate(first);
        let skipped = all.len().saturating_sub(limit);
        all.drain(..skipped);
        skipped > 0
    } else {
        all.len() > limit
    };
    all.truncate(limit);
    Ok(json!({"object": "list", "data": all, "has_more": has_more, "url": url}))
}

/// GET `/v1/payment_intents`.
pub fn intents(book: &Book, form: &Form) -> Result<Value, Refusal> {
    form.only(PAGE)?;
    let all = book.intents.values().map(|intent| intent.json()).collect();
    page("/v1/payment_intents", all, form)
}

/// GET `/v1/refunds`.
pub fn refunds(book: &Book, form: &Form) -> Result<Value, Refusal> {
    form.only(&[PAGE, &["payment_intent", "charge"]].concat())?;
    let (intent, charge) = (form.get("payment_intent"), form.get("charge"));
    let fits = |refund: &&super::objects::Refund| {
        intent.is_none_or(|id| refund.intent == id) && charge.is_none_or(|id| refund.charge == id)
    };
    let all = book.refunds.values().filter(fits);
    page(
        "/v1/refunds",
        all.map(|refund| refund.json()).collect(),
        form,
    )
}

/// GET `/v1/balance_transactions`.
pub fn transactions(book: &Book, form: &Form) -> Result<Value, Refusal> {
    form.only(&[PAGE, &["type", "source", "currency", "payout"]].concat())?;
    let (kind, source) = (form.get("type"), form.get("source"));
    let currency = form.get("currency");
    let fits = |transaction: &&super::objects::BalanceTransaction| {
        kind.is_none_or(|kind| transaction.kind == kind)
            && source.is_none_or(|source| transaction.source == source)
            && currency.is_none_or(|currency| transaction.currency == currency)
    };
    let all = book.transactions.iter().filter(fits);
    page(
        "/v1/balance_transactions",
        all.map(|one| one.json()).collect(),
        form,
    )
}

/// GET `/v1/events`.
pub fn events(book: &Book, form: &Form) -> Result<Value, Refusal> {
    form.only(&[PAGE, &["type", "types"]].concat())?;
    let kind = form.get("type");
    let all = book
        .events
        .iter()
        .filter(|event| kind.is_none_or(|kind| event.kind == kind));
    page("/v1/events", all.map(|event| event.json()).collect(), form)
}

/// GET `/v1/webhook_endpoints`.
pub fn endpoints(book: &Book, form: &Form) -> Result<Value, Refusal> {
    form.only(PAGE)?;
    let all = book
        .endpoints
        .iter()
        .map(|endpoint| endpoint.json())
        .collect();
    page("/v1/webhook_endpoints", all, form)
}

/// GET `/v1/balance`.
pub fn balance(book: &Book) -> Value {
    let sums = book.balance();
    let available = sums.iter().map(|(currency, amount)| {
        json!({"amount": amount, "currency": currency, "source_types": {"card": amount}})
    });
    let pending = sums
        .keys()
        .map(|currency| json!({"amount": 0, "currency": currency, "source_types": {"card": 0}}));
    json!({
        "object": "balance",
        "available": available.collect::<Vec<_>>(),
        "livemode": false,
        "pending": pending.collect::<Vec<_>>(),
    })
}

/// One object by its kind (the path's segment) and id.
pub fn one(book: &Book, kind: &str, id: &str, form: &Form) -> Result<Value, Refusal> {
    form.only(&["expand", "client_secret"])?;
    let found = match kind {
        "payment_intents" => book.intents.get(id).map(|intent| intent.json()),
        "charges" => book.charges.get(id).map(|charge| charge.json()),
        "refunds" => book.refunds.get(id).map(|refund| refund.json()),
        "payouts" => book.payouts.get(id).map(|payout| payout.json()),
        "disputes" => book
            .disputes
            .contains_key(id)
            .then(|| disputes::shown(book, id)),
        "balance_transactions" => transaction(book, id),
        "events" => book
            .events
            .iter()
            .find(|event| event.id == id)
            .map(|event| event.json()),
        "webhook_endpoints" => {
            let mut all = book.endpoints.iter();
            all.find(|endpoint| endpoint.id == id)
                .map(|endpoint| endpoint.json())
        }
        _ => None,
    };
    found.ok_or_else(|| Refusal::missing(kind.trim_end_matches('s'), id))
}

fn transaction(book: &Book, id: &str) -> Option<Value> {
    let mut all = book.transactions.iter();
    all.find(|transaction| transaction.id == id)
        .map(|transaction| transaction.json())
}

/// Replaces ids by their objects where `expand[]` asks for it.
pub fn expand(book: &Book, form: &Form, mut object: Value) -> Value {
    for path in form.list("expand") {
        let names: Vec<&str> = path.split('.').collect();
        if object["object"] == "list" {
            if let (Some((&"data", rest)), Some(items)) =
                (names.split_first(), object["data"].as_array_mut())
            {
                items.iter_mut().for_each(|item| widen(book, item, rest));
            }
        } else {
            widen(book, &mut object, &names);
        }
    }
    object
}

fn widen(book: &Book, object: &mut Value, names: &[&str]) {
    let Some((name, rest)) = names.split_first() else {
        return;
    };
    let member = &mut object[*name];
    if let Some(id) = member.as_str() {
        let found = match *name {
            "latest_charge" | "charge" => book.charges.get(id).map(|charge| charge.json()),
            "payment_intent" => book.intents.get(id).map(|intent| intent.json()),
            "balance_transaction" | "failure_balance_transaction" => transaction(book, id),
            _ => None,
        };
        if let Some(found) = found {
            *member = found;
        }
    }
    if member.is_object() {
        widen(book, member, rest);
    }
}
