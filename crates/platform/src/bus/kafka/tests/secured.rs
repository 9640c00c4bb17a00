//! Brokers that want TLS and SCRAM-SHA-512, as Amazon MSK does. Before librdkafka's own cluster
//! stands a house that speaks both and lets nobody else in; Confluent's client for Python, whose
//! librdkafka has OpenSSL, bears witness that it speaks them as brokers do.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use florin_base::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::tunnel::scram::Hash;
use super::super::tunnel::sign_in::{read_small, write};
use super::super::tunnel::wire::{self, Call, Reader, malformed};
use super::super::tunnel::{down, up};
use super::*;
use crate::bus::settings::SaslMechanism;
use crate::http::tls::{TlsMaterial, TlsSource};
use crate::testing::process::skipped;

const USER: &str = "florin-test-workers";
const PASSWORD: &str = "not a secret, only long";
const SALT: &[u8] = b"sixteen bytes, ok";
const ROUNDS: u32 = 4_096;
/// What the witness ends with where Python lacks the library.
const MISSING: i32 = 77;
/// Reads the topic with the `librdkafka` of another build, which has OpenSSL: a line a message.
const WITNESS: &str = r#"
import sys
try:
    from confluent_kafka import Consumer, TopicPartition
except ImportError:
    sys.exit(77)
brokers, user, password, authority = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": brokers, "group.id": "witness",
    "security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512",
    "sasl.username": user, "sasl.password": password, "ssl.ca.location": authority,
    "enable.partition.eof": True,
})
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

/// How a house behaves.
#[derive(Clone, Copy)]
struct Manner {
    /// It lets everybody in and does not know the password.
    is_impostor: bool,
    /// Milliseconds of a sign-in; 0: without end.
    lives: i64,
}

const USUAL: Manner = Manner {
    is_impostor: false,
    lives: 0,
};

/// What stands before the brokers.
struct House {
    manner: Manner,
    tls: TlsAcceptor,
    places: Mutex<BTreeMap<(String, u16), u16>>,
    signed_in: AtomicU64,
    /// A call came from somebody who had not signed in.
    trespassed: AtomicBool,
}

/// A secured cluster.
struct Secured {
    cluster: Cluster,
    house: Arc<House>,
    settings: BusSettings,
    folder: tempfile::TempDir,
}

impl Secured {
    fn start(manner: Manner) -> Self {
        let cluster = Cluster::mock();
        let names = vec![Ipv4Addr::LOCALHOST.to_string()];
        let material = TlsMaterial::load(TlsSource::SelfSigned { names }).expect("made");
        let folder = tempfile::tempdir().expect("a folder");
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, material.certificate_pem()).expect("written");
        let mut config = (*material.server_config().expect("TLS")).clone();
        config.alpn_protocols.clear();
        let house = Arc::new(House {
            manner,
            tls: TlsAcceptor::from(Arc::new(config)),
            places: Mutex::default(),
            signed_in: AtomicU64::new(0),
            trespassed: AtomicBool::new(false),
        });
        let brokers = cluster.settings.brokers().expect("valid").expect("some");
        let outside: Vec<String> = brokers
            .split(',')
            .map(|broker| {
                let (host, port) = broker.rsplit_once(':').expect("an address");
                let port = house.place(host, port.parse().expect("a port"));
                format!("127.0.0.1:{}", port.expect("a place").1)
            })
            .collect();
        let settings = BusSettings {
            url: format!("kafkas://{}", outside.join(",")),
            sasl_user: Some(USER.to_owned()),
            sasl_password: Some(Secret::new(PASSWORD.to_owned())),
            tls_ca: Some(authority),
            ..cluster.settings.clone()
        };
        Self {
            cluster,
            house,
            settings,
            folder,
        }
    }

    fn bus(&self, settings: &BusSettings) -> Arc<KafkaBus> {
        let reach = Reach::open(settings).expect("settings");
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        Arc::new(KafkaBus::new(reach, clock).expect("settings"))
    }

    /// Settings that do not lead in, and what a probe says of them; the first probe may end before
    /// anything was heard.
    async fn refuses(&self, settings: &BusSettings, words: &str) -> String {
        let started = Instant::now();
        loop {
            let refused = self.bus(settings).probe().await.expect_err("refused");
            assert_eq!(self.house.signed_in.load(Ordering::SeqCst), 0);
            assert!(!self.house.trespassed.load(Ordering::SeqCst));
            if refused.0.contains(words) {
                return refused.0;
            }
            assert!(started.elapsed() < LONG, "{words}: {refused}");
        }
    }
}

