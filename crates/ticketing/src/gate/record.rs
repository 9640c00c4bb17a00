//! Judges scans and writes them down, in one transaction of the event.

use std::collections::{BTreeMap, BTreeSet};

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx, query};
use serde_json::json;

use super::scan::{Answer, AnswerTicket, Code, Prepared, Scan};
use super::settled::{Judged, Outcome, PASSAGE_COLUMNS, Passage, happened};
use super::{Facts, sequence};
use crate::analytics::counts::EntryMoves;
use crate::model::offline::First;
use crate::model::scan::{self, Direction, EventState, Passage as Asked, Reason, Rules};
use crate::model::settle::{Admitted, Conflict, Settled, effective_at};
use crate::model::ticket_status::Transition;
use crate::store::bulk::{self, Marks};
use crate::tickets::{self, Advance, transfer};
use crate::{Ticketing, outbox};

pub const CHUNK: usize = 200; // scans in one transaction
/// How scans came.
#[derive(Debug, Clone)]
pub struct Delivery<'a> {
    /// Whose gate.
    pub event_id: &'a str,
    /// The scanner's clock when it sent them, in microseconds; `None` for a scan at this moment.
    pub device_now: Option<i64>,
    /// The scanner judged them itself, and people have passed.
    pub offline: bool,
    /// Who sent them.
    pub actor: &'a str,
}

/// Judges and records scans in order, [`CHUNK`] of them in a transaction.
///
/// # Errors
/// 404 `event_not_found`, the store's. What was committed before an error stays; the same scans
/// again are answered as they were.
pub async fn record(
    room: &Ticketing,
    delivery: &Delivery<'_>,
    scans: &[Prepared],
) -> Result<Vec<Answer>, Problem> {
    let mut answers = Vec::with_capacity(scans.len());
    for some in scans.chunks(CHUNK) {
        let mut tx = room.store.begin_event(delivery.event_id).await?;
        let mut desk = Desk::open(room, &mut tx, delivery, some).await?;
        for prepared in some {
            desk.judge(prepared);
        }
        let done = desk.close(&mut tx).await?;
        tx.commit().await?;
        answers.extend(done);
    }
    room.told.notify_one();
    Ok(answers)
}

/// A scan that was judged and is still to be written.
struct Verdict {
    id: String,
    scan: Scan,
    generation: Option<u16>,
    effective_at: i64,
    ticket: Option<String>,
    reason: Reason,
    first: Option<First>,
}

/// An answer in the order of the scans.
enum Reply {
    /// That of the same nonce before.
    Before(Box<Answer>),
    /// Of the verdict with this index.
    Now(usize),
}

struct Desk<'a> {
    room: &'a Ticketing,
    delivery: &'a Delivery<'a>,
    facts: Facts,
    now: i64,
    before: BTreeMap<String, Answer>,
    tickets: BTreeMap<String, Judged>,
    numbers: BTreeMap<String, String>,
    verdicts: Vec<Verdict>,
    replies: Vec<Reply>,
    nonces: BTreeMap<String, usize>,
    /// Fresh ids, rising: lists by id show scans in the order in which they came.
    ids: std::vec::IntoIter<String>,
}

