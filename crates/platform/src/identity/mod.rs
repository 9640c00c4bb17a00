//! Who calls: local users and their log-ins, API keys, tokens of foreign issuers, roles.
//!
//! **Boundary.** [`AuthService`] is the kit's [`Authenticator`](crate::http::auth::Authenticator)
//! and the only code that sees passwords, tokens and keys; rooms see a
//! [`Principal`](crate::http::auth::Principal). Which permission a route needs is the route's
//! business.
//!
//! **Invariants.**
//! - Nothing secret is stored in the clear: passwords as argon2id, refresh tokens and API keys as
//!   SHA-256, the signing key in a file of mode 0600 or in the configuration.
//! - A log-out, a revoked key, a disabled user and a taken role count before the call that made
//!   the change answers; in other processes at the news of it, at the latest within
//!   [`PULL_INTERVAL`]. A process that cannot read them for [`BLIND_MAX`] recognises nobody.
//! - Every change of users, keys and log-ins stands in the audit log, in the same transaction.
//! - A refusal never says what was wrong with a credential.

mod accounts;
pub mod admin;
pub mod api;
mod api_keys;
mod authenticate;
mod cache;
mod dev;
mod error;
mod issuer;
pub mod jose;
mod keyring;
mod password;
mod replies;
mod revocation;
mod roles;
mod sessions;
mod settings;
mod users;

pub use accounts::MAX_ACCOUNTS;
pub use api_keys::{ApiKey, MadeKey, NewApiKey};
pub use authenticate::{RECHECK_MICROS, X_API_KEY};
pub use dev::DevSignup;
pub use error::IdentityError;
pub use keyring::{KEY_FILE, KeyRingError};
pub use password::{MAX_BYTES as MAX_PASSWORD_BYTES, MIN_CHARS as MIN_PASSWORD_CHARS};
pub use roles::{AUDIT_READ, KEYS_MANAGE, RoleBook, RoleError, USERS_MANAGE};
pub use sessions::{PlainToken, Tokens};
pub use settings::{IssuerSettings, PasswordCost, Refusal, Settings, Signup, production_refusals};
pub use users::{NewUser, User, UserChange, UserFilter};

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_base::{Clock, IdSource};
use parking_lot::Mutex;

use crate::audit::AuditLog;
use crate::cache::Signals;
use crate::http::auth::{CredentialKind, PermissionSet, Principal};
use crate::http::client::Outgoing;
use crate::sql::{Db, Migration, Migrations, query};
use cache::Cache;
use issuer::Issuer;
use keyring::KeyRing;
use password::Passwords;
use revocation::{Cut, Revocations};

/// Tables of users, log-ins and keys.
pub const MIGRATIONS: Migrations = Migrations {
    room: "identity",
    steps: &[
        Migration {
            version: 2,
            name: "identity",
            sqlite: include_str!("../../migrations/sqlite/0002_identity.sql"),
            postgres: include_str!("../../migrations/postgres/0002_identity.sql"),
        },
        Migration {
            version: 11,
            name: "identity_accounts",
            sqlite: include_str!("../../migrations/sqlite/0011_identity_accounts.sql"),
            postgres: include_str!("../../migrations/postgres/0011_identity_accounts.sql"),
        },
    ],
};

/// How often cuts made by other processes are read, where no news of them comes sooner.
pub const PULL_INTERVAL: Duration = Duration::from_secs(1);

/// Where other processes cut too, nobody is recognised any more when their cuts could not be read
/// for so long: a revocation counts everywhere within this time, or there is no answer.
pub const BLIND_MAX: Duration = Duration::from_secs(5);

/// Topic of the news that something was cut off.
pub const CUTS_TOPIC: &str = "cuts";

/// How often what has expired is thrown away and the age of the signing key is looked at.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(3_600);

/// How long idempotency keys of creating calls are kept.
const REPLIES_KEPT_MICROS: i64 = 30 * 86_400 * MICROS;

/// Added to the life of a token when asking how long something must be remembered; covers leeway
/// and differing settings of two starts.
const MARGIN_MICROS: i64 = 3_600 * MICROS;

const MICROS: i64 = 1_000_000;

