//! Foreign issuers of tokens: their keys by discovery, kept, and fetched again when a token names
//! one that is not known (OpenID Connect Discovery 1.0).
//!
//! **Invariants.** At most one fetch per issuer at a time and per [`MIN_REFRESH_MICROS`], however
//! many tokens with invented key names arrive. A key counts at most [`MAX_KEY_AGE_MICROS`] after
//! the last time the issuer showed it, or [`MAX_STALE_MICROS`] while the issuer is away.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use serde::Deserialize;

use super::error::IdentityError;
use super::jose::{Algorithm, Jwk, JwkSet, VerifyingKey};
use super::settings::IssuerSettings;
use crate::http::client::Outgoing;

/// Shortest time between two fetches.
pub const MIN_REFRESH_MICROS: i64 = 10_000_000;
/// Age at which the keys are fetched again.
pub const MAX_KEY_AGE_MICROS: i64 = 600_000_000;
/// Age at which keys count no more although the issuer does not answer.
pub const MAX_STALE_MICROS: i64 = 86_400_000_000;
/// Longest wait for each of the two documents.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 256 * 1024;
/// Most keys of an issuer; the rest is left out.
const MAX_KEYS: usize = 64;
/// Before the first fetch.
const NEVER: i64 = i64::MIN;

/// An issuer and what verifies its tokens.
pub struct Issuer {
    /// Its part of the configuration.
    pub settings: IssuerSettings,
    source: Source,
}

enum Source {
    Secret(VerifyingKey),
    Published(Published),
}

struct Published {
    client: Outgoing,
    keys: RwLock<Vec<(Option<String>, VerifyingKey)>>,
    /// Boot-time clock of the last fetch that succeeded.
    fetched_at: AtomicI64,
    /// Boot-time clock of the last fetch.
    tried_at: AtomicI64,
    fetching: tokio::sync::Mutex<()>,
}

/// What is known about the key of a token.
pub enum Lookup {
    /// This one.
    Found(VerifyingKey),
    /// None, and the issuer was asked a moment ago.
    Unknown,
    /// No key of the issuer is known, and it did not answer a moment ago.
    Unavailable,
    /// The issuer must be asked: [`Issuer::refresh`].
    Ask,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// `client` carries the TLS roots of the installation; issuers are named by the operator, so
    /// it may reach any address.
    ///
    /// # Errors
    /// [`IdentityError::Internal`] for a secret that is too short for its algorithm.
    pub fn try_new(settings: IssuerSettings, client: Outgoing) -> Result<Self, IdentityError> {
        let source = match &settings.hmac_secret {
            Some(secret) => {
                let bytes = secret.expose().as_bytes();
                let key = VerifyingKey::hmac(bytes, settings.hmac_algorithm);
                Source::Secret(key.map_err(|_| unfit(&settings))?)
            }
            None => Source::Published(Published {
                client,
                keys: RwLock::default(),
                fetched_at: AtomicI64::new(NEVER),
                tried_at: AtomicI64::new(NEVER),
                fetching: tokio::sync::Mutex::new(()),
            }),
        };
        Ok(Self { settings, source })
    }

    /// The key for a token's header. `now` is the boot-time clock in microseconds.
    pub fn lookup(&self, kid: Option<&str>, algorithm: Algorithm, now: i64) -> Lookup {
        let published = match &self.source {
            Source::Secret(key) => return Lookup::Found(key.clone()),
            Source::Published(published) => published,
        };
        if !self.settings.algorithms.contains(&algorithm) {
            return Lookup::Unknown;
        }
        let may_ask = published.age(&published.tried_at, now) >= MIN_REFRESH_MICROS;
        let age = published.age(&published.fetched_at, now);
        if age >= MAX_KEY_AGE_MICROS && may_ask {
            return Lookup::Ask;
        }
        match published.find(kid, algorithm) {
            Some(key) if age < MAX_STALE_MICROS => Lookup::Found(key),
            _ if may_ask => Lookup::Ask,
            _ if age >= MAX_STALE_MICROS => Lookup::Unavailable,
            _ => Lookup::Unknown,
        }
    }

