//! The policy of one check, as it stands in the body or in the query.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Fault, Given, json_fault};
use crate::drift::policy::{Mode, Narrowing, SUBSET_RANGE};
use crate::drift::tolerance::{Tolerance, parse_percent};
use crate::model::amount::parse_signed;

/// A tolerance as a request writes it: minor units depend on the currency it meets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AskedTolerance {
    absolute: Option<String>,
    percent: Option<u32>,
}

impl AskedTolerance {
    /// The tolerance in minor units of a currency.
    ///
    /// # Errors
    /// A fault of `policy.tolerance.absolute` that depends on the scale.
    pub fn of_scale(&self, scale: u8) -> Result<Option<Tolerance>, Fault> {
        if self.absolute.is_none() && self.percent.is_none() {
            return Ok(None);
        }
        let text = self.absolute.as_deref().unwrap_or("0");
        let absolute = parse_signed(text, scale).map_err(|fault| {
            Fault::new("policy.tolerance.absolute", fault.code(), fault.to_string())
        })?;
        Ok(Some(Tolerance {
            absolute,
            percent: self.percent,
        }))
    }
}

impl AskedTolerance {
    /// Reads `{absolute, percent}`, or an amount alone.
    ///
    /// # Errors
    /// The first fault.
    pub fn from_json(json: &str) -> Result<Self, Fault> {
        let policy = policy(&format!("{{\"tolerance\":{json}}}"))?;
        Ok(policy.tolerance)
    }
}

/// The policy of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// What narrows independent of a currency.
    pub narrowing: Narrowing,
    /// The tolerance.
    pub tolerance: AskedTolerance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawPolicy<'a> {
    #[serde(borrow)]
    mode: Option<&'a RawValue>,
    #[serde(borrow)]
    tolerance: Option<&'a RawValue>,
    #[serde(borrow)]
    strict: Option<&'a RawValue>,
    #[serde(borrow)]
    max_subset: Option<&'a RawValue>,
}

/// Reads the member `policy`.
///
/// # Errors
/// The first fault.
pub(super) fn policy(json: &str) -> Result<Asked, Fault> {
    let raw: RawPolicy<'_> =
        serde_json::from_str(json).map_err(|error| json_fault(&error, "policy"))?;
    let mut cells = BTreeMap::new();
    let (absolute, percent) = match Given::of(raw.tolerance) {
        Given::Other => {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct RawTolerance<'a> {
                #[serde(borrow)]
                absolute: Option<&'a RawValue>,
                #[serde(borrow)]
                percent: Option<&'a RawValue>,
            }
            let text = raw.tolerance.map_or("null", RawValue::get);
            let both: RawTolerance<'_> = serde_json::from_str(text)
                .map_err(|error| json_fault(&error, "policy.tolerance"))?;
            (Given::of(both.absolute), Given::of(both.percent))
        }
        given => (given, Given::Absent),
    };
    cells.insert("mode", Given::of(raw.mode));
    cells.insert("strict", literal(raw.strict));
    cells.insert("maxSubset", Given::of(raw.max_subset));
    cells.insert("tolerance", absolute);
    cells.insert("tolerancePercent", percent);
    policy_of(&cells)
}

/// `true` and `false` as cells.
fn literal(raw: Option<&RawValue>) -> Given {
    match raw.map(RawValue::get) {
        Some(text @ ("true" | "false")) => Given::Bare(text.to_owned()),
        other => match other {
            None | Some("null") => Given::Absent,
            Some(_) => Given::Other,
        },
    }
}

/// The policy of named cells: members of the JSON, or parameters of the query.
///
/// # Errors
/// The first fault.
pub fn policy_of(cells: &BTreeMap<&str, Given>) -> Result<Asked, Fault> {
    let absent = Given::Absent;
    let cell = |name: &str| cells.get(name).unwrap_or(&absent);
    let bad = |name: &str, message: &str| {
        Fault::new(format!("policy.{name}"), "validation_failed", message)
    };
    let mode = match cell("mode") {
        Given::Absent => None,
        given => Some(
            given
                .words()
                .and_then(Mode::from_word)
                .ok_or_else(|| bad("mode", "must be report, propose or auto"))?,
        ),
    };
    let strict = match cell("strict") {
        Given::Absent => None,
        Given::Bare(text) if text == "true" => Some(true),
        Given::Bare(text) if text == "false" => Some(false),
        _ => return Err(bad("strict", "must be true or false")),
    };
    let max_subset = match cell("maxSubset") {
        Given::Absent => None,
        Given::Number(text) | Given::Bare(text) => {
            let size = text.parse().ok().filter(|size| SUBSET_RANGE.contains(size));
            Some(size.ok_or_else(|| bad("maxSubset", "must be 2 to 6"))?)
        }
        _ => return Err(bad("maxSubset", "must be 2 to 6")),
    };
    let absolute = match cell("tolerance") {
        Given::Absent => None,
        Given::Number(text) | Given::Text(text) | Given::Bare(text) => {
            let read = parse_signed(text, 30);
            let fits = read.is_ok_and(|value| value >= 0);
            Some(text.clone()).filter(|_| fits).map_or_else(
                || {
                    let field = "policy.tolerance.absolute";
                    Err(Fault::new(field, "amount_invalid", "must not be negative"))
                },
                |text| Ok(Some(text)),
            )?
        }
        Given::Other => return Err(bad("tolerance", "must be an amount")),
    };
    let percent = match cell("tolerancePercent") {
        Given::Absent => None,
        Given::Number(text) | Given::Text(text) | Given::Bare(text) => {
            let message = "must be 0 to 100 with at most four decimals";
            Some(parse_percent(text).ok_or_else(|| bad("tolerance.percent", message))?)
        }
        Given::Other => return Err(bad("tolerance.percent", "must be a number")),
    };
    Ok(Asked {
        narrowing: Narrowing {
            mode,
            strict,
            max_subset,
        },
        tolerance: AskedTolerance { absolute, percent },
    })
}
