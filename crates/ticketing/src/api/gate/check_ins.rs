//! Scans, one by one and in batches (contract D3, D4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_base::ids::parse_canonical_uuid;
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

use super::{Keeper, keeper, permission};
use crate::api::check;
use crate::api::input::Body;
use crate::gate::record::{Delivery, record};
use crate::gate::scan::{Code, Scan, prepare};
use crate::gate::together;
use crate::model::scan::{Direction, Reason};
use crate::{Ticketing, limits};

/// Most scans of one batch.
const BATCH_MAX: usize = 1_000;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Gate", description = "Scanning tickets with and without a network")),
    paths(one, batch)
)]
struct Document;

pub(super) fn routes() -> Routes<Ticketing> {
    // The permission is asked for in the handler: a device has a key and no role.
    Routes::new()
        .route(
            RouteSpec::post("/api/v1/events/{id}/check-ins", Access::Optional),
            one,
        )
        .route(
            RouteSpec::post("/api/v1/events/{id}/check-ins/batch", Access::Optional),
            batch,
        )
        .document(Document::openapi())
}

/// A scan. One of `token`, `ticketId`, `ticketNumber` names the ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CheckInRequest)]
pub(super) struct ScanBody {
    /// Text of the QR code.
    token: Option<String>,
    ticket_id: Option<String>,
    ticket_number: Option<String>,
    /// The scan's own UUID: the same again is answered the same.
    nonce: String,
    /// Which scanner, 1 to 100 characters.
    device_id: String,
    /// Which gate, at most 100 characters.
    gate: Option<String>,
    /// 0 to 15; without it the area is not checked.
    area: Option<u8>,
    /// `in` (default) or `out`.
    direction: Option<String>,
    /// By the scanner's clock.
    scanned_at: String,
    /// Without network: the bundle was older than 24 hours.
    stale_bundle: Option<bool>,
    /// Without network: `admitted` (default) or `denied`, as the scanner decided.
    result: Option<String>,
    /// Without network: why it was denied.
    reason: Option<String>,
}

impl ScanBody {
    fn read(self, keeper: &Keeper) -> Result<Scan, Problem> {
        let uuid = |name: &'static str, text: &str| {
            parse_canonical_uuid(text)
                .ok_or_else(|| Problem::validation(name, "A UUID in lower case."))
        };
        let code = match (self.token, self.ticket_id, self.ticket_number) {
            (Some(token), None, None) => Code::Token(token.trim().to_owned()),
            (None, Some(id), None) => Code::Id(uuid("ticketId", &id)?.to_string()),
            (None, None, Some(number)) => Code::Number(number.trim().to_ascii_uppercase()),
            _ => {
                let message = "Exactly one of token, ticketId and ticketNumber.";
                return Err(Problem::validation("token", message));
            }
        };
        let device_id = check::line("deviceId", &self.device_id, 1, 100)?;
        if keeper.device.as_ref().is_some_and(|d| d.id != device_id) {
            let message = "With a device's key only the device itself scans.";
            return Err(Problem::validation("deviceId", message));
        }
        let direction = self.direction.as_deref().unwrap_or("in");
        if self.area.is_some_and(|area| area > 15) {
            return Err(Problem::validation("area", "Must be 0 to 15."));
        }
        Ok(Scan {
            code,
            nonce: uuid("nonce", &self.nonce)?,
            device_id,
            gate: self
                .gate
                .map(|gate| check::line("gate", &gate, 1, 100))
                .transpose()?,
            area: self.area,
            direction: Direction::from_word(direction)
                .ok_or_else(|| Problem::validation("direction", "Must be in or out."))?,
            scanned_at: check::instant("scannedAt", &self.scanned_at)?,
            stale_bundle: self.stale_bundle.unwrap_or(false),
            refused: refused(self.result.as_deref(), self.reason.as_deref())?,
            actor: keeper.actor.clone(),
        })
    }
}

