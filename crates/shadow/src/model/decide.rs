//! Decisions: which debits count (contract A4). Pure; the same functions run live, at deadlines
//! and in the tests against a naive model.
//!
//! **The rule.** Credits always count. A debit fits at its key if the running balance stays at
//! or above the floor at its own position and at every later one, counting all credits, what
//! counts before it, and the *final* debits after it. Open debits are decided in key order.
//!
//! **Why not from scratch each time.** A decision looks only at what stands before it and at
//! decided history behind it. So an append changes nobody else; a debit that leaves every later
//! position above the floor changes nobody else; only otherwise are the open debits behind the
//! change decided again, in one pass.

use super::away::Step;
use super::book::{Book, Change, Overflow, Place, Policy, Slot, Verdict};
use super::event::{Event, Key, Reason, State};

/// Facts about an event beside its content.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When it is recorded, microseconds.
    pub recorded_at: i64,
    /// The log record that brings it.
    pub log_seq: i64,
}

/// Puts events of one book in and decides; the events' own outcome stands in their slots,
/// changes of older events are returned. `arrivals` come in the order of the log.
///
/// # Errors
/// [`Overflow`]; the book must be thrown away then.
pub fn take(book: &mut Book, arrivals: &[(&Event, Arrival)]) -> Result<Vec<Change>, Overflow> {
    match book.rules.policy {
        Policy::Arrival => take_at_once(book, arrivals),
        Policy::Watermark | Policy::Derived => take_open(book, arrivals),
    }
}

fn slot_of(book: &Book, event: &Event, arrival: Arrival) -> Slot {
    let credit = event.signed() > 0;
    let deadline = match (credit, book.rules.policy) {
        (false, Policy::Watermark) => {
            Some(arrival.recorded_at.saturating_add(book.rules.grace_micros))
        }
        _ => None,
    };
    Slot {
        key: event.key(),
        signed: event.signed(),
        state: if credit { State::Applied } else { State::Held },
        is_final: credit || book.rules.policy == Policy::Arrival,
        reason: None,
        deadline,
        correction: false,
        log_seq: arrival.log_seq,
    }
}

fn take_at_once(book: &mut Book, arrivals: &[(&Event, Arrival)]) -> Result<Vec<Change>, Overflow> {
    for (event, arrival) in arrivals {
        let mut slot = slot_of(book, event, *arrival);
        if slot.state != State::Applied {
            slot.state = State::Rejected;
        }
        let key = slot.key.clone();
        let place = book.insert(slot)?;
        if book.at(place).signed < 0 {
            let verdict = book.judge(place, true);
            let state = match verdict.refused {
                None => State::Applied,
                Some(_) => State::Rejected,
            };
            book.set(place, state, true, verdict.refused);
        }
        debug_assert!(book.slot(&key).is_some_and(|slot| slot.is_final));
    }
    Ok(Vec::new())
}

fn take_open(book: &mut Book, arrivals: &[(&Event, Arrival)]) -> Result<Vec<Change>, Overflow> {
    let mut late_credit = false;
    let mut debits = Vec::new();
    let held_before = book.held_open();
    let first_held = match held_before {
        0 => None,
        _ => book.first_held(),
    };
    for (event, arrival) in arrivals {
        let slot = slot_of(book, event, *arrival);
        match slot.signed > 0 {
            true => {
                late_credit |= !book.is_append(&slot.key);
                book.insert(slot)?;
            }
            false => debits.push(slot),
        }
    }
    debits.sort_by(|a, b| a.key.cmp(&b.key));
    let only_appends = debits.first().is_none_or(|slot| book.is_append(&slot.key));
    let new: Vec<Key> = debits.iter().map(|slot| slot.key.clone()).collect();
    if held_before > 0 && (late_credit || !only_appends) {
        for slot in debits {
            book.insert(slot)?;
        }
        let from = new.first().into_iter().chain(first_held.as_ref()).min();
        let changes = from.map_or_else(Vec::new, |from| decide_from(book, from));
        return Ok(without(changes, &new));
    }
    let mut changes = Vec::new();
    for slot in debits {
        let place = book.insert(slot)?;
        changes.extend(decide_one(book, place));
    }
    Ok(without(changes, &new))
}

/// The outcome of new events is told by their slots, not as a change.
fn without(changes: Vec<Change>, new: &[Key]) -> Vec<Change> {
    if changes.is_empty() {
        return changes;
    }
    let older = |change: &Change| new.binary_search(&change.key).is_err();
    changes.into_iter().filter(older).collect()
}

/// Decides one open debit that stands in the book and does not count yet, with nobody else held.
fn decide_one(book: &mut Book, place: Place) -> Vec<Change> {
    let verdict = book.judge(place, false);
    if verdict.refused.is_some() {
        book.set(place, State::Held, false, verdict.refused);
        return Vec::new();
    }
    book.set(place, State::Applied, false, None);
    match book.holds_from(place) && book.held_open() == 0 {
        true => Vec::new(),
        false => {
            let from = book.at(place).key.clone();
            decide_from(book, &from)
        }
    }
}

