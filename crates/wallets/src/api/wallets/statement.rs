//! Statements: every posting of a period between opening and closing balance (contract B7).
//!
//! The first page takes opening and closing from the totals at the period's borders; the cursor
//! carries them on, so that all pages show one statement as of one `seq`.

use axum::{extract::State, response::Response};
use florin_base::Timestamp;
use florin_ledger::{
    ReadView,
    call::WalletView,
    engine::{Entry, EntryPage, Phase, ReadError},
    model::{Record, Slot},
};
use florin_platform::http::{
    auth::Caller,
    json::{self, Path},
    page::{FilterDigest, PageLimits, Position},
    problem::Problem,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    answer::style,
    list::readable_wallet,
    request::bad,
    statement_csv,
    transactions::axis,
    walk::{self, After},
};
use crate::api::meter::{Operation, Timer};
use crate::{
    api::{
        ApiState, Shared,
        answer::{self, MinSeq, blocking},
        query_time,
    },
    model::{
        Direction, Id,
        statement::{Axis, Head, Period, Posted, Statement, StatementItem},
    },
};

/// Period and form of a statement.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementQuery {
    /// First instant of the period.
    #[param(required = true, example = "2026-01-01T00:00:00Z")]
    from: Option<String>,
    /// First instant after the period.
    #[param(required = true, example = "2026-02-01T00:00:00Z")]
    to: Option<String>,
    /// `recorded` (default: a finished period never changes) or `effective`.
    axis: Option<String>,
    /// `json` (default) or `csv`, which has everything in one answer.
    format: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// From `nextCursor`.
    cursor: Option<String>,
}

/// A period asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The wallet's account.
    pub slot: Slot,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// The time that bounds it.
    pub axis: Axis,
}

/// The statement of a wallet over a period, half-open: `from` is in, `to` is not.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{id}/statement",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet"), StatementQuery),
    responses(
        (status = 200, description = "A page, or the whole statement as CSV", content(
            (Statement = "application/json"),
            (String = "text/csv", example = "recordedAt,effectiveAt,transactionId,type,direction,amount,currency,balanceAfter,referenceId,description"),
        )),
        (status = 404, description = "`wallet_not_found`"),
    ),
)]
pub async fn statement(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    json::Query(query): json::Query<StatementQuery>,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let timer = Timer::start(Operation::Query);
    let wallet = readable_wallet(&api, &caller, &id).await?;
    let required = |field, given: Option<&str>| {
        let missing = || bad(field, "validation_failed", "This parameter is required.");
        query_time(field, given)?.ok_or_else(missing)
    };
    let asked = Asked {
        slot: wallet.slot,
        from: required("from", query.from.as_deref())?,
        to: required("to", query.to.as_deref())?,
        axis: axis(query.axis.as_deref())?,
    };
    if asked.to < asked.from {
        return Err(bad("to", "validation_failed", "Must not be before `from`."));
    }
    timer.done(match query.format.as_deref() {
        None | Some("json") => page(&api, &wallet, asked, &query, min_seq).await,
        Some("csv") => statement_csv::stream(api, wallet, asked, min_seq).await,
        Some(_) => Err(bad("format", "validation_failed", "Must be json or csv.")),
    })
}

/// The totals before a period and at its end.
pub fn period(view: &ReadView, asked: Asked) -> Result<Period, ReadError> {
    let before = |time: Timestamp| {
        // Borders of the period are exclusive at their end, totals at a time inclusive.
        let last = Some(Timestamp(time.micros() - 1));
        let totals = match asked.axis {
            Axis::Recorded => view.totals_at(asked.slot, None, last),
            Axis::Effective => view.totals_at(asked.slot, last, None),
        };
        totals.map(Posted::from)
    };
    Ok(Period {
        before: before(asked.from)?,
        end: before(asked.to)?,
    })
}

/// The entries of a period as of a `seq`.
pub fn entries(asked: Asked, snapshot: u64, after: Option<After>) -> EntryPage {
    EntryPage {
        effective: asked.axis == Axis::Effective,
        from: Some(asked.from),
        to: Some(asked.to),
        descending: false,
        after,
        up_to_seq: Some(snapshot),
        limit: 0,
    }
}

/// A posting of the period with the totals right after it.
pub struct Line {
    /// Its record.
    pub record: Record,
    /// Seen from the wallet.
    pub direction: Direction,
    /// Totals after it, on the statement's axis.
    pub after: Posted,
}

impl Line {
    /// The line of an entry, if it is a posting; `running` are the totals before it.
    pub fn of(
        view: &ReadView,
        entry: &Entry,
        running: &mut Posted,
    ) -> Result<Option<Self>, ReadError> {
        if !is_posting(entry) {
            return Ok(None);
        }
        let record = view.record(entry.seq)?;
        let direction = Direction::of(entry.side);
        let Some(amount) = record.transfer().map(|transfer| transfer.amount) else {
            return Ok(None);
        };
        *running = running.after(direction, amount);
        Ok(Some(Self {
            record,
            direction,
            after: *running,
        }))
    }
}

