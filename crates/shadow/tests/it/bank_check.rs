//! Real transactions against what the bank printed, by a drift check: consistent accounts match
//! within the bank's rounding, with the exact difference shown, and the others are named.

use std::collections::{BTreeMap, BTreeSet};

use florin_shadow::drift::tolerance::Tolerance;
use serde_json::{Value, json};

use crate::bank::{Line, TOLERANCE, by_account, json_of, lines, settings};
use crate::desk::{House, build_at};
use crate::permutations::Chance;
use crate::support::bench;
use crate::web::{ADMIN, SERVICE};

/// Rounding of one step, minor units.
const STEP: i128 = 10;
const DAY_MS: i64 = 86_400_000;

/// The balances that an account may have closed with: the order inside a day is not recorded, so
/// every order is tried in which each step fits. Empty: no order explains some day.
fn closings(lines: &[&Line]) -> BTreeSet<i128> {
    let mut days: BTreeMap<i64, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        let day = line.event.timestamp.div_euclid(DAY_MS);
        days.entry(day).or_default().push(line);
    }
    let mut open = BTreeSet::from([0]);
    for day in days.values() {
        open = open
            .iter()
            .flat_map(|before| after_day(*before, day))
            .collect();
    }
    open
}

/// Where a day may end that begins with this balance.
fn after_day(before: i128, day: &[&Line]) -> BTreeSet<i128> {
    let fits =
        |before: i128, line: &Line| (before + line.event.signed() - line.printed).abs() <= STEP;
    let whole = (1_u32 << day.len()) - 1;
    // Which lines are used, and which was the last.
    let mut seen: BTreeSet<(u32, usize)> = BTreeSet::new();
    let mut next: Vec<(u32, usize)> = (0..day.len())
        .filter(|at| fits(before, day[*at]))
        .map(|at| (1 << at, at))
        .collect();
    let mut ends = BTreeSet::new();
    while let Some((used, last)) = next.pop() {
        if !seen.insert((used, last)) {
            continue;
        }
        if used == whole {
            ends.insert(day[last].printed);
        }
        for at in 0..day.len() {
            if used & (1 << at) == 0 && fits(day[last].printed, day[at]) {
                next.push((used | 1 << at, at));
            }
        }
    }
    ends
}

async fn fill(house: &House, lines: &[Line]) {
    let mut order: Vec<&Line> = lines.iter().collect();
    Chance::fresh().shuffle(&mut order);
    for some in order.chunks(5_000) {
        let bodies: Vec<String> = some.iter().map(|line| json_of(&line.event)).collect();
        let body = format!("[{}]", bodies.join(","));
        let reply = house
            .web
            .post_as(SERVICE, "/events/batch?results=errors", &body)
            .await
            .ok(202);
        assert_eq!(reply.body["accepted"], some.len());
    }
}

#[tokio::test]
async fn consistent_accounts_match_within_the_banks_rounding_and_the_others_are_named() {
    let Some(lines) = lines() else { return };
    let accounts = by_account(&lines);
    let tolerant = |control: &mut florin_shadow::corrections::control::Control| {
        let tolerance = Tolerance {
            absolute: TOLERANCE,
            percent: None,
        };
        control.tolerances.insert("CZK".to_owned(), tolerance);
    };
    let house = build_at(bench(settings()).await, tolerant, None);
    let below: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line.printed < 0)
        .map(|line| line.event.account_id.as_str())
        .collect();
    for account in &below {
        let path = format!("/api/v1/shadow/books/{account}/CZK");
        house.web.put(&path, r#"{"floor":null}"#).await.ok(200);
    }
    fill(&house, &lines).await;
    let sum = |lines: &[&Line]| lines.iter().map(|l| l.event.signed()).sum::<i128>();
    let mut inconsistent = BTreeSet::new();
    let mut asked = Vec::new();
    for (account, lines) in &accounts {
        let closings = closings(lines);
        if closings.is_empty() {
            inconsistent.insert((*account).to_owned());
        }
        let last = lines.iter().map(|l| l.event.timestamp / DAY_MS).max();
        let printed = lines
            .iter()
            .filter(|l| Some(l.event.timestamp / DAY_MS) == last)
            .map(|l| l.printed);
        let candidates: Vec<i128> = match closings.is_empty() {
            true => printed.collect(),
            false => closings.into_iter().collect(),
        };
        let total = sum(lines);
        let nearest = candidates.into_iter().min_by_key(|c| (c - total).abs());
        let reported = florin_shadow::model::amount::full(nearest.expect("a closing"), 2);
        asked.push(json!({"accountId": account, "currency": "CZK", "reportedBalance": reported}));
    }
    assert_eq!((asked.len(), inconsistent.len()), (591, 16));
    let reply = house.check(&Value::from(asked).to_string()).await.ok(200);
    let results = reply.body["results"].as_array().expect("results");
    let mut to_the_cent = 0;
    for result in results {
        let account = result["accountId"].as_str().expect("an account");
        let difference = &result["difference"];
        if inconsistent.contains(account) {
            println!(
                "{account} is inconsistent: {} by {difference}",
                result["status"]
            );
            continue;
        }
        assert_eq!(result["status"], "MATCH", "{result}");
        assert_eq!(result["withinTolerance"], true, "{result}");
        to_the_cent += i32::from(*difference == json!(0));
    }
    assert!(to_the_cent >= 276, "{to_the_cent} close to the cent");
    assert_eq!(reply.body["totalAccounts"], 591);
    let apart = results.iter().filter(|one| one["status"] == "MISMATCH");
    assert_eq!(reply.body["mismatches"], apart.clone().count());
    assert!(apart.clone().count() <= inconsistent.len());
    assert_ne!(
        reply.body["toleratedTotal"],
        json!(0),
        "what is tolerated is summed"
    );
    // Nothing was posted for what is tolerated.
    let made = house
        .web
        .send(ADMIN, "GET", "/api/v1/shadow/corrections", &[], Vec::new())
        .await;
    for correction in made.ok(200).body["items"].as_array().expect("items") {
        let account = correction["accountId"].as_str().expect("an account");
        assert!(inconsistent.contains(account), "{correction}");
    }
}
