//! `/ledger/assets` (contract A1, A6). Assets never change once they are recorded.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_ledger::{
    Call, Outcome,
    model::{Asset, AssetKind, Metadata},
    rules::prepare::{RawPairs, is_asset_code},
};
use florin_platform::http::{
    auth::Caller,
    idempotency::replayed,
    json::{Json, Path},
    page::{Page, Position},
    problem::Problem,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    params::Params,
    render::AssetBody,
    support::{fresh, located, refused, unavailable, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// Most decimals of an asset.
const SCALE_MAX: u8 = florin_base::money::MAX_SCALE;
/// Longest shown name, in characters.
const NAME_MAX: usize = 100;

/// A new asset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LedgerAssetRequest)]
pub struct Request {
    /// `^[A-Z][A-Z0-9._-]{1,23}$`.
    #[schema(example = "CHF")]
    pub code: Box<str>,
    /// Decimals of the major unit, 0 to 30.
    #[schema(example = 2)]
    pub scale: u8,
    /// fiat, crypto, points or other.
    #[schema(example = "fiat")]
    pub kind: Box<str>,
    /// At most 100 characters.
    pub name: Option<Box<str>>,
    /// Caller's own pairs.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<RawPairs>,
}

impl Request {
    /// Judges the grammar; the error names the member and what it must be.
    pub fn into_asset(self) -> Result<Asset, (&'static str, String)> {
        if !is_asset_code(&self.code) {
            return Err(("code", "Must match ^[A-Z][A-Z0-9._-]{1,23}$.".to_owned()));
        }
        if self.scale > SCALE_MAX {
            return Err(("scale", format!("Must be 0 to {SCALE_MAX}.")));
        }
        let Some(kind) = AssetKind::from_word(&self.kind) else {
            return Err(("kind", "Must be fiat, crypto, points or other.".to_owned()));
        };
        if self
            .name
            .as_deref()
            .is_some_and(|name| name.chars().count() > NAME_MAX)
        {
            return Err(("name", format!("Must have at most {NAME_MAX} characters.")));
        }
        let pairs = self.metadata.map(|pairs| pairs.0).unwrap_or_default();
        let metadata = Metadata::try_new(pairs).map_err(|why| ("metadata", why.to_owned()))?;
        Ok(Asset {
            code: self.code,
            scale: self.scale,
            kind,
            name: self.name,
            metadata,
        })
    }
}

/// Adds an asset. The same body again is answered with the asset; another one is refused.
#[utoipa::path(
    post, path = "/api/v1/ledger/assets", tag = "Ledger",
    request_body = Request,
    responses(
        (status = 201, description = "Added", body = AssetBody),
        (status = 200, description = "It was there already, equal", body = AssetBody),
        (status = 409, description = "`idempotency_conflict`: the code is taken by another asset"),
    )
)]
pub async fn post(
    State(api): State<Shared>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let asset = request
        .into_asset()
        .map_err(|(field, message)| Problem::validation(field, message))?;
    let body = AssetBody::from(&asset);
    let actor = Some((*caller.subject).into());
    let call = Call::CreateAsset { actor, asset };
    let answer = api.ledger.submit(call).await.map_err(unavailable)?;
    if let Outcome::Refused(refusal) = &answer.outcome {
        return Err(refused(refusal));
    }
    let location = format!("/api/v1/ledger/assets/{}", body.code);
    let status = if answer.replayed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let response = located(Json(body).into_response(), status, &location);
    let response = with_seq(response, answer.seq);
    Ok(if answer.replayed {
        replayed(response)
    } else {
        response
    })
}

/// Shows an asset.
#[utoipa::path(
    get, path = "/api/v1/ledger/assets/{code}", tag = "Ledger",
    params(("code" = String, Path, description = "Code of the asset")),
    responses(
        (status = 200, description = "The asset", body = AssetBody),
        (status = 404, description = "`asset_not_found`"),
    )
)]
pub async fn get(
    State(api): State<Shared>,
    min: MinSeq,
    Path(code): Path<String>,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let found = api.ledger.asset_by_code(&code).await;
    let (_, asset) = found.map_err(unavailable)?.ok_or_else(|| {
        Problem::not_found("asset_not_found", "There is no asset with this code.")
    })?;
    let seq = api.head().await?.seq;
    Ok(with_seq(
        Json(AssetBody::from(&*asset)).into_response(),
        seq,
    ))
}

/// A page of assets.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerAssetPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct AssetPage {
    items: Vec<AssetBody>,
    next_cursor: Option<String>,
}

/// Lists assets in order of creation.
#[utoipa::path(
    get, path = "/api/v1/ledger/assets", tag = "Ledger",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = AssetPage))
)]
pub async fn list(
    State(api): State<Shared>,
    min: MinSeq,
    mut params: Params,
) -> Result<Response, Problem> {
    fresh(&api, min).await?;
    let digest = params.digest("ledger/assets");
    let (limit, cursor) = params.page()?;
    params.end()?;
    let assets = api.ledger.assets().await.map_err(unavailable)?;
    // The snapshot is the count of assets at the first page: they are only ever added.
    let (start, count) = match api.cursors.open_optional(digest, cursor.as_deref())? {
        Some(Position { snapshot, after }) => {
            let start = after.try_into().map_or(0, u64::from_le_bytes);
            (start as usize, (snapshot as usize).min(assets.len()))
        }
        None => (0, assets.len()),
    };
    let end = start.saturating_add(limit).min(count);
    let items = assets.get(start..end).unwrap_or_default();
    let next_cursor = (end < count).then(|| {
        let after = (end as u64).to_le_bytes().to_vec();
        api.cursors.seal(
            digest,
            &Position {
                snapshot: count as u64,
                after,
            },
        )
    });
    let items: Vec<AssetBody> = items
        .iter()
        .map(|asset| AssetBody::from(&**asset))
        .collect();
    let seq = api.head().await?.seq;
    Ok(with_seq(
        Json(Page { items, next_cursor }).into_response(),
        seq,
    ))
}
