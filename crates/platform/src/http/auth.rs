//! Who calls, and what he may do: the seam between the HTTP kit and the identity module.
//!
//! Boundary: this file knows no tokens, keys or users. An [`Authenticator`] turns request
//! headers into a [`Principal`]; the kit compares the principal's [`PermissionSet`] with the
//! route's [`Access`] rule. Invariant: a route cannot exist without an [`Access`] rule.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

use super::problem::Problem;

/// Name of a permission, `<room>:<verb>` (`wallets:read`). Rooms declare theirs as constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(&'static str);

impl Permission {
    /// Declares a permission. Panics (at compile time in a constant) unless the name is
    /// `<room>:<verb>` in lower case letters, digits and hyphens.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        let mut colons = 0;
        let mut index = 0;
        while index < bytes.len() {
            match bytes[index] {
                b':' => colons += 1,
                b'a'..=b'z' | b'0'..=b'9' | b'-' => {}
                _ => panic!("a permission is <room>:<verb> in lower case"),
            }
            index += 1;
        }
        assert!(colons == 1, "a permission is <room>:<verb> in lower case");
        Self(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The rule of a route. There is no default: each registration states one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a credential.
    Public,
    /// Anybody; a credential that is shown must be good, and then its owner is the caller.
    Optional,
    /// Anybody with a good credential (`GET /api/v1/auth/me`).
    Authenticated,
    /// A good credential whose roles hold this permission.
    Needs(Permission),
}

impl Access {
    /// How the rule stands in the golden file of routes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Optional => "optional",
            Self::Authenticated => "authenticated",
            Self::Needs(permission) => permission.as_str(),
        }
    }
}

impl From<Permission> for Access {
    fn from(permission: Permission) -> Self {
        Self::Needs(permission)
    }
}

/// How far a permission reaches (ledger-wallets contract, section C, "own" and "all").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Objects whose owner is the caller.
    Own,
    /// All objects.
    All,
}

/// The permissions of a caller. Immutable once built; share it with [`Arc`], one for each
/// combination of roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet {
    /// Sorted by name, each once.
    grants: Vec<(Box<str>, Reach)>,
}

impl PermissionSet {
    /// Collects grants; a name given twice keeps the wider reach.
    pub fn from_grants<N: Into<Box<str>>>(grants: impl IntoIterator<Item = (N, Reach)>) -> Self {
        let mut all: Vec<(Box<str>, Reach)> = grants
            .into_iter()
            .map(|(name, reach)| (name.into(), reach))
            .collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        all.dedup_by(|later, kept| later.0 == kept.0);
        Self { grants: all }
    }

    /// Parses the spelling of configuration: `wallets:read` reaches all, `wallets:read@own`
    /// only the caller's own objects.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::from_grants(
            names
                .into_iter()
                .map(|name| match name.strip_suffix("@own") {
                    Some(base) => (base, Reach::Own),
                    None => (name, Reach::All),
                }),
        )
    }

    /// How far the permission reaches; `None` when it is not held.
    pub fn reach(&self, permission: Permission) -> Option<Reach> {
        self.grants
            .binary_search_by(|(name, _)| (**name).cmp(permission.as_str()))
            .ok()
            .map(|index| self.grants[index].1)
    }

    /// True when the permission is held, whatever its reach.
    pub fn holds(&self, permission: Permission) -> bool {
        self.reach(permission).is_some()
    }

    /// Only what both sets hold, with the narrower reach: an API key with scopes can do no
    /// more than its owner.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let find = |wanted: &str| {
            let found = other
                .grants
                .binary_search_by(|(name, _)| (**name).cmp(wanted));
            found.ok().map(|index| other.grants[index].1)
        };
        let kept = self.grants.iter().filter_map(|(name, reach)| {
            find(name).map(|other_reach| (name.clone(), (*reach).min(other_reach)))
        });
        Self {
            grants: kept.collect(),
        }
    }

    /// The grants in the spelling of [`PermissionSet::parse`], sorted.
    pub fn names(&self) -> Vec<String> {
        let spell = |(name, reach): &(Box<str>, Reach)| match reach {
            Reach::All => name.to_string(),
            Reach::Own => format!("{name}@own"),
        };
        self.grants.iter().map(spell).collect()
    }
}

/// What kind of credential was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// `Authorization: Bearer`, a JWT.
    Token,
    /// `X-API-Key`.
    ApiKey,
    /// No HTTP: a worker or the command line acting in process.
    System,
}

