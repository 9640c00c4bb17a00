//! Which pages there are, and who is shown which: what a visitor may not read is left out of the
//! menu. Whether he may is decided by the API all the same when the page is asked for.

use crate::visit::Me;

/// A page of the menu.
pub struct Item {
    /// Its path.
    pub path: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its first call needs; empty: nothing.
    pub needs: &'static str,
}

/// A part of the menu.
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// Its pages.
    pub items: &'static [Item],
}

const fn item(path: &'static str, name: &'static str, needs: &'static str) -> Item {
    Item { path, name, needs }
}

/// The menu.
pub const MENU: &[Section] = &[
    Section {
        name: "Overview",
        items: &[item("/console", "Overview", "")],
    },
    Section {
        name: "Ledger",
        items: &[
            item("/console/ledger/accounts", "Accounts", "ledger:read"),
            item("/console/ledger/transfers", "Transfers", "ledger:read"),
            item(
                "/console/ledger/trial-balance",
                "Trial balance",
                "ledger:read",
            ),
            item("/console/ledger/checkpoints", "Checkpoints", "ledger:read"),
            item("/console/ledger/live", "Live feed", "ledger:read"),
        ],
    },
    Section {
        name: "Wallets",
        items: &[
            item("/console/wallets", "Wallets", "wallets:read"),
            item("/console/holds", "Find a hold", "wallets:read"),
        ],
    },
    Section {
        name: "Ticketing",
        items: &[
            item(
                "/console/ticketing/organisations",
                "Organisations",
                "orgs:read",
            ),
            item("/console/ticketing/events", "Events", "orgs:read"),
            item("/console/ticketing/orders", "Find an order", "orders:read"),
        ],
    },
    Section {
        name: "Shadow ledger",
        items: &[
            item("/console/shadow", "State", "shadow:read"),
            item("/console/shadow/accounts", "Books", "shadow:read"),
            item("/console/shadow/links", "Linked books", "shadow:read"),
            item("/console/shadow/events", "Events", "shadow:read"),
            item(
                "/console/shadow/dead-letters",
                "Dead letters",
                "shadow:read",
            ),
            item("/console/shadow/drift", "Drift", "shadow:read"),
            item("/console/shadow/corrections", "Corrections", "shadow:read"),
            item("/console/shadow/statements", "Statements", "shadow:read"),
            item("/console/shadow/lines", "Statement lines", "shadow:read"),
            item("/console/shadow/profiles", "CSV profiles", "shadow:read"),
            item("/console/shadow/references", "References", "shadow:read"),
            item(
                "/console/shadow/reconciliations",
                "Reconciliations",
                "shadow:read",
            ),
            item("/console/shadow/matches", "Matches", "shadow:read"),
            item("/console/shadow/monitors", "Monitors", "shadow:read"),
            item("/console/shadow/alerts", "Alerts", "shadow:read"),
            item("/console/shadow/audit", "Audit", "shadow:read"),
        ],
    },
    Section {
        name: "Administration",
        items: &[
            item("/console/admin/users", "Users", "users:manage"),
            item("/console/admin/keys", "API keys", "keys:manage"),
            item("/console/admin/roles", "Roles", "config:read"),
            item("/console/admin/webhooks", "Webhooks", "webhooks:manage"),
            item("/console/admin/audit", "Audit log", "audit:read"),
            item("/console/admin/config", "Configuration", "config:read"),
        ],
    },
];

impl Item {
    /// Whether the visitor is shown it.
    pub fn is_for(&self, me: &Me) -> bool {
        self.needs.is_empty() || me.may(self.needs)
    }

    /// Whether `path` is this page or one below it.
    pub fn holds(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path);
        rest.is_some_and(|rest| {
            rest.is_empty() || self.path != crate::BASE && rest.starts_with('/')
        })
    }
}

/// The page of the menu to which a path belongs: the one with the longest path.
pub fn current(path: &str) -> Option<&'static Item> {
    let all = MENU.iter().flat_map(|section| section.items);
    all.filter(|item| item.holds(path))
        .max_by_key(|item| item.path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_page_is_current() {
        let name = |path| current(path).map(|item| item.name);
        assert_eq!(name("/console"), Some("Overview"));
        assert_eq!(name("/console/ledger/accounts/a1"), Some("Accounts"));
        assert_eq!(name("/console/wallets/0190"), Some("Wallets"));
        assert_eq!(name("/console/none"), None);
    }
}
