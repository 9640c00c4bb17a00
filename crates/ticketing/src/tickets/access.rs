//! Who may see a ticket and act on it: its owner, whoever has its access token, and members of
//! the organisation with the permission (contract G).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::IdSource;
use florin_platform::http::auth::{Permission, Principal};
use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use subtle::ConstantTimeEq as _;

use super::row::Ticket;
use crate::Ticketing;
use crate::api::scope;

/// By what right somebody opens a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// His own: signed in, or with the access token.
    Owner,
    /// A member of the organisation, or the platform.
    Staff,
}

/// A fresh access token, as its owner gets it once.
pub fn fresh_token() -> String {
    URL_SAFE_NO_PAD.encode(IdSource::random_32())
}

/// What the tables keep of an access token; the same for orders.
pub fn digest(room: &Ticketing, token: &str) -> [u8; 32] {
    room.secrets.digest("access-token", token.as_bytes())
}

/// 404 of a ticket that is not there, or not for this caller.
pub fn not_found() -> Problem {
    Problem::not_found("ticket_not_found", "There is no such ticket.")
}

/// By what right somebody opens a ticket; staff needs `permission`, and nobody else gets in where
/// there is none.
///
/// # Errors
/// 404 `ticket_not_found` for strangers and wrong tokens, 403 for members without the
/// permission, the store's.
pub async fn open(
    room: &Ticketing,
    caller: Option<&Principal>,
    token: Option<&str>,
    ticket: &Ticket,
    permission: Option<Permission>,
) -> Result<Right, Problem> {
    let owner = ticket.owner_sub.as_deref();
    if caller.is_some_and(|caller| owner == Some(&*caller.subject)) {
        return Ok(Right::Owner);
    }
    if let Some(token) = token
        && opens(room, token, ticket).await?
    {
        return Ok(Right::Owner);
    }
    match (caller, permission) {
        (Some(caller), Some(permission)) => {
            let event = Some(&*ticket.event_id);
            scope::in_org(room, caller, &ticket.org_id, event, permission, not_found).await?;
            Ok(Right::Staff)
        }
        _ => Err(not_found()),
    }
}

/// The token opens the ticket: its own after a transfer, that of its order before.
async fn opens(room: &Ticketing, token: &str, ticket: &Ticket) -> Result<bool, Problem> {
    let known = match ticket.transferred {
        true => ticket.access_digest.clone(),
        false => of_order(room, &ticket.order_id).await?,
    };
    let shown = digest(room, token);
    Ok(known.is_some_and(|known| shown.ct_eq(&known).into()))
}

async fn of_order(room: &Ticketing, order_id: &str) -> Result<Option<Vec<u8>>, Problem> {
    let select = query("SELECT access_digest FROM tk_orders WHERE id = $1").bind(order_id);
    let row = room.store.db.fetch_optional(select).await?;
    Ok(row
        .map(|row| row.get::<Option<Vec<u8>>>("access_digest"))
        .transpose()?
        .flatten())
}

/// The token opens an order.
///
/// # Errors
/// The store's.
pub async fn opens_order(room: &Ticketing, token: &str, order_id: &str) -> Result<bool, Problem> {
    let shown = digest(room, token);
    let known = of_order(room, order_id).await?;
    Ok(known.is_some_and(|known| shown.ct_eq(&known).into()))
}
