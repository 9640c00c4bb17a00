//! `florin kafka acls --apply` at brokers that want TLS and SCRAM and keep lists (DEP-081 of the
//! deployment contract).

use florin_platform::testing::brokers::{Manner, PASSWORD, SecuredBrokers, USER};

use crate::server::launch::florin_with;

#[test]
fn dep_081_lists_are_laid_down_by_one_who_may_still_change_them() {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let entered = tokio.enter();
    let brokers = SecuredBrokers::start(Manner {
        keeps_lists: true,
        ..Manner::default()
    });
    drop(entered);
    let authority = brokers.authority();
    let env = [
        ("FLORIN__BUS__URL", brokers.settings().url.clone()),
        ("FLORIN__BUS__PREFIX", "t.".to_owned()),
        ("FLORIN__BUS__SASL_USER", USER.to_owned()),
        ("FLORIN__BUS__SASL_PASSWORD", PASSWORD.to_owned()),
        (
            "FLORIN__BUS__TLS_CA",
            authority.to_str().expect("UTF-8").to_owned(),
        ),
    ];
    let acls = |more: &[&str]| {
        let start = [
            "kafka",
            "acls",
            "--apply",
            "--user",
            "f-{role}_a",
            "--user",
            "f-{role}_b",
        ];
        florin_with(&[&start[..], more].concat(), &env)
    };
    let (code, _, err) = acls(&["--operator", "somebody"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("lock itself out"), "{err}");
    assert!(brokers.lists().is_empty(), "before anything was sent");
    let (code, out, err) = acls(&["--operator", USER, "--operator", "somebody"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("--allow-principal User:f-workers_b --operation Describe --operation Write --topic t.wallet-events"),
        "{out}"
    );
    let lists = brokers.lists();
    let may = |user: &str, resource: i8, operation: i8| {
        let principal = format!("User:{user}");
        let those = lists.iter().filter(|listed| {
            listed.principal == principal
                && (listed.resource, listed.operation) == (resource, operation)
        });
        those.map(|listed| listed.name.as_str()).collect::<Vec<_>>()
    };
    for user in [USER, "somebody"] {
        assert_eq!(may(user, 4, 7), ["kafka-cluster"], "{user} changes lists");
    }
    for turn in ["a", "b"] {
        assert_eq!(
            may(&format!("f-shadow-events_{turn}"), 3, 3),
            ["t.florin-shadow"]
        );
        assert_eq!(may(&format!("f-workers_{turn}"), 4, 7), [""; 0]);
    }
    let (code, out, err) = acls(&["--operator", USER, "--operator", "somebody"]);
    assert_eq!(
        (code, out.trim()),
        (Some(0), "nothing was missing"),
        "{err}"
    );
    assert_eq!(brokers.lists(), lists);
    drop(tokio);
}
