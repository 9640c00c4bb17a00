//! One entry for each reader of bank statements: no bytes may panic, and what passes the gate as
//! proven has balances that agree with its lines.

use florin_shadow::statements::{
    csv::{Given, Profile},
    fault::StatementFault,
    gate::{Checked, Gate, Receiver, Rules},
    input::Limits,
    model::{Format, Head, Line, Options},
    read::{Request, read},
};

/// Checks what comes through the gate.
#[derive(Default)]
struct Judge {
    sum: i128,
    lines: u64,
}

impl Receiver for Judge {
    fn begin(&mut self, _head: &Head) -> Result<(), StatementFault> {
        *self = Self::default();
        Ok(())
    }

    fn line(
        &mut self,
        n: u64,
        occurrence: u32,
        _digest: [u8; 16],
        line: Line,
    ) -> Result<(), StatementFault> {
        self.lines += 1;
        assert!(n == self.lines && occurrence > 0);
        self.sum += line.amount;
        Ok(())
    }

    fn pass(&mut self, statement: Checked) -> Result<(), StatementFault> {
        assert_eq!((statement.lines, statement.sum), (self.lines, self.sum));
        if statement.proven {
            let (opening, closing) = (statement.tail.opening, statement.tail.closing);
            let (Some(opening), Some(closing)) = (opening, closing) else {
                panic!("proven without balances");
            };
            assert_eq!(opening.amount + statement.sum, closing.amount);
        }
        Ok(())
    }

    fn refuse(&mut self, _head: &Head, _fault: StatementFault) -> Result<(), StatementFault> {
        Ok(())
    }
}

fn scale(code: &str) -> Option<u8> {
    match code {
        "JPY" => Some(0),
        "BTC" => Some(8),
        _ => (code.len() == 3).then_some(2),
    }
}

const LIMITS: Limits = Limits {
    packed: 1 << 20,
    unpacked: 4 << 20,
};

fn judge(data: &[u8], format: Option<Format>, profile: Option<&Profile>) {
    for (lenient, partial) in [(false, false), (true, true)] {
        let request = Request {
            format,
            csv: profile.map(|profile| Given {
                profile,
                account: "A1",
                default_currency: "EUR",
                opening: None,
                closing: None,
            }),
            csv_account_missing: false,
            limits: LIMITS,
            options: Options {
                lenient,
                scale_of: &scale,
            },
        };
        let rules = Rules {
            partial,
            require_balances: !lenient,
            opening: None,
            closing: None,
        };
        let mut judge = Judge::default();
        let mut gate = Gate::new(rules, &mut judge);
        // A refusal is as good as a statement.
        let _ = read(data, &request, &mut gate, &mut |_| {});
    }
}

/// A file of any format, packed or not.
pub fn any(data: &[u8]) {
    judge(data, None, None);
}

/// A camt.053 message.
pub fn camt(data: &[u8]) {
    judge(data, Some(Format::Camt053), None);
}

/// MT940 messages.
pub fn mt940(data: &[u8]) {
    judge(data, Some(Format::Mt940), None);
}

/// A BAI2 file.
pub fn bai2(data: &[u8]) {
    judge(data, Some(Format::Bai2), None);
}

/// An OFX file of either form.
pub fn ofx(data: &[u8]) {
    judge(data, Some(Format::Ofx), None);
}

const PROFILE: &str = r#"{"delimiter":";","decimalMark":",","thousandsMark":".",
    "datePattern":"DD.MM.YYYY","columns":{"date":1,"amount":2,"text":[3,4],"balance":5},
    "header":false,"currency":"EUR"}"#;

/// A CSV file; a profile in JSON may stand before it, ended by a zero byte.
pub fn statement_csv(data: &[u8]) {
    let (profile, file) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (std::str::from_utf8(&data[..end]).ok(), &data[end + 1..]),
        None => (Some(PROFILE), data),
    };
    let profile = profile.and_then(|text| serde_json::from_str::<Profile>(text).ok());
    if let Some(profile) = profile.filter(|profile| profile.check().is_ok()) {
        judge(file, Some(Format::Csv), Some(&profile));
    }
}
