//! From the headers of a request to its caller.
//!
//! The order is: remembered credential (about a microsecond), own token (one signature), foreign
//! token whose key is known (one signature), API key (one look into the store), foreign token
//! whose key must be fetched. Only the last two wait.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::cache::{Fingerprint, Scopes, Verified, fingerprint};
use super::error::{IdentityError, unauthenticated};
use super::issuer::{Issuer, Lookup};
use super::jose::{Claims, Expected, JoseError, Unverified};
use super::roles::valid_permission;
use super::settings::{IssuerSettings, ROLES_CLAIM};
use super::{AuthService, MICROS, dev, sessions, users};
use crate::http::auth::{Authentication, Authenticator, CredentialKind, PermissionSet, Principal};
use crate::http::problem::Problem;

/// `X-API-Key`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Longest time for which an API key or a foreign token is believed without another look.
pub const RECHECK_MICROS: i64 = 300 * MICROS;

/// Longest subject that is taken from a foreign token, in bytes.
const MAX_SUBJECT: usize = 200;

enum Credential<'h> {
    Token(&'h str),
    Key(&'h str),
}

/// A token that was verified now.
pub(super) type Fresh = (Arc<Principal>, Scopes, i64);

impl Authenticator for AuthService {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, _peer: IpAddr) -> Authentication<'a> {
        if self.is_blind() {
            let detail = "The revocations of other processes cannot be read; nothing was done.";
            return Authentication::Now(Err(Problem::unavailable("store_unavailable", detail)));
        }
        let credential = match credential(headers) {
            Ok(credential) => credential,
            Err(error) => return Authentication::Now(Err(error.into())),
        };
        let (Credential::Token(text) | Credential::Key(text)) = credential;
        let mark = fingerprint(text.as_bytes());
        if let Some(known) = self.remembered(&mark) {
            return Authentication::Now(Ok(known));
        }
        match credential {
            Credential::Key(text) => Authentication::Later(Box::pin(async move {
                self.look_up_key(text, mark).await.map_err(Into::into)
            })),
            Credential::Token(text) => match self.verify_now(text, mark) {
                Ok(Some(principal)) => Authentication::Now(Ok(principal)),
                Ok(None) => Authentication::Later(Box::pin(async move {
                    self.verify_later(text, mark).await.map_err(Into::into)
                })),
                Err(error) => Authentication::Now(Err(error.into())),
            },
        }
    }
}

impl AuthService {
    fn remembered(&self, mark: &Fingerprint) -> Option<Arc<Principal>> {
        let entry = self.cache.get(mark, self.now())?;
        if self.revocations.cuts_verified(&entry) {
            self.cache.remove(mark);
            return None;
        }
        Some(Arc::clone(&entry.principal))
    }

    async fn look_up_key(
        &self,
        text: &str,
        mark: Fingerprint,
    ) -> Result<Arc<Principal>, IdentityError> {
        let seen = self.revocations.generation();
        let (principal, scopes, expires_at) = self.check_key(text).await?;
        let recheck = self.now() + RECHECK_MICROS;
        let until = expires_at.map_or(recheck, |at| at.min(recheck));
        self.remember(mark, (Arc::clone(&principal), scopes, until), seen);
        Ok(principal)
    }

    /// Verifies a token without waiting; `None` when the issuer must be asked for keys first.
    fn verify_now(
        &self,
        token: &str,
        mark: Fingerprint,
    ) -> Result<Option<Arc<Principal>>, IdentityError> {
        let seen = self.revocations.generation();
        let token = Unverified::parse(token).map_err(fell)?;
        let fresh = if token.issuer() == Some(self.settings.issuer.as_str()) {
            self.verify_own(token)?
        } else {
            let issuer = self.issuer_of(&token)?;
            match issuer.lookup(token.kid(), token.algorithm(), self.clock.boot_micros()) {
                Lookup::Ask => return Ok(None),
                Lookup::Unknown => return Err(fell(JoseError::UnknownKey)),
                Lookup::Unavailable => {
                    let issuer = issuer.settings.issuer.clone();
                    return Err(IdentityError::IssuerUnavailable(issuer));
                }
                Lookup::Found(key) => {
                    let expected = Expected {
                        issuer: &issuer.settings.issuer,
                        audiences: &issuer.settings.audiences,
                        now: self.now() / MICROS,
                    };
                    let claims = token.verify(&key, &expected).map_err(fell)?;
                    self.foreign(&issuer.settings, &claims)?
                }
            }
        };
        let scopes = fresh.1.iter().map(|(scope, epoch)| (&**scope, *epoch));
        if self.revocations.cuts(scopes) {
            return Err(unauthenticated("the token was cut off"));
        }
        let principal = Arc::clone(&fresh.0);
        self.remember(mark, fresh, seen);
        Ok(Some(principal))
    }

