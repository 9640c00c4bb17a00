//! Which of a ticket's admitted scans is its entry (contract D4).
//!
//! Scans come in whatever order gates find a network, and from gates that knew nothing of each
//! other. The outcome is a function of the set of scans and of what happened to the ticket, never
//! of the order of arrival (INV-T13): it is computed anew from the whole set after each of them.

use uuid::Uuid;

use super::scan::Direction;
use super::ticket_status::Transition;

/// Why an admitted scan did not count, or counts with a shadow on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Conflict {
    /// Another scan was before it.
    Duplicate,
    /// The ticket was dead or suspended, or the code's generation old, before the scan.
    Revoked,
    /// The scan counts; the ticket was refunded or cancelled after it, and before it was known.
    RefundedAfterEntry,
}

impl Conflict {
    /// The code of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Revoked => "revoked",
            Self::RefundedAfterEntry => "refunded_after_entry",
        }
    }

    /// Reads a code of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Duplicate, Self::Revoked, Self::RefundedAfterEntry]
            .into_iter()
            .find(|conflict| conflict.as_str() == word)
    }
}

/// A scan by which somebody passed the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The scan's own id.
    pub nonce: Uuid,
    /// When it happened, as far as can be known, in microseconds.
    pub effective_at: i64,
    /// When it became known, in microseconds.
    pub recorded_at: i64,
    /// Which way.
    pub direction: Direction,
    /// Generation of the code; `None` when the ticket was named by id or number.
    pub generation: Option<u16>,
    /// It was judged here with full knowledge, when it happened.
    pub online: bool,
}

/// One thing that happened to the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// When, in microseconds.
    pub at: i64,
    /// What.
    pub transition: Transition,
    /// The ticket's generation from then on.
    pub generation: u16,
}

/// What the scans amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// For each scan, in the order given: whether it counts, and its conflict.
    pub scans: Vec<(bool, Option<Conflict>)>,
    /// Index of the first counted way in.
    pub entry: Option<usize>,
    /// Index of the last counted passage.
    pub last: Option<usize>,
    /// That passage was inwards.
    pub inside: bool,
}

/// Judges all admitted scans of one ticket, undone ones left out. `history` is in order of time.
///
/// Without re-entry the first way in is the entry and every further one a duplicate; ways out
/// count when somebody is inside. With re-entry ways in and out alternate.
pub fn settle(reentry: bool, history: &[Happened], scans: &[Admitted]) -> Settled {
    let mut order: Vec<usize> = (0..scans.len()).collect();
    order.sort_by_key(|index| (scans[*index].effective_at, scans[*index].nonce));
    let mut settled = Settled {
        scans: vec![(false, None); scans.len()],
        entry: None,
        last: None,
        inside: false,
    };
    for index in order {
        let scan = &scans[index];
        let refused = match scan.direction {
            Direction::In if reentry => settled.inside,
            Direction::In => settled.entry.is_some(),
            Direction::Out => !settled.inside,
        };
        settled.scans[index] = if !scan.online && was_barred(history, scan) {
            (false, Some(Conflict::Revoked))
        } else if refused {
            (false, Some(Conflict::Duplicate))
        } else {
            settled.inside = scan.direction == Direction::In;
            settled.last = Some(index);
            if settled.inside {
                settled.entry = settled.entry.or(Some(index));
            }
            let late = !scan.online && died_unseen(history, scan);
            (true, late.then_some(Conflict::RefundedAfterEntry))
        };
    }
    settled
}

/// Whether the ticket was dead or suspended, or the shown generation old, before the scan.
fn was_barred(history: &[Happened], scan: &Admitted) -> bool {
    let mut suspended = false;
    let before = history.iter().filter(|event| event.at < scan.effective_at);
    for event in before {
        match event.transition {
            Transition::Refunded | Transition::Cancelled => return true,
            Transition::Suspended => suspended = true,
            Transition::Restored => suspended = false,
            _ => {}
        }
        if scan
            .generation
            .is_some_and(|shown| shown < event.generation)
        {
            return true;
        }
    }
    suspended
}

/// Whether the ticket died between the scan and the moment it became known.
fn died_unseen(history: &[Happened], scan: &Admitted) -> bool {
    history.iter().any(|event| {
        matches!(
            event.transition,
            Transition::Refunded | Transition::Cancelled
        ) && (scan.effective_at..=scan.recorded_at).contains(&event.at)
    })
}

