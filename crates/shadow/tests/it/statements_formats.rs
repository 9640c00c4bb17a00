//! Readers of MT940, CSV, BAI2 and OFX on hand-written files with the traps of each format
//! (contract D1, F3 rows 38 to 48).

use florin_shadow::statements::csv::Profile;
use florin_shadow::statements::fault::FaultCode;
use florin_shadow::statements::model::{Deviation, Format};

use crate::statements::{How, LENIENT, STRICT, amounts, code, day, fixture, run, text};

#[test]
fn mt940_in_its_envelope() {
    let (format, seen) = run(&fixture("mt940_envelope.sta"), STRICT).expect("reads");
    assert_eq!(format, Format::Mt940);
    // C +, D −, RC −, RD +.
    assert_eq!(amounts(&seen), [-1_250, 10_000, -1_000, 250]);
    let head = &seen.passed[0].head;
    assert_eq!(
        (&*head.account_ref, head.sequence, head.page),
        ("37040044/0532013000", Some(12), Some(1))
    );
    assert!(seen.passed[0].proven);
    let first = &seen.lines[0];
    // The entry year is the one nearest the value date.
    assert_eq!(
        (first.booking, first.value),
        (day("2024-12-31"), Some(day("2025-01-02")))
    );
    assert_eq!(first.references.end_to_end_id.as_deref(), Some("E2E-1"));
    assert_eq!(first.references.servicer_ref.as_deref(), Some("B-1"));
    assert_eq!(first.counterparty.name.as_deref(), Some("ANA SILVA"));
    assert_eq!(first.original.as_ref().map(|o| &*o.currency), Some("USD"));
    // Colons inside :86: are text, also at the start of a line.
    let rent = seen.lines[1].text.as_deref().expect("text");
    assert!(rent.contains(":99:nor is this"), "{rent}");
    assert!(seen.lines[2].reversal && seen.lines[3].reversal);
    let carried = text("mt940_envelope.sta").replace('\n', "\r\n");
    let (_, again) = run(carried.as_bytes(), STRICT).expect("line ends of SWIFT");
    assert_eq!(
        (again.lines, again.passed[0].content),
        (seen.lines, seen.passed[0].content)
    );
}

#[test]
fn mt940_pages_without_envelope() {
    let (_, seen) = run(&fixture("mt940_pages.sta"), STRICT).expect("reads");
    assert_eq!(seen.passed.len(), 2);
    assert_eq!(amounts(&seen), [500, 500]);
    assert!(seen.passed[0].tail.closing.is_some_and(|b| b.intermediate));
    let gap = text("mt940_pages.sta")
        .replace(":60M:C250131EUR0,00", ":60M:C250131EUR1,00")
        .replace(":62F:C250131EUR5,00", ":62F:C250131EUR6,00");
    assert_eq!(
        code(gap.as_bytes(), STRICT).0,
        FaultCode::StatementOutOfBalance
    );
    let signed = text("mt940_pages.sta").replace("D250131EUR5,", "C250131EUR5,");
    assert_eq!(
        code(signed.as_bytes(), STRICT).0,
        FaultCode::StatementOutOfBalance
    );
}

/// Rows 39, 42, 44, 46 with MT940, and its deviations.
#[test]
fn mt940_faults_and_deviations() {
    let good = text("mt940_envelope.sta");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    let cut = good.split(":62F:").next().expect("a part");
    assert_eq!(
        code(cut.as_bytes(), STRICT).0,
        FaultCode::StatementUnreadable,
        "row 39"
    );
    assert_eq!(
        code(cut.as_bytes(), LENIENT).0,
        FaultCode::StatementUnreadable,
        "row 39"
    );
    let plain = text("mt940_pages.sta");
    let open = plain.replacen(":62M:C250131EUR0,00\n", "", 1);
    assert_eq!(
        code(open.as_bytes(), STRICT).0,
        FaultCode::BalanceMissing,
        "row 42"
    );
    assert_eq!(
        code(&with("{2:O940", "{2:O942"), STRICT).0,
        FaultCode::UnsupportedMessage,
        "row 44"
    );
    let mut latin = with("Note: rent", "Note: r\u{1}nt");
    let at = latin.iter().position(|b| *b == 1).expect("marked");
    latin[at] = 0xe9;
    assert_eq!(code(&latin, STRICT).0, FaultCode::CharsetError, "row 46");
    let (_, seen) = run(&latin, LENIENT).expect("lenient");
    assert_eq!(seen.passed[0].tail.deviations, [Deviation::CharsetFallback]);
    assert!(
        seen.lines[1]
            .text
            .as_deref()
            .is_some_and(|text| text.contains("rént"))
    );
    for (from, to, deviation) in [
        ("RC10,00", "RC10.00", Deviation::DecimalPoint),
        ("C100,", "C100", Deviation::DecimalCommaMissing),
        (":28C:", ":29X:what\n:28C:", Deviation::UnknownField),
    ] {
        let bytes = with(from, to);
        assert_eq!(code(&bytes, STRICT).0, FaultCode::DeviationRefused, "{to}");
        let (_, seen) = run(&bytes, LENIENT).expect("lenient");
        assert_eq!(seen.passed[0].tail.deviations, [deviation], "{to}");
    }
    assert_eq!(
        code(&with("2501020102C", "2502300102C"), STRICT).0,
        FaultCode::InvalidDate
    );
    assert_eq!(
        code(&with("EUR1080,00\n:64", "USD1080,00\n:64"), STRICT).0,
        FaultCode::CurrencyMismatch
    );
    assert_eq!(
        code(b":20:X\n:61:250102C1,NTRFX\n", STRICT).0,
        FaultCode::StatementUnreadable
    );
}

