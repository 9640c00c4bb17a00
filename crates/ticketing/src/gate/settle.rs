//! Settles tickets anew from all of their scans, after one was added or undone, and writes what
//! that changes.

use std::collections::{BTreeMap, BTreeSet};

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx};
use serde_json::json;

use super::settled::{Judged, Outcome, PASSAGE_COLUMNS, Passage, happened};
use super::{Facts, sequence};
use crate::analytics::counts::EntryMoves;
use crate::model::scan::Direction;
use crate::model::settle::{Conflict, Settled};
use crate::model::ticket_status::Transition;
use crate::store::bulk::{self, Marks, Update};
use crate::tickets::{self, Advance, transfer};
use crate::{Ticketing, outbox};

/// Reads what happened to tickets, and who passed with them.
pub(super) async fn load_past(
    tx: &mut Tx,
    marks: Marks,
    tickets: &mut BTreeMap<String, Judged>,
) -> Result<(), Problem> {
    let ids: Vec<Arg> = tickets.keys().map(Arg::from).collect();
    let prefix = format!(
        "SELECT {PASSAGE_COLUMNS} FROM tk_check_ins
         WHERE admitted = $1 AND undone_at IS NULL AND ticket_id IN"
    );
    let first = [Arg::from(true)];
    for row in bulk::select(tx, marks, &prefix, "", &first, ids.clone()).await? {
        let id: String = row.get("ticket_id")?;
        if let Some(judged) = tickets.get_mut(&id) {
            judged.passages.push(Passage::read(&row)?);
        }
    }
    let prefix = "SELECT ticket_id, kind, generation, at FROM tk_leaves WHERE ticket_id IN";
    for row in bulk::select(tx, marks, prefix, "ORDER BY ticket_id, n", &[], ids).await? {
        let (id, event) = happened(&row)?;
        if let Some(judged) = tickets.get_mut(&id) {
            judged.history.push(event);
        }
    }
    Ok(())
}

/// What an admitted scan amounts to, by its id: whether it counts, and its conflict.
pub(super) type Outcomes = BTreeMap<String, (bool, Option<Conflict>)>;

/// Settles touched tickets anew from all of their scans, and writes what changed of older scans
/// and of the tickets; answers what all of their scans amount to.
pub(super) async fn settle_all(
    room: &Ticketing,
    tx: &mut Tx,
    facts: &Facts,
    tickets: &mut BTreeMap<String, Judged>,
    now: i64,
) -> Result<Outcomes, Problem> {
    let reentry = facts.event.reentry;
    let mut outcomes = Outcomes::new();
    let mut rows = Vec::new();
    let mut entered = Vec::new();
    let mut counts = EntryMoves::default();
    let mut changes = Changes::default();
    for judged in tickets.values_mut().filter(|judged| judged.touched) {
        let settled = judged.settle(reentry);
        changes.of_scans(facts, judged, &settled, &mut outcomes);
        let outcome = judged.outcome(reentry, &settled);
        counts.add(
            (judged.had_come(), judged.has_come(&settled)),
            (judged.ticket.inside, outcome.inside),
        );
        if settled.entry.is_some() {
            entered.push(judged.ticket.id.clone());
        }
        rows.push((judged, outcome));
    }
    changes.write(room, tx, &facts.event.org_id).await?;
    write_tickets(room, tx, &facts.event.id, rows, now).await?;
    let marks = Marks::of(room.store.db.is_shared());
    counts.write(tx, marks, &facts.event.id).await?;
    // An offer to hand a ticket on ends when somebody comes in with it (contract D5).
    transfer::withdraw(room, tx, &entered, now).await?;
    Ok(outcomes)
}

