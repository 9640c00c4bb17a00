//! The bridge from the bank's balance to the shadow's, exact to the minor unit (contract D3).
//!
//! `bankClosing − shadowBalance(to) = startDifference + Σ gaps + Σ open lines + Σ ignored lines
//! − Σ open entries + Σ variance`. The left side is printed by the bank and summed by the
//! database; the right side is added up from single items, so that the equation is a check.

use serde::Serialize;

use crate::model::{Money, MoneyForm};
use crate::statements::stored::Statement;

/// The terms, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// The bank's last closing before `to`.
    pub bank_closing: i128,
    /// The shadow's balance before `to`.
    pub shadow_balance: i128,
    /// What differed when the reconciliation of the book began.
    pub start_difference: i128,
    /// Σ of openings that are not the closing before them.
    pub gaps: i128,
    /// Σ of lines that are not matched.
    pub open_lines: i128,
    /// Σ of lines that a person ignored.
    pub ignored_lines: i128,
    /// Σ of entries that are not matched.
    pub open_entries: i128,
    /// Σ lines − Σ entries of matches.
    pub variance: i128,
}

impl Terms {
    /// Left side minus right side; `None` beyond 128 bits.
    pub fn rest(&self) -> Option<i128> {
        let left = self.bank_closing.checked_sub(self.shadow_balance)?;
        let right = self
            .start_difference
            .checked_add(self.gaps)?
            .checked_add(self.open_lines)?
            .checked_add(self.ignored_lines)?
            .checked_sub(self.open_entries)?
            .checked_add(self.variance)?;
        left.checked_sub(right)
    }

    /// The equation is true (INV-S22).
    pub fn holds(&self) -> bool {
        self.rest() == Some(0)
    }

    /// For printing.
    pub fn print(&self, scale: u8, form: MoneyForm) -> BridgeOut {
        let money = |minor| Money::new(minor, scale, form);
        BridgeOut {
            bank_closing: money(self.bank_closing),
            shadow_balance: money(self.shadow_balance),
            start_difference: money(self.start_difference),
            gaps: money(self.gaps),
            open_lines: money(self.open_lines),
            ignored_lines: money(self.ignored_lines),
            open_entries: money(self.open_entries),
            variance: money(self.variance),
            holds: self.holds(),
        }
    }
}

/// The bridge in JSON.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeOut {
    bank_closing: Money,
    shadow_balance: Money,
    start_difference: Money,
    gaps: Money,
    open_lines: Money,
    ignored_lines: Money,
    open_entries: Money,
    variance: Money,
    holds: bool,
}

/// Where a chain of statements ends, and what is missing in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Closing of the last statement, minor units.
    pub closing: i128,
    /// Σ of the gaps.
    pub gaps: i128,
}

/// Balance before the first line of a statement; from its lines where the bank prints none.
pub fn opening_of(statement: &Statement) -> i128 {
    match (statement.opening, statement.closing) {
        (Some(opening), _) => opening.amount,
        (None, Some(closing)) => closing.amount - statement.total,
        (None, None) => 0,
    }
}

/// Walks statements in their order from an opening balance. A statement that prints no balance
/// goes on from the one before it.
pub fn chain(opening: i128, statements: &[Statement]) -> Chain {
    let mut chain = Chain {
        closing: opening,
        gaps: 0,
    };
    for (at, statement) in statements.iter().enumerate() {
        if let Some(printed) = statement.opening.filter(|_| at > 0) {
            chain.gaps += printed.amount - chain.closing;
            chain.closing = printed.amount;
        }
        let found = chain.closing + statement.total;
        chain.closing = match statement.closing {
            Some(printed) if statement.opening.is_none() && at > 0 => {
                // Only the closing is printed: the gap lies somewhere before it.
                chain.gaps += printed.amount - found;
                printed.amount
            }
            Some(printed) => printed.amount,
            None => found,
        };
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::day::Day;
    use crate::statements::model::Balance;

    fn statement(opening: Option<i128>, total: i128, closing: Option<i128>) -> Statement {
        let balance = |amount| Balance {
            amount,
            day: Day(0),
            intermediate: false,
        };
        Statement {
            number: 1,
            id: String::new(),
            import: 1,
            account_id: "A".to_owned(),
            currency: "EUR".to_owned(),
            scale: 2,
            format: "camt053".to_owned(),
            account_ref: "A".to_owned(),
            bank_statement_id: "1".to_owned(),
            sequence: None,
            page: None,
            identity: Vec::new(),
            content: Vec::new(),
            opening: opening.map(balance),
            closing: closing.map(balance),
            total,
            lines: 0,
            pending: 0,
            information: 0,
            first_day: Day(0),
            last_day: Day(0),
            proven: true,
            continuity: String::new(),
            gap: None,
            deviations: Vec::new(),
            warnings: Vec::new(),
            log_seq: 1,
            recorded_at: 0,
        }
    }

    #[test]
    fn chains_carry_gaps_and_go_through_statements_without_balances() {
        let all = [
            statement(Some(100), 50, Some(150)),
            statement(Some(170), 5, Some(175)),
            statement(None, 7, None),
            statement(Some(180), 0, Some(180)),
        ];
        let chain = chain(opening_of(&all[0]), &all);
        assert_eq!(
            chain,
            Chain {
                closing: 180,
                gaps: 20 - 2
            }
        );
        let total: i128 = all.iter().map(|one| one.total).sum();
        assert_eq!(chain.closing, 100 + total + chain.gaps);
        assert_eq!(opening_of(&statement(None, 30, Some(40))), 10);
    }

    /// INV-S22.
    #[test]
    fn one_minor_unit_breaks_the_bridge() {
        let mut terms = Terms {
            bank_closing: 1_000,
            shadow_balance: 700,
            start_difference: 100,
            gaps: 20,
            open_lines: 200,
            ignored_lines: -5,
            open_entries: 15,
            variance: 0,
        };
        assert!(terms.holds());
        terms.variance = 1;
        assert!(!terms.holds());
        terms.bank_closing = i128::MAX;
        terms.shadow_balance = -1;
        assert!(!terms.holds());
    }
}
