//! `GET /ledger/transfers` and `GET /ledger/accounts/{id}/transfers` (contract A6).
//!
//! Both walk records in a stable order as of the `seq` of the first page. The list of one
//! account is ordered by the chosen axis; the list of all transfers is ordered by `seq`, and
//! `axis` chooses which time `from` and `to` bound. A page ends early after [`SCAN_MAX`] records
//! that no filter let through, with a cursor to go on.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_base::Timestamp;
use florin_ledger::{
    Ledger, ReadView,
    engine::{EntryPage, IdLookup, Phase, ReadError},
    model::{ITEMS_MAX, Mode, Record, Side, Slot, Transfer},
    rules::prepare::parse_minor,
};
use florin_platform::http::{
    json::{Json, Path},
    page::{FilterDigest, Page, Position},
    problem::Problem,
};
use utoipa::ToSchema;

use super::{
    history::{decode_place, encode_place, read_page},
    params::Params,
    render::{self, TransferBody},
    support::{account_slot, run, with_seq},
};
use crate::api::{Shared, answer::MinSeq};

/// Most records looked at for one page.
const SCAN_MAX: usize = 20_000;
/// Entries of an account read at a time.
const CHUNK: usize = 512;

/// A page of transfers.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerTransferPage, rename_all = "camelCase")]
#[allow(dead_code, reason = "the shape for the OpenAPI file")]
pub struct TransferPage {
    items: Vec<TransferBody>,
    next_cursor: Option<String>,
}

/// What a transfer must be to stand in the list.
#[derive(Debug, Default)]
struct Filter {
    side: Option<Side>,
    code: Option<String>,
    mode: Option<Mode>,
    state: Option<String>,
    min: Option<u128>,
    max: Option<u128>,
    chain_id: Option<String>,
    reversal_of: Option<String>,
    metadata: Vec<(Box<str>, Box<str>)>,
}

const STATES: [&str; 5] = ["recorded", "pending", "posted", "voided", "expired"];

impl Filter {
    fn read(params: &mut Params) -> Result<Self, Problem> {
        let side = |text: &str| match text {
            "both" => Some(None),
            word => Side::from_word(word).map(Some),
        };
        let state = |text: &str| STATES.contains(&text).then(|| text.to_owned());
        Ok(Self {
            side: params
                .with("side", "debit, credit or both", side)?
                .flatten(),
            code: params.text("code"),
            mode: params.with("mode", "single, pending, post or void", Mode::from_word)?,
            state: params.with(
                "state",
                "recorded, pending, posted, voided or expired",
                state,
            )?,
            min: params.with("minAmountMinor", "whole minor units", parse_minor)?,
            max: params.with("maxAmountMinor", "whole minor units", parse_minor)?,
            chain_id: params.text("chainId"),
            reversal_of: params.text("reversalOf"),
            metadata: params.metadata(),
        })
    }

    fn lets(&self, t: &Transfer) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let chain = t.chain.as_ref().map(|(id, _)| &**id);
        same(&self.code, Some(&t.code))
            && self.mode.is_none_or(|mode| mode == t.mode)
            && self.min.is_none_or(|min| t.amount >= min)
            && self.max.is_none_or(|max| t.amount <= max)
            && same(&self.chain_id, chain)
            && same(&self.reversal_of, t.reversal_of.as_deref())
            && self
                .metadata
                .iter()
                .all(|(key, value)| t.metadata.get(key) == Some(value))
    }

    /// The body of a record that passes all filters.
    fn body(
        &self,
        ledger: &Ledger,
        view: &ReadView,
        record: &Record,
    ) -> Result<Option<TransferBody>, ReadError> {
        if !record.transfer().is_some_and(|t| self.lets(t)) {
            return Ok(None);
        }
        let state = view.state(record)?;
        if self
            .state
            .as_deref()
            .is_some_and(|wanted| wanted != state.state)
        {
            return Ok(None);
        }
        Ok(render::transfer(ledger, record, state))
    }
}

/// A page under construction: one more item than shown tells whether there is a next page.
struct Builder {
    limit: usize,
    items: Vec<TransferBody>,
    /// Place of the last item shown.
    shown: (i64, u64),
    /// Place of the last record looked at.
    looked: (i64, u64),
    scanned: usize,
}

impl Builder {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            items: Vec::new(),
            shown: (0, 0),
            looked: (0, 0),
            scanned: 0,
        }
    }

    /// Takes the next record; false when the page is complete.
    fn add(&mut self, place: (i64, u64), body: Option<TransferBody>) -> bool {
        self.looked = place;
        self.scanned += 1;
        if let Some(body) = body {
            if self.items.len() == self.limit {
                return self.stop_at_shown();
            }
            self.items.push(body);
            self.shown = place;
        }
        self.scanned < SCAN_MAX
    }

    fn stop_at_shown(&mut self) -> bool {
        self.looked = self.shown;
        false
    }
}

