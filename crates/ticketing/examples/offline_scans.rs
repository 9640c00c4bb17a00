//! How many tickets one core verifies without a network (contract H1: at least 5 000 a second,
//! p99 below 5 ms; a bundle of 100 000 tickets loaded in less than 2 s).
//!
//! `cargo run --release -p florin-ticketing --example offline_scans`

use std::time::Instant;

use florin_base::Timestamp;
use florin_ticketing::model::bundle::{
    Bundle, BundleKey, BundleSignature, BundleTicket, BundleType, LIFE_MICROS,
};
use florin_ticketing::model::offline::{First, Memory, Scanner, remember};
use florin_ticketing::model::scan::Direction;
use florin_ticketing::model::ticket_status::TicketStatus;
use florin_ticketing::model::token::{Claims, TicketKey};
use uuid::Uuid;

const TICKETS: u128 = 100_000;
const SCANS: u128 = 20_000;

fn bundle(key: &TicketKey) -> Bundle {
    let ticket = |n| BundleTicket {
        id: Uuid::from_u128(n),
        type_no: 1,
        generation: 1,
        state: TicketStatus::Valid,
        used_at: None,
        name: None,
    };
    Bundle {
        event_id: Uuid::from_u128(u128::MAX),
        sequence: 1,
        since: None,
        issued_at: Timestamp(0),
        expires_at: Timestamp(LIFE_MICROS),
        keys: vec![BundleKey {
            kid: key.id().to_string(),
            public_key: hex::encode(key.public().to_bytes()),
            status: "active".to_owned(),
        }],
        types: vec![BundleType(
            1,
            "Floor".to_owned(),
            Timestamp(0),
            Timestamp(LIFE_MICROS),
            None,
        )],
        reentry: false,
        tickets: (0..TICKETS).map(ticket).collect(),
        revoked: Vec::new(),
    }
}

fn main() {
    let key = TicketKey::from_seed(&[7; 32]);
    let body = serde_json::to_string(&bundle(&key)).expect("serialises");
    let signature = BundleSignature::sign(&key, body.as_bytes());
    let file = format!(r#"{{"signature":"{signature}","bundle":{body}}}"#);
    let started = Instant::now();
    let opened = Bundle::open(file.as_bytes(), Some(&key.public())).expect("opens");
    let scanner = Scanner::new(&opened);
    println!(
        "bundle of {} tickets: {} bytes, verified and loaded in {:?}",
        scanner.len(),
        file.len(),
        started.elapsed()
    );
    let tokens: Vec<String> = (0..SCANS)
        .map(|n| {
            key.token(&Claims {
                ticket_id: Uuid::from_u128(n * 7_919 % TICKETS),
                generation: 1,
                type_no: 1,
            })
        })
        .collect();
    let mut memory = Memory::new();
    let mut times = Vec::with_capacity(tokens.len());
    let started = Instant::now();
    for token in &tokens {
        let one = Instant::now();
        let answer = scanner.judge(&memory, token, 1, Some(3), Direction::In);
        assert!(answer.reason.is_admitted(), "{:?}", answer.reason);
        let claims = answer.claims.expect("admitted by its code");
        let first = First {
            at: Timestamp(1),
            gate: None,
            device_id: None,
        };
        remember(&mut memory, claims.ticket_id, first, Direction::In);
        times.push(one.elapsed());
    }
    let whole = started.elapsed();
    times.sort_unstable();
    let per_second = tokens.len() as u128 * 1_000_000 / whole.as_micros().max(1);
    println!(
        "{} scans on one core: {per_second} a second, p50 {:?}, p99 {:?}",
        tokens.len(),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}
