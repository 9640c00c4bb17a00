//! Reads the members of one transfer item and judges their grammar (ranks 3 to 9). Needs no
//! state, so it runs before an item waits for the writer.

use std::borrow::Cow;

use florin_base::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::{
    call::Item,
    codes::ResultCode,
    model::{AccountId, DESCRIPTION_MAX, Metadata, Mode, TIMEOUT_MAX_SECONDS, TransferId},
};

/// A string of a body, borrowed from it unless it holds escapes.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Text<'_>> for Box<str> {
    fn from(text: Text<'_>) -> Self {
        text.0.into()
    }
}

/// One item as it stands in a body. Strings are borrowed from it where they can be.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawItem<'a> {
    /// Caller's id.
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    /// What it does; an unknown word refuses the whole call.
    #[serde(default, deserialize_with = "mode")]
    pub mode: Option<Mode>,
    /// Account debited.
    #[serde(borrow, default)]
    pub debit_account_id: Option<Text<'a>>,
    /// Account credited.
    #[serde(borrow, default)]
    pub credit_account_id: Option<Text<'a>>,
    /// Minor units as a string of digits.
    #[serde(borrow, default)]
    pub amount_minor: Option<Text<'a>>,
    /// Asset code.
    #[serde(borrow, default)]
    pub asset: Option<Text<'a>>,
    /// Type of posting.
    #[serde(borrow, default)]
    pub code: Option<Text<'a>>,
    /// The pending transfer a post or void resolves.
    #[serde(borrow, default)]
    pub pending_id: Option<Text<'a>>,
    /// Time-out of a pending transfer, in seconds.
    #[serde(default)]
    pub timeout_seconds: Option<i64>,
    /// When it counts, RFC 3339.
    #[serde(borrow, default)]
    pub effective_at: Option<Text<'a>>,
    /// Chained to the next item.
    #[serde(default)]
    pub linked: bool,
    /// Free text.
    #[serde(borrow, default)]
    pub description: Option<Text<'a>>,
    /// Caller's own pairs.
    #[serde(default)]
    pub metadata: Option<RawPairs>,
}

/// The pairs of a metadata object in the order sent, repeated keys included.
#[derive(Debug, Default, Clone)]
pub struct RawPairs(pub Vec<(Box<str>, Box<str>)>);

