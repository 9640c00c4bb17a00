//! INV-L21: one event for each wallet touched, numbered without gaps, the same on redelivery.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use florin_platform::{
    bus::{
        self, LEDGER_CHANGES, Leases, LocalBus, Positions, Subscription, WALLET_EVENTS,
        WALLET_SNAPSHOTS,
    },
    http::{
        auth::{Authentication, Authenticator, CredentialKind, PermissionSet, Principal},
        client::{ClientConfig, Outgoing, Targets},
        guard::{Kit, KitConfig},
        page::Cursors,
        router::App,
        shutdown::{self, ShutdownTrigger},
    },
    sql::Db,
    webhooks::{self, Head, Settings, Webhooks},
};
use florin_wallets::events::{Channels, NAMES};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::{ADMIN, SERVICE, TRANSFERS, item, lines, with};
use crate::support::Server;

/// The readers of a server's feed, over service tables that outlive them.
struct Readers {
    bus: Arc<LocalBus>,
    trigger: ShutdownTrigger,
    running: JoinHandle<()>,
}

async fn tables() -> Db {
    let db = Db::open_memory().await.expect("opens");
    for migrations in [&bus::MIGRATIONS, &webhooks::MIGRATIONS] {
        db.migrate(migrations, 0).await.expect("migrates");
    }
    db
}

/// Webhooks over some tables.
async fn hooks(server: &Server, db: &Db) -> Webhooks {
    let outgoing = Outgoing::new(&ClientConfig::new(Targets::Any)).expect("a client");
    let settings = Settings::new(Targets::Any, NAMES.to_vec());
    let ledger = server.ledger.clone();
    let head: Head = Arc::new(move || {
        let ledger = ledger.clone();
        Box::pin(async move { Ok(ledger.read_view().await.expect("reads").seq()) })
    });
    let (clock, cursors) = (server.clock.clone(), Cursors::new(&[7; 32]));
    let hooks = Webhooks::open(db.clone(), clock, outgoing, cursors, settings, head);
    hooks.await.expect("opens")
}

/// Starts readers with subscribers for some topics, which get everything from the start of a new
/// set of tables.
async fn read(server: &Server, db: &Db, topics: &[&str]) -> (Readers, Vec<Subscription>) {
    let bus = Arc::new(LocalBus::new());
    let subscriptions = topics.iter().map(|topic| bus.subscribe(topic)).collect();
    let channels = Channels {
        ledger: server.ledger.clone(),
        bus: bus.clone(),
        webhooks: hooks(server, db).await,
        positions: Positions::new(db.clone()),
        leases: Leases::Sole,
        clock: server.clock.clone(),
    };
    let (trigger, shutdown) = shutdown::pair();
    let running = tokio::spawn(channels.run(shutdown));
    let readers = Readers {
        bus,
        trigger,
        running,
    };
    (readers, subscriptions)
}

impl Readers {
    async fn stop(self) {
        self.trigger.advance();
        self.running.await.expect("ends in order");
        drop(self.bus);
    }
}

async fn take(subscription: &mut Subscription, count: usize) -> Vec<Value> {
    let mut got = Vec::new();
    for _ in 0..count {
        let message = subscription.next().await.expect("goes on");
        let value: Value = serde_json::from_slice(&message.value).expect("JSON");
        if let Some(wallet) = value["walletId"].as_str() {
            assert_eq!(*message.key, *wallet, "keyed by wallet");
        }
        got.push(value);
    }
    got
}

/// Everything that makes events, and what is expected: (wallet, type, direction).
async fn story(
    server: &Server,
) -> (
    String,
    String,
    Vec<(usize, &'static str, Option<&'static str>)>,
) {
    let maria = server.wallet("maria", "BRL").await;
    let pedro = server.wallet("pedro", "BRL").await;
    let deposit = server.deposit(&maria, "100.00").await.ok(200);
    server.withdraw(&maria, "10.00").await.ok(200);
    server.transfer(&maria, &pedro, "20.00").await.ok(200);
    let hold = server.hold(&maria, "5.00").await.ok(201);
    server
        .capture(
            hold.text_of("id"),
            json!({"amount": "3.00", "referenceId": "c1"}),
        )
        .await
        .ok(200);
    let hold = server.hold(&maria, "5.00").await.ok(201);
    server.void(hold.text_of("id")).await.ok(200);
    server.status(&pedro, "freeze").await.ok(200);
    server.status(&pedro, "unfreeze").await.ok(200);
    let adjusted = with(
        item(
            "adj",
            "florin:suspense:BRL",
            &format!("florin:wallet:{pedro}"),
            "100",
        ),
        json!({}),
    );
    server.post(ADMIN, TRANSFERS, adjusted).await.ok(201);
    server.deposit(&maria, "100.00").await.ok(200);
    server.reverse(deposit.text_of("id"), "twice").await.ok(200);
    let (m, p) = (0, 1);
    let expected = vec![
        (m, "WalletCreated", None),
        (p, "WalletCreated", None),
        (m, "FundsDeposited", Some("IN")),
        (m, "FundsWithdrawn", Some("OUT")),
        (m, "FundsTransferred", Some("OUT")),
        (p, "FundsTransferred", Some("IN")),
        (m, "HoldPlaced", None),
        (m, "HoldCaptured", Some("OUT")),
        (m, "HoldPlaced", None),
        (m, "HoldVoided", None),
        (p, "WalletFrozen", None),
        (p, "WalletUnfrozen", None),
        (p, "WalletAdjusted", Some("IN")),
        (m, "FundsDeposited", Some("IN")),
        (m, "TransactionReversed", Some("OUT")),
    ];
    (maria, pedro, expected)
}

