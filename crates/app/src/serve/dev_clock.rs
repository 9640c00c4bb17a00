//! `PUT /api/v1/dev/clock`: moves the server's clock, for testers (contracts/README.md, "dev
//! clock"). Mounted only with `--unsafe-dev --dev-clock`.

use std::sync::Arc;

use axum::extract::State;
use florin_base::{Clock as _, DevClock, Timestamp};
use florin_platform::http::auth::Permission;
use florin_platform::http::json::Json;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{BoundRoutes, RouteSpec, Routes};
use serde::Deserialize;

/// Moving the clock; role `admin` has it.
const DEV_CLOCK: Permission = Permission::new("dev:clock");

/// Largest step: ten years.
const ADVANCE_MAX_SECONDS: i64 = 10 * 366 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Move {
    /// Sets the wall clock only.
    #[serde(default)]
    now: Option<String>,
    /// Moves wall and boot-time clock.
    #[serde(default)]
    advance_seconds: Option<i64>,
}

/// The route.
pub fn routes(clock: Arc<DevClock>) -> BoundRoutes {
    let spec = RouteSpec::put("/api/v1/dev/clock", DEV_CLOCK).undocumented();
    Routes::new().route(spec, put).bind(clock)
}

async fn put(
    State(clock): State<Arc<DevClock>>,
    Json(wanted): Json<Move>,
) -> Result<Json<serde_json::Value>, Problem> {
    match (wanted.now, wanted.advance_seconds) {
        (Some(text), None) => {
            let now = Timestamp::parse(&text).map_err(|_| {
                Problem::validation("now", "A time with its zone, such as 2026-01-01T00:00:00Z.")
            })?;
            clock.set_wall(now.micros());
        }
        (None, Some(seconds)) if (1..=ADVANCE_MAX_SECONDS).contains(&seconds) => {
            clock.advance_micros(seconds * 1_000_000);
        }
        (None, Some(_)) => {
            return Err(Problem::validation(
                "advanceSeconds",
                "1 to ten years, in seconds.",
            ));
        }
        _ => {
            return Err(Problem::validation(
                "now",
                "Give one of `now` and `advanceSeconds`.",
            ));
        }
    }
    let now = Timestamp(clock.wall_micros());
    Ok(Json(serde_json::json!({ "now": now.to_string() })))
}
