//! Counts, sums and items of a run as they are kept for its report.

use florin_platform::sql::{Arg, Tx, query};
use serde::{Deserialize, Serialize};

use super::bridge::Terms;
use super::gather::{Gathered, Waiting};
use super::item::{Item, Open, Outcome, Side};
use super::run::Run;
use crate::statements::stored::amount;
use crate::store::WriteError;

/// Text that inserts items of the report.
pub(super) const INSERT: &str = "INSERT INTO shadow_reconciliation_items (reconciliation, place,
    side, item, day, amount, status, reason, match_id, rule, reference, candidates)";

/// An item of the report.
#[derive(Debug, Clone)]
pub(super) struct ItemRow {
    pub(super) side: Side,
    pub(super) id: String,
    pub(super) day: i32,
    pub(super) amount: i128,
    pub(super) status: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) match_id: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) candidates: Option<String>,
}

impl ItemRow {
    pub(super) fn of(side: Side, item: &Item) -> Self {
        Self {
            side,
            id: item.id.to_string(),
            day: item.day,
            amount: item.amount,
            status: "unmatched",
            reason: None,
            match_id: None,
            rule: None,
            reference: item
                .references
                .first()
                .map(|reference| reference.to_string()),
            candidates: None,
        }
    }

    /// An item that is open although a match holds it.
    pub(super) fn waiting(side: Side, waiting: &Waiting) -> Self {
        let item = &waiting.item;
        Self {
            side,
            id: item.id.clone(),
            day: item.day.0,
            amount: item.amount,
            status: if waiting.proposed {
                "proposed"
            } else {
                "matched"
            },
            reason: (!waiting.proposed).then_some("outside_window"),
            match_id: None,
            rule: Some(item.rule.clone()),
            reference: None,
            candidates: None,
        }
    }

    pub(super) fn args(self, run: i64, place: i64) -> Vec<Arg> {
        vec![
            run.into(),
            place.into(),
            match self.side {
                Side::Line => "line",
                Side::Entry => "entry",
            }
            .into(),
            self.id.into(),
            i64::from(self.day).into(),
            self.amount.to_string().into(),
            self.status.into(),
            self.reason.into(),
            self.match_id.into(),
            self.rule.into(),
            self.reference.into(),
            self.candidates.into(),
        ]
    }
}

/// Count and sum, minor units as decimal text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: i64,
    /// Their sum.
    pub sum: String,
}

impl Tally {
    fn add(&mut self, count: i64, sum: i128) {
        self.count += count;
        self.sum = (self.minor() + sum).to_string();
    }

    /// The sum in minor units.
    pub fn minor(&self) -> i128 {
        self.sum.parse().unwrap_or(0)
    }
}

/// Counts per status of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// In active matches.
    pub matched: Tally,
    /// In matches that wait for an approval.
    pub proposed: Tally,
    /// With several candidates.
    pub ambiguous: Tally,
    /// Without any.
    pub unmatched: Tally,
    /// Ignored by a person; lines only.
    pub ignored: Tally,
}

/// What one rule has matched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTally {
    /// The rule.
    pub rule: String,
    /// Matches.
    pub matches: i64,
    /// Lines in them.
    pub lines: Tally,
    /// Entries in them.
    pub entries: Tally,
}

/// A statement that the report rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRef {
    /// The bank's own id.
    pub bank_statement_id: String,
    /// Digest of balances and lines.
    pub digest: String,
    /// Balances agree with the lines.
    pub proven: bool,
}

/// Everything in a report but its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Decimals of all amounts.
    pub scale: u8,
    /// Newest record that counts.
    pub log_seq: i64,
    /// The terms of the bridge, minor units as decimal text, in the order of [`Terms`].
    pub bridge: [String; 8],
    /// Counts and sums of lines.
    pub lines: Statuses,
    /// Counts and sums of entries.
    pub entries: Statuses,
    /// Counts and sums per rule.
    pub rules: Vec<RuleTally>,
    /// Statements in scope.
    pub statements: Vec<StatementRef>,
}

impl Summary {
    /// The terms of the bridge.
    ///
    /// # Errors
    /// [`WriteError::Damaged`].
    pub fn terms(&self) -> Result<Terms, WriteError> {
        let mut terms = [0_i128; 8];
        for (term, text) in terms.iter_mut().zip(&self.bridge) {
            *term = text.parse().map_err(|_| WriteError::Damaged("summary"))?;
        }
        let [
            bank_closing,
            shadow_balance,
            start_difference,
            gaps,
            open_lines,
            ignored_lines,
            open_entries,
            variance,
        ] = terms;
        Ok(Terms {
            bank_closing,
            shadow_balance,
            start_difference,
            gaps,
            open_lines,
            ignored_lines,
            open_entries,
            variance,
        })
    }
}