impl<'de> Deserialize<'de> for RawPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawPairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with string values")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RawPairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<Box<str>, Box<str>>()? {
                    pairs.push(pair);
                }
                Ok(RawPairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Mode>, D::Error> {
    let word = Cow::<'de, str>::deserialize(deserializer)?;
    Mode::from_word(&word)
        .map(Some)
        .ok_or_else(|| de::Error::unknown_variant(&word, &["single", "pending", "post", "void"]))
}

/// `^[A-Za-z0-9._-]{1,100}$`, the ids that callers may choose.
pub fn is_caller_id(id: &str) -> bool {
    (1..=100).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// `^[A-Z][A-Z0-9._-]{1,23}$`.
pub fn is_asset_code(code: &str) -> bool {
    (2..=24).contains(&code.len())
        && code.as_bytes()[0].is_ascii_uppercase()
        && code.bytes().all(|b| {
            b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

/// `^[a-z][a-z0-9_]{0,31}$`.
pub fn is_posting_code(code: &str) -> bool {
    (1..=32).contains(&code.len())
        && code.as_bytes()[0].is_ascii_lowercase()
        && code
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads `^(0|[1-9][0-9]{0,38})$` up to 2^128 - 1.
pub fn parse_minor(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    let shaped = (1..=39).contains(&bytes.len())
        && bytes.iter().all(u8::is_ascii_digit)
        && (bytes.len() == 1 || bytes[0] != b'0');
    if !shaped {
        return None;
    }
    if bytes.len() <= 19 {
        return Some(
            bytes
                .iter()
                .fold(0u64, |acc, b| acc * 10 + u64::from(b - b'0'))
                .into(),
        );
    }
    text.parse().ok()
}

/// At most [`DESCRIPTION_MAX`] characters.
pub fn is_description(text: &str) -> bool {
    text.len() <= DESCRIPTION_MAX || text.chars().count() <= DESCRIPTION_MAX
}

/// The finding with the smallest rank; among equals the first in field order.
struct Findings(Option<(ResultCode, &'static str)>);

impl Findings {
    fn add(&mut self, code: ResultCode, field: &'static str) {
        if self.0.is_none_or(|(found, _)| code.rank() < found.rank()) {
            self.0 = Some((code, field));
        }
    }
}

fn account(text: Option<&str>, field: &'static str, findings: &mut Findings) -> Option<AccountId> {
    let text = text?;
    let id = AccountId::parse(text);
    if id.is_none() {
        findings.add(ResultCode::FieldInvalid, field);
    }
    id
}

/// Turns a raw item into an [`Item`]; `own_id` is used when the item brought none.
pub fn prepare(raw: RawItem<'_>, own_id: impl FnOnce() -> TransferId) -> Item {
    let mut f = Findings(None);
    let mode = raw.mode.unwrap_or(Mode::Single);
    let given_amount = raw.amount_minor.is_some();
    let id: TransferId = match raw.id {
        Some(id) => {
            if !is_caller_id(&id) {
                f.add(ResultCode::FieldInvalid, "id");
            }
            id.into()
        }
        None => own_id(),
    };
    let debit = account(raw.debit_account_id.as_deref(), "debitAccountId", &mut f);
    let credit = account(raw.credit_account_id.as_deref(), "creditAccountId", &mut f);
    if raw.asset.as_deref().is_some_and(|a| !is_asset_code(a)) {
        f.add(ResultCode::FieldInvalid, "asset");
    }
    if raw.code.as_deref().is_some_and(|c| !is_posting_code(c)) {
        f.add(ResultCode::FieldInvalid, "code");
    }
    // Server-made ids may be resolved too, hence the colon.
    let pending_ok = |p: &str| {
        (1..=128).contains(&p.len())
            && p.split(':')
                .all(|part| part.is_empty() || is_caller_id(part))
    };
    if raw.pending_id.as_deref().is_some_and(|p| !pending_ok(p)) {
        f.add(ResultCode::FieldInvalid, "pendingId");
    }
    let timeout_seconds = raw.timeout_seconds.and_then(|t| u32::try_from(t).ok());
    if raw.timeout_seconds.is_some()
        && !timeout_seconds.is_some_and(|t| (1..=TIMEOUT_MAX_SECONDS).contains(&t))
    {
        f.add(ResultCode::FieldInvalid, "timeoutSeconds");
    }
    let effective_at = raw.effective_at.as_deref().map(Timestamp::parse);
    if matches!(effective_at, Some(Err(_))) {
        f.add(ResultCode::FieldInvalid, "effectiveAt");
    }
    if raw
        .description
        .as_deref()
        .is_some_and(|d| !is_description(d))
    {
        f.add(ResultCode::FieldInvalid, "description");
    }
    let metadata = raw
        .metadata
        .map_or(Ok(Metadata::default()), |pairs| Metadata::try_new(pairs.0));
    if metadata.is_err() {
        f.add(ResultCode::FieldInvalid, "metadata");
    }
    let mut item = Item {
        id,
        mode,
        debit,
        credit,
        amount: None,
        asset: raw.asset.map(Into::into),
        code: raw.code.map(Into::into),
        pending_id: raw.pending_id.map(Into::into),
        timeout_seconds,
        effective_at: effective_at.and_then(Result::ok),
        linked: raw.linked,
        description: raw.description.map(Into::into),
        metadata: metadata.unwrap_or_default(),
        invalid: None,
    };
    presence(&item, given_amount, &mut f);
    if let Some(text) = raw.amount_minor.as_deref() {
        item.amount = parse_minor(text);
        match item.amount {
            None => f.add(ResultCode::AmountInvalid, "amountMinor"),
            Some(0) => f.add(ResultCode::AmountMustNotBeZero, "amountMinor"),
            Some(_) => {}
        }
    }
    if item.debit.is_some() && item.debit == item.credit {
        f.add(ResultCode::AccountsMustDiffer, "creditAccountId");
    }
    if item.pending_id.as_ref() == Some(&item.id) {
        f.add(ResultCode::PendingIdMustDiffer, "pendingId");
    }
    item.invalid = f.0;
    item
}

/// Ranks 4 and 5: what each mode requires and refuses (table of contract A2).
fn presence(item: &Item, given_amount: bool, f: &mut Findings) {
    let moves = matches!(item.mode, Mode::Single | Mode::Pending);
    let members: [(&'static str, bool, bool, bool); 7] = [
        // member, given, required, allowed
        ("debitAccountId", item.debit.is_some(), moves, true),
        ("creditAccountId", item.credit.is_some(), moves, true),
        ("amountMinor", given_amount, moves, item.mode != Mode::Void),
        ("asset", item.asset.is_some(), moves, true),
        ("code", item.code.is_some(), moves, true),
        ("pendingId", item.pending_id.is_some(), !moves, !moves),
        (
            "timeoutSeconds",
            item.timeout_seconds.is_some(),
            false,
            item.mode == Mode::Pending,
        ),
    ];
    for (field, given, required, allowed) in members {
        if required && !given {
            f.add(ResultCode::FieldRequired, field);
        }
        if given && !allowed {
            f.add(ResultCode::FieldNotAllowed, field);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(json: &str) -> Option<(ResultCode, &'static str)> {
        let raw: RawItem<'_> = serde_json::from_str(json).expect("well formed");
        prepare(raw, || "made".into()).invalid
    }

    #[test]
    fn case_19_amounts() {
        let with = |amount: &str| {
            judged(&format!(
                r#"{{"id":"a","debitAccountId":"d","creditAccountId":"c","asset":"BRL","code":"t","amountMinor":"{amount}"}}"#
            ))
        };
        assert_eq!(
            with("0"),
            Some((ResultCode::AmountMustNotBeZero, "amountMinor"))
        );
        assert_eq!(
            with("12.5"),
            Some((ResultCode::AmountInvalid, "amountMinor"))
        );
        let too_big = "340282366920938463463374607431768211456";
        assert_eq!(
            with(too_big),
            Some((ResultCode::AmountInvalid, "amountMinor"))
        );
        assert_eq!(with("340282366920938463463374607431768211455"), None);
        assert_eq!(with("01"), Some((ResultCode::AmountInvalid, "amountMinor")));
    }

    #[test]
    fn the_lowest_rank_wins_over_the_first_field() {
        let json = r#"{"id":"a","debitAccountId":"d","creditAccountId":"d","amountMinor":"0","code":"Bad"}"#;
        assert_eq!(judged(json), Some((ResultCode::FieldInvalid, "code")));
        let json =
            r#"{"id":"a","debitAccountId":"d","creditAccountId":"d","amountMinor":"0","code":"t"}"#;
        assert_eq!(judged(json), Some((ResultCode::FieldRequired, "asset")));
    }

    #[test]
    fn modes_require_and_refuse_members() {
        assert_eq!(
            judged(r#"{"id":"a","mode":"post"}"#),
            Some((ResultCode::FieldRequired, "pendingId"))
        );
        assert_eq!(
            judged(r#"{"id":"a","mode":"void","pendingId":"p","amountMinor":"5"}"#),
            Some((ResultCode::FieldNotAllowed, "amountMinor"))
        );
        assert_eq!(
            judged(r#"{"id":"a","mode":"void","pendingId":"a"}"#),
            Some((ResultCode::PendingIdMustDiffer, "pendingId"))
        );
    }

    #[test]
    fn unknown_members_and_modes_refuse_the_call() {
        assert!(serde_json::from_str::<RawItem<'_>>(r#"{"amount":"1"}"#).is_err());
        assert!(serde_json::from_str::<RawItem<'_>>(r#"{"mode":"undo"}"#).is_err());
        assert!(serde_json::from_str::<RawItem<'_>>(r#"{"amountMinor":12}"#).is_err());
    }
}
