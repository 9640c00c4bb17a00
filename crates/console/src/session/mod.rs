//! Who has signed in: tokens in a sealed cookie, and nothing of it on the server.
//!
//! **Boundary.** Knows cookies and tokens, no pages. Where tokens come from is the business of
//! [`crate::sign_in`] and [`refresh`].
//!
//! **Invariants.**
//! - The cookie is sealed with ChaCha20-Poly1305 under a key of its own: a browser can neither
//!   read nor change it. It is `HttpOnly`, `SameSite=Lax` and, over TLS, `Secure` with the prefix
//!   `__Host-`, so that no other host of the domain can set it.
//! - A sign-in ends [`Sessions::longest`] after it began, however often it is refreshed.

pub mod cookie;
pub mod refresh;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::{Clock, IdSource, Secret};
use florin_platform::cache::Cache;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use cookie::{Life, read_cookies};
use seal::Sealer;

/// Microseconds of a second.
const MICROS: i64 = 1_000_000;
/// Longest value of one cookie; browsers keep 4,096 bytes with the name and its attributes.
const CHUNK: usize = 3_600;
/// Most cookies of a session: tokens of outside providers can be long.
const CHUNKS: usize = 4;
/// Life of the cookie that a sign-in page sets, in seconds.
const PENDING_SECONDS: u32 = 900;

/// Where the tokens of a session come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Name and password, through the API.
    #[serde(rename = "l")]
    Local,
    /// An outside provider.
    #[serde(rename = "o")]
    Oidc,
}

/// A sign-in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Names it in the cache; random.
    pub id: String,
    /// Where its tokens come from.
    pub source: Source,
    /// Token for the API.
    pub access: Secret<String>,
    /// Gives the next one.
    pub refresh: Option<Secret<String>>,
    /// End of the access token, in microseconds.
    pub expires_at: i64,
    /// When the visitor signed in, in microseconds.
    pub since: i64,
    /// Stands in every form.
    pub form_token: Secret<String>,
}

/// The members of a session as they are sealed; short names keep the cookie small.
#[derive(Serialize, Deserialize)]
struct Sealed {
    i: String,
    k: Source,
    a: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<String>,
    x: i64,
    s: i64,
    f: String,
}

/// Tokens as a sign-in or a refresh gives them.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Token for the API.
    pub access: Secret<String>,
    /// Gives the next one.
    pub refresh: Option<Secret<String>>,
    /// Seconds until the access token ends.
    pub expires_in: i64,
}

/// Makes, reads and refreshes sessions.
pub struct Sessions {
    sealer: Sealer,
    secure: bool,
    longest: Duration,
    clock: Arc<dyn Clock>,
    pub(crate) renewals: refresh::Renewals,
}

/// Random text that cannot be guessed: 32 bytes in base64.
pub fn random() -> String {
    URL_SAFE_NO_PAD.encode(IdSource::random_32())
}

impl Sessions {
    /// `secure` when browsers reach the server over TLS.
    pub fn new(
        secret: &[u8; 32],
        secure: bool,
        longest: Duration,
        clock: Arc<dyn Clock>,
        cache: Cache,
    ) -> Self {
        Self {
            sealer: Sealer::new(secret),
            secure,
            longest,
            clock,
            renewals: refresh::Renewals::new(cache),
        }
    }

    /// Longest life of a sign-in.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// A new sign-in.
    pub fn begin(&self, source: Source, tokens: Tokens) -> Session {
        let now = self.clock.wall_micros();
        Session {
            id: random(),
            source,
            access: tokens.access,
            refresh: tokens.refresh,
            expires_at: now + tokens.expires_in * MICROS,
            since: now,
            form_token: Secret::new(random()),
        }
    }

    /// The session of a request, if it has one that has not ended. Its access token may have.
    pub fn read(&self, headers: &HeaderMap) -> Option<Session> {
        let mut text = String::new();
        for index in 0..CHUNKS {
            match read_cookies(headers, &self.name(index)).next() {
                Some(part) => text.push_str(part),
                None => break,
            }
        }
        self.unseal_session(&text)
    }

    fn unseal_session(&self, text: &str) -> Option<Session> {
        let bytes = self.sealer.unseal("session", text)?;
        let sealed: Sealed = serde_json::from_slice(&bytes).ok()?;
        let longest = i64::try_from(self.longest.as_micros()).unwrap_or(i64::MAX);
        let live = self.clock.wall_micros() < sealed.s.saturating_add(longest);
        live.then_some(Session {
            id: sealed.i,
            source: sealed.k,
            access: Secret::new(sealed.a),
            refresh: sealed.r.map(Secret::new),
            expires_at: sealed.x,
            since: sealed.s,
            form_token: Secret::new(sealed.f),
        })
    }

    fn seal_session(&self, session: &Session) -> String {
        let sealed = Sealed {
            i: session.id.clone(),
            k: session.source,
            a: session.access.expose().clone(),
            r: session.refresh.as_ref().map(|token| token.expose().clone()),
            x: session.expires_at,
            s: session.since,
            f: session.form_token.expose().clone(),
        };
        let bytes = serde_json::to_vec(&sealed).expect("texts and numbers are JSON");
        self.sealer.seal("session", &bytes)
    }

