//! How readers are run in tests, and camt.053 on hand-written files with the traps that the
//! contract names (D1, F3 rows 38 to 46).

use std::path::Path;

use florin_shadow::statements::csv::{Given, Profile};
use florin_shadow::statements::day::Day;
use florin_shadow::statements::fault::{FaultCode, StatementFault};
use florin_shadow::statements::gate::{Checked, Gate, Receiver, Rules};
use florin_shadow::statements::input::Limits;
use florin_shadow::statements::model::{Deviation, Format, Head, Line, Options, Warning};
use florin_shadow::statements::read::{Request, read};

/// What came out of a file.
#[derive(Default)]
pub struct Seen {
    pub lines: Vec<Line>,
    pub passed: Vec<Checked>,
    pub refused: Vec<FaultCode>,
}

impl Receiver for Seen {
    fn begin(&mut self, _head: &Head) -> Result<(), StatementFault> {
        Ok(())
    }
    fn line(&mut self, _n: u64, _o: u32, _d: [u8; 16], line: Line) -> Result<(), StatementFault> {
        self.lines.push(line);
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

#[derive(Clone, Copy)]
pub struct How<'a> {
    pub lenient: bool,
    pub partial: bool,
    pub require_balances: bool,
    pub profile: Option<&'a Profile>,
    pub opening: Option<&'a str>,
}

pub const STRICT: How<'static> = How {
    lenient: false,
    partial: false,
    require_balances: true,
    profile: None,
    opening: None,
};

pub const LENIENT: How<'static> = How {
    lenient: true,
    ..STRICT
};

fn scale(code: &str) -> Option<u8> {
    match code {
        "BRL" | "USD" | "EUR" => Some(2),
        "JPY" => Some(0),
        _ => None,
    }
}

pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn text(name: &str) -> String {
    String::from_utf8(fixture(name)).expect("UTF-8")
}

pub fn run(bytes: &[u8], how: How<'_>) -> Result<(Format, Seen), StatementFault> {
    let mut seen = Seen::default();
    let request = Request {
        format: None,
        csv: how.profile.map(|profile| Given {
            profile,
            account: "A1",
            default_currency: "BRL",
            opening: how.opening,
            closing: None,
        }),
        csv_account_missing: false,
        limits: Limits::default(),
        options: Options {
            lenient: how.lenient,
            scale_of: &scale,
        },
    };
    let rules = Rules {
        partial: how.partial,
        require_balances: how.require_balances,
        opening: how.opening,
        closing: None,
    };
    let mut gate = Gate::new(rules, &mut seen);
    let format = read(bytes, &request, &mut gate, &mut |_| {})?;
    Ok((format, seen))
}

#[track_caller]
pub fn code(bytes: &[u8], how: How<'_>) -> (FaultCode, Option<u64>) {
    match run(bytes, how) {
        Err(fault) => (fault.code, fault.line),
        Ok(_) => panic!("the file was taken"),
    }
}

pub fn day(text: &str) -> Day {
    Day::parse_iso(text, false).expect("a day")
}

pub fn amounts(seen: &Seen) -> Vec<i128> {
    seen.lines.iter().map(|line| line.amount).collect()
}

