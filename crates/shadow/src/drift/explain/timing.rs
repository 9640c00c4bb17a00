//! Class 1: the shadow balance equals the reported one at another instant within 24 h.

use super::facts::{Case, DAY_MS};
use super::solution::{Basis, Class, MAX_EVIDENCE, Remedy, Solution};

/// The nearest such instant, once. Held events are found among the unapplied records.
pub(super) fn solutions(case: &Case<'_>) -> Option<Solution> {
    let wanted = case.shadow.checked_add(case.difference)?;
    let entries = &case.book.entries;
    // The balance before the first entry that was given holds since before the window.
    let before = entries
        .first()
        .map(|entry| entry.running.checked_sub(entry.amount));
    let mut nearest: Option<(u64, usize)> = None;
    let mut consider = |from: i64, to: i64, place: usize| {
        let distance = if case.anchor < from {
            from.abs_diff(case.anchor)
        } else if case.anchor > to {
            case.anchor.abs_diff(to)
        } else {
            0
        };
        let near = distance <= DAY_MS.unsigned_abs();
        if near && nearest.is_none_or(|(known, _)| distance < known) {
            nearest = Some((distance, place));
        }
    };
    if let (Some(Some(balance)), Some(first)) = (before, entries.first())
        && balance == wanted
        && !case.book.truncated
    {
        consider(i64::MIN, first.at - 1, 0);
    }
    for (index, entry) in entries.iter().enumerate() {
        let next = entries.get(index + 1).map(|next| next.at);
        // Only the last entry of an instant shows the balance of that instant.
        if entry.running == wanted && next != Some(entry.at) {
            consider(entry.at, next.map_or(i64::MAX, |at| at - 1), index + 1);
        }
    }
    let (_, place) = nearest?;
    let counted = entries.partition_point(|entry| entry.at <= case.until);
    let between = if place <= counted {
        &entries[place..counted]
    } else {
        &entries[counted..place]
    };
    let ids = between.iter().map(|entry| entry.id.clone());
    Some(Solution {
        class: Class::Timing,
        basis: Basis::Record,
        events: ids.take(MAX_EVIDENCE).collect(),
        lines: Vec::new(),
        terms: vec![case.difference],
        remedy: Remedy::Wait,
        proven: true,
    })
}
