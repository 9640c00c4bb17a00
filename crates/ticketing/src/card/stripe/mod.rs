//! Stripe as [`Provider`]: a thin client over HTTP (contract C5). The fake of this crate speaks
//! the same protocol; only the base address differs.

mod read;
mod signature;
mod wire;

use std::time::Duration;

use florin_base::Secret;
use florin_platform::http::client::{ClientConfig, ClientError, Outgoing, Targets};
use serde_json::Value;

use super::provider::{
    BadWebhook, Calling, Confirm, Dispute, Intent, Movement, NewIntent, NewRefund, Provider,
    ProviderError, ProviderEvent, ProviderPayout, Refund,
};
use crate::model::amounts::Minor;
use wire::{Call, Wire};

/// Where the real provider is.
pub const BASE_URL: &str = "https://api.stripe.com";
/// Longest wait for one try of a call.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Objects of a page of a list, the most the provider gives.
const PAGE: &str = "100";
/// Pages of one list that are read.
const PAGES_MAX: usize = 1_000;
/// Brings what a charge cost along with its intent.
const WITH_COST: &str = "latest_charge.balance_transaction";

/// How the provider is reached.
#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// Its base address, without a trailing slash.
    pub base_url: String,
    /// The secret key.
    pub secret_key: Secret<String>,
    /// The publishable key.
    pub publishable_key: String,
    /// Secrets of the webhook; several while one is replaced by another.
    pub webhook_secrets: Vec<Secret<String>>,
}

/// The client.
#[derive(Debug, Clone)]
pub struct Stripe {
    wire: Wire,
    publishable_key: String,
    webhook_secrets: Vec<Secret<String>>,
}

impl Stripe {
    /// Builds the client; nothing is called.
    ///
    /// # Errors
    /// As [`Outgoing::new`].
    pub fn new(settings: StripeSettings) -> Result<Self, ClientError> {
        // The operator configured the address; it may be a loopback one.
        let mut config = ClientConfig::new(Targets::Any);
        config.timeout = TIMEOUT;
        Ok(Self {
            wire: Wire {
                client: Outgoing::new(&config)?,
                base_url: settings.base_url.trim_end_matches('/').to_owned(),
                secret_key: settings.secret_key,
            },
            publishable_key: settings.publishable_key,
            webhook_secrets: settings.webhook_secrets,
        })
    }

    /// All objects of a list, oldest first.
    async fn list(
        &self,
        path: &str,
        filter: &[(&str, String)],
    ) -> Result<Vec<Value>, ProviderError> {
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut call = Call::get(path.to_owned()).with("limit", PAGE);
            for (name, value) in filter {
                call = call.with(name, value.clone());
            }
            if let Some(last) = all.last().and_then(|last| last["id"].as_str()) {
                call = call.with("starting_after", last);
            }
            let mut page = self.wire.call(call).await?;
            let items = page["data"]
                .as_array_mut()
                .map(std::mem::take)
                .unwrap_or_default();
            let more = page["has_more"] == true && !items.is_empty();
            all.extend(items);
            if !more {
                all.reverse();
                return Ok(all);
            }
        }
        Err(ProviderError::Unavailable("the list is too long".into()))
    }
}

