//! The check of a running balance: what the file's printed balances say about its lines.
//!
//! An account starts at zero. Its lines are taken time by time; lines of one time (for files
//! with dates only: of one day) may stand in any order, and [`super::day`] finds which orders
//! explain them. The balance carried into the next day is the printed one, as in the bank's own
//! books, so that roundings do not add up against the tolerance. Where a day can end in several
//! ways all are kept, each with its least inexactness, so that a choice made early can never
//! make a later day look wrong. Among the ways to the last day the one with the least total
//! inexactness is reported; among equals the one closest to the computed balance.
//!
//! The first time that no order explains ends the check of the account: what its lines after
//! that would start from is not known.

use serde::{Serialize, Serializer};

use super::day::{self, Budget, Line, OutOfBudget};

/// Elementary steps that the check of one account may take: below a second. Ordinary days cost
/// a few dozen each.
const ACCOUNT_STEPS: u64 = 10_000_000;

/// What the printed balances say about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every day is explained and the account closes to the cent: the last printed balance is
    /// the sum of its lines. Single lines may differ within the tolerance and cancel out.
    Consistent,
    /// Every day is explained, each line within the tolerance, and what remains of the
    /// differences at the end is `difference_minor`.
    ConsistentWithinRounding,
    /// No order explains `day`.
    Inconsistent,
    /// The search for an order of `day` was stopped at its bound; nothing is claimed.
    Undecided,
}

/// The result for one account. Amounts in minor units, written as strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountBalance {
    /// The account.
    pub account_id: String,
    /// The finding.
    pub verdict: Verdict,
    /// Lines of the account in the file.
    pub lines: u64,
    /// Last printed balance − sum of all lines; there when every day is explained.
    #[serde(serialize_with = "optional_text")]
    pub difference_minor: Option<i128>,
    /// Lines that are not exact, up to the last explained day.
    pub inexact_lines: u64,
    /// Sum of their absolute differences.
    #[serde(serialize_with = "text")]
    pub inexactness_minor: u128,
    /// Last printed balance that is explained; zero before the first.
    #[serde(serialize_with = "text")]
    pub explained_balance_minor: i128,
    /// First day (local, `YYYY-MM-DD`) that is inconsistent or undecided.
    pub day: Option<String>,
    /// Lines of the file that belong to it, from 1.
    pub day_lines: Vec<u64>,
    /// Lines whose printed balance is below zero, explained or not.
    pub below_zero_lines: u64,
    /// Lowest printed balance.
    #[serde(serialize_with = "text")]
    pub lowest_balance_minor: i128,
}

fn text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn optional_text<S: Serializer>(value: &Option<i128>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| value.to_string()).serialize(serializer)
}

/// The results of all accounts, ordered by account id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BalanceReport {
    /// One entry per account.
    pub accounts: Vec<AccountBalance>,
}

/// Counts over a [`BalanceReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BalanceTotals {
    /// Accounts in the file.
    pub accounts: u64,
    /// [`Verdict::Consistent`].
    pub consistent: u64,
    /// [`Verdict::ConsistentWithinRounding`].
    pub consistent_within_rounding: u64,
    /// [`Verdict::Inconsistent`].
    pub inconsistent: u64,
    /// [`Verdict::Undecided`].
    pub undecided: u64,
    /// Consistent accounts without a single inexact line.
    pub exact_in_every_line: u64,
    /// Accounts with a printed balance below zero.
    pub below_zero_accounts: u64,
    /// Lines with a printed balance below zero.
    pub below_zero_lines: u64,
}

impl BalanceReport {
    /// The counts that a summary shows.
    #[must_use]
    pub fn totals(&self) -> BalanceTotals {
        let mut totals = BalanceTotals::default();
        for account in &self.accounts {
            totals.accounts += 1;
            match account.verdict {
                Verdict::Consistent => {
                    totals.consistent += 1;
                    totals.exact_in_every_line += u64::from(account.inexact_lines == 0);
                }
                Verdict::ConsistentWithinRounding => totals.consistent_within_rounding += 1,
                Verdict::Inconsistent => totals.inconsistent += 1,
                Verdict::Undecided => totals.undecided += 1,
            }
            totals.below_zero_accounts += u64::from(account.below_zero_lines > 0);
            totals.below_zero_lines += account.below_zero_lines;
        }
        totals
    }
}

/// A line as the check needs it, in minor units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Lines with the same value may stand in any order; ascending.
    pub time: i64,
    pub line: u64,
    pub delta: i128,
    pub after: i128,
}