    async fn verify_later(
        &self,
        token: &str,
        mark: Fingerprint,
    ) -> Result<Arc<Principal>, IdentityError> {
        let issuer = self.issuer_of(&Unverified::parse(token).map_err(fell)?)?;
        issuer.refresh(self.clock.boot_micros()).await;
        self.verify_now(token, mark)?
            .ok_or_else(|| unauthenticated("the issuer does not know the token's key"))
    }

    fn issuer_of(&self, token: &Unverified<'_>) -> Result<&Issuer, IdentityError> {
        let named = token.issuer();
        let mut issuers = self.issuers.iter();
        issuers
            .find(|issuer| Some(issuer.settings.issuer.as_str()) == named)
            .ok_or_else(|| fell(JoseError::Issuer))
    }

    fn verify_own(&self, token: Unverified<'_>) -> Result<Fresh, IdentityError> {
        let claims = self.own_claims(token)?;
        if dev::is_dev(&claims) {
            return self.dev_caller(&claims, expiry(&claims)?);
        }
        let lacking = || fell(JoseError::Claim);
        let subject = claims.text("sub").ok_or_else(lacking)?;
        let session = claims.text("sid").ok_or_else(lacking)?;
        let epoch = claims.integer("epoch").ok_or_else(lacking)?;
        let scopes = vec![
            (users::object(subject).into(), epoch),
            (sessions::session(session).into(), 0),
        ];
        let roles = self.roles.known(claims.names("roles"));
        let roles: Arc<[Box<str>]> = roles.into_iter().map(String::into_boxed_str).collect();
        let permissions = self.roles.permissions(&roles);
        let name: Arc<str> = subject.into();
        let principal = Principal {
            accounts: accounts_of(&claims),
            owner: Arc::clone(&name),
            subject: name,
            kind: CredentialKind::Token,
            credential: users::object(subject).into(),
            token_id: claims.text("jti").map(Arc::from),
            roles,
            permissions,
        };
        Ok((Arc::new(principal), scopes, expiry(&claims)?))
    }

