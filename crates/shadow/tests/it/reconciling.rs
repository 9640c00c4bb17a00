//! Matching and reports through their routes (contract D2, D3, INV-S18, INV-S21 to INV-S23).

use florin_platform::sql::query;
use florin_shadow::statements::input::Limits as Sizes;
use florin_shadow::store::{Actor, Settings};
use serde_json::json;

use crate::reconciling_world::*;
use crate::support::{bench, event, take};

async fn feed(world: &World) {
    let mut events = vec![
        event("E1", "A1", 10_000, JAN + DAY_MS),
        event("E2", "A1", -2_500, JAN + 2 * DAY_MS),
        event("E3", "A1", 700, JAN + 3 * DAY_MS),
        event("E4", "A1", 300, JAN + 3 * DAY_MS + 1),
        event("E5", "A1", -42, JAN + 4 * DAY_MS),
    ];
    events[0].reference = Some("inv 1".to_owned());
    take(&world.web.bench.shadow, events).await;
}

#[tokio::test]
pub async fn a_month_is_reconciled_and_reported() {
    let world = world().await;
    world.web.bench.clock.advance(30 * DAY_MS * 1_000);
    feed(&world).await;
    // R1, R2, R4; one line without entry; one entry without line.
    let file = camt(
        "S1",
        500,
        &[
            (10_000, 5, "INV1"),
            (-2_500, 4, "X"),
            (1_000, 5, ""),
            (5, 6, ""),
        ],
    );
    world.import("accountId=A1", file).await.ok(201);
    // The import has matched already: nothing is left for this run.
    let matches = world.items("/matches?accountId=A1").await;
    let rules: Vec<_> = matches
        .iter()
        .map(|m| m["rule"].as_str().expect("rule"))
        .collect();
    assert_eq!(rules, ["R2", "R1", "R4"], "by the day of the line");
    assert_eq!(matches[2]["entries"], json!(["E3", "E4"]));
    let run = world.reconcile("A1").await;
    assert_eq!(
        (&run.body["state"], &run.body["bridge"]["holds"]),
        (&json!("done"), &json!(true))
    );
    assert!(
        run.text
            .contains("\"bankClosing\":90.05,\"shadowBalance\":84.58,\"startDifference\":5"),
        "{}",
        run.text
    );
    let id = run.body["reconciliationId"].as_str().expect("id");
    assert_eq!(
        run.headers["location"],
        format!("/api/v1/shadow/reconciliations/{id}")
    );
    let report = world
        .get(&format!("/reconciliations/{id}/report"))
        .await
        .ok(200);
    let open = report.body["items"].as_array().expect("items");
    assert_eq!(open.len(), 2);
    assert_eq!(
        (&open[0]["side"], &open[0]["amount"]),
        (&json!("line"), &json!(0.05))
    );
    assert_eq!(
        (&open[1]["id"], &open[1]["reason"]),
        (&json!("E5"), &json!("no_candidate"))
    );
    assert_eq!(
        report.body["lines"]["matched"],
        json!({"count": 3, "sum": 85})
    );
    assert_eq!(
        report.body["statements"][0]["digest"]
            .as_str()
            .map(str::len),
        Some(64)
    );
    let again = world.get(&format!("/reconciliations/{id}/report")).await;
    assert_eq!(again.text, report.text, "the same bytes");
    let csv = world
        .get(&format!("/reconciliations/{id}/report?format=csv"))
        .await
        .ok(200);
    assert!(
        csv.text.starts_with(
            "side,id,date,amount,currency,status,reason,rule,reference,candidates\r\n"
        )
    );
    assert!(
        csv.text
            .contains("entry,E5,2025-01-05,-0.42,BRL,unmatched,no_candidate,,,\r\n"),
        "{}",
        csv.text
    );
    assert_eq!(
        world.get("/reconciliations/x/report").await.code(),
        (404, "reconciliation_not_found")
    );
    let bad = json!({"accountId": "A1", "from": "2025-02-01", "to": "2025-02-01"});
    assert_eq!(
        world.json("POST", "/reconciliations", bad).await.code().0,
        400
    );
    let none = json!({"accountId": "B1", "from": "2025-01-01", "to": "2025-02-01"});
    let none = world.json("POST", "/reconciliations", none).await.ok(201);
    assert_eq!(
        (&none.body["state"], &none.body["problem"]["code"]),
        (&json!("failed"), &json!("statement_missing"))
    );
}

