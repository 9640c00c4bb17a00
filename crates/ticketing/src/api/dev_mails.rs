//! `/dev/mails`: mails of the local sink; only with `--unsafe-dev`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::Access;
use florin_platform::http::json::Json;
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::input::Search;
use crate::Ticketing;
use crate::mail::{self, Mail};

#[derive(OpenApi)]
#[openapi(paths(list))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .route(RouteSpec::get("/api/v1/dev/mails", Access::Public), list)
        .document(Document::openapi())
}

/// To whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct To {
    /// Address of the recipient.
    to: String,
}

/// A mail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DevMail)]
struct MailShown {
    id: String,
    to: String,
    kind: String,
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(value_type = Object)]
    #[serde(flatten)]
    mail: Mail,
}

/// Mails to an address, newest first.
#[utoipa::path(
    get, path = "/api/v1/dev/mails", tag = "Development", params(To),
    responses((status = 200, body = Vec<MailShown>), (status = 404, description = "`not_found` without --unsafe-dev"))
)]
async fn list(
    State(room): State<Ticketing>,
    Search(query): Search<To>,
) -> Result<Response, Problem> {
    if !room.settings.dev {
        return Err(Problem::not_found(
            "not_found",
            "There is nothing at this path.",
        ));
    }
    let found = mail::sent_to(&room, &query.to).await?;
    let items: Vec<MailShown> = found
        .into_iter()
        .map(|sent| MailShown {
            id: sent.id,
            to: sent.to,
            kind: sent.kind,
            at: Timestamp(sent.sent_at),
            mail: sent.mail,
        })
        .collect();
    let page = Page {
        items,
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}