impl<'a> Desk<'a> {
    async fn open(
        room: &'a Ticketing,
        tx: &mut Tx,
        delivery: &'a Delivery<'a>,
        scans: &[Prepared],
    ) -> Result<Self, Problem> {
        let marks = Marks::of(room.store.db.is_shared());
        let mut ids: Vec<String> = scans.iter().map(|_| room.store.id()).collect();
        ids.sort_unstable();
        let mut desk = Self {
            ids: ids.into_iter(),
            room,
            delivery,
            facts: Facts::load_in(tx, delivery.event_id).await?,
            now: room.now(),
            before: BTreeMap::new(),
            tickets: BTreeMap::new(),
            numbers: BTreeMap::new(),
            verdicts: Vec::with_capacity(scans.len()),
            replies: Vec::with_capacity(scans.len()),
            nonces: BTreeMap::new(),
        };
        let nonces = scans.iter().map(|p| Arg::from(p.scan.nonce.to_string()));
        let sql = "SELECT nonce, answer FROM tk_check_ins WHERE event_id || '' = $1 AND nonce IN";
        let first = [Arg::from(delivery.event_id)];
        for row in bulk::select(tx, marks, sql, "", &first, nonces.collect()).await? {
            let answer: String = row.get("answer")?;
            let answer = serde_json::from_str(&answer).map_err(Problem::internal)?;
            desk.before.insert(row.get("nonce")?, answer);
        }
        let (mut ids, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for prepared in scans {
            match (&prepared.claims, &prepared.scan.code) {
                (Ok(Some(claims)), _) => drop(ids.insert(claims.ticket_id.to_string())),
                (Ok(None), Code::Id(id)) => drop(ids.insert(id.clone())),
                (Ok(None), Code::Number(number)) => drop(numbers.insert(number.clone())),
                _ => {}
            }
        }
        let (ids, numbers) = (Vec::from_iter(ids), Vec::from_iter(numbers));
        let mut found = tickets::by_ids_in(tx, marks, &ids).await?;
        found.extend(tickets::by_number(tx, marks, &numbers).await?);
        for ticket in found {
            if ticket.event_id == delivery.event_id {
                desk.numbers
                    .insert(ticket.number.clone(), ticket.id.clone());
                desk.tickets.insert(ticket.id.clone(), Judged::new(ticket));
            }
        }
        load_past(tx, marks, &mut desk.tickets).await?;
        Ok(desk)
    }

    fn judge(&mut self, prepared: &Prepared) {
        let scan = &prepared.scan;
        let nonce = scan.nonce.to_string();
        if let Some(answer) = self.before.get(&nonce) {
            self.replies.push(Reply::Before(Box::new(answer.clone())));
            return;
        }
        if let Some(index) = self.nonces.get(&nonce) {
            self.replies.push(Reply::Now(*index));
            return;
        }
        let ticket = match (&prepared.claims, &scan.code) {
            (Ok(Some(claims)), _) => Some(claims.ticket_id.to_string()),
            (Ok(None), Code::Id(id)) => Some(id.clone()),
            (Ok(None), Code::Number(number)) => self.numbers.get(number).cloned(),
            _ => None,
        };
        let mut verdict = Verdict {
            id: self.ids.next().unwrap_or_else(|| self.room.store.id()),
            scan: scan.clone(),
            generation: prepared
                .claims
                .ok()
                .flatten()
                .map(|claims| claims.generation),
            effective_at: match self.delivery.device_now {
                Some(device_now) => effective_at(scan.scanned_at, device_now, self.now),
                None => self.now,
            },
            ticket: ticket.filter(|id| self.tickets.contains_key(id)),
            reason: Reason::Ok,
            first: None,
        };
        (verdict.reason, verdict.first) = match prepared.claims {
            Err(reason) => (reason, None),
            Ok(_) => self.decide(&verdict),
        };
        if verdict.reason.is_admitted()
            && let Some(judged) = verdict
                .ticket
                .as_ref()
                .and_then(|id| self.tickets.get_mut(id))
        {
            judged.touched = true;
            judged.passages.push(Passage {
                id: verdict.id.clone(),
                admitted: Admitted {
                    nonce: scan.nonce,
                    effective_at: verdict.effective_at,
                    recorded_at: self.now,
                    direction: scan.direction,
                    generation: verdict.generation,
                    online: !self.delivery.offline,
                },
                gate: scan.gate.clone(),
                device_id: scan.device_id.clone(),
                stored: None,
            });
        }
        self.nonces.insert(nonce, self.verdicts.len());
        self.replies.push(Reply::Now(self.verdicts.len()));
        self.verdicts.push(verdict);
    }

    /// Yes, or the first reason for no. What a scanner without network let pass has passed: only
    /// what makes it no ticket of this gate is asked then, and the rest is settled afterwards.
    fn decide(&self, verdict: &Verdict) -> (Reason, Option<First>) {
        let scan = &verdict.scan;
        let Some(judged) = verdict.ticket.as_ref().and_then(|id| self.tickets.get(id)) else {
            return (Reason::UnknownTicket, None);
        };
        let entry = self.facts.entry(judged.ticket.type_no);
        let mut asked = Asked {
            generation: verdict.generation,
            at: verdict.effective_at,
            area: scan.area,
            direction: scan.direction,
        };
        if self.delivery.offline {
            let rules = Rules {
                event: EventState::Open,
                trust_signature: true,
                ..self.facts.rules()
            };
            asked.direction = Direction::In;
            let reason = scan
                .refused
                .unwrap_or_else(|| scan::judge(&rules, None, entry.as_ref(), &asked));
            return (reason, None);
        }
        let settled = judged.settle(self.facts.event.reentry);
        let known = judged.known(&settled);
        let reason = scan::judge(&self.facts.rules(), Some(&known), entry.as_ref(), &asked);
        let before = matches!(reason, Reason::AlreadyUsed | Reason::AlreadyInside);
        (reason, judged.first(&settled).filter(|_| before))
    }

    async fn close(mut self, tx: &mut Tx) -> Result<Vec<Answer>, Problem> {
        let settled = settle_all(self.room, tx, &self.facts, &mut self.tickets, self.now).await?;
        let mut answers = Vec::with_capacity(self.verdicts.len());
        let mut rows = Vec::with_capacity(self.verdicts.len());
        for verdict in &self.verdicts {
            let outcome = settled.get(&verdict.id);
            let (counted, conflict) = outcome.copied().unwrap_or((false, None));
            let answer = self.answer(verdict, conflict);
            rows.push(self.row(verdict, counted, conflict, &answer)?);
            answers.push(answer);
        }
        let marks = Marks::of(self.room.store.db.is_shared());
        bulk::insert(tx, marks, INSERT, "", rows).await?;
        let reply = |reply: Reply| match reply {
            Reply::Before(answer) => *answer,
            Reply::Now(index) => answers[index].clone(),
        };
        Ok(self.replies.into_iter().map(reply).collect())
    }

    fn answer(&self, verdict: &Verdict, conflict: Option<Conflict>) -> Answer {
        let judged = verdict.ticket.as_ref().and_then(|id| self.tickets.get(id));
        let ticket = judged.map(|judged| {
            let ticket = &judged.ticket;
            let kind = self.facts.types.get(&ticket.type_no);
            AnswerTicket {
                id: ticket.id.clone(),
                number: ticket.number.clone(),
                ticket_type_id: ticket.type_id.clone(),
                ticket_type: kind.map(|kind| kind.name.clone()).unwrap_or_default(),
                status: ticket.status.as_str().to_owned(),
                generation: ticket.generation,
            }
        });
        Answer {
            id: verdict.id.clone(),
            nonce: verdict.scan.nonce.to_string(),
            result: match verdict.reason.is_admitted() {
                true => "admitted".to_owned(),
                false => "denied".to_owned(),
            },
            reason: verdict.reason.as_str().to_owned(),
            ticket,
            first: verdict.first.clone(),
            conflict: conflict.map(|conflict| conflict.as_str().to_owned()),
            effective_at: Timestamp(verdict.effective_at),
        }
    }

    fn row(
        &self,
        verdict: &Verdict,
        counted: bool,
        conflict: Option<Conflict>,
        answer: &Answer,
    ) -> Result<Vec<Arg>, Problem> {
        let scan = &verdict.scan;
        Ok(vec![
            Arg::from(&verdict.id),
            Arg::from(self.delivery.event_id),
            Arg::from(verdict.ticket.clone()),
            Arg::from(scan.nonce.to_string()),
            Arg::from(&scan.device_id),
            Arg::from(scan.gate.clone()),
            Arg::from(scan.area.map(i64::from)),
            Arg::from(scan.direction.as_str()),
            Arg::from(verdict.generation.map(i64::from)),
            Arg::from(!self.delivery.offline),
            Arg::from(scan.stale_bundle),
            Arg::from(scan.scanned_at),
            Arg::from(verdict.effective_at),
            Arg::from(self.now),
            Arg::from(verdict.reason.is_admitted()),
            Arg::from(verdict.reason.as_str()),
            Arg::from(counted),
            Arg::from(conflict.map(Conflict::as_str)),
            Arg::from(serde_json::to_string(answer).map_err(Problem::internal)?),
            Arg::from(self.delivery.actor),
        ])
    }
}

const INSERT: &str = "INSERT INTO tk_check_ins
    (id, event_id, ticket_id, nonce, device_id, gate, area, direction, generation, online,
     stale_bundle, scanned_at, effective_at, recorded_at, admitted, reason, counted, conflict,
     answer, actor)";

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
    for judged in tickets.values_mut().filter(|judged| judged.touched) {
        let settled = judged.settle(reentry);
        write_scans(room, tx, facts, judged, &settled, &mut outcomes).await?;
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
    write_tickets(room, tx, &facts.event.id, rows, now).await?;
    let marks = Marks::of(room.store.db.is_shared());
    counts.write(tx, marks, &facts.event.id).await?;
    // An offer to hand a ticket on ends when somebody comes in with it (contract D5).
    transfer::withdraw(room, tx, &entered, now).await?;
    Ok(outcomes)
}

/// Writes what changed of older scans and tells of new entries and conflicts.
async fn write_scans(
    room: &Ticketing,
    tx: &mut Tx,
    facts: &Facts,
    judged: &Judged,
    settled: &Settled,
    outcomes: &mut Outcomes,
) -> Result<(), Problem> {
    for (passage, outcome) in judged.passages.iter().zip(&settled.scans) {
        outcomes.insert(passage.id.clone(), *outcome);
        let (counted, conflict) = *outcome;
        if passage.stored.is_some_and(|stored| stored != *outcome) {
            let text = "UPDATE tk_check_ins SET counted = $2, conflict = $3 WHERE id = $1";
            let statement = query(text)
                .bind(&passage.id)
                .bind(counted)
                .bind(conflict.map(Conflict::as_str));
            tx.execute(statement).await?;
        }
        let (was_counted, was_odd) = passage.stored.unwrap_or((false, None));
        let data = json!({
            "checkInId": passage.id,
            "ticketId": judged.ticket.id,
            "number": judged.ticket.number,
            "eventId": facts.event.id,
            "direction": passage.admitted.direction.as_str(),
            "effectiveAt": Timestamp(passage.admitted.effective_at),
            "conflict": conflict.map(Conflict::as_str),
        });
        let org = &facts.event.org_id;
        if counted && !was_counted && passage.admitted.direction == Direction::In {
            outbox::tell(&room.store, tx, org, "ticket.checked_in", &data).await?;
        }
        if conflict.is_some() && conflict != was_odd {
            outbox::tell(&room.store, tx, org, "ticket.conflict", &data).await?;
        }
    }
    Ok(())
}

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
        for (judged, outcome) in plain {
            judged.ticket.used_at = outcome.used_at;
            judged.ticket.inside = outcome.inside;
            let text = "UPDATE tk_tickets SET used_at = $2, inside = $3, changed = $4,
                updated_at = $5 WHERE id = $1";
            let statement = query(text)
                .bind(&judged.ticket.id)
                .bind(outcome.used_at)
                .bind(outcome.inside)
                .bind(changed)
                .bind(now);
            tx.execute(statement).await?;
        }
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
            let holder = holders.get(&judged.ticket.holder_person);
            let holder =
                holder.ok_or_else(|| Problem::internal("a ticket's holder is no person"))?;
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
