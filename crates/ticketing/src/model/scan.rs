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
mod tests {
    use super::super::token::TicketKey;
    use super::*;

    const RULES: Rules = Rules {
        event: EventState::Open,
        reentry: false,
        trust_signature: false,
    };
    const ENTRY: Entry = Entry {
        from: 100,
        until: 200,
        areas: Some(0b0101),
    };
    const FRESH: Known = Known {
        status: TicketStatus::Valid,
        generation: 2,
        entered: false,
        inside: false,
    };
    const COMES: Passage = Passage {
        generation: Some(2),
        at: 150,
        area: Some(2),
        direction: Direction::In,
    };

    fn asked(known: Known, passage: Passage) -> Reason {
        judge(&RULES, Some(&known), Some(&ENTRY), &passage)
    }

    /// The order of D3: each case has its own reason and every later one too.
    #[test]
    fn the_first_reason_that_fits_answers() {
        let event = |state| Rules {
            event: state,
            ..RULES
        };
        let late = Passage {
            at: 200,
            area: Some(1),
            generation: Some(1),
            ..COMES
        };
        let early = Passage { at: 99, ..late };
        let dead = Known {
            status: TicketStatus::Cancelled,
            entered: true,
            ..FRESH
        };
        let cancelled = event(EventState::Cancelled);
        assert_eq!(judge(&cancelled, None, None, &late), Reason::UnknownTicket);
        assert_eq!(
            judge(&cancelled, Some(&dead), None, &late),
            Reason::EventCancelled
        );
        let postponed = event(EventState::Postponed);
        assert_eq!(
            judge(&postponed, Some(&dead), None, &late),
            Reason::EventPostponed
        );
        assert_eq!(asked(dead, late), Reason::Cancelled);
        let refunded = Known {
            status: TicketStatus::Refunded,
            ..dead
        };
        assert_eq!(asked(refunded, late), Reason::Refunded);
        let suspended = Known {
            status: TicketStatus::Suspended,
            ..dead
        };
        assert_eq!(asked(suspended, late), Reason::Suspended);
        let used = Known {
            status: TicketStatus::Used,
            ..dead
        };
        assert_eq!(asked(used, late), Reason::Revoked);
        let current = |passage| Passage {
            generation: Some(2),
            ..passage
        };
        assert_eq!(asked(used, current(early)), Reason::NotYetValid);
        assert_eq!(asked(used, current(late)), Reason::NoLongerValid);
        let there = Passage {
            area: Some(1),
            ..COMES
        };
        assert_eq!(asked(used, there), Reason::WrongArea);
        assert_eq!(asked(used, COMES), Reason::AlreadyUsed);
        assert_eq!(asked(FRESH, COMES), Reason::Ok);
    }

    #[test]
    fn the_entry_window_is_half_open_and_no_area_is_not_checked() {
        for (at, reason) in [
            (99, Reason::NotYetValid),
            (100, Reason::Ok),
            (199, Reason::Ok),
            (200, Reason::NoLongerValid),
        ] {
            assert_eq!(
                asked(
                    FRESH,
                    Passage {
                        at,
                        area: None,
                        ..COMES
                    }
                ),
                reason
            );
        }
        for (area, reason) in [
            (0, Reason::Ok),
            (1, Reason::WrongArea),
            (15, Reason::WrongArea),
            (200, Reason::WrongArea),
        ] {
            assert_eq!(
                asked(
                    FRESH,
                    Passage {
                        area: Some(area),
                        ..COMES
                    }
                ),
                reason
            );
        }
        let everywhere = Entry {
            areas: None,
            ..ENTRY
        };
        let passage = Passage {
            area: Some(9),
            ..COMES
        };
        assert_eq!(
            judge(&RULES, Some(&FRESH), Some(&everywhere), &passage),
            Reason::Ok
        );
    }

    #[test]
    fn with_reentry_in_and_out_alternate() {
        let rules = Rules {
            reentry: true,
            ..RULES
        };
        let ask = |inside, direction| {
            let known = Known {
                entered: true,
                inside,
                ..FRESH
            };
            judge(
                &rules,
                Some(&known),
                Some(&ENTRY),
                &Passage { direction, ..COMES },
            )
        };
        assert_eq!(ask(false, Direction::In), Reason::Ok);
        assert_eq!(ask(true, Direction::In), Reason::AlreadyInside);
        assert_eq!(ask(true, Direction::Out), Reason::Ok);
        assert_eq!(ask(false, Direction::Out), Reason::NotInside);
    }

    /// Row 55: sold after the bundle, scanned offline.
    #[test]
    fn row_55_a_signed_ticket_outside_the_snapshot_is_admitted() {
        let offline = Rules {
            trust_signature: true,
            ..RULES
        };
        assert_eq!(judge(&offline, None, Some(&ENTRY), &COMES), Reason::Ok);
        assert_eq!(judge(&offline, None, None, &COMES), Reason::Ok);
        let early = Passage { at: 1, ..COMES };
        assert_eq!(
            judge(&offline, None, Some(&ENTRY), &early),
            Reason::NotYetValid
        );
        let leaves = Passage {
            direction: Direction::Out,
            ..COMES
        };
        assert_eq!(
            judge(&offline, None, Some(&ENTRY), &leaves),
            Reason::NotInside
        );
        assert_eq!(
            judge(&RULES, None, Some(&ENTRY), &COMES),
            Reason::UnknownTicket
        );
    }

    /// A generation above the known one is a transfer that the snapshot does not know.
    #[test]
    fn only_older_generations_are_revoked() {
        let shown = |generation| Passage {
            generation,
            ..COMES
        };
        assert_eq!(asked(FRESH, shown(Some(1))), Reason::Revoked);
        assert_eq!(asked(FRESH, shown(Some(3))), Reason::Ok);
        assert_eq!(asked(FRESH, shown(None)), Reason::Ok);
    }

    /// Row 52: another event's key, and a signature that does not fit.
    #[test]
    fn row_52_keys_tell_the_event() {
        let (ours, theirs) = (
            TicketKey::from_seed(&[1; 32]),
            TicketKey::from_seed(&[2; 32]),
        );
        let claims = Claims {
            ticket_id: uuid::Uuid::from_u128(7),
            generation: 1,
            type_no: 1,
        };
        let find = |id| match id {
            id if id == ours.id() => Key::Ours(ours.public()),
            id if id == theirs.id() => Key::Elsewhere,
            _ => Key::Unknown,
        };
        assert_eq!(read(&ours.token(&claims), find), Ok(claims));
        assert_eq!(read(&theirs.token(&claims), find), Err(Reason::WrongEvent));
        let stranger = TicketKey::from_seed(&[3; 32]);
        assert_eq!(
            read(&stranger.token(&claims), find),
            Err(Reason::BadSignature)
        );
        assert_eq!(read("hello", find), Err(Reason::Malformed));
        let disabled = |_| Key::Unknown;
        assert_eq!(
            read(&ours.token(&claims), disabled),
            Err(Reason::BadSignature)
        );
        for reason in Reason::ALL {
            assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
        }
    }
}