#[test]
fn camt_counts_booked_entries_with_the_sign_of_the_indicator() {
    let (format, seen) = run(&fixture("camt053_v08.xml"), STRICT).expect("reads");
    assert_eq!(format, Format::Camt053);
    assert_eq!(amounts(&seen), [10_000, -4_000, -2_550]);
    let checked = &seen.passed[0];
    assert!(checked.proven);
    // OPBD and not PRCD.
    assert_eq!(checked.tail.opening.map(|b| b.amount), Some(100_000));
    assert_eq!(checked.tail.closing.map(|b| b.day), Some(day("2025-01-03")));
    assert_eq!((checked.tail.pending, checked.tail.information), (1, 1));
    assert_eq!(
        checked.tail.warnings,
        [
            Warning::DetailSumDiffers,
            Warning::PendingLeftOut,
            Warning::InformationLeftOut
        ]
    );
    assert_eq!(checked.head.account_ref, "BR1800360305000010009795493C1");
    assert_eq!(
        (checked.head.sequence, &*checked.head.bank_statement_id),
        (Some(3), "STMT-2025-003")
    );
    let [credit, returned, batch] = &seen.lines[..] else {
        panic!("three lines");
    };
    assert_eq!(credit.value, Some(day("2025-01-04")));
    assert_eq!(credit.references.end_to_end_id.as_deref(), Some("INV 7"));
    assert_eq!(credit.references.transaction_id.as_deref(), Some("TX-1"));
    assert_eq!(credit.references.customer_ref.as_deref(), Some("INSTR-1"));
    assert_eq!(credit.references.servicer_ref.as_deref(), Some("SRV-1"));
    assert_eq!(credit.references.bank_ref.as_deref(), Some("N1"));
    assert_eq!(credit.counterparty.name.as_deref(), Some("Ana & Filhos é"));
    assert_eq!(credit.counterparty.account.as_deref(), Some("BR97ANA"));
    assert_eq!(credit.text.as_deref(), Some("Invoice 7 <final>"));
    assert_eq!(credit.code.as_deref(), Some("PMNT/RCDT/ESCT"));
    let original = credit.original.as_ref().expect("original");
    assert_eq!(
        (
            &*original.currency,
            &*original.amount,
            original.rate.as_deref()
        ),
        ("USD", "20.00", Some("5.0"))
    );
    assert!(returned.reversal && !credit.reversal);
    assert_eq!(batch.details.len(), 2);
    assert_eq!(batch.references.end_to_end_id, None);
    assert_eq!(batch.details[0].amount, Some(-2_000));
    assert_eq!(
        batch.details[1].references.end_to_end_id.as_deref(),
        Some("B-2")
    );
}

#[test]
fn camt_pages_chain_and_declared_charsets_count() {
    let (_, seen) = run(&fixture("camt053_v02_pages.xml"), STRICT).expect("reads");
    assert_eq!(amounts(&seen), [500, 500]);
    assert_eq!(seen.lines[0].counterparty.name.as_deref(), Some("João"));
    // PRCD where there is no OPBD, and a debit balance is below zero.
    assert_eq!(seen.passed[0].tail.opening.map(|b| b.amount), Some(-1_000));
    assert_eq!(seen.passed[1].head.page, Some(2));
    let broken: Vec<u8> = String::from_utf8_lossy(&fixture("camt053_v02_pages.xml"))
        .replace("encoding=\"ISO-8859-1\"", "encoding=\"UTF-8\"")
        .replacen(
            "<Cd>OPBD</Cd></CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp></Tp><Amt Ccy=\"BRL\">5.00",
            "<Cd>OPBD</Cd></CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp></Tp><Amt Ccy=\"BRL\">4.00",
            1,
        )
        .replacen("<Amt Ccy=\"BRL\">0</Amt>", "<Amt Ccy=\"BRL\">1.00</Amt>", 1)
        .into_bytes();
    let (found, _) = code(&broken, STRICT);
    assert_eq!(found, FaultCode::StatementOutOfBalance);
}

