//! What wallet calls bring along: amounts, texts, identities and ids, read from the body
//! without copies where possible (contract B2, B3).
//!
//! Boundary: grammar only. Whether an amount fits the currency, a wallet exists or an identity
//! was used before is for the ledger to say.

use std::{borrow::Cow, fmt};

use axum::extract::FromRequestParts;
use florin_base::{AmountError, Decimal, Timestamp, money::MAX_SCALE};
use florin_ledger::{
    call::{Rate, Reference, WalletAmount},
    model::{DESCRIPTION_MAX, Metadata, TransferId},
};
use florin_platform::http::{
    auth::{Permission, Principal, Reach},
    idempotency::idempotency_key,
    problem::{Problem, Status},
};
use http::request::Parts;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use uuid::{Uuid, fmt::Hyphenated};

use crate::api::permission;

/// Longest `referenceId`, in characters (contract B3).
const REFERENCE_MAX: usize = 100;
/// Longest name of a rate's source, in characters.
const RATE_SOURCE_MAX: usize = 100;
/// Most digits of a rate before and after the point (contract A10).
const RATE_DIGITS: (usize, usize) = (20, 18);

/// A string that points into the body unless it holds escapes.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    /// An owned copy, for the ledger.
    pub fn boxed(&self) -> Box<str> {
        Box::from(&*self.0)
    }
}

/// A value kept as it was written; `null` stays visible.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Raw<'a>(#[serde(borrow)] pub &'a RawValue);

impl<'a> Raw<'a> {
    /// `null`.
    pub fn is_null(self) -> bool {
        self.0.get() == "null"
    }

    /// Reads an amount: a string or a number literal, as text (contract B2).
    ///
    /// # Errors
    /// 400 `amount_invalid` outside the grammar; 400 `amount_precision` and
    /// `amount_out_of_range` for values beyond every currency.
    pub fn amount(self, field: &'static str) -> Result<WalletAmount, Problem> {
        let raw = self.0.get();
        let is_number = !raw.starts_with('"');
        let text: Cow<'a, str> = match raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
            Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
            Some(_) => Cow::Owned(serde_json::from_str(raw).unwrap_or_default()),
            None => Cow::Borrowed(raw),
        };
        match Decimal::parse(&text) {
            Ok(decimal) => Ok(WalletAmount { decimal, is_number }),
            Err(error) => Err(amount_problem(error, &text, field)),
        }
    }
}

#[cold]
fn amount_problem(error: AmountError, text: &str, field: &'static str) -> Problem {
    let decimals = text
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    match error {
        AmountError::Invalid => bad(field, "amount_invalid", format!("The amount {error}.")),
        AmountError::Range if decimals <= usize::from(MAX_SCALE) => bad(
            field,
            "amount_out_of_range",
            "The amount is larger than any currency allows.",
        ),
        AmountError::Range | AmountError::Precision => bad(
            field,
            "amount_precision",
            "The amount has more decimals than any currency.",
        ),
    }
}

/// A 400 with a code of its own about one field.
pub fn bad(
    field: &'static str,
    code: &'static str,
    message: impl Into<Cow<'static, str>>,
) -> Problem {
    Problem::field(Status::BadRequest, code, field, message).with("field", field)
}

/// Metadata read straight into its final form.
#[derive(Debug, Default)]
pub struct Pairs(pub Metadata);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with string values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Metadata::try_new(pairs)
                    .map(Pairs)
                    .map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// `rate` of a transfer between currencies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateBody<'a> {
    #[serde(borrow)]
    value: Text<'a>,
    #[serde(borrow)]
    source: Option<Text<'a>>,
}