/// Row 49, INV-S18 on the path of a variance, INV-S23.
#[tokio::test]
pub async fn people_match_and_undo() {
    let world = world().await;
    world.web.bench.clock.advance(30 * DAY_MS * 1_000);
    feed(&world).await;
    let file = camt("S1", 0, &[(10_200, 5, "Q"), (77, 6, "W")]);
    let reply = world
        .import("accountId=A1&autoMatch=false", file)
        .await
        .ok(201);
    let id = reply.body["statements"][0]["statementId"]
        .as_str()
        .expect("id")
        .to_owned();
    let (one, two) = (format!("{id}.1"), format!("{id}.2"));
    let body = |lines: &[&str], events: &[&str]| json!({"accountId": "A1", "lineIds": lines, "eventIds": events, "reason": "seen"});
    let differ = world.json("POST", "/matches", body(&[&one], &["E1"])).await;
    assert_eq!(differ.code(), (422, "sums_differ"), "row 49");
    assert_eq!(differ.body["difference"], json!(2));
    for (lines, events, status, code) in [
        ([one.as_str()], "NONE", 404, "event_not_found"),
        ([&format!("{id}.7")], "E1", 404, "line_not_found"),
    ] {
        let reply = world
            .json("POST", "/matches", body(&lines, &[events]))
            .await;
        assert_eq!(reply.code(), (status, code));
    }
    take(&world.web.bench.shadow, vec![event("X1", "B1", 77, JAN)]).await;
    let reply = world.json("POST", "/matches", body(&[&two], &["X1"])).await;
    assert_eq!(reply.code(), (422, "account_mismatch"));

    let mut accepted = body(&[&one], &["E1"]);
    accepted["acceptVariance"] = json!("2.00");
    let made = world.json("POST", "/matches", accepted).await.ok(201);
    assert_eq!(
        (&made.body["state"], &made.body["variance"]),
        (&json!("proposed"), &json!(2))
    );
    let taken = world.json("POST", "/matches", body(&[&one], &["E3"])).await;
    assert_eq!(taken.code(), (409, "already_matched"), "row 49");
    let waiting = world.reconcile("A1").await;
    assert_eq!(waiting.body["bridge"]["holds"], true, "{}", waiting.text);
    assert_eq!(waiting.body["bridge"]["variance"], json!(0));

    let correction = made.body["correctionId"]
        .as_str()
        .expect("correction")
        .to_owned();
    let approve = |who: &'static str| {
        let (desk, correction) = (world.desk.clone(), correction.clone());
        world.web.bench.shadow.write(move |session| {
            Box::pin(async move {
                let actor = Actor::system(who);
                desk.approve(session, &correction, &actor, "fee").await
            })
        })
    };
    assert!(approve("root").await.expect("the store answers").is_ok());
    let match_id = made.body["matchId"].as_str().expect("id").to_owned();
    let path = format!("/matches/{match_id}");
    assert_eq!(world.get(&path).await.body["state"], "active");
    let counted = world.reconcile("A1").await;
    assert_eq!(counted.body["bridge"]["variance"], json!(2));
    assert_eq!(counted.body["bridge"]["holds"], true);

    let other = world
        .json("POST", "/matches", body(&[&two], &["E3", "E5"]))
        .await;
    assert_eq!(other.code(), (422, "sums_differ"));
    let before = world.get("/matches?accountId=A1").await.text;
    let undone = world
        .json("POST", &format!("{path}/undo"), json!({"reason": "wrong"}))
        .await
        .ok(200);
    assert_eq!(
        (&undone.body["state"], &undone.body["undoReason"]),
        (&json!("undone"), &json!("wrong"))
    );
    let again = world
        .json("POST", &format!("{path}/undo"), json!({"reason": "wrong"}))
        .await;
    assert_eq!(again.code(), (409, "invalid_state"));
    assert_eq!(
        world.get("/matches/none").await.code(),
        (404, "match_not_found"),
        "row 37"
    );
    assert!(before.contains(&match_id), "history stays");
    assert_eq!(
        world.get(&format!("/lines/{one}")).await.body["status"],
        "unmatched"
    );
    assert_eq!(world.reconcile("A1").await.body["bridge"]["holds"], true);
}

