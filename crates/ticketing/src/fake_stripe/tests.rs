//! The fake over its own port, as a client meets it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use florin_base::clock::ManualClock;
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::shutdown;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::deliver::sign;
use super::{FakeStripe, SECRET_KEY};

/// 2030-01-01T00:00:00Z.
const START: i64 = 1_893_456_000_000_000;

struct Rig {
    base: String,
    client: Outgoing,
    heard: mpsc::Receiver<(String, String)>,
    secret: String,
    _stop: shutdown::ShutdownTrigger,
}

async fn hook(
    State(heard): State<mpsc::Sender<(String, String)>>,
    headers: HeaderMap,
    body: String,
) -> http::StatusCode {
    let header = headers["stripe-signature"]
        .to_str()
        .expect("ASCII")
        .to_owned();
    heard.send((header, body)).await.expect("the test listens");
    http::StatusCode::OK
}

impl Rig {
    async fn start() -> Self {
        let any = "127.0.0.1:0".parse().expect("address");
        let clock = Arc::new(ManualClock::new(START));
        let fake = FakeStripe::bind(any, clock).expect("a free port");
        let base = fake.base_url().to_owned();
        let (sender, heard) = mpsc::channel(1_000);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("address"));
        let secret = fake.add_webhook(&url);
        let router = Router::new().route("/hook", post(hook)).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (trigger, ended) = shutdown::pair();
        tokio::spawn(fake.serve(ended));
        Self {
            base,
            client: Outgoing::new(&ClientConfig::new(Targets::Any)).expect("client"),
            heard,
            secret,
            _stop: trigger,
        }
    }

    async fn call(&self, path: &str, key: Option<&str>, form: &[(&str, &str)]) -> (u16, Value) {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self
            .client
            .post(&format!("{}{path}", self.base))
            .expect("URL");
        let request = request
            .header("authorization", format!("Bearer {SECRET_KEY}"))
            .header("content-type", "application/x-www-form-urlencoded");
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let answer = request.body(body).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let request = self
            .client
            .get(&format!("{}{path}", self.base))
            .expect("URL");
        let request = request.header("authorization", format!("Bearer {SECRET_KEY}"));
        let answer = request.send().await.expect("an answer");
        let body = answer.bytes().await.expect("body");
        serde_json::from_slice(&body).expect("JSON")
    }

    async fn control(&self, what: &str, body: Value) -> (u16, Value) {
        let request = self
            .client
            .post(&format!("{}/_control/{what}", self.base))
            .expect("URL");
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn pay(&self, method: &str, key: &str) -> (u16, Value) {
        let form = [
            ("amount", "9291"),
            ("currency", "eur"),
            ("payment_method", method),
            ("confirm", "true"),
            ("metadata[order]", "o1"),
        ];
        self.call("/v1/payment_intents", Some(key), &form).await
    }

    /// The next event of a type, its signature checked.
    async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.heard.recv());
            let (header, body) = next.await.expect("in time").expect("an event");
            let time = header
                .split(',')
                .next()
                .expect("a time")
                .trim_start_matches("t=");
            let expected = sign(&self.secret, time.parse().expect("a number"), &body);
            assert_eq!(header, expected);
            let event: Value = serde_json::from_str(&body).expect("JSON");
            if event["type"] == kind {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn a_payment_is_charged_once_per_key_and_told() {
    let mut rig = Rig::start().await;
    let (status, paid) = rig.pay("pm_card_visa", "k1").await;
    assert_eq!((status, &paid["status"]), (200, &json!("succeeded")));
    assert_eq!(paid["amount_received"], 9291);
    assert_eq!(paid["metadata"]["order"], "o1");
    let (_, again) = rig.pay("pm_card_visa", "k1").await;
    assert_eq!(again["id"], paid["id"]);
    let (status, other) = rig.pay("pm_card_mastercard", "k1").await;
    assert_eq!(
        (status, &other["error"]["type"]),
        (400, &json!("idempotency_error"))
    );
    let event = rig.hear("payment_intent.succeeded").await;
    assert_eq!(event["data"]["object"]["id"], paid["id"]);
    // 92.91 less 2.9 % and 0.30.
    let balance = rig.get("/v1/balance").await;
    assert_eq!(balance["available"][0]["amount"], 9291 - (269 + 30));
    let path = format!(
        "/v1/payment_intents/{}?expand[]=latest_charge.balance_transaction",
        paid["id"].as_str().expect("id")
    );
    let wide = rig.get(&path).await;
    assert_eq!(wide["latest_charge"]["balance_transaction"]["fee"], 299);
}

#[tokio::test]
async fn declined_cards_answer_402_and_the_intent_takes_another() {
    let rig = Rig::start().await;
    let (status, refused) = rig
        .pay("pm_card_visa_chargeDeclinedInsufficientFunds", "k1")
        .await;
    assert_eq!(status, 402);
    assert_eq!(refused["error"]["decline_code"], "insufficient_funds");
    let intent = &refused["error"]["payment_intent"];
    assert_eq!(intent["status"], "requires_payment_method");
    let path = format!(
        "/v1/payment_intents/{}/confirm",
        intent["id"].as_str().expect("id")
    );
    let (status, paid) = rig
        .call(&path, None, &[("payment_method", "pm_card_visa")])
        .await;
    assert_eq!((status, &paid["status"]), (200, &json!("succeeded")));
    let (status, twice) = rig
        .call(&path, None, &[("payment_method", "pm_card_visa")])
        .await;
    assert_eq!(status, 400);
    assert_eq!(twice["error"]["code"], "payment_intent_unexpected_state");
}

#[tokio::test]
async fn authentication_is_passed_failed_or_forced() {
    let mut rig = Rig::start().await;
    let (_, waits) = rig.pay("pm_card_authenticationRequired", "k1").await;
    assert_eq!(waits["status"], "requires_action");
    let id = waits["id"].clone();
    let body = json!({"paymentIntent": id, "result": "fail"});
    let (_, failed) = rig.control("authenticate", body).await;
    assert_eq!(failed["status"], "requires_payment_method");
    let path = format!("/v1/payment_intents/{}/cancel", id.as_str().expect("id"));
    let (_, gone) = rig.call(&path, None, &[]).await;
    assert_eq!(gone["status"], "canceled");
    let body = json!({"paymentIntent": id, "result": "success"});
    assert_eq!(rig.control("authenticate", body).await.0, 400);
    let body =
        json!({"paymentIntent": id, "result": "success", "force": true, "amountReceived": 9290});
    let (_, late) = rig.control("authenticate", body).await;
    assert_eq!(
        (&late["status"], &late["amount_received"]),
        (&json!("succeeded"), &json!(9290))
    );
    let event = rig.hear("payment_intent.succeeded").await;
    assert_eq!(event["data"]["object"]["amount_received"], 9290);
}

#[tokio::test]
async fn refunds_come_at_once_later_or_never() {
    let mut rig = Rig::start().await;
    let (_, paid) = rig.pay("pm_card_visa", "k1").await;
    let id = paid["id"].as_str().expect("id");
    let form = [("payment_intent", id), ("amount", "4646")];
    let (_, back) = rig.call("/v1/refunds", Some("r1"), &form).await;
    assert_eq!(back["status"], "succeeded");
    let form = [("payment_intent", id), ("amount", "4646")];
    assert_eq!(rig.call("/v1/refunds", Some("r2"), &form).await.0, 400);
    let (_, paid) = rig.pay("pm_card_refundFail", "k2").await;
    let id = paid["id"].as_str().expect("id");
    let before = rig.get("/_control/state").await["balance"]["eur"].clone();
    let (_, back) = rig
        .call("/v1/refunds", Some("r3"), &[("payment_intent", id)])
        .await;
    assert_eq!(back["status"], "pending");
    rig.control("clock", json!({"advanceSeconds": 5})).await;
    let event = rig.hear("refund.failed").await;
    assert_eq!(event["data"]["object"]["id"], back["id"]);
    assert_eq!(rig.get("/_control/state").await["balance"]["eur"], before);
}

#[tokio::test]
async fn disputes_take_the_money_and_give_it_back_when_won() {
    let mut rig = Rig::start().await;
    let (_, paid) = rig.pay("pm_card_visa", "k1").await;
    let before = rig.get("/_control/state").await["balance"]["eur"]
        .as_i64()
        .expect("sum");
    let act = |action: &str| json!({"paymentIntent": paid["id"], "action": action});
    let (_, asked) = rig.control("dispute", act("inquiry")).await;
    assert_eq!(asked["status"], "warning_needs_response");
    assert_eq!(rig.get("/_control/state").await["balance"]["eur"], before);
    let (_, opened) = rig.control("dispute", act("open")).await;
    assert_eq!(opened["status"], "needs_response");
    rig.hear("charge.dispute.funds_withdrawn").await;
    let withdrawn = rig.get("/_control/state").await["balance"]["eur"].as_i64();
    assert_eq!(withdrawn, Some(before - 9291 - 1500));
    let (_, won) = rig.control("dispute", act("win")).await;
    assert_eq!(won["status"], "won");
    rig.hear("charge.dispute.closed").await;
    let back = rig.get("/_control/state").await["balance"]["eur"].as_i64();
    assert_eq!(back, Some(before - 1500));
}

#[tokio::test]
async fn faults_and_webhooks_go_wrong_as_told() {
    let mut rig = Rig::start().await;
    let fault = json!({"path": "/v1/payment_intents", "kind": "fail_after", "next": 1});
    rig.control("faults", fault).await;
    assert_eq!(rig.pay("pm_card_visa", "k1").await.0, 500);
    let (_, again) = rig.pay("pm_card_visa", "k1").await;
    assert_eq!(again["status"], "succeeded");
    let intents = rig.get("/v1/payment_intents").await;
    assert_eq!(intents["data"].as_array().map(Vec::len), Some(1));
    rig.hear("payment_intent.succeeded").await;
    rig.control("webhooks", json!({"repeat": 3})).await;
    let (_, second) = rig.pay("pm_card_visa", "k2").await;
    for _ in 0..3 {
        let event = rig.hear("payment_intent.succeeded").await;
        assert_eq!(event["data"]["object"]["id"], second["id"]);
    }
    let order = json!({"repeat": 1, "order": "reverse"});
    rig.control("webhooks", order).await;
    rig.pay("pm_card_visa", "k3").await;
    rig.hear("payment_intent.succeeded").await;
    rig.hear("charge.succeeded").await;
    rig.hear("payment_intent.created").await;
}

#[tokio::test]
async fn keys_open_what_they_may() {
    let rig = Rig::start().await;
    let (_, made) = rig
        .call(
            "/v1/payment_intents",
            None,
            &[("amount", "100"), ("currency", "eur")],
        )
        .await;
    let id = made["id"].as_str().expect("id");
    let secret = made["client_secret"].as_str().expect("secret");
    let url = format!("{}/v1/payment_intents/{id}/confirm", rig.base);
    let confirm = |secret: String| {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("payment_method", "pm_card_visa")
            .append_pair("client_secret", &secret)
            .finish();
        let request = rig.client.post(&url).expect("URL");
        request
            .header("authorization", "Bearer pk_test_x")
            .body(body)
            .send()
    };
    let wrong = confirm("no".to_owned()).await.expect("answer");
    assert_eq!(wrong.status().as_u16(), 403);
    let right = confirm(secret.to_owned()).await.expect("answer");
    assert_eq!(right.status().as_u16(), 200);
    let nobody = rig
        .client
        .get(&format!("{}/v1/balance", rig.base))
        .expect("URL");
    assert_eq!(nobody.send().await.expect("answer").status().as_u16(), 401);
    let (status, small) = rig
        .call(
            "/v1/payment_intents",
            None,
            &[("amount", "49"), ("currency", "eur")],
        )
        .await;
    assert_eq!(
        (status, &small["error"]["code"]),
        (400, &json!("amount_too_small"))
    );
}
