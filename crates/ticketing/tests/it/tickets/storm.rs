//! The gate's own violence: whatever the order in which scans become known, the outcome is one.

use std::collections::BTreeMap;

use florin_platform::sql::query;
use florin_ticketing::Settings;
use florin_ticketing::tickets::{self, Death};
use serde_json::{Value, json};

use super::{code, key, open_doors, scan, sell};
use crate::stage::{Gig, OLGA, SECOND, Stage};

const TICKETS: usize = 100;

/// A generator that gives the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// A stage on which some tickets were refunded, reissued or suspended in the meantime.
async fn stage() -> (Stage, Gig) {
    let limits = [("check_in_batch", 0)].into_iter().collect();
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let stage = Stage::with(settings).await;
    let gig = stage.event("45.00", 200).await;
    let sold = sell(&stage, &gig, "ana", TICKETS).await;
    open_doors(&stage);
    let room = &stage.room;
    for (n, ticket) in sold.iter().enumerate() {
        stage.advance(SECOND);
        let ids = [ticket.id.clone()];
        let mut tx = room.store.begin_event(&gig.event).await.unwrap();
        match n % 10 {
            0 => drop(
                tickets::kill(room, &mut tx, &ids, Death::Refunded, room.now())
                    .await
                    .unwrap(),
            ),
            1 => drop(
                tickets::reissue(room, &mut tx, &ids[0], room.now())
                    .await
                    .unwrap(),
            ),
            2 => tickets::suspend(room, &mut tx, &ids, room.now())
                .await
                .unwrap(),
            _ => {}
        }
        tx.commit().await.unwrap();
    }
    (stage, gig)
}

async fn outcome(stage: &Stage) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let db = &stage.room.store.db;
    let text = "SELECT nonce, effective_at, counted, conflict FROM tk_check_ins";
    let scans = db
        .fetch_all(query(text))
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            let value = json!({
                "at": row.get::<i64>("effective_at").unwrap(),
                "counted": row.get::<bool>("counted").unwrap(),
                "conflict": row.get::<Option<String>>("conflict").unwrap(),
            });
            (row.get("nonce").unwrap(), value)
        });
    let text = "SELECT number, status, used_at, inside, generation FROM tk_tickets";
    let tickets = db
        .fetch_all(query(text))
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            let value = json!({
                "status": row.get::<String>("status").unwrap(),
                "usedAt": row.get::<Option<i64>>("used_at").unwrap(),
                "inside": row.get::<bool>("inside").unwrap(),
                "generation": row.get::<i64>("generation").unwrap(),
            });
            let number: String = row.get("number").unwrap();
            // Orders are numbered anew on each stage; the place in the order is the same.
            (number[number.len() - 3..].to_owned(), value)
        });
    (scans.collect(), tickets.collect())
}

/// INV-T13: 10,000 scans of a hundred tickets by ten gates, told in random order and in random
/// portions, some of them twice.
#[tokio::test]
async fn inv_t13_ten_thousand_scans_in_any_order_have_one_outcome() {
    let mut before = None;
    for seed in [1u64, 0x5eed, 20_300_101] {
        println!("seed {seed}");
        let (stage, gig) = stage().await;
        let key = key(&stage, &gig).await;
        let text = "SELECT id FROM tk_tickets ORDER BY position";
        let rows = stage.room.store.db.fetch_all(query(text)).await.unwrap();
        let ids: Vec<String> = rows.iter().map(|row| row.get("id").unwrap()).collect();
        // The same ten thousand scans for every seed.
        let mut same = Chance(7);
        let mut codes = BTreeMap::new();
        let mut scans: Vec<Value> = (0..10_000u128)
            .map(|n| {
                let ticket = &ids[same.below(TICKETS as u64) as usize];
                let generation = 1 + same.below(8) as u16 / 7;
                let at = stage.at(-(same.below(110) as i64) * SECOND);
                let made = codes.entry((ticket.clone(), generation));
                let token = made.or_insert_with(|| code(&key, ticket, generation));
                let mut one = scan(token, n, &at);
                one["direction"] = json!(if same.below(4) == 0 { "out" } else { "in" });
                one["deviceId"] = json!(format!("gate-{}", same.below(10)));
                one
            })
            .collect();
        let mut chance = Chance(seed);
        chance.shuffle(&mut scans);
        let device_now = stage.at(0);
        let path = format!("/api/v1/events/{}/check-ins/batch", gig.event);
        let mut rest = scans.as_slice();
        while !rest.is_empty() {
            let count = (1 + chance.below(1_000) as usize).min(rest.len());
            let (some, others) = rest.split_at(count);
            let body = json!({"deviceNow": device_now, "offline": true, "scans": some});
            let send = || stage.post(OLGA, &path, body.clone());
            let answers = send().await.ok(200);
            assert_eq!(answers.items().len(), count);
            if chance.below(4) == 0 {
                assert_eq!(send().await.ok(200).items(), answers.items(), "row 45");
            }
            rest = others;
        }
        let found = outcome(&stage).await;
        assert_eq!(found.0.len(), 10_000, "nothing that was sent is dropped");
        let unconflicted = "SELECT COUNT(*) AS n FROM tk_check_ins WHERE counted = TRUE
            AND direction = 'in' AND conflict IS NULL GROUP BY ticket_id HAVING COUNT(*) > 1";
        let twice = stage
            .room
            .store
            .db
            .fetch_all(query(unconflicted))
            .await
            .unwrap();
        assert!(twice.is_empty(), "a ticket with two entries");
        match &before {
            None => before = Some(found),
            Some(before) => assert_eq!(&found, before, "seed {seed}"),
        }
    }
}
