//! What the processes of each role may do at the brokers, for brokers that ask (access control
//! lists of Apache Kafka). `florin kafka acls` prints it and lays it down.
//!
//! Roles that are not listed publish and read nothing; a test of `app` holds the list against what
//! the rooms publish and read. Of the operations, `Read` and `Write`
//! bring `Describe` with them, and `Write` on a topic the right to write to it idempotently.

use super::topics::{
    DEAD_LETTERS, LEDGER_CHANGES, SHADOW_EVENTS, TOPICS, TRANSACTIONS_CORRECTIONS,
    TRANSACTIONS_DLQ, TRANSACTIONS_RAW, WALLET_EVENTS, WALLET_SNAPSHOTS,
};

/// The group that takes events of the shadow ledger in, without the configured prefix.
pub const SHADOW_GROUP: &str = "florin-shadow";
/// The group whose position says which dead letters have been dealt with, without the configured
/// prefix.
pub const LETTERS_GROUP: &str = "florin-dead-letters";
/// Beginning of a topic's transactional id; the topic's full name follows.
pub const FEED_ID: &str = "florin-feed-";

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
    /// The name under which one process at a time publishes a topic.
    TransactionalId,
    /// The brokers as a whole.
    Cluster,
}

/// What Kafka calls the brokers as a whole.
pub const CLUSTER: &str = "kafka-cluster";

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Of the cluster: changes these lists.
    Alter,
    /// Creates the topic.
    Create,
    /// Sees that it is there.
    Describe,
    /// Sees its settings.
    DescribeConfigs,
    /// Reads messages, or moves a group's position.
    Read,
    /// Publishes.
    Write,
}

impl Operation {
    /// Kafka's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alter => "Alter",
            Self::Create => "Create",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::Read => "Read",
            Self::Write => "Write",
        }
    }
}

/// One permission, in Kafka's words; names with the configured prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// What it is about.
    pub resource: Resource,
    /// The resource's name.
    pub name: String,
    /// What may be done with it.
    pub operation: Operation,
}

/// What a role does at the brokers.
#[derive(Debug)]
struct Access {
    role: &'static str,
    reads: &'static [&'static str],
    /// Under transactional ids, so that one process at a time does it.
    publishes: &'static [&'static str],
    groups: &'static [&'static str],
}

const ACCESS: &[Access] = &[
    Access {
        role: "shadow-events",
        reads: &[TRANSACTIONS_RAW, TRANSACTIONS_CORRECTIONS],
        publishes: &[],
        groups: &[SHADOW_GROUP],
    },
    Access {
        role: "workers",
        reads: &[],
        publishes: &[
            LEDGER_CHANGES,
            SHADOW_EVENTS,
            TRANSACTIONS_CORRECTIONS,
            TRANSACTIONS_DLQ,
            TRANSACTIONS_RAW,
            WALLET_EVENTS,
            WALLET_SNAPSHOTS,
        ],
        groups: &[],
    },
];

fn grant(resource: Resource, name: String, operation: Operation) -> Grant {
    Grant {
        resource,
        name,
        operation,
    }
}

/// Permissions of the roles that need any, in order of role and name.
pub fn of_roles(prefix: &str) -> Vec<(&'static str, Vec<Grant>)> {
    let of = |access: &Access| {
        let mut grants = Vec::new();
        for topic in access.reads {
            let name = format!("{prefix}{topic}");
            grants.push(grant(Resource::Topic, name.clone(), Operation::Read));
            // A message that can never be handled is put aside.
            let letters = format!("{name}{DEAD_LETTERS}");
            grants.push(grant(Resource::Topic, letters, Operation::Write));
        }
        for topic in access.publishes {
            let name = format!("{prefix}{topic}");
            let id = format!("{FEED_ID}{name}");
            grants.push(grant(Resource::Topic, name, Operation::Write));
            grants.push(grant(
                Resource::TransactionalId,
                id.clone(),
                Operation::Describe,
            ));
            grants.push(grant(Resource::TransactionalId, id, Operation::Write));
        }
        for group in access.groups {
            grants.push(grant(
                Resource::Group,
                format!("{prefix}{group}"),
                Operation::Read,
            ));
        }
        // Whether topics are there is asked of all of them.
        for topic in TOPICS {
            let name = format!("{prefix}{}", topic.name);
            grants.push(grant(Resource::Topic, name, Operation::Describe));
        }
        grants.sort();
        (access.role, grants)
    };
    ACCESS.iter().map(of).collect()
}

