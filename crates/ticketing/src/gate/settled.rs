//! One ticket while scans of it are judged: its row, its passages so far, what happened to it.

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::Row;
use uuid::Uuid;

use crate::model::offline::First;
use crate::model::scan::{Direction, Known};
use crate::model::settle::{Admitted, Conflict, Happened, Settled, settle};
use crate::model::ticket_status::{TicketStatus, Transition};
use crate::tickets::Ticket;

/// Columns of `tk_check_ins` that [`Passage::read`] wants.
pub(super) const PASSAGE_COLUMNS: &str = "id, ticket_id, nonce, gate, device_id, direction,
    generation, online, effective_at, recorded_at, counted, conflict";

/// An admitted scan of a ticket.
#[derive(Debug, Clone)]
pub(super) struct Passage {
    /// The check-in.
    pub id: String,
    /// What settling needs.
    pub admitted: Admitted,
    /// Which gate.
    pub gate: Option<String>,
    /// Which scanner.
    pub device_id: String,
    /// As stored; `None` for one that is not stored yet.
    pub stored: Option<(bool, Option<Conflict>)>,
}

impl Passage {
    pub(super) fn read(row: &Row) -> Result<Self, Problem> {
        let broken = || Problem::internal("a row of check-ins");
        let nonce: String = row.get("nonce")?;
        let direction: String = row.get("direction")?;
        let generation: Option<i64> = row.get("generation")?;
        let conflict: Option<String> = row.get("conflict")?;
        Ok(Self {
            id: row.get("id")?,
            admitted: Admitted {
                nonce: Uuid::try_parse(&nonce).map_err(|_| broken())?,
                effective_at: row.get("effective_at")?,
                recorded_at: row.get("recorded_at")?,
                direction: Direction::from_word(&direction).ok_or_else(broken)?,
                generation: generation
                    .map(u16::try_from)
                    .transpose()
                    .map_err(|_| broken())?,
                online: row.get("online")?,
            },
            gate: row.get("gate")?,
            device_id: row.get("device_id")?,
            stored: Some((
                row.get("counted")?,
                conflict.as_deref().and_then(Conflict::from_word),
            )),
        })
    }

    fn first(&self) -> First {
        First {
            at: Timestamp(self.admitted.effective_at),
            gate: self.gate.clone(),
            device_id: Some(self.device_id.clone()),
        }
    }
}

/// A ticket under judgement.
#[derive(Debug)]
pub(super) struct Judged {
    /// Its row.
    pub ticket: Ticket,
    /// All its admitted scans that were not undone.
    pub passages: Vec<Passage>,
    /// What happened to it, in order.
    pub history: Vec<Happened>,
    /// A passage was added or undone.
    pub touched: bool,
    /// The passage that was undone was an entry that counted, in no conflict.
    pub entry_undone: bool,
}

/// What a ticket's row must say after settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// A step to be taken.
    pub step: Option<Transition>,
    /// First counted way in.
    pub used_at: Option<i64>,
    /// The last counted passage was inwards.
    pub inside: bool,
}

impl Judged {
    pub(super) fn new(ticket: Ticket) -> Self {
        Self {
            ticket,
            passages: Vec::new(),
            history: Vec::new(),
            touched: false,
            entry_undone: false,
        }
    }

    /// It had an entry that counts and is in no conflict, before it is settled anew.
    pub(super) fn had_come(&self) -> bool {
        let stored = |passage: &&Passage| passage.stored == Some((true, None));
        let mut entries = self.passages.iter().filter(stored);
        self.entry_undone || entries.any(|p| p.admitted.direction == Direction::In)
    }

    /// The same after it.
    pub(super) fn has_come(&self, settled: &Settled) -> bool {
        let passages = self.passages.iter().zip(&settled.scans);
        let mut entries = passages.filter(|(_, outcome)| **outcome == (true, None));
        entries.any(|(p, _)| p.admitted.direction == Direction::In)
    }

    pub(super) fn settle(&self, reentry: bool) -> Settled {
        let scans: Vec<Admitted> = self.passages.iter().map(|p| p.admitted).collect();
        settle(reentry, &self.history, &scans)
    }

    /// What the rule of the gate wants to know of it.
    pub(super) fn known(&self, settled: &Settled) -> Known {
        Known {
            status: self.ticket.status,
            generation: self.ticket.generation,
            entered: settled.entry.is_some() || self.ticket.status == TicketStatus::Used,
            inside: settled.inside,
        }
    }

    /// Who came in first.
    pub(super) fn first(&self, settled: &Settled) -> Option<First> {
        settled.entry.map(|index| self.passages[index].first())
    }

    /// What the row must say; the status moves only between `valid` and `used`.
    pub(super) fn outcome(&self, reentry: bool, settled: &Settled) -> Outcome {
        let entry = settled.entry.map(|index| &self.passages[index].admitted);
        let step = match (reentry, self.ticket.status, entry) {
            (false, TicketStatus::Valid, Some(_)) => Some(Transition::Used),
            (_, TicketStatus::Used, None) => Some(Transition::Undone),
            _ => None,
        };
        Outcome {
            step,
            used_at: entry.map(|entry| entry.effective_at),
            inside: settled.inside,
        }
    }
}

/// What happened to a ticket, from its leaves.
pub(super) fn happened(row: &Row) -> Result<(String, Happened), Problem> {
    let kind: String = row.get("kind")?;
    let generation: i64 = row.get("generation")?;
    let event = Happened {
        at: row.get("at")?,
        transition: Transition::from_word(&kind)
            .ok_or_else(|| Problem::internal("kind of a leaf"))?,
        generation: u16::try_from(generation).map_err(Problem::internal)?,
    };
    Ok((row.get("ticket_id")?, event))
}