/// The terms after a run: what it matched is open no more, on both sides alike.
fn after(gathered: &Gathered, outcome: &Outcome) -> Terms {
    let mut terms = gathered.terms;
    for one in &outcome.matches {
        if gathered.is_before_start(&one.set) {
            continue;
        }
        let lines = &gathered.input.lines;
        let lines: i128 = one
            .set
            .lines
            .iter()
            .map(|at| lines[*at as usize].amount)
            .sum();
        let counted = one.set.entries.iter().filter(|at| !gathered.is_early(**at));
        let entries: i128 = counted
            .map(|at| gathered.input.entries[*at as usize].amount)
            .sum();
        terms.open_lines -= lines;
        terms.open_entries -= entries;
        terms.variance += lines - entries;
    }
    terms
}

/// The summary of a run whose matches stand in the tables, JSON.
pub(super) async fn make(
    tx: &mut Tx,
    run: &Run,
    gathered: &Gathered,
    outcome: &Outcome,
) -> Result<String, WriteError> {
    let terms = after(gathered, outcome);
    let mut summary = Summary {
        scale: gathered.scale,
        log_seq: gathered.log_seq,
        bridge: [
            terms.bank_closing,
            terms.shadow_balance,
            terms.start_difference,
            terms.gaps,
            terms.open_lines,
            terms.ignored_lines,
            terms.open_entries,
            terms.variance,
        ]
        .map(|term| term.to_string()),
        lines: Statuses::default(),
        entries: Statuses::default(),
        rules: Vec::new(),
        statements: Vec::with_capacity(gathered.statements.len()),
    };
    for (side, list) in [
        (Side::Line, &outcome.lines),
        (Side::Entry, &outcome.entries),
    ] {
        let items = gathered.input.side(side);
        let tallies = match side {
            Side::Line => &mut summary.lines,
            Side::Entry => &mut summary.entries,
        };
        for (index, open) in list {
            if side == Side::Entry && gathered.is_early(*index) {
                continue;
            }
            let tally = match open {
                Open::Ambiguous(_) => &mut tallies.ambiguous,
                Open::Unmatched(_) => &mut tallies.unmatched,
            };
            tally.add(1, items[*index as usize].amount);
        }
    }
    for waiting in gathered.waiting.iter().filter(|waiting| waiting.proposed) {
        let tallies = match waiting.item.side.as_str() {
            "L" => &mut summary.lines,
            _ => &mut summary.entries,
        };
        tallies.proposed.add(1, waiting.item.amount);
    }
    for (_, item) in &gathered.left {
        summary.entries.unmatched.add(1, -item.amount);
    }
    summary
        .lines
        .ignored
        .add(gathered.ignored_lines, terms.ignored_lines);
    tally_rules(tx, run, &mut summary).await?;
    summary.statements = gathered
        .statements
        .iter()
        .map(|statement| StatementRef {
            bank_statement_id: statement.bank_statement_id.clone(),
            digest: hex::encode(&statement.content),
            proven: statement.proven,
        })
        .collect();
    Ok(serde_json::to_string(&summary).expect("numbers and texts"))
}

/// What stands matched before `to`, by rule.
async fn tally_rules(tx: &mut Tx, run: &Run, summary: &mut Summary) -> Result<(), WriteError> {
    let text = "SELECT m.rule, i.side, COUNT(DISTINCT m.number) AS matches, COUNT(*) AS n,
            CAST(SUM(i.m0) AS BIGINT) AS m0, CAST(SUM(i.m1) AS BIGINT) AS m1,
            CAST(SUM(i.m2) AS BIGINT) AS m2
        FROM shadow_matches AS m JOIN shadow_match_items AS i ON i.match_number = m.number
        WHERE m.account_id = $1 AND m.currency = $2 AND m.state = 'active' AND i.day < $3
        GROUP BY m.rule, i.side ORDER BY m.rule, i.side";
    let wanted = query(text)
        .bind(&run.book.account_id)
        .bind(&run.book.currency)
        .bind(run.period.to.0);
    for row in tx.fetch_all(wanted).await? {
        let rule: String = row.get("rule")?;
        if summary.rules.last().is_none_or(|last| last.rule != rule) {
            summary.rules.push(RuleTally {
                rule,
                ..RuleTally::default()
            });
        }
        let (count, sum) = (row.get::<i64>("n")?, amount(&row)?);
        let line = row.get::<String>("side")? == "L";
        if line {
            summary.lines.matched.add(count, sum);
        } else {
            summary.entries.matched.add(count, sum);
        }
        let matches: i64 = row.get("matches")?;
        let last = summary.rules.last_mut().expect("one was pushed");
        last.matches = last.matches.max(matches);
        match line {
            true => last.lines.add(count, sum),
            false => last.entries.add(count, sum),
        }
    }
    Ok(())
}
