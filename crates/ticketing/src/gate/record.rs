//! Judges scans and writes them down, in one transaction of the event.

use std::collections::{BTreeMap, BTreeSet};

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx};

use super::Facts;
use super::scan::{Answer, AnswerTicket, Code, Prepared, Scan};
use super::settle::{load_past, settle_all};
use super::settled::{Judged, Passage};
use crate::Ticketing;
use crate::model::offline::First;
use crate::model::scan::{self, Direction, EventState, Passage as Asked, Reason, Rules};
use crate::model::settle::{Admitted, Conflict, effective_at};
use crate::store::bulk::{self, Marks};
use crate::tickets;

/// Scans that are judged in one transaction.
pub const CHUNK: usize = 200;

/// How scans came.
#[derive(Debug, Clone)]
pub struct Delivery<'a> {
    /// Whose gate.
    pub event_id: &'a str,
    /// The scanner's clock when it sent them, in microseconds; `None` for a scan at this moment.
    pub device_now: Option<i64>,
    /// The scanner judged them itself, and people have passed.
    pub offline: bool,
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
        // Found by the nonce: by the event all scans of a hot one would be read.
        let prefix =
            "SELECT nonce, answer FROM tk_check_ins WHERE event_id || '' = $1 AND nonce IN";
        let first = [Arg::from(delivery.event_id)];
        for row in bulk::select(tx, marks, prefix, "", &first, nonces.collect()).await? {
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
            Arg::from(&scan.actor),
        ])
    }
}

const INSERT: &str = "INSERT INTO tk_check_ins
    (id, event_id, ticket_id, nonce, device_id, gate, area, direction, generation, online,
     stale_bundle, scanned_at, effective_at, recorded_at, admitted, reason, counted, conflict,
     answer, actor)";
