//! One message of `transactions.corrections`: an event with a reason (contract A3).

use super::fields::{Fault, Ids, is_id};
use super::json::{Member, members};
use super::parse::{Door, parse_members, required, string, text};
use crate::model::Event;
use crate::store::Shadow;

/// Longest reason.
const REASON_MAX: usize = 500;
const FIELDS: [&str; 3] = ["reason", "causeEventId", "checkId"];

/// A correction as a topic brings it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What it would add, under its id.
    pub event: Event,
    /// Why.
    pub reason: String,
    /// The event that it is about.
    pub cause: Option<String>,
    /// The check that made it.
    pub check_id: Option<String>,
}

/// Reads one correction; `now_ms` is the wall clock in milliseconds.
///
/// # Errors
/// Every fault: those of the event first, in the order of contract A1.
pub fn parse_correction(bytes: &[u8], shadow: &Shadow, now_ms: i64) -> Result<Sent, Vec<Fault>> {
    let Some(found) = members(bytes) else {
        let message = "The message must be one JSON object.";
        return Err(vec![Fault::new("", "malformed_json", message)]);
    };
    let ours = |member: &Member<'_>| FIELDS.iter().position(|name| *name == member.name);
    let mut slots: [Option<&str>; 3] = [None; 3];
    let mut of_event = Vec::with_capacity(found.len());
    for member in found {
        let Some(at) = ours(&member) else {
            of_event.push(member);
            continue;
        };
        if slots[at].replace(member.raw).is_some() {
            let name = FIELDS[at];
            let message = format!("The field `{name}` is given more than once.");
            return Err(vec![Fault::new(name, "duplicate_field", message)]);
        }
    }
    let [reason, cause, check_id] = slots.map(|raw| raw.filter(|raw| *raw != "null"));
    let event = parse_members(&of_event, &Door::CORRECTIONS, shadow, now_ms);
    let (event, mut faults) = match event {
        Ok(event) => (Some(event), Vec::new()),
        Err(faults) => (None, faults),
    };
    if reason.is_none() {
        required("reason", &mut faults);
    }
    let reason = text(reason, "reason", REASON_MAX, &mut faults);
    if reason.as_deref().is_some_and(|text| text.trim().is_empty()) {
        required("reason", &mut faults);
    }
    let cause = id(cause, "causeEventId", &mut faults);
    let check_id = id(check_id, "checkId", &mut faults);
    match (event, reason) {
        (Some(event), Some(reason)) if faults.is_empty() => Ok(Sent {
            event,
            reason,
            cause,
            check_id,
        }),
        _ => Err(faults),
    }
}

fn id(raw: Option<&str>, field: &'static str, faults: &mut Vec<Fault>) -> Option<String> {
    let raw = raw?;
    let id = string(raw).filter(|id| is_id(id, Ids::EVENT));
    if id.is_none() {
        let message = "Must be an id of 1 to 128 characters.";
        faults.push(Fault::new(field, "invalid_id", message));
    }
    id
}
