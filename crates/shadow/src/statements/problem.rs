//! Faults of files as problems (contract D1, F3 rows 38–48).

use florin_platform::http::problem::{Problem, Status};

use super::fault::StatementFault;
use crate::model::amount::minimal;

/// The problem of a fault. Sums stand in `expected`, `found` and `difference`, the place in
/// `line`.
pub fn of(fault: &StatementFault) -> Problem {
    let status = match fault.code.status() {
        400 => Status::BadRequest,
        409 => Status::Conflict,
        413 => Status::PayloadTooLarge,
        422 => Status::UnprocessableEntity,
        _ => {
            return Problem::unavailable("store_unavailable", "The file could not be taken.")
                .with_cause(&fault.detail);
        }
    };
    let mut problem = Problem::new(status, fault.code.code(), fault.detail.clone());
    if let Some(line) = fault.line {
        problem = problem.with("line", line);
    }
    if let Some(figures) = fault.figures {
        let money = |minor| exact(minor, figures.scale);
        problem = problem
            .with("expected", money(figures.expected))
            .with("found", money(figures.found))
            .with(
                "difference",
                money(figures.expected.saturating_sub(figures.found)),
            );
    }
    problem
}

/// Digits that every JSON reader keeps.
const EXACT_DIGITS: usize = 15;

/// A minimal number, or its text where readers with binary floats would lose digits.
pub fn exact(minor: i128, scale: u8) -> serde_json::Value {
    let text = minimal(minor, scale);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    match serde_json::from_str(&text) {
        Ok(number) if digits <= EXACT_DIGITS => number,
        _ => serde_json::Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_digits() {
        let print = |minor, scale| exact(minor, scale).to_string();
        assert_eq!(print(-5, 2), "-0.05");
        assert_eq!(print(10, 2), "0.1");
        assert_eq!(print(999_999_999_999_999, 2), "9999999999999.99");
        assert_eq!(
            print(1_000_000_000_000_000_001, 2),
            "\"10000000000000000.01\""
        );
    }
}
