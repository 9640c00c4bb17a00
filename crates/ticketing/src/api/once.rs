//! POSTs that create something, under their `Idempotency-Key`.

use axum::response::Response;
use florin_platform::http::auth::Principal;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::json_bytes;
use florin_platform::http::problem::Problem;
use florin_platform::sql::Tx;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::Ticketing;
use crate::store::idempotency::{Kept, Once};

/// A creation under a key, or without one.
pub struct Creation(Option<Once>);

impl Creation {
    /// Of a caller on a route; `place` names the route and the object it is under.
    pub fn new(
        room: &Ticketing,
        caller: &Principal,
        place: &str,
        key: &IdempotencyKey,
        json: &Value,
    ) -> Self {
        let scope = format!("{place}:sub:{}", caller.subject);
        Self(
            key.as_deref()
                .map(|key| Once::new(&room.secrets, scope, key, json)),
        )
    }

    /// The answer of the first time. The body was nobody's personal data.
    ///
    /// # Errors
    /// 409 `idempotency_conflict`, the store's.
    pub async fn known(&self, tx: &mut Tx) -> Result<Option<Response>, Problem> {
        let Some(once) = &self.0 else {
            return Ok(None);
        };
        let kept = once.replay(tx).await?;
        kept.map(|kept| shown(kept).map(replayed)).transpose()
    }

    /// Keeps the answer with its effect, and gives it.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep<T: Serialize>(
        &self,
        tx: &mut Tx,
        status: StatusCode,
        location: Option<String>,
        body: &T,
        now: i64,
    ) -> Result<Response, Problem> {
        let kept = Kept {
            status: status.as_u16(),
            location,
            person: None,
            body: serde_json::to_vec(body).map_err(Problem::internal)?,
        };
        if let Some(once) = &self.0 {
            once.keep(tx, &kept, now).await?;
        }
        shown(kept)
    }
}

/// An answer from what was kept.
///
/// # Errors
/// 500 for a location that is no header.
pub fn shown(kept: Kept) -> Result<Response, Problem> {
    let mut response = json_bytes(kept.body);
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(Problem::internal)?;
    if let Some(location) = kept.location {
        let value = HeaderValue::from_str(&location).map_err(Problem::internal)?;
        response.headers_mut().insert(LOCATION, value);
    }
    Ok(response)
}
