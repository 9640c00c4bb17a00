//! API keys: `X-API-Key: fl_<id>_<secret>`, for programs.
//!
//! **Invariants.** The secret is shown once and kept as SHA-256 (it is 256 random bits, so that a
//! slow hash would gain nothing). A key of a user can do no more than the user can at this moment;
//! scopes only narrow.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::{IdSource, Secret, Timestamp};
use serde::Serialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::cache::{Scopes, fingerprint};
use super::error::{IdentityError, invalid, unauthenticated};
use super::revocation::{Cut, Revocations};
use super::roles::valid_permission;
use super::users::{self, names_of};
use super::{AuthService, Created, accounts, replies};
use crate::audit::Entry;
use crate::http::auth::{CredentialKind, PermissionSet, Principal};
use crate::sql::{Query, Row, query};

/// Longest name, in characters.
pub const MAX_NAME: usize = 100;
/// Most scopes of a key.
pub const MAX_SCOPES: usize = 64;

const PREFIX: &str = "fl_";

/// A key as administrators see it; the secret is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// UUIDv7, also the middle part of the key's text.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whose key it is; without one it speaks for itself as `key:<id>`.
    pub user_id: Option<String>,
    /// Its roles. Of a user's key only those count that the user has too.
    pub roles: Vec<String>,
    /// Narrows the roles' permissions to these; `None` leaves them.
    pub scopes: Option<Vec<String>>,
    /// Narrows the accounts it reaches; `None`: those of its user, or nothing said.
    pub accounts: Option<Vec<String>>,
    /// Subject of who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// For people.
    pub name: String,
    /// Whose key it is to be.
    pub user_id: Option<String>,
    /// Names of existing roles.
    pub roles: Vec<String>,
    /// Permissions, in the spelling of the configuration.
    pub scopes: Option<Vec<String>>,
    /// Accounts it is to reach: ids, prefixes with `*`, or `*`.
    pub accounts: Option<Vec<String>>,
    /// In the future.
    pub expires_at: Option<Timestamp>,
}

/// A new key and, the first time only, its text.
pub type MadeKey = (ApiKey, Option<Secret<String>>);