fn german() -> Profile {
    let json = r#"{"delimiter":";","encoding":"windows-1252","skipRows":2,
        "datePattern":"DD.MM.YYYY","zone":"+01:00","decimalMark":",","thousandsMark":".",
        "currency":"EUR","signs":{"credit":["H"],"debit":["S"]},
        "columns":{"date":"Buchungstag","valueDate":"Valuta","amount":"Betrag","sign":"S/H",
            "text":"Verwendungszweck","counterpartyName":6,"balance":"Saldo"}}"#;
    let profile: Profile = serde_json::from_str(json).expect("a profile");
    profile.check().expect("consistent");
    profile
}

#[test]
fn csv_through_a_profile_is_proven_row_by_row() {
    let profile = german();
    let how = How {
        profile: Some(&profile),
        ..STRICT
    };
    let (format, seen) = run(&fixture("bank_de.csv"), how).expect("reads");
    assert_eq!(format, Format::Csv);
    assert_eq!(amounts(&seen), [123_456, -3_456, -3_456]);
    assert_eq!(
        seen.lines[0].text.as_deref(),
        Some("Rechnung \"7\"; Teil 1")
    );
    assert_eq!(seen.lines[0].counterparty.name.as_deref(), Some("Müller"));
    let checked = &seen.passed[0];
    assert!(checked.proven);
    assert_eq!(checked.tail.opening.map(|b| b.amount), Some(10_000));
    assert_eq!(checked.tail.closing.map(|b| b.amount), Some(126_544));
    assert!(checked.head.bank_statement_id.starts_with("csv-"));
}

