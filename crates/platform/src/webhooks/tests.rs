//! Webhooks against a real receiver on the loopback device, with a clock that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::extract::State as Shared;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use florin_base::clock::ManualClock;
use florin_base::{Clock, SystemClock};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use ring::hmac;
use serde_json::json;

use super::*;
use crate::http::client::{ClientConfig, Outgoing, Targets};
use crate::http::page::Cursors;
use crate::http::shutdown;
use crate::sql::Db;

const START: i64 = 1_800_000_000_000_000;

/// What the receiver got: id, timestamp, signature, body.
type Got = (String, i64, String, String);

/// A receiver whose status is set by the test.
struct Receiver {
    url: String,
    status: AtomicU16,
    got: Mutex<Vec<Got>>,
    arrived: tokio::sync::Notify,
}

impl Receiver {
    async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("bound");
        let receiver = Arc::new(Self {
            url: format!("http://{address}/hook"),
            status: AtomicU16::new(200),
            got: Mutex::default(),
            arrived: tokio::sync::Notify::new(),
        });
        let router = axum::Router::new()
            .route("/hook", axum::routing::post(Self::take))
            .with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    async fn take(
        Shared(this): Shared<Arc<Self>>,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl IntoResponse {
        let header = |name| headers[name].to_str().expect("ASCII").to_owned();
        this.got.lock().push((
            header("webhook-id"),
            header("webhook-timestamp").parse().expect("seconds"),
            header("webhook-signature"),
            String::from_utf8(body.to_vec()).expect("UTF-8"),
        ));
        this.arrived.notify_one();
        StatusCode::from_u16(this.status.load(Ordering::SeqCst)).expect("a status")
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn ids(&self) -> Vec<String> {
        self.got.lock().iter().map(|got| got.0.clone()).collect()
    }
}

struct Rig {
    hooks: Webhooks,
    clock: Arc<ManualClock>,
    db: Db,
}

async fn open(db: &Db, clock: Arc<dyn Clock>, targets: Targets) -> Webhooks {
    let outgoing = Outgoing::new(&ClientConfig::new(targets)).expect("a client");
    let cursors = Cursors::new(&[7; 32]);
    let settings = Settings::new(targets, vec!["FundsDeposited", "WalletCreated"]);
    let head: Head = Arc::new(|| Box::pin(async { Ok(100) }));
    Webhooks::open(db.clone(), clock, outgoing, cursors, settings, head)
        .await
        .expect("opens")
}

async fn rig_with(targets: Targets) -> Rig {
    let db = crate::testing::fresh_db().await;
    for migrations in [&crate::bus::MIGRATIONS, &MIGRATIONS] {
        db.migrate(migrations, 0).await.expect("migrates");
    }
    let clock = Arc::new(ManualClock::new(START));
    let hooks = open(&db, clock.clone(), targets).await;
    Rig { hooks, clock, db }
}

async fn rig() -> Rig {
    rig_with(Targets::Any).await
}

impl Rig {
    async fn add(&self, url: &str, events: Option<&[&str]>, key: Option<&str>) -> Endpoint {
        let endpoint = Endpoint {
            id: self.hooks.new_id(),
            url: url.into(),
            events: events.map(|names| names.iter().map(|name| Box::from(*name)).collect()),
            key: key.map(Into::into),
            secret: SigningSecret::generate(),
            previous: None,
            disabled: None,
            since_seq: 0,
            created_at: self.clock.wall_micros(),
        };
        match self.hooks.register(endpoint, None).await {
            Ok(super::service::Registered::New(endpoint)) => endpoint,
            other => panic!("{other:?}"),
        }
    }

    async fn give(&self, events: &[Event]) -> bool {
        let last = events.last().map_or(0, |event| event.seq);
        self.hooks
            .accept("webhooks", last, events)
            .await
            .expect("stored")
    }

    async fn deliver(&self) -> usize {
        self.hooks.deliver_due().await.expect("the tables answer")
    }

    async fn states(&self, endpoint: &Endpoint) -> Vec<(String, State, u32)> {
        let found = store::list(&self.db, &endpoint.id, None, i64::MAX, 100).await;
        let mut all: Vec<_> = found.expect("reads").into_iter().collect();
        all.reverse();
        all.into_iter()
            .map(|d| (d.event_id.to_string(), d.state, d.tries_total))
            .collect()
    }
}

fn event(id: &str, key: &str, seq: u64) -> Event {
    Event {
        id: id.into(),
        event_type: "FundsDeposited".into(),
        key: key.into(),
        seq,
        recorded_at: None,
        body: format!("{{\"eventId\":\"{id}\"}}").into(),
    }
}

/// Checks a signature as a receiver would, from the Standard Webhooks text alone.
fn verifies(secret: &str, got: &Got) -> bool {
    let key = BASE64
        .decode(secret.strip_prefix("whsec_").expect("prefix"))
        .expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{}.{}.{}", got.0, got.1, got.3);
    got.2.split(' ').any(|one| {
        let tag = one
            .strip_prefix("v1,")
            .and_then(|text| BASE64.decode(text).ok());
        tag.is_some_and(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
    })
}

async fn an_event_arrives_signed_and_once() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    let events = [event("e1", "w1", 101)];
    rig.give(&events).await;
    rig.give(&events).await;
    assert_eq!(rig.deliver().await, 1, "the second time it was known");
    let got = receiver.got.lock().clone();
    assert_eq!((got[0].0.as_str(), got[0].1), ("e1", START / 1_000_000));
    assert_eq!(got[0].3, "{\"eventId\":\"e1\"}");
    assert!(verifies(endpoint.secret.expose(), &got[0]));
    assert!(!verifies(SigningSecret::generate().expose(), &got[0]));
    assert_eq!(
        rig.states(&endpoint).await,
        [("e1".to_owned(), State::Accepted, 1)]
    );
    let positions = crate::bus::Positions::new(rig.db.clone());
    assert_eq!(positions.load("webhooks").await.expect("reads"), Some(101));
}

async fn only_wanted_and_newer_events_are_queued() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let all = rig.add(&receiver.url, None, None).await;
    let other_type = rig.add(&receiver.url, Some(&["WalletCreated"]), None).await;
    let one_wallet = rig.add(&receiver.url, None, Some("w2")).await;
    rig.give(&[
        event("old", "w1", 100),
        event("e1", "w1", 101),
        event("e2", "w2", 102),
    ])
    .await;
    rig.deliver().await;
    let ids = |states: Vec<(String, State, u32)>| -> Vec<String> {
        states.into_iter().map(|state| state.0).collect()
    };
    assert_eq!(ids(rig.states(&all).await), ["e1", "e2"]);
    assert!(rig.states(&other_type).await.is_empty());
    assert_eq!(ids(rig.states(&one_wallet).await), ["e2"]);
}

/// The numbers of another log say nothing about the ledger's, at whose record 100 endpoints are
/// added here: its events are told from their time.
async fn events_of_a_log_of_its_own_are_newer_by_their_time() {
    let rig = rig().await;
    let passed = rig.hooks.pass(async { Ok::<_, ()>(7) }).await;
    assert_eq!(passed.expect("reads"), Ok(Some(7)), "nobody is there");
    let endpoint = rig.add("http://127.0.0.1:9/", None, None).await;
    let passed = rig.hooks.pass(async { Ok::<_, ()>(7) }).await;
    assert_eq!(passed.expect("reads"), Ok(None), "somebody is to be told");
    let at = |id: &str, seq: u64, micros: i64| Event {
        recorded_at: Some(START + micros),
        ..event(id, "book", seq)
    };
    let events = [at("before", 900, -1), at("then", 901, 0), at("after", 3, 1)];
    rig.give(&events).await;
    let queued = rig.states(&endpoint).await;
    let queued: Vec<&str> = queued.iter().map(|state| state.0.as_str()).collect();
    assert_eq!(queued, ["then", "after"]);
}

async fn twelve_tries_by_the_schedule_then_parked_and_replayable() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    receiver.answer(500);
    rig.give(&[event("e1", "w1", 101)]).await;
    let id = store::list(&rig.db, &endpoint.id, None, i64::MAX, 1)
        .await
        .expect("reads")[0]
        .id
        .clone();
    for tries in 1..=TRIES {
        assert_eq!(rig.deliver().await, 1, "try {tries} is due");
        let Some(wait) = wait_micros(&id, tries) else {
            break;
        };
        rig.clock.advance(wait - 1);
        assert_eq!(
            rig.deliver().await,
            0,
            "a microsecond too early after try {tries}"
        );
        rig.clock.advance(1);
    }
    assert_eq!(
        rig.states(&endpoint).await,
        [("e1".to_owned(), State::Parked, 12)]
    );
    let log = store::tries(&rig.db, &id).await.expect("reads");
    assert_eq!(log.len(), 12);
    assert!(log.iter().all(|tried| tried.status == Some(500)));
    receiver.answer(204);
    let queued = store::replay(&rig.db, &endpoint.id, rig.clock.wall_micros()).await;
    assert_eq!(queued.expect("queued"), 1);
    assert_eq!(rig.deliver().await, 1);
    assert_eq!(
        rig.states(&endpoint).await,
        [("e1".to_owned(), State::Accepted, 13)]
    );
    assert!(
        receiver.ids().iter().all(|id| id == "e1"),
        "the same id on every delivery"
    );
}