impl AuthService {
    /// Makes a key. A repeated call with the same idempotency key answers the key without its
    /// text, which was shown once.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`], [`IdentityError::UserNotFound`],
    /// [`IdentityError::IdempotencyConflict`], the store's.
    pub async fn create_key(
        &self,
        actor: &str,
        new: NewApiKey,
        idempotency_key: Option<&str>,
    ) -> Result<Created<MadeKey>, IdentityError> {
        let now = self.now();
        self.check_new(&new, now)?;
        let mut request = json!({
            "operation": "createKey",
            "name": new.name,
            "userId": new.user_id,
            "roles": new.roles,
            "scopes": new.scopes,
            "expiresAt": new.expires_at,
        });
        if let Some(accounts) = &new.accounts {
            request["accounts"] = json!(accounts);
        }
        let key = ApiKey {
            id: self.new_id(),
            name: new.name,
            user_id: new.user_id,
            roles: new.roles,
            scopes: new.scopes,
            accounts: new.accounts,
            created_by: actor.to_owned(),
            created_at: Timestamp(now),
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let secret = URL_SAFE_NO_PAD.encode(IdSource::random_32());
        let mut tx = self.db.begin().await?;
        if let Some(idempotency_key) = idempotency_key {
            if let Some(id) = replies::find(&mut tx, actor, idempotency_key, &request).await? {
                let row = tx.fetch_optional(by_id(&id)).await?;
                let key = key_of(&row.ok_or(IdentityError::KeyNotFound)?)?;
                return Ok(Created {
                    value: (key, None),
                    replayed: true,
                });
            }
            replies::keep(&mut tx, actor, idempotency_key, &request, &key.id, now).await?;
        }
        if let Some(user_id) = &key.user_id {
            users::find(&mut tx, user_id).await?;
        }
        tx.execute(insert(&key, &fingerprint(secret.as_bytes())))
            .await?;
        let entry = Entry::new(actor, "key.created", object(&key.id)).after(&key);
        self.audit.append_in(&mut tx, entry).await?;
        tx.commit().await?;
        let text = format!("{PREFIX}{}_{secret}", key.id);
        Ok(Created {
            value: (key, Some(Secret::new(text))),
            replayed: false,
        })
    }

    /// One key.
    ///
    /// # Errors
    /// [`IdentityError::KeyNotFound`], the store's.
    pub async fn key(&self, id: &str) -> Result<ApiKey, IdentityError> {
        let row = self.db.fetch_optional(by_id(id)).await?;
        key_of(&row.ok_or(IdentityError::KeyNotFound)?)
    }

    /// Up to `limit` keys by id, after the id `after`; all, or those of one user.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(
        &self,
        user_id: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, IdentityError> {
        let select = "SELECT * FROM api_keys WHERE id > $1 AND ($2 IS NULL OR user_id = $2)
                      ORDER BY id LIMIT $3";
        let query = query(select)
            .bind(after.unwrap_or_default())
            .bind(user_id)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.db.fetch_all(query).await?;
        rows.iter().map(key_of).collect()
    }

    /// Revokes a key, at once and for ever. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`IdentityError::KeyNotFound`], the store's.
    pub async fn revoke_key(&self, actor: &str, id: &str) -> Result<ApiKey, IdentityError> {
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let row = tx.fetch_optional(by_id(id)).await?;
        let before = key_of(&row.ok_or(IdentityError::KeyNotFound)?)?;
        if before.revoked_at.is_some() {
            return Ok(before);
        }
        let mut after = before.clone();
        after.revoked_at = Some(Timestamp(now));
        let revoke = query("UPDATE api_keys SET revoked_at = $2 WHERE id = $1");
        tx.execute(revoke.bind(id).bind(now)).await?;
        let cut = Cut {
            scope: object(id),
            min_epoch: 1,
            until: self.cut_until(now),
        };
        Revocations::write(&mut tx, &cut).await?;
        let entry = Entry::new(actor, "key.revoked", object(id));
        self.audit
            .append_in(&mut tx, entry.before(&before).after(&after))
            .await?;
        tx.commit().await?;
        self.cut(&cut);
        Ok(after)
    }

    /// Looks a key's text up: whom it names, what can cut it off, when it ends by itself.
    pub(super) async fn check_key(
        &self,
        text: &str,
    ) -> Result<(Arc<Principal>, Scopes, Option<i64>), IdentityError> {
        let (id, secret) = split(text).ok_or_else(|| unauthenticated("malformed API key"))?;
        let select = "SELECT k.*, u.roles AS user_roles, u.disabled AS user_disabled,
                             u.epoch AS user_epoch, u.accounts AS user_accounts
                      FROM api_keys k LEFT JOIN users u ON u.id = k.user_id
                      WHERE k.id = $1";
        let row = self.db.fetch_optional(query(select).bind(id)).await?;
        let row = row.ok_or_else(|| unauthenticated("unknown API key"))?;
        let stored: Vec<u8> = row.get("secret_hash")?;
        if !bool::from(stored.ct_eq(&fingerprint(secret.as_bytes())[..])) {
            return Err(unauthenticated("wrong secret of an API key"));
        }
        let key = key_of(&row)?;
        let expired = key.expires_at.is_some_and(|at| self.now() >= at.micros());
        if key.revoked_at.is_some() || expired {
            return Err(unauthenticated("the API key is revoked or expired"));
        }
        if row.get::<Option<bool>>("user_disabled")? == Some(true) {
            return Err(unauthenticated("the API key's user is disabled"));
        }
        let user_roles = match row.get::<Option<String>>("user_roles")? {
            Some(json) => Some(names_of(&json)?),
            None => None,
        };
        let mut scopes: Scopes = vec![(object(&key.id).into(), 0)];
        if let (Some(user), Some(epoch)) = (&key.user_id, row.get("user_epoch")?) {
            scopes.push((users::object(user).into(), epoch));
        }
        let user_accounts = users::list_at(&row, "user_accounts")?;
        let principal = self.key_principal(&key, user_roles, user_accounts);
        Ok((
            Arc::new(principal),
            scopes,
            key.expires_at.map(Timestamp::micros),
        ))
    }

    fn key_principal(
        &self,
        key: &ApiKey,
        user_roles: Option<Vec<String>>,
        user_accounts: Option<Vec<String>>,
    ) -> Principal {
        let held = |role: &&String| user_roles.as_ref().is_none_or(|all| all.contains(role));
        let roles: Arc<[Box<str>]> = key
            .roles
            .iter()
            .filter(held)
            .map(|role| role.as_str().into())
            .collect();
        let mut permissions = self.roles.permissions(&roles);
        if let Some(scopes) = &key.scopes {
            let scopes = PermissionSet::parse(scopes.iter().map(String::as_str));
            permissions = Arc::new(permissions.intersect(&scopes));
        }
        let subject: Arc<str> = match &key.user_id {
            Some(user) => user.as_str().into(),
            None => object(&key.id).into(),
        };
        let accounts = accounts::both(key.accounts.clone(), user_accounts);
        Principal {
            accounts: accounts.map(|all| all.into_iter().map(String::into_boxed_str).collect()),
            owner: Arc::clone(&subject),
            subject,
            kind: CredentialKind::ApiKey,
            credential: object(&key.id).into(),
            token_id: Some(key.id.as_str().into()),
            roles,
            permissions,
        }
    }

    fn check_new(&self, new: &NewApiKey, now: i64) -> Result<(), IdentityError> {
        let name = new.name.trim();
        let control = name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > MAX_NAME || control {
            let message = "The name must be 1 to 100 characters without control characters.";
            return Err(invalid("name", message));
        }
        self.check_roles(&new.roles)?;
        accounts::check(new.accounts.as_deref())?;
        let scopes = new.scopes.as_deref().unwrap_or_default();
        if scopes.len() > MAX_SCOPES || !scopes.iter().all(|scope| valid_permission(scope)) {
            let message = "The scopes must be at most 64 permissions such as wallets:read.";
            return Err(invalid("scopes", message));
        }
        match new.expires_at {
            Some(at) if at.micros() <= now => {
                Err(invalid("expiresAt", "The time must lie in the future."))
            }
            _ => Ok(()),
        }
    }
}

/// Audit name and cut scope of a key.
fn object(id: &str) -> String {
    format!("key:{id}")
}

/// Id and secret of a key's text. Ids hold no `_`; secrets may.
fn split(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let plausible = id.len() == 36 && secret.len() == 43;
    plausible.then_some((id, secret))
}

fn by_id(id: &str) -> Query {
    query("SELECT * FROM api_keys WHERE id = $1").bind(id)
}

fn insert(key: &ApiKey, secret_hash: &[u8; 32]) -> Query {
    query(
        "INSERT INTO api_keys
             (id, name, user_id, secret_hash, roles, scopes, created_by, created_at, expires_at,
              accounts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&key.id)
    .bind(&key.name)
    .bind(key.user_id.clone())
    .bind(secret_hash)
    .bind(json!(key.roles).to_string())
    .bind(users::list_of(key.scopes.as_deref()))
    .bind(&key.created_by)
    .bind(key.created_at.micros())
    .bind(key.expires_at.map(Timestamp::micros))
    .bind(users::list_of(key.accounts.as_deref()))
}

fn key_of(row: &Row) -> Result<ApiKey, IdentityError> {
    Ok(ApiKey {
        id: row.get("id")?,
        name: row.get("name")?,
        user_id: row.get("user_id")?,
        roles: names_of(&row.get::<String>("roles")?)?,
        scopes: users::list_at(row, "scopes")?,
        accounts: users::list_at(row, "accounts")?,
        created_by: row.get("created_by")?,
        created_at: Timestamp(row.get("created_at")?),
        expires_at: row.get::<Option<i64>>("expires_at")?.map(Timestamp),
        revoked_at: row.get::<Option<i64>>("revoked_at")?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_key_is_taken_apart() {
        let id = "0190f000-0000-7000-8000-00000000000a";
        let secret = "_-_aAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(split(&format!("fl_{id}_{secret}")), Some((id, secret)));
        for bad in [
            "",
            "fl_",
            "fl_a_b",
            &format!("xx_{id}_{secret}"),
            &format!("fl_{id}_"),
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