/// Decides all open debits from a key on, in key order, in one pass.
pub fn decide_from(book: &mut Book, from: &Key) -> Vec<Change> {
    let steps = book.steps_from(from);
    let mut running = book.before_key(from);
    let mut runs: Vec<i128> = Vec::with_capacity(steps.len());
    let mut lows: Vec<i128> = Vec::with_capacity(steps.len());
    for step in &steps {
        let low = match step {
            Step::Slot(place) => {
                running += book.settled_at(*place);
                running
            }
            Step::Run(sums) => {
                let low = running + sums.low;
                running += sums.sum;
                low
            }
        };
        runs.push(running);
        lows.push(low);
    }
    // From the end: the lowest decided balance at or behind each position.
    for at in (1..lows.len()).rev() {
        lows[at - 1] = lows[at - 1].min(lows[at]);
    }
    let mut spent = 0;
    let mut changes = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        // What is away is final.
        let Step::Slot(place) = step else { continue };
        let slot = book.at(*place);
        if slot.is_final {
            continue;
        }
        let (own, low) = (
            runs[at] + spent + slot.signed,
            lows[at] + spent + slot.signed,
        );
        let verdict = against(book.rules.floor, own, low);
        let state = match verdict.refused {
            None => State::Applied,
            Some(_) => State::Held,
        };
        if state == State::Applied {
            spent += slot.signed;
        }
        if (state, verdict.refused) != (slot.state, slot.reason) {
            let change = Change {
                key: slot.key.clone(),
                from: slot.state,
                to: state,
                is_final: false,
                reason: verdict.refused.unwrap_or(Reason::Fits),
                running: verdict.running,
            };
            book.set(*place, state, false, verdict.refused);
            changes.push(change);
        }
    }
    changes
}

fn against(floor: Option<i128>, own: i128, low: i128) -> Verdict {
    let (refused, running) = match floor {
        Some(floor) if own < floor => (Some(Reason::Insufficient), own),
        Some(floor) if low < floor => (Some(Reason::BreaksHistory), low),
        _ => (None, own),
    };
    Verdict { refused, running }
}

/// Makes final what is due at `now` (microseconds), in the order of deadlines.
pub fn expire(book: &mut Book, now: i64) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in book.due(now) {
        let Some(place) = book.find(&key) else {
            continue;
        };
        let running = book.before(place) + book.at(place).signed;
        let slot = book.at(place);
        let (from, reason) = (slot.state, slot.reason);
        let to = match (from, reason) {
            (State::Held, Some(Reason::BreaksHistory)) => State::HeldForReview,
            (State::Held, _) => State::Rejected,
            (state, _) => state,
        };
        book.set(place, to, true, reason);
        changes.push(Change {
            key,
            from,
            to,
            is_final: true,
            reason: reason.unwrap_or(Reason::Deadline),
            running,
        });
    }
    changes
}

/// Puts a correction in: final at once, and a debit only if it fits against everything that
/// counts now, open entries included. Answers the changes of open debits.
///
/// # Errors
/// The verdict that refused it; the book is unchanged then.
pub fn correct(book: &mut Book, slot: Slot) -> Result<Vec<Change>, CorrectionRefused> {
    let key = slot.key.clone();
    let debit = slot.signed < 0;
    let slot = Slot {
        state: State::Applied,
        is_final: true,
        reason: None,
        deadline: None,
        ..slot
    };
    let undecided = Slot {
        state: State::Rejected,
        ..slot.clone()
    };
    let place = book
        .insert(if debit { undecided } else { slot })
        .map_err(|Overflow| CorrectionRefused::Overflow)?;
    if debit {
        let verdict = book.judge(place, true);
        if verdict.refused.is_some() {
            book.remove(&key);
            return Err(CorrectionRefused::DoesNotFit(verdict));
        }
        book.set(place, State::Applied, true, None);
    }
    Ok(decide_again(book))
}

/// Why a correction cannot be an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionRefused {
    /// The floor would be broken (409 `would_go_negative`).
    #[error("the balance would fall below the floor")]
    DoesNotFit(Verdict),
    /// Sums beyond 128 bits (409 `overflow`).
    #[error("the book's sums would leave 128 bits")]
    Overflow,
}

/// How a rejected or reviewed debit would fare now, everything counted; `None` if there is no
/// such event.
pub fn would_fit(book: &Book, key: &Key) -> Option<Verdict> {
    let place = book.find(key)?;
    match book.at(place).state {
        State::Applied => None,
        _ => Some(book.judge(place, true)),
    }
}

/// Applies a rejected or reviewed debit for good.
///
/// # Errors
/// The verdict, if it does not fit; nothing changed then.
pub fn redrive(book: &mut Book, key: &Key) -> Result<Vec<Change>, Verdict> {
    let nothing = Verdict {
        refused: None,
        running: 0,
    };
    let place = book.find(key).ok_or(nothing)?;
    let verdict = book.judge(place, true);
    if verdict.refused.is_some() {
        return Err(verdict);
    }
    let from = book.at(place).state;
    book.set(place, State::Applied, true, None);
    let mut changes = vec![Change {
        key: key.clone(),
        from,
        to: State::Applied,
        is_final: true,
        reason: Reason::Redrive,
        running: verdict.running,
    }];
    changes.extend(decide_again(book));
    Ok(changes)
}

/// Refuses a reviewed or held debit for good.
pub fn reject(book: &mut Book, key: &Key) -> Option<Change> {
    let place = book.find(key)?;
    let from = book.at(place).state;
    let running = book.before(place) + book.at(place).signed;
    book.set(place, State::Rejected, true, Some(Reason::Reject));
    Some(Change {
        key: key.clone(),
        from,
        to: State::Rejected,
        is_final: true,
        reason: Reason::Reject,
        running,
    })
}

/// Decides the held debits, and what stands behind them, again after the floor fell or decided
/// history changed; with nobody held nobody can flip.
pub fn decide_again(book: &mut Book) -> Vec<Change> {
    match book.first_held() {
        Some(first) => decide_from(book, &first),
        None => Vec::new(),
    }
}