/// An entry that leaves `applied` undoes its own match.
#[tokio::test]
pub async fn a_flip_undoes_its_match() {
    let settings = Settings {
        policy: florin_shadow::model::Policy::Derived,
        ..Settings::default()
    };
    let world = world_on(bench(settings).await, Sizes::default());
    world.web.bench.clock.advance(30 * DAY_MS * 1_000);
    let early = JAN + 2 * DAY_MS;
    take(
        &world.web.bench.shadow,
        vec![
            event("C", "A1", 1_000, JAN + DAY_MS),
            event("D", "A1", -900, early + 10),
        ],
    )
    .await;
    let file = camt("S1", 0, &[(1_000, 2, "Q"), (-900, 3, "W")]);
    world.import("accountId=A1", file).await.ok(201);
    assert_eq!(world.items("/matches?state=active").await.len(), 2);
    // An earlier debit takes the money: D no longer fits.
    take(&world.web.bench.shadow, vec![event("B", "A1", -500, early)]).await;
    assert_eq!(world.reconciler.undo_flipped().await.expect("undone"), 1);
    let undone = world.items("/matches?state=undone").await;
    assert_eq!(
        (&undone[0]["undoReason"], &undone[0]["entries"]),
        (&json!("entry_flipped"), &json!(["D"]))
    );
    let run = world.reconcile("A1").await;
    assert_eq!(run.body["bridge"]["holds"], true, "{}", run.text);
    let id = run.body["reconciliationId"].as_str().expect("id");
    let report = world.get(&format!("/reconciliations/{id}/report")).await;
    assert!(report.text.contains("entry_not_applied"), "{}", report.text);
}

/// What the first lines are about may lie before the start: it is matched, and the bridge says
/// that its lines are open against the difference of the start.
#[tokio::test]
pub async fn entries_shortly_before_the_start_are_matched() {
    let world = world().await;
    world.web.bench.clock.advance(30 * DAY_MS * 1_000);
    feed(&world).await;
    let file = camt("S1", 0, &[(10_000, 5, "INV1")]);
    world
        .import("accountId=A1&autoMatch=false", file)
        .await
        .ok(201);
    let body = json!({"accountId": "A1", "from": "2025-01-05", "to": "2025-02-01"});
    let run = world.json("POST", "/reconciliations", body).await.ok(201);
    let bridge = &run.body["bridge"];
    assert_eq!(
        (&bridge["holds"], &bridge["startDifference"]),
        (&json!(true), &json!(-85)),
        "{}",
        run.text
    );
    assert_eq!(
        (&bridge["openLines"], &bridge["openEntries"]),
        (&json!(100), &json!(-0.42))
    );
    assert_eq!(world.items("/matches?state=active&rule=R1").await.len(), 1);
    let again = world.reconcile("A1").await;
    assert_eq!(
        (
            &again.body["bridge"]["holds"],
            &again.body["bridge"]["openLines"]
        ),
        (&json!(true), &json!(100)),
        "{}",
        again.text
    );
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// INV-S21 and INV-S22 on random books: no item is in two active matches, and every bridge
/// holds, whatever comes late.
#[tokio::test]
pub async fn random_books_are_bridged() {
    for seed in 1..=6_u64 {
        eprintln!("seed {seed}");
        let mut random = Random(seed);
        let world = world().await;
        world.web.bench.clock.advance(40 * DAY_MS * 1_000);
        let mut opening = 1_000;
        let mut serial = 0;
        for round in 1..=4_u32 {
            let mut lines = Vec::new();
            let mut events = vec![event(&format!("F{seed}-{round}"), "A1", 100_000, JAN)];
            for _ in 0..12 {
                serial += 1;
                let amount = i128::from(random.below(6)) * 100 + 50;
                let amount = if random.below(4) == 0 {
                    -amount
                } else {
                    amount
                };
                let day = 6 * round - random.below(5) as u32;
                let reference = ["", "A", "B"][random.below(3) as usize];
                if random.below(5) > 0 {
                    lines.push((amount, day, reference));
                }
                if random.below(5) > 0 {
                    let shift = random.below(3) as i64 * DAY_MS;
                    let at = JAN + i64::from(day - 1) * DAY_MS + shift;
                    let mut one = event(&format!("E{seed}-{serial}"), "A1", amount, at);
                    one.reference = Some(reference.to_owned()).filter(|r| !r.is_empty());
                    events.push(one);
                }
            }
            take(&world.web.bench.shadow, events).await;
            lines.sort_by_key(|line| line.1);
            let file = camt(&format!("S{round}"), opening, &lines);
            world.import("accountId=A1", file).await.ok(201);
            opening += lines.iter().map(|line| line.0).sum::<i128>();
            opening += i128::from(random.below(2)) * 7;
            // Dated before everything, recorded late.
            take(
                &world.web.bench.shadow,
                vec![event(&format!("L{seed}-{round}"), "A1", 3, JAN - 1)],
            )
            .await;
            let run = world.reconcile("A1").await;
            assert_eq!(run.body["bridge"]["holds"], true, "{}", run.text);
        }
        let twice = query(
            "SELECT side, item FROM shadow_match_items WHERE is_taken GROUP BY side, item HAVING COUNT(*) > 1",
        );
        assert!(
            world
                .web
                .bench
                .db
                .fetch_all(twice)
                .await
                .expect("reads")
                .is_empty()
        );
        assert!(!world.items("/matches?state=active").await.is_empty());
    }
}
