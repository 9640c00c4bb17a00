//! Log-ins: access tokens that everybody can verify, refresh tokens that only the store knows.
//!
//! **Invariants.** A refresh token works once; used a second time it ends its whole log-in
//! (RFC 9700, section 4.14). Refresh tokens are kept as SHA-256 only. A name that does not exist
//! costs as much time as a wrong password and gets the same answer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::{IdSource, Secret};
use serde::Serialize;
use serde_json::json;

use super::cache::fingerprint;
use super::error::{IdentityError, unauthenticated};
use super::revocation::{Cut, Revocations};
use super::users::{NewUser, User, normalise, user_of};
use super::{AuthService, MICROS, Signup};
use crate::audit::Entry;
use crate::sql::{Tx, query};

const REFRESH_PREFIX: &str = "flr_";

/// What a log-in or refresh answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// The JWT for `Authorization: Bearer`.
    #[serde(serialize_with = "expose")]
    pub access_token: Secret<String>,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u32,
    /// For one use of `POST /api/v1/auth/refresh`.
    #[serde(serialize_with = "expose")]
    pub refresh_token: Secret<String>,
    /// Seconds until the refresh token expires.
    pub refresh_expires_in: i64,
}

/// What the log-in without a refresh token answers (shadow-ledger contract, section E).
#[derive(Clone, Debug)]
pub struct PlainToken {
    /// The JWT for `Authorization: Bearer`.
    pub token: Secret<String>,
    /// Seconds until it expires.
    pub expires_in: u32,
}

/// A log-in that has begun in a transaction.
struct Begun {
    user: User,
    id: String,
    expires_at: i64,
}

fn expose<S: serde::Serializer>(value: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(value.expose())
}

impl AuthService {
    /// Checks name and password and starts a log-in.
    ///
    /// # Errors
    /// [`IdentityError::Unauthenticated`] for an unknown name, a wrong password and a disabled
    /// user alike; [`IdentityError::Overloaded`]; the store's.
    pub async fn log_in(
        &self,
        user_name: &str,
        password: Secret<String>,
    ) -> Result<Tokens, IdentityError> {
        let user = self.recognise(user_name, password).await?;
        self.start_session(&user).await
    }

    /// As [`AuthService::log_in`], for one token that cannot be refreshed.
    ///
    /// # Errors
    /// As [`AuthService::log_in`].
    pub async fn log_in_plain(
        &self,
        user_name: &str,
        password: Secret<String>,
    ) -> Result<(User, PlainToken), IdentityError> {
        let known = self.recognise(user_name, password).await?;
        let now = self.now();
        let expires_in = self.settings.plain_token_seconds;
        let until = now + i64::from(expires_in) * MICROS;
        let mut tx = self.db.begin().await?;
        let begun = self.begin_session(&mut tx, &known, now, until).await?;
        tx.commit().await?;
        let token = self.access_token(&begun.user, &begun.id, now, expires_in);
        let token = Secret::new(token);
        Ok((begun.user, PlainToken { token, expires_in }))
    }

    async fn recognise(
        &self,
        user_name: &str,
        password: Secret<String>,
    ) -> Result<User, IdentityError> {
        // A name that cannot exist takes the same path as one that does not.
        let name = normalise(user_name).unwrap_or_default();
        let select = query("SELECT * FROM users WHERE user_name = $1").bind(name);
        let row = self.db.fetch_optional(select).await?;
        let stored = match &row {
            Some(row) => row.get::<Option<String>>("password")?,
            None => None,
        };
        let fits = self.passwords.check(stored, password).await?;
        let user = row.as_ref().map(user_of).transpose()?;
        let user = user.filter(|user| fits && !user.disabled);
        user.ok_or_else(|| unauthenticated("name, password or account is not good"))
    }

    /// Makes an account with the role `user` for the caller himself and logs him in.
    ///
    /// # Errors
    /// [`IdentityError::SignupClosed`], else as [`AuthService::create_user`].
    pub async fn sign_up(
        &self,
        user_name: String,
        password: Secret<String>,
        display_name: Option<String>,
    ) -> Result<(User, Tokens), IdentityError> {
        if self.signup != Signup::Open {
            return Err(IdentityError::SignupClosed);
        }
        let new = NewUser {
            id: None,
            user_name,
            password: Some(password),
            display_name,
            roles: vec!["user".to_owned()],
            accounts: None,
        };
        let user = self.create_user("signup", new, None).await?.value;
        let tokens = self.start_session(&user).await?;
        Ok((user, tokens))
    }

