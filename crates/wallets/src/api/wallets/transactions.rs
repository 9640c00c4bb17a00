//! One transaction and the transactions of a wallet (contract B1, B4).

use axum::{extract::State, response::Response};
use florin_base::{AmountError, Decimal, Timestamp};
use florin_ledger::{
    ReadView,
    call::RefusalCode,
    engine::{Entry, EntryPage, IdLookup, Phase, ReadError},
    model::{Record, Slot, WalletType},
};
use florin_platform::http::{
    auth::Caller,
    json::{self, Path, json_bytes},
    page::{FilterDigest, PageLimits, Position},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Sides, Viewer, not_found, style},
    list::readable_wallet,
    request::bad,
    walk::{self, Items},
};
use crate::api::meter::{Operation, Timer};
use crate::{
    api::{
        ApiState, Shared,
        answer::{self, MinSeq, blocking},
        query_time,
    },
    model::{
        Direction, MoneyStyle, Transaction,
        statement::Axis,
        transaction::{
            Seen, are_partners, is_posting, partner_seq, status_word, transaction_id, type_of,
        },
    },
};

/// Longest id of a transaction: a caller's transfer id with the server's endings.
const ID_MAX: usize = 110;

/// One transaction. Without a wallet in the path, `direction` and `newBalance` are those of the
/// only wallet that the caller may read, if it is one.
#[utoipa::path(
    get,
    path = "/api/v1/transactions/{id}",
    tag = "transactions",
    params(("id" = String, Path, description = "The transaction")),
    responses(
        (status = 200, description = "The transaction", body = Transaction),
        (status = 404, description = "`transaction_not_found`"),
    ),
)]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    check_id(&id)?;
    let state = api.clone();
    let found = blocking(&api.ledger, move |view| {
        let viewer = Viewer::new(&state.ledger, &caller);
        let body = find(&viewer, &view, &id, style(&state.ledger))?;
        Ok((body, view.seq()))
    });
    let (body, seq) = found.await?;
    min_seq.check(seq)?;
    let body = body.ok_or_else(|| not_found(RefusalCode::TransactionNotFound))?;
    timer.done(Ok(answer::with_seq(json_bytes(body), seq)))
}

/// 400 `invalid_id` for a text that no transaction can have as its id.
pub fn check_id(id: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    if (1..=ID_MAX).contains(&id.len()) && id.bytes().all(allowed) {
        return Ok(());
    }
    let message = "The id must be 1 to 110 of A-Z a-z 0-9 . _ : -.";
    Err(Problem::invalid_id("id", message).with("field", "id"))
}

/// The transaction as JSON, if there is one that the caller may read.
fn find(
    viewer: &Viewer<'_>,
    view: &ReadView,
    id: &str,
    style: MoneyStyle,
) -> Result<Option<Vec<u8>>, ReadError> {
    let IdLookup::Recorded(record) = view.transfer(id)? else {
        return Ok(None);
    };
    let Some(sides) = viewer
        .sides(&record)
        .filter(|sides| is_posting(sides.leg().transfer))
    else {
        return Ok(None);
    };
    let other = partner(view, &record)?;
    let partner = other.as_ref().and_then(|other| viewer.sides(other));
    let visible = |sides: &Sides<'_>| sides.touches_wallet() && sides.is_visible();
    if !visible(&sides) && !partner.as_ref().is_some_and(visible) {
        return Ok(None);
    }
    let state = view.state(&record)?;
    let reversed_by = state.reversed_by.as_ref().map(|(id, _)| transaction_id(id));
    let seen = Seen {
        reversed_by: reversed_by.as_deref(),
        style,
        ..Seen::default()
    };
    let body = Transaction::new(sides.leg(), partner.as_ref().map(Sides::leg), seen);
    Ok(Some(serde_json::to_vec(&body).expect("views are JSON")))
}

/// The other leg of a conversion.
fn partner(view: &ReadView, record: &Record) -> Result<Option<Record>, ReadError> {
    let Some(seq) = partner_seq(record).filter(|seq| (1..=view.seq()).contains(seq)) else {
        return Ok(None);
    };
    let other = view.record(seq)?;
    let belongs = match (record.transfer(), other.transfer()) {
        (Some(one), Some(two)) => are_partners(one, two),
        _ => false,
    };
    Ok(belongs.then_some(other))
}

