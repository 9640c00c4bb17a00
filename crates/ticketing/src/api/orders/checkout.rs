//! `POST /orders/{id}/checkout` (contract B2).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::{Access, Permission, Principal, Reach};
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Who, again, opened};
use crate::api::input::Body;
use crate::api::{permission, problem};
use crate::card::CardCheckout;
use crate::orders::access::Opened;
use crate::orders::card_pay;
use crate::orders::checkout::{self, Checked};
use crate::orders::row;
use crate::orders::wallet_pay::{Payer, wallet_not_found};
use crate::store::idempotency::Once;
use crate::{Ticketing, limits};

/// Of the wallets' contract: the payer must be able to take money out of the wallet.
const WALLETS_WRITE: Permission = Permission::new("wallets:write");

/// The route.
pub fn routes() -> Routes<Ticketing> {
    let path = "/api/v1/orders/{id}/checkout";
    Routes::new().route(RouteSpec::post(path, Access::Optional), checkout)
}

/// How an order is paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CheckoutRequest)]
pub struct CheckoutBody {
    /// `free`, `wallet` or `card`.
    method: String,
    /// The wallet, for `wallet`.
    wallet_id: Option<String>,
    /// For `card`: `pm_…`; confirms at once.
    payment_method_id: Option<String>,
    /// For `card`: where the buyer comes back to.
    return_url: Option<String>,
}

/// Pay an order, or confirm one that costs nothing.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/checkout", tag = "Orders", request_body = CheckoutBody,
    params(
        ("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Needed"),
        ("X-Access-Token" = Option<String>, Header)
    ),
    responses(
        (status = 200, description = "The order, confirmed or pending", body = Value),
        (status = 400, description = "`attendee_required`, `idempotency_key_required`"),
        (status = 402, description = "`payment_declined` with `declineCode`"),
        (status = 404, description = "`order_not_found`, `wallet_not_found`"),
        (status = 409, description = "`order_state`, `payment_method_mismatch`, `payment_in_progress`, `amount_below_minimum`"),
        (status = 410, description = "`hold_expired`"),
        (status = 422, description = "`currency_mismatch`"),
    )
)]
pub async fn checkout(
    State(room): State<Ticketing>,
    caller: Who,
    headers: HeaderMap,
    axum::Extension(info): axum::Extension<RequestInfo>,
    key: IdempotencyKey,
    Path(id): Path<String>,
    Body { body, json }: Body<CheckoutBody>,
) -> Result<Response, Problem> {
    let key = key.as_deref().ok_or_else(problem::key_required)?;
    let needs = permission::TICKETS_MANAGE;
    let (order, right) = opened(&room, &caller, &headers, &info, &id, needs).await?;
    if right != Opened::Buyer {
        return Err(row::not_found());
    }
    room.limits.take(limits::CHECKOUT, &order.id).await?;
    let once = Once::new(&room.secrets, format!("checkout:{}", order.id), key, &json);
    let checked = match (&*body.method, body.wallet_id) {
        ("free", None) => checkout::free(&room, &order, &once).await?,
        ("wallet", Some(wallet_id)) => {
            let payer = payer(caller.as_deref(), wallet_id)?;
            checkout::wallet(&room, &order, payer, &once).await?
        }
        ("wallet", None) => {
            return Err(Problem::validation("walletId", "This field is required."));
        }
        ("card", None) => {
            let ask = CardCheckout {
                payment_method_id: body.payment_method_id,
                return_url: body.return_url,
            };
            card_pay::checkout(&room, &order, &ask, &once).await?
        }
        ("free" | "card", Some(_)) => {
            return Err(Problem::validation("walletId", "Only for `wallet`."));
        }
        _ => {
            return Err(Problem::validation(
                "method",
                "Must be `free`, `wallet` or `card`.",
            ));
        }
    };
    room.told.notify_one();
    match checked {
        Checked::Done(body) => Ok(Json::<Value>(body).into_response()),
        Checked::Again(kept) => again(&room, kept).await,
    }
}

/// Whoever may take money out of the wallet; for all others there is none.
fn payer(caller: Option<&Principal>, wallet_id: String) -> Result<Payer, Problem> {
    let caller = caller.ok_or_else(wallet_not_found)?;
    let reach = caller.permissions.reach(WALLETS_WRITE);
    let owner_sub = match reach {
        Some(Reach::All) => None,
        Some(Reach::Own) => Some(caller.owner.to_string()),
        None => return Err(wallet_not_found()),
    };
    Ok(Payer {
        wallet_id,
        owner_sub,
    })
}