/// When a scan happened: the device's word, corrected by how far its clock is off, and never
/// after now (contract D4). All in microseconds.
pub fn effective_at(scanned_at: i64, device_now: i64, server_now: i64) -> i64 {
    let off = server_now.saturating_sub(device_now);
    server_now.min(scanned_at.saturating_add(off))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(nonce: u128, effective_at: i64, direction: Direction) -> Admitted {
        Admitted {
            nonce: Uuid::from_u128(nonce),
            effective_at,
            recorded_at: 1_000,
            direction,
            generation: Some(1),
            online: false,
        }
    }

    fn happened(at: i64, transition: Transition, generation: u16) -> Happened {
        Happened {
            at,
            transition,
            generation,
        }
    }

    /// Row 46.
    #[test]
    fn row_46_the_earlier_of_two_offline_entries_counts() {
        let scans = [scan(1, 20, Direction::In), scan(2, 10, Direction::In)];
        let settled = settle(false, &[], &scans);
        assert_eq!(settled.entry, Some(1));
        assert_eq!(
            settled.scans,
            [(false, Some(Conflict::Duplicate)), (true, None)]
        );
        let tie = [scan(2, 10, Direction::In), scan(1, 10, Direction::In)];
        assert_eq!(settle(false, &[], &tie).entry, Some(1), "the nonce decides");
    }

    /// Row 47.
    #[test]
    fn row_47_a_clock_ahead_is_corrected() {
        assert_eq!(effective_at(1_600, 1_700, 1_100), 1_000);
        assert_eq!(effective_at(900, 950, 1_100), 1_050);
        assert_eq!(effective_at(2_000, 1_000, 1_100), 1_100, "never after now");
        assert_eq!(effective_at(i64::MAX, i64::MIN, 5), 5);
    }

    /// Row 57, and its opposite.
    #[test]
    fn row_57_refunded_after_the_entry_counts_and_before_it_does_not() {
        let refund = [happened(15, Transition::Refunded, 2)];
        let settled = settle(false, &refund, &[scan(1, 10, Direction::In)]);
        assert_eq!(settled.scans, [(true, Some(Conflict::RefundedAfterEntry))]);
        assert_eq!(settled.entry, Some(0));
        let late = settle(false, &refund, &[scan(1, 16, Direction::In)]);
        assert_eq!(late.scans, [(false, Some(Conflict::Revoked))]);
        assert_eq!(late.entry, None);
        let known = Admitted {
            recorded_at: 12,
            ..scan(1, 10, Direction::In)
        };
        assert_eq!(settle(false, &refund, &[known]).scans, [(true, None)]);
    }

    #[test]
    fn an_old_generation_does_not_count_from_the_transfer_on() {
        let moved = [happened(15, Transition::Transferred, 2)];
        let old = settle(false, &moved, &[scan(1, 16, Direction::In)]);
        assert_eq!(old.scans, [(false, Some(Conflict::Revoked))]);
        let before = settle(false, &moved, &[scan(1, 15, Direction::In)]);
        assert_eq!(before.scans, [(true, None)]);
        let new = Admitted {
            generation: Some(2),
            ..scan(1, 16, Direction::In)
        };
        assert_eq!(settle(false, &moved, &[new]).scans, [(true, None)]);
    }

    #[test]
    fn a_suspension_bars_only_while_it_lasts() {
        let dispute = [
            happened(10, Transition::Suspended, 1),
            happened(20, Transition::Restored, 1),
        ];
        for (at, counts) in [(9, true), (15, false), (25, true)] {
            let settled = settle(false, &dispute, &[scan(1, at, Direction::In)]);
            assert_eq!(settled.scans[0].0, counts, "at {at}");
        }
    }

    #[test]
    fn with_reentry_passages_alternate() {
        use Direction::{In, Out};
        let walk = [In, In, Out, Out, In];
        let scans: Vec<_> = (0..).zip(walk).map(|(at, way)| scan(1, at, way)).collect();
        let settled = settle(true, &[], &scans);
        let counted: Vec<bool> = settled.scans.iter().map(|(counts, _)| *counts).collect();
        assert_eq!(counted, [true, false, true, false, true]);
        assert_eq!(
            (settled.entry, settled.last, settled.inside),
            (Some(0), Some(4), true)
        );
        let once = settle(false, &[], &scans);
        let counted: Vec<bool> = once.scans.iter().map(|(counts, _)| *counts).collect();
        assert_eq!(counted, [true, false, true, false, false]);
        assert!(!once.inside);
    }

    proptest! {
        /// INV-T13: the outcome does not depend on the order of arrival, and a once-ticket has
        /// at most one entry without conflict.
        #[test]
        fn inv_t13_the_order_of_arrival_does_not_matter(
            raw in prop::collection::vec((0i64..50, any::<bool>(), 1u16..4, any::<bool>()), 0..24),
            events in prop::collection::vec((0i64..50, 0usize..9), 0..4),
            reentry in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut history: Vec<Happened> = events
                .into_iter()
                .map(|(at, kind)| happened(at, Transition::ALL[kind], 1))
                .collect();
            history.sort_by_key(|event| event.at);
            let mut generation = 1;
            for event in &mut history {
                generation += u16::from(event.transition.raises_generation());
                event.generation = generation;
            }
            let scans: Vec<Admitted> = raw
                .into_iter()
                .zip(0u128..)
                .map(|((at, out, generation, online), nonce)| Admitted {
                    generation: Some(generation),
                    online,
                    ..scan(nonce, at, if out { Direction::Out } else { Direction::In })
                })
                .collect();
            let mut shuffled = scans.clone();
            shuffled.sort_by_key(|scan| (scan.nonce.as_u128() as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let outcome = |scans: &[Admitted]| {
                let settled = settle(reentry, &history, scans);
                let mut all: Vec<_> = scans.iter().map(|scan| scan.nonce).zip(settled.scans).collect();
                all.sort();
                (all, settled.entry.map(|at| scans[at]), settled.inside)
            };
            prop_assert_eq!(outcome(&scans), outcome(&shuffled));
            let settled = settle(reentry, &history, &scans);
            let entries = scans
                .iter()
                .zip(&settled.scans)
                .filter(|(scan, (counts, conflict))| {
                    *counts && conflict.is_none() && scan.direction == Direction::In
                });
            prop_assert!(reentry || entries.count() <= 1);
        }
    }
}