impl House {
    fn place(self: &Arc<Self>, host: &str, port: u16) -> io::Result<(String, u16)> {
        let mut places = self.places.lock();
        let behind = (host.to_owned(), port);
        if let Some(outside) = places.get(&behind) {
            return Ok((Ipv4Addr::LOCALHOST.to_string(), *outside));
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let outside = listener.local_addr()?.port();
        places.insert(behind.clone(), outside);
        let (house, listener) = (Arc::clone(self), TcpListener::from_std(listener)?);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (house, behind) = (Arc::clone(&house), behind.clone());
                tokio::spawn(async move { drop(house.serve(socket, behind).await) });
            }
        });
        Ok((Ipv4Addr::LOCALHOST.to_string(), outside))
    }

    async fn serve(self: Arc<Self>, socket: TcpStream, behind: (String, u16)) -> io::Result<()> {
        let mut stream = self.tls.accept(socket).await?;
        let mut broker = TcpStream::connect(behind).await?;
        let mut scram = Scram::default();
        loop {
            let message = read_small(&mut stream).await?;
            let call = Call::read(&message)?;
            let mut reader = Reader(&message[wire::CALL_BYTES..]);
            reader.text()?;
            let mut answer = call.correlation.to_be_bytes().to_vec();
            match call.key {
                wire::API_VERSIONS => {
                    write(&mut broker, &message).await?;
                    let offers = read_small(&mut broker).await?;
                    answer.extend(call.change(&offers[4..], &mut |_, _| Err(malformed("no")))?);
                }
                wire::SASL_HANDSHAKE => {
                    let known = reader.text()? == Some("SCRAM-SHA-512");
                    answer.extend(if known { 0_i16 } else { 33 }.to_be_bytes());
                    answer.extend(1_i32.to_be_bytes());
                    wire::put_text(&mut answer, "SCRAM-SHA-512");
                }
                wire::SASL_AUTHENTICATE => {
                    let word = std::str::from_utf8(reader.bytes()?).expect("UTF-8");
                    let said = scram.answer(word, self.manner.is_impostor);
                    let code = if said.is_some() { 0_i16 } else { 58 };
                    answer.extend(code.to_be_bytes());
                    answer.extend((-1_i16).to_be_bytes());
                    wire::put_bytes(&mut answer, said.unwrap_or_default().as_bytes());
                    if call.version >= 1 {
                        answer.extend(self.manner.lives.to_be_bytes());
                    }
                }
                _ => {
                    self.trespassed.store(true, Ordering::SeqCst);
                    return Ok(());
                }
            }
            write(&mut stream, &answer).await?;
            if scram.is_done {
                break;
            }
        }
        if !self.manner.is_impostor {
            self.signed_in.fetch_add(1, Ordering::SeqCst);
        }
        let (from_client, to_client) = tokio::io::split(stream);
        let (from_broker, to_broker) = broker.into_split();
        let calls = Mutex::default();
        let mut outside = |host: &str, port: i32| {
            let place = self.place(host, u16::try_from(port).expect("a port"))?;
            Ok((place.0, i32::from(place.1)))
        };
        tokio::select! {
            ended = up(from_client, to_broker, &calls) => ended,
            ended = down(from_broker, to_client, &calls, &mut outside) => ended,
        }
    }
}

/// The broker's side of RFC 5802.
#[derive(Default)]
struct Scram {
    begun: Option<(String, String)>,
    is_done: bool,
}

impl Scram {
    fn answer(&mut self, word: &str, is_impostor: bool) -> Option<String> {
        let Some((bare, challenge)) = &self.begun else {
            let bare = word.strip_prefix("n,,")?;
            let nonce = bare.strip_prefix(&format!("n={USER},r="))?;
            let salt = STANDARD.encode(SALT);
            let challenge = format!("r={nonce}and more,s={salt},i={ROUNDS}");
            self.begun = Some((bare.to_owned(), challenge.clone()));
            return Some(challenge);
        };
        let (last, proof) = word.split_once(",p=")?;
        let text = format!("{bare},{challenge},{last}");
        let salted = Hash::Sha512.salted(PASSWORD, SALT, ROUNDS);
        let (key, stored) = Hash::Sha512.client_keys(&salted);
        let signature = Hash::Sha512.sign(&stored, text.as_bytes());
        let right: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if !is_impostor && STANDARD.decode(proof).ok()? != right {
            return None;
        }
        self.is_done = true;
        let secret = if is_impostor { b"a guess" } else { &*salted };
        let server_key = Hash::Sha512.sign(secret, b"Server Key");
        let signature = Hash::Sha512.sign(&server_key, text.as_bytes());
        Some(format!("v={}", STANDARD.encode(signature)))
    }
}