/// Rows 41, 43, 46, 47 with CSV.
#[test]
fn csv_faults_have_their_codes() {
    let profile = german();
    let how = How {
        profile: Some(&profile),
        ..STRICT
    };
    let good = fixture("bank_de.csv");
    let with = |from: &str, to: &str| {
        let at = good
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .expect("there");
        [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
    };
    assert_eq!(code(&good, STRICT).0, FaultCode::ProfileUnknown, "row 47");
    let (found, line) = code(&with("30.01.2025;", "31.02.2025;"), how);
    assert_eq!((found, line), (FaultCode::InvalidDate, Some(4)), "row 47");
    let (found, line) = code(&with("1.300,00", "1.300,01"), how);
    assert_eq!(
        (found, line),
        (FaultCode::StatementOutOfBalance, Some(5)),
        "row 41"
    );
    assert_eq!(
        code(&with("34,56;S", "34,56;X"), how).0,
        FaultCode::AmountInvalid
    );
    assert_eq!(
        code(&with("34,56;S", "34,567;S"), how).0,
        FaultCode::AmountPrecision
    );
    assert_eq!(
        code(&with("1.234,56", "12.34,56"), how).0,
        FaultCode::AmountInvalid
    );
    assert_eq!(
        code(&with("Saldo", "Stand"), how).0,
        FaultCode::StatementUnreadable
    );
    assert_eq!(
        code(&with("\"Rechnung", "Rech\"nung"), how).0,
        FaultCode::StatementUnreadable
    );
    let utf8 = Profile {
        encoding: "UTF-8".to_owned(),
        ..profile.clone()
    };
    let strict = How {
        profile: Some(&utf8),
        ..STRICT
    };
    assert_eq!(code(&good, strict).0, FaultCode::CharsetError, "row 46");
    let lenient = How {
        profile: Some(&utf8),
        ..LENIENT
    };
    assert_eq!(
        code(&good, lenient).0,
        FaultCode::CharsetError,
        "a profile names its encoding"
    );
}

#[test]
fn csv_columns_come_in_three_shapes_and_two_orders() {
    let profile = |json: &str| -> Profile {
        let profile: Profile = serde_json::from_str(json).expect("a profile");
        profile.check().expect("consistent");
        profile
    };
    let sides = profile(
        r#"{"header":false,"columns":{"date":1,"debit":2,"credit":3,"currency":4,"endToEndId":5}}"#,
    );
    let how = How {
        profile: Some(&sides),
        opening: Some("1.00"),
        require_balances: false,
        ..STRICT
    };
    let (_, seen) = run(b"2025-01-01,5.00,,BRL,A\n2025-01-02,,7.50,BRL,\n", how).expect("reads");
    assert_eq!(amounts(&seen), [-500, 750]);
    assert_eq!(seen.lines[0].references.end_to_end_id.as_deref(), Some("A"));
    assert!(!seen.passed[0].proven);
    assert_eq!(
        code(b"2025-01-01,5.00,,USD,A\n", how).0,
        FaultCode::CurrencyMismatch,
        "row 43"
    );
    assert_eq!(
        code(b"2025-01-01,5.00,1.00,BRL,A\n", how).0,
        FaultCode::AmountInvalid
    );
    let newest =
        profile(r#"{"newestFirst":true,"columns":{"date":"d","amount":"a","balance":"b"}}"#);
    let how = How {
        profile: Some(&newest),
        ..STRICT
    };
    let (_, seen) = run(
        b"d,a,b\n2025-01-03,-5,10\n2025-01-02,+5.00,15\n2025-01-01,1-,10\n",
        how,
    )
    .expect("reads");
    assert_eq!(amounts(&seen), [-500, 500, -100]);
    assert_eq!(seen.passed[0].tail.opening.map(|b| b.amount), Some(1_100));
    assert_eq!(seen.passed[0].tail.closing.map(|b| b.amount), Some(1_000));
}

#[test]
fn bai2_control_totals_are_gates() {
    let (format, seen) = run(&fixture("statement.bai"), STRICT).expect("reads");
    assert_eq!(format, Format::Bai2);
    assert_eq!(amounts(&seen), [5_000, -1_500, 50, 200]);
    assert_eq!(seen.passed.len(), 2);
    assert!(seen.passed.iter().all(|checked| checked.proven));
    assert_eq!(
        (
            &*seen.passed[0].head.currency,
            &*seen.passed[1].head.currency
        ),
        ("USD", "BRL")
    );
    assert_eq!(seen.passed[0].tail.information, 1);
    let first = &seen.lines[0];
    assert_eq!(
        first.text.as_deref(),
        Some("ACH CREDIT, WITH A COMMA AND A SECOND LINE")
    );
    assert_eq!(first.references.bank_ref.as_deref(), Some("BR-1"));
    assert_eq!(first.references.customer_ref.as_deref(), Some("INV7"));
    assert_eq!(seen.lines[1].value, Some(day("2025-01-06")));
    let good = text("statement.bai");
    let with = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    for (from, to, expected) in [
        (
            "49,210100,7/",
            "49,210101,7/",
            FaultCode::StatementOutOfBalance,
        ),
        ("98,209500", "98,209501", FaultCode::StatementOutOfBalance),
        ("99,209500", "99,209501", FaultCode::StatementOutOfBalance),
        ("49,210100,7/", "49,210100,8/", FaultCode::DeviationRefused),
        (
            ",015,103550,,/",
            ",015,103550,,",
            FaultCode::DeviationRefused,
        ),
        (
            "16,165,5000",
            "16,165,50.00",
            FaultCode::StatementUnreadable,
        ),
        ("16,165,", "16,100,", FaultCode::StatementUnreadable),
        ("99,209500,1,15/\n", "", FaultCode::StatementUnreadable),
        (",1,250103,", ",1,250231,", FaultCode::InvalidDate),
        (
            ",122099999,1,250103",
            ",122099999,4,250103",
            FaultCode::UnsupportedMessage,
        ),
        ("17,,,2/", "17,,,3/", FaultCode::UnsupportedVersion),
        (
            "16,165,5000,Z",
            "16,165,5000,Q",
            FaultCode::StatementUnreadable,
        ),
    ] {
        assert!(good.contains(from), "{from}");
        assert_eq!(code(&with(from, to), STRICT).0, expected, "{to}");
    }
    let (_, seen) = run(&with("49,210100,7/", "49,210100,8/"), LENIENT).expect("lenient");
    assert_eq!(
        seen.passed[0].tail.deviations,
        [Deviation::RecordCountDiffers]
    );
    let lines = with("16,165,5000", "16,165,6000");
    assert_eq!(
        code(&lines, STRICT).0,
        FaultCode::StatementOutOfBalance,
        "row 41"
    );
}

#[test]
fn ofx_in_both_forms() {
    let how = How {
        opening: Some("100"),
        ..STRICT
    };
    let (format, seen) = run(&fixture("statement_v1.ofx"), how).expect("reads");
    assert_eq!(format, Format::Ofx);
    assert_eq!(amounts(&seen), [20_000, -5_025]);
    assert!(seen.passed[0].proven);
    assert_eq!(seen.passed[0].head.account_ref, "999988");
    assert_eq!(seen.passed[0].head.bank_statement_id, "20250101-20250131");
    assert_eq!(seen.lines[0].booking, day("2025-01-15"));
    assert_eq!(
        seen.lines[0].counterparty.name.as_deref(),
        Some("Payee Ltd")
    );
    assert_eq!(
        seen.lines[1].references.customer_ref.as_deref(),
        Some("1001")
    );
    assert_eq!(seen.lines[1].references.bank_ref.as_deref(), Some("F2"));
    let how = How {
        opening: Some("-100"),
        ..STRICT
    };
    let (_, seen) = run(&fixture("statement_v2.ofx"), how).expect("reads");
    assert_eq!(amounts(&seen), [-1_250]);
    assert_eq!(seen.passed[0].head.account_ref, "41111111");
    assert_eq!(seen.passed[0].tail.pending, 1);
    assert_eq!(
        seen.lines[0].original.as_ref().map(|o| &*o.currency),
        Some("EUR")
    );
}

/// Rows 38, 39, 41 with OFX.
#[test]
fn ofx_faults_have_their_codes() {
    let how = How {
        opening: Some("100"),
        ..STRICT
    };
    let good = String::from_utf8_lossy(&fixture("statement_v1.ofx")).replace("USASCII", "UTF-8");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    assert_eq!(
        code(&with("249.75", "249.76"), how).0,
        FaultCode::StatementOutOfBalance,
        "row 41"
    );
    let cut = good.split("</STMTRS>").next().expect("a part");
    assert_eq!(
        code(cut.as_bytes(), how).0,
        FaultCode::StatementUnreadable,
        "row 39"
    );
    assert_eq!(
        code(&with("200.00", "200,00"), how).0,
        FaultCode::DeviationRefused
    );
    let lenient = How {
        opening: Some("100"),
        ..LENIENT
    };
    let (_, seen) = run(&with("200.00", "200,00"), lenient).expect("lenient");
    assert_eq!(seen.passed[0].tail.deviations, [Deviation::DecimalComma]);
    // A thousand and one are not told apart by a comma.
    assert_eq!(
        code(&with("200.00", "1,000"), lenient).0,
        FaultCode::AmountInvalid
    );
    assert_eq!(
        code(&with("<FITID>F2", "<FITID>F2<CORRECTFITID>F1"), how).0,
        FaultCode::UnsupportedMessage
    );
    assert_eq!(
        code(&with("20250116", "20250231"), how).0,
        FaultCode::InvalidDate
    );
    assert_eq!(
        code(&with("</BANKTRANLIST>", ""), how).0,
        FaultCode::StatementUnreadable
    );
    let bomb =
        text("statement_v2.ofx").replacen("<OFX>", "<!DOCTYPE OFX [<!ENTITY a \"b\">]><OFX>", 1);
    assert_eq!(
        code(bomb.as_bytes(), how).0,
        FaultCode::XmlDtdRefused,
        "row 38"
    );
    assert_eq!(
        code(&with("<OFX>", "<!DOCTYPE OFX><OFX>"), how).0,
        FaultCode::XmlDtdRefused,
        "row 38"
    );
}

#[test]
fn partial_names_what_did_not_pass() {
    let how = How {
        partial: true,
        ..STRICT
    };
    let off = text("statement.bai").replacen("49,210100,7/", "49,210101,7/", 1);
    let (_, seen) = run(off.as_bytes(), how).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(seen.passed.len(), 1);
    assert_eq!(seen.refused, [FaultCode::StatementOutOfBalance]);
}
