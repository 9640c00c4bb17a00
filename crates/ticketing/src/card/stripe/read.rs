//! Stripe's objects as this room's words.

use serde_json::Value;

use crate::card::provider::{
    Dispute, DisputeStatus, Intent, IntentStatus, Movement, ProviderError, ProviderEvent,
    ProviderPayout, Refund, RefundStatus,
};
use crate::model::amounts::Minor;

/// Member of `metadata` that holds our row's id.
pub const REFERENCE: &str = "florin_row";

fn text(value: &Value, name: &str) -> Result<String, ProviderError> {
    let found = value[name].as_str().map(str::to_owned);
    found.ok_or_else(|| odd(value, name))
}

fn number(value: &Value, name: &str) -> Result<i64, ProviderError> {
    value[name].as_i64().ok_or_else(|| odd(value, name))
}

/// An answer of another shape than the API promises says nothing certain.
fn odd(value: &Value, name: &str) -> ProviderError {
    let kind = value["object"].as_str().unwrap_or("object");
    ProviderError::Unavailable(format!("{kind} without `{name}`"))
}

/// An id, whether the object stands there whole or only by its id.
fn id_of(value: &Value) -> Option<String> {
    let id = value.as_str().or_else(|| value["id"].as_str());
    id.map(str::to_owned)
}

fn currency(value: &Value) -> Result<String, ProviderError> {
    Ok(text(value, "currency")?.to_ascii_uppercase())
}

fn reference(value: &Value) -> Option<String> {
    value["metadata"][REFERENCE].as_str().map(str::to_owned)
}

