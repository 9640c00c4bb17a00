//! Lone surrogates in escapes (`"\ud800"`) have no UTF-8 form, so that no JSON reader that
//! yields text can pass them on. They must not refuse the whole call, only their item (contract
//! A8: `field_invalid`). A body that could not be read is therefore read again with a stand-in.

use florin_ledger::{ResultCode, call::Item};

/// Noncharacters (Unicode 23.7): never in text meant for interchange.
const STAND_INS: std::ops::RangeInclusive<u32> = 0xFDD0..=0xFDEF;
/// Bytes of `\uXXXX`.
const ESCAPE: usize = 6;

/// A body whose lone surrogates were replaced.
pub struct Mended {
    /// The body, of the same length.
    pub bytes: Vec<u8>,
    stand_in: char,
}

/// The four hex digits of the escape at `at`.
fn escape_at(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Places of escapes of surrogates that have no partner.
fn lone(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += step;
        match escape_at(bytes, at) {
            Some(0xD800..=0xDBFF)
                if matches!(escape_at(bytes, at + ESCAPE), Some(0xDC00..=0xDFFF)) =>
            {
                at += 2 * ESCAPE;
            }
            Some(0xD800..=0xDFFF) => {
                places.push(at);
                at += ESCAPE;
            }
            // Any other escape; `\\` must not start one with its second half.
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    places
}

/// Replaces lone surrogates; `None` when there are none.
pub fn mend(bytes: &[u8]) -> Option<Mended> {
    let places = lone(bytes);
    if places.is_empty() {
        return None;
    }
    let absent = |code: &u32| {
        let escape = format!("\\u{code:04x}");
        let literal = char::from_u32(*code).map(String::from).unwrap_or_default();
        let has = |needle: &[u8]| {
            bytes
                .windows(needle.len())
                .any(|window| window.eq_ignore_ascii_case(needle))
        };
        !has(escape.as_bytes()) && !has(literal.as_bytes())
    };
    let code = { STAND_INS }.find(absent)?;
    let mut mended = bytes.to_vec();
    for at in places {
        mended[at..at + ESCAPE].copy_from_slice(format!("\\u{code:04x}").as_bytes());
    }
    Some(Mended {
        bytes: mended,
        stand_in: char::from_u32(code)?,
    })
}

impl Mended {
    /// Refuses an item whose free text held a lone surrogate. Every other member has a grammar
    /// that the stand-in breaks by itself.
    pub fn judge(&self, item: &mut Item) {
        let holds = |text: &str| text.contains(self.stand_in);
        let field = if item.description.as_deref().is_some_and(holds) {
            "description"
        } else if item.metadata.pairs().iter().any(|(_, value)| holds(value)) {
            "metadata"
        } else {
            return;
        };
        // Members stand in the order of contract A2; only metadata comes after the description.
        let earlier =
            matches!(item.invalid, Some((ResultCode::FieldInvalid, found)) if found != "metadata");
        if !earlier {
            item.invalid = Some((ResultCode::FieldInvalid, field));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> Option<String> {
        mend(text.as_bytes()).map(|m| String::from_utf8(m.bytes).expect("UTF-8"))
    }

    #[test]
    fn only_lone_surrogates_are_replaced() {
        assert_eq!(mended(r#""\ud83d\ude00 \\ud800 \u0041""#), None);
        assert_eq!(mended(r#""\ud800""#).as_deref(), Some(r#""\ufdd0""#));
        assert_eq!(
            mended(r#""\udc00\ud800x""#).as_deref(),
            Some(r#""\ufdd0\ufdd0x""#)
        );
        assert_eq!(mended(r#""\\\ud800""#).as_deref(), Some(r#""\\\ufdd0""#));
        assert_eq!(
            mended(r#""\ud800 \uFDD0""#).as_deref(),
            Some(r#""\ufdd1 \uFDD0""#)
        );
        assert_eq!(mended("\"\\"), None);
    }
}
