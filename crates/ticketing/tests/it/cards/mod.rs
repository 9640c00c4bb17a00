//! Card payments against the provider of `fake_stripe`, over HTTP in both directions: the client
//! calls its port, and its webhooks reach the room's router on a port of its own.

mod disputes;
mod faults;
mod late;
mod pay;
mod refunds;
mod story;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::shutdown::{self, ShutdownTrigger};
use florin_platform::sql::{Db, query};
use florin_ticketing::card::stripe::{Stripe, StripeSettings};
use florin_ticketing::card::{reconcile, worker};
use florin_ticketing::fake_stripe::{FakeStripe, PUBLISHABLE_KEY, SECRET_KEY};
use florin_ticketing::orders::expiry;
use florin_ticketing::{Parts, Settings};
use serde_json::{Value, json};

use crate::stage::{Gig, Reply, SECOND, Stage};

/// Secret of the webhook.
pub const HOOK_SECRET: &str = "whsec_test";
/// Longest wait for something that comes by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stage that takes cards.
pub struct Cards {
    pub stage: Stage,
    pub base: String,
    client: Outgoing,
    _stop: ShutdownTrigger,
}

impl std::ops::Deref for Cards {
    type Target = Stage;
    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Cards {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        Self::over(settings, None).await
    }

    /// Over tables of the caller's.
    pub async fn over(settings: Settings, db: Option<Db>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let hook = listener.local_addr().expect("an address");
        let mut fake = None;
        let stage = Stage::build(settings, |parts| {
            let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
            let made = FakeStripe::bind(any, Arc::clone(&parts.clock)).expect("a port");
            let settings = StripeSettings {
                base_url: made.base_url().to_owned(),
                secret_key: SECRET_KEY.to_owned().into(),
                publishable_key: PUBLISHABLE_KEY.to_owned(),
                webhook_secrets: vec![HOOK_SECRET.to_owned().into()],
            };
            let card = Arc::new(Stripe::new(settings).expect("a client"));
            fake = Some(made);
            Parts {
                card: Some(card),
                db: db.unwrap_or(parts.db),
                ..parts
            }
        })
        .await;
        let fake = fake.expect("made above");
        let base = fake.base_url().to_owned();
        let url = format!("http://{hook}/api/v1/payments/stripe/webhook");
        fake.add_webhook_with(&url, HOOK_SECRET);
        let (trigger, ended) = shutdown::pair();
        tokio::spawn(fake.serve(ended));
        let router = stage.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            stage,
            base,
            client: Outgoing::new(&ClientConfig::new(Targets::Any)).expect("a client"),
            _stop: trigger,
        }
    }

    /// Does something to the provider.
    pub async fn control(&self, what: &str, body: Value) -> Value {
        let url = format!("{}/_control/{what}", self.base);
        let request = self.client.post(&url).expect("a URL");
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let body = answer.bytes().await.expect("a body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(status.is_success(), "{what}: {body}");
        body
    }

    /// Everything the provider knows.
    pub async fn provider(&self) -> Value {
        let request = self.client.get(&format!("{}/_control/state", self.base));
        let answer = request.expect("a URL").send().await.expect("an answer");
        let body = answer.bytes().await.expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// A call with the secret key, as somebody at the provider's console makes it.
    pub async fn console(&self, path: &str, form: &str) -> Value {
        let request = self
            .client
            .post(&format!("{}{path}", self.base))
            .expect("a URL");
        let request = request.header("authorization", format!("Bearer {SECRET_KEY}"));
        let answer = request
            .body(form.to_owned())
            .send()
            .await
            .expect("an answer");
        let body = answer.bytes().await.expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Checkout by card.
    pub async fn card(&self, who: &str, order: &str, method: Option<&str>) -> Reply {
        let body = match method {
            Some(method) => json!({"method": "card", "paymentMethodId": method}),
            None => json!({"method": "card"}),
        };
        self.checkout(who, order, body).await
    }

    /// Reserves and pays by card; the order.
    pub async fn bought(&self, who: &str, gig: &Gig, quantity: i64, method: &str) -> String {
        let order = self.reserve(who, gig, quantity).await.ok(201).id();
        let paid = self.card(who, &order, Some(method)).await.ok(200);
        assert_eq!(paid.body["status"], "confirmed", "{}", paid.text);
        order
    }

    /// The provider's id of an order's newest intent.
    pub async fn intent(&self, order: &str) -> String {
        let text = "SELECT provider_id FROM tk_card_intents WHERE order_id = $1
            ORDER BY created_at DESC, id DESC LIMIT 1";
        let db = &self.room.store.db;
        let row = db
            .fetch_optional(query(text).bind(order))
            .await
            .expect("reads");
        row.expect("an intent")
            .get("provider_id")
            .expect("known to the provider")
    }

    /// An order as its buyer or an administrator sees it.
    pub async fn order(&self, order: &str) -> Value {
        let path = format!("/api/v1/orders/{order}");
        self.get(crate::stage::ADMIN, &path).await.ok(200).body
    }

    /// Waits until an order has a status.
    pub async fn becomes(&self, order: &str, status: &str) -> Value {
        let started = Instant::now();
        loop {
            let shown = self.order(order).await;
            if shown["status"] == status {
                return shown;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{order} is not {status}: {shown}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a count of the tables is reached.
    pub async fn reaches(&self, sql: &'static str, id: &str, wanted: i64) {
        let started = Instant::now();
        loop {
            let n = self.count(sql, id).await;
            if n == wanted {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{n} and not {wanted}: {sql}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Does what the worker does when its time has come, until nothing is left.
    pub async fn work(&self) {
        for _ in 0..50 {
            if worker::step(&self.room).await.expect("works") == 0 {
                return;
            }
        }
        panic!("the worker does not come to an end");
    }

    /// Lets the holds end and the sweep of orders run.
    pub async fn expire(&self, seconds: i64) {
        self.advance(seconds * SECOND);
        while expiry::sweep(&self.room).await.expect("sweeps") > 0 {}
    }

    /// No delivery is under way any more.
    pub async fn quiet(&self) {
        let started = Instant::now();
        loop {
            let state = self.provider().await;
            if state["pendingDeliveries"] == 0 {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "deliveries: {}",
                state["pendingDeliveries"]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// INV-T7 and INV-T10: clearing is empty, both sides agree about the provider's balance, and
    /// the sum of all accounts is zero.
    pub async fn check_money(&self) {
        self.check_clearing().await;
        let provider = self.provider().await["balance"]["eur"]
            .as_i64()
            .unwrap_or(0);
        let ours = self.balance("psp:stripe").await;
        if ours != i128::from(provider) {
            let day = self.room.now() - self.room.now().rem_euclid(crate::stage::DAY);
            let report = reconcile::report(&self.room, day).await.expect("compares");
            panic!("INV-T10: {ours} here, {provider} there: {report:#}");
        }
        let ask = florin_ledger::call::Query::TrialBalance;
        match self.ledger.query(ask).await.expect("open") {
            florin_ledger::call::View::TrialBalance(sums, _) => {
                for sum in sums {
                    let totals = sum.totals;
                    assert_eq!(totals.debits_posted, totals.credits_posted, "{}", sum.asset);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
