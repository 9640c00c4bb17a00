//! The card payment provider in a process of its own, and what happens to it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::server::client::Client;
use crate::server::{Rng, program};

pub const SECRET_KEY: &str = "sk_test_florin";
pub const PUBLISHABLE_KEY: &str = "pk_test_florin";
pub const HOOK_SECRET: &str = "whsec_sale";

/// Calls that may fail.
const PATHS: [&str; 4] = [
    "POST /v1/payment_intents",
    "POST /v1/payment_intents/*/confirm",
    "GET /v1/payment_intents",
    "POST /v1/refunds",
];

/// A provider that runs. Dropped, it is ended.
pub struct Provider {
    child: Child,
    pub url: String,
    client: Client,
}

impl Provider {
    /// Starts it; it tells the server on this port.
    pub fn start(port: u16) -> Self {
        let hook = format!("http://127.0.0.1:{port}/api/v1/payments/stripe/webhook");
        let mut child = program()
            .args(["fake-stripe", "--listen", "127.0.0.1:0", "--output", "json"])
            .args(["--webhook", &hook, "--webhook-secret", HOOK_SECRET])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        // Printed over several lines, a member on each.
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut shown = String::new();
        let ready: Value = loop {
            let read = stdout.read_line(&mut shown).expect("stdout");
            assert!(read > 0, "no provider: {shown}");
            if let Ok(ready) = serde_json::from_str(&shown) {
                break ready;
            }
        };
        let url = ready["baseUrl"].as_str().expect("baseUrl").to_owned();
        let addr: SocketAddr = url
            .trim_start_matches("http://")
            .parse()
            .expect("an address");
        Self {
            child,
            client: Client::new(addr, None),
            url,
        }
    }

    fn control(&self, what: &str, body: &Value) {
        let path = format!("/_control/{what}");
        self.client.call("POST", &path).json(body).send().ok(200);
    }

    /// Everything it knows.
    pub fn state(&self) -> Value {
        let call = self.client.call("GET", "/_control/state");
        call.send().ok(200).body
    }

    /// How it behaves for a while: it loses, repeats, delays and reorders what it tells, and
    /// calls to it fail before or after they took effect.
    pub fn weather(&self, rng: &mut Rng) {
        let hook = match rng.below(5) {
            0 => json!({"mode": "drop"}),
            1 => json!({"mode": "deliver", "repeat": 3, "delayMs": 0, "order": "random"}),
            2 => json!({"mode": "deliver", "repeat": 1, "delayMs": 700, "order": "reverse"}),
            _ => json!({"mode": "deliver", "repeat": 1, "delayMs": 0, "order": "created"}),
        };
        self.control("webhooks", &hook);
        self.control("faults", &json!({"clear": true}));
        for _ in 0..rng.below(3) {
            let kind = *rng.pick(&["fail", "fail_after"]);
            let next = 1 + rng.below(4);
            let fault = json!({"path": *rng.pick(&PATHS), "kind": kind, "next": next});
            self.control("faults", &fault);
        }
    }

    /// From now on everything arrives.
    pub fn calm(&self) {
        self.control("faults", &json!({"clear": true}));
        let hook = json!({"mode": "deliver", "repeat": 1, "delayMs": 0, "order": "created"});
        self.control("webhooks", &hook);
    }

    /// The cardholder has done what his bank wanted, or not.
    pub fn authenticate(&self, intent: &str, passes: bool) {
        let result = if passes { "success" } else { "fail" };
        let body = json!({"paymentIntent": intent, "result": result, "force": true});
        let call = self.client.call("POST", "/_control/authenticate");
        // It may be too late for it; then nothing happens.
        drop(call.json(&body).send());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