/// Filters of a wallet's transactions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct TransactionFilters {
    /// `DEPOSIT`, `WITHDRAWAL`, …
    r#type: Option<String>,
    /// `COMPLETED` or `REVERSED`.
    status: Option<String>,
    /// `IN` or `OUT`.
    direction: Option<String>,
    /// Identity of the call.
    reference_id: Option<String>,
    /// Not before (inclusive).
    from: Option<String>,
    /// Before (exclusive).
    to: Option<String>,
    /// `recorded` (default) or `effective`: which time orders and bounds.
    axis: Option<String>,
    /// Smallest amount in the wallet's currency, inclusive.
    min_amount: Option<String>,
    /// Largest amount in the wallet's currency, inclusive.
    max_amount: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A page of transactions.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the answer in the OpenAPI file")]
pub struct TransactionPage<'a> {
    items: Vec<Transaction<'a>>,
    next_cursor: Option<String>,
}

/// Filters after they were understood.
struct Wanted {
    wallet: u128,
    slot: Slot,
    r#type: Option<WalletType>,
    status: Option<&'static str>,
    direction: Option<Direction>,
    reference_id: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    axis: Axis,
    amount: std::ops::RangeInclusive<u128>,
    limit: usize,
    position: Option<Position>,
}

/// Types that a transaction may have.
const TYPES: [WalletType; 9] = [
    WalletType::Deposit,
    WalletType::Withdrawal,
    WalletType::Transfer,
    WalletType::Capture,
    WalletType::Reversal,
    WalletType::Adjustment,
    WalletType::Payment,
    WalletType::Refund,
    WalletType::Payout,
];

/// A filter with a closed list of values.
fn one_of<T>(
    field: &'static str,
    given: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(word) = given else { return Ok(None) };
    let value = read(word);
    value
        .map(Some)
        .ok_or_else(|| bad(field, "validation_failed", "This value is not known here."))
}

/// `axis`.
pub fn axis(given: Option<&str>) -> Result<Axis, Problem> {
    Ok(one_of("axis", given, Axis::from_word)?.unwrap_or_default())
}

fn bound(field: &'static str, given: Option<&str>, scale: u8) -> Result<Option<u128>, Problem> {
    let Some(text) = given else { return Ok(None) };
    let minor = Decimal::parse(text).and_then(|decimal| decimal.to_minor(scale));
    minor.map(Some).map_err(|error| {
        let code = match error {
            AmountError::Invalid => "amount_invalid",
            AmountError::Precision => "amount_precision",
            AmountError::Range => "amount_out_of_range",
        };
        bad(field, code, format!("The amount {error}."))
    })
}

