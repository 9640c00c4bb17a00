//! Sends what is due. Every endpoint has a pump of its own, so that a slow receiver holds up
//! nobody else.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::header::CONTENT_TYPE;
use tokio::task::JoinSet;

use super::{
    model::{Delivery, Endpoint, Try},
    schedule::wait_micros,
    service::Webhooks,
    store::{self, Verdict},
};
use crate::http::shutdown::Shutdown;
use crate::sql::SqlError;

/// How long a claimed delivery is left to its worker: well above the longest try, and above what
/// the clocks of two machines may differ by.
pub const CLAIM: Duration = Duration::from_secs(60);

/// Deliveries of one endpoint on their way at the same time.
const PER_ENDPOINT: i64 = 8;
/// Longest sleep while something waits for its time: the clock may be moved by hand.
const POLL: Duration = Duration::from_secs(1);
/// Sleep while nothing waits.
const IDLE: Duration = Duration::from_secs(60);
/// Accepted deliveries and their log are kept so long, in microseconds (30 days).
const KEEP_MICROS: i64 = 30 * 86_400 * 1_000_000;
/// Time between two looks for what to forget, in microseconds (1 hour).
const PRUNE_MICROS: i64 = 3_600 * 1_000_000;
/// Longest error text in the log.
const ERROR_MAX: usize = 200;

impl Webhooks {
    /// Sends until the server drains; what is on its way then is finished first.
    pub async fn run(self, shutdown: Shutdown) {
        let mut pumps = JoinSet::new();
        let mut busy: HashSet<Box<str>> = HashSet::new();
        let mut pruned_at = self.now();
        loop {
            let pause = match self.start_pumps(&mut pumps, &mut busy).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "webhook deliveries could not be read");
                    POLL
                }
            };
            tokio::select! {
                () = shutdown.drain() => break,
                () = self.inner.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                Some(ended) = pumps.join_next() => match ended {
                    Ok((id, Ok(_))) => { busy.remove(&id); }
                    Ok((id, Err(error))) => {
                        tracing::warn!(%error, "a webhook delivery could not be recorded");
                        tokio::time::sleep(POLL).await;
                        busy.remove(&id);
                    }
                    Err(error) => {
                        // Without its id the pump's endpoint cannot be told: start all anew.
                        tracing::error!(%error, "a webhook pump broke off");
                        pumps.shutdown().await;
                        busy.clear();
                    }
                },
            }
            if self.now() - pruned_at >= PRUNE_MICROS {
                pruned_at = self.now();
                if let Err(error) = store::prune(&self.inner.db, pruned_at - KEEP_MICROS).await {
                    tracing::warn!(%error, "old webhook deliveries could not be removed");
                }
            }
        }
        while pumps.join_next().await.is_some() {}
    }

    /// Starts a pump for each endpoint that has something due and none running. Answers how
    /// long nothing else will come due.
    async fn start_pumps(
        &self,
        pumps: &mut JoinSet<(Box<str>, Result<usize, SqlError>)>,
        busy: &mut HashSet<Box<str>>,
    ) -> Result<Duration, SqlError> {
        let now = self.now();
        for id in store::endpoints_due(&self.inner.db, now).await? {
            if busy.insert(id.clone()) {
                let hooks = self.clone();
                pumps.spawn(async move {
                    let sent = hooks.pump(&id).await;
                    (id, sent)
                });
            }
        }
        Ok(match store::next_due(&self.inner.db, now).await? {
            // Another process may queue something, and stop before it sends it.
            None if self.inner.db.is_shared() => POLL,
            None => IDLE,
            Some(at) => {
                let wait = Duration::from_micros(u64::try_from(at - now).unwrap_or(0));
                wait.min(POLL)
            }
        })
    }

    /// Sends everything that is due at the clock's time, once. Answers how many tries it made.
    ///
    /// # Errors
    /// As [`crate::sql::Db::fetch_all`]; what was sent and not recorded is sent again.
    pub async fn deliver_due(&self) -> Result<usize, SqlError> {
        let mut sent = 0;
        for endpoint in self.current().await?.iter() {
            sent += self.pump(&endpoint.id).await?;
        }
        Ok(sent)
    }

    /// Sends to one endpoint until nothing is due.
    async fn pump(&self, id: &str) -> Result<usize, SqlError> {
        let mut sent = 0;
        loop {
            let now = self.now();
            let until = now + i64::try_from(CLAIM.as_micros()).unwrap_or(i64::MAX);
            let claimed = store::claim(&self.inner.db, id, now, until, PER_ENDPOINT).await?;
            let Some((endpoint, due)) = claimed.filter(|(_, due)| !due.is_empty()) else {
                return Ok(sent);
            };
            sent += due.len();
            let tries = due.iter().map(|delivery| self.deliver(&endpoint, delivery));
            for outcome in join_all(tries).await {
                outcome?;
            }
        }
    }

    /// One try, and what follows from it.
    async fn deliver(&self, endpoint: &Endpoint, delivery: &Delivery) -> Result<(), SqlError> {
        let tried = self.send(endpoint, delivery).await;
        let now = self.now();
        let db = &self.inner.db;
        let verdict = match wait_micros(&delivery.id, delivery.tries + 1) {
            _ if tried.is_accepted() => Verdict::Accepted,
            _ if tried.is_gone() => Verdict::Parked,
            Some(wait) => Verdict::Again(now + wait),
            None => Verdict::Parked,
        };
        store::record(db, &endpoint.id, delivery, &tried, verdict, now).await?;
        let outcome = if tried.is_accepted() {
            "accepted"
        } else {
            "refused"
        };
        metrics::counter!("webhook_tries_total", "outcome" => outcome).increment(1);
        if tried.is_gone() {
            tracing::info!(
                endpoint = &*endpoint.id,
                "a webhook receiver answered 410 and is disabled"
            );
            store::disable(db, &endpoint.id, "the receiver answered 410 Gone", now).await?;
            self.reload().await?;
        }
        Ok(())
    }

    async fn send(&self, endpoint: &Endpoint, delivery: &Delivery) -> Try {
        let at = self.now();
        let body = delivery.body.as_bytes().to_vec();
        let signatures = endpoint.signatures(&delivery.event_id, at, &body);
        let started = Instant::now();
        let answer = match self.inner.outgoing.post(&endpoint.url) {
            Ok(request) => request
                .header(CONTENT_TYPE, "application/json")
                .header("webhook-id", &*delivery.event_id)
                .header("webhook-timestamp", at.div_euclid(1_000_000))
                .header("webhook-signature", signatures)
                .body(body)
                .send()
                .await
                .map(|response| response.status().as_u16())
                .map_err(|error| describe(&error)),
            Err(refused) => Err(refused.to_string()),
        };
        let (status, error) = match answer {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.chars().take(ERROR_MAX).collect())),
        };
        Try {
            number: delivery.tries_total + 1,
            at,
            status,
            error,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A failure in words, without the address.
fn describe(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the call failed"
    };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut last = None;
    while let Some(inner) = cause {
        last = Some(inner.to_string());
        cause = inner.source();
    }
    match last {
        Some(last) => format!("{what}: {last}"),
        None => what.to_owned(),
    }
}