async fn the_next_event_of_a_wallet_waits_for_the_former_one() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    receiver.answer(503);
    rig.give(&[event("a1", "a", 101), event("a2", "a", 102)])
        .await;
    rig.deliver().await;
    receiver.answer(200);
    rig.give(&[event("b1", "b", 103), event("a3", "a", 104)])
        .await;
    rig.deliver().await;
    assert_eq!(receiver.ids(), ["a1", "b1"], "another wallet does not wait");
    rig.clock.advance(6_000_000);
    rig.deliver().await;
    assert_eq!(receiver.ids(), ["a1", "b1", "a1", "a2", "a3"]);
    let accepted = rig.states(&endpoint).await;
    assert!(
        accepted.iter().all(|state| state.1 == State::Accepted),
        "{accepted:?}"
    );
}

async fn a_receiver_that_is_gone_is_disabled_until_replayed() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    receiver.answer(410);
    rig.give(&[event("e1", "w1", 101), event("e2", "w1", 102)])
        .await;
    assert_eq!(rig.deliver().await, 1);
    let now = rig.hooks.endpoint(&endpoint.id).expect("still there");
    assert!(now.disabled.is_some());
    assert_eq!(rig.hooks.is_idle(), !rig.db.is_shared());
    assert!(
        !rig.give(&[event("e3", "w1", 103)]).await,
        "nobody wants it"
    );
    let states = rig.states(&endpoint).await;
    assert_eq!(
        states.iter().map(|s| s.1).collect::<Vec<_>>(),
        [State::Parked, State::Parked]
    );
    receiver.answer(200);
    store::replay(&rig.db, &endpoint.id, START)
        .await
        .expect("queued");
    rig.hooks.reload().await.expect("reads");
    rig.deliver().await;
    assert_eq!(receiver.ids(), ["e1", "e1", "e2"]);
}

