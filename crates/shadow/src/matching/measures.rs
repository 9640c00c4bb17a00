//! What a reconciliation tells the metrics: `shadow_match_seconds`, `shadow_lines_total` (contract
//! E).

use super::item::{Open, Outcome, Side};

/// Lines of a run by the status it gave them.
pub(super) struct Lines([(&'static str, u64); 3]);

impl Lines {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let matched = outcome.matches.iter();
        let matched: usize = matched.map(|one| one.set.side(Side::Line).len()).sum();
        let open = &outcome.lines;
        let ambiguous = open
            .iter()
            .filter(|(_, open)| matches!(open, Open::Ambiguous(_)));
        let ambiguous = ambiguous.count();
        let counts = [matched, ambiguous, open.len() - ambiguous];
        let counts = counts.map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        Self([
            ("matched", counts[0]),
            ("ambiguous", counts[1]),
            ("unmatched", counts[2]),
        ])
    }

    pub(super) fn tell(&self) {
        for (status, count) in self.0 {
            metrics::counter!("shadow_lines_total", "status" => status).increment(count);
        }
    }
}

/// Tells the metrics how long each stage took.
pub(super) struct StageClock(tokio::time::Instant);

impl Default for StageClock {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl StageClock {
    pub(super) fn note(&mut self, stage: &'static str) {
        let now = tokio::time::Instant::now();
        let seconds = now.duration_since(self.0).as_secs_f64();
        metrics::histogram!("shadow_match_seconds", "stage" => stage).record(seconds);
        self.0 = now;
    }
}
