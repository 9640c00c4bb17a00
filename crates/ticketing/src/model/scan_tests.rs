//! The rule of the gate, reason by reason.

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
