//! Webhooks: signed as Stripe signs them, tried again until they are taken.

use std::time::Duration;

use ring::hmac;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Fake;
use super::Shared;
use super::book::{Delivery, Order};

/// Waits before the second and later attempts; the last one repeats.
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];
/// Attempts after which an event is given up.
const ATTEMPTS: u32 = 20;
/// Attempts under way at a time.
const PARALLEL: usize = 16;
/// Longest sleep of the loop.
const NAP: Duration = Duration::from_secs(60);

/// Delivers until it is dropped.
pub async fn run(fake: Shared) {
    let mut running = tokio::task::JoinSet::new();
    loop {
        while running.len() >= PARALLEL {
            running.join_next().await;
        }
        let (batch, next) = take_due(&fake);
        if batch.is_empty() {
            let until = next.unwrap_or_else(|| Instant::now() + NAP);
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = fake.due.notified() => {}
                Some(_) = running.join_next() => {}
            }
            continue;
        }
        let in_order = fake.book.lock().delivering.order != Order::Created;
        if in_order {
            let fake = Shared::clone(&fake);
            running.spawn(async move {
                for delivery in batch {
                    attempt(&fake, delivery).await;
                }
            });
        } else {
            for delivery in batch {
                let fake = Shared::clone(&fake);
                running.spawn(async move { attempt(&fake, delivery).await });
            }
        }
    }
}

/// What is due, in the order in which it is to leave, and when the next is due.
fn take_due(fake: &Fake) -> (Vec<Delivery>, Option<Instant>) {
    let now = Instant::now();
    let mut book = fake.book.lock();
    let order = book.delivering.order;
    let (mut due, later): (Vec<_>, Vec<_>) = book
        .deliveries
        .drain(..)
        .partition(|delivery| delivery.due <= now);
    if order == Order::Created {
        // The rest waits for a free place.
        let rest = due.split_off(due.len().min(PARALLEL));
        book.deliveries.extend(rest);
    }
    let next = later.iter().map(|delivery| delivery.due).min();
    book.deliveries.extend(later);
    book.in_flight += due.len();
    match order {
        Order::Created => {}
        Order::Reverse => due.reverse(),
        Order::Random => due.sort_by_cached_key(|delivery| {
            Sha256::digest(book.events[delivery.event].id.as_bytes()).to_vec()
        }),
    }
    (due, next)
}

async fn attempt(fake: &Fake, delivery: Delivery) {
    let taken = send(fake, &delivery).await;
    let mut book = fake.book.lock();
    book.in_flight -= 1;
    let Some(taken) = taken else {
        return;
    };
    let event = &mut book.events[delivery.event];
    event.attempts += 1;
    if taken {
        event.delivered += 1;
        return;
    }
    if delivery.attempt < ATTEMPTS {
        let last = WAITS.len() - 1;
        let step = usize::try_from(delivery.attempt - 1).unwrap_or(last);
        book.deliveries.push_back(Delivery {
            attempt: delivery.attempt + 1,
            due: Instant::now() + WAITS[step.min(last)],
            ..delivery
        });
        drop(book);
        fake.due.notify_one();
    }
}

/// Whether the endpoint took it; `None` when there is nobody to send it to.
async fn send(fake: &Fake, delivery: &Delivery) -> Option<bool> {
    let (url, header, body) = prepare(fake, delivery)?;
    let request = match fake.client.post(&url) {
        Ok(request) => request,
        Err(error) => {
            tracing::warn!(%error, "the webhook's address cannot be called");
            return None;
        }
    };
    let request = request
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", header)
        .body(body);
    match request.send().await {
        Ok(response) => Some(response.status().is_success()),
        Err(error) => {
            tracing::debug!(%error, "a webhook was not delivered");
            Some(false)
        }
    }
}

/// Address, signature and body of an attempt; `None` when the endpoint is gone.
fn prepare(fake: &Fake, delivery: &Delivery) -> Option<(String, String, String)> {
    let now = fake.now();
    let book = fake.book.lock();
    let mut endpoints = book.endpoints.iter();
    let endpoint = endpoints.find(|endpoint| endpoint.id == delivery.endpoint)?;
    let body = book.events[delivery.event].json().to_string();
    let header = sign(&endpoint.secret, now, &body);
    Some((endpoint.url.clone(), header, body))
}

/// The header `Stripe-Signature`: HMAC-SHA256 of `t.body` under the secret's own text.
pub fn sign(secret: &str, time: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    format!("t={time},v1={}", hex::encode(tag))
}