/// Items, and the place to go on after.
type Found = (Vec<TransferBody>, Option<(i64, u64)>);

fn of_account(
    ledger: &Ledger,
    view: &ReadView,
    slot: Slot,
    filter: &Filter,
    mut page: EntryPage,
    limit: usize,
) -> Result<Found, ReadError> {
    let mut builder = Builder::new(limit);
    page.limit = CHUNK;
    loop {
        let entries = view.entries(slot, &page)?;
        for entry in &entries {
            let place = (entry.effective_at.micros(), entry.seq);
            let passes =
                entry.phase != Phase::Expired && filter.side.is_none_or(|side| side == entry.side);
            let body = match passes {
                true => filter.body(ledger, view, &view.record(entry.seq)?)?,
                false => None,
            };
            if !builder.add(place, body) {
                return Ok((builder.items, Some(builder.looked)));
            }
        }
        if entries.len() < CHUNK {
            return Ok((builder.items, None));
        }
        page.after = Some(builder.looked);
    }
}

/// The `seq`s that can hold what the filters ask for, both inclusive; `None` when none can.
fn bounds(
    view: &ReadView,
    filter: &Filter,
    page: &EntryPage,
) -> Result<Option<(u64, u64)>, ReadError> {
    let mut low = 1;
    let mut high = page.up_to_seq.unwrap_or(view.seq()).min(view.seq());
    if !page.effective {
        let before = |at: Timestamp| view.seq_at(Timestamp(at.micros() - 1));
        if let Some(from) = page.from {
            low = before(from)? + 1;
        }
        if let Some(to) = page.to {
            high = high.min(before(to)?);
        }
    }
    if let Some(chain) = &filter.chain_id {
        let IdLookup::Recorded(first) = view.transfer(chain)? else {
            return Ok(None);
        };
        low = low.max(first.seq);
        high = high.min(first.seq + ITEMS_MAX as u64);
    }
    if let Some(original) = &filter.reversal_of {
        let IdLookup::Recorded(record) = view.transfer(original)? else {
            return Ok(None);
        };
        let Some((_, seq)) = view.state(&record)?.reversed_by else {
            return Ok(None);
        };
        (low, high) = (low.max(seq), high.min(seq));
    }
    Ok((low <= high).then_some((low, high)))
}

fn of_all(
    ledger: &Ledger,
    view: &ReadView,
    filter: &Filter,
    page: &EntryPage,
    limit: usize,
) -> Result<Found, ReadError> {
    let mut builder = Builder::new(limit);
    let Some((mut low, mut high)) = bounds(view, filter, page)? else {
        return Ok((Vec::new(), None));
    };
    match (page.after, page.descending) {
        (Some((_, seq)), false) => low = low.max(seq + 1),
        (Some((_, seq)), true) => high = high.min(seq.saturating_sub(1)),
        (None, _) => {}
    }
    let mut next = if page.descending { high } else { low };
    while (low..=high).contains(&next) {
        let record = view.record(next)?;
        let effective = record.transfer().map(|t| t.effective_at);
        let within = !page.effective
            || effective.is_some_and(|at| {
                page.from.is_none_or(|from| at >= from) && page.to.is_none_or(|to| at < to)
            });
        let body = match within {
            true => filter.body(ledger, view, &record)?,
            false => None,
        };
        if !builder.add((0, next), body) {
            return Ok((builder.items, Some(builder.looked)));
        }
        next = if page.descending { next - 1 } else { next + 1 };
    }
    Ok((builder.items, None))
}

/// What both lists read from their parameters.
struct Asked {
    digest: FilterDigest,
    limit: usize,
    cursor: Option<String>,
    page: EntryPage,
    filter: Filter,
}

impl Asked {
    fn read(list: &str, mut params: Params) -> Result<Self, Problem> {
        let digest = params.digest(list);
        let (limit, cursor) = params.page()?;
        let page = read_page(&mut params)?;
        let filter = Filter::read(&mut params)?;
        params.end()?;
        Ok(Self {
            digest,
            limit,
            cursor,
            page,
            filter,
        })
    }

