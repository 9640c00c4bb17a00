//! What a client is about to do, what it would change, and what an answer says about it.

use serde_json::{Value, json};

use crate::server::Reply;

/// A change of one account or wallet, in minor units.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// Index among the places of the world.
    pub place: usize,
    pub balance: i64,
    pub held: i64,
}

/// One part of an intent that is recorded whole or not at all.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Its id in the ledger; empty when the server makes it.
    pub id: String,
    pub moves: Vec<Move>,
}

/// Which answers mean what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A ledger call in batch form: one result per leg.
    Batch,
    /// A ledger call in single form.
    Single,
    /// A call of the wallet API that records a transfer.
    Wallet,
    /// A void: its record's id is not told.
    Void,
}

/// A call with its effects.
#[derive(Debug, Clone)]
pub struct Intent {
    pub kind: Kind,
    pub path: String,
    pub body: Value,
    pub legs: Vec<Leg>,
}

/// What an answer said, as far as it is remembered.
#[derive(Debug, Clone)]
pub struct Ack {
    /// Which legs are recorded.
    pub recorded: Vec<bool>,
    /// Id of what the server made.
    pub id: String,
    /// `seq` of what was recorded by this call.
    pub seq: Option<u64>,
    pub status: u16,
    pub text: String,
    pub replayed: bool,
}

/// An intent and its acknowledgement, as a client's journal has them.
#[derive(Debug, Clone)]
pub struct Entry {
    pub intent: Intent,
    pub ack: Option<Ack>,
    /// The answer promised that nothing was done.
    pub not_done: bool,
}

/// Codes that promise it (contract E, "uncertain outcome").
pub const NOT_DONE: [&str; 4] = [
    "overloaded",
    "store_unavailable",
    "clock_unsafe",
    "upstream_unavailable",
];

pub fn balance(place: usize, balance: i64) -> Move {
    Move {
        place,
        balance,
        held: 0,
    }
}

impl Intent {
    /// One ledger transfer from account to account.
    pub fn single(id: &str, names: (&str, &str), places: (usize, usize), amount: i64) -> Self {
        Self {
            kind: Kind::Single,
            path: "/api/v1/ledger/transfers".into(),
            body: item(id, names, amount, false),
            legs: vec![leg(id, places, amount)],
        }
    }

    /// A wallet call with one effect.
    pub fn wallet(path: String, body: Value, moves: Vec<Move>) -> Self {
        let legs = vec![Leg {
            id: String::new(),
            moves,
        }];
        Self {
            kind: Kind::Wallet,
            path,
            body,
            legs,
        }
    }

    /// Reads an answer; `None` when it does not say what became of the call.
    pub fn read(&self, reply: &Reply) -> Option<Ack> {
        let recorded = match (self.kind, reply.status) {
            (_, 500..) => return None,
            (Kind::Batch, 200) => {
                let results = reply.body["results"].as_array().expect("results");
                assert_eq!(results.len(), self.legs.len(), "{}", reply.text);
                results
                    .iter()
                    .map(|r| matches!(r["code"].as_str(), Some("created" | "exists")))
                    .collect()
            }
            (Kind::Batch, status) => panic!("{status}: {}", reply.text),
            (_, status) => vec![status < 300; self.legs.len()],
        };
        let known = ["insufficient_funds", "id_already_failed", "hold_expired"];
        let (status, code) = reply.code();
        assert!(
            status < 300 || known.contains(&code),
            "{} {}: {}",
            self.path,
            self.body,
            reply.text
        );
        Some(Ack {
            recorded,
            id: reply.body["id"].as_str().unwrap_or_default().to_owned(),
            seq: reply.body["seq"].as_u64().filter(|_| reply.status < 300),
            status: reply.status,
            text: reply.text.clone(),
            replayed: reply.is_replay(),
        })
    }
}

/// An item of a ledger call.
pub fn item(id: &str, (debit, credit): (&str, &str), amount: i64, linked: bool) -> Value {
    json!({
        "id": id, "debitAccountId": debit, "creditAccountId": credit, "code": "crash",
        "amountMinor": amount.to_string(), "asset": "BRL", "linked": linked,
    })
}

/// The effect of a transfer between two liabilities.
pub fn leg(id: &str, (debit, credit): (usize, usize), amount: i64) -> Leg {
    Leg {
        id: id.to_owned(),
        moves: vec![balance(debit, -amount), balance(credit, amount)],
    }
}
