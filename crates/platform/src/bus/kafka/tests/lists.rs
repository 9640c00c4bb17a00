//! Access control lists, between this client and Confluent's.

use super::super::lists::{Entry, add, missing};
use super::secured::witness;
use super::*;
use crate::bus::access;
use crate::testing::brokers::{Listed, Manner, PASSWORD, SecuredBrokers};

/// Adds an entry, then shows all: a line each, in the words of librdkafka.
const LISTS: &str = r#"
admin = AdminClient(reach)
own = AclBinding(ResourceType.GROUP, "t.florin-shadow", ResourcePatternType.LITERAL,
                 "User:f-shadow-events", "*", AclOperation.READ, AclPermissionType.ALLOW)
for done in admin.create_acls([own], request_timeout=30).values():
    done.result()
every = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None,
                         AclOperation.ANY, AclPermissionType.ANY)
for acl in admin.describe_acls(every, request_timeout=30).result():
    assert (acl.resource_pattern_type, acl.host, acl.permission_type) == (
        ResourcePatternType.LITERAL, "*", AclPermissionType.ALLOW), acl
    print(acl.principal, acl.restype.name, acl.name, acl.operation.name)
"#;

const KEEPS: Manner = Manner {
    is_impostor: false,
    lives: 0,
    keeps_lists: true,
};

fn wanted() -> Vec<Entry> {
    let roles = access::of_roles("t.").into_iter();
    let of_roles = roles.flat_map(|(role, grants)| {
        let user = format!("f-{role}");
        let entry = move |grant| Entry {
            user: user.clone(),
            grant,
        };
        grants.into_iter().map(entry)
    });
    let operator = access::of_operator("t.").into_iter().map(|grant| Entry {
        user: "f-operator".to_owned(),
        grant,
    });
    of_roles.chain(operator).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dep_081_lists_are_laid_down_once() {
    let brokers = SecuredBrokers::start(KEEPS);
    let reach = Reach::open(brokers.settings()).expect("settings");
    let wanted = wanted();
    let (some, rest) = wanted.split_at(5);
    add(&reach, some).await.expect("added");
    assert_eq!(missing(&reach, &wanted).await.expect("seen"), rest);
    add(&reach, &wanted).await.expect("added");
    assert_eq!(missing(&reach, &wanted).await.expect("seen"), []);
    assert_eq!(brokers.lists().len(), wanted.len());
    let alter = Listed {
        resource: 4,
        name: "kafka-cluster".to_owned(),
        pattern: 3,
        principal: "User:f-operator".to_owned(),
        host: "*".to_owned(),
        operation: 7,
        permission: 3,
    };
    assert!(brokers.lists().contains(&alter));
    assert!(!brokers.was_trespassed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_reads_them_as_they_were_meant() {
    let brokers = SecuredBrokers::start(KEEPS);
    let reach = Reach::open(brokers.settings()).expect("settings");
    let (wanted, by_the_other): (Vec<Entry>, Vec<Entry>) =
        wanted().into_iter().partition(|entry| {
            entry.grant.resource != access::Resource::Group || entry.user != "f-shadow-events"
        });
    assert_eq!(by_the_other.len(), 1);
    add(&reach, &wanted).await.expect("added");
    let Some(seen) = witness(&brokers, LISTS, PASSWORD).await else {
        return;
    };
    let told = String::from_utf8_lossy(&seen.stderr).into_owned();
    assert!(seen.status.success(), "{told}");
    let lines = String::from_utf8(seen.stdout).expect("UTF-8");
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    let all = wanted.iter().chain(&by_the_other);
    let mut meant: Vec<String> = all
        .map(|Entry { user, grant }| {
            let kind = match grant.resource {
                access::Resource::Topic => "TOPIC",
                access::Resource::Group => "GROUP",
                access::Resource::TransactionalId => "TRANSACTIONAL_ID",
                access::Resource::Cluster => "BROKER",
            };
            let operation = match grant.operation.word() {
                "DescribeConfigs" => "DESCRIBE_CONFIGS".to_owned(),
                word => word.to_uppercase(),
            };
            format!("User:{user} {kind} {} {operation}", grant.name)
        })
        .collect();
    meant.sort_unstable();
    assert_eq!(lines, meant);
    let all: Vec<Entry> = wanted.iter().chain(&by_the_other).cloned().collect();
    assert_eq!(missing(&reach, &all).await.expect("seen"), []);
}
