//! `/privacy/people`: export and erasure (contract G).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::audit::Entry;
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::json::Json;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use super::input::Body;
use super::{check, permission};
use crate::Ticketing;
use crate::model::buyer::BuyerKey;
use crate::privacy::people;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Privacy", description = "What is kept of a person, and its erasure")),
    paths(export, erase)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let post = |path| RouteSpec::post(path, Access::Authenticated);
    Routes::new()
        .route(post("/api/v1/privacy/people/export"), export)
        .route(post("/api/v1/privacy/people/erase"), erase)
        .document(Document::openapi())
}

/// A person; without members the caller.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = PersonRequest)]
struct PersonBody {
    /// Subject of an account; others than the caller need `privacy:manage`.
    subject: Option<String>,
    /// E-mail of a person without account; needs `privacy:manage`.
    email: Option<String>,
    /// Of an erasure: valid tickets work on, nameless.
    keep_tickets: bool,
}

/// Whom the body names, if the caller may name him.
fn person(caller: &Caller, body: &PersonBody) -> Result<BuyerKey, Problem> {
    let key = match (&body.subject, &body.email) {
        (None, None) => return Ok(BuyerKey::of_subject(&caller.subject)),
        (Some(subject), None) => BuyerKey::of_subject(&check::line("subject", subject, 1, 255)?),
        (None, Some(email)) => BuyerKey::of_mail(&check::email("email", email)?),
        _ => {
            return Err(Problem::validation(
                "subject",
                "Either `subject` or `email`.",
            ));
        }
    };
    let own = key == BuyerKey::of_subject(&caller.subject);
    match own || caller.holds(permission::PRIVACY_MANAGE) {
        true => Ok(key),
        false => Err(Problem::forbidden(permission::PRIVACY_MANAGE.as_str())),
    }
}

/// Everything that is kept under a person's key.
#[utoipa::path(
    post, path = "/api/v1/privacy/people/export", tag = "Privacy",
    request_body = PersonBody,
    responses(
        (status = 202, description = "The whole export", body = Object),
        (status = 403, description = "`forbidden`: another person"),
        (status = 404, description = "`person_not_found`"),
    )
)]
async fn export(
    State(room): State<Ticketing>,
    caller: Caller,
    Body { body, .. }: Body<PersonBody>,
) -> Result<Response, Problem> {
    let key = person(&caller, &body)?;
    let export = people::export(&room, &key).await?;
    note(&room, &caller, "ticketing.person.exported", &key).await;
    Ok((StatusCode::ACCEPTED, Json(export)).into_response())
}

/// Destroy a person's key: names, addresses and answers read null from then on.
#[utoipa::path(
    post, path = "/api/v1/privacy/people/erase", tag = "Privacy",
    request_body = PersonBody,
    responses(
        (status = 204, description = "Erased"),
        (status = 403, description = "`forbidden`: another person"),
        (status = 404, description = "`person_not_found`"),
        (status = 409, description = "`has_open_matters`, `has_valid_tickets`"),
    )
)]
async fn erase(
    State(room): State<Ticketing>,
    caller: Caller,
    Body { body, .. }: Body<PersonBody>,
) -> Result<Response, Problem> {
    let key = person(&caller, &body)?;
    people::erase(&room, &key, body.keep_tickets).await?;
    note(&room, &caller, "ticketing.person.erased", &key).await;
    Ok(no_content())
}

/// The audit log is never erased: it names the person by a keyed digest.
async fn note(room: &Ticketing, caller: &Caller, action: &'static str, key: &BuyerKey) {
    let digest = hex::encode(&room.vault.lookup(key)[..8]);
    let object = format!("person:{digest}");
    room.note(Entry::new(&*caller.subject, action, object))
        .await;
}
