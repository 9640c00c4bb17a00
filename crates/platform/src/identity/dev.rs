//! Development credentials: tokens for any name and role without a password, behind `--dev-auth`
//! (shadow-ledger contract, section E).
//!
//! **Invariants.** Without the switch nothing here answers, and a token that says `"dev": true` is
//! refused wherever it comes from. Production does not start with the switch.

use std::sync::Arc;

use florin_base::Secret;
use serde_json::json;

use super::authenticate::Fresh;
use super::error::{IdentityError, invalid, unauthenticated};
use super::jose::Claims;
use super::sessions::PlainToken;
use super::users::{self, NewUser, User, normalise};
use super::{AuthService, MICROS};
use crate::http::auth::{CredentialKind, Principal};

/// Reaches every account.
const EVERYTHING: &str = "*";

/// An account that somebody makes for himself on a developer's machine.
#[derive(Clone, Debug)]
pub struct DevSignup {
    /// What he logs in with, and his id.
    pub name: String,
    /// At least 12 characters.
    pub password: Secret<String>,
    /// Names of existing roles; `user` when empty.
    pub roles: Vec<String>,
}

/// Whether these claims are those of a development token.
pub(super) fn is_dev(claims: &Claims) -> bool {
    claims.at("dev").and_then(|value| value.as_bool()) == Some(true)
}

impl AuthService {
    /// A token for a name and roles, without a password. Names of roles are read as in foreign
    /// tokens; unknown ones grant nothing. Answers the subject and the roles that count.
    ///
    /// # Errors
    /// [`IdentityError::Unauthenticated`] without the switch, [`IdentityError::Invalid`] for the
    /// name, the store's.
    pub async fn dev_token(
        &self,
        name: &str,
        roles: &[String],
    ) -> Result<(String, Vec<String>, PlainToken), IdentityError> {
        if !self.settings.dev_auth {
            return Err(unauthenticated("development tokens are switched off"));
        }
        let name = normalise(name)?;
        let subject = match self.user_by_name(&name).await {
            Ok(user) => user.id,
            Err(IdentityError::UserNotFound) => name.clone(),
            Err(error) => return Err(error),
        };
        let roles = self.roles.known(roles.iter().map(String::as_str));
        let now = self.now() / MICROS;
        let expires_in = self.settings.plain_token_seconds;
        let token = self.keys.sign(&json!({
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "sub": subject,
            "jti": self.new_id(),
            "iat": now,
            "nbf": now,
            "exp": now + i64::from(expires_in),
            "name": name,
            "roles": roles,
            "accounts": [EVERYTHING],
            "dev": true,
        }));
        let token = Secret::new(token);
        Ok((subject, roles, PlainToken { token, expires_in }))
    }

    /// Makes an account that reaches every account of the shadow ledger.
    ///
    /// # Errors
    /// [`IdentityError::SignupClosed`] without the switch, else as [`AuthService::create_user`].
    pub async fn dev_sign_up(&self, new: DevSignup) -> Result<User, IdentityError> {
        if !self.settings.dev_auth {
            return Err(IdentityError::SignupClosed);
        }
        let given = new.roles.iter().map(String::as_str);
        let roles = match new.roles.is_empty() {
            true => vec!["user".to_owned()],
            false => self.roles.known(given),
        };
        if roles.is_empty() {
            return Err(invalid("roles", "None of these roles exists."));
        }
        let new = NewUser {
            id: None,
            user_name: new.name,
            password: Some(new.password),
            display_name: None,
            roles,
            accounts: Some(vec![EVERYTHING.to_owned()]),
        };
        Ok(self.create_user("signup", new, None).await?.value)
    }

    /// The caller of a development token whose signature was checked; it belongs to no log-in.
    pub(super) fn dev_caller(
        &self,
        claims: &Claims,
        expires_at: i64,
    ) -> Result<Fresh, IdentityError> {
        if !self.settings.dev_auth {
            return Err(unauthenticated("a development token"));
        }
        let subject = claims.text("sub");
        let subject: Arc<str> = subject
            .ok_or_else(|| unauthenticated("the token lacks a claim"))?
            .into();
        let roles = self.roles.known(claims.names("roles"));
        let roles: Arc<[Box<str>]> = roles.into_iter().map(String::into_boxed_str).collect();
        let principal = Principal {
            accounts: Some([Box::from(EVERYTHING)].into()),
            owner: Arc::clone(&subject),
            credential: users::object(&subject).into(),
            subject,
            kind: CredentialKind::Token,
            token_id: claims.text("jti").map(Arc::from),
            permissions: self.roles.permissions(&roles),
            roles,
        };
        Ok((Arc::new(principal), Vec::new(), expires_at))
    }
}