/// What a scanner without network decided.
fn refused(result: Option<&str>, reason: Option<&str>) -> Result<Option<Reason>, Problem> {
    match result {
        None | Some("admitted") => Ok(None),
        Some("denied") => {
            let reason = reason.and_then(Reason::from_word);
            let denied = reason.filter(|reason| !reason.is_admitted());
            denied.map(Some).ok_or_else(|| {
                Problem::validation(
                    "reason",
                    "A denied scan has one of the reasons of a denial.",
                )
            })
        }
        Some(_) => Err(Problem::validation("result", "Must be admitted or denied.")),
    }
}

/// Check a ticket in or out.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/check-ins", tag = "Gate",
    params(
        ("id" = String, Path),
        ("X-Device-Key" = Option<String>, Header, description = "Of a registered scanner"),
    ),
    request_body = ScanBody,
    responses(
        (status = 200, description = "`result` admitted or denied, `reason`, the ticket, and who was `first`", body = Object),
        (status = 404, description = "`event_not_found`"),
    )
)]
async fn one(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body { body, .. }: Body<ScanBody>,
) -> Result<Response, Problem> {
    let write = permission::CHECKINS_WRITE;
    let keeper = keeper(&room, caller.as_ref(), &headers, &id, write).await?;
    let mut scan = body.read(&keeper)?;
    // With a network the scanner decides nothing.
    (scan.refused, scan.stale_bundle) = (None, false);
    let device = format!("{id}:{}", scan.device_id);
    room.limits.take(limits::CHECK_IN, &device).await?;
    let mut prepared = prepare(&room, &id, vec![scan]).await?;
    let prepared = prepared
        .pop()
        .ok_or_else(|| Problem::internal("a scan that was not read"))?;
    let answer = together::one(&room, &id, prepared).await?;
    Ok(Json(answer).into_response())
}

/// Many scans of one scanner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CheckInBatch)]
struct BatchBody {
    /// The scanner's clock at this moment.
    device_now: String,
    /// The scanner judged them itself, and people have passed.
    offline: Option<bool>,
    /// At most 1000; each stands alone.
    #[schema(value_type = Vec<ScanBody>)]
    scans: Vec<Value>,
}

/// Check many in, or tell what was scanned without a network. A scan that cannot be read is
/// answered `malformed` and holds up no other.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/check-ins/batch", tag = "Gate",
    params(("id" = String, Path), ("X-Device-Key" = Option<String>, Header)),
    request_body = BatchBody,
    responses(
        (status = 200, description = "`items` in the order of the scans", body = Object),
        (status = 404, description = "`event_not_found`"),
    )
)]
async fn batch(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body { body, .. }: Body<BatchBody>,
) -> Result<Response, Problem> {
    let write = permission::CHECKINS_WRITE;
    let keeper = keeper(&room, caller.as_ref(), &headers, &id, write).await?;
    if body.scans.len() > BATCH_MAX {
        return Err(Problem::validation("scans", "At most 1000 scans."));
    }
    let device_now = check::instant("deviceNow", &body.device_now)?;
    let offline = body.offline.unwrap_or(false);
    let sender = keeper.actor.clone();
    room.limits
        .take(limits::CHECK_IN_BATCH, &format!("{id}:{sender}"))
        .await?;
    let mut readable = Vec::with_capacity(body.scans.len());
    let mut places = Vec::with_capacity(body.scans.len());
    for value in body.scans {
        let read = serde_json::from_value::<ScanBody>(value).ok();
        let scan = read.and_then(|scan| scan.read(&keeper).ok());
        places.push(scan.is_some());
        if let Some(mut scan) = scan {
            if !offline {
                (scan.refused, scan.stale_bundle) = (None, false);
            }
            readable.push(scan);
        }
    }
    let delivery = Delivery {
        event_id: &id,
        device_now: Some(device_now),
        offline,
    };
    let prepared = prepare(&room, &id, readable).await?;
    let mut answers = record(&room, &delivery, &prepared).await?.into_iter();
    let now = Timestamp(room.now());
    let items: Vec<Value> = places
        .into_iter()
        .map(
            |readable| match readable.then(|| answers.next()).flatten() {
                Some(answer) => serde_json::to_value(answer).unwrap_or_default(),
                None => json!({
                    "id": null, "nonce": null, "result": "denied", "reason": "malformed",
                    "ticket": null, "effectiveAt": now,
                }),
            },
        )
        .collect();
    Ok(Json(json!({"items": items})).into_response())
}
