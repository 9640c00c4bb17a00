//! The gate on its own.

use super::*;

#[derive(Default)]
struct Seen {
    passed: Vec<Checked>,
    refused: Vec<FaultCode>,
    lines: Vec<(u64, u32, [u8; 16])>,
}

impl Receiver for Seen {
    fn begin(&mut self, _head: &Head) -> Result<(), StatementFault> {
        Ok(())
    }
    fn line(
        &mut self,
        n: u64,
        occurrence: u32,
        digest: [u8; 16],
        _line: Line,
    ) -> Result<(), StatementFault> {
        self.lines.push((n, occurrence, digest));
        Ok(())
    }
    fn pass(&mut self, statement: Checked) -> Result<(), StatementFault> {
        self.passed.push(statement);
        Ok(())
    }
    fn refuse(&mut self, _head: &Head, fault: StatementFault) -> Result<(), StatementFault> {
        self.refused.push(fault.code);
        Ok(())
    }
}

const STRICT: Rules<'static> = Rules {
    partial: false,
    require_balances: true,
    opening: None,
    closing: None,
};

fn head() -> Head {
    Head {
        bank_statement_id: "S1".to_owned(),
        sequence: Some(1),
        page: None,
        account_ref: "DE1".to_owned(),
        currency: "EUR".to_owned(),
        scale: 2,
    }
}

fn balance(amount: i128, intermediate: bool) -> Option<Balance> {
    Some(Balance {
        amount,
        day: Day(20_000),
        intermediate,
    })
}

fn tail(opening: Option<Balance>, closing: Option<Balance>) -> Tail {
    Tail {
        opening,
        closing,
        ..Tail::default()
    }
}

fn line(amount: i128) -> Line {
    Line {
        booking: Day(20_000),
        amount,
        ..Line::default()
    }
}

fn run(rules: Rules<'_>, statements: &[(&[i128], Tail)]) -> Result<Seen, StatementFault> {
    let mut seen = Seen::default();
    let mut gate = Gate::new(rules, &mut seen);
    for (amounts, tail) in statements {
        gate.open(head())?;
        for amount in *amounts {
            gate.line(line(*amount))?;
        }
        gate.close(tail.clone())?;
    }
    drop(gate);
    Ok(seen)
}

/// INV-S20, rows 41 and 42.
#[test]
fn opening_and_lines_make_the_closing() {
    let good = run(
        STRICT,
        &[(&[500, -200], tail(balance(100, false), balance(400, false)))],
    );
    let good = good.expect("balanced");
    assert!(good.passed[0].proven && good.passed[0].sum == 300 && good.passed[0].lines == 2);
    let off = run(
        STRICT,
        &[(&[500], tail(balance(100, false), balance(601, false)))],
    );
    let off = off.err().expect("out of balance");
    assert_eq!(off.code, FaultCode::StatementOutOfBalance);
    let figures = off.figures.expect("figures");
    assert_eq!((figures.expected, figures.found), (601, 600));
    let missing = run(STRICT, &[(&[500], tail(balance(100, false), None))]).err();
    assert_eq!(missing.expect("missing").code, FaultCode::BalanceMissing);
    let lax = Rules {
        require_balances: false,
        ..STRICT
    };
    let unproven = run(lax, &[(&[500], tail(None, None))]).expect("stored");
    assert!(!unproven.passed[0].proven);
    let given = Rules {
        opening: Some("1.00"),
        closing: Some("6"),
        ..STRICT
    };
    assert!(
        run(given, &[(&[500], tail(None, None))])
            .expect("proven")
            .passed[0]
            .proven
    );
    let huge = run(lax, &[(&[i128::MAX, 1], tail(None, None))]).err();
    assert_eq!(huge.expect("overflow").code, FaultCode::AmountOutOfRange);
}

#[test]
fn pages_must_chain() {
    let first = (&[500][..], tail(balance(100, false), balance(600, true)));
    let good = (&[1][..], tail(balance(600, true), balance(601, false)));
    let bad = (&[1][..], tail(balance(599, true), balance(600, false)));
    let seen = run(STRICT, &[first.clone(), good]).expect("chained");
    assert_eq!(seen.passed.len(), 2);
    let fault = run(STRICT, &[first, bad]).err().expect("broken chain");
    assert_eq!(fault.code, FaultCode::StatementOutOfBalance);
}

#[test]
fn equal_rows_are_told_apart_also_over_pages() {
    let first = (&[5, 5][..], tail(balance(0, false), balance(10, true)));
    let second = (&[5, 7][..], tail(balance(10, true), balance(22, false)));
    let seen = run(STRICT, &[first, second]).expect("chained");
    let occurrences: Vec<_> = seen
        .lines
        .iter()
        .map(|(n, occurrence, _)| (*n, *occurrence))
        .collect();
    assert_eq!(occurrences, [(1, 1), (2, 2), (1, 3), (2, 1)]);
    let mut digests: Vec<_> = seen.lines.iter().map(|line| line.2).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

#[test]
fn partial_keeps_what_passes() {
    let rules = Rules {
        partial: true,
        ..STRICT
    };
    let bad = (&[1][..], tail(balance(0, false), balance(2, false)));
    let good = (&[1][..], tail(balance(0, false), balance(1, false)));
    let seen = run(rules, &[bad, good]).expect("kept");
    assert_eq!(
        (seen.passed.len(), seen.refused),
        (1, vec![FaultCode::StatementOutOfBalance])
    );
}