fn is_posting(entry: &Entry) -> bool {
    matches!(entry.phase, Phase::Single | Phase::Post)
}

/// Where a walk over a statement stands, with the figures that all its pages share.
struct Walk {
    snapshot: u64,
    after: Option<After>,
    period: Period,
    running: Posted,
}

impl Walk {
    fn first(view: &ReadView, asked: Asked) -> Result<Self, ReadError> {
        let period = period(view, asked)?;
        Ok(Self {
            snapshot: view.seq(),
            after: None,
            running: period.before,
            period,
        })
    }

    fn position(&self, after: After) -> Position {
        let mut position = walk::position(self.snapshot, after);
        for posted in [self.period.before, self.period.end, self.running] {
            position
                .after
                .extend_from_slice(&posted.debits.to_le_bytes());
            position
                .after
                .extend_from_slice(&posted.credits.to_le_bytes());
            position
                .after
                .extend_from_slice(&posted.count.to_le_bytes());
        }
        position
    }

    fn resume(position: &Position) -> Option<Self> {
        let mut rest = position.after.get(16..)?;
        let mut posted = || {
            let (debits, tail) = rest.split_first_chunk::<16>()?;
            let (credits, tail) = tail.split_first_chunk::<16>()?;
            let (count, tail) = tail.split_first_chunk::<8>()?;
            rest = tail;
            Some(Posted {
                debits: u128::from_le_bytes(*debits),
                credits: u128::from_le_bytes(*credits),
                count: u64::from_le_bytes(*count),
            })
        };
        Some(Self {
            snapshot: position.snapshot,
            after: Some(walk::after(Some(position))?),
            period: Period {
                before: posted()?,
                end: posted()?,
            },
            running: posted()?,
        })
    }
}

async fn page(
    api: &ApiState,
    wallet: &WalletView,
    asked: Asked,
    query: &StatementQuery,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let limit = PageLimits::default().resolve(query.limit)?;
    let (id, from, to) = (
        Id(wallet.id).to_string(),
        asked.from.to_string(),
        asked.to.to_string(),
    );
    let filters = [
        ("wallet", &*id),
        ("from", &from),
        ("to", &to),
        ("axis", asked.axis.word()),
    ];
    let digest = FilterDigest::new("statement", filters);
    let position = api.cursors.open_optional(digest, query.cursor.as_deref())?;
    let is_final = is_final(api, asked).await?;
    let read = blocking(&api.ledger, move |view| {
        let resumed = position.as_ref().and_then(Walk::resume);
        let mut walk = match resumed {
            Some(walk) => walk,
            None => Walk::first(&view, asked)?,
        };
        let page = entries(asked, walk.snapshot, walk.after);
        let mut lines = Vec::new();
        let next = walk::walk(&view, asked.slot, page, limit, |entry, keep| {
            if keep {
                let line = Line::of(&view, entry, &mut walk.running)?;
                let kept = line.is_some();
                lines.extend(line);
                return Ok(kept);
            }
            Ok(is_posting(entry))
        })?;
        let next = next.map(|after| walk.position(after));
        Ok((lines, walk.period, next, walk.snapshot))
    });
    let (lines, period, next, as_of_seq) = read.await?;
    min_seq.check(as_of_seq)?;
    let (asset, style) = (api.ledger.asset(wallet.asset), style(&api.ledger));
    let items = lines.iter().filter_map(|line| {
        let transfer = line.record.transfer()?;
        let balance = line.after.balance();
        let recorded_at = line.record.recorded_at;
        Some(StatementItem::new(
            transfer,
            line.direction,
            recorded_at,
            balance,
            &asset,
            style,
        ))
    });
    let head = Head {
        wallet,
        asset: &asset,
        from: asked.from,
        to: asked.to,
        axis: asked.axis,
        as_of_seq,
        is_final,
        style,
    };
    let cursor = next.map(|position| api.cursors.seal(digest, &position));
    let body = Statement::new(head, &period, items.collect(), cursor);
    answer::json(&body, as_of_seq)
}

/// Nothing can come into the period any more. Asked before the figures are read, so that they
/// hold everything when the answer is yes.
async fn is_final(api: &ApiState, asked: Asked) -> Result<bool, Problem> {
    let closed = api.ledger.policy().closed_before;
    let is_closed = asked.axis == Axis::Recorded || closed.is_some_and(|closed| asked.to <= closed);
    Ok(is_closed && asked.to <= api.now().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_carries_its_figures_in_the_cursor() {
        let posted = |debits, credits, count| Posted {
            debits,
            credits,
            count,
        };
        let walk = Walk {
            snapshot: 77,
            after: None,
            period: Period {
                before: posted(1, u128::MAX, 2),
                end: posted(3, 4, 5),
            },
            running: posted(6, 7, 8),
        };
        let position = walk.position((-9, 10));
        let resumed = Walk::resume(&position).expect("whole");
        assert_eq!(resumed.snapshot, 77);
        assert_eq!(resumed.after, Some((-9, 10)));
        assert_eq!(resumed.period, walk.period);
        assert_eq!(resumed.running, walk.running);
    }
}