    fn own_claims(&self, token: Unverified<'_>) -> Result<Claims, IdentityError> {
        let key = self.keys.verifying_key(token.kid());
        let key = key.ok_or_else(|| fell(JoseError::UnknownKey))?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            audiences: std::slice::from_ref(&self.settings.audience),
            now: self.now() / MICROS,
        };
        token.verify(&key, &expected).map_err(fell)
    }

    /// The log-in that the bearer token of a request belongs to; `None` without such a header.
    ///
    /// # Errors
    /// [`IdentityError::Unauthenticated`] for a token that is not Florin's own or not good.
    pub fn session_of(&self, headers: &HeaderMap) -> Result<Option<String>, IdentityError> {
        if !headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let Credential::Token(token) = credential(headers)? else {
            return Ok(None);
        };
        let claims = self.own_claims(Unverified::parse(token).map_err(fell)?)?;
        Ok(claims.text("sid").map(str::to_owned))
    }

    /// Roles that a foreign token names: by the map where there is one, else by name.
    fn foreign_roles(&self, settings: &IssuerSettings, claims: &Claims) -> Arc<[Box<str>]> {
        let mut names = claims.names(&settings.roles_claim);
        if settings.roles_claim == ROLES_CLAIM {
            names.extend(claims.text("role"));
        }
        let map = &settings.role_map;
        let mapped = |name: &&str| match map.is_empty() {
            true => Some((*name).to_owned()),
            false => map.get(*name).cloned(),
        };
        let names: Vec<String> = names.iter().filter_map(mapped).collect();
        let known = self.roles.known(names.iter().map(String::as_str));
        known.into_iter().map(String::into_boxed_str).collect()
    }

    fn foreign(&self, settings: &IssuerSettings, claims: &Claims) -> Result<Fresh, IdentityError> {
        if dev::is_dev(claims) && !self.settings.dev_auth {
            return Err(unauthenticated("a development token"));
        }
        let prefixed = |claim: &str| -> Result<Arc<str>, IdentityError> {
            let value = claims.at(claim).and_then(|value| value.as_str());
            let value = value.filter(|text| {
                !text.is_empty() && text.len() <= MAX_SUBJECT && !text.chars().any(char::is_control)
            });
            let value = value.ok_or_else(|| fell(JoseError::Claim))?;
            Ok(format!("{}{value}", settings.subject_prefix).into())
        };
        let subject = prefixed(&settings.subject_claim)?;
        let owner = match &settings.owner_claim {
            Some(claim) => prefixed(claim)?,
            None => Arc::clone(&subject),
        };
        let roles = self.foreign_roles(settings, claims);
        let mut permissions = self.roles.permissions(&roles);
        if let Some(claim) = &settings.permissions_claim {
            let mut names = permissions.names();
            let given = claims.names(claim).into_iter();
            names.extend(
                given
                    .filter(|name| valid_permission(name))
                    .map(str::to_owned),
            );
            permissions = Arc::new(PermissionSet::parse(names.iter().map(String::as_str)));
        }
        let principal = Principal {
            accounts: accounts_of(claims),
            credential: users::object(&subject).into(),
            subject,
            owner,
            kind: CredentialKind::Token,
            token_id: claims.text("jti").map(Arc::from),
            roles,
            permissions,
        };
        let until = expiry(claims)?.min(self.now() + RECHECK_MICROS);
        Ok((Arc::new(principal), Vec::new(), until))
    }

    fn remember(&self, mark: Fingerprint, (principal, scopes, until): Fresh, seen: u64) {
        let now = self.now();
        if now < until {
            self.cache
                .put(mark, Verified::new(principal, until, scopes, seen), now);
        }
    }
}

/// The claim `accounts`, where there is one.
fn accounts_of(claims: &Claims) -> Option<Arc<[Box<str>]>> {
    claims.at("accounts")?;
    Some(
        claims
            .names("accounts")
            .into_iter()
            .map(Box::from)
            .collect(),
    )
}

/// Wall clock in microseconds after which a token must not be remembered. The leeway is not
/// counted: within it a token is verified each time.
fn expiry(claims: &Claims) -> Result<i64, IdentityError> {
    let seconds = claims.seconds("exp").map_err(fell)?;
    let seconds = seconds.ok_or_else(|| fell(JoseError::Claim))?;
    Ok(seconds.saturating_mul(MICROS))
}

fn fell(why: JoseError) -> IdentityError {
    unauthenticated(why.to_string())
}

fn credential(headers: &HeaderMap) -> Result<Credential<'_>, IdentityError> {
    let bearer = single(headers, AUTHORIZATION)?;
    let key = single(headers, X_API_KEY)?;
    match (bearer, key) {
        (None, None) => Err(unauthenticated("no credential")),
        (Some(_), Some(_)) => Err(unauthenticated("two credentials")),
        (None, Some(key)) => Ok(Credential::Key(key)),
        (Some(bearer), None) => match bearer.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                Ok(Credential::Token(token.trim_start()))
            }
            _ => Err(unauthenticated("not a bearer token")),
        },
    }
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, IdentityError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(unauthenticated("a credential header is given twice"));
    }
    let text = value.to_str();
    text.map(Some)
        .map_err(|_| unauthenticated("a credential is not ASCII"))
}
