//! A look at one figure, for monitors: compared and explained now, and nothing is stored.

use super::decide::Mismatch;
use super::facts::{Letters, Spoken};
use super::force::InForce;
use super::found::Found;
use super::run::Checker;
use super::table::Check;
use super::tolerance::Tolerance;
use crate::corrections::table as corrections;
use crate::model::BookId;
use crate::store::WriteError;

/// What a look at one figure has found.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Shadow balance, minor units.
    pub shadow: i128,
    /// First class.
    pub class: super::explain::Class,
    /// Exactly one explanation.
    pub unique: bool,
    /// Solutions − 1.
    pub rivals: u32,
    /// Events cited.
    pub events: Vec<String>,
    /// Lines cited.
    pub lines: Vec<String>,
}

impl Checker {
    /// Compares one figure now and explains the difference, without storing anything; `None` when
    /// it is tolerated or covered by open corrections.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_at(
        &self,
        policy: &InForce,
        letters: &Letters,
        book: &BookId,
        as_of: Option<i64>,
        reported: i128,
        threshold: Tolerance,
    ) -> Result<Option<Seen>, WriteError> {
        let mut found = Found {
            n: 0,
            book: book.clone(),
            as_of,
            statement: None,
            reported,
            shadow: 0,
            pending: 0,
            tolerated: false,
            known: false,
            linked: false,
            // Older than any record: the balance is always read.
            log_seq: -1,
            mismatch: Mismatch::None,
            explanation: None,
            action: None,
            correction: None,
        };
        let row = self.refresh(policy, &mut found).await?;
        if threshold.covers(found.difference(), reported) {
            return Ok(None);
        }
        found.tolerated = false;
        let open = corrections::open(self.shadow().db(), book).await?;
        let net = found.difference().saturating_sub(open.sum);
        if open.sum != 0 && threshold.covers(net, reported) {
            return Ok(None);
        }
        let now = self.shadow().clock().wall_micros();
        let check = Check {
            id: String::new(),
            made_seq: 0,
            log_seq: 0,
            state: String::new(),
            streamed: false,
            body_digest: Vec::new(),
            mode: policy.mode.clone(),
            policy: String::new(),
            actor: String::new(),
            role: None,
            trace_id: None,
            started_at: now,
            finished_at: None,
            accounts: 0,
            done: 0,
            pages: 0,
            drifts: 0,
            corrections: 0,
            tolerated: String::new(),
        };
        let target = found.difference();
        let spoken = Spoken::default();
        let explanation = self
            .search(
                &check,
                policy,
                letters,
                &found,
                row.as_ref(),
                target,
                &spoken,
            )
            .await?;
        let solution = explanation.solution.as_ref();
        Ok(Some(Seen {
            shadow: found.shadow,
            class: explanation.class,
            unique: explanation.unique().is_some(),
            rivals: explanation.rivals,
            events: solution.map_or_else(Vec::new, |solution| solution.events.clone()),
            lines: solution.map_or_else(Vec::new, |solution| solution.lines.clone()),
        }))
    }
}
