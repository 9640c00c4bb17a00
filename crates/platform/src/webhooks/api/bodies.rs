//! The JSON of the webhook routes.

use florin_base::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::webhooks::{
    model::{Delivery, Endpoint, Try},
    sign::SigningSecret,
};

/// A receiver to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WebhookRequest)]
pub struct CreateRequest {
    /// Where events are POSTed; `https` and public.
    #[schema(value_type = String, example = "https://example.com/florin")]
    pub url: Box<str>,
    /// Names of the events wanted; left out: all.
    #[schema(value_type = Option<Vec<String>>, example = json!(["FundsDeposited"]))]
    pub events: Option<Vec<Box<str>>>,
    /// Only events of this wallet.
    #[schema(value_type = Option<String>)]
    pub wallet_id: Option<Box<str>>,
}

/// A receiver.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct EndpointBody {
    id: String,
    url: String,
    /// Names of the events wanted; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<Vec<Box<str>>>,
    /// Only events of this wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet_id: Option<String>,
    /// enabled or disabled.
    status: &'static str,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    /// Events up to this `seq` are older than the webhook and not sent.
    since_seq: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Endpoint> for EndpointBody {
    fn from(endpoint: &Endpoint) -> Self {
        let disabled = endpoint.disabled.as_deref();
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.to_string(),
            events: endpoint.events.clone(),
            wallet_id: endpoint.key.as_deref().map(str::to_owned),
            status: if disabled.is_some() {
                "disabled"
            } else {
                "enabled"
            },
            disabled_reason: disabled.map(str::to_owned),
            since_seq: endpoint.since_seq,
            created_at: Timestamp(endpoint.created_at),
        }
    }
}

impl EndpointBody {
    /// Where the key stands in the path it is not shown again.
    pub(super) fn without_key(mut self) -> Self {
        self.wallet_id = None;
        self
    }
}

/// A receiver that was registered just now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookCreated)]
pub struct CreatedBody {
    #[serde(flatten)]
    endpoint: EndpointBody,
    /// `whsec_` and base64; the decoded bytes are the HMAC key. Shown only here.
    secret: String,
}

impl CreatedBody {
    /// What is shown of a new receiver, with its secret.
    pub fn new(shown: EndpointBody, endpoint: &Endpoint) -> Self {
        Self {
            endpoint: shown,
            secret: endpoint.secret.expose().to_owned(),
        }
    }
}

/// A page of receivers.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct EndpointPage {
    items: Vec<EndpointBody>,
    next_cursor: Option<String>,
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookRotated)]
pub struct RotatedBody {
    id: String,
    /// The new secret, shown only here.
    secret: String,
    /// Until then the former secret signs too.
    #[schema(value_type = String, format = DateTime)]
    previous_valid_until: Timestamp,
}

impl RotatedBody {
    /// The answer to a rotation; `until` in microseconds.
    pub fn new(id: &str, secret: &SigningSecret, until: i64) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.expose().to_owned(),
            previous_valid_until: Timestamp(until),
        }
    }
}

/// How many deliveries were queued again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookReplayed)]
pub struct ReplayedBody {
    /// Count of deliveries.
    pub queued: u64,
}

/// Page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// 1 to 500.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// Page of deliveries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only in this state.
    pub state: Option<String>,
    /// 1 to 500.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// One event on its way to a receiver.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookDelivery)]
pub struct DeliveryBody {
    id: String,
    event_id: String,
    event_type: String,
    /// Deliveries of one key stay in order: the wallet.
    key: String,
    /// ready, waiting (behind another of its key), accepted or parked.
    state: &'static str,
    /// Tries so far.
    tries: u32,
    /// Earliest next try; only while it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was accepted or parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl From<&Delivery> for DeliveryBody {
    fn from(delivery: &Delivery) -> Self {
        let ready = delivery.state == crate::webhooks::State::Ready;
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            event_type: delivery.event_type.to_string(),
            key: delivery.key.to_string(),
            state: delivery.state.word(),
            tries: delivery.tries_total,
            next_try_at: ready.then_some(Timestamp(delivery.next_at)),
            created_at: Timestamp(delivery.created_at),
            finished_at: delivery.finished_at.map(Timestamp),
        }
    }
}

/// A page of deliveries.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookDeliveryPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct DeliveryPage {
    items: Vec<DeliveryBody>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookTry)]
struct TryBody {
    number: u32,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    duration_ms: u64,
}

/// A delivery with what is sent and the log of its tries.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookDeliveryDetail)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// The body that is sent, as text.
    body: String,
    /// Every try, oldest first.
    log: Vec<TryBody>,
}

impl DeliveryDetail {
    /// A delivery with its log.
    pub fn new(delivery: &Delivery, tries: &[Try]) -> Self {
        let row = |tried: &Try| TryBody {
            number: tried.number,
            at: Timestamp(tried.at),
            status: tried.status,
            error: tried.error.as_deref().map(str::to_owned),
            duration_ms: tried.duration_ms,
        };
        Self {
            delivery: delivery.into(),
            body: delivery.body.to_string(),
            log: tries.iter().map(row).collect(),
        }
    }
}