    async fn start_session(&self, user: &User) -> Result<Tokens, IdentityError> {
        let now = self.now();
        let until = now + i64::from(self.settings.session_seconds) * MICROS;
        let mut tx = self.db.begin().await?;
        let begun = self.begin_session(&mut tx, user, now, until).await?;
        let Begun {
            user,
            id,
            expires_at,
        } = begun;
        let tokens = self.issue(&mut tx, &user, &id, expires_at, now).await?;
        tx.commit().await?;
        Ok(tokens)
    }

    async fn begin_session(
        &self,
        tx: &mut Tx,
        known: &User,
        now: i64,
        expires_at: i64,
    ) -> Result<Begun, IdentityError> {
        let id = self.new_id();
        // The user is read again: he may have been disabled, or have got another password, while
        // this one was checked.
        let user = super::users::find(tx, &known.id).await?;
        if user.disabled || user.epoch != known.epoch {
            return Err(unauthenticated(
                "the user was disabled or changed meanwhile",
            ));
        }
        let insert = "INSERT INTO sessions (id, user_id, created_at, expires_at)
                      VALUES ($1, $2, $3, $4)";
        let row = query(insert)
            .bind(&id)
            .bind(&user.id)
            .bind(now)
            .bind(expires_at);
        tx.execute(row).await?;
        let entry = Entry::new(&user.id, "session.started", session(&id));
        self.audit.append_in(tx, entry).await?;
        Ok(Begun {
            user,
            id,
            expires_at,
        })
    }

    /// Gives new tokens for a refresh token, which is used up.
    ///
    /// # Errors
    /// [`IdentityError::Unauthenticated`] for one that is unknown, expired, revoked, of a
    /// disabled user, or used before: then the whole log-in has ended. The store's.
    pub async fn refresh(&self, token: &Secret<String>) -> Result<Tokens, IdentityError> {
        let hash = hash_of(token)?;
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let select = "SELECT t.session_id, t.used_at, t.expires_at AS token_expires_at,
                             s.expires_at AS session_expires_at, s.revoked_at, u.*
                      FROM refresh_tokens t
                      JOIN sessions s ON s.id = t.session_id
                      JOIN users u ON u.id = s.user_id
                      WHERE t.hash = $1";
        let row = tx.fetch_optional(query(select).bind(&hash[..])).await?;
        let row = row.ok_or_else(|| unauthenticated("unknown refresh token"))?;
        let user = user_of(&row)?;
        let session_id: String = row.get("session_id")?;
        let expires_at: i64 = row.get("session_expires_at")?;
        if row.get::<Option<i64>>("revoked_at")?.is_some() {
            return Err(unauthenticated("the log-in has ended"));
        }
        if row.get::<Option<i64>>("used_at")?.is_some() {
            let entry = Entry::new(&user.id, "session.refresh_reused", session(&session_id));
            self.end_session(tx, &session_id, entry, now).await?;
            return Err(unauthenticated("the refresh token was used before"));
        }
        if now >= row.get::<i64>("token_expires_at")? || user.disabled {
            return Err(unauthenticated("refresh token expired or user disabled"));
        }
        let used = "UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL";
        if tx.execute(query(used).bind(&hash[..]).bind(now)).await? != 1 {
            return Err(unauthenticated("the refresh token was used meanwhile"));
        }
        let tokens = self
            .issue(&mut tx, &user, &session_id, expires_at, now)
            .await?;
        tx.commit().await?;
        Ok(tokens)
    }