/// What changed of older scans, and news of entries and conflicts.
#[derive(Default)]
struct Changes {
    scans: Vec<Vec<Arg>>,
    news: Vec<(&'static str, String)>,
}

/// What a scan amounts to, by its id.
const SCAN: Update = Update {
    table: "tk_check_ins",
    columns: &["id", "counted", "conflict"],
    set: "counted = new.counted, conflict = new.conflict",
};

impl Changes {
    fn of_scans(
        &mut self,
        facts: &Facts,
        judged: &Judged,
        settled: &Settled,
        outcomes: &mut Outcomes,
    ) {
        for (passage, outcome) in judged.passages.iter().zip(&settled.scans) {
            outcomes.insert(passage.id.clone(), *outcome);
            let (counted, conflict) = *outcome;
            if passage.stored.is_some_and(|stored| stored != *outcome) {
                self.scans.push(vec![
                    Arg::from(&passage.id),
                    Arg::from(counted),
                    Arg::from(conflict.map(Conflict::as_str)),
                ]);
            }
            let (was_counted, was_odd) = passage.stored.unwrap_or((false, None));
            let data = || {
                let data = json!({
                    "checkInId": passage.id,
                    "ticketId": judged.ticket.id,
                    "number": judged.ticket.number,
                    "eventId": facts.event.id,
                    "direction": passage.admitted.direction.as_str(),
                    "effectiveAt": Timestamp(passage.admitted.effective_at),
                    "conflict": conflict.map(Conflict::as_str),
                });
                data.to_string()
            };
            if counted && !was_counted && passage.admitted.direction == Direction::In {
                self.news.push(("ticket.checked_in", data()));
            }
            if conflict.is_some() && conflict != was_odd {
                self.news.push(("ticket.conflict", data()));
            }
        }
    }

    async fn write(self, room: &Ticketing, tx: &mut Tx, org: &str) -> Result<(), Problem> {
        bulk::update(tx, room.store.marks(), &SCAN, self.scans).await?;
        let news = self.news.into_iter();
        let news: Vec<_> = news.map(|(kind, data)| (org, kind, data)).collect();
        outbox::tell_all(&room.store, tx, &news).await
    }
}

/// Who passed last with a ticket, by its id.
const PASSED: Update = Update {
    table: "tk_tickets",
    columns: &["id", "used_at", "inside", "changed", "updated_at"],
    set: "used_at = new.used_at, inside = new.inside, changed = new.changed,
        updated_at = new.updated_at",
};

async fn write_tickets(
    room: &Ticketing,
    tx: &mut Tx,
    event_id: &str,
    rows: Vec<(&mut Judged, Outcome)>,
    now: i64,
) -> Result<(), Problem> {
    let (mut steps, mut plain) = (Vec::new(), Vec::new());
    for (judged, outcome) in rows {
        match outcome.step {
            Some(step) => steps.push((judged, outcome, step)),
            None => plain.push((judged, outcome)),
        }
    }
    plain.retain(|(judged, outcome)| {
        (judged.ticket.used_at, judged.ticket.inside) != (outcome.used_at, outcome.inside)
    });
    if !plain.is_empty() {
        let changed = sequence::next(tx, event_id).await?;
        let mut rows = Vec::with_capacity(plain.len());
        for (judged, outcome) in plain {
            judged.ticket.used_at = outcome.used_at;
            judged.ticket.inside = outcome.inside;
            rows.push(vec![
                Arg::from(&judged.ticket.id),
                Arg::from(outcome.used_at),
                Arg::from(outcome.inside),
                Arg::from(changed),
                Arg::from(now),
            ]);
        }
        bulk::update(tx, room.store.marks(), &PASSED, rows).await?;
    }
    let holders: BTreeSet<&String> = steps
        .iter()
        .map(|(judged, ..)| &judged.ticket.holder_person)
        .collect();
    let holders: Vec<String> = holders.into_iter().cloned().collect();
    let holders = room.vault.load_in(tx, &holders).await?;
    for kind in [Transition::Used, Transition::Undone] {
        let mut these = Vec::new();
        for (judged, outcome, step) in &mut steps {
            if *step != kind {
                continue;
            }
            let holder = holders
                .get(&judged.ticket.holder_person)
                .ok_or_else(|| Problem::internal("a ticket's holder is no person"))?;
            these.push(Advance {
                ticket: &mut judged.ticket,
                holder,
                used_at: outcome.used_at,
                inside: outcome.inside,
            });
        }
        if !these.is_empty() {
            tickets::advance(room, tx, these, kind, now).await?;
        }
    }
    Ok(())
}
