//! Local users: accounts with a name, a password and roles.
//!
//! **Invariants.** Names are kept in lower case and are unique. A change that takes rights away
//! (disabling, other roles, another password) cuts off what was issued before, in the same
//! transaction; a new password and disabling also end all log-ins.

use florin_base::{Secret, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::error::{IdentityError, invalid, unauthenticated};
use super::revocation::{Cut, Revocations};
use super::{AuthService, Created, accounts, replies};
use crate::audit::Entry;
use crate::sql::{Query, Row, SqlError, Tx, query};

/// Most roles of a user or key.
pub const MAX_ROLES: usize = 16;
/// Longest display name, in characters.
pub const MAX_DISPLAY_NAME: usize = 100;

/// A user as administrators see him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// `sub` of his tokens and owner of his wallets.
    pub id: String,
    /// What he logs in with, in lower case.
    pub user_name: String,
    /// For people.
    pub display_name: Option<String>,
    /// Names of his roles.
    pub roles: Vec<String>,
    /// Accounts he reaches in rooms that know such a scope; `None`: nothing is said.
    pub accounts: Option<Vec<String>>,
    /// True when he can do nothing.
    pub disabled: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Generation of his credentials; those of an earlier one are cut off.
    #[serde(skip)]
    pub(super) epoch: i64,
}

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// 1–100 of `[A-Za-z0-9_@.-]`; a UUIDv7 when left out.
    pub id: Option<String>,
    /// 1–100 of `[A-Za-z0-9_@.+-]`.
    pub user_name: String,
    /// Without one he cannot log in, only use API keys.
    pub password: Option<Secret<String>>,
    /// For people.
    pub display_name: Option<String>,
    /// Names of existing roles.
    pub roles: Vec<String>,
    /// Accounts he is to reach: ids, prefixes with `*`, or `*`.
    pub accounts: Option<Vec<String>>,
}

/// A change; members left out stay as they are.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Another name for people, or none.
    pub display_name: Option<Option<String>>,
    /// The new roles, all of them.
    pub roles: Option<Vec<String>>,
    /// The accounts he reaches from now on, all of them, or nothing said.
    pub accounts: Option<Option<Vec<String>>>,
    /// Disables or enables.
    pub disabled: Option<bool>,
}

/// Which users a list shows.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Exactly this name.
    pub user_name: Option<String>,
    /// Only disabled ones, or only others.
    pub disabled: Option<bool>,
}

impl AuthService {
    /// Makes an account. With an idempotency key a second call answers the same account.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`], [`IdentityError::UserExists`],
    /// [`IdentityError::IdempotencyConflict`], the store's.
    pub async fn create_user(
        &self,
        actor: &str,
        new: NewUser,
        idempotency_key: Option<&str>,
    ) -> Result<Created<User>, IdentityError> {
        let user_name = normalise(&new.user_name)?;
        self.check_roles(&new.roles)?;
        accounts::check(new.accounts.as_deref())?;
        check_display_name(new.display_name.as_deref())?;
        if let Some(id) = &new.id {
            check_id(id)?;
        }
        let mut request = json!({
            "operation": "createUser",
            "id": new.id,
            "userName": user_name,
            "displayName": new.display_name,
            "roles": new.roles,
        });
        if let Some(accounts) = &new.accounts {
            request["accounts"] = json!(accounts);
        }
        let password = match new.password {
            Some(password) => Some(self.passwords.hash("password", password).await?),
            None => None,
        };
        let now = self.now();
        let user = User {
            id: new.id.unwrap_or_else(|| self.new_id()),
            user_name,
            display_name: new.display_name,
            roles: new.roles,
            accounts: new.accounts,
            disabled: false,
            created_at: Timestamp(now),
            updated_at: Timestamp(now),
            epoch: 0,
        };
        let mut tx = self.db.begin().await?;
        if let Some(key) = idempotency_key {
            if let Some(id) = replies::find(&mut tx, actor, key, &request).await? {
                let user = find(&mut tx, &id).await?;
                return Ok(Created {
                    value: user,
                    replayed: true,
                });
            }
            replies::keep(&mut tx, actor, key, &request, &user.id, now).await?;
        }
        match tx.execute(insert(&user, password)).await {
            Err(SqlError::Duplicate(_)) => return Err(IdentityError::UserExists),
            done => done?,
        };
        let entry = Entry::new(actor, "user.created", object(&user.id)).after(&user);
        self.audit.append_in(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Created {
            value: user,
            replayed: false,
        })
    }

    /// One account.
    ///
    /// # Errors
    /// [`IdentityError::UserNotFound`], the store's.
    pub async fn user(&self, id: &str) -> Result<User, IdentityError> {
        let row = self.db.fetch_optional(by_id(id)).await?;
        user_of(&row.ok_or(IdentityError::UserNotFound)?)
    }

