//! What the organiser is told of the sale, over kills and a receiver that fails now and then:
//! everything, each thing under one id, counted without gaps (INV-T17).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clients::Sale;
use super::text;
use crate::server::{Rng, Server, Who};
use crate::webhooks::receiver::Receiver;

/// What he wants to hear.
const WANTED: [&str; 6] = [
    "order.reserved",
    "order.confirmed",
    "order.expired",
    "order.cancelled",
    "refund.created",
    "refund.succeeded",
];

/// A receiver with what it got.
pub struct Told {
    receiver: Receiver,
    secret: String,
    /// Id and body by sequence.
    got: BTreeMap<u64, (String, Value)>,
}

impl Told {
    pub fn listen(server: &Server, sale: &Sale) -> Self {
        let receiver = Receiver::start();
        let body = json!({"url": receiver.url(), "events": WANTED});
        let path = format!("/api/v1/orgs/{}/webhooks", sale.org);
        let made = server.post(Who::Ana, &path, body).ok(201);
        Self {
            secret: made.text_of("secret").to_owned(),
            receiver,
            got: BTreeMap::new(),
        }
    }

    /// It fails for a while, or it does not.
    pub fn weather(&self, rng: &mut Rng) {
        self.receiver.answer(*rng.pick(&[200, 200, 503]));
    }

    /// It answers from now on.
    pub fn calm(&self) {
        self.receiver.answer(200);
    }

    /// Looks at what has come.
    pub fn collect(&mut self) {
        for event in self.receiver.pending() {
            event.verify(&self.secret);
            let sequence = event.body["sequence"].as_u64().expect("a sequence");
            let got = (event.id, event.body);
            if let Some(known) = self.got.insert(sequence, got.clone()) {
                assert_eq!(known, got, "INV-T17: one thing, told twice, differs");
            }
        }
    }

    /// What is missing: gaps, and orders of which a word was not told.
    pub fn missing(&mut self, confirmed: &[String], reserved: &[String]) -> Vec<String> {
        self.collect();
        let mut missing = Vec::new();
        let last = self.got.keys().next_back().copied().unwrap_or(0);
        if last != self.got.len() as u64 {
            missing.push(format!("INV-T17: {} of {last} are here", self.got.len()));
        }
        let mut ids: Vec<&str> = self.got.values().map(|(id, _)| &**id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != self.got.len() {
            missing.push("INV-T17: one id has two numbers".to_owned());
        }
        for (kind, orders) in [("order.confirmed", confirmed), ("order.reserved", reserved)] {
            let told: Vec<&str> = self
                .got
                .values()
                .filter(|(_, body)| text(body, "type") == kind)
                .map(|(_, body)| text(&body["data"], "orderId"))
                .collect();
            let untold = orders.iter().filter(|id| !told.contains(&&***id));
            missing.extend(untold.map(|id| format!("INV-T17: {kind} of {id} was not told")));
        }
        missing
    }
}