/// Permissions of whoever creates the topics, lays these lists down and deals with dead letters.
pub fn of_operator(prefix: &str) -> Vec<Grant> {
    let letters = format!("{prefix}{LETTERS_GROUP}");
    let mut grants = vec![
        grant(Resource::Group, letters, Operation::Read),
        // As soon as the cluster has a list, nobody else changes any.
        grant(Resource::Cluster, CLUSTER.to_owned(), Operation::Alter),
    ];
    for topic in TOPICS {
        let name = format!("{prefix}{}", topic.name);
        for operation in [
            Operation::Create,
            Operation::Describe,
            Operation::DescribeConfigs,
        ] {
            grants.push(grant(Resource::Topic, name.clone(), operation));
        }
    }
    for topic in ACCESS.iter().flat_map(|access| access.reads) {
        let name = format!("{prefix}{topic}");
        let letters = format!("{name}{DEAD_LETTERS}");
        // Redriven letters go back to their topic.
        grants.push(grant(Resource::Topic, name, Operation::Write));
        for operation in [Operation::Create, Operation::Read] {
            grants.push(grant(Resource::Topic, letters.clone(), operation));
        }
    }
    grants.sort();
    grants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(grants: &[Grant], resource: Resource, name: &str) -> Vec<&'static str> {
        let those = grants.iter();
        let those = those.filter(|grant| grant.resource == resource && grant.name == name);
        those.map(|grant| grant.operation.word()).collect()
    }

    #[test]
    fn every_topic_has_a_role_that_publishes_it_and_no_role_may_create_one() {
        let roles = of_roles("eu.");
        for topic in TOPICS {
            let name = format!("eu.{}", topic.name);
            let publishers = roles.iter().filter(|(_, grants)| {
                may(grants, Resource::Topic, &name).contains(&"Write")
                    && may(
                        grants,
                        Resource::TransactionalId,
                        &format!("florin-feed-{name}"),
                    ) == ["Describe", "Write"]
            });
            assert_eq!(publishers.count(), 1, "{name}");
        }
        let all = roles.iter().flat_map(|(_, grants)| grants);
        assert!(
            all.clone()
                .all(|grant| !matches!(grant.operation, Operation::Create | Operation::Alter))
        );
        assert!(all.clone().all(|grant| grant.name.contains("eu.")));
    }

    #[test]
    fn the_shadow_ledger_reads_two_topics_and_publishes_nothing_but_letters() {
        let roles = of_roles("");
        let (_, grants) = roles
            .iter()
            .find(|(role, _)| *role == "shadow-events")
            .expect("listed");
        assert_eq!(
            may(grants, Resource::Topic, TRANSACTIONS_RAW),
            ["Describe", "Read"]
        );
        assert_eq!(
            may(grants, Resource::Topic, "transactions.raw.dlq"),
            ["Write"]
        );
        assert_eq!(may(grants, Resource::Topic, WALLET_EVENTS), ["Describe"]);
        assert_eq!(may(grants, Resource::Group, SHADOW_GROUP), ["Read"]);
        let ids = grants
            .iter()
            .filter(|grant| grant.resource == Resource::TransactionalId);
        assert_eq!(ids.count(), 0);
    }

    #[test]
    fn an_operator_creates_topics_and_redrives_letters_of_what_is_read() {
        let grants = of_operator("");
        let operations = ["Create", "Describe", "DescribeConfigs"];
        assert_eq!(may(&grants, Resource::Topic, LEDGER_CHANGES), operations);
        let written = ["Create", "Describe", "DescribeConfigs", "Write"];
        assert_eq!(may(&grants, Resource::Topic, TRANSACTIONS_RAW), written);
        assert_eq!(
            may(&grants, Resource::Topic, "transactions.raw.dlq"),
            ["Create", "Read"]
        );
        assert_eq!(may(&grants, Resource::Group, LETTERS_GROUP), ["Read"]);
        assert_eq!(may(&grants, Resource::Cluster, CLUSTER), ["Alter"]);
    }
}