    /// The account with this name, in any case.
    ///
    /// # Errors
    /// [`IdentityError::UserNotFound`], the store's.
    pub async fn user_by_name(&self, name: &str) -> Result<User, IdentityError> {
        let filter = UserFilter {
            user_name: Some(name.to_owned()),
            disabled: None,
        };
        let found = self.users(&filter, None, 1).await?;
        found.into_iter().next().ok_or(IdentityError::UserNotFound)
    }

    /// Up to `limit` accounts by id, after the id `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn users(
        &self,
        filter: &UserFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<User>, IdentityError> {
        let select = "SELECT * FROM users WHERE id > $1
                      AND ($2 IS NULL OR user_name = $2) AND ($3 IS NULL OR disabled = $3)
                      ORDER BY id LIMIT $4";
        let query = query(select)
            .bind(after.unwrap_or_default())
            .bind(
                filter
                    .user_name
                    .as_ref()
                    .map(|name| name.trim().to_ascii_lowercase()),
            )
            .bind(filter.disabled)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.db.fetch_all(query).await?;
        rows.iter().map(user_of).collect()
    }

    /// Changes an account; takes effect at once everywhere in this process.
    ///
    /// # Errors
    /// [`IdentityError::UserNotFound`], [`IdentityError::Invalid`], the store's.
    pub async fn change_user(
        &self,
        actor: &str,
        id: &str,
        change: UserChange,
    ) -> Result<User, IdentityError> {
        if let Some(roles) = &change.roles {
            self.check_roles(roles)?;
        }
        accounts::check(change.accounts.as_ref().and_then(Option::as_deref))?;
        check_display_name(change.display_name.as_ref().and_then(Option::as_deref))?;
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let before = find(&mut tx, id).await?;
        let mut after = before.clone();
        if let Some(display_name) = change.display_name {
            after.display_name = display_name;
        }
        after.roles = change.roles.unwrap_or(after.roles);
        after.accounts = change.accounts.unwrap_or(after.accounts);
        after.disabled = change.disabled.unwrap_or(after.disabled);
        if after == before {
            return Ok(before);
        }
        after.updated_at = Timestamp(now);
        let mut cut = None;
        let rights = after.roles != before.roles || after.accounts != before.accounts;
        if rights || (after.disabled && !before.disabled) {
            after.epoch += 1;
            cut = Some(self.user_cut(&after, now));
        }
        if after.disabled && !before.disabled {
            end_sessions(&mut tx, id, now).await?;
        }
        tx.execute(update(&after)).await?;
        if let Some(cut) = &cut {
            Revocations::write(&mut tx, cut).await?;
        }
        let action = match (before.disabled, after.disabled) {
            (false, true) => "user.disabled",
            (true, false) => "user.enabled",
            _ => "user.changed",
        };
        let entry = Entry::new(actor, action, object(id))
            .before(&before)
            .after(&after);
        self.audit.append_in(&mut tx, entry).await?;
        tx.commit().await?;
        if let Some(cut) = &cut {
            self.cut(cut);
        }
        Ok(after)
    }

    /// Sets another password and ends all log-ins.
    ///
    /// # Errors
    /// [`IdentityError::UserNotFound`], [`IdentityError::Invalid`], the store's.
    pub async fn set_password(
        &self,
        actor: &str,
        id: &str,
        password: Secret<String>,
    ) -> Result<(), IdentityError> {
        let hash = self.passwords.hash("password", password).await?;
        let now = self.now();
        let mut tx = self.db.begin().await?;
        let before = find(&mut tx, id).await?;
        let mut after = before.clone();
        after.epoch += 1;
        after.updated_at = Timestamp(now);
        let cut = self.user_cut(&after, now);
        tx.execute(update(&after)).await?;
        let set = query("UPDATE users SET password = $2 WHERE id = $1");
        tx.execute(set.bind(id).bind(hash)).await?;
        end_sessions(&mut tx, id, now).await?;
        Revocations::write(&mut tx, &cut).await?;
        let entry = Entry::new(actor, "user.password_set", object(id));
        let entry = entry.before(&before).after(&after);
        self.audit.append_in(&mut tx, entry).await?;
        tx.commit().await?;
        self.cut(&cut);
        Ok(())
    }

    /// Lets a user exchange his password himself. All his log-ins end, this one too.
    ///
    /// # Errors
    /// [`IdentityError::Unauthenticated`] when the current password does not fit or the caller
    /// has no account here, else as [`AuthService::set_password`].
    pub async fn change_own_password(
        &self,
        id: &str,
        current: Secret<String>,
        new: Secret<String>,
    ) -> Result<(), IdentityError> {
        let select = query("SELECT password FROM users WHERE id = $1").bind(id);
        let stored = match self.db.fetch_optional(select).await? {
            Some(row) => row.get::<Option<String>>("password")?,
            None => None,
        };
        match self.passwords.check(stored, current).await? {
            true => self.set_password(id, id, new).await,
            false => Err(unauthenticated("the current password does not fit")),
        }
    }

