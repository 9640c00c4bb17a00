//! Counts the decisions of a session, for `shadow_decisions_total` (contract E): only what is
//! committed is told.

use std::collections::BTreeMap;

use crate::model::book::Change;

type Words = (&'static str, &'static str, &'static str);

/// Decisions by the state before, the state after, and why.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<Words, u64>);

impl Tally {
    pub(super) fn add(&mut self, change: &Change) {
        let words = (
            change.from.as_str(),
            change.to.as_str(),
            change.reason.as_str(),
        );
        *self.0.entry(words).or_default() += 1;
    }

    pub(super) fn tell(&self) {
        for ((from, to, reason), count) in &self.0 {
            metrics::counter!("shadow_decisions_total", "from" => *from, "to" => *to, "reason" => *reason)
                .increment(*count);
        }
    }
}