async fn what_was_queued_survives_a_restart() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    rig.add(&receiver.url, None, None).await;
    rig.give(&[event("e1", "w1", 101), event("e2", "w1", 102)])
        .await;
    let again = open(&rig.db, rig.clock.clone(), Targets::Any).await;
    drop(rig.hooks);
    assert_eq!(again.deliver_due().await.expect("reads"), 2);
    assert_eq!(receiver.ids(), ["e1", "e2"]);
}

async fn both_secrets_sign_after_a_rotation_until_the_former_ends() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    let (old, new) = (endpoint.secret.clone(), SigningSecret::generate());
    let until = START + 1_000_000;
    store::rotate(&rig.db, &endpoint.id, &new, until)
        .await
        .expect("rotated");
    rig.hooks.reload().await.expect("reads");
    rig.give(&[event("e1", "w1", 101)]).await;
    rig.deliver().await;
    rig.clock.advance(1_000_000);
    rig.give(&[event("e2", "w1", 102)]).await;
    rig.deliver().await;
    let got = receiver.got.lock().clone();
    let signed = |got: &Got| (verifies(old.expose(), got), verifies(new.expose(), got));
    assert_eq!(
        (signed(&got[0]), signed(&got[1])),
        ((true, true), (false, true))
    );
}

async fn private_targets_are_refused_when_registered_and_when_called() {
    let rig = rig_with(Targets::PublicOnly).await;
    let receiver = Receiver::start().await;
    let endpoint = rig.add(&receiver.url, None, None).await;
    rig.give(&[event("e1", "w1", 101)]).await;
    assert_eq!(rig.deliver().await, 1);
    assert!(receiver.ids().is_empty(), "nothing was sent");
    assert_eq!(rig.states(&endpoint).await[0].1, State::Ready);
}

async fn the_worker_sends_without_being_asked_and_stops_when_told() {
    let db = crate::testing::fresh_db().await;
    for migrations in [&crate::bus::MIGRATIONS, &MIGRATIONS] {
        db.migrate(migrations, 0).await.expect("migrates");
    }
    let hooks = open(&db, Arc::new(SystemClock), Targets::Any).await;
    let rig = Rig {
        hooks,
        clock: Arc::new(ManualClock::new(START)),
        db,
    };
    let receiver = Receiver::start().await;
    rig.add(&receiver.url, None, None).await;
    let (trigger, shutdown) = shutdown::pair();
    let worker = tokio::spawn(rig.hooks.clone().run(shutdown));
    rig.give(&[event("e1", "w1", 101)]).await;
    receiver.arrived.notified().await;
    rig.give(&[event("e2", "w2", 102)]).await;
    receiver.arrived.notified().await;
    assert_eq!(receiver.ids(), ["e1", "e2"]);
    trigger.advance();
    worker.await.expect("ends in order");
}

mod over_http;
mod sharing;

crate::testing::conformance! {
    an_event_arrives_signed_and_once,
    only_wanted_and_newer_events_are_queued,
    events_of_a_log_of_its_own_are_newer_by_their_time,
    twelve_tries_by_the_schedule_then_parked_and_replayable,
    the_next_event_of_a_wallet_waits_for_the_former_one,
    a_receiver_that_is_gone_is_disabled_until_replayed,
    what_was_queued_survives_a_restart,
    both_secrets_sign_after_a_rotation_until_the_former_ends,
    private_targets_are_refused_when_registered_and_when_called,
    the_worker_sends_without_being_asked_and_stops_when_told,
}