    /// The cookies of a session; `None` when its tokens are too long for them.
    pub fn cookies(&self, session: &Session) -> Option<Vec<HeaderValue>> {
        let text = self.seal_session(session);
        let parts: Vec<&[u8]> = text.as_bytes().chunks(CHUNK).collect();
        if parts.len() > CHUNKS {
            return None;
        }
        let mut cookies = Vec::new();
        for index in 0..CHUNKS {
            let part = parts.get(index).copied().unwrap_or_default();
            let part = std::str::from_utf8(part).expect("base64 is ASCII");
            let life = match part.is_empty() {
                true => Life::Gone,
                false => Life::Browser,
            };
            // The first is always set; the others only when they are needed or may be left over.
            cookies.extend(self.cookie(&self.name(index), part, life));
        }
        Some(cookies)
    }

    /// Cookies that end a session in the browser.
    pub fn ended(&self) -> Vec<HeaderValue> {
        let names = (0..CHUNKS).map(|index| self.name(index));
        names
            .filter_map(|name| self.cookie(&name, "", Life::Gone))
            .collect()
    }

    fn name(&self, index: usize) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        match index {
            0 => format!("{prefix}florin_console"),
            _ => format!("{prefix}florin_console_{index}"),
        }
    }

    fn cookie(&self, name: &str, value: &str, life: Life) -> Option<HeaderValue> {
        cookie::set(name, value, life, self.secure)
    }

    /// A sealed cookie for the time of a sign-in: what an outside provider must give back, or
    /// the token of the form.
    pub fn pending(&self, purpose: &'static str, bytes: &[u8]) -> Option<HeaderValue> {
        let value = self.sealer.seal(purpose, bytes);
        self.cookie(
            &self.pending_name(purpose),
            &value,
            Life::Seconds(PENDING_SECONDS),
        )
    }

    /// Reads it back.
    pub fn read_pending(&self, purpose: &'static str, headers: &HeaderMap) -> Option<Vec<u8>> {
        let name = self.pending_name(purpose);
        let text = read_cookies(headers, &name).next()?;
        self.sealer.unseal(purpose, text)
    }

    /// Takes it away.
    pub fn end_pending(&self, purpose: &'static str) -> Option<HeaderValue> {
        self.cookie(&self.pending_name(purpose), "", Life::Gone)
    }

    fn pending_name(&self, purpose: &str) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}florin_console_{purpose}")
    }
}

/// Compares in constant time.
pub fn same(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left
            .bytes()
            .zip(right.bytes())
            .fold(0, |seen, (a, b)| seen | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::clock::ManualClock;
    use http::header::COOKIE;

    fn sessions(clock: &Arc<ManualClock>, secure: bool) -> Sessions {
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        let cache = Cache::local(Arc::clone(&clock));
        Sessions::new(&[7; 32], secure, Duration::from_secs(3_600), clock, cache)
    }

    fn tokens(length: usize) -> Tokens {
        Tokens {
            access: Secret::new("a".repeat(length)),
            refresh: Some(Secret::new("r1".to_owned())),
            expires_in: 900,
        }
    }

    /// What a browser sends back.
    fn sent_back(cookies: &[HeaderValue]) -> HeaderMap {
        let kept = cookies.iter().filter_map(|cookie| {
            let text = cookie.to_str().expect("ASCII");
            let first = text.split(';').next().expect("name and value");
            (!first.ends_with('=')).then(|| first.to_owned())
        });
        let mut headers = HeaderMap::new();
        let line = kept.collect::<Vec<_>>().join("; ");
        headers.insert(COOKIE, HeaderValue::from_str(&line).expect("ASCII"));
        headers
    }

    #[test]
    fn a_session_comes_back_whole_and_ends() {
        let clock = Arc::new(ManualClock::new(1_000_000_000));
        let sessions = sessions(&clock, false);
        for length in [500, 9_000] {
            let session = sessions.begin(Source::Local, tokens(length));
            let cookies = sessions.cookies(&session).expect("short enough");
            let headers = sent_back(&cookies);
            let back = sessions.read(&headers).expect("a session");
            assert_eq!(back.access, session.access);
            assert_eq!(back.refresh, session.refresh);
            assert_eq!(back.form_token, session.form_token);
            clock.advance(3_599 * MICROS);
            assert!(sessions.read(&headers).is_some());
            clock.advance(MICROS);
            assert!(sessions.read(&headers).is_none(), "it has ended");
        }
        let session = sessions.begin(Source::Oidc, tokens(20_000));
        assert!(sessions.cookies(&session).is_none(), "too long for cookies");
    }

    #[test]
    fn cookies_are_closed_to_scripts_and_other_sites() {
        let clock = Arc::new(ManualClock::new(0));
        for (secure, words) in [
            (false, "; Path=/console; HttpOnly; SameSite=Lax"),
            (true, "; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ] {
            let sessions = sessions(&clock, secure);
            let session = sessions.begin(Source::Local, tokens(10));
            let cookies = sessions.cookies(&session).expect("short");
            let text = cookies[0].to_str().expect("ASCII");
            assert!(text.contains(words), "{text}");
            assert_eq!(text.starts_with("__Host-"), secure, "{text}");
            assert!(!text.contains("aaaaaaaaaa"), "the token is sealed");
        }
    }

    #[test]
    fn a_changed_cookie_is_none() {
        let clock = Arc::new(ManualClock::new(0));
        let sessions = sessions(&clock, false);
        let session = sessions.begin(Source::Local, tokens(10));
        let text = sessions.seal_session(&session);
        assert!(sessions.unseal_session(&text).is_some());
        for at in [0, 20, text.len() - 2] {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(sessions.unseal_session(&changed).is_none(), "{at}");
        }
        let bytes = sessions.sealer.unseal("session", &text).expect("ours");
        let other = sessions.sealer.seal("oidc", &bytes);
        assert!(
            sessions.unseal_session(&other).is_none(),
            "sealed for another purpose"
        );
    }
}
