//! `GET /ledger/accounts/{id}/history`: what each record did to an account (contract A6).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_base::Timestamp;
use florin_ledger::{
    ReadView,
    engine::{Entry, EntryPage, Phase, ReadError},
    model::{Body, Side},
};
use florin_platform::http::{
    json::{Json, Path},
    page::{Page, Position},
    problem::Problem,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    params::Params,
    render::transfer_id,
    support::{account_slot, run, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// What one record did to the account; strings hold minor units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerHistoryEntry)]
pub struct EntryBody {
    transfer_id: Box<str>,
    seq: u64,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    /// debit or credit.
    side: &'static str,
    /// single, pending, post, void or expired.
    phase: &'static str,
    amount_minor: String,
    /// Signed; on the effective axis as of its place there.
    balance_after: String,
    /// Signed; only on the recorded axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    available_after: Option<String>,
}

/// A page of history.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerHistoryPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct HistoryPage {
    items: Vec<EntryBody>,
    next_cursor: Option<String>,
}

/// Word of a phase: the mode, or `expired`.
fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Single => "single",
        Phase::Pending => "pending",
        Phase::Post => "post",
        Phase::Void => "void",
        Phase::Expired => "expired",
    }
}

/// The axis, range and order of a walk over an account's entries, read from the parameters
/// `axis`, `from`, `to` and `order`.
pub fn read_page(params: &mut Params) -> Result<EntryPage, Problem> {
    let effective = read_axis(params)?;
    let descending = read_order(params)?;
    Ok(EntryPage {
        effective,
        from: params.time("from")?,
        to: params.time("to")?,
        descending,
        ..EntryPage::default()
    })
}

/// `axis=recorded|effective`; true for effective.
pub fn read_axis(params: &mut Params) -> Result<bool, Problem> {
    let word = |text: &str| match text {
        "recorded" => Some(false),
        "effective" => Some(true),
        _ => None,
    };
    Ok(params
        .with("axis", "recorded or effective", word)?
        .unwrap_or(false))
}

/// `order=asc|desc`; true for descending.
pub fn read_order(params: &mut Params) -> Result<bool, Problem> {
    let word = |text: &str| match text {
        "asc" => Some(false),
        "desc" => Some(true),
        _ => None,
    };
    Ok(params.with("order", "asc or desc", word)?.unwrap_or(false))
}

/// A place in a walk: (`effectiveAt` micros, `seq`) of the last entry.
pub fn encode_place((micros, seq): (i64, u64)) -> Vec<u8> {
    let mut bytes = micros.to_le_bytes().to_vec();
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes
}

/// Reads [`encode_place`].
pub fn decode_place(bytes: &[u8]) -> Option<(i64, u64)> {
    let (micros, seq) = bytes.split_at_checked(8)?;
    Some((
        i64::from_le_bytes(micros.try_into().ok()?),
        u64::from_le_bytes(seq.try_into().ok()?),
    ))
}

/// Shows what each record did to an account.
#[utoipa::path(
    get, path = "/api/v1/ledger/accounts/{id}/history", tag = "Ledger",
    params(
        ("id" = String, Path, description = "Id of the account"),
        ("axis" = Option<String>, Query, description = "recorded (default) or effective"),
        ("from" = Option<String>, Query, description = "Not before, inclusive"),
        ("to" = Option<String>, Query, description = "Before, exclusive"),
        ("order" = Option<String>, Query, description = "asc (default) or desc"),
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = HistoryPage),
        (status = 404, description = "`account_not_found`"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let digest = params.digest(&format!("ledger/accounts/{id}/history"));
    let (limit, cursor) = params.page()?;
    let mut page = read_page(&mut params)?;
    params.end()?;
    let slot = account_slot(&api.ledger, &id).await?;
    let normal = api.ledger.facts(slot).normal;
    let position = api.cursors.open_optional(digest, cursor.as_deref())?;
    let seen = position.as_ref().map(|position| position.snapshot);
    let view = api.view(min, seen.unwrap_or(0)).await?;
    let snapshot = seen.unwrap_or(view.seq());
    page.after = position.and_then(|position| decode_place(&position.after));
    page.up_to_seq = Some(snapshot);
    page.limit = limit + 1;
    let (items, last) = run(move || {
        let mut entries = view.entries(slot, &page)?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let last = entries.last().filter(|_| more);
        let last = last.map(|entry| (entry.effective_at.micros(), entry.seq));
        let items: Result<Vec<EntryBody>, ReadError> = entries
            .iter()
            .map(|entry| body(&view, entry, normal, !page.effective))
            .collect();
        Ok((items?, last))
    })
    .await?;
    let next_cursor = last.map(|place| {
        let after = encode_place(place);
        api.cursors.seal(digest, &Position { snapshot, after })
    });
    Ok(with_seq(
        Json(Page { items, next_cursor }).into_response(),
        snapshot,
    ))
}

fn body(
    view: &ReadView,
    entry: &Entry,
    normal: Side,
    recorded_axis: bool,
) -> Result<EntryBody, ReadError> {
    let record = view.record(entry.seq)?;
    let amount = match &record.body {
        Body::Transfer(t) => t.amount,
        Body::Expired { amount, .. } => *amount,
        _ => 0,
    };
    Ok(EntryBody {
        transfer_id: transfer_id(&record).unwrap_or_default(),
        seq: entry.seq,
        recorded_at: record.recorded_at,
        effective_at: entry.effective_at,
        side: entry.side.word(),
        phase: phase_word(entry.phase),
        amount_minor: amount.to_string(),
        balance_after: entry.after.balance(normal).to_string(),
        available_after: recorded_axis.then(|| entry.after.available(normal).to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_round_trip() {
        for place in [(0, 0), (-1, 7), (i64::MAX, u64::MAX)] {
            assert_eq!(decode_place(&encode_place(place)), Some(place));
        }
        assert_eq!(decode_place(&[1, 2, 3]), None);
    }
}