    /// Fetches the keys, unless that was done a moment ago.
    ///
    /// A failure only means that known keys grow older: it is logged, and the next
    /// [`Issuer::lookup`] says what it means for a token.
    pub async fn refresh(&self, now: i64) {
        let Source::Published(published) = &self.source else {
            return;
        };
        let _one_at_a_time = published.fetching.lock().await;
        if published.age(&published.tried_at, now) < MIN_REFRESH_MICROS {
            return;
        }
        match published.fetch(&self.settings).await {
            Ok(keys) => {
                *published.keys.write() = keys;
                published.fetched_at.store(now, Ordering::Release);
            }
            Err(why) => {
                let issuer = self.settings.issuer.as_str();
                tracing::warn!(issuer, why, "keys of the issuer were not fetched");
            }
        }
        // Only now: whoever comes while the fetch runs waits for it instead of being refused.
        published.tried_at.store(now, Ordering::Release);
    }
}

impl Published {
    fn age(&self, of: &AtomicI64, now: i64) -> i64 {
        now.saturating_sub(of.load(Ordering::Acquire))
    }

    /// By name; a token without a key name is accepted while there is only one key it can mean.
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<VerifyingKey> {
        let keys = self.keys.read();
        let mut fitting = keys.iter().filter(|(name, key)| {
            key.algorithm() == algorithm && (kid.is_none() || name.as_deref() == kid)
        });
        match (fitting.next(), fitting.next()) {
            (Some((_, key)), None) => Some(key.clone()),
            _ => None,
        }
    }

    async fn fetch(
        &self,
        settings: &IssuerSettings,
    ) -> Result<Vec<(Option<String>, VerifyingKey)>, String> {
        let jwks_url = match &settings.jwks_url {
            Some(url) => url.clone(),
            None => {
                let base = settings.issuer.trim_end_matches('/');
                let url = format!("{base}/.well-known/openid-configuration");
                let found: Discovery = self.document(&url).await?;
                if found.issuer != settings.issuer {
                    return Err("discovery names another issuer".to_owned());
                }
                downgrade(&settings.issuer, &found.jwks_uri)?;
                found.jwks_uri
            }
        };
        let set: JwkSet = self.document(&jwks_url).await?;
        let usable = set.keys.into_iter().filter_map(|value| {
            let jwk: Jwk = serde_json::from_value(value).ok()?;
            let key = jwk.verifying_key().ok()?;
            Some((jwk.kid, key))
        });
        let keys: Vec<_> = usable.take(MAX_KEYS).collect();
        match keys.is_empty() {
            true => Err("the key set holds no usable key".to_owned()),
            false => Ok(keys),
        }
    }

    async fn document<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let request = self.client.get(url).map_err(|error| error.to_string())?;
        let sent = request.timeout(FETCH_TIMEOUT).send().await;
        let mut response = sent.map_err(|error| error.to_string())?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("{url} answers {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
            if body.len() + chunk.len() > MAX_DOCUMENT {
                return Err(format!("{url} is larger than {MAX_DOCUMENT} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
    }
}

/// A document that came over TLS must not send us to keys without it.
fn downgrade(issuer: &str, jwks_uri: &str) -> Result<(), String> {
    match issuer.starts_with("https://") && !jwks_uri.starts_with("https://") {
        true => Err("discovery leads away from TLS".to_owned()),
        false => Ok(()),
    }
}

fn unfit(settings: &IssuerSettings) -> IdentityError {
    let (issuer, algorithm) = (&settings.issuer, settings.hmac_algorithm);
    IdentityError::Internal(match algorithm.hmac_bytes() {
        Some(least) => format!(
            "auth.issuers[{issuer}].hmac_secret must have at least {least} bytes for {algorithm:?}"
        ),
        None => format!("auth.issuers[{issuer}].hmac_algorithm must be HS256, HS384 or HS512"),
    })
}
