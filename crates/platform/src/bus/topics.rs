//! The table of topics: names, order, retention (ledger-wallets contract, B8). What creates
//! topics, what checks them and the page for operators read this table.

/// Events of wallets, keyed by wallet.
pub const WALLET_EVENTS: &str = "wallet-events";
/// Wallets as they are, keyed by wallet; only the last of each key counts.
pub const WALLET_SNAPSHOTS: &str = "wallet-snapshots";
/// Lines of the ledger's feed in their total order, without a key.
pub const LEDGER_CHANGES: &str = "ledger-changes";

/// Events of accounts that somebody else keeps, keyed by account (shadow-ledger contract, A3).
pub const TRANSACTIONS_RAW: &str = "transactions.raw";
/// Corrections of such accounts, keyed by account.
pub const TRANSACTIONS_CORRECTIONS: &str = "transactions.corrections";
/// Messages of the two that are no events, with their original key.
pub const TRANSACTIONS_DLQ: &str = "transactions.dlq";
/// What the shadow ledger tells, keyed by account.
pub const SHADOW_EVENTS: &str = "shadow.events";

/// Ending of the name of a topic's dead letters.
pub const DEAD_LETTERS: &str = ".dlq";

/// How many partitions a topic has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitions {
    /// One: the topic has a total order.
    One,
    /// As configured (`bus.partitions`), at least this many.
    AtLeast(u16),
}

/// What happens to old messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Deleted after this many hours.
    Hours(u32),
    /// The last message of each key stays.
    Compacted,
}

/// One topic.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// Name without the configured prefix.
    pub name: &'static str,
    /// What it carries.
    pub about: &'static str,
    /// What messages are keyed by.
    pub key: &'static str,
    /// How many partitions.
    pub partitions: Partitions,
    /// What happens to old messages.
    pub retention: Retention,
}

/// Hours for which events stay: seven days.
const WEEK_HOURS: u32 = 168;

/// Hours for which dead letters of the shadow ledger stay: thirty days.
const MONTH_HOURS: u32 = 720;

/// All topics that Florin publishes or reads.
pub const TOPICS: &[Topic] = &[
    Topic {
        name: WALLET_EVENTS,
        about: "events of wallets",
        key: "walletId",
        partitions: Partitions::AtLeast(6),
        retention: Retention::Hours(WEEK_HOURS),
    },
    Topic {
        name: WALLET_SNAPSHOTS,
        about: "wallets as they are",
        key: "walletId",
        partitions: Partitions::AtLeast(6),
        retention: Retention::Compacted,
    },
    Topic {
        name: LEDGER_CHANGES,
        about: "lines of the change feed, in their total order",
        key: "none",
        partitions: Partitions::One,
        retention: Retention::Hours(WEEK_HOURS),
    },
    Topic {
        name: TRANSACTIONS_RAW,
        about: "events of accounts that the shadow ledger follows, read and mirrored",
        key: "accountId",
        partitions: Partitions::AtLeast(6),
        retention: Retention::Hours(WEEK_HOURS),
    },
    Topic {
        name: TRANSACTIONS_CORRECTIONS,
        about: "corrections of such accounts, read and mirrored",
        key: "accountId",
        partitions: Partitions::AtLeast(6),
        retention: Retention::Hours(WEEK_HOURS),
    },
    Topic {
        name: TRANSACTIONS_DLQ,
        about: "messages of both that are no events",
        key: "as it was",
        partitions: Partitions::AtLeast(1),
        retention: Retention::Hours(MONTH_HOURS),
    },
    Topic {
        name: SHADOW_EVENTS,
        about: "what the shadow ledger tells",
        key: "accountId",
        partitions: Partitions::AtLeast(6),
        retention: Retention::Hours(WEEK_HOURS),
    },
];

impl Topic {
    /// Partitions of a new topic where `configured` are wished for.
    pub fn partitions(&self, configured: u16) -> i32 {
        match self.partitions {
            Partitions::One => 1,
            Partitions::AtLeast(least) => i32::from(configured.max(least)),
        }
    }

    /// Settings of a new topic, in Kafka's words.
    pub fn config(&self) -> Vec<(&'static str, String)> {
        match self.retention {
            Retention::Hours(hours) => vec![
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", (u64::from(hours) * 3_600_000).to_string()),
            ],
            Retention::Compacted => vec![("cleanup.policy", "compact".to_owned())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_keeps_what_the_contract_says() {
        let find = |name: &str| TOPICS.iter().find(|topic| topic.name == name);
        let events = find(WALLET_EVENTS).expect("listed");
        assert_eq!((events.partitions(0), events.partitions(48)), (6, 48));
        assert_eq!(
            events.config(),
            [
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", "604800000".to_owned())
            ]
        );
        let changes = find(LEDGER_CHANGES).expect("listed");
        assert_eq!(changes.partitions(48), 1, "a total order has one partition");
        let snapshots = find(WALLET_SNAPSHOTS).expect("listed");
        assert_eq!(snapshots.config()[0].1, "compact");
    }
}