    fn user_cut(&self, user: &User, now: i64) -> Cut {
        Cut {
            scope: object(&user.id),
            min_epoch: user.epoch,
            until: self.cut_until(now),
        }
    }

    pub(super) fn check_roles(&self, roles: &[String]) -> Result<(), IdentityError> {
        if roles.len() > MAX_ROLES {
            let message = format!("At most {MAX_ROLES} roles can be given.");
            return Err(invalid("roles", message));
        }
        for (index, role) in roles.iter().enumerate() {
            if !self.roles.exists(role) {
                let known: Vec<_> = self.roles.names().collect();
                let message = format!("Each role must be one of {}.", known.join(", "));
                return Err(invalid("roles", message));
            }
            if roles[..index].contains(role) {
                return Err(invalid("roles", "A role is given twice."));
            }
        }
        Ok(())
    }
}

/// Audit name and cut scope of a user.
pub(super) fn object(id: &str) -> String {
    format!("user:{id}")
}

pub(super) async fn find(tx: &mut Tx, id: &str) -> Result<User, IdentityError> {
    let row = tx.fetch_optional(by_id(id)).await?;
    user_of(&row.ok_or(IdentityError::UserNotFound)?)
}

fn by_id(id: &str) -> Query {
    query("SELECT * FROM users WHERE id = $1").bind(id)
}

async fn end_sessions(tx: &mut Tx, user_id: &str, now: i64) -> Result<(), SqlError> {
    let end = "UPDATE sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
    tx.execute(query(end).bind(user_id).bind(now))
        .await
        .map(drop)
}

fn insert(user: &User, password: Option<String>) -> Query {
    query(
        "INSERT INTO users
             (id, user_name, display_name, password, roles, disabled, epoch, created_at, updated_at,
              accounts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&user.id)
    .bind(&user.user_name)
    .bind(user.display_name.clone())
    .bind(password)
    .bind(json!(user.roles).to_string())
    .bind(user.disabled)
    .bind(user.epoch)
    .bind(user.created_at.micros())
    .bind(user.updated_at.micros())
    .bind(list_of(user.accounts.as_deref()))
}

fn update(user: &User) -> Query {
    query(
        "UPDATE users SET display_name = $2, roles = $3, disabled = $4, epoch = $5,
                updated_at = $6, accounts = $7
         WHERE id = $1",
    )
    .bind(&user.id)
    .bind(user.display_name.clone())
    .bind(json!(user.roles).to_string())
    .bind(user.disabled)
    .bind(user.epoch)
    .bind(user.updated_at.micros())
    .bind(list_of(user.accounts.as_deref()))
}

pub(super) fn user_of(row: &Row) -> Result<User, IdentityError> {
    Ok(User {
        id: row.get("id")?,
        user_name: row.get("user_name")?,
        display_name: row.get("display_name")?,
        roles: names_of(&row.get::<String>("roles")?)?,
        accounts: list_at(row, "accounts")?,
        disabled: row.get("disabled")?,
        created_at: Timestamp(row.get("created_at")?),
        updated_at: Timestamp(row.get("updated_at")?),
        epoch: row.get("epoch")?,
    })
}

/// A list of names as it is kept in a column.
pub(super) fn names_of(json: &str) -> Result<Vec<String>, IdentityError> {
    serde_json::from_str(json)
        .map_err(|error| IdentityError::Internal(format!("list of names: {error}")))
}

/// A list in a column that may be NULL.
pub(super) fn list_at(row: &Row, column: &str) -> Result<Option<Vec<String>>, IdentityError> {
    let json = row.get::<Option<String>>(column)?;
    json.as_deref().map(names_of).transpose()
}

/// A list as it is kept in a column; `None` is NULL.
pub(super) fn list_of(names: Option<&[String]>) -> Option<String> {
    names.map(|names| json!(names).to_string())
}

/// The form in which a name is kept and looked up.
pub(super) fn normalise(name: &str) -> Result<String, IdentityError> {
    let name = name.trim();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_@.+-".contains(&b);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(allowed) {
        let message = "The name must be 1 to 100 of letters, digits and _@.+-";
        return Err(invalid("userName", message));
    }
    Ok(name.to_ascii_lowercase())
}

fn check_id(id: &str) -> Result<(), IdentityError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_@.-".contains(&b);
    if id.is_empty() || id.len() > 100 || !id.bytes().all(allowed) {
        return Err(invalid(
            "id",
            "The id must be 1 to 100 of letters, digits and _@.-",
        ));
    }
    Ok(())
}

fn check_display_name(name: Option<&str>) -> Result<(), IdentityError> {
    let name = name.unwrap_or("x");
    if name.is_empty()
        || name.chars().count() > MAX_DISPLAY_NAME
        || name.chars().any(char::is_control)
    {
        let message = "The name must be 1 to 100 characters without control characters.";
        return Err(invalid("displayName", message));
    }
    Ok(())
}
