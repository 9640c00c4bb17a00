//! Bodies of orders: their shape and grammar.

use florin_platform::http::problem::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::problem::field;
use crate::orders::attendees::is_mail;
use crate::orders::judge::{LINES_MAX, TICKETS_MAX, Wish};
use crate::orders::row::{Attendee, Contact};

/// A quote's cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = QuoteRequest)]
pub struct QuoteBody {
    /// The event.
    pub event_id: String,
    /// 1 to 20 lines, each type once.
    pub items: Vec<Item>,
    /// One code.
    pub promo_code: Option<String>,
    /// Opens a private event.
    pub access_key: Option<String>,
}

/// A line of a cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = OrderItemRequest)]
pub struct Item {
    /// The type.
    pub ticket_type_id: String,
    /// How many, at least 1.
    pub quantity: i64,
}

/// A cart to reserve.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = OrderRequest)]
pub struct Cart {
    /// The event.
    pub event_id: String,
    /// 1 to 20 lines, each type once.
    pub items: Vec<Item>,
    /// Signed-in buyers may leave out the e-mail.
    pub buyer: Option<Buyer>,
    /// One code.
    pub promo_code: Option<String>,
    /// The total that the buyer saw; another one is refused.
    #[schema(example = "92.91")]
    pub expected_total: Option<String>,
    /// Who will come.
    #[schema(value_type = Option<Vec<Value>>)]
    pub attendees: Option<Vec<Attendee>>,
    /// Visitor of the funnel.
    pub visitor_id: Option<String>,
    /// `utmSource`, `utmMedium`, `utmCampaign`, `ref`.
    #[schema(value_type = Option<Value>)]
    pub source: Option<Map<String, Value>>,
    /// Opens a private event.
    pub access_key: Option<String>,
}

/// Who buys.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BuyerRequest)]
pub struct Buyer {
    /// E-mail.
    pub email: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// E.164.
    pub phone: Option<String>,
}

/// What may change of an open order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderPatch)]
pub struct PatchBody {
    /// Who will come; replaces what was said before.
    #[schema(value_type = Option<Vec<Value>>)]
    pub attendees: Option<Vec<Attendee>>,
    /// Name and phone.
    pub buyer: Option<Buyer>,
}

/// 400 of a field that is missing.
pub fn required(name: &'static str) -> Problem {
    Problem::validation(name, "This field is required.")
}

/// The lines of a cart.
///
/// # Errors
/// 400 `validation_failed`, `duplicate_item`.
pub fn wishes(items: &[Item]) -> Result<Vec<Wish>, Problem> {
    if items.is_empty() || items.len() > LINES_MAX {
        return Err(Problem::validation("items", "A cart has 1 to 20 lines."));
    }
    let mut wishes: Vec<Wish> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if item.quantity < 1 || item.quantity > 1_000 * TICKETS_MAX {
            let name = format!("items[{index}].quantity");
            return Err(Problem::validation(name, "Must be 1 or more."));
        }
        if wishes
            .iter()
            .any(|wish| wish.type_id == item.ticket_type_id)
        {
            return Err(field(
                format!("items[{index}].ticketTypeId"),
                "duplicate_item",
                "Each type may stand in the cart once.",
            ));
        }
        wishes.push(Wish {
            type_id: item.ticket_type_id.clone(),
            quantity: item.quantity,
        });
    }
    Ok(wishes)
}

/// A promo code as it is compared.
pub fn code(text: &str) -> String {
    text.trim().to_uppercase()
}

/// Who buys.
///
/// # Errors
/// 400 `validation_failed`.
pub fn contact(buyer: Option<Buyer>, signed_in: bool) -> Result<Contact, Problem> {
    let buyer = buyer.unwrap_or_default();
    let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let email = trimmed(buyer.email);
    match &email {
        None if !signed_in => return Err(required("buyer.email")),
        Some(mail) if !is_mail(mail) => {
            return Err(Problem::validation(
                "buyer.email",
                "Must be an e-mail address.",
            ));
        }
        _ => {}
    }
    let name = trimmed(buyer.name);
    let too_long = |text: &String| text.is_empty() || text.chars().count() > 120;
    if name.as_ref().is_some_and(too_long) {
        return Err(Problem::validation(
            "buyer.name",
            "Must be 1 to 120 characters.",
        ));
    }
    let phone = trimmed(buyer.phone);
    if phone.as_deref().is_some_and(|phone| !is_phone(phone)) {
        let message = "Must be a number in the form +4930123456 (E.164).";
        return Err(Problem::validation("buyer.phone", message));
    }
    Ok(Contact { email, name, phone })
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// A text of at most 100 characters.
///
/// # Errors
/// 400 `validation_failed`.
pub fn short(name: &'static str, text: Option<String>) -> Result<Option<String>, Problem> {
    match &text {
        Some(text) if text.is_empty() || text.chars().count() > 100 => {
            Err(Problem::validation(name, "Must be 1 to 100 characters."))
        }
        _ => Ok(text),
    }
}

/// Where the buyer came from.
///
/// # Errors
/// 400 `unknown_field`, `validation_failed`.
pub fn source(given: Option<Map<String, Value>>) -> Result<Option<String>, Problem> {
    let Some(map) = given else {
        return Ok(None);
    };
    for (name, value) in &map {
        if !matches!(&**name, "utmSource" | "utmMedium" | "utmCampaign" | "ref") {
            return Err(Problem::unknown_field(format!("source.{name}")));
        }
        let good = value
            .as_str()
            .is_some_and(|text| text.chars().count() <= 200);
        if !good && !value.is_null() {
            let name = format!("source.{name}");
            return Err(Problem::validation(name, "Must be at most 200 characters."));
        }
    }
    Ok((!map.is_empty()).then(|| Value::Object(map).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_e164() {
        assert!(is_phone("+4930123456"));
        for bad in [
            "4930123456",
            "+0493012",
            "+49 30 12",
            "+12345",
            "+1234567890123456",
        ] {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    #[test]
    fn each_type_stands_once() {
        let item = |id: &str, quantity| Item {
            ticket_type_id: id.into(),
            quantity,
        };
        let twice = wishes(&[item("a", 1), item("a", 2)]).expect_err("twice");
        assert_eq!(twice.code(), "duplicate_item");
        assert!(wishes(&[item("a", 0)]).is_err());
        assert!(wishes(&[]).is_err());
    }
}
