//! One event from JSON, with every fault named at once.

use super::fields::{Fault, Ids, is_id, is_reserved};
use super::json::{Member, members};
use crate::model::amount::{AmountFault, parse_amount};
use crate::model::instant::{InstantFault, check_range, parse_millis, parse_rfc3339};
use crate::model::{Direction, Event};
use crate::store::Shadow;

/// The entrance through which an event comes.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    /// `http`, `batch`, `kafka`, `feed`.
    pub entrance: &'static str,
    /// Ids may carry the prefixes of ours.
    pub reserved_ids: bool,
}

impl Door {
    /// `POST …/events`.
    pub const HTTP: Self = Self {
        entrance: "http",
        reserved_ids: false,
    };
    /// `POST …/events/batch`.
    pub const BATCH: Self = Self {
        entrance: "batch",
        reserved_ids: false,
    };
    /// `transactions.raw`.
    pub const KAFKA: Self = Self {
        entrance: "kafka",
        reserved_ids: false,
    };
    /// `transactions.corrections`: ids may carry the prefixes of corrections.
    pub const CORRECTIONS: Self = Self {
        entrance: "correction",
        reserved_ids: true,
    };
    /// The change feed of our own ledger: ids `LED-…`.
    pub const FEED: Self = Self {
        entrance: "feed",
        reserved_ids: true,
    };
}

const FIELDS: [&str; 10] = [
    "eventId",
    "accountId",
    "type",
    "amount",
    "timestamp",
    "currency",
    "reference",
    "description",
    "source",
    "sequence",
];

/// Reads one event; `now_ms` is the wall clock in milliseconds.
///
/// # Errors
/// Every fault, in the order of contract A1; a fault of the whole (`malformed_json`,
/// `duplicate_field`, `unknown_field`) stands alone (F3, rows 1 to 4).
pub fn parse_event(
    bytes: &[u8],
    door: &Door,
    shadow: &Shadow,
    now_ms: i64,
) -> Result<Event, Vec<Fault>> {
    let Some(found) = members(bytes) else {
        let message = "The body must be one JSON object.";
        return Err(vec![Fault::new("", "malformed_json", message)]);
    };
    parse_members(&found, door, shadow, now_ms)
}

/// As [`parse_event`], from members that were read already.
///
/// # Errors
/// As [`parse_event`].
pub fn parse_members(
    found: &[Member<'_>],
    door: &Door,
    shadow: &Shadow,
    now_ms: i64,
) -> Result<Event, Vec<Fault>> {
    let slots = sort_out(found).map_err(|fault| vec![fault])?;
    let [
        id,
        account,
        way,
        amount,
        time,
        currency,
        reference,
        description,
        source,
        sequence,
    ] = slots.map(|raw| raw.filter(|raw| *raw != "null"));
    let mut faults = Vec::new();
    let event_id = event_id(id, door, &mut faults);
    let account_id = account_id(account, &mut faults);
    let direction = direction(way, &mut faults);
    let currency = currency_code(currency, shadow, &mut faults);
    // Without a known currency the amount is judged by the default one's decimals: all faults
    // are to be named at once.
    let scale = currency
        .as_deref()
        .and_then(|code| shadow.currencies().scale(code))
        .or_else(|| {
            shadow
                .currencies()
                .scale(shadow.currencies().default_code())
        })
        .unwrap_or(2);
    let before_amount = faults.iter().position(|fault| fault.field == "currency");
    let currency_fault = before_amount.map(|at| faults.remove(at));
    let amount = amount_of(amount, scale, &mut faults);
    let timestamp = timestamp_of(time, now_ms, shadow, &mut faults);
    faults.extend(currency_fault);
    let reference = text(reference, "reference", 140, &mut faults);
    let description = text(description, "description", 500, &mut faults);
    let source = text(source, "source", 64, &mut faults);
    let sequence = sequence_of(sequence, &mut faults);
    match (event_id, account_id, direction, amount, timestamp, currency) {
        (
            Some(event_id),
            Some(account_id),
            Some(direction),
            Some(amount),
            Some(timestamp),
            Some(currency),
        ) if faults.is_empty() => Ok(Event {
            event_id,
            account_id,
            direction,
            amount,
            timestamp,
            currency,
            reference,
            description,
            source,
            sequence,
        }),
        _ => Err(faults),
    }
}

fn sort_out<'a>(found: &[Member<'a>]) -> Result<[Option<&'a str>; 10], Fault> {
    let mut slots = [None; 10];
    for member in found {
        let name = &*member.name;
        let Some(at) = FIELDS.iter().position(|field| field == &name) else {
            let shown: String = name.chars().take(64).collect();
            let message = format!("The field `{shown}` is not known here.");
            return Err(Fault::new(&shown, "unknown_field", message));
        };
        if slots[at].replace(member.raw).is_some() {
            let message = format!("The field `{name}` is given more than once.");
            return Err(Fault::new(name, "duplicate_field", message));
        }
    }
    Ok(slots)
}

