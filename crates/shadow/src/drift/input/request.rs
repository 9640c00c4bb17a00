//! A request in one piece.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::policy::policy;
use super::{Asked, Draft, Fault, Given, draft, json_fault, name_ok};

/// Most accounts that are answered at once.
pub const MAX_ACCOUNTS: usize = 10_000;

/// A request in one piece: an array, or an object with `checkId`, `policy` and `accounts`.
#[derive(Debug, Default)]
pub struct Request {
    /// `checkId`.
    pub check_id: Option<String>,
    /// `policy`.
    pub asked: Asked,
    /// The accounts, each with its path.
    pub drafts: Vec<(String, Draft)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRequest<'a> {
    #[serde(borrow)]
    check_id: Option<&'a RawValue>,
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
    #[serde(borrow)]
    accounts: Option<Vec<&'a RawValue>>,
}

/// Reads a request in one piece.
///
/// # Errors
/// `malformed_json`, `unknown_field`, `duplicate_field`, `invalid_id`, `required`,
/// `empty_check`, `too_many_accounts`, or a fault of the policy.
pub fn request(body: &[u8]) -> Result<Request, Fault> {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    let (check_id, asked, accounts, prefix) = if first == Some(&b'[') {
        let accounts: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|error| json_fault(&error, ""))?;
        (None, Asked::default(), accounts, "")
    } else {
        let raw: RawRequest<'_> =
            serde_json::from_slice(body).map_err(|error| json_fault(&error, ""))?;
        let check_id = match Given::of(raw.check_id) {
            Given::Absent => None,
            Given::Text(id) if name_ok(&id) => Some(id),
            _ => return Err(Fault::new("checkId", "invalid_id", "is not a check id")),
        };
        let asked = match raw.policy.map(RawValue::get) {
            None | Some("null") => Asked::default(),
            Some(json) => policy(json)?,
        };
        let accounts = raw
            .accounts
            .ok_or_else(|| Fault::new("accounts", "required", "is missing"))?;
        (check_id, asked, accounts, "accounts")
    };
    if accounts.is_empty() {
        return Err(Fault::new(prefix, "empty_check", "There is no account."));
    }
    if accounts.len() > MAX_ACCOUNTS {
        let message = "At most 10,000 accounts at once; stream more.";
        return Err(Fault::new(prefix, "too_many_accounts", message));
    }
    let mut drafts = Vec::with_capacity(accounts.len());
    for (index, raw) in accounts.iter().enumerate() {
        let place = format!("{prefix}[{index}]");
        let draft = draft(raw.get().as_bytes(), &place)?;
        drafts.push((place, draft));
    }
    Ok(Request {
        check_id,
        asked,
        drafts,
    })
}
