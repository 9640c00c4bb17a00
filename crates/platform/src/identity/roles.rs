//! Roles: named sets of permissions (contracts/README.md, "roles"; ledger-wallets.md, section C).
//!
//! No role takes in another unless the configuration says so with `role:<name>`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::http::auth::{Permission, PermissionSet};

/// Manage users.
pub const USERS_MANAGE: Permission = Permission::new("users:manage");
/// Manage API keys.
pub const KEYS_MANAGE: Permission = Permission::new("keys:manage");
/// Read the audit log.
pub const AUDIT_READ: Permission = Permission::new("audit:read");

/// Combinations of roles whose permissions are remembered.
const MAX_COMBINATIONS: usize = 1_024;

/// Roles that exist without configuration. The table is that of ledger-wallets.md, section C;
/// roles of rooms that bring their own permissions are empty here.
const DEFAULTS: [(&str, &[&str]); 9] = [
    (
        "user",
        &[
            "wallets:read@own",
            "wallets:write@own",
            "shadow:intake",
            "shadow:balance",
        ],
    ),
    (
        "service",
        &[
            "wallets:read",
            "wallets:write",
            "wallets:deposit",
            "wallets:capture",
            "wallets:fx",
            "ledger:read",
            "ledger:write",
            "webhooks:manage",
            "ledger:backdate",
            "shadow:intake",
            "shadow:balance",
        ],
    ),
    (
        "operator",
        &[
            "wallets:read",
            "wallets:status",
            "wallets:limits",
            "wallets:reverse",
            "ledger:read",
            "ledger:reverse",
            "ledger:backdate",
            "shadow:balance",
            "shadow:read",
            "shadow:import",
            "shadow:match",
        ],
    ),
    (
        "auditor",
        &[
            "wallets:read",
            "ledger:read",
            "ledger:export",
            "ledger:checkpoint",
            "audit:read",
            "shadow:balance",
            "shadow:read",
            "shadow:check",
        ],
    ),
    (
        "admin",
        &[
            "wallets:read",
            "ledger:read",
            "ledger:write",
            "webhooks:manage",
            "ledger:reverse",
            "ledger:admin",
            "ledger:backdate",
            "ledger:system",
            "ledger:import",
            "ledger:export",
            "ledger:checkpoint",
            "users:manage",
            "keys:manage",
            "audit:read",
            "config:read",
            "dev:clock",
            "shadow:balance",
            "shadow:read",
            "shadow:correct",
            "shadow:approve",
            "shadow:configure",
            "orgs:read",
            "orgs:write",
            "events:write",
            "orders:read",
            "orders:refund",
            "tickets:manage",
            "checkins:read",
            "checkins:write",
            "devices:write",
            "payouts:read",
            "payouts:write",
            "analytics:read",
            "exports:write",
            "hooks:write",
            "ticketing:admin",
            "privacy:manage",
            "platform:analytics",
        ],
    ),
    ("organizer", &[]),
    ("scanner", &[]),
    (
        "support",
        &[
            "orders:read",
            "orders:refund",
            "tickets:manage",
            "checkins:read",
        ],
    ),
    ("compliance", &[]),
];

/// What every signed-in person may do in ticketing: buy, and act in the organisations of which he
/// is a member, as far as membership allows (ticketing contract, A1).
const SIGNED_IN: [&str; 17] = [
    "orders:buy",
    "tickets:own",
    "orgs:create",
    "orgs:read@own",
    "orgs:write@own",
    "events:write@own",
    "orders:read@own",
    "orders:refund@own",
    "tickets:manage@own",
    "checkins:read@own",
    "checkins:write@own",
    "devices:write@own",
    "payouts:read@own",
    "payouts:write@own",
    "analytics:read@own",
    "exports:write@own",
    "hooks:write@own",
];

/// A configuration of roles that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// `role:<name>` of a role that does not exist.
    #[error("role `{role}` takes in the unknown role `{included}`")]
    Unknown {
        /// The role that was being read.
        role: String,
        /// The one it names.
        included: String,
    },
    /// A role takes itself in, by itself or through others.
    #[error("role `{0}` takes itself in")]
    Cycle(String),
    /// A name with characters outside `[a-z0-9_-]`, or a permission that is not `<room>:<verb>`.
    #[error("`{0}` is no valid name of a role or permission")]
    Name(String),
}