    async fn answer(
        self,
        api: &Shared,
        min: MinSeq,
        slot: Option<Slot>,
    ) -> Result<Response, Problem> {
        let Self {
            digest,
            limit,
            cursor,
            mut page,
            filter,
        } = self;
        let position = api.cursors.open_optional(digest, cursor.as_deref())?;
        let seen = position.as_ref().map(|position| position.snapshot);
        let view = api.view(min, seen.unwrap_or(0)).await?;
        let snapshot = seen.unwrap_or(view.seq());
        page.after = position.and_then(|position| decode_place(&position.after));
        page.up_to_seq = Some(snapshot);
        let ledger = api.ledger.clone();
        let (items, next) = run(move || match slot {
            Some(slot) => of_account(&ledger, &view, slot, &filter, page, limit),
            None => of_all(&ledger, &view, &filter, &page, limit),
        })
        .await?;
        let next_cursor = next.map(|place| {
            let after = encode_place(place);
            api.cursors.seal(digest, &Position { snapshot, after })
        });
        Ok(with_seq(
            Json(Page { items, next_cursor }).into_response(),
            snapshot,
        ))
    }
}

/// Lists all transfers, in order of `seq`.
#[utoipa::path(
    get, path = "/api/v1/ledger/transfers", tag = "Ledger",
    params(
        ("code" = Option<String>, Query, description = "Only of this type of posting"),
        ("mode" = Option<String>, Query, description = "single, pending, post or void"),
        ("state" = Option<String>, Query, description = "recorded, pending, posted, voided or expired"),
        ("axis" = Option<String>, Query, description = "Which time `from` and `to` bound: recorded (default) or effective"),
        ("from" = Option<String>, Query, description = "Not before, inclusive"),
        ("to" = Option<String>, Query, description = "Before, exclusive"),
        ("minAmountMinor" = Option<String>, Query, description = "At least so much"),
        ("maxAmountMinor" = Option<String>, Query, description = "At most so much"),
        ("chainId" = Option<String>, Query, description = "Only of this chain"),
        ("reversalOf" = Option<String>, Query, description = "Only the reversal of this transfer"),
        ("metadata.<key>" = Option<String>, Query, description = "Only with this pair"),
        ("order" = Option<String>, Query, description = "asc (default) or desc"),
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses((status = 200, description = "A page", body = TransferPage))
)]
pub async fn all(
    State(api): State<Shared>,
    min: MinSeq,
    params: Params,
) -> Result<Response, Problem> {
    Asked::read("ledger/transfers", params)?
        .answer(&api, min, None)
        .await
}

/// Lists the transfers of an account.
#[utoipa::path(
    get, path = "/api/v1/ledger/accounts/{id}/transfers", tag = "Ledger",
    params(
        ("id" = String, Path, description = "Id of the account"),
        ("side" = Option<String>, Query, description = "debit, credit or both (default)"),
        ("code" = Option<String>, Query, description = "Only of this type of posting"),
        ("mode" = Option<String>, Query, description = "single, pending, post or void"),
        ("state" = Option<String>, Query, description = "recorded, pending, posted, voided or expired"),
        ("axis" = Option<String>, Query, description = "Order and range by: recorded (default) or effective"),
        ("from" = Option<String>, Query, description = "Not before, inclusive"),
        ("to" = Option<String>, Query, description = "Before, exclusive"),
        ("minAmountMinor" = Option<String>, Query, description = "At least so much"),
        ("maxAmountMinor" = Option<String>, Query, description = "At most so much"),
        ("chainId" = Option<String>, Query, description = "Only of this chain"),
        ("reversalOf" = Option<String>, Query, description = "Only the reversal of this transfer"),
        ("metadata.<key>" = Option<String>, Query, description = "Only with this pair"),
        ("order" = Option<String>, Query, description = "asc (default) or desc"),
        ("limit" = Option<u32>, Query, description = "1 to 500, default 50"),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = TransferPage),
        (status = 404, description = "`account_not_found`"),
    )
)]
pub async fn of_one(
    State(api): State<Shared>,
    min: MinSeq,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    let asked = Asked::read(&format!("ledger/accounts/{id}/transfers"), params)?;
    let slot = account_slot(&api.ledger, &id).await?;
    asked.answer(&api, min, Some(slot)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_more_than_shown_ends_the_page_at_the_last_shown() {
        let mut builder = Builder::new(1);
        assert!(builder.add((0, 1), Some(TransferBody::default())));
        assert!(builder.add((0, 2), None));
        assert!(!builder.add((0, 3), Some(TransferBody::default())));
        assert_eq!((builder.items.len(), builder.looked), (1, (0, 1)));
    }

    #[test]
    fn a_page_ends_after_so_many_records() {
        let mut builder = Builder::new(1);
        let taken = (1..).take_while(|seq| builder.add((0, *seq), None)).count();
        assert_eq!(taken + 1, SCAN_MAX);
        assert_eq!(builder.looked, (0, SCAN_MAX as u64));
    }
}