/// Rows 38 to 46 with camt.
#[test]
fn camt_faults_have_their_codes() {
    let good = text("camt053_v08.xml");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    assert_eq!(
        code(&fixture("camt053_bomb.xml"), STRICT).0,
        FaultCode::XmlDtdRefused,
        "row 38"
    );
    let entity = with("Invoice 7", "&file;");
    assert_eq!(code(&entity, STRICT).0, FaultCode::XmlDtdRefused, "row 38");
    let cut = &good.as_bytes()[..good.len() - 60];
    let (found, line) = code(cut, STRICT);
    assert_eq!(found, FaultCode::StatementUnreadable, "row 39");
    assert!(line.is_some_and(|line| line > 70), "{line:?}");
    let off = with(">1034.5<", ">1034.51<");
    let fault = run(&off, STRICT).err().expect("row 41");
    assert_eq!(fault.code, FaultCode::StatementOutOfBalance);
    let figures = fault.figures.expect("figures");
    assert_eq!((figures.expected, figures.found), (103_451, 103_450));
    let missing = with("<c:Cd>CLBD</c:Cd>", "<c:Cd>CLXX</c:Cd>");
    assert_eq!(
        code(&missing, STRICT).0,
        FaultCode::BalanceMissing,
        "row 42"
    );
    let lax = How {
        require_balances: false,
        ..STRICT
    };
    let (_, seen) = run(&missing, lax).expect("stored");
    assert!(!seen.passed[0].proven);
    let foreign = with("<c:Amt Ccy=\"BRL\">40.00", "<c:Amt Ccy=\"USD\">40.00");
    assert_eq!(
        code(&foreign, STRICT).0,
        FaultCode::CurrencyMismatch,
        "row 43"
    );
    let report = with("camt.053.001.08", "camt.052.001.08");
    assert_eq!(
        code(&report, STRICT).0,
        FaultCode::UnsupportedMessage,
        "row 44"
    );
    let newer = with("camt.053.001.08", "camt.053.001.14");
    assert_eq!(
        code(&newer, STRICT).0,
        FaultCode::UnsupportedVersion,
        "row 44"
    );
    let mut bytes = with("Invoice 7", "Invoice \u{1}7");
    let at = bytes.iter().position(|b| *b == 1).expect("marked");
    bytes[at] = 0xff;
    assert_eq!(code(&bytes, STRICT).0, FaultCode::CharsetError, "row 46");
    let precise = with("40.00", "40.001");
    assert_eq!(code(&precise, STRICT).0, FaultCode::AmountPrecision);
    let negative = with("40.00", "-40.00");
    assert_eq!(code(&negative, STRICT).0, FaultCode::AmountInvalid);
    let unknown = good
        .replace("Ccy=\"BRL\"", "Ccy=\"XXQ\"")
        .replace(">BRL<", ">XXQ<");
    assert_eq!(
        code(unknown.as_bytes(), STRICT).0,
        FaultCode::CurrencyUnknown
    );
    let unsigned = with(
        "<c:CdtDbtInd>DBIT</c:CdtDbtInd>\n        <c:RvslInd>",
        "<c:RvslInd>",
    );
    assert_eq!(code(&unsigned, STRICT).0, FaultCode::StatementUnreadable);
    let deep = format!("{}{}", "<a>".repeat(70), "</a>".repeat(70));
    assert_eq!(
        code(&with("returned", &deep), STRICT).0,
        FaultCode::StatementUnreadable
    );
    let no_day = with("2025-01-03T10:00:00Z", "2025-02-31");
    assert_eq!(code(&no_day, STRICT).0, FaultCode::InvalidDate);
}

#[test]
fn camt_deviations_need_lenient_reading_and_are_named() {
    let good = text("camt053_v08.xml");
    let without = good.replacen(
        "<c:BookgDt><c:DtTm>2025-01-03T10:00:00Z</c:DtTm></c:BookgDt>",
        "<c:ValDt><c:Dt>2025-01-03</c:Dt></c:ValDt>",
        1,
    );
    assert_eq!(code(without.as_bytes(), STRICT).0, FaultCode::InvalidDate);
    let without = without.replacen("<c:Sts><c:Cd>BOOK</c:Cd></c:Sts>", "", 1);
    assert_eq!(
        code(without.as_bytes(), STRICT).0,
        FaultCode::DeviationRefused
    );
    let (_, seen) = run(without.as_bytes(), LENIENT).expect("lenient");
    assert_eq!(
        seen.passed[0].tail.deviations,
        [Deviation::BookingDateMissing, Deviation::StatusMissing]
    );
}