type Combinations = HashMap<Box<[Box<str>]>, Arc<PermissionSet>>;

/// All roles and the permissions behind them.
#[derive(Debug)]
pub struct RoleBook {
    roles: BTreeMap<String, Vec<String>>,
    combinations: RwLock<Combinations>,
}

impl RoleBook {
    /// The built-in roles with those of the configuration over them.
    ///
    /// # Errors
    /// [`RoleError`].
    pub fn try_new(configured: &BTreeMap<String, Vec<String>>) -> Result<Self, RoleError> {
        let mut raw: BTreeMap<String, Vec<String>> = DEFAULTS
            .iter()
            .map(|(role, names)| {
                (
                    role.to_string(),
                    names
                        .iter()
                        .chain(&SIGNED_IN)
                        .map(|n| n.to_string())
                        .collect(),
                )
            })
            .collect();
        raw.extend(
            configured
                .iter()
                .map(|(role, names)| (role.clone(), names.clone())),
        );
        let mut roles = BTreeMap::new();
        for role in raw.keys() {
            if !valid_role(role) {
                return Err(RoleError::Name(role.clone()));
            }
            let mut grants = BTreeSet::new();
            expand(&raw, role, &mut Vec::new(), &mut grants)?;
            roles.insert(role.clone(), grants.into_iter().collect());
        }
        Ok(Self {
            roles,
            combinations: RwLock::default(),
        })
    }

    /// True when there is such a role.
    pub fn exists(&self, role: &str) -> bool {
        self.roles.contains_key(role)
    }

    /// Names of all roles, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }

    /// Every permission of every role, in the order of their names.
    pub fn grants(&self) -> impl Iterator<Item = (&str, &str)> {
        self.roles.iter().flat_map(|(role, names)| {
            let role = role.as_str();
            names.iter().map(move |name| (role, name.as_str()))
        })
    }

    /// Those of these names that exist, each once: blanks cut off, case folded, a prefix `ROLE_`
    /// removed (shadow-ledger contract, section E).
    pub fn known<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut known = Vec::new();
        for name in names {
            let folded = name.trim().to_ascii_lowercase();
            let role = folded.strip_prefix("role_").unwrap_or(&folded);
            if self.exists(role) && !known.iter().any(|had| had == role) {
                known.push(role.to_owned());
            }
        }
        known
    }

    /// The permissions of a combination of roles; unknown ones give none.
    pub fn permissions(&self, roles: &[Box<str>]) -> Arc<PermissionSet> {
        if let Some(known) = self.combinations.read().get(roles) {
            return Arc::clone(known);
        }
        let grants = roles.iter().filter_map(|role| self.roles.get(&**role));
        let set = PermissionSet::parse(grants.flatten().map(String::as_str));
        let set = Arc::new(set);
        let mut combinations = self.combinations.write();
        if combinations.len() < MAX_COMBINATIONS {
            combinations.insert(roles.into(), Arc::clone(&set));
        }
        set
    }
}

fn expand(
    raw: &BTreeMap<String, Vec<String>>,
    role: &str,
    path: &mut Vec<String>,
    grants: &mut BTreeSet<String>,
) -> Result<(), RoleError> {
    if path.iter().any(|outer| outer == role) {
        return Err(RoleError::Cycle(role.to_owned()));
    }
    path.push(role.to_owned());
    for name in raw.get(role).into_iter().flatten() {
        match name.strip_prefix("role:") {
            Some(included) if raw.contains_key(included) => expand(raw, included, path, grants)?,
            Some(included) => {
                return Err(RoleError::Unknown {
                    role: role.to_owned(),
                    included: included.to_owned(),
                });
            }
            None if valid_permission(name) => {
                grants.insert(name.clone());
            }
            None => return Err(RoleError::Name(name.clone())),
        }
    }
    path.pop();
    Ok(())
}

fn valid_role(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    !name.is_empty() && name.len() <= 32 && name.bytes().all(allowed)
}

