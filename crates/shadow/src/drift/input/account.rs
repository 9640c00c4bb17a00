//! One account of a check: from what was written to what is compared.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Fault, Given, account_ok, join, json_fault, name_ok};
use crate::model::amount::{AmountFault, Currencies, parse_signed};
use crate::model::instant::{InstantFault, parse_millis, parse_query, parse_rfc3339};

/// One account to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `accountId`.
    pub account: String,
    /// Asset code, the default one filled in.
    pub currency: String,
    /// Decimals of the currency.
    pub scale: u8,
    /// Event time, epoch ms; `None`: all entries count.
    pub as_of: Option<i64>,
    /// Minor units; may be negative.
    pub reported: i128,
    /// The statement whose closing is the reported balance.
    pub statement: Option<String>,
}

/// An account as it was written.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `accountId`
    pub account: Given,
    /// `reportedBalance`
    pub reported: Given,
    /// `asOf`
    pub as_of: Given,
    /// `currency`
    pub currency: Given,
    /// `statementId`
    pub statement: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawItem<'a> {
    #[serde(borrow)]
    account_id: Option<&'a RawValue>,
    #[serde(borrow)]
    reported_balance: Option<&'a RawValue>,
    #[serde(borrow)]
    as_of: Option<&'a RawValue>,
    #[serde(borrow)]
    currency: Option<&'a RawValue>,
    #[serde(borrow)]
    statement_id: Option<&'a RawValue>,
}

/// Reads one JSON object.
///
/// # Errors
/// `unknown_field`, `duplicate_field` or `malformed_json`, with `place` in front of the field.
pub fn draft(json: &[u8], place: &str) -> Result<Draft, Fault> {
    let raw: RawItem<'_> =
        serde_json::from_slice(json).map_err(|error| json_fault(&error, place))?;
    Ok(Draft {
        account: Given::of(raw.account_id),
        reported: Given::of(raw.reported_balance),
        as_of: Given::of(raw.as_of),
        currency: Given::of(raw.currency),
        statement: Given::of(raw.statement_id),
    })
}

/// Checks one account. Faults come in the order of the fields, at most one for each.
///
/// # Errors
/// All faults of the account.
pub fn item(
    draft: &Draft,
    place: &str,
    currencies: &dyn Currencies,
    strict: bool,
) -> Result<Item, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut note = |name: &str, code: &'static str, message: &str| {
        faults.push(Fault::new(join(place, name), code, message));
    };
    let account = match &draft.account {
        Given::Absent => {
            note("accountId", "required", "is missing");
            ""
        }
        given => match given.words() {
            Some(id) if account_ok(id) => id,
            _ => {
                note("accountId", "invalid_id", "is not an account id");
                ""
            }
        },
    };
    let currency = match &draft.currency {
        Given::Absent if strict => {
            note("currency", "required", "is missing (strict)");
            None
        }
        Given::Absent => Some(currencies.default_code()),
        given => {
            let known = given
                .words()
                .filter(|code| currencies.scale(code).is_some());
            if known.is_none() {
                note("currency", "currency_unknown", "is not a registered asset");
            }
            known
        }
    };
    let scale = currency.and_then(|code| currencies.scale(code));
    let reported = reported(&draft.reported, scale, &mut note);
    let as_of = as_of(&draft.as_of, strict, &mut note);
    let statement = match &draft.statement {
        Given::Absent if strict => {
            note("statementId", "required", "is missing (strict)");
            None
        }
        Given::Absent => None,
        given => {
            let name = given.words().filter(|id| name_ok(id));
            if name.is_none() {
                note("statementId", "invalid_id", "is not a statement id");
            }
            name
        }
    };
    match (currency, scale, reported) {
        (Some(currency), Some(scale), Some(reported)) if faults.is_empty() => Ok(Item {
            account: account.to_owned(),
            currency: currency.to_owned(),
            scale,
            as_of,
            reported,
            statement: statement.map(str::to_owned),
        }),
        _ => Err(faults),
    }
}

fn reported(
    given: &Given,
    scale: Option<u8>,
    note: &mut impl FnMut(&str, &'static str, &str),
) -> Option<i128> {
    const NAME: &str = "reportedBalance";
    let text = match given {
        Given::Absent => {
            note(NAME, "required", "is missing");
            return None;
        }
        Given::Number(text) | Given::Text(text) | Given::Bare(text) => text,
        Given::Other => {
            note(NAME, "amount_invalid", "must be a plain decimal");
            return None;
        }
    };
    match parse_signed(text, scale.unwrap_or(0)) {
        Ok(minor) => Some(minor),
        // Without a currency only the grammar can be judged.
        Err(fault) if scale.is_some() || fault == AmountFault::Invalid => {
            note(NAME, fault.code(), &fault.to_string());
            None
        }
        Err(_) => None,
    }
}

fn as_of(
    given: &Given,
    strict: bool,
    note: &mut impl FnMut(&str, &'static str, &str),
) -> Option<i64> {
    let read = match given {
        Given::Absent => {
            if strict {
                note("asOf", "required", "is missing (strict)");
            }
            return None;
        }
        Given::Number(text) => parse_millis(text),
        Given::Text(text) => parse_rfc3339(text),
        Given::Bare(text) => parse_query(text),
        Given::Other => Err(InstantFault::Invalid),
    };
    read.map_err(|fault| note("asOf", fault.code(), &fault.to_string()))
        .ok()
}