#[tokio::test]
async fn inv_l21_one_event_for_each_wallet_touched_without_gaps() {
    let server = Server::start();
    let (maria, pedro, expected) = story(&server).await;
    let db = tables().await;
    let (readers, mut topics) = read(&server, &db, &[WALLET_EVENTS]).await;
    let events = take(&mut topics[0], expected.len()).await;
    let names = [&maria, &pedro];
    for (event, (wallet, name, direction)) in events.iter().zip(&expected) {
        assert_eq!(event["walletId"], **names[*wallet], "{event}");
        assert_eq!(event["eventType"], *name, "{event}");
        assert_eq!(event["direction"].as_str(), *direction, "{event}");
        assert_eq!(
            (&event["version"], &event["currency"]),
            (&json!(1), &json!("BRL"))
        );
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &events {
        let wallet = event["walletId"].as_str().expect("a wallet");
        let number = last.entry(wallet).or_default();
        *number += 1;
        assert_eq!(event["walletSeq"], *number, "{event}");
        let name = format!("{}/{wallet}", event["seq"]);
        let id = uuid::Uuid::new_v5(&server.ledger.ledger_id(), name.as_bytes());
        assert_eq!(event["eventId"], id.to_string());
    }
    let transfer = &events[4];
    assert_eq!(transfer["counterpartyWalletId"], pedro.as_str());
    assert_eq!(
        (&transfer["amount"], &transfer["balance"]),
        (&json!("20.00"), &json!("70.00"))
    );
    assert_eq!(events[0]["userId"], "maria");
    assert_eq!(events[10]["reason"], "test");
    assert_eq!(
        (&events[14]["reason"], &events[14]["reversalOf"]),
        (&json!("twice"), &events[2]["transactionId"])
    );
    let figures = server.figures(&maria).await;
    assert_eq!(events[14]["balance"], figures.0, "as of the same record");
    readers.stop().await;
}

#[tokio::test]
async fn inv_l21_redelivery_is_byte_for_byte_the_same_and_a_restart_goes_on() {
    let server = Server::start();
    let (maria, _, expected) = story(&server).await;
    let db = tables().await;
    let (readers, mut topics) = read(&server, &db, &[WALLET_EVENTS]).await;
    let first = take(&mut topics[0], expected.len()).await;
    readers.stop().await;
    let (readers, mut topics) = read(&server, &tables().await, &[WALLET_EVENTS]).await;
    assert_eq!(take(&mut topics[0], expected.len()).await, first);
    readers.stop().await;
    let (readers, mut topics) = read(&server, &db, &[WALLET_EVENTS]).await;
    server.deposit(&maria, "1.00").await.ok(200);
    let next = &take(&mut topics[0], 1).await[0];
    assert_eq!(
        (&next["amount"], &next["eventType"]),
        (&json!("1.00"), &json!("FundsDeposited"))
    );
    readers.stop().await;
}

#[tokio::test]
async fn the_other_topics_carry_lines_and_snapshots() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "7.00").await;
    let db = tables().await;
    let (readers, mut topics) = read(&server, &db, &[LEDGER_CHANGES, WALLET_SNAPSHOTS]).await;
    let feed = lines(&server.get(SERVICE, "/api/v1/ledger/changes").await.ok(200));
    assert_eq!(take(&mut topics[0], feed.len()).await, feed);
    let snapshot = &take(&mut topics[1], 1).await[0];
    let shown = server
        .get(SERVICE, &format!("/api/v1/wallets/{wallet}"))
        .await
        .ok(200);
    assert_eq!(*snapshot, with(shown.body, json!({"walletSeq": 2})));
    readers.stop().await;
}