/// A path with an id that came from the provider or from our own row.
fn path(before: &str, id: &str, after: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let id: String = id.chars().filter(|c| plain(*c)).collect();
    format!("/v1/{before}/{id}{after}")
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn publishable_key(&self) -> &str {
        &self.publishable_key
    }

    fn minimum(&self, currency: &str) -> Minor {
        match currency {
            "GBP" => 30,
            "AED" | "MYR" | "PLN" => 200,
            "DKK" => 250,
            "NOK" | "SEK" => 300,
            "HKD" => 400,
            "MXN" | "THB" => 1_000,
            "CZK" => 1_500,
            "HUF" => 17_500,
            _ => 50,
        }
    }

    fn create<'a>(&'a self, new: &'a NewIntent) -> Calling<'a, Intent> {
        Box::pin(async move {
            let key = format!("florin-intent-{}", new.reference);
            let call = Call::post("/v1/payment_intents".to_owned(), &key)
                .with("amount", new.amount.to_string())
                .with("currency", new.currency.to_ascii_lowercase())
                .with("automatic_payment_methods[enabled]", "true")
                .with("description", &new.order_number)
                .with("metadata[order_id]", &new.order_id)
                .with("metadata[order_number]", &new.order_number)
                .with("metadata[florin_row]", &new.reference);
            read::intent(&self.wire.call(call).await?)
        })
    }

    fn confirm<'a>(&'a self, intent_id: &'a str, with: &'a Confirm) -> Calling<'a, Intent> {
        Box::pin(async move {
            let call = Call::post(path("payment_intents", intent_id, "/confirm"), &with.key)
                .with("payment_method", &with.payment_method)
                .with_some("return_url", with.return_url.as_deref())
                .with("expand[]", WITH_COST);
            read::intent(&self.wire.call(call).await?)
        })
    }

    fn cancel<'a>(&'a self, intent_id: &'a str, key: &'a str) -> Calling<'a, Intent> {
        Box::pin(async move {
            let call = Call::post(path("payment_intents", intent_id, "/cancel"), key)
                .with("cancellation_reason", "abandoned");
            read::intent(&self.wire.call(call).await?)
        })
    }

    fn intent<'a>(&'a self, intent_id: &'a str) -> Calling<'a, Intent> {
        Box::pin(async move {
            let call =
                Call::get(path("payment_intents", intent_id, "")).with("expand[]", WITH_COST);
            read::intent(&self.wire.call(call).await?)
        })
    }

    fn refund<'a>(&'a self, new: &'a NewRefund) -> Calling<'a, Refund> {
        Box::pin(async move {
            let key = format!("florin-refund-{}", new.reference);
            let call = Call::post("/v1/refunds".to_owned(), &key)
                .with("payment_intent", &new.intent_id)
                .with("amount", new.amount.to_string())
                .with("metadata[florin_row]", &new.reference);
            read::refund(&self.wire.call(call).await?)
        })
    }

    fn refund_now<'a>(&'a self, refund_id: &'a str) -> Calling<'a, Refund> {
        Box::pin(async move {
            let call = Call::get(path("refunds", refund_id, ""));
            read::refund(&self.wire.call(call).await?)
        })
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> Calling<'a, Vec<Refund>> {
        Box::pin(async move {
            let filter = [("payment_intent", intent_id.to_owned())];
            let all = self.list("/v1/refunds", &filter).await?;
            all.iter().map(read::refund).collect()
        })
    }

    fn dispute<'a>(&'a self, dispute_id: &'a str) -> Calling<'a, Dispute> {
        Box::pin(async move {
            let call = Call::get(path("disputes", dispute_id, ""));
            read::dispute(&self.wire.call(call).await?)
        })
    }

    fn payout<'a>(&'a self, payout_id: &'a str) -> Calling<'a, ProviderPayout> {
        Box::pin(async move {
            let call = Call::get(path("payouts", payout_id, ""));
            read::payout(&self.wire.call(call).await?)
        })
    }

    fn events<'a>(&'a self, from: i64, until: i64) -> Calling<'a, Vec<ProviderEvent>> {
        Box::pin(async move {
            let filter = [
                ("created[gte]", from.to_string()),
                ("created[lte]", until.to_string()),
            ];
            let all = self.list("/v1/events", &filter).await?;
            all.iter().map(read::event).collect()
        })
    }

    fn movements<'a>(&'a self, from: i64, until: i64) -> Calling<'a, Vec<Movement>> {
        Box::pin(async move {
            let filter = [
                ("created[gte]", from.to_string()),
                ("created[lt]", until.to_string()),
            ];
            let all = self.list("/v1/balance_transactions", &filter).await?;
            all.iter().map(read::movement).collect()
        })
    }

    fn balance<'a>(&'a self) -> Calling<'a, Vec<(String, Minor)>> {
        Box::pin(async move {
            let call = Call::get("/v1/balance".to_owned());
            read::balance(&self.wire.call(call).await?)
        })
    }

    fn webhook(
        &self,
        signature: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<ProviderEvent, BadWebhook> {
        let header = signature.ok_or(BadWebhook::Signature)?;
        if !signature::is_good(header, body, &self.webhook_secrets, now) {
            return Err(BadWebhook::Signature);
        }
        let value: Value = serde_json::from_slice(body).map_err(|_| BadWebhook::Body)?;
        read::event(&value).map_err(|_| BadWebhook::Body)
    }
}
