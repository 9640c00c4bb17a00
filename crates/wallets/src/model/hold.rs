//! A hold: a pending transfer and what became of it (contract B5).

use florin_base::Timestamp;
use florin_ledger::{
    engine::TransferState,
    model::{Mode, Record, Transfer, WalletType},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    money::{Id, Money, MoneyStyle},
    transaction::Leg,
};

/// Money reserved for somebody.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold<'a> {
    /// Id of its pending transfer.
    #[schema(example = "01977f2e-4b6a-7c3d-9e1f-2a3b4c5d6e7f")]
    id: &'a str,
    /// The wallet that pays.
    #[schema(value_type = String, format = "uuid")]
    wallet_id: Id,
    /// The wallet that receives; left out for payments to the outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    destination_wallet_id: Option<Id>,
    /// What is reserved.
    #[schema(value_type = String, example = "100.00")]
    amount: Money,
    /// Its currency.
    #[schema(example = "BRL")]
    currency: &'a str,
    /// `ACTIVE`, `CAPTURED`, `VOIDED` or `EXPIRED`.
    #[schema(example = "ACTIVE")]
    status: &'static str,
    /// What the capture took; the rest was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "60.00")]
    captured_amount: Option<Money>,
    /// The capture.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it is released by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Identity of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "booking-7")]
    reference_id: Option<&'a str>,
    /// The server made the identity: the call is not safe to retry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reference_id_generated: bool,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// The transfer of a hold, if the record is one.
pub fn hold_transfer(record: &Record) -> Option<&Transfer> {
    record.transfer().filter(|transfer| {
        let origin = transfer.origin.as_ref();
        transfer.mode == Mode::Pending
            && origin.is_some_and(|origin| origin.r#type == WalletType::Hold)
    })
}

/// The word for a pending transfer's state.
pub fn status_word(state: &str) -> &'static str {
    match state {
        "posted" => "CAPTURED",
        "voided" => "VOIDED",
        "expired" => "EXPIRED",
        _ => "ACTIVE",
    }
}

/// The words of `status`, for filters.
pub const STATUSES: [&str; 4] = ["ACTIVE", "CAPTURED", "VOIDED", "EXPIRED"];

impl<'a> Hold<'a> {
    /// The hold of a pending record; `state` is left out for one just placed.
    pub fn new(leg: Leg<'a>, state: Option<&'a TransferState>, style: MoneyStyle) -> Self {
        let transfer = leg.transfer;
        let origin = transfer.origin.as_ref();
        let posted = state.filter(|state| state.state == "posted");
        Self {
            id: &transfer.id,
            wallet_id: Id(leg.debit.wallet.unwrap_or(0)),
            destination_wallet_id: leg.credit.wallet.map(Id),
            amount: Money::positive(transfer.amount, leg.asset, style),
            currency: &leg.asset.code,
            status: status_word(state.map_or("pending", |state| state.state)),
            captured_amount: posted
                .and_then(|state| state.posted_amount)
                .map(|amount| Money::positive(amount, leg.asset, style)),
            transaction_id: posted
                .and_then(|state| state.resolved_by.as_ref())
                .map(|(id, _)| &**id),
            created_at: leg.record.recorded_at,
            expires_at: transfer.expires_at,
            reference_id: origin.and_then(|origin| origin.reference_id.as_deref()),
            reference_id_generated: false,
            description: transfer.description.as_deref(),
        }
    }

    /// Marks the identity as made by the server.
    #[must_use]
    pub const fn with_generated_reference(mut self, generated: bool) -> Self {
        self.reference_id_generated = generated;
        self
    }
}