/// A finding, without the names that the caller adds, and the order that explains the lines.
#[derive(Debug)]
pub(super) struct Finding {
    pub verdict: Verdict,
    pub difference: Option<i128>,
    pub inexact_lines: u64,
    pub inexactness: u128,
    pub explained_balance: i128,
    /// Positions of the lines of the first unexplained time.
    pub unexplained: std::ops::Range<usize>,
    /// All positions; up to the last explained time in an order that explains it, from there
    /// on as given.
    pub order: Vec<usize>,
}

/// One way to end a time: printed balance, least total inexactness so far, and how it came.
struct Way {
    end: i128,
    cost: u128,
    before: usize,
    order: Vec<usize>,
}

/// Checks one account. `entries` are ordered by time.
pub(super) fn check(entries: &[Entry], tolerance: u128) -> Finding {
    let mut budget = Budget(ACCOUNT_STEPS);
    let mut steps: Vec<Vec<Way>> = Vec::new();
    let mut at = 0;
    let mut stopped = None;
    while at < entries.len() {
        let time = entries[at].time;
        let until = at + entries[at..].partition_point(|entry| entry.time == time);
        let lines: Vec<Line> = entries[at..until].iter().map(Entry::as_line).collect();
        match extend(steps.last(), &lines, tolerance, &mut budget) {
            Ok(ways) if ways.is_empty() => stopped = Some(Verdict::Inconsistent),
            Ok(ways) => steps.push(ways),
            Err(OutOfBudget) => stopped = Some(Verdict::Undecided),
        }
        if let Some(verdict) = stopped {
            return conclude(entries, &steps, at..until, Some(verdict));
        }
        at = until;
    }
    conclude(entries, &steps, at..at, None)
}

impl Entry {
    fn as_line(&self) -> Line {
        Line {
            before: self.after - self.delta,
            after: self.after,
        }
    }
}

fn extend(
    before: Option<&Vec<Way>>,
    lines: &[Line],
    tolerance: u128,
    budget: &mut Budget,
) -> Result<Vec<Way>, OutOfBudget> {
    let mut best = std::collections::BTreeMap::<i128, Way>::new();
    let zero = [(0, 0)];
    let starts: Vec<(i128, u128)> = match before {
        None => zero.to_vec(),
        Some(ways) => ways.iter().map(|way| (way.end, way.cost)).collect(),
    };
    for (index, (start, cost_before)) in starts.into_iter().enumerate() {
        for path in day::paths(start, lines, tolerance, budget)? {
            let cost = cost_before + path.cost;
            if best.get(&path.end).is_none_or(|way| cost < way.cost) {
                let way = Way {
                    end: path.end,
                    cost,
                    before: index,
                    order: path.order,
                };
                best.insert(path.end, way);
            }
        }
    }
    Ok(best.into_values().collect())
}

fn conclude(
    entries: &[Entry],
    steps: &[Vec<Way>],
    unexplained: std::ops::Range<usize>,
    stopped: Option<Verdict>,
) -> Finding {
    let explained = unexplained.start;
    let sum: i128 = entries[..explained].iter().map(|entry| entry.delta).sum();
    let best = steps.last().and_then(|ways| {
        let rank = |way: &Way| (way.cost, way.end.abs_diff(sum), way.end);
        let (index, way) = ways.iter().enumerate().min_by_key(|(_, way)| rank(way))?;
        Some((index, way.end, way.cost))
    });
    let (mut at, end, inexactness) = best.unwrap_or((0, 0, 0));

    let mut parts: Vec<&[usize]> = Vec::with_capacity(steps.len());
    for ways in steps.iter().rev() {
        parts.push(&ways[at].order);
        at = ways[at].before;
    }
    let mut order = Vec::with_capacity(entries.len());
    for part in parts.into_iter().rev() {
        let offset = order.len();
        order.extend(part.iter().map(|index| offset + index));
    }
    debug_assert_eq!(order.len(), explained);
    let mut balance = 0;
    let mut inexact_lines = 0;
    for &index in &order {
        inexact_lines += u64::from(balance + entries[index].delta != entries[index].after);
        balance = entries[index].after;
    }
    order.extend(explained..entries.len());
    let verdict = stopped.unwrap_or(match end - sum {
        0 => Verdict::Consistent,
        _ => Verdict::ConsistentWithinRounding,
    });
    Finding {
        verdict,
        difference: stopped.is_none().then_some(end - sum),
        inexact_lines,
        inexactness,
        explained_balance: end,
        unexplained,
        order,
    }
}
