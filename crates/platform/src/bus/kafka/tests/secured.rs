//! Over TLS and as a user with SCRAM-SHA-512, to [`SecuredBrokers`]; Confluent's client for
//! Python, whose librdkafka has OpenSSL, bears witness that those speak as brokers do.

use std::process::Output;

use florin_base::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::tunnel::sign_in::{read_small, write};
use super::super::tunnel::wire::{self, Call};
use super::*;
use crate::bus::settings::SaslMechanism;
use crate::http::tls::{TlsMaterial, TlsSource};
use crate::testing::brokers::{Manner, PASSWORD, SecuredBrokers, USER};
use crate::testing::process::skipped;

/// What the witness ends with where Python lacks the library.
const MISSING: i32 = 77;
/// How every script begins: with `librdkafka` of another build, which has OpenSSL.
const REACH: &str = r#"
import sys
try:
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.admin import *
except ImportError:
    sys.exit(77)
brokers, user, password, authority = sys.argv[1:]
reach = {
    "bootstrap.servers": brokers,
    "security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512",
    "sasl.username": user, "sasl.password": password, "ssl.ca.location": authority,
}
"#;
/// Reads the topic: a line a message.
const READS: &str = r#"
consumer = Consumer(reach | {"group.id": "witness", "enable.partition.eof": True})
found = consumer.list_topics("t.wallet-events", timeout=5).topics["t.wallet-events"]
consumer.assign([TopicPartition("t.wallet-events", n, 0) for n in found.partitions])
left = len(found.partitions)
while left:
    message = consumer.poll(30)
    if message is None:
        sys.exit("nothing came")
    if message.error():
        left -= 1
    else:
        print(message.value().decode())
consumer.close()
"#;

const USUAL: Manner = Manner {
    is_impostor: false,
    lives: 0,
    keeps_lists: false,
};

fn bus(settings: &BusSettings) -> Arc<KafkaBus> {
    let reach = Reach::open(settings).expect("settings");
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    Arc::new(KafkaBus::new(reach, clock).expect("settings"))
}

/// What Python says to a script; `None`, said by name, where it lacks the library.
pub(super) async fn witness(
    secured: &SecuredBrokers,
    script: &str,
    password: &str,
) -> Option<Output> {
    let python = std::env::var("FLORIN_TEST_CONFLUENT").unwrap_or_else(|_| "python3".to_owned());
    let mut witness = std::process::Command::new(python);
    let script = format!("{REACH}{script}");
    witness.args(["-c", &*script, secured.addresses(), USER, password]);
    witness.arg(secured.authority());
    let done = tokio::task::spawn_blocking(move || witness.output()).await;
    match done.expect("run") {
        Ok(output) if output.status.code() != Some(MISSING) => Some(output),
        _ => {
            skipped("no confluent-kafka (pip install confluent-kafka)");
            None
        }
    }
}

/// Settings that do not lead in, and what a probe says of them; the first probe may end before
/// anything was heard.
async fn refuses(secured: &SecuredBrokers, settings: &BusSettings, words: &str) -> String {
    let started = Instant::now();
    loop {
        let refused = bus(settings).probe().await.expect_err("refused");
        assert_eq!(secured.signed_in(), 0);
        assert!(!secured.was_trespassed());
        if refused.0.contains(words) {
            return refused.0;
        }
        assert!(started.elapsed() < LONG, "{words}: {refused}");
    }
}

