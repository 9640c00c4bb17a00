//! One wallet, its balance, and lists of wallets (contract B1).

use axum::{extract::State, response::Response};
use florin_base::Timestamp;
use florin_ledger::{
    Query, View,
    call::WalletView,
    model::{AssetNo, Slot, Status},
};
use florin_platform::http::{
    auth::{Caller, Principal, Reach},
    json::{self, Path},
    page::{FilterDigest, Page, PageLimits, Position},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::style,
    create::{is_user_id, other_user},
    request::{bad, owner_scope, uuid},
};
use crate::api::meter::{Operation, Timer};
use crate::{
    api::{
        ApiState, Shared,
        answer::{self, MinSeq, unavailable},
        permission,
    },
    model::{Balance, Wallet},
};

/// One wallet.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    responses(
        (status = 200, description = "The wallet", body = Wallet),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let view = readable_wallet(&api, &caller, &id).await?;
    min_seq.check(view.as_of_seq)?;
    let asset = api.ledger.asset(view.asset);
    timer.done(answer::json(
        &Wallet::now(&view, &asset, style(&api.ledger)),
        view.as_of_seq,
    ))
}

/// The balance of a wallet.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/balance",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet")),
    responses(
        (status = 200, description = "Its balance now", body = Balance),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn balance(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let view = readable_wallet(&api, &caller, &id).await?;
    min_seq.check(view.as_of_seq)?;
    let asset = api.ledger.asset(view.asset);
    timer.done(answer::json(
        &Balance::now(&view, &asset, style(&api.ledger)),
        view.as_of_seq,
    ))
}

/// The wallet of a path, if the caller may read it.
pub async fn readable_wallet(
    api: &ApiState,
    caller: &Principal,
    id: &str,
) -> Result<Box<WalletView>, Problem> {
    let owner = owner_scope(caller, permission::WALLETS_READ)?;
    api.wallet(uuid(id, "id")?, owner).await
}

/// Filters of the list of wallets.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct WalletFilters {
    /// Only this user's.
    user_id: Option<String>,
    /// `ACTIVE`, `FROZEN` or `CLOSED`.
    status: Option<String>,
    /// Currency code.
    currency: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// Filters of the list of a user's wallets.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct UserWalletFilters {
    /// `ACTIVE`, `FROZEN` or `CLOSED`.
    status: Option<String>,
    /// Currency code.
    currency: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A page of wallets.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the answer in the OpenAPI file")]
pub struct WalletPage<'a> {
    items: Vec<Wallet<'a>>,
    next_cursor: Option<String>,
}

/// List wallets, in order of creation.
#[utoipa::path(
    get,
    path = "/api/v1/wallets",
    tag = "wallets",
    params(WalletFilters),
    responses((status = 200, description = "A page; a user sees his own", body = WalletPage)),
)]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    json::Query(filters): json::Query<WalletFilters>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    timer.done(page_of_wallets(&api, &caller, filters, min_seq).await)
}

/// List the wallets of a user, in order of creation.
#[utoipa::path(
    get,
    path = "/api/v1/users/{userId}/wallets",
    tag = "wallets",
    params(("userId" = String, Path, description = "The owner"), UserWalletFilters),
    responses((status = 200, description = "A page", body = WalletPage)),
)]
pub async fn list_of_user(
    State(api): State<Shared>,
    caller: Caller,
    Path(user_id): Path<String>,
    json::Query(filters): json::Query<UserWalletFilters>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let filters = WalletFilters {
        user_id: Some(user_id),
        status: filters.status,
        currency: filters.currency,
        limit: filters.limit,
        cursor: filters.cursor,
    };
    timer.done(page_of_wallets(&api, &caller, filters, min_seq).await)
}

/// Filters after they were understood.
struct Wanted {
    user_id: Option<Box<str>>,
    status: Option<Status>,
    asset: Option<AssetNo>,
    limit: usize,
}

