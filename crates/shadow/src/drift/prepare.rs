//! What a difference is before it is settled: compared again if its book moved, and explained
//! from records that belong to the balance they explain.

use super::explain::{BookFacts, Case, Explanation, Neighbour, Remedy, explain};
use super::facts::{Letters, Sources, Spoken, Subject, Window, gather};
use super::force::InForce;
use super::found::{self, Found, Kept};
use super::read::{self, BookNow};
use super::run::Checker;
use super::table::Check;
use crate::corrections::table::{self as corrections, Open};
use crate::model::BookId;
use crate::store::WriteError;

/// Books with the opposite difference that are looked at.
const NEIGHBOURS_MAX: i64 = 20;
/// How often a difference is looked at again because its book moved.
pub(super) const TRIES_MAX: u32 = 5;

/// One difference with what explains it.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub found: Found,
    pub explanation: Option<Explanation>,
    pub open: Open,
    pub covered: bool,
    /// What is left to be repaired, minor units.
    pub net: i128,
}

/// What is settled together: one difference, or the two of a pair.
#[derive(Debug, Clone)]
pub(super) struct Unit(pub Vec<Prepared>);

impl Unit {
    pub fn holds(&self, n: i64) -> bool {
        self.0.iter().any(|prepared| prepared.found.n == n)
    }
}

impl Checker {
    /// Explains a difference, and that of the other book if a pair would repair both.
    pub(super) async fn prepare(
        &self,
        check: &Check,
        policy: &InForce,
        letters: &Letters,
        found: Found,
    ) -> Result<Unit, WriteError> {
        let first = self.prepare_one(check, policy, letters, found).await?;
        let Some((other, cause)) = pair_of(&first) else {
            return Ok(Unit(vec![first]));
        };
        let db = self.shadow().db();
        let near = found::opposite(db, &check.id, &first.found, NEIGHBOURS_MAX).await?;
        let other = near.into_iter().find(|one| one.book.account_id == other);
        let Some(other) = other.filter(|one| one.action.is_none()) else {
            return Ok(Unit(vec![first]));
        };
        let second = self.prepare_one(check, policy, letters, other).await?;
        let agrees = pair_of(&second)
            .is_some_and(|(account, same)| account == first.found.book.account_id && same == cause);
        Ok(Unit(match agrees {
            true => vec![first, second],
            false => vec![first],
        }))
    }

    async fn prepare_one(
        &self,
        check: &Check,
        policy: &InForce,
        letters: &Letters,
        mut found: Found,
    ) -> Result<Prepared, WriteError> {
        let mut tries = 0;
        loop {
            let book = self.refresh(policy, &mut found).await?;
            let open = corrections::open(self.shadow().db(), &found.book).await?;
            found.pending = open.sum;
            let prepared = self
                .explained(check, policy, letters, found.clone(), open, book.as_ref())
                .await?;
            let now = read::books(self.shadow().db(), &[&found.book.account_id]).await?;
            let moved = now
                .books
                .get(&found.book)
                .is_some_and(|book| book.log_seq > found.log_seq);
            tries += 1;
            if !moved || tries >= TRIES_MAX {
                return Ok(prepared);
            }
        }
    }

    /// Compares again if the book moved since it was compared.
    pub(super) async fn refresh(
        &self,
        policy: &InForce,
        found: &mut Found,
    ) -> Result<Option<BookNow>, WriteError> {
        let db = self.shadow().db();
        let mut look = read::books(db, &[&found.book.account_id]).await?;
        let Some(book) = look.books.remove(&found.book) else {
            return Ok(None);
        };
        if book.log_seq > found.log_seq {
            let earlier = found
                .as_of
                .filter(|until| book.last_ts.is_some_and(|last| last > *until));
            found.shadow = match earlier {
                None => book.balance,
                Some(until) => {
                    let at = read::balances_at(db, &[&book], until).await?;
                    at.get(&book.number).map_or(book.balance, |at| at.balance)
                }
            };
            found.log_seq = look.head.max(book.log_seq);
            found.known = book.events > 0;
            found.linked = book.linked;
            let scale = self.shadow().currencies().scale(&found.book.currency);
            let scale = scale.unwrap_or(0);
            let own = book.tolerance.as_deref();
            let tolerance = policy.tolerance(self.control(), &found.book.currency, scale, own);
            found.tolerated = tolerance.covers(found.difference(), found.reported);
        }
        Ok(Some(book))
    }

