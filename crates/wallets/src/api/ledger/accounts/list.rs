//! `GET /ledger/accounts` (contract A6).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_base::Timestamp;
use florin_ledger::{
    Query, View,
    call::AccountView,
    model::{AccountKind, Slot, Status},
};
use florin_platform::http::{
    json::Json,
    page::{Page, Position},
    problem::Problem,
};
use utoipa::ToSchema;

use crate::api::{
    Shared,
    answer::MinSeq,
    ledger::{
        params::Params,
        render::AccountBody,
        support::{unavailable, with_seq},
    },
};

/// A page of accounts.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerAccountPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct AccountPage {
    items: Vec<AccountBody>,
    next_cursor: Option<String>,
}

/// Where a walk stands: the last slot scanned, and the ledger time of its first page.
struct Place {
    slot: Slot,
    until: Timestamp,
}

impl Place {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.slot.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.until.micros().to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (slot, until) = bytes.split_at_checked(4)?;
        Some(Self {
            slot: u32::from_le_bytes(slot.try_into().ok()?),
            until: Timestamp(i64::from_le_bytes(until.try_into().ok()?)),
        })
    }
}

/// Lists accounts in order of creation; those opened after the first page do not appear.
#[utoipa::path(
    get, path = "/api/v1/ledger/accounts", tag = "Ledger",
    params(
        ("asset" = Option<String>, Query, description = "Only of this asset"),
        ("kind" = Option<String>, Query, description = "Only of this kind"),
        ("status" = Option<String>, Query, description = "Only with this status"),
        ("idPrefix" = Option<String>, Query, description = "Only ids starting so"),
        ("metadata.<key>" = Option<String>, Query, description = "Only with this pair"),
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = AccountPage))
)]
pub async fn list(
    State(api): State<Shared>,
    min: MinSeq,
    mut params: Params,
) -> Result<Response, Problem> {
    let digest = params.digest("ledger/accounts");
    let (limit, cursor) = params.page()?;
    let code = params.text("asset");
    let kinds = "asset, liability, equity, income or expense";
    let kind = params.with("kind", kinds, AccountKind::from_word)?;
    let status = params.with("status", "open, frozen or closed", Status::from_word)?;
    let id_prefix = params.text("idPrefix").map(Into::into);
    let metadata = params.metadata();
    params.end()?;
    let position = api.cursors.open_optional(digest, cursor.as_deref())?;
    let head = api.head().await?;
    min.check(head.seq)?;
    let (snapshot, place) = match position {
        Some(Position { snapshot, after }) => (snapshot, Place::decode(&after)),
        None => (head.seq, None),
    };
    let until = place.as_ref().map_or(head.recorded_at, |place| place.until);
    let empty = |seq| {
        let page: Page<AccountBody> = Page {
            items: Vec::new(),
            next_cursor: None,
        };
        Ok(with_seq(Json(page).into_response(), seq))
    };
    let asset = match code {
        None => None,
        Some(code) => match api.ledger.asset_by_code(&code).await.map_err(unavailable)? {
            None => return empty(snapshot),
            Some((number, _)) => Some(number),
        },
    };
    let after = place.map(|place| place.slot);
    let query = Query::Accounts {
        asset,
        kind,
        status,
        id_prefix,
        metadata,
        after,
        limit,
    };
    let (views, more) = match api.ledger.query(query).await.map_err(unavailable)? {
        View::Accounts(views, more) => (views, more),
        _ => return Err(Problem::internal("Accounts is answered by Accounts")),
    };
    let full = views.len();
    let known = |view: &&AccountView| view.facts.created_at <= until;
    let items: Vec<AccountBody> = views
        .iter()
        .take_while(known)
        .map(|view| AccountBody::new(&api.ledger, view))
        .collect();
    // Slots rise with time: the first account opened after the first page ends the walk.
    let next_cursor = more.filter(|_| items.len() == full).map(|slot| {
        let after = Place { slot, until }.encode();
        api.cursors.seal(digest, &Position { snapshot, after })
    });
    Ok(with_seq(
        Json(Page { items, next_cursor }).into_response(),
        snapshot,
    ))
}