impl TransactionFilters {
    /// Digest of the filters as sent.
    fn digest(&self, wallet: &str) -> FilterDigest {
        let filters = [
            ("wallet", Some(wallet)),
            ("type", self.r#type.as_deref()),
            ("status", self.status.as_deref()),
            ("direction", self.direction.as_deref()),
            ("referenceId", self.reference_id.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("axis", self.axis.as_deref()),
            ("minAmount", self.min_amount.as_deref()),
            ("maxAmount", self.max_amount.as_deref()),
        ];
        let given = filters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        FilterDigest::new("transactions", given)
    }

    fn read(self, wallet: u128, slot: Slot, scale: u8) -> Result<Wanted, Problem> {
        let status = [status_word(None), status_word(Some(""))];
        let type_of = |word: &str| TYPES.into_iter().find(|known| known.word() == word);
        let least = bound("minAmount", self.min_amount.as_deref(), scale)?;
        let most = bound("maxAmount", self.max_amount.as_deref(), scale)?;
        Ok(Wanted {
            wallet,
            slot,
            r#type: one_of("type", self.r#type.as_deref(), type_of)?,
            status: one_of("status", self.status.as_deref(), |word| {
                status.into_iter().find(|known| *known == word)
            })?,
            direction: one_of("direction", self.direction.as_deref(), Direction::from_word)?,
            from: query_time("from", self.from.as_deref())?,
            to: query_time("to", self.to.as_deref())?,
            axis: axis(self.axis.as_deref())?,
            amount: least.unwrap_or(0)..=most.unwrap_or(u128::MAX),
            limit: PageLimits::default().resolve(self.limit)?,
            reference_id: self.reference_id,
            position: None,
        })
    }
}

/// List the transactions of a wallet, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/transactions",
    tag = "transactions",
    params(("id" = String, Path, description = "The wallet"), TransactionFilters),
    responses(
        (status = 200, description = "A page, seen from the wallet", body = TransactionPage),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    json::Query(mut filters): json::Query<TransactionFilters>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let wallet = readable_wallet(&api, &caller, &id).await?;
    let digest = filters.digest(&crate::model::Id(wallet.id).to_string());
    let cursor = filters.cursor.take();
    let asset = api.ledger.asset(wallet.asset);
    let mut wanted = filters.read(wallet.id, wallet.slot, asset.scale)?;
    wanted.position = api.cursors.open_optional(digest, cursor.as_deref())?;
    let state = api.clone();
    let page = blocking(&api.ledger, move |view| {
        page(&state, &Viewer::new(&state.ledger, &caller), &view, &wanted)
    });
    let (items, next, seq) = page.await?;
    min_seq.check(seq)?;
    let cursor = next.map(|position| api.cursors.seal(digest, &position));
    timer.done(Ok(answer::with_seq(
        json_bytes(items.finish(cursor.as_deref())),
        seq,
    )))
}

fn page(
    api: &ApiState,
    viewer: &Viewer<'_>,
    view: &ReadView,
    wanted: &Wanted,
) -> Result<(Items, Option<Position>, u64), ReadError> {
    let snapshot = walk::snapshot(view, wanted.position.as_ref());
    let entries = EntryPage {
        effective: wanted.axis == Axis::Effective,
        from: wanted.from,
        to: wanted.to,
        descending: true,
        after: walk::after(wanted.position.as_ref()),
        up_to_seq: Some(snapshot),
        limit: 0,
    };
    let seen = Seen {
        from_wallet: Some(wanted.wallet),
        style: style(&api.ledger),
        ..Seen::default()
    };
    let mut items = Items::new();
    let next = walk::walk(view, wanted.slot, entries, wanted.limit, |entry, keep| {
        let items = keep.then_some(&mut items);
        visit(viewer, view, wanted, (entry, snapshot), seen, items)
    })?;
    Ok((
        items,
        next.map(|after| walk::position(snapshot, after)),
        snapshot,
    ))
}

/// Whether an entry is a transaction that the filters let through; adds it where `items` is
/// given.
fn visit(
    viewer: &Viewer<'_>,
    view: &ReadView,
    wanted: &Wanted,
    (entry, snapshot): (&Entry, u64),
    seen: Seen<'_>,
    items: Option<&mut Items>,
) -> Result<bool, ReadError> {
    let moves = matches!(entry.phase, Phase::Single | Phase::Post);
    let direction = Direction::of(entry.side);
    if !moves || wanted.direction.is_some_and(|wanted| wanted != direction) {
        return Ok(false);
    }
    let record = view.record(entry.seq)?;
    let Some(sides) = viewer.sides(&record) else {
        return Ok(false);
    };
    let transfer = sides.leg().transfer;
    let reference = transfer
        .origin
        .as_ref()
        .and_then(|origin| origin.reference_id.as_deref());
    let matches = wanted
        .r#type
        .is_none_or(|wanted| wanted == type_of(transfer))
        && wanted.amount.contains(&transfer.amount)
        && wanted
            .reference_id
            .as_deref()
            .is_none_or(|wanted| reference == Some(wanted));
    if !matches {
        return Ok(false);
    }
    let state = view.state(&record)?;
    let reversed_by = state
        .reversed_by
        .as_ref()
        .filter(|(_, seq)| *seq <= snapshot);
    let reversed_by = reversed_by.map(|(id, _)| transaction_id(id));
    let status = status_word(reversed_by.as_deref());
    if wanted.status.is_some_and(|wanted| wanted != status) {
        return Ok(false);
    }
    if let Some(items) = items {
        let other = partner(view, &record)?;
        let partner = other.as_ref().and_then(|other| viewer.sides(other));
        let seen = Seen {
            reversed_by: reversed_by.as_deref(),
            ..seen
        };
        items.push(&Transaction::new(
            sides.leg(),
            partner.as_ref().map(Sides::leg),
            seen,
        ));
    }
    Ok(true)
}