impl RateBody<'_> {
    /// The rate, above zero, with at most 20 + 18 digits (contract A10).
    pub fn read(&self) -> Result<Rate, Problem> {
        let text = &*self.value.0;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fits = whole.len() <= RATE_DIGITS.0 && fraction.len() <= RATE_DIGITS.1;
        let value = Decimal::parse(text)
            .ok()
            .filter(|value| fits && !value.negative && value.digits > 0);
        let too_long = |source: &Text<'_>| source.0.chars().count() > RATE_SOURCE_MAX;
        if self.source.as_ref().is_some_and(too_long) {
            let message = "The source must have at most 100 characters.";
            return Err(bad("rate.source", "validation_failed", message));
        }
        value
            .map(|value| Rate {
                text: text.into(),
                value,
            })
            .ok_or_else(|| {
                let message = "The rate must be a decimal above zero with at most 20 digits before and 18 after the point.";
                bad("rate.value", "validation_failed", message)
            })
    }
}

/// A text of at most 500 characters.
pub fn description(
    text: Option<&Text<'_>>,
    field: &'static str,
) -> Result<Option<Box<str>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    // Counting bytes first spares counting characters of almost every text.
    if text.0.len() > DESCRIPTION_MAX && text.0.chars().count() > DESCRIPTION_MAX {
        let message = "The text must have at most 500 characters.";
        return Err(bad(field, "validation_failed", message));
    }
    Ok(Some(text.boxed()))
}

/// `effectiveAt`, which needs `ledger:backdate`.
pub fn effective_at(
    caller: &Principal,
    text: Option<&Text<'_>>,
) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    caller.require(permission::LEDGER_BACKDATE)?;
    let time = Timestamp::parse(&text.0);
    time.map(Some).map_err(|error| {
        let message = format!("The time {error}.");
        bad("effectiveAt", "validation_failed", message)
    })
}

/// A wallet or hold id of a path or body: a UUID.
pub fn uuid(text: &str, field: &'static str) -> Result<u128, Problem> {
    let hyphenated = text.len() == Hyphenated::LENGTH;
    let id = Uuid::try_parse(text).ok().filter(|_| hyphenated);
    id.map(|id| id.as_u128())
        .ok_or_else(|| Problem::invalid_id(field, "The id must be a UUID.").with("field", field))
}

/// A fresh UUID as the id of a transfer.
pub fn transfer_id(id: Uuid) -> TransferId {
    let mut buffer = [0; Hyphenated::LENGTH];
    let text: &str = id.hyphenated().encode_lower(&mut buffer);
    text.into()
}

/// Whose objects the caller may touch with a permission: `None` = everybody's.
///
/// # Errors
/// 403 `forbidden` without the permission.
pub fn owner_scope(
    caller: &Principal,
    permission: Permission,
) -> Result<Option<Box<str>>, Problem> {
    Ok(match caller.require(permission)? {
        Reach::All => None,
        Reach::Own => Some(Box::from(&*caller.owner)),
    })
}

/// The identity in the headers (contract B3).
#[derive(Debug, Clone, Default)]
pub struct KeyHeader(Option<Box<str>>);

impl<S: Sync> FromRequestParts<S> for KeyHeader {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(idempotency_key(&parts.headers)?.map(Box::from)))
    }
}

impl KeyHeader {
    /// The identity of the call: `referenceId`, the header, or `made` where neither is given.
    ///
    /// # Errors
    /// 400 `identity_mismatch` when both are given and differ; 400 `validation_failed` for a
    /// `referenceId` outside 1–100 of `[A-Za-z0-9_-]`.
    pub fn reference(
        self,
        reference_id: Option<&Text<'_>>,
        made: &TransferId,
    ) -> Result<Reference, Problem> {
        if let Some(given) = reference_id {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            if !(1..=REFERENCE_MAX).contains(&given.0.len()) || !given.0.bytes().all(allowed) {
                let message = "The reference must be 1 to 100 of A-Z a-z 0-9 _ -.";
                return Err(bad("referenceId", "validation_failed", message));
            }
            if self.0.as_ref().is_some_and(|key| **key != *given.0) {
                let message =
                    "`referenceId` and `Idempotency-Key` must be equal when both are given.";
                return Err(bad("referenceId", "identity_mismatch", message));
            }
        }
        let given = self.0.or_else(|| reference_id.map(Text::boxed));
        Ok(Reference {
            generated: given.is_none(),
            id: given.unwrap_or_else(|| made.clone()),
        })
    }
}

