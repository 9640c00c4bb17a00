//! Real transactions of a bank through topics: shuffled, doubled, late, with bad messages among
//! them and a process that is killed meanwhile, they make the books that they make over HTTP
//! (shadow-ledger contract, A3, A5; INV-S2, INV-S13, INV-S14, row 50).
//!
//! `FLORIN_SHADOW_SEED` repeats an order.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use florin_base::{Clock as _, SystemClock};
use florin_platform::testing::postgres::TestPostgres;
use serde_json::{Value, json};

use crate::crash::number;
use crate::distributed::cluster::Broker;
use crate::server::{Launch, Rng, Server, Who, wait};

/// Longest wait for messages to arrive: a killed member keeps its partitions for a while.
const LONG: Duration = Duration::from_secs(120);
const RAW: &str = "transactions.raw";
const CORRECTIONS: &str = "transactions.corrections";
const DEAD: &str = "transactions.dlq";

/// One transaction: its account, what is sent, and whether the bank was below zero after it.
struct Line {
    account: String,
    json: String,
    below: bool,
}

/// The file, or nothing where it is absent. Credits of a day come before its debits.
fn lines() -> Option<Vec<Line>> {
    let text = florin_platform::testing::bank_transactions()?;
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let (account, way) = (format!("ACC-{}", cells[1]), cells[3]);
        let milli = u8::from(way == "debit");
        let json = json!({"eventId": format!("T{}", cells[0]), "accountId": account, "type": way,
            "amount": cells[5], "timestamp": format!("{}T00:00:00.00{milli}Z", cells[2]),
            "currency": "CZK"});
        Line {
            account,
            json: json.to_string(),
            below: cells[6].starts_with('-'),
        }
    };
    let rows = text.lines().skip(1).filter(|row| !row.is_empty());
    Some(rows.map(line).collect())
}

fn shuffled(lines: &[Line], rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    // Every tenth comes twice.
    order.extend((0..lines.len()).step_by(10));
    for at in (1..order.len()).rev() {
        let other = usize::try_from(rng.below(at as u64 + 1)).expect("small");
        order.swap(at, other);
    }
    order
}

/// Sends messages with the command-line client of another make; `more` are its arguments.
fn produce(broker: &Broker, topic: &str, more: &[&str], messages: &[(&str, &str)]) {
    let mut client = Command::new("kcat")
        .args(["-P", "-q", "-b", broker.brokers(), "-t", topic, "-K", "\t"])
        .args(more)
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat runs");
    let mut text = String::new();
    for (key, value) in messages {
        text.push_str(&format!("{key}\t{value}\n"));
    }
    let mut stdin = client.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    assert!(client.wait().expect("ends").success(), "kcat");
}

/// Everything in a topic: key, headers and value of each message.
fn consume(broker: &Broker, topic: &str) -> Vec<String> {
    broker.messages(topic, "%k\t%h\t%s\n")
}

fn launch(dir: &Path) -> Launch {
    Launch::new().dir(dir).config(
        "[[ledger.assets]]\ncode = \"CZK\"\nscale = 2\nkind = \"fiat\"\n\
         [shadow]\ngrace = \"1h\"\n",
    )
}