    /// Ends a log-in; its access tokens fall at once. Ending it twice changes nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_out(&self, session_id: &str) -> Result<(), IdentityError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let select = "SELECT user_id FROM sessions WHERE id = $1 AND revoked_at IS NULL";
        let row = tx.fetch_optional(query(select).bind(session_id)).await?;
        let Some(row) = row else {
            return Ok(());
        };
        let user_id: String = row.get("user_id")?;
        let entry = Entry::new(user_id, "session.ended", session(session_id));
        self.end_session(tx, session_id, entry, now).await
    }

    /// Ends the log-in of a refresh token, for callers whose access token has expired.
    ///
    /// # Errors
    /// [`IdentityError::Unauthenticated`] for one that is not known, the store's.
    pub async fn log_out_by_refresh(&self, token: &Secret<String>) -> Result<(), IdentityError> {
        let hash = hash_of(token)?;
        let select = "SELECT session_id FROM refresh_tokens WHERE hash = $1";
        let row = self
            .db
            .fetch_optional(query(select).bind(&hash[..]))
            .await?;
        let row = row.ok_or_else(|| unauthenticated("unknown refresh token"))?;
        self.log_out(&row.get::<String>("session_id")?).await
    }

    async fn end_session(
        &self,
        mut tx: Tx,
        id: &str,
        entry: Entry,
        now: i64,
    ) -> Result<(), IdentityError> {
        let end = query("UPDATE sessions SET revoked_at = $2 WHERE id = $1");
        tx.execute(end.bind(id).bind(now)).await?;
        let cut = Cut {
            scope: session(id),
            min_epoch: 1,
            until: self.cut_until(now),
        };
        Revocations::write(&mut tx, &cut).await?;
        self.audit.append_in(&mut tx, entry).await?;
        tx.commit().await?;
        self.cut(&cut);
        Ok(())
    }

    /// Makes both tokens of a log-in and keeps the refresh token's hash.
    async fn issue(
        &self,
        tx: &mut Tx,
        user: &User,
        session_id: &str,
        session_expires_at: i64,
        now: i64,
    ) -> Result<Tokens, IdentityError> {
        let refresh = URL_SAFE_NO_PAD.encode(IdSource::random_32());
        let refresh = format!("{REFRESH_PREFIX}{refresh}");
        let longest = now + i64::from(self.settings.refresh_token_seconds) * MICROS;
        let refresh_expires_at = longest.min(session_expires_at);
        let insert = "INSERT INTO refresh_tokens (hash, session_id, expires_at)
                      VALUES ($1, $2, $3)";
        let row = query(insert)
            .bind(fingerprint(refresh.as_bytes()))
            .bind(session_id)
            .bind(refresh_expires_at);
        tx.execute(row).await?;
        let expires_in = self.settings.access_token_seconds;
        Ok(Tokens {
            access_token: Secret::new(self.access_token(user, session_id, now, expires_in)),
            token_type: "Bearer",
            expires_in,
            refresh_token: Secret::new(refresh),
            refresh_expires_in: (refresh_expires_at - now) / MICROS,
        })
    }

    fn access_token(&self, user: &User, session_id: &str, now: i64, life: u32) -> String {
        let now = now / MICROS;
        let mut claims = json!({
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "sub": user.id,
            "jti": self.new_id(),
            "sid": session_id,
            "iat": now,
            "nbf": now,
            "exp": now + i64::from(life),
            "name": user.user_name,
            "roles": user.roles,
            "epoch": user.epoch,
        });
        if let Some(accounts) = &user.accounts {
            claims["accounts"] = json!(accounts);
        }
        self.keys.sign(&claims)
    }
}

/// Audit name and cut scope of a log-in.
pub(super) fn session(id: &str) -> String {
    format!("session:{id}")
}

fn hash_of(token: &Secret<String>) -> Result<[u8; 32], IdentityError> {
    match token.expose().starts_with(REFRESH_PREFIX) {
        true => Ok(fingerprint(token.expose().as_bytes())),
        false => Err(unauthenticated("not a refresh token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_never_print() {
        let tokens = Tokens {
            access_token: Secret::new("a.b.c".into()),
            token_type: "Bearer",
            expires_in: 900,
            refresh_token: Secret::new("flr_x".into()),
            refresh_expires_in: 1,
        };
        let printed = format!("{tokens:?}");
        assert!(
            !printed.contains("a.b.c") && !printed.contains("flr_x"),
            "{printed}"
        );
        assert_eq!(json!(tokens)["accessToken"], "a.b.c");
    }
}