/// `<room>:<verb>`, with `@own` behind it where it reaches own objects only.
pub fn valid_permission(name: &str) -> bool {
    let base = name.strip_suffix("@own").unwrap_or(name);
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let part = |text: &str| !text.is_empty() && text.bytes().all(allowed);
    name.len() <= 64
        && base
            .split_once(':')
            .is_some_and(|(room, verb)| part(room) && part(verb))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::Reach;

    fn reach(book: &RoleBook, role: &str, permission: &'static str) -> Option<Reach> {
        book.permissions(&[role.into()])
            .reach(Permission::new(permission))
    }

    /// ledger-wallets.md, section C, row by row: user, service, operator, auditor, admin.
    #[test]
    fn defaults_are_the_table_of_the_contract() {
        let book = RoleBook::try_new(&BTreeMap::new()).expect("valid");
        let (o, a, n) = (Some(Reach::Own), Some(Reach::All), None);
        let table = [
            ("wallets:read", [o, a, a, a, a]),
            ("wallets:write", [o, a, n, n, n]),
            ("wallets:deposit", [n, a, n, n, n]),
            ("wallets:capture", [n, a, n, n, n]),
            ("wallets:fx", [n, a, n, n, n]),
            ("wallets:status", [n, n, a, n, n]),
            ("wallets:limits", [n, n, a, n, n]),
            ("wallets:reverse", [n, n, a, n, n]),
            ("ledger:read", [n, a, a, a, a]),
            ("ledger:write", [n, a, n, n, a]),
            ("webhooks:manage", [n, a, n, n, a]),
            ("ledger:reverse", [n, n, a, n, a]),
            ("ledger:admin", [n, n, n, n, a]),
            ("ledger:backdate", [n, a, a, n, a]),
            ("ledger:system", [n, n, n, n, a]),
            ("ledger:import", [n, n, n, n, a]),
            ("ledger:export", [n, n, n, a, a]),
            ("ledger:checkpoint", [n, n, n, a, a]),
            ("users:manage", [n, n, n, n, a]),
            ("keys:manage", [n, n, n, n, a]),
            ("audit:read", [n, n, n, a, a]),
            ("config:read", [n, n, n, n, a]),
        ];
        for (permission, row) in table {
            let roles = ["user", "service", "operator", "auditor", "admin"];
            for (role, expected) in roles.into_iter().zip(row) {
                assert_eq!(
                    reach(&book, role, permission),
                    expected,
                    "{role} {permission}"
                );
            }
        }
        for role in ["organizer", "scanner", "support", "compliance"] {
            assert!(book.exists(role));
        }
    }

    #[test]
    fn names_of_roles_are_folded_and_unknown_ones_dropped() {
        let book = RoleBook::try_new(&BTreeMap::new()).expect("valid");
        let names = [
            "ROLE_ADMIN",
            " Auditor ",
            "admin",
            "role_",
            "root",
            "ROLE_ROLE_USER",
        ];
        assert_eq!(book.known(names), ["admin", "auditor"]);
    }

    #[test]
    fn configuration_replaces_and_takes_in() {
        let of = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let configured = BTreeMap::from([
            (
                "chief".to_owned(),
                of(&["role:operator", "role:user", "audit:read"]),
            ),
            ("user".to_owned(), of(&["wallets:read@own"])),
        ]);
        let book = RoleBook::try_new(&configured).expect("valid");
        assert_eq!(reach(&book, "chief", "wallets:limits"), Some(Reach::All));
        assert_eq!(reach(&book, "chief", "wallets:read"), Some(Reach::All));
        assert_eq!(reach(&book, "user", "wallets:write"), None);
        assert_eq!(reach(&book, "nobody", "wallets:read"), None);

        let bad = |role: &str, names: &[&str]| {
            RoleBook::try_new(&BTreeMap::from([(role.to_owned(), of(names))])).expect_err("bad")
        };
        assert!(matches!(bad("a", &["role:b"]), RoleError::Unknown { .. }));
        assert_eq!(bad("a", &["role:a"]), RoleError::Cycle("a".into()));
        assert_eq!(
            bad("a", &["everything"]),
            RoleError::Name("everything".into())
        );
        assert_eq!(bad("A", &[]), RoleError::Name("A".into()));
    }
}
