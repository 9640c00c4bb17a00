//! What several routes read from path and query.

use florin_platform::http::problem::Problem;

use super::problem::field;
use crate::intake::{Ids, is_id};
use crate::model::BookId;
use crate::model::instant::{parse_millis, parse_query, parse_rfc3339};
use crate::store::read::{self, Known};
use crate::store::record::kind;
use crate::store::{Actor, NewRecord, Shadow};

/// The account of a path.
///
/// # Errors
/// 400 `invalid_id`.
pub fn account(text: &str) -> Result<&str, Problem> {
    match is_id(text, Ids::ACCOUNT) {
        true => Ok(text),
        false => Err(field("accountId", "invalid_id", "This is no account id.")),
    }
}

/// The book of an account and `?currency=`.
///
/// # Errors
/// 400 `invalid_id` or `currency_unknown`.
pub fn book(shadow: &Shadow, account_id: &str, currency: Option<&str>) -> Result<BookId, Problem> {
    let account_id = account(account_id)?;
    let currency = currency.unwrap_or_else(|| shadow.currencies().default_code());
    if shadow.currencies().scale(currency).is_none() {
        let message = "The currency is not a registered asset.";
        return Err(field("currency", "currency_unknown", message));
    }
    Ok(BookId::new(account_id, currency))
}

/// An event time of the query, epoch milliseconds.
///
/// # Errors
/// 400 with the code of the fault (`invalid_timestamp`, …).
pub fn event_time(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    text.map(|text| {
        parse_query(text).map_err(|fault| field(name, fault.code(), format!("`{name}` {fault}.")))
    })
    .transpose()
}

/// A recorded time of the query in microseconds: RFC 3339 with up to six fraction digits, or
/// epoch milliseconds (then the whole millisecond is meant).
///
/// # Errors
/// 400 with the code of the fault.
pub fn recorded_time(name: &str, text: &str) -> Result<i64, Problem> {
    if let Ok(millis) = parse_millis(text) {
        return Ok(millis.saturating_mul(1_000).saturating_add(999));
    }
    match florin_base::Timestamp::parse(text) {
        Ok(time) => Ok(time.micros()),
        Err(_) => {
            let fault = parse_rfc3339(text).err();
            let code = fault.map_or("invalid_timestamp", |fault| fault.code());
            Err(field(
                name,
                code,
                format!("`{name}` must be an RFC 3339 time."),
            ))
        }
    }
}

/// The view that `?knownAt=` asks for. An instant beyond the newest record is first marked in
/// the log, so that the answer can be repeated for ever.
///
/// # Errors
/// 400 `known_at_in_future`, else the store's.
pub async fn known_at(shadow: &Shadow, instant: i64) -> Result<Known, Problem> {
    let now = shadow.clock().wall_micros();
    // Epoch milliseconds mean the whole millisecond, which may be the present one.
    let instant = match instant > now && instant - now < 1_000 {
        true => now,
        false => instant,
    };
    if instant > now {
        let message = "`knownAt` lies in the future.";
        return Err(field("knownAt", "known_at_in_future", message));
    }
    let head = read::head(shadow.db()).await?;
    if instant > head.recorded_at {
        mark(shadow, instant).await?;
    }
    Ok(Known {
        log_seq: read::seq_at(shadow.db(), instant).await?,
        at: Some(instant),
    })
}

async fn mark(shadow: &Shadow, instant: i64) -> Result<(), Problem> {
    let marked = shadow.write(move |session| {
        Box::pin(async move {
            if session.head().recorded_at >= instant {
                return Ok(());
            }
            session.set_now(instant);
            let body = serde_json::json!({ "knownAt": instant });
            session.append(NewRecord::new(kind::MARK, Actor::system("reader"), &body));
            Ok(())
        })
    });
    Ok(marked.await?)
}

/// The view of now.
///
/// # Errors
/// The store's.
pub async fn now(shadow: &Shadow) -> Result<Known, Problem> {
    let head = read::head(shadow.db()).await?;
    Ok(Known {
        log_seq: head.log_seq,
        at: None,
    })
}
