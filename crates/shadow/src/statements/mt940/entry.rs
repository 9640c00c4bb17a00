//! Field 61: one booked line.

use super::super::day::{Day, digits};
use super::super::fault::{FaultCode, StatementFault};
use super::super::model::{Deviation, Line, Original, TEXT_MAX, kept, reference};
use super::decimal;

/// Longest amount, in characters; SWIFT allows 15.
const AMOUNT_MAX: usize = 40;

/// Reads `YYMMDD[MMDD](C|D|RC|RD)[letter]amount type reference[//reference]` and the line of
/// supplementary details below it.
pub(super) fn read(
    text: &str,
    at: u64,
    scale: u8,
    deviations: &mut Vec<Deviation>,
) -> Result<Line, StatementFault> {
    let wrong = |detail: &str| StatementFault::unreadable(at, format!("field 61: {detail}"));
    let (first, supplement) = text.split_once('\n').unwrap_or((text, ""));
    let bytes = first.as_bytes();
    let no_day = |shown: &[u8]| {
        let detail = format!("`{}` is not a date.", shown.escape_ascii());
        StatementFault::new(FaultCode::InvalidDate, detail).at(at)
    };
    if bytes.len() < 10 || digits(&bytes[..6]).is_none() {
        return Err(wrong("does not begin with a value date"));
    }
    let value = Day::parse_short(bytes).ok_or_else(|| no_day(&bytes[..6]))?;
    let mut rest = &bytes[6..];
    let mut booking = value;
    if let Some(entry) = digits(&rest[..4]) {
        let nearest = value.nearest(entry / 100, entry % 100);
        booking = nearest.ok_or_else(|| no_day(&rest[..4]))?;
        rest = &rest[4..];
    }
    let (positive, reversal, mark) = match rest {
        [b'R', b'C', ..] => (false, true, 2),
        [b'R', b'D', ..] => (true, true, 2),
        [b'C', ..] => (true, false, 1),
        [b'D', ..] => (false, false, 1),
        _ => return Err(wrong("has no mark C, D, RC or RD")),
    };
    rest = &rest[mark..];
    if rest.first().is_some_and(u8::is_ascii_uppercase) {
        // The third letter of the currency, which says nothing new.
        rest = &rest[1..];
    }
    let is_amount = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b',' | b'.');
    let length = rest.iter().take_while(|byte| is_amount(byte)).count();
    if length == 0 || length > AMOUNT_MAX {
        return Err(wrong("has no amount"));
    }
    let (written, tail) = rest.split_at(length);
    let written = std::str::from_utf8(written).expect("digits and marks are ASCII");
    let amount = decimal(written, scale, at, deviations)?;
    let code = tail
        .get(..4)
        .and_then(|code| std::str::from_utf8(code).ok());
    let code = code.filter(|code| code.starts_with(|c: char| c.is_ascii_uppercase()));
    let code = code.ok_or_else(|| wrong("has no type of transaction"))?;
    let references = std::str::from_utf8(&tail[4..]).map_err(|_| wrong("has broken references"))?;
    let (customer, bank) = references.split_once("//").unwrap_or((references, ""));
    let mut line = Line {
        booking,
        value: Some(value),
        amount: if positive { amount } else { -amount },
        reversal,
        code: kept(code, TEXT_MAX),
        text: kept(supplement, TEXT_MAX),
        file_line: at,
        ..Line::default()
    };
    line.references.customer_ref = reference(customer);
    line.references.servicer_ref = reference(bank);
    line.original = original(supplement);
    Ok(line)
}

/// `/OCMT/USD100,00/` with `/EXCH/0,91/`, where a bank gives them.
fn original(text: &str) -> Option<Original> {
    let after = |word: &str| {
        let (_, rest) = text.split_once(word)?;
        Some(rest.split(['/', '\n']).next().unwrap_or_default())
    };
    let amount = after("/OCMT/").filter(|amount| amount.is_ascii() && amount.len() > 3)?;
    let (currency, amount) = amount.split_at(3);
    Some(Original {
        amount: amount.replace(',', ".").into(),
        currency: currency.into(),
        rate: after("/EXCH/").map(|rate| rate.replace(',', ".").into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        read(text, 1, 2, &mut Vec::new()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn marks_give_the_sign() {
        for (mark, amount, reversal) in [
            ("C", 1_250, false),
            ("D", -1_250, false),
            ("RC", -1_250, true),
            ("RD", 1_250, true),
            ("CR", 1_250, false),
            ("RDR", 1_250, true),
        ] {
            let line = line(&format!("250102{mark}12,50NTRFREF//BANK"));
            assert_eq!((line.amount, line.reversal), (amount, reversal), "{mark}");
            assert_eq!(line.references.customer_ref.as_deref(), Some("REF"));
            assert_eq!(line.references.servicer_ref.as_deref(), Some("BANK"));
        }
    }

    #[test]
    fn the_entry_year_is_the_nearest() {
        let line = line("2501021231D1,NMSCNONREF\n/OCMT/USD1,10/EXCH/0,91/");
        assert_eq!(line.booking.to_string(), "2024-12-31");
        assert_eq!(
            line.value.map(|day| day.to_string()).as_deref(),
            Some("2025-01-02")
        );
        assert_eq!(line.references.customer_ref, None);
        let original = line.original.expect("original");
        assert_eq!(
            (
                &*original.amount,
                &*original.currency,
                original.rate.as_deref()
            ),
            ("1.10", "USD", Some("0.91"))
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, code) in [
            ("250102X1,NTRFR", FaultCode::StatementUnreadable),
            ("250230C1,NTRFR", FaultCode::InvalidDate),
            ("2501020230C1,NTRFR", FaultCode::InvalidDate),
            ("250102CNTRFR", FaultCode::StatementUnreadable),
            ("250102C1,", FaultCode::StatementUnreadable),
            ("250102C1,555NTRFR", FaultCode::AmountPrecision),
            ("250102C1,2,3NTRFR", FaultCode::AmountInvalid),
            ("", FaultCode::StatementUnreadable),
            ("250102CéNTRF1", FaultCode::StatementUnreadable),
        ] {
            let fault = read(text, 1, 2, &mut Vec::new()).expect_err(text);
            assert_eq!(fault.code, code, "{text}");
        }
    }
}
