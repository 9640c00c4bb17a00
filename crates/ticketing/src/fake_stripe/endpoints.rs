//! `/v1/webhook_endpoints`.

use florin_base::IdSource;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::book::Book;
use super::form::Form;
use super::objects::Endpoint;

/// Most endpoints, as at Stripe.
const MOST: usize = 16;

/// POST `/v1/webhook_endpoints`; the secret is shown here only.
pub fn create(book: &mut Book, form: &Form, now: i64) -> Result<Value, Refusal> {
    form.only(&[
        "url",
        "enabled_events",
        "description",
        "metadata",
        "api_version",
    ])?;
    let url = form.need("url")?.to_owned();
    let events = form.list("enabled_events");
    if events.is_empty() {
        return Err(Refusal::invalid(
            "enabled_events",
            "Missing required param.",
        ));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Refusal::invalid(
            "url",
            "Invalid URL: an explicit scheme is needed.",
        ));
    }
    if book.endpoints.len() >= MOST {
        return Err(Refusal::invalid(
            "url",
            "You have reached the most endpoints.",
        ));
    }
    let secret = add(book, &url, events, now);
    let added = book.endpoints.last().map(Endpoint::json);
    let mut shown = added.unwrap_or_default();
    shown["secret"] = secret.into();
    Ok(shown)
}

/// Registers an endpoint and answers its secret.
pub fn add(book: &mut Book, url: &str, events: Vec<String>, now: i64) -> String {
    let secret = format!("whsec_{}", hex::encode(IdSource::random_32()));
    add_with(book, url, events, secret.clone(), now);
    secret
}

/// Registers an endpoint whose secret is known.
pub fn add_with(book: &mut Book, url: &str, events: Vec<String>, secret: String, now: i64) {
    let id = book.id("we", now);
    book.endpoints.push(Endpoint {
        id,
        url: url.to_owned(),
        secret,
        events,
        created: now,
    });
}

/// DELETE `/v1/webhook_endpoints/{id}`; what is under way to it is dropped.
pub fn delete(book: &mut Book, id: &str) -> Result<Value, Refusal> {
    let before = book.endpoints.len();
    book.endpoints.retain(|endpoint| endpoint.id != id);
    if book.endpoints.len() == before {
        return Err(Refusal::missing("webhook endpoint", id));
    }
    book.deliveries.retain(|delivery| delivery.endpoint != id);
    Ok(json!({"id": id, "object": "webhook_endpoint", "deleted": true}))
}