/// DEP-081 of the deployment contract.
#[tokio::test(flavor = "multi_thread")]
async fn dep_081_records_go_over_tls_as_a_user_with_scram() {
    let secured = SecuredBrokers::start(USUAL);
    let bus = bus(secured.settings());
    assert_eq!(publish(&bus, TOPIC, messages(1, 400)).await, 0);
    bus.probe().await.expect("a cluster with its topics");
    assert!(secured.signed_in() > 0);
    let over_tls = Cluster {
        mock: None,
        settings: secured.settings().clone(),
    };
    assert_eq!(
        first_ids(&over_tls.read(TOPIC, 400).await),
        expected(1, 400)
    );
    // The same without the house: nothing was changed on the way.
    let behind = Cluster {
        mock: None,
        settings: secured.settings_behind(),
    };
    let plain = behind.read(TOPIC, 400).await;
    assert_eq!(first_ids(&plain), expected(1, 400));
    assert!(!secured.was_trespassed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_is_let_in_by_the_same_house() {
    let secured = SecuredBrokers::start(USUAL);
    let bus = bus(secured.settings());
    assert_eq!(publish(&bus, TOPIC, messages(1, 20)).await, 0);
    let Some(right) = witness(&secured, READS, PASSWORD).await else {
        return;
    };
    let told = String::from_utf8_lossy(&right.stderr).into_owned();
    assert!(right.status.success(), "{told}");
    let lines = String::from_utf8(right.stdout).expect("UTF-8");
    assert_eq!(lines.lines().count(), 20, "{lines}{told}");
    let wrong = witness(&secured, READS, "another").await.expect("python");
    assert!(!wrong.status.success(), "the house judges passwords");
    assert!(wrong.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_as_that() {
    let secured = SecuredBrokers::start(USUAL);
    let wrong = BusSettings {
        sasl_password: Some(Secret::new("another".to_owned())),
        ..secured.settings().clone()
    };
    refuses(&secured, &wrong, "refuses user or password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mechanism_that_the_broker_lacks_is_told_with_those_it_has() {
    let secured = SecuredBrokers::start(USUAL);
    let plain = BusSettings {
        sasl_mechanism: Some(SaslMechanism::Plain),
        ..secured.settings().clone()
    };
    let why = refuses(&secured, &plain, "does not take PLAIN").await;
    assert!(why.contains("SCRAM-SHA-512"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_not_believed() {
    let secured = SecuredBrokers::start(USUAL);
    let names = vec!["another.example".to_owned()];
    let other = TlsMaterial::load(TlsSource::SelfSigned { names }).expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = folder.path().join("other.pem");
    std::fs::write(&authority, other.certificate_pem()).expect("written");
    let settings = BusSettings {
        tls_ca: Some(authority),
        ..secured.settings().clone()
    };
    refuses(&secured, &settings, "certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_know_the_password_is_not_believed() {
    let impostor = Manner {
        is_impostor: true,
        ..USUAL
    };
    let secured = SecuredBrokers::start(impostor);
    let words = "does not know the password";
    refuses(&secured, secured.settings(), words).await;
}

/// Brokers may end a sign-in: the client signs in again before.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_ends_is_done_again() {
    let short = Manner {
        lives: 500,
        ..USUAL
    };
    let secured = SecuredBrokers::start(short);
    let bus = bus(secured.settings());
    let mut sent = 0;
    let again = async {
        while secured.signed_in() < 8 {
            publish(&bus, TOPIC, messages(sent + 1, 10)).await;
            sent += 10;
        }
    };
    tokio::time::timeout(LONG, again).await.expect("in time");
    // A connection that ends takes answers with it: what was accepted may come twice.
    let mut count = usize::try_from(sent).expect("few");
    let behind = Cluster {
        mock: None,
        settings: secured.settings_behind(),
    };
    loop {
        let got = first_ids(&behind.read(TOPIC, count).await);
        if got == expected(1, sent) {
            break;
        }
        count += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_on_the_machine_are_not_let_through() {
    let secured = SecuredBrokers::start(USUAL);
    let reach = Reach::open(secured.settings()).expect("settings");
    let config = reach.config();
    let listener = config.get("bootstrap.servers").expect("brokers").to_owned();
    // Metadata without signing in: the connection ends without an answer.
    let metadata = Call {
        key: wire::METADATA,
        version: 1,
        correlation: 1,
    };
    let mut stranger = TcpStream::connect(&listener).await.expect("listens");
    let call = metadata.write(&0_i32.to_be_bytes());
    write(&mut stranger, &call).await.expect("sent");
    let mut left = Vec::new();
    let ended = tokio::time::timeout(LONG, stranger.read_to_end(&mut left)).await;
    assert!(ended.expect("in time").is_err() || left.is_empty());
    // A word that is not the own client's is refused with the protocol's code.
    let mut stranger = TcpStream::connect(&listener).await.expect("listens");
    let mut word = Vec::new();
    wire::put_bytes(&mut word, b"\0florin\0guessed");
    let sign_in = Call {
        key: wire::SASL_AUTHENTICATE,
        version: 0,
        correlation: 2,
    };
    write(&mut stranger, &sign_in.write(&word))
        .await
        .expect("sent");
    let answer = read_small(&mut stranger).await.expect("an answer");
    assert_eq!(&answer[..6], b"\0\0\0\x02\0\x3a", "refused");
    stranger.write_all(&call).await.ok();
    assert!(!secured.was_trespassed());
}
