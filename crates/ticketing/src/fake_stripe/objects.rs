//! What the fake keeps, and how Stripe prints it. Amounts are minor units, times are seconds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Version of the API whose shapes are printed.
pub const API_VERSION: &str = "2024-06-20";

/// Status of a payment intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStatus {
    NeedsMethod,
    NeedsConfirmation,
    NeedsAction,
    Processing,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub const fn word(self) -> &'static str {
        match self {
            Self::NeedsMethod => "requires_payment_method",
            Self::NeedsConfirmation => "requires_confirmation",
            Self::NeedsAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// A customer can still pay it.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Canceled | Self::Processing)
    }
}

/// Why a charge failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: &'static str,
    pub decline_code: Option<&'static str>,
    pub message: &'static str,
}

impl Failure {
    pub fn json(&self) -> Value {
        json!({
            "type": "card_error",
            "code": self.code,
            "decline_code": self.decline_code,
            "message": self.message,
        })
    }
}

#[derive(Debug, Clone)]
pub struct Intent {
    pub id: String,
    pub secret: String,
    pub amount: i64,
    pub amount_received: i64,
    pub currency: String,
    pub status: IntentStatus,
    pub method: Option<String>,
    pub return_url: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub latest_charge: Option<String>,
    pub last_error: Option<Failure>,
    pub created: i64,
    pub canceled_at: Option<i64>,
    pub cancellation_reason: Option<String>,
    pub next_action: Option<Value>,
}

impl Intent {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_received": self.amount_received,
            "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": "automatic",
            "client_secret": self.secret,
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "description": self.description,
            "last_payment_error": self.last_error.as_ref().map(Failure::json),
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": self.metadata,
            "next_action": self.next_action,
            "payment_method": self.method,
            "payment_method_types": ["card"],
            "receipt_email": null,
            "status": self.status.word(),
        })
    }
}

#[derive(Debug, Clone)]
pub struct Charge {
    pub id: String,
    pub intent: String,
    pub amount: i64,
    pub refunded: i64,
    pub currency: String,
    pub method: String,
    pub paid: bool,
    pub failure: Option<Failure>,
    pub disputed: bool,
    pub balance_transaction: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub created: i64,
}

impl Charge {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if self.paid { self.amount } else { 0 },
            "amount_refunded": self.refunded,
            "balance_transaction": self.balance_transaction,
            "captured": self.paid,
            "created": self.created,
            "currency": self.currency,
            "disputed": self.disputed,
            "failure_code": self.failure.as_ref().map(|failure| failure.code),
            "failure_message": self.failure.as_ref().map(|failure| failure.message),
            "livemode": false,
            "metadata": self.metadata,
            "outcome": {
                "network_status": if self.paid { "approved_by_network" } else { "declined_by_network" },
                "type": if self.paid { "authorized" } else { "issuer_declined" },
            },
            "paid": self.paid,
            "payment_intent": self.intent,
            "payment_method": self.method,
            "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
            "refunded": self.paid && self.refunded == self.amount,
            "status": if self.paid { "succeeded" } else { "failed" },
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

impl RefundStatus {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Refund {
    pub id: String,
    pub intent: String,
    pub charge: String,
    pub amount: i64,
    pub currency: String,
    pub status: RefundStatus,
    pub reason: Option<String>,
    pub failure_reason: Option<&'static str>,
    pub balance_transaction: Option<String>,
    pub failure_balance_transaction: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub created: i64,
    /// When a pending one ends, and how.
    pub settles: Option<(i64, RefundStatus)>,
}

impl Refund {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "failure_balance_transaction": self.failure_balance_transaction,
            "failure_reason": self.failure_reason,
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "reason": self.reason,
            "status": self.status.word(),
        })
    }
}

#[derive(Debug, Clone)]
pub struct Dispute {
    pub id: String,
    pub intent: String,
    pub charge: String,
    pub amount: i64,
    pub currency: String,
    pub status: &'static str,
    pub balance_transactions: Vec<String>,
    pub created: i64,
}

impl Dispute {
    pub fn is_inquiry(&self) -> bool {
        self.status.starts_with("warning_")
    }
}

#[derive(Debug, Clone)]
pub struct BalanceTransaction {
    pub id: String,
    pub kind: &'static str,
    pub category: &'static str,
    pub amount: i64,
    pub fee: i64,
    pub currency: String,
    pub source: String,
    pub created: i64,
}

impl BalanceTransaction {
    pub const fn net(&self) -> i64 {
        self.amount - self.fee
    }

    pub fn json(&self) -> Value {
        let details = match self.fee {
            0 => json!([]),
            fee => json!([{
                "amount": fee, "currency": self.currency, "type": "stripe_fee",
                "description": "Processing fees",
            }]),
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.created,
            "created": self.created,
            "currency": self.currency,
            "description": null,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": details,
            "net": self.net(),
            "reporting_category": self.category,
            "source": self.source,
            "status": "available",
            "type": self.kind,
        })
    }
}

#[derive(Debug, Clone)]
pub struct Payout {
    pub id: String,
    pub amount: i64,
    pub currency: String,
    pub balance_transaction: String,
    pub created: i64,
}

impl Payout {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payout",
            "amount": self.amount,
            "arrival_date": self.created,
            "automatic": true,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "livemode": false,
            "method": "standard",
            "status": "paid",
            "type": "bank_account",
        })
    }
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub kind: &'static str,
    pub object: Value,
    pub created: i64,
    /// Attempts of all endpoints, for `/_control/state`.
    pub attempts: u32,
    /// Endpoints that answered 2xx.
    pub delivered: u32,
}

impl Event {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": {"object": self.object},
            "livemode": false,
            "pending_webhooks": 0,
            "request": {"id": null, "idempotency_key": null},
            "type": self.kind,
        })
    }
}

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    pub secret: String,
    pub events: Vec<String>,
    pub created: i64,
}

impl Endpoint {
    pub fn wants(&self, kind: &str) -> bool {
        self.events.iter().any(|name| name == "*" || name == kind)
    }

    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": API_VERSION,
            "created": self.created,
            "enabled_events": self.events,
            "livemode": false,
            "metadata": {},
            "status": "enabled",
            "url": self.url,
        })
    }
}