/// The caller of a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who: the token's `sub`, or the owner of the API key. Stands in audit records.
    pub subject: Arc<str>,
    /// The value that objects' owners are compared with (the configured claim, by default
    /// equal to `subject`).
    pub owner: Arc<str>,
    /// Which kind of credential.
    pub kind: CredentialKind,
    /// Identifies the credential for rate limits and logs (`user:…`, `key:…`); never a secret.
    pub credential: Arc<str>,
    /// Id of the token (`jti`) or of the API key.
    pub token_id: Option<Arc<str>>,
    /// Names of the roles.
    pub roles: Arc<[Box<str>]>,
    /// What the roles allow, narrowed by the key's scopes.
    pub permissions: Arc<PermissionSet>,
    /// Accounts that the caller may reach in rooms that know such a scope: ids, prefixes that
    /// end in `*`, or `*`. `None`: nothing was said.
    pub accounts: Option<Arc<[Box<str>]>>,
}

impl Principal {
    /// True when the permission is held, whatever its reach.
    pub fn holds(&self, permission: Permission) -> bool {
        self.permissions.holds(permission)
    }

    /// 403 `forbidden` naming the permission, unless it is held.
    pub fn require(&self, permission: Permission) -> Result<Reach, Problem> {
        self.permissions
            .reach(permission)
            .ok_or_else(|| Problem::forbidden(permission.as_str()))
    }

    /// True when the permission is held and reaches an object of this owner.
    pub fn may(&self, permission: Permission, owner: &str) -> bool {
        match self.permissions.reach(permission) {
            Some(Reach::All) => true,
            Some(Reach::Own) => *self.owner == *owner,
            None => false,
        }
    }

    /// True when one of the roles has this name.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| **held == *role)
    }
}

/// A pending answer of an [`Authenticator`].
pub type AuthenticationFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Arc<Principal>, Problem>> + Send + 'a>>;

/// The answer of an [`Authenticator`]. `Now` spares the hot path an allocation when the
/// credential is in a cache or can be verified without waiting.
pub enum Authentication<'a> {
    /// Decided at once.
    Now(Result<Arc<Principal>, Problem>),
    /// Needs a lookup.
    Later(AuthenticationFuture<'a>),
}

/// Turns the headers of a request into its caller.
///
/// Refusals are `Problem::unauthenticated(…)` (no credential, bad signature, expired, revoked)
/// or a 503 when the verdict cannot be had (store or key server away).
pub trait Authenticator: Send + Sync + 'static {
    /// `peer` is the client's address after trusted proxies were taken off.
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap, peer: IpAddr) -> Authentication<'a>;
}

/// Refuses everybody: for servers whose routes are all public.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuthenticator;

impl Authenticator for NoAuthenticator {
    fn authenticate<'a>(&'a self, _headers: &'a HeaderMap, _peer: IpAddr) -> Authentication<'a> {
        Authentication::Now(Err(Problem::unauthenticated(
            "This server accepts no credentials.",
        )))
    }
}

/// Extractor: the caller of the request. On a public route without credential it refuses with
/// 401, so take `Option<Caller>` there.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<Principal>);

impl std::ops::Deref for Caller {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let principal = parts.extensions.get::<Arc<Principal>>();
        principal
            .map(|found| Self(Arc::clone(found)))
            .ok_or_else(|| Problem::unauthenticated("A credential is needed."))
    }
}

impl<S: Sync> axum::extract::OptionalFromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        let principal = parts.extensions.get::<Arc<Principal>>();
        Ok(principal.map(|found| Self(Arc::clone(found))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Permission = Permission::new("wallets:read");
    const WRITE: Permission = Permission::new("wallets:write");

    fn principal(grants: &[&str]) -> Principal {
        Principal {
            accounts: None,
            subject: "u1".into(),
            owner: "u1".into(),
            kind: CredentialKind::Token,
            credential: "user:u1".into(),
            token_id: None,
            roles: vec!["user".into()].into(),
            permissions: Arc::new(PermissionSet::parse(grants.iter().copied())),
        }
    }

    #[test]
    fn reach_own_is_bound_to_the_owner() {
        let user = principal(&["wallets:read@own"]);
        assert!(user.may(READ, "u1"));
        assert!(!user.may(READ, "u2"));
        assert!(!user.may(WRITE, "u1"));
        let problem = user.require(WRITE).expect_err("not held");
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (403, "forbidden")
        );
        assert!(problem.detail().contains("wallets:write"));
    }

    #[test]
    fn the_wider_reach_of_two_roles_counts() {
        let set = PermissionSet::parse(["wallets:read@own", "wallets:read", "a:b@own"]);
        assert_eq!(set.reach(READ), Some(Reach::All));
        assert_eq!(set.names(), ["a:b@own", "wallets:read"]);
    }

    #[test]
    fn scopes_only_narrow() {
        let owner = PermissionSet::parse(["wallets:read@own", "wallets:write"]);
        let scopes = PermissionSet::parse(["wallets:read", "ledger:read"]);
        assert_eq!(owner.intersect(&scopes).names(), ["wallets:read@own"]);
    }
}
