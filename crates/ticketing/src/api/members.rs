//! `/orgs/{id}/members`: who works in an organisation (contract A1).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::audit::Entry;
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::FilterDigest;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::input::{Body, Search};
use super::once::Creation;
use super::orgs::{PageQuery, one_more, page_of, paged};
use super::problem::{conflict, org_not_found};
use super::scope::{Role, in_org};
use super::{check, permission};
use crate::Ticketing;
use crate::model::buyer::fold_mail;
use crate::store;
use crate::store::orgs::Member;

/// Most members of one organisation.
const MEMBERS_MAX: i64 = 1_000;
/// Most events that one membership lists.
const EVENTS_MAX: usize = 200;

#[derive(OpenApi)]
#[openapi(paths(list, add, remove))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let all = "/api/v1/orgs/{id}/members";
    let one = "/api/v1/orgs/{id}/members/{memberId}";
    Routes::new()
        .route(RouteSpec::get(all, permission::ORGS_READ), list)
        .route(RouteSpec::post(all, permission::ORGS_WRITE), add)
        .route(RouteSpec::delete(one, permission::ORGS_WRITE), remove)
        .document(Document::openapi())
}

/// A new member: `userId` or `email`, and a role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = MemberRequest)]
struct MemberBody {
    /// Subject of the member's credentials.
    user_id: Option<String>,
    /// The same where people sign in with an e-mail address.
    email: Option<String>,
    /// `organizer`, `scanner` or `support`.
    role: String,
    /// Of a scanner: only these events.
    event_ids: Option<Vec<String>>,
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Member)]
struct MemberShown {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    role: &'static str,
    event_ids: Option<Vec<String>>,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<&Member> for MemberShown {
    fn from(member: &Member) -> Self {
        let subject = || member.subject.clone();
        Self {
            id: member.id.clone(),
            user_id: (!member.by_mail).then(subject),
            email: member.by_mail.then(subject),
            role: member.role.word(),
            event_ids: member.event_ids.clone(),
            created_at: Timestamp(member.created_at),
        }
    }
}

/// Members of an organisation.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}/members", tag = "Organisations",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Vec<MemberShown>), (status = 404, description = "`org_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    Search(query): Search<PageQuery>,
) -> Result<Response, Problem> {
    in_org(
        &room,
        &caller,
        &id,
        None,
        permission::ORGS_READ,
        org_not_found,
    )
    .await?;
    let digest = FilterDigest::new("members", [("org", &*id)]);
    let (after, limit) = page_of(&room, digest, &query)?;
    let found = store::orgs::members(&room.store.db, &id, &after, one_more(limit)).await?;
    let show = |member: &Member| MemberShown::from(member);
    let page = paged(&room, digest, found, limit, |member| &member.id, show);
    Ok(Json(page).into_response())
}

/// Add a member.
#[utoipa::path(
    post, path = "/api/v1/orgs/{id}/members", tag = "Organisations",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = MemberBody,
    responses(
        (status = 201, body = MemberShown),
        (status = 404, description = "`org_not_found`"),
        (status = 409, description = "`already_member`, `too_many_members`"),
    )
)]
async fn add(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { body, json }: Body<MemberBody>,
) -> Result<Response, Problem> {
    in_org(
        &room,
        &caller,
        &id,
        None,
        permission::ORGS_WRITE,
        org_not_found,
    )
    .await?;
    let now = room.now();
    let member = read(&room, body, now)?;
    let creation = Creation::new(&room, &caller, &format!("members:{id}"), &key, &json);
    let mut tx = room.store.begin().await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    if store::orgs::count(&mut tx, &id, None).await? >= MEMBERS_MAX {
        let detail = format!("An organisation has at most {MEMBERS_MAX} members.");
        return Err(conflict("too_many_members", detail));
    }
    if !store::orgs::add_member(&mut tx, &id, &member).await? {
        let detail = "This person has that role already.";
        return Err(conflict("already_member", detail));
    }
    let location = format!("/api/v1/orgs/{id}/members/{}", member.id);
    let shown = MemberShown::from(&member);
    let answer = creation
        .keep(&mut tx, StatusCode::CREATED, Some(location), &shown, now)
        .await?;
    tx.commit().await?;
    let object = format!("org:{id}/member:{}", member.id);
    room.note(Entry::new(&*caller.subject, "ticketing.member.added", object).after(&shown))
        .await;
    Ok(answer)
}

fn read(room: &Ticketing, body: MemberBody, now: i64) -> Result<Member, Problem> {
    let role = Role::from_word(&body.role)
        .ok_or_else(|| Problem::validation("role", "One of organizer, scanner, support."))?;
    let (subject, by_mail) = match (body.user_id, body.email) {
        (Some(user), None) => (check::line("userId", &user, 1, 255)?, false),
        (None, Some(email)) => (fold_mail(&check::email("email", &email)?), true),
        _ => return Err(Problem::validation("userId", "Either `userId` or `email`.")),
    };
    let listed = body.event_ids.filter(|ids| !ids.is_empty());
    if listed.is_some() && role != Role::Scanner {
        let message = "Only scanners are bound to events.";
        return Err(Problem::validation("eventIds", message));
    }
    if listed.as_ref().is_some_and(|ids| ids.len() > EVENTS_MAX) {
        let message = format!("At most {EVENTS_MAX} events.");
        return Err(Problem::validation("eventIds", message));
    }
    for (index, event) in listed.iter().flatten().enumerate() {
        check::id(&format!("eventIds[{index}]"), event)?;
    }
    Ok(Member {
        id: room.store.id(),
        subject,
        by_mail,
        role,
        event_ids: listed,
        created_at: now,
    })
}

/// Remove a member.
#[utoipa::path(
    delete, path = "/api/v1/orgs/{id}/members/{memberId}", tag = "Organisations",
    params(("id" = String, Path), ("memberId" = String, Path)),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`org_not_found`, `member_not_found`"),
        (status = 409, description = "`last_organizer`"),
    )
)]
async fn remove(
    State(room): State<Ticketing>,
    caller: Caller,
    Path((id, member_id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    in_org(
        &room,
        &caller,
        &id,
        None,
        permission::ORGS_WRITE,
        org_not_found,
    )
    .await?;
    let mut tx = room.store.begin().await?;
    let found = store::orgs::member_in(&mut tx, &id, &member_id).await?;
    let found =
        found.ok_or_else(|| Problem::not_found("member_not_found", "There is no such member."))?;
    let organizers = store::orgs::count(&mut tx, &id, Some(Role::Organizer)).await?;
    if found.role == Role::Organizer && organizers <= 1 {
        let detail = "An organisation keeps at least one organizer.";
        return Err(conflict("last_organizer", detail));
    }
    store::orgs::remove_member(&mut tx, &id, &member_id).await?;
    tx.commit().await?;
    let object = format!("org:{id}/member:{member_id}");
    let entry = Entry::new(&*caller.subject, "ticketing.member.removed", object);
    room.note(entry.before(&MemberShown::from(&found))).await;
    Ok(no_content())
}
