//! The rule of the gate (contract D3): one pure function for the server and for a scanner
//! without network.
//!
//! What differs between them is only what they know: the server knows the ticket's row, the
//! scanner a bundle and what it has seen itself. [`read`] turns a text into verified claims,
//! [`judge`] says yes or the first reason for no.

use super::ticket_status::TicketStatus;
use super::token::{Claims, KeyId, PublicKey, Token};

/// Which way a person walks through the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Into the venue.
    In,
    /// Out of it.
    Out,
}

impl Direction {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// Reads a word of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "in" => Some(Self::In),
            "out" => Some(Self::Out),
            _ => None,
        }
    }
}

/// Why a scan was answered as it was, in the order in which they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No ticket code at all.
    Malformed,
    /// Signed with the key of another event here.
    WrongEvent,
    /// Not signed by the event.
    BadSignature,
    /// Signed, but there is no such ticket.
    UnknownTicket,
    /// The event is cancelled.
    EventCancelled,
    /// The event is postponed.
    EventPostponed,
    /// The ticket is void.
    Cancelled,
    /// The ticket was refunded.
    Refunded,
    /// A dispute is open.
    Suspended,
    /// The code belongs to an older generation.
    Revoked,
    /// Before the entry window.
    NotYetValid,
    /// After the entry window.
    NoLongerValid,
    /// The ticket type does not open this area.
    WrongArea,
    /// The ticket was used before.
    AlreadyUsed,
    /// With re-entry: the person is inside.
    AlreadyInside,
    /// The person is not inside.
    NotInside,
    /// Admitted.
    Ok,
}

impl Reason {
    /// Every reason, in the order of the contract.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::WrongEvent,
        Self::BadSignature,
        Self::UnknownTicket,
        Self::EventCancelled,
        Self::EventPostponed,
        Self::Cancelled,
        Self::Refunded,
        Self::Suspended,
        Self::Revoked,
        Self::NotYetValid,
        Self::NoLongerValid,
        Self::WrongArea,
        Self::AlreadyUsed,
        Self::AlreadyInside,
        Self::NotInside,
        Self::Ok,
    ];

    /// The code of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongEvent => "wrong_event",
            Self::BadSignature => "bad_signature",
            Self::UnknownTicket => "unknown_ticket",
            Self::EventCancelled => "event_cancelled",
            Self::EventPostponed => "event_postponed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::NotYetValid => "not_yet_valid",
            Self::NoLongerValid => "no_longer_valid",
            Self::WrongArea => "wrong_area",
            Self::AlreadyUsed => "already_used",
            Self::AlreadyInside => "already_inside",
            Self::NotInside => "not_inside",
            Self::Ok => "ok",
        }
    }

    /// Reads a code of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Whether the person may pass.
    pub const fn is_admitted(self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// What is known of a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A key of this event that is not disabled.
    Ours(PublicKey),
    /// A key of another event of this installation.
    Elsewhere,
    /// Nothing, or disabled.
    Unknown,
}

/// Reads a code and checks who signed it.
///
/// # Errors
/// [`Reason::Malformed`], [`Reason::WrongEvent`] or [`Reason::BadSignature`].
pub fn read(text: &str, find: impl FnOnce(KeyId) -> Key) -> Result<Claims, Reason> {
    let token = Token::parse(text).map_err(|_| Reason::Malformed)?;
    match find(token.key_id) {
        Key::Elsewhere => Err(Reason::WrongEvent),
        Key::Ours(key) if token.is_signed_by(&key) => Ok(token.claims),
        Key::Ours(_) | Key::Unknown => Err(Reason::BadSignature),
    }
}

/// What stands in the way for all tickets of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventState {
    /// Nothing.
    #[default]
    Open,
    /// It was cancelled.
    Cancelled,
    /// It was postponed and has no new date.
    Postponed,
}

/// Where and when tickets of a type open the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// First instant, in microseconds.
    pub from: i64,
    /// First instant after it, in microseconds.
    pub until: i64,
    /// Bit n = area n (0–15); `None` = every area.
    pub areas: Option<u16>,
}

/// What is known of the ticket itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its status.
    pub status: TicketStatus,
    /// Codes of older generations are revoked.
    pub generation: u16,
    /// It has an entry that counts.
    pub entered: bool,
    /// The last counted passage was inwards.
    pub inside: bool,
}

/// A passage that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Generation of the code; `None` when the ticket was named by id or number.
    pub generation: Option<u16>,
    /// When, in microseconds.
    pub at: i64,
    /// Which area; `None` is not checked.
    pub area: Option<u8>,
    /// Which way.
    pub direction: Direction,
}

/// What the gate goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The event's own state; a scanner without network does not know it.
    pub event: EventState,
    /// In and out alternate, and the status stays `valid`.
    pub reentry: bool,
    /// A verified code of a ticket that is not known is admitted: it was sold after the bundle
    /// was made (contract Dec25).
    pub trust_signature: bool,
}

/// Yes, or the first reason for no. `entry` is that of the ticket's type; `None` when the type
/// is newer than the bundle, and then window and area are not judged.
pub fn judge(
    rules: &Rules,
    known: Option<&Known>,
    entry: Option<&Entry>,
    passage: &Passage,
) -> Reason {
    if known.is_none() && !rules.trust_signature {
        return Reason::UnknownTicket;
    }
    match rules.event {
        EventState::Cancelled => return Reason::EventCancelled,
        EventState::Postponed => return Reason::EventPostponed,
        EventState::Open => {}
    }
    let barred = known.and_then(|known| barred(known, passage.generation));
    barred
        .or_else(|| entry.and_then(|entry| outside(entry, passage)))
        .or_else(|| known.and_then(|known| passed(rules.reentry, known, passage.direction)))
        .unwrap_or(match (known, passage.direction) {
            // Nobody has come in with a ticket that nobody has seen.
            (None, Direction::Out) => Reason::NotInside,
            _ => Reason::Ok,
        })
}

fn barred(known: &Known, generation: Option<u16>) -> Option<Reason> {
    match known.status {
        TicketStatus::Cancelled => Some(Reason::Cancelled),
        TicketStatus::Refunded => Some(Reason::Refunded),
        TicketStatus::Suspended => Some(Reason::Suspended),
        _ if generation.is_some_and(|shown| shown < known.generation) => Some(Reason::Revoked),
        _ => None,
    }
}

fn outside(entry: &Entry, passage: &Passage) -> Option<Reason> {
    let barred = |area: u8| {
        let open = |bits: u16| {
            bits.checked_shr(area.into())
                .is_some_and(|bits| bits & 1 == 1)
        };
        !entry.areas.is_none_or(open)
    };
    if passage.at < entry.from {
        Some(Reason::NotYetValid)
    } else if passage.at >= entry.until {
        Some(Reason::NoLongerValid)
    } else {
        passage
            .area
            .is_some_and(barred)
            .then_some(Reason::WrongArea)
    }
}

fn passed(reentry: bool, known: &Known, direction: Direction) -> Option<Reason> {
    match direction {
        Direction::In if !reentry => known.entered.then_some(Reason::AlreadyUsed),
        Direction::In => known.inside.then_some(Reason::AlreadyInside),
        Direction::Out => (!known.inside).then_some(Reason::NotInside),
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
