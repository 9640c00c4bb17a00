//! One hold and the holds of a wallet (contract B5): pending transfers with what became of
//! them.

use axum::{extract::State, response::Response};
use florin_ledger::{
    ReadView,
    call::RefusalCode,
    engine::{EntryPage, IdLookup, Phase, ReadError, TransferState},
    model::{Record, Side, Slot, TransferId},
};
use florin_platform::http::{
    auth::{Caller, Principal},
    json::{self, Path, json_bytes},
    page::{FilterDigest, PageLimits, Position},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Viewer, not_found, style},
    holds::hold_id,
    list::readable_wallet,
    request::bad,
    walk::{self, Items},
};
use crate::api::meter::{Operation, Timer};
use crate::{
    api::{
        ApiState, Shared,
        answer::{self, MinSeq, blocking},
    },
    model::{
        Hold,
        hold::{STATUSES, hold_transfer, status_word},
    },
};

/// One hold.
#[utoipa::path(
    get,
    path = "/api/v1/holds/{id}",
    tag = "holds",
    params(("id" = String, Path, description = "The hold")),
    responses(
        (status = 200, description = "The hold", body = Hold),
        (status = 404, description = "`hold_not_found`"),
    ),
)]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let hold = hold_id(&id)?;
    let (found, seq) = find(&api, hold).await?;
    min_seq.check(seq)?;
    timer.done(render(&api, &caller, found.as_ref(), seq, false))
}

/// The hold as it is now, for its void.
pub async fn show(
    api: &ApiState,
    caller: &Principal,
    hold: TransferId,
) -> Result<Response, Problem> {
    let (found, seq) = find(api, hold).await?;
    // The ledger has found the hold within the caller's reach before it was voided.
    render(api, caller, found.as_ref(), seq, true)
}

async fn find(
    api: &ApiState,
    hold: TransferId,
) -> Result<(Option<(Record, TransferState)>, u64), Problem> {
    blocking(&api.ledger, move |view| {
        let found = match view.transfer(&hold)? {
            IdLookup::Recorded(record) if hold_transfer(&record).is_some() => {
                let state = view.state(&record)?;
                Some((*record, state))
            }
            _ => None,
        };
        Ok((found, view.seq()))
    })
    .await
}

fn render(
    api: &ApiState,
    caller: &Principal,
    found: Option<&(Record, TransferState)>,
    seq: u64,
    is_known_visible: bool,
) -> Result<Response, Problem> {
    let viewer = Viewer::new(&api.ledger, caller);
    let visible = found.and_then(|(record, state)| {
        let sides = viewer.sides(record)?;
        (is_known_visible || sides.is_visible()).then_some((sides, state))
    });
    let (sides, state) = visible.ok_or_else(|| not_found(RefusalCode::HoldNotFound))?;
    let hold = Hold::new(sides.leg(), Some(state), style(&api.ledger));
    answer::json(&hold, seq)
}

/// Filters of a wallet's holds.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct HoldFilters {
    /// `ACTIVE`, `CAPTURED`, `VOIDED` or `EXPIRED`.
    status: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A page of holds.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the answer in the OpenAPI file")]
pub struct HoldPage<'a> {
    items: Vec<Hold<'a>>,
    next_cursor: Option<String>,
}

/// List the holds that a wallet pays, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/holds",
    tag = "holds",
    params(("id" = String, Path, description = "The wallet that pays"), HoldFilters),
    responses(
        (status = 200, description = "A page", body = HoldPage),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    json::Query(filters): json::Query<HoldFilters>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let limit = PageLimits::default().resolve(filters.limit)?;
    let status = filters.status.as_deref().map(|word| {
        let known = STATUSES.iter().copied().find(|known| *known == word);
        known.ok_or_else(|| {
            bad(
                "status",
                "validation_failed",
                "Must be ACTIVE, CAPTURED, VOIDED or EXPIRED.",
            )
        })
    });
    let status = status.transpose()?;
    let wallet = readable_wallet(&api, &caller, &id).await?;
    let id = crate::model::Id(wallet.id).to_string();
    let filter = status.map(|status| ("status", status));
    let digest = FilterDigest::new("holds", [("wallet", &*id)].into_iter().chain(filter));
    let position = api
        .cursors
        .open_optional(digest, filters.cursor.as_deref())?;
    let state = api.clone();
    let wanted = Wanted {
        slot: wallet.slot,
        status,
        limit,
        position,
    };
    let page = blocking(&api.ledger, move |view| {
        let viewer = Viewer::new(&state.ledger, &caller);
        page(&state, &viewer, &view, &wanted)
    });
    let (items, next, seq) = page.await?;
    min_seq.check(seq)?;
    let cursor = next.map(|position| api.cursors.seal(digest, &position));
    timer.done(Ok(answer::with_seq(
        json_bytes(items.finish(cursor.as_deref())),
        seq,
    )))
}

/// What narrows the list.
struct Wanted {
    slot: Slot,
    status: Option<&'static str>,
    limit: usize,
    position: Option<Position>,
}

fn page(
    api: &ApiState,
    viewer: &Viewer<'_>,
    view: &ReadView,
    wanted: &Wanted,
) -> Result<(Items, Option<Position>, u64), ReadError> {
    let snapshot = walk::snapshot(view, wanted.position.as_ref());
    let entries = EntryPage {
        descending: true,
        after: walk::after(wanted.position.as_ref()),
        up_to_seq: Some(snapshot),
        ..EntryPage::default()
    };
    let style = style(&api.ledger);
    let mut items = Items::new();
    let next = walk::walk(view, wanted.slot, entries, wanted.limit, |entry, keep| {
        if entry.side != Side::Debit || entry.phase != Phase::Pending {
            return Ok(false);
        }
        let record = view.record(entry.seq)?;
        let Some(sides) = hold_transfer(&record).and_then(|_| viewer.sides(&record)) else {
            return Ok(false);
        };
        let state = as_of(view.state(&record)?, snapshot);
        if wanted
            .status
            .is_some_and(|status| status != status_word(state.state))
        {
            return Ok(false);
        }
        if keep {
            items.push(&Hold::new(sides.leg(), Some(&state), style));
        }
        Ok(true)
    })?;
    Ok((
        items,
        next.map(|after| walk::position(snapshot, after)),
        snapshot,
    ))
}

/// What was known of a hold at a `seq`: a later resolution had not happened yet.
fn as_of(state: TransferState, seq: u64) -> TransferState {
    match &state.resolved_by {
        Some((_, resolved)) if *resolved > seq => TransferState {
            state: "pending",
            posted_amount: None,
            resolved_by: None,
            ..state
        },
        _ => state,
    }
}