/// What [`AuthService::open`] needs.
pub struct Parts<'a> {
    /// The section `auth` of the configuration.
    pub settings: Settings,
    /// True for `environment = "production"`: closes sign-up unless the setting says otherwise.
    pub production: bool,
    /// Where the key file lies.
    pub data_dir: &'a Path,
    /// The service tables.
    pub db: Db,
    /// The audit log.
    pub audit: AuditLog,
    /// Wall clock for expiry, boot-time clock for waits.
    pub clock: Arc<dyn Clock>,
    /// Asks foreign issuers: operators name them, so [`Targets::Any`](crate::http::client::Targets)
    /// is right.
    pub client: Outgoing,
}

/// Something that was made, or found again by its idempotency key.
#[derive(Clone, Debug)]
pub struct Created<T> {
    /// What was made.
    pub value: T,
    /// True when an earlier call made it.
    pub replayed: bool,
}

/// Why identity cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// `auth.roles`.
    #[error("auth.roles: {0}")]
    Roles(#[from] RoleError),
    /// The rest of the section, or the store.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Users, log-ins, keys and the recognition of callers. Share it with [`Arc`].
pub struct AuthService {
    settings: Settings,
    signup: Signup,
    db: Db,
    audit: AuditLog,
    clock: Arc<dyn Clock>,
    roles: RoleBook,
    keys: KeyRing,
    issuers: Vec<Issuer>,
    passwords: Passwords,
    cache: Cache,
    revocations: Revocations,
    /// When the cuts of other processes were read last.
    pulled: Mutex<Instant>,
    pull_every: Duration,
    signals: Signals,
    ids: Mutex<IdSource>,
}

impl AuthService {
    /// Opens the identity of an installation: makes tables and the signing key when missing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(parts: Parts<'_>) -> Result<Self, OpenError> {
        let Parts {
            settings,
            db,
            clock,
            ..
        } = parts;
        let db = db.lane("identity");
        let now = clock.wall_micros();
        db.migrate(&MIGRATIONS, now)
            .await
            .map_err(IdentityError::from)?;
        let keys = match settings.signing_keys()[..] {
            [] => KeyRing::open(parts.data_dir, now)?,
            [(name, _), ..] if settings.signing_key.is_none() => {
                return Err(KeyRingError::Alone(name).into());
            }
            ref seeds => KeyRing::fixed(seeds, now)?,
        };
        let mut issuers = Vec::with_capacity(settings.issuers.len());
        for issuer in &settings.issuers {
            issuers.push(Issuer::try_new(issuer.clone(), parts.client.clone())?);
        }
        let default_signup = match parts.production {
            true => Signup::Closed,
            false => Signup::Open,
        };
        let service = Self {
            signup: settings.signup.unwrap_or(default_signup),
            roles: RoleBook::try_new(&settings.roles)?,
            passwords: Passwords::try_new(settings.password)?,
            audit: parts.audit,
            cache: Cache::default(),
            revocations: Revocations::default(),
            pulled: Mutex::new(Instant::now()),
            pull_every: PULL_INTERVAL,
            signals: Signals::none(),
            ids: Mutex::new(IdSource::new()),
            settings,
            db,
            clock,
            keys,
            issuers,
        };
        service.pull_cuts().await?;
        Ok(service)
    }

    /// Tells other processes of cuts, and hears of theirs, without waiting for
    /// [`PULL_INTERVAL`]; the topic is [`CUTS_TOPIC`].
    #[must_use]
    pub fn with_signals(mut self, signals: Signals) -> Self {
        self.signals = signals;
        self
    }

    /// The configured roles.
    pub fn roles(&self) -> &RoleBook {
        &self.roles
    }

    /// `iss` of Florin's own tokens.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// The public keys that verify Florin's own tokens.
    pub fn jwks(&self) -> jose::JwkSet {
        self.keys.jwks()
    }

    /// Whether development credentials are taken.
    pub fn dev_auth(&self) -> bool {
        self.settings.dev_auth
    }

    /// Whether users with passwords exist here.
    pub fn has_local_users(&self) -> bool {
        self.settings.local_users
    }

    /// The audit log.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// A caller that is no credential: the command line or a worker, with these roles.
    pub fn system_principal(&self, subject: &str, roles: &[&str]) -> Principal {
        let roles: Arc<[Box<str>]> = roles.iter().map(|role| Box::from(*role)).collect();
        let permissions: Arc<PermissionSet> = self.roles.permissions(&roles);
        Principal {
            accounts: None,
            subject: subject.into(),
            owner: subject.into(),
            kind: CredentialKind::System,
            credential: format!("system:{subject}").into(),
            token_id: None,
            roles,
            permissions,
        }
    }

    /// Reads what other processes cut off. Called every [`PULL_INTERVAL`], and at news, by
    /// [`AuthService::follow`].
    ///
    /// # Errors
    /// The store's; what is known stays in force, for [`BLIND_MAX`].
    pub async fn pull_cuts(&self) -> Result<(), IdentityError> {
        let asked = Instant::now();
        self.revocations.pull(&self.db).await?;
        *self.pulled.lock() = asked;
        Ok(())
    }

    /// The cuts of other processes have not been read for too long.
    pub(crate) fn is_blind(&self) -> bool {
        self.db.is_shared() && self.pulled.lock().elapsed() > BLIND_MAX
    }

    /// Makes a committed cut count here and soon elsewhere.
    fn cut(&self, cut: &Cut) {
        self.revocations.apply(cut);
        self.signals.tell();
    }

    /// Throws expired rows away and gives the key file a new key when the old one is due.
    ///
    /// # Errors
    /// The store's or the key file's.
    pub async fn housekeeping(&self) -> Result<(), IdentityError> {
        let now = self.now();
        let db = self.db.patient();
        self.revocations.prune(&db, now).await?;
        let ended = query("DELETE FROM sessions WHERE expires_at <= $1").bind(now);
        db.execute(ended).await?;
        let used = query("DELETE FROM refresh_tokens WHERE expires_at <= $1").bind(now);
        db.execute(used).await?;
        let replies = query("DELETE FROM identity_replies WHERE created_at <= $1");
        db.execute(replies.bind(now - REPLIES_KEPT_MICROS)).await?;
        let due = i64::from(self.settings.signing_key_days) * 86_400 * MICROS;
        if self.settings.signing_key.is_none() {
            if self.keys.age(now) >= due {
                self.rotate_signing_key("florin").await?;
            }
            let keys = self.keys.forget(now - self.token_micros() - MARGIN_MICROS);
            keys.map_err(|error| IdentityError::Internal(error.to_string()))?;
        }
        Ok(())
    }

    /// Puts a new signing key in place; tokens of the old one stay good until they expire.
    ///
    /// # Errors
    /// [`IdentityError::Internal`] when the key is configured or its file cannot be written.
    pub async fn rotate_signing_key(&self, actor: &str) -> Result<String, IdentityError> {
        let kid = self
            .keys
            .rotate(self.now())
            .map_err(|error| IdentityError::Internal(error.to_string()))?;
        let entry = crate::audit::Entry::new(actor, "signing_key.rotated", format!("jwk:{kid}"));
        self.audit.append(entry).await?;
        Ok(kid)
    }

    /// Takes over what other processes cut off, for ever; the caller drops the future to stop.
    /// Every process that recognises callers runs it.
    pub async fn follow(&self) {
        let mut pull = tokio::time::interval(self.pull_every);
        pull.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let pulling = async {
            loop {
                tokio::select! {
                    _ = pull.tick() => {}
                    () = self.signals.heard() => {}
                }
                if let Err(error) = self.pull_cuts().await {
                    tracing::warn!(%error, "revocations could not be read");
                }
            }
        };
        tokio::select! {
            () = pulling => {}
            () = self.signals.listen() => {}
        }
    }

    /// Runs [`AuthService::housekeeping`] for ever; the caller drops the future to stop. One
    /// process is enough.
    pub async fn run(&self) {
        let mut clean = tokio::time::interval(HOUSEKEEPING_INTERVAL);
        clean.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clean.tick().await;
            if let Err(error) = self.housekeeping().await {
                tracing::warn!(%error, "identity housekeeping");
            }
        }
    }

    fn now(&self) -> i64 {
        self.clock.wall_micros()
    }

    fn new_id(&self) -> String {
        self.ids.lock().uuid_v7(self.now()).to_string()
    }

    /// Life of the token that lives longest.
    fn token_micros(&self) -> i64 {
        let settings = &self.settings;
        let longest = settings
            .access_token_seconds
            .max(settings.plain_token_seconds);
        i64::from(longest) * MICROS
    }

    /// Until when a cut made now must be remembered.
    fn cut_until(&self, now: i64) -> i64 {
        now + self.token_micros().max(RECHECK_MICROS) + MARGIN_MICROS
    }
}

#[cfg(test)]
mod tests;