pub(super) fn required(field: &str, faults: &mut Vec<Fault>) {
    faults.push(Fault::new(field, "required", "This field is required."));
}

/// The content of a JSON string; `None` for any other value.
pub(super) fn string(raw: &str) -> Option<String> {
    match raw.starts_with('"') {
        true => serde_json::from_str(raw).ok(),
        false => None,
    }
}

fn event_id(raw: Option<&str>, door: &Door, faults: &mut Vec<Fault>) -> Option<String> {
    let Some(raw) = raw else {
        required("eventId", faults);
        return None;
    };
    let id = string(raw).filter(|id| is_id(id, Ids::EVENT));
    let Some(id) = id else {
        let message = "An event id has 1 to 128 characters, first a letter or digit, then [A-Za-z0-9._:@+=#-].";
        faults.push(Fault::new("eventId", "invalid_id", message));
        return None;
    };
    if !door.reserved_ids && is_reserved(&id) {
        let message = "Ids with this prefix are given by the shadow ledger itself.";
        faults.push(Fault::new("eventId", "reserved_id", message));
        return None;
    }
    Some(id)
}

fn account_id(raw: Option<&str>, faults: &mut Vec<Fault>) -> Option<String> {
    let Some(raw) = raw else {
        required("accountId", faults);
        return None;
    };
    let id = string(raw).filter(|id| is_id(id, Ids::ACCOUNT));
    if id.is_none() {
        let message = "An account id has 1 to 64 characters, first a letter or digit, then [A-Za-z0-9._:@+=#-].";
        faults.push(Fault::new("accountId", "invalid_id", message));
    }
    id
}

fn direction(raw: Option<&str>, faults: &mut Vec<Fault>) -> Option<Direction> {
    let Some(raw) = raw else {
        required("type", faults);
        return None;
    };
    let found = string(raw).and_then(|word| Direction::from_word(&word));
    if found.is_none() {
        let message = "The type is exactly `credit` or `debit`.";
        faults.push(Fault::new("type", "invalid_type", message));
    }
    found
}

fn currency_code(raw: Option<&str>, shadow: &Shadow, faults: &mut Vec<Fault>) -> Option<String> {
    let Some(raw) = raw else {
        return Some(shadow.currencies().default_code().to_owned());
    };
    let code = string(raw).filter(|code| shadow.currencies().scale(code).is_some());
    if code.is_none() {
        let message = "The currency is not a registered asset.";
        faults.push(Fault::new("currency", "currency_unknown", message));
    }
    code
}

fn amount_of(raw: Option<&str>, scale: u8, faults: &mut Vec<Fault>) -> Option<i128> {
    let Some(raw) = raw else {
        required("amount", faults);
        return None;
    };
    let text = match raw.as_bytes().first() {
        Some(b'"') => string(raw),
        Some(b'-' | b'0'..=b'9') => Some(raw.to_owned()),
        _ => None,
    };
    let read = text.map_or(Err(AmountFault::Invalid), |text| parse_amount(&text, scale));
    read.map_err(|fault| {
        let message = format!("The amount {fault}.");
        faults.push(Fault::new("amount", fault.code(), message));
    })
    .ok()
}

fn timestamp_of(
    raw: Option<&str>,
    now_ms: i64,
    shadow: &Shadow,
    faults: &mut Vec<Fault>,
) -> Option<i64> {
    let Some(raw) = raw else {
        required("timestamp", faults);
        return None;
    };
    let read = match string(raw) {
        Some(text) => parse_rfc3339(&text),
        None => parse_millis(raw),
    };
    let skew = shadow.settings().max_future_skew_ms;
    let read: Result<i64, InstantFault> =
        read.and_then(|millis| check_range(millis, now_ms, skew).map(|()| millis));
    read.map_err(|fault| {
        let message = format!("The timestamp {fault}.");
        faults.push(Fault::new("timestamp", fault.code(), message));
    })
    .ok()
}

pub(super) fn text(
    raw: Option<&str>,
    field: &'static str,
    longest: usize,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    let raw = raw?;
    let Some(text) = string(raw).filter(|text| !text.chars().any(char::is_control)) else {
        let message = "Must be text without control characters.";
        faults.push(Fault::new(field, "invalid_text", message));
        return None;
    };
    if text.chars().count() > longest {
        let message = format!("Must have at most {longest} characters.");
        faults.push(Fault::new(field, "too_long", message));
        return None;
    }
    Some(text)
}

fn sequence_of(raw: Option<&str>, faults: &mut Vec<Fault>) -> Option<i64> {
    let raw = raw?;
    let read = parse_millis(raw).ok().filter(|number| *number >= 0);
    if read.is_none() {
        let message = "The sequence is a whole number from 0 on.";
        faults.push(Fault::new("sequence", "invalid_sequence", message));
    }
    read
}