    async fn explained(
        &self,
        check: &Check,
        policy: &InForce,
        letters: &Letters,
        found: Found,
        open: Open,
        book: Option<&BookNow>,
    ) -> Result<Prepared, WriteError> {
        let own = book.and_then(|book| book.tolerance.as_deref());
        let scale = self.shadow().currencies().scale(&found.book.currency);
        let scale = scale.unwrap_or(0);
        let tolerance = policy.tolerance(self.control(), &found.book.currency, scale, own);
        let difference = found.difference();
        let net = difference.saturating_sub(open.sum);
        let covered = open.sum != 0 && tolerance.covers(net, found.reported);
        let mut prepared = Prepared {
            found,
            explanation: None,
            covered,
            net,
            open,
        };
        if prepared.found.tolerated {
            return Ok(prepared);
        }
        // What is proposed already explains its part; the rest is what must be explained.
        let partly = prepared.open.sum != 0 && !covered && net != 0;
        let spoken = match partly {
            false => Spoken::default(),
            true => Spoken {
                events: prepared
                    .open
                    .causes
                    .iter()
                    .chain(&prepared.open.targets)
                    .cloned()
                    .collect(),
                lines: prepared.open.lines.iter().cloned().collect(),
            },
        };
        let target = if partly { net } else { difference };
        let explanation = self
            .search(
                check,
                policy,
                letters,
                &prepared.found,
                book,
                target,
                &spoken,
            )
            .await?;
        prepared.found.explanation = Some(Kept::from(&explanation));
        prepared.explanation = Some(explanation);
        Ok(prepared)
    }

    #[allow(clippy::too_many_arguments, reason = "all of it belongs to one search")]
    pub(super) async fn search(
        &self,
        check: &Check,
        policy: &InForce,
        letters: &Letters,
        found: &Found,
        book: Option<&BookNow>,
        target: i128,
        spoken: &Spoken,
    ) -> Result<Explanation, WriteError> {
        let db = self.shadow().db();
        let sources = Sources {
            db,
            evidence: self.evidence(),
            letters,
        };
        let now_ms = check.started_at / 1_000;
        let anchor = found.as_of.unwrap_or(now_ms);
        let window = Window {
            anchor,
            until: found.as_of.unwrap_or(i64::MAX),
            look_back_ms: policy.look_back_ms(),
            statement: found.statement.as_deref(),
        };
        let subject = Subject {
            id: &found.book,
            book,
            shadow: found.shadow,
        };
        let facts = gather(sources, subject, window, spoken).await?;
        let whole = target == found.difference();
        let near = match whole {
            true => found::opposite(db, &check.id, found, NEIGHBOURS_MAX + 1).await?,
            false => Vec::new(),
        };
        let neighbours_truncated = near.len() as i64 > NEIGHBOURS_MAX;
        let mut others: Vec<(BookId, BookFacts)> = Vec::new();
        for other in near.iter().take(NEIGHBOURS_MAX as usize) {
            let look = read::books(db, &[&other.book.account_id]).await?;
            let subject = Subject {
                id: &other.book,
                book: look.books.get(&other.book),
                shadow: other.shadow,
            };
            let window = Window {
                statement: None,
                ..window
            };
            let facts = gather(sources, subject, window, spoken).await?;
            others.push((other.book.clone(), facts));
        }
        let neighbours: Vec<Neighbour<'_>> = others
            .iter()
            .map(|(id, facts)| Neighbour {
                account: &id.account_id,
                facts,
            })
            .collect();
        Ok(explain(&Case {
            anchor,
            until: window.until,
            shadow: found.shadow,
            difference: target,
            look_back_ms: policy.look_back_ms(),
            max_subset: policy.max_subset,
            book: &facts,
            neighbours: &neighbours,
            neighbours_truncated,
        }))
    }
}

/// The other account and the entry of a unique explanation by a pair.
fn pair_of(prepared: &Prepared) -> Option<(String, String)> {
    let solution = prepared.explanation.as_ref()?.unique()?;
    match &solution.remedy {
        Remedy::Pair { other, cause, .. } => Some((other.clone(), cause.clone())),
        _ => None,
    }
}