#[tokio::test]
async fn an_expired_hold_has_its_event() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "7.00").await;
    let hold = server.hold(&wallet, "5.00").await.ok(201);
    server.clock.advance(604_801 * 1_000_000);
    server.deposit(&wallet, "1.00").await.ok(200);
    let (readers, mut topics) = read(&server, &tables().await, &[WALLET_EVENTS]).await;
    let events = take(&mut topics[0], 5).await;
    let expired = &events[3];
    assert_eq!(
        (&expired["eventType"], &expired["holdId"]),
        (&json!("HoldExpired"), &hold.body["id"])
    );
    assert_eq!(
        (&expired["amount"], &expired["held"]),
        (&json!("5.00"), &json!("0.00"))
    );
    assert_eq!(events[4]["eventType"], "FundsDeposited");
    readers.stop().await;
}

/// A receiver that hands on what it gets: (`webhook-id`, body).
async fn receiver() -> (String, tokio::sync::mpsc::Receiver<(String, Value)>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (sender, got) = tokio::sync::mpsc::channel(64);
    let take = move |headers: http::HeaderMap, body: axum::body::Bytes| {
        let id = headers["webhook-id"].to_str().expect("ASCII").to_owned();
        let sender = sender.clone();
        async move {
            let body = serde_json::from_slice(&body).expect("JSON");
            sender.send((id, body)).await.expect("the test listens");
        }
    };
    let router = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

#[tokio::test]
async fn webhooks_get_what_follows_their_registration_in_order() {
    let server = Server::start();
    let wallet = server.funded("maria", "BRL", "7.00").await;
    let db = tables().await;
    let hooks = hooks(&server, &db).await;
    let kit = Kit::new(KitConfig::default()).with_authenticator(Arc::new(Anybody));
    let app = App::builder(kit)
        .mount(webhooks::routes().bind(hooks.clone()))
        .build();
    let router = app.expect("routes").router();
    let (url, mut got) = receiver().await;
    let body = json!({"url": url, "walletId": wallet}).to_string();
    let request = http::Request::post("/api/v1/webhooks")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body));
    let made = router
        .oneshot(request.expect("a request"))
        .await
        .expect("infallible");
    assert_eq!(made.status(), 201);
    let (trigger, shutdown) = shutdown::pair();
    let channels = Channels {
        ledger: server.ledger.clone(),
        bus: Arc::new(LocalBus::new()),
        webhooks: hooks.clone(),
        positions: Positions::new(db.clone()),
        leases: Leases::Sole,
        clock: server.clock.clone(),
    };
    let tasks = [
        tokio::spawn(channels.run(shutdown.clone())),
        tokio::spawn(hooks.run(shutdown)),
    ];
    server.deposit(&wallet, "1.00").await.ok(200);
    server.withdraw(&wallet, "2.00").await.ok(200);
    server.funded("pedro", "BRL", "5.00").await;
    server.deposit(&wallet, "3.00").await.ok(200);
    for (number, name, amount) in [
        (3, "FundsDeposited", "1.00"),
        (4, "FundsWithdrawn", "2.00"),
        (5, "FundsDeposited", "3.00"),
    ] {
        let (id, event) = got.recv().await.expect("an event");
        assert_eq!(event["eventId"], id);
        assert_eq!(
            (&event["walletSeq"], &event["eventType"]),
            (&json!(number), &json!(name))
        );
        assert_eq!(event["amount"], amount);
    }
    trigger.advance();
    for task in tasks {
        task.await.expect("ends in order");
    }
}

/// Lets everybody manage webhooks.
struct Anybody;

impl Authenticator for Anybody {
    fn authenticate<'a>(&'a self, _: &'a http::HeaderMap, _: IpAddr) -> Authentication<'a> {
        Authentication::Now(Ok(Arc::new(Principal {
            accounts: None,
            subject: "svc".into(),
            owner: "svc".into(),
            kind: CredentialKind::Token,
            credential: "user:svc".into(),
            token_id: None,
            roles: vec!["service".into()].into(),
            permissions: Arc::new(PermissionSet::parse(["webhooks:manage"])),
        })))
    }
}

#[test]
fn the_openapi_file_describes_what_is_served() {
    use florin_platform::http::{openapi, router::Description};
    let info = openapi::ApiInfo {
        title: "t".to_owned(),
        version: "1".to_owned(),
        description: "d".to_owned(),
    };
    let parts = [
        florin_wallets::api::routes().describe(),
        webhooks::routes().describe(),
    ];
    let all = Description::join(parts);
    let document = openapi::assemble(&info, &all);
    assert_eq!(openapi::gaps(&document, &all), [] as [String; 0]);
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "{name} is not described"
        );
    }
}