impl Wanted {
    async fn read(
        api: &ApiState,
        caller: &Principal,
        filters: &WalletFilters,
    ) -> Result<Self, Problem> {
        let reach = caller.require(permission::WALLETS_READ)?;
        let user_id: Option<Box<str>> = match (&filters.user_id, reach) {
            (Some(user), Reach::Own) if **user != *caller.owner => return Err(other_user()),
            (Some(user), _) => Some(user.as_str().into()),
            (None, Reach::Own) => Some(Box::from(&*caller.owner)),
            (None, Reach::All) => None,
        };
        if filters
            .user_id
            .as_deref()
            .is_some_and(|user| !is_user_id(user))
        {
            let message = "The user id must be 1 to 100 of A-Z a-z 0-9 _ @ . -.";
            return Err(bad("userId", "validation_failed", message));
        }
        let status = filters.status.as_deref().map(|word| {
            let mut all = Status::ALL.iter().copied();
            all.find(|status| status.wallet_word() == word)
                .ok_or_else(|| {
                    bad(
                        "status",
                        "validation_failed",
                        "Must be ACTIVE, FROZEN or CLOSED.",
                    )
                })
        });
        let asset = match filters.currency.as_deref() {
            None => None,
            Some(code) => {
                let known = api.ledger.asset_by_code(code).await.map_err(unavailable)?;
                Some(known.map(|(no, _)| no).ok_or_else(|| {
                    bad(
                        "currency",
                        "currency_unknown",
                        "There is no currency with this code.",
                    )
                })?)
            }
        };
        Ok(Self {
            user_id,
            status: status.transpose()?,
            asset,
            limit: PageLimits::default().resolve(filters.limit)?,
        })
    }
}

/// Where a walk over wallets stands: the last slot shown, and the ledger time at its start,
/// after which wallets are not part of it.
struct Walk {
    seq: u64,
    after: Option<Slot>,
    started: Timestamp,
}

impl Walk {
    fn encode(&self, after: Slot) -> Position {
        let mut bytes = after.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.started.micros().to_le_bytes());
        Position {
            snapshot: self.seq,
            after: bytes,
        }
    }

    fn decode(position: &Position) -> Option<Self> {
        let (slot, started) = position.after.split_at_checked(size_of::<Slot>())?;
        Some(Self {
            seq: position.snapshot,
            after: Some(Slot::from_le_bytes(slot.try_into().ok()?)),
            started: Timestamp(i64::from_le_bytes(started.try_into().ok()?)),
        })
    }
}

async fn page_of_wallets(
    api: &ApiState,
    caller: &Principal,
    filters: WalletFilters,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(api, caller, &filters).await?;
    let digest = FilterDigest::new(
        "wallets",
        [
            ("userId", wanted.user_id.as_deref()),
            ("status", filters.status.as_deref()),
            ("currency", filters.currency.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?))),
    );
    let position = api
        .cursors
        .open_optional(digest, filters.cursor.as_deref())?;
    let head = api.head().await?;
    min_seq.check(head.seq)?;
    let walk = position.as_ref().and_then(Walk::decode).unwrap_or(Walk {
        seq: head.seq,
        after: None,
        started: head.recorded_at,
    });
    let query = Query::Wallets {
        user_id: wanted.user_id,
        status: wanted.status,
        asset: wanted.asset,
        after: walk.after,
        limit: wanted.limit,
    };
    let View::Wallets(mut wallets, more_after) =
        api.ledger.query(query).await.map_err(unavailable)?
    else {
        return Err(Problem::internal("a list of wallets was asked for"));
    };
    let scanned = wallets.len();
    wallets.retain(|wallet| wallet.created_at <= walk.started);
    let more_after = more_after.filter(|_| wallets.len() == scanned);
    let assets: Vec<_> = wallets
        .iter()
        .map(|wallet| api.ledger.asset(wallet.asset))
        .collect();
    let style = style(&api.ledger);
    let items = wallets
        .iter()
        .zip(&assets)
        .map(|(wallet, asset)| Wallet::now(wallet, asset, style));
    let page = Page {
        items: items.collect(),
        next_cursor: more_after.map(|after| api.cursors.seal(digest, &walk.encode(after))),
    };
    answer::json(&page, head.seq)
}