/// All items of a list of the shadow ledger.
fn all(server: &Server, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = format!("/api/v1/shadow/{path}?limit=500{cursor}");
        let page = server.get(Who::Auditor, &page).ok(200);
        items.extend(page.body["items"].as_array().expect("items").clone());
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// Account, digest and count of each book.
fn digests(server: &Server) -> Vec<(String, String, u64)> {
    let text = |item: &Value, name: &str| item[name].as_str().expect("text").to_owned();
    let digest = |item: &Value| {
        let events = item["events"].as_u64().expect("a count");
        (text(item, "accountId"), text(item, "digest"), events)
    };
    all(server, "digests").iter().map(digest).collect()
}

fn balances(server: &Server) -> Vec<(String, String)> {
    let balance = |item: &Value| (item["accountId"].to_string(), item["balance"].to_string());
    all(server, "accounts").iter().map(balance).collect()
}

fn recorded(server: &Server) -> u64 {
    digests(server).iter().map(|(.., events)| events).sum()
}

fn lift(server: &Server, accounts: &BTreeSet<&str>) {
    for account in accounts {
        let path = format!("/api/v1/shadow/books/{account}/CZK");
        server
            .put(Who::Admin, &path, json!({"floor": null}))
            .ok(200);
    }
}

fn over_http(server: &Server, lines: &[Line], order: &[usize]) {
    for some in order.chunks(5_000) {
        let bodies: Vec<&str> = some.iter().map(|&at| lines[at].json.as_str()).collect();
        let path = "/api/v1/shadow/events/batch?results=errors";
        let call = server.call(Who::Service, "POST", path);
        call.text(&format!("[{}]", bodies.join(","))).send().ok(202);
    }
}

/// What the test has, or nothing, said by name.
fn given() -> Option<(Vec<Line>, Broker)> {
    let lines = lines()?;
    let there = Command::new("kcat").arg("-V").output();
    if there.is_err() {
        println!("SKIPPED the bank through topics: kcat is not installed (apt install kcat)");
        return None;
    }
    Some((lines, Broker::start()?))
}

/// Bad messages and what they are.
fn bad() -> Vec<(&'static str, String, &'static str)> {
    let soon = SystemClock.wall_micros() / 1_000 + 1_800_000;
    let early = json!({"eventId": "EARLY", "accountId": "LATER", "type": "credit",
        "amount": 5, "timestamp": soon});
    vec![
        ("x", "{\"eventId\":".to_owned(), "malformed_json"),
        ("", r#"{"eventId":"CORR-1"}"#.to_owned(), "reserved_id"),
        ("LATER", early.to_string(), "timestamp_in_future"),
    ]
}

fn the_bank(what: &str, database: Option<&str>) {
    let Some((lines, broker)) = given() else {
        return;
    };
    let seed = number("FLORIN_SHADOW_SEED", 1);
    println!("{what}: seed {seed}");
    let mut rng = Rng::new(seed);
    let below = lines.iter().filter(|line| line.below);
    let below: BTreeSet<&str> = below.map(|line| line.account.as_str()).collect();
    assert_eq!((lines.len(), below.len()), (23_932, 12));
    let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let with_broker = || {
        let launch = launch(homes[0].path())
            .env("FLORIN__BUS__URL", format!("kafka://{}", broker.brokers()))
            .env("FLORIN__BUS__CREATE_TOPICS", "false");
        match database {
            Some(url) => launch.env("FLORIN__DATABASE__URL", url),
            None => launch,
        }
    };
    let other = launch(homes[1].path()).start();
    lift(&other, &below);
    over_http(&other, &lines, &shuffled(&lines, &mut rng));

    let server = with_broker().start();
    lift(&server, &below);
    let order = shuffled(&lines, &mut rng);
    let message = |&at: &usize| (lines[at].account.as_str(), lines[at].json.as_str());
    let messages: Vec<(&str, &str)> = order.iter().map(message).collect();
    let (first, rest) = messages.split_at(messages.len() / 2);
    produce(&broker, RAW, &[], first);
    let bad = bad();
    let as_message = |(key, value, _): &(&'static str, String, &str)| (*key, value.clone());
    let poison: Vec<(&str, String)> = bad.iter().map(as_message).collect();
    let poison: Vec<(&str, &str)> = poison.iter().map(|(k, v)| (*k, v.as_str())).collect();
    produce(&broker, RAW, &["-H", "X-Trace-Id=trace-9"], &poison);
    wait("some messages", LONG, || {
        (recorded(&server) > 1_000).then_some(())
    });
    server.kill();
    let server = with_broker().start();
    produce(&broker, RAW, &[], rest);
    wait("all messages", LONG, || {
        (recorded(&server) == lines.len() as u64).then_some(())
    });
    assert_eq!(digests(&server), digests(&other));
    assert_eq!(balances(&server), balances(&other));

    dead_letters(&server, &broker, &bad);
    corrections_and_copies(&server, &broker);
}

/// Each bad message is parked once, published with its bytes, and redriven when its time comes.
fn dead_letters(server: &Server, broker: &Broker, bad: &[(&str, String, &str)]) {
    let letters = wait("letters", LONG, || {
        let letters = all(server, "dead-letters");
        (letters.len() == bad.len()).then_some(letters)
    });
    let of = |reason: &str| {
        let found = letters.iter().find(|letter| letter["reason"] == reason);
        found.expect("parked with this reason")
    };
    for (_, value, reason) in bad {
        assert_eq!(of(reason)["payload"], *value);
    }
    let published = wait("published letters", LONG, || {
        let published = consume(broker, DEAD);
        (published.len() == bad.len()).then_some(published)
    });
    for (key, value, reason) in bad {
        let end = format!("\t{value}");
        let found = published.iter().find(|line| line.ends_with(&end));
        let found = found.expect("published");
        assert!(found.starts_with(&format!("{key}\t")), "{found}");
        for header in [
            format!("florin-reason={reason}"),
            format!("florin-topic={RAW}"),
            "florin-partition=".to_owned(),
            "florin-offset=".to_owned(),
            "florin-at=".to_owned(),
            "X-Trace-Id=trace-9".to_owned(),
        ] {
            assert!(found.contains(&header), "{header}: {found}");
        }
    }
    let id = of("timestamp_in_future")["id"].as_str().expect("an id");
    let path = format!("/api/v1/shadow/dead-letters/{id}/redrive");
    let early = server.post(Who::Admin, &path, json!({})).ok(200);
    assert_eq!(early.body["status"], "parked", "{}", early.text);
    server.advance(1_800);
    let done = server.post(Who::Admin, &path, json!({})).ok(200);
    assert_eq!(done.body["status"], "redriven", "{}", done.text);
    let path = "/api/v1/shadow/accounts/LATER/shadow-balance";
    assert_eq!(server.get(Who::Auditor, path).ok(200).body["balance"], 5);
}

/// A correction of a topic waits for a person; what comes in over HTTP is copied to the topic,
/// and the copy that comes back is a duplicate.
fn corrections_and_copies(server: &Server, broker: &Broker) {
    let sent = json!({"eventId": "CORR-LATER-1", "accountId": "LATER", "type": "credit",
        "amount": "2.50", "timestamp": "2025-01-01T00:00:00Z", "reason": "found elsewhere"});
    produce(broker, CORRECTIONS, &[], &[("LATER", &sent.to_string())]);
    let path = "/api/v1/shadow/corrections/CORR-LATER-1";
    let shown = wait("the proposal", LONG, || {
        let shown = server.get(Who::Auditor, path);
        (shown.status == 200).then_some(shown)
    });
    assert_eq!(shown.body["status"], "proposed", "{}", shown.text);
    let approve = format!("{path}/approve");
    server.post(Who::Admin, &approve, json!({})).ok(200);
    let event = json!({"eventId": "HTTP-1", "accountId": "LATER", "type": "credit",
        "amount": 1, "timestamp": 1_735_732_800_000_i64});
    let path = "/api/v1/shadow/events";
    let call = server.call(Who::Service, "POST", path);
    call.header("x-trace-id", "trace-http")
        .json(&event)
        .send()
        .ok(202);
    let copy = wait("the copy", LONG, || {
        let raw = consume(broker, RAW);
        raw.into_iter().find(|line| line.contains("HTTP-1"))
    });
    assert!(copy.contains("florin-origin="), "{copy}");
    assert!(copy.contains("X-Trace-Id=trace-http"), "{copy}");
    wait("the copy to come back", LONG, || {
        let metrics = server.get(Who::Admin, "/metrics").ok(200).text;
        metrics.contains("shadow_own_copies_total 1").then_some(())
    });
    let path = "/api/v1/shadow/accounts/LATER/shadow-balance";
    let balance = server.get(Who::Auditor, path).ok(200).body;
    assert_eq!(balance["balance"], 8.5);
    assert_eq!(all(server, "dead-letters").len(), 3, "no letter of a copy");
    let told = consume(broker, "shadow.events");
    let applied = told.iter().find(|line| line.contains("trace-http"));
    let applied = applied.expect("told with the trace of the request");
    assert!(applied.contains("shadow.event.applied"), "{applied}");
    assert!(applied.contains("traceparent=00-"), "{applied}");
}

#[test]
fn inv_s13_the_bank_through_topics_is_the_bank_over_http() {
    the_bank("embedded", None);
}

#[test]
fn inv_s13_the_bank_through_topics_on_postgres() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(postgres) = runtime.block_on(TestPostgres::start()) else {
        println!(
            "SKIPPED the bank through topics on PostgreSQL: its server is not installed (apt install postgresql)"
        );
        return;
    };
    // Waits until the server answers.
    drop(runtime.block_on(postgres.fresh()));
    the_bank("PostgreSQL", Some(&postgres.url()));
}
