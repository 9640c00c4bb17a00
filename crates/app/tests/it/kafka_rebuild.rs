//! Topics are projections of the ledger (deployment contract, DEP-084): brokers that lost everything get
//! it all again from PostgreSQL, byte for byte and with the ids that it had.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::distributed::cluster::Broker;
use crate::drill::Site;
use crate::server::launch::florin_with;
use crate::server::{Launch, Server, wait};

/// Longest wait for messages.
const LONG: Duration = Duration::from_secs(60);

/// Lines of the feed, and ids of the wallets' events.
fn projections(broker: &Broker) -> (BTreeSet<String>, BTreeSet<String>) {
    let id = |headers: &String| {
        let mut pairs = headers.split(',');
        pairs
            .find_map(|pair| pair.strip_prefix("florin-event-id="))
            .map(str::to_owned)
    };
    let events = broker.messages("wallet-events", "%h\n");
    let ids = events.iter().filter_map(id).collect();
    (
        broker
            .messages("ledger-changes", "%s\n")
            .into_iter()
            .collect(),
        ids,
    )
}

fn settings(url: &str, broker: &Broker) -> [(&'static str, String); 4] {
    [
        ("FLORIN__LEDGER__URL", url.to_owned()),
        ("FLORIN__DATABASE__URL", url.to_owned()),
        // The broker's topics are there.
        ("FLORIN__BUS__CREATE_TOPICS", "false".to_owned()),
        ("FLORIN__BUS__URL", format!("kafka://{}", broker.brokers())),
    ]
}

fn serve(url: &str, broker: &Broker, home: &Path) -> Server {
    let settings = settings(url, broker).into_iter();
    settings
        .fold(Launch::new().dir(home), |launch, (name, value)| {
            launch.env(name, value)
        })
        .start()
}

#[test]
fn dep_084_topics_that_are_lost_come_back_from_the_ledger() {
    let test = "dep_084_topics_that_are_lost_come_back";
    if Command::new("kcat").arg("-V").output().is_err() {
        println!("SKIPPED {test}: kcat is not installed (apt install kcat)");
        return;
    }
    let (Some(site), Some(first)) = (Site::start(test), Broker::start()) else {
        return;
    };
    let url = site.create("topics");
    let home = tempfile::tempdir().expect("temporary folder");
    let server = serve(&url, &first, home.path());
    let wallet = server.funded("BRL", "10.00");
    server.withdraw(&wallet, "1.00").ok(200);
    let last = site.ask(&url, "SELECT seq FROM florin_ledger.head");
    let stands = format!("\"seq\":{last},");
    let (feed, ids) = wait("the record of the withdrawal", LONG, || {
        let found = projections(&first);
        let there = found.0.iter().any(|line| line.contains(&stands));
        (there && found.1.len() >= 3).then_some(found)
    });
    assert!(feed.len() >= 3, "{feed:?}");
    server.stop();
    drop(first);

    // Other brokers, with nothing in them; the readers stand at the end of the feed.
    let second = Broker::start().expect("a broker, as before");
    let dir = home.path().to_str().expect("plain");
    let args = ["kafka", "rebuild", "--data-dir", dir];
    let (code, out, err) = florin_with(&args, &settings(&url, &second));
    assert_eq!(code, Some(0), "{out} {err}");
    let server = serve(&url, &second, home.path());
    let (again, ids_again) = wait("what the first brokers had", LONG, || {
        let found = projections(&second);
        (found.0.is_superset(&feed) && found.1.is_superset(&ids)).then_some(found)
    });
    assert!(again.is_superset(&feed), "byte for byte");
    assert!(ids_again.is_superset(&ids), "the ids that they had");
    server.stop();
}