/// Reads a JSON body that may be left out.
pub fn parse_or_default<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> Result<T, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    florin_platform::http::json::parse(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(json: &str) -> Result<WalletAmount, String> {
        let raw: Raw<'_> = serde_json::from_str(json).expect("JSON");
        raw.amount("amount").map_err(|p| p.code().to_owned())
    }

    #[test]
    fn case_17_only_plain_decimals_are_amounts() {
        for json in [
            "1e2",
            r#""1,00""#,
            r#"" 1""#,
            r#""""#,
            r#""NaN""#,
            "true",
            "null",
            "{}",
        ] {
            assert_eq!(amount(json), Err("amount_invalid".into()), "{json}");
        }
        let number = amount("10.5").expect("number literal");
        let text = amount(r#""10.50""#).expect("string");
        assert!(number.is_number && !text.is_number);
        assert_eq!((number.decimal.digits, number.decimal.decimals), (105, 1));
        assert_eq!((text.decimal.digits, text.decimal.decimals), (1_050, 2));
        assert_eq!(amount(r#""1\u0030""#).expect("escaped").decimal.digits, 10);
    }

    #[test]
    fn amounts_beyond_128_bits_name_the_rule_they_break() {
        let long = "1".repeat(50);
        assert_eq!(amount(&long), Err("amount_out_of_range".into()));
        assert_eq!(amount(&format!("0.{long}")), Err("amount_precision".into()));
    }

    #[test]
    fn case_12_both_identities_must_agree() {
        let made: TransferId = "made".into();
        let text = |s: &'static str| Text(Cow::Borrowed(s));
        let key = |s: &str| KeyHeader(Some(s.into()));
        let problem = key("a")
            .reference(Some(&text("b")), &made)
            .expect_err("differ");
        assert_eq!(problem.code(), "identity_mismatch");
        let both = key("a").reference(Some(&text("a")), &made).expect("equal");
        assert_eq!((&*both.id, both.generated), ("a", false));
        let none = KeyHeader(None).reference(None, &made).expect("made");
        assert_eq!((&*none.id, none.generated), ("made", true));
        for wrong in ["", "a b", "é"] {
            let problem = KeyHeader(None)
                .reference(Some(&text(wrong)), &made)
                .expect_err(wrong);
            assert_eq!(problem.code(), "validation_failed");
        }
    }

    #[test]
    fn rates_are_positive_and_bounded() {
        let read = |json: &str| {
            let body: RateBody<'_> = serde_json::from_str(json).expect("JSON");
            body.read()
                .map(|rate| rate.value.digits)
                .map_err(|p| p.code().to_owned())
        };
        assert_eq!(read(r#"{"value":"5.4321","source":"desk"}"#), Ok(54_321));
        let widest = format!("{}.{}", "9".repeat(20), "9".repeat(18));
        assert!(read(&format!(r#"{{"value":"{widest}"}}"#)).is_ok());
        for wrong in [
            "0",
            "-1",
            "1e1",
            "0.0000000000000000001",
            "100000000000000000000",
        ] {
            let refused = read(&format!(r#"{{"value":"{wrong}"}}"#));
            assert_eq!(refused, Err("validation_failed".into()), "{wrong}");
        }
    }

    #[test]
    fn ids_are_hyphenated_uuids() {
        assert!(uuid("0190f000-0000-7000-8000-00000000000A", "id").is_ok());
        for wrong in [
            "x",
            "0190f00000007000800000000000000a",
            "{0190f000-0000-7000-8000-00000000000a}",
        ] {
            assert_eq!(uuid(wrong, "id").expect_err(wrong).code(), "invalid_id");
        }
    }
}
