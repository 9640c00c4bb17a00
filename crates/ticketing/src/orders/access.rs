//! Who may see an order and act on it: its owner, whoever has its access token, and members of
//! the organisation with the permission (contract G).

use florin_base::IdSource;
use florin_platform::http::auth::{Permission, Principal};
use florin_platform::http::problem::Problem;
use http::HeaderMap;
use subtle::ConstantTimeEq as _;

use super::row::{self, OrderRow};
use crate::Ticketing;
use crate::api::scope::{self, Right};

/// Header of an access token.
pub const HEADER: &str = "x-access-token";

/// By what right somebody acts on an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The buyer: signed in as the owner, or with the access token.
    Buyer,
    /// A member of the organisation, or the platform.
    Staff(Right),
}

impl Opened {
    /// The buyer's own.
    pub fn is_buyer(&self) -> bool {
        matches!(self, Self::Buyer)
    }
}

/// A fresh access token, as its buyer gets it once.
pub fn fresh_token() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(IdSource::random_32())
}

/// What the tables keep of an access token.
pub fn digest(room: &Ticketing, token: &str) -> [u8; 32] {
    room.secrets.digest("access-token", token.as_bytes())
}

/// The access token of a request, if it has one.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER).and_then(|value| value.to_str().ok())
}

/// The order belongs to the caller, or the token opens it.
pub fn is_buyer(
    room: &Ticketing,
    caller: Option<&Principal>,
    token: Option<&str>,
    order: &OrderRow,
) -> bool {
    let owner = order.owner_sub.as_deref();
    if caller.is_some_and(|caller| owner == Some(&*caller.subject)) {
        return true;
    }
    match (token, &order.access_digest) {
        (Some(token), Some(known)) => digest(room, token).ct_eq(known).into(),
        _ => false,
    }
}

/// By what right somebody opens an order; staff needs the permission.
///
/// # Errors
/// 404 `order_not_found` for strangers and wrong tokens, 403 for members without the permission.
pub async fn open(
    room: &Ticketing,
    caller: Option<&Principal>,
    token: Option<&str>,
    order: &OrderRow,
    permission: Permission,
) -> Result<Opened, Problem> {
    if is_buyer(room, caller, token, order) {
        return Ok(Opened::Buyer);
    }
    let Some(caller) = caller else {
        return Err(row::not_found());
    };
    let event = Some(&*order.event_id);
    let right = scope::in_org(
        room,
        caller,
        &order.org_id,
        event,
        permission,
        row::not_found,
    )
    .await?;
    Ok(Opened::Staff(right))
}