/// `payment_intent`, with `latest_charge.balance_transaction` if it was expanded.
pub fn intent(value: &Value) -> Result<Intent, ProviderError> {
    let status = match value["status"].as_str() {
        Some("requires_payment_method") => IntentStatus::NeedsMethod,
        Some("requires_confirmation") => IntentStatus::NeedsConfirmation,
        Some("requires_action") => IntentStatus::NeedsAction,
        // Money that waits for a capture is not there yet; this room never asks for it.
        Some("processing" | "requires_capture") => IntentStatus::Processing,
        Some("succeeded") => IntentStatus::Succeeded,
        Some("canceled") => IntentStatus::Canceled,
        _ => return Err(odd(value, "status")),
    };
    let currency = currency(value)?;
    let transaction = &value["latest_charge"]["balance_transaction"];
    let same = transaction["currency"]
        .as_str()
        .is_some_and(|code| code.eq_ignore_ascii_case(&currency));
    let error = &value["last_payment_error"];
    let declined = error["decline_code"].as_str().or(error["code"].as_str());
    Ok(Intent {
        id: text(value, "id")?,
        status,
        received: value["amount_received"].as_i64().unwrap_or_default(),
        cost: transaction["fee"].as_i64().filter(|_| same),
        currency,
        client_secret: value["client_secret"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        next_action: Some(value["next_action"].clone()).filter(|action| !action.is_null()),
        declined: declined.map(str::to_owned),
        charge_id: id_of(&value["latest_charge"]),
        reference: reference(value),
    })
}

/// `refund`.
pub fn refund(value: &Value) -> Result<Refund, ProviderError> {
    Ok(Refund {
        id: text(value, "id")?,
        status: match value["status"].as_str() {
            Some("succeeded") => RefundStatus::Succeeded,
            Some("pending" | "requires_action") => RefundStatus::Pending,
            Some("failed" | "canceled") => RefundStatus::Failed,
            _ => return Err(odd(value, "status")),
        },
        amount: number(value, "amount")?,
        currency: currency(value)?,
        intent_id: id_of(&value["payment_intent"]),
        failure: value["failure_reason"].as_str().map(str::to_owned),
        reference: reference(value),
    })
}

/// `dispute`: what was withdrawn and given back stands in its balance transactions.
pub fn dispute(value: &Value) -> Result<Dispute, ProviderError> {
    let status = match value["status"].as_str() {
        Some("warning_closed") => DisputeStatus::InquiryClosed,
        Some(word) if word.starts_with("warning_") => DisputeStatus::Inquiry,
        Some("needs_response" | "under_review") => DisputeStatus::Open,
        Some("won" | "prevented") => DisputeStatus::Won,
        Some("lost" | "charge_refunded") => DisputeStatus::Lost,
        _ => return Err(odd(value, "status")),
    };
    let (mut withdrawn, mut reinstated) = (None, None);
    for movement in value["balance_transactions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let (amount, fee) = (number(movement, "amount")?, number(movement, "fee")?);
        let (sums, sign): (&mut Option<(Minor, Minor)>, Minor) = match amount < 0 {
            true => (&mut withdrawn, -1),
            false => (&mut reinstated, 1),
        };
        let (sum, fees) = sums.unwrap_or_default();
        // A fee is taken as a positive number and given back as a negative one.
        *sums = Some((sum + sign * amount, fees - sign * fee));
    }
    Ok(Dispute {
        id: text(value, "id")?,
        status,
        amount: number(value, "amount")?,
        currency: currency(value)?,
        intent_id: id_of(&value["payment_intent"]),
        withdrawn,
        reinstated,
    })
}

/// `payout`.
pub fn payout(value: &Value) -> Result<ProviderPayout, ProviderError> {
    Ok(ProviderPayout {
        id: text(value, "id")?,
        amount: number(value, "amount")?,
        currency: currency(value)?,
        paid: value["status"] == "paid",
    })
}

/// `event`.
pub fn event(value: &Value) -> Result<ProviderEvent, ProviderError> {
    let object = &value["data"]["object"];
    let intent = match object["object"].as_str() {
        Some("payment_intent") => id_of(&object["id"]),
        _ => id_of(&object["payment_intent"]),
    };
    Ok(ProviderEvent {
        id: text(value, "id")?,
        kind: text(value, "type")?,
        created: number(value, "created")?,
        // Some objects, such as a balance, have no id.
        object_id: id_of(&object["id"]).unwrap_or_default(),
        intent_id: intent,
    })
}

/// `balance_transaction`.
pub fn movement(value: &Value) -> Result<Movement, ProviderError> {
    Ok(Movement {
        id: text(value, "id")?,
        kind: text(value, "type")?,
        amount: number(value, "amount")?,
        fee: number(value, "fee")?,
        net: number(value, "net")?,
        currency: currency(value)?,
        source: id_of(&value["source"]).unwrap_or_default(),
        created: number(value, "created")?,
    })
}

/// `balance`: the sum of what is available and what is pending, for each currency.
pub fn balance(value: &Value) -> Result<Vec<(String, Minor)>, ProviderError> {
    let mut sums = std::collections::BTreeMap::new();
    for part in ["available", "pending"] {
        for entry in value[part].as_array().into_iter().flatten() {
            *sums.entry(currency(entry)?).or_insert(0) += number(entry, "amount")?;
        }
    }
    Ok(sums.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_dispute_moved_is_read_from_its_movements() {
        let shown = json!({
            "id": "dp_1", "object": "dispute", "amount": 9291, "currency": "eur", "status": "won",
            "payment_intent": "pi_1",
            "balance_transactions": [
                {"amount": -9291, "fee": 1500}, {"amount": 9291, "fee": -500},
            ],
        });
        let read = dispute(&shown).expect("a dispute");
        assert_eq!(read.withdrawn, Some((9291, 1500)));
        assert_eq!(read.reinstated, Some((9291, 500)));
        assert_eq!(read.currency, "EUR");
    }

    #[test]
    fn a_cost_in_another_currency_is_not_taken() {
        let shown = |currency: &str| {
            json!({
                "id": "pi_1", "status": "succeeded", "currency": "eur", "amount_received": 100,
                "latest_charge": {
                    "id": "ch_1", "balance_transaction": {"fee": 33, "currency": currency},
                },
            })
        };
        assert_eq!(intent(&shown("eur")).expect("intent").cost, Some(33));
        assert_eq!(intent(&shown("usd")).expect("intent").cost, None);
        let bare =
            json!({"id": "pi_1", "status": "canceled", "currency": "eur", "latest_charge": "ch_1"});
        let bare = intent(&bare).expect("intent");
        assert_eq!((bare.charge_id.as_deref(), bare.cost), (Some("ch_1"), None));
    }
}