/// DEP-081 of the deployment contract.
#[tokio::test(flavor = "multi_thread")]
async fn dep_081_records_go_over_tls_as_a_user_with_scram() {
    let secured = Secured::start(USUAL);
    let bus = secured.bus(&secured.settings);
    assert_eq!(publish(&bus, TOPIC, messages(1, 400)).await, 0);
    bus.probe().await.expect("a cluster with its topics");
    assert!(secured.house.signed_in.load(Ordering::SeqCst) > 0);
    let over_tls = Cluster {
        mock: None,
        settings: secured.settings.clone(),
    };
    assert_eq!(
        first_ids(&over_tls.read(TOPIC, 400).await),
        expected(1, 400)
    );
    // The same without the house: nothing was changed on the way.
    let plain = secured.cluster.read(TOPIC, 400).await;
    assert_eq!(first_ids(&plain), expected(1, 400));
    assert!(!secured.house.trespassed.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_is_let_in_by_the_same_house() {
    let secured = Secured::start(USUAL);
    let bus = secured.bus(&secured.settings);
    assert_eq!(publish(&bus, TOPIC, messages(1, 20)).await, 0);
    let brokers = secured.settings.brokers().expect("valid").expect("some");
    let authority = secured.folder.path().join("ca.pem");
    let python = std::env::var("FLORIN_TEST_CONFLUENT").unwrap_or_else(|_| "python3".to_owned());
    let read = |password: &str| {
        let mut witness = std::process::Command::new(&python);
        witness
            .args(["-c", WITNESS, brokers, USER, password])
            .arg(&authority);
        tokio::task::spawn_blocking(move || witness.output())
    };
    let right = match read(PASSWORD).await.expect("read") {
        Ok(output) if output.status.code() != Some(MISSING) => output,
        _ => return skipped("no confluent-kafka (pip install confluent-kafka)"),
    };
    let told = String::from_utf8_lossy(&right.stderr).into_owned();
    assert!(right.status.success(), "{told}");
    let lines = String::from_utf8(right.stdout).expect("UTF-8");
    assert_eq!(lines.lines().count(), 20, "{lines}{told}");
    let wrong = read("another").await.expect("read").expect("python");
    assert!(!wrong.status.success(), "the house judges passwords");
    assert!(wrong.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_as_that() {
    let secured = Secured::start(USUAL);
    let wrong = BusSettings {
        sasl_password: Some(Secret::new("another".to_owned())),
        ..secured.settings.clone()
    };
    secured.refuses(&wrong, "refuses user or password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mechanism_that_the_broker_lacks_is_told_with_those_it_has() {
    let secured = Secured::start(USUAL);
    let plain = BusSettings {
        sasl_mechanism: Some(SaslMechanism::Plain),
        ..secured.settings.clone()
    };
    let why = secured.refuses(&plain, "does not take PLAIN").await;
    assert!(why.contains("SCRAM-SHA-512"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_not_believed() {
    let secured = Secured::start(USUAL);
    let names = vec!["another.example".to_owned()];
    let other = TlsMaterial::load(TlsSource::SelfSigned { names }).expect("made");
    let authority = secured.folder.path().join("other.pem");
    std::fs::write(&authority, other.certificate_pem()).expect("written");
    let settings = BusSettings {
        tls_ca: Some(authority),
        ..secured.settings.clone()
    };
    secured.refuses(&settings, "certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_know_the_password_is_not_believed() {
    let impostor = Manner {
        is_impostor: true,
        ..USUAL
    };
    let secured = Secured::start(impostor);
    let words = "does not know the password";
    secured.refuses(&secured.settings, words).await;
}

/// Brokers may end a sign-in: the client signs in again before.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_ends_is_done_again() {
    let short = Manner {
        lives: 500,
        ..USUAL
    };
    let secured = Secured::start(short);
    let bus = secured.bus(&secured.settings);
    let mut sent = 0;
    let again = async {
        while secured.house.signed_in.load(Ordering::SeqCst) < 8 {
            publish(&bus, TOPIC, messages(sent + 1, 10)).await;
            sent += 10;
        }
    };
    tokio::time::timeout(LONG, again).await.expect("in time");
    // A connection that ends takes answers with it: what was accepted may come twice.
    let mut count = usize::try_from(sent).expect("few");
    loop {
        let got = first_ids(&secured.cluster.read(TOPIC, count).await);
        if got == expected(1, sent) {
            break;
        }
        count += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_on_the_machine_are_not_let_through() {
    let secured = Secured::start(USUAL);
    let reach = Reach::open(&secured.settings).expect("settings");
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
    assert!(!secured.house.trespassed.load(Ordering::SeqCst));
}
