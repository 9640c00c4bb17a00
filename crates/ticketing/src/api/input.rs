//! Bodies and queries of this room: as the kit reads them, and free of card numbers (contract C5).
//!
//! Card data must not get in by accident, in a name or a note: such input is refused before it is
//! stored or logged. Exempt are members that hold ids, hashes, tokens, money or phone numbers.

use axum::extract::{FromRequest, FromRequestParts, Request};
use florin_platform::http::json::{JsonBytes, parse, parse_query};
use florin_platform::http::object::JsonValue;
use florin_platform::http::problem::Problem;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::field;

/// A JSON body, also as the plain value that [`crate::store::idempotency::Once`] compares.
#[derive(Debug, Clone)]
pub struct Body<T> {
    /// What the route wants.
    pub body: T,
    /// The same as it was sent.
    pub json: Value,
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        refuse_cards_in_query(request.uri().query().unwrap_or_default())?;
        let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
        read(&bytes)
    }
}

/// Reads and judges a body.
///
/// # Errors
/// 400 `card_data_refused`, else as [`parse`].
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Body<T>, Problem> {
    // A body that is no JSON gets the same refusal as on any other route.
    let json = match parse::<JsonValue>(bytes) {
        Ok(JsonValue(json)) => json,
        Err(problem) => return parse::<T>(bytes).and(Err(problem)),
    };
    match found_in("", &json) {
        Some(path) => Err(refused(path)),
        None => Ok(Body {
            body: parse(bytes)?,
            json,
        }),
    }
}

/// A query string without card numbers.
#[derive(Debug, Clone, Copy)]
pub struct Search<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Search<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        refuse_cards_in_query(query)?;
        parse_query(query).map(Self)
    }
}

fn refuse_cards_in_query(query: &str) -> Result<(), Problem> {
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !is_exempt(&name) && (looks_like_card(&value) || looks_like_card(&name)) {
            return Err(refused(String::new()));
        }
    }
    Ok(())
}

fn refused(path: String) -> Problem {
    field(
        path,
        "card_data_refused",
        "Card numbers are not taken here: a card is paid with through the provider's own fields.",
    )
}

/// Where a card number stands. Of a name that looks like one only its place is told.
fn found_in(path: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => looks_like_card(text).then(|| path.to_owned()),
        Value::Number(number) => looks_like_card(&number.to_string()).then(|| path.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| found_in(&format!("{path}[{index}]"), item)),
        Value::Object(members) => members.iter().find_map(|(name, inner)| {
            if looks_like_card(name) {
                return Some(path.to_owned());
            }
            let exempt = is_exempt(name) && !inner.is_object() && !inner.is_array();
            let dot = if path.is_empty() { "" } else { "." };
            (!exempt).then(|| found_in(&format!("{path}{dot}{name}"), inner))?
        }),
        Value::Null | Value::Bool(_) => None,
    }
}

/// Members whose values have a type of their own.
fn is_exempt(name: &str) -> bool {
    let ends = ["Id", "Ids", "Hash", "Token", "Amount", "Total"];
    let whole = [
        "id", "token", "cursor", "nonce", "price", "amount", "since", "index", "size", "limit",
        "from", "to", "quantity", "capacity", "n",
    ];
    ends.iter().any(|end| name.ends_with(end)) || whole.contains(&name)
}

/// 13 to 19 digits that begin with 2 to 6 and pass Luhn, without spaces, dots and hyphens.
/// A phone number begins with `+` and is none.
pub fn looks_like_card(text: &str) -> bool {
    let mut digits = [0u8; 19];
    let mut count = 0;
    for byte in text.trim().bytes() {
        match byte {
            b'0'..=b'9' if count < 19 => {
                digits[count] = byte - b'0';
                count += 1;
            }
            b' ' | b'.' | b'-' => {}
            _ => return false,
        }
    }
    let digits = &digits[..count];
    count >= 13 && (2..=6).contains(&digits[0]) && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match (place % 2, digit) {
                (0, _) => digit,
                (_, 0..=4) => digit * 2,
                _ => digit * 2 - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(body: Value) -> Option<String> {
        let read = read::<Value>(body.to_string().as_bytes());
        let problem = read.err()?;
        assert_eq!(problem.code(), "card_data_refused");
        assert!(!problem.detail().contains("4242"), "{problem}");
        Some(problem.errors()[0].field.clone())
    }

    #[test]
    fn row_23_a_card_number_in_a_name_is_refused() {
        let name = json!({"buyer": {"name": "4242 4242 4242 4242"}});
        assert_eq!(refusal(name).as_deref(), Some("buyer.name"));
        let number = json!({"answers": [1, 4_242_424_242_424_242_u64]});
        assert_eq!(refusal(number).as_deref(), Some("answers[1]"));
        let key = json!({"answers": {"4242424242424242": "x"}});
        assert_eq!(refusal(key).as_deref(), Some("answers"));
        let query = refuse_cards_in_query("a=1&note=4242-4242-4242-4242");
        assert_eq!(query.expect_err("refused").code(), "card_data_refused");
    }

    #[test]
    fn row_24_digits_that_fail_luhn_and_typed_members_are_accepted() {
        assert_eq!(refusal(json!({"note": "42424242424241"})), None);
        assert_eq!(refusal(json!({"note": "14 digits: 42424242424242"})), None);
        assert_eq!(refusal(json!({"phone": "+4242424242424242"})), None);
        assert_eq!(
            refusal(json!({"paymentMethodId": "4242424242424242"})),
            None
        );
        assert_eq!(refusal(json!({"price": "4242424242424242"})), None);
        assert!(refusal(json!({"price": {"note": "4242424242424242"}})).is_some());
        // Begins with 1, too short, too long.
        assert!(!looks_like_card("1000000000000009"));
        assert!(!looks_like_card("424242424242"));
        assert!(!looks_like_card("42424242424242424242"));
    }
}
