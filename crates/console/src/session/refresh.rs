//! New access tokens for old ones.
//!
//! **Invariants.** A refresh token is used once, although a browser asks for several things at
//! the same time and may lose an answer: within a process one request at a time refreshes a
//! session, and what it got is kept, sealed, for [`KEPT`] in the cache that processes share.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use florin_platform::cache::Cache;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

use super::{MICROS, Session, Sessions, Tokens};

/// How long what a refresh gave is kept for requests that still carry the old cookie.
const KEPT: Duration = Duration::from_secs(300);
/// A token is refreshed when it ends within this time, in microseconds.
const EARLY_MICROS: i64 = 60 * MICROS;
/// Space of the cache.
const SPACE: &str = "console-session";
/// Sessions whose turns are remembered before those that nobody waits for are forgotten.
const TURNS_MAX: usize = 1_024;

/// Who is refreshing which session.
pub(crate) struct Renewals {
    cache: Cache,
    turns: Mutex<HashMap<String, Weak<Turn<()>>>>,
}

/// A session whose access token is good.
#[derive(Debug)]
pub struct Current {
    /// It.
    pub session: Session,
    /// The browser must be told.
    pub changed: bool,
}

impl Renewals {
    pub(crate) fn new(cache: Cache) -> Self {
        Self {
            cache,
            turns: Mutex::default(),
        }
    }

    fn turn(&self, id: &str) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= TURNS_MAX {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(id.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

impl Sessions {
    /// The session with an access token that is good for a while; `None` when it has ended.
    /// `renew` gives tokens for a refresh token; an error of it that may pass is `Err`.
    ///
    /// # Errors
    /// What `renew` could not do for now; an access token that has not ended is used up first.
    pub async fn current<F, E>(
        &self,
        session: Session,
        renew: impl FnOnce(Session) -> F,
    ) -> Result<Option<Current>, E>
    where
        F: Future<Output = Result<Option<Tokens>, E>>,
    {
        let now = self.clock.wall_micros();
        if now + EARLY_MICROS < session.expires_at {
            let changed = false;
            return Ok(Some(Current { session, changed }));
        }
        if session.refresh.is_none() {
            let live = now < session.expires_at;
            let changed = false;
            return Ok(live.then_some(Current { session, changed }));
        }
        let turn = self.renewals.turn(&session.id);
        let _turn = turn.lock().await;
        if let Some(kept) = self.kept(&session).await {
            let (session, changed) = (kept, true);
            return Ok(Some(Current { session, changed }));
        }
        match renew(session.clone()).await {
            Ok(Some(tokens)) => {
                let session = self.renewed(session, tokens);
                let sealed = Bytes::from(self.seal_session(&session));
                let cache = &self.renewals.cache;
                cache.put(SPACE, &session.id, sealed, KEPT).await;
                let changed = true;
                Ok(Some(Current { session, changed }))
            }
            Ok(None) => Ok(None),
            Err(_) if now < session.expires_at => {
                let changed = false;
                Ok(Some(Current { session, changed }))
            }
            Err(error) => Err(error),
        }
    }

    /// What another request of the same session got a moment ago.
    async fn kept(&self, session: &Session) -> Option<Session> {
        let bytes = self.renewals.cache.get(SPACE, &session.id).await?;
        let kept = self.unseal_session(std::str::from_utf8(&bytes).ok()?)?;
        (kept.expires_at > session.expires_at).then_some(kept)
    }

    fn renewed(&self, session: Session, tokens: Tokens) -> Session {
        Session {
            access: tokens.access,
            // A provider that does not rotate keeps the old one good.
            refresh: tokens.refresh.or(session.refresh),
            expires_at: self.clock.wall_micros() + tokens.expires_in * MICROS,
            ..session
        }
    }

    /// Forgets what was kept of a session that was ended.
    pub async fn forget(&self, session: &Session) {
        self.renewals.cache.forget(SPACE, &session.id).await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use florin_base::clock::ManualClock;
    use florin_base::{Clock, Secret};

    use super::super::Source;
    use super::*;

    fn tokens(name: &str, expires_in: i64) -> Tokens {
        Tokens {
            access: Secret::new(format!("access-{name}")),
            refresh: Some(Secret::new(format!("refresh-{name}"))),
            expires_in,
        }
    }

    #[tokio::test]
    async fn a_refresh_token_is_used_once_by_requests_of_one_cookie() {
        let clock = Arc::new(ManualClock::new(0));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let cache = Cache::local(Arc::clone(&shared));
        let life = Duration::from_secs(3_600);
        let sessions = Sessions::new(&[1; 32], false, life, shared, cache);
        let old = sessions.begin(Source::Local, tokens("1", 900));
        let used = AtomicUsize::new(0);
        let renew = |session: Session| {
            let token = session.refresh.expect("there").into_inner();
            assert_eq!(token, "refresh-1");
            used.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(Some(tokens("2", 900)))
            }
        };
        let early = sessions.current(old.clone(), renew).await;
        let early = early.expect("no error").expect("live");
        assert!(!early.changed, "nothing to do yet");
        clock.advance(850 * MICROS);
        let all = (0..8).map(|_| sessions.current(old.clone(), renew));
        for found in futures_util::future::join_all(all).await {
            let found = found.expect("no error").expect("live");
            assert!(found.changed);
            assert_eq!(found.session.access.expose(), "access-2");
        }
        assert_eq!(used.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_provider_that_is_away_does_not_end_a_good_token() {
        let clock = Arc::new(ManualClock::new(0));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let cache = Cache::local(Arc::clone(&shared));
        let life = Duration::from_secs(36_000);
        let sessions = Sessions::new(&[1; 32], false, life, shared, cache);
        let session = sessions.begin(Source::Oidc, tokens("1", 900));
        let away = |_| async { Err("away") };
        clock.advance(850 * MICROS);
        assert!(matches!(
            sessions.current(session.clone(), away).await,
            Ok(Some(_))
        ));
        clock.advance(60 * MICROS);
        assert!(matches!(
            sessions.current(session.clone(), away).await,
            Err("away")
        ));
        let refused = |_| async { Ok::<_, &str>(None) };
        assert!(matches!(sessions.current(session, refused).await, Ok(None)));
    }
}
