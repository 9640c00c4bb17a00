//! `/orgs`: organisations (contract A1).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::audit::Entry;
use florin_platform::http::auth::{Caller, Reach};
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::given::Given;
use super::input::{Body, Search};
use super::once::Creation;
use super::problem::org_not_found;
use super::scope::{Role, in_org};
use super::{check, permission};
use crate::Ticketing;
use crate::events::edit;
use crate::model::buyer::fold_mail;
use crate::model::org::{FeePayer, Org, OrgStatus, PayoutMethod, TaxRemitter};
use crate::store;
use crate::store::orgs::Member;

#[derive(OpenApi)]
#[openapi(
    tags((name = "Organisations", description = "Who organises events, and who works there")),
    paths(create, list, get, patch)
)]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let (all, one) = ("/api/v1/orgs", "/api/v1/orgs/{id}");
    Routes::new()
        .route(RouteSpec::post(all, permission::ORGS_CREATE), create)
        .route(RouteSpec::get(all, permission::ORGS_READ), list)
        .route(RouteSpec::get(one, permission::ORGS_READ), get)
        .route(RouteSpec::patch(one, permission::ORGS_WRITE), patch)
        .document(Document::openapi())
}

/// Where the organisation's money goes.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PayoutMethod)]
pub struct MethodBody {
    /// `wallet` or `bank_manual`.
    kind: String,
    /// Of a `wallet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wallet_id: Option<String>,
    /// Of a `bank_manual`: where an admin sends the money by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

impl MethodBody {
    fn read(self) -> Result<PayoutMethod, Problem> {
        match (&*self.kind, self.wallet_id, self.label) {
            ("wallet", Some(wallet), None) => Ok(PayoutMethod::Wallet(check::id(
                "payoutMethod.walletId",
                &wallet,
            )?)),
            ("bank_manual", None, Some(label)) => Ok(PayoutMethod::BankManual(check::line(
                "payoutMethod.label",
                &label,
                1,
                140,
            )?)),
            _ => Err(Problem::validation(
                "payoutMethod",
                "Either {kind: wallet, walletId} or {kind: bank_manual, label}.",
            )),
        }
    }

    fn shown(method: &PayoutMethod) -> Self {
        let (wallet_id, label) = match method {
            PayoutMethod::Wallet(id) => (Some(id.clone()), None),
            PayoutMethod::BankManual(label) => (None, Some(label.clone())),
        };
        Self {
            kind: method.kind().to_owned(),
            wallet_id,
            label,
        }
    }
}

/// Fields of an organisation; at creation `name`, `legalName`, `country`, `defaultCurrency` and
/// `contactEmail` are needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = OrganisationRequest)]
struct OrgBody {
    /// 2 to 120 characters.
    name: Option<String>,
    /// Name in contracts.
    legal_name: Option<String>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
    /// Default of its events.
    default_currency: Option<String>,
    /// Where buyers write to.
    contact_email: Option<String>,
    /// Tax number.
    #[schema(value_type = Option<String>)]
    tax_id: Given<String>,
    /// `buyer` (default) or `organizer`.
    fee_payer: Option<String>,
    /// `organizer` (default) or `platform`.
    tax_remitter: Option<String>,
    /// Where its money goes.
    #[schema(value_type = Option<MethodBody>)]
    payout_method: Given<MethodBody>,
    /// 0 to 60, default 7.
    payout_delay_days: Option<i64>,
    /// `active`, `suspended`, `closed`: needs `ticketing:admin`.
    status: Option<String>,
    /// Needs `ticketing:admin`.
    verified: Option<bool>,
}

impl OrgBody {
    fn apply(self, room: &Ticketing, org: &mut Org) -> Result<(), Problem> {
        if let Some(name) = self.name {
            org.name = check::line("name", &name, 2, 120)?;
        }
        if let Some(name) = self.legal_name {
            org.legal_name = check::line("legalName", &name, 1, 200)?;
        }
        if let Some(country) = self.country {
            org.country = check::country("country", &country)?;
        }
        if let Some(currency) = self.default_currency {
            org.currency = currency_of(room, "defaultCurrency", &currency)?;
        }
        if let Some(email) = self.contact_email {
            org.contact_email = check::email("contactEmail", &email)?;
        }
        self.tax_id
            .try_map(|text| check::line("taxId", &text, 1, 40))?
            .over_option(&mut org.tax_id);
        if let Some(payer) = self.fee_payer {
            org.fee_payer = check::word("feePayer", &payer, FeePayer::ALL, FeePayer::word)?;
        }
        if let Some(remitter) = self.tax_remitter {
            let all = TaxRemitter::ALL;
            org.tax_remitter = check::word("taxRemitter", &remitter, all, TaxRemitter::word)?;
        }
        self.payout_method
            .try_map(MethodBody::read)?
            .over_option(&mut org.payout_method);
        if let Some(days) = self.payout_delay_days {
            org.payout_delay_days = check::range("payoutDelayDays", days, 0, 60)?;
        }
        if let Some(status) = self.status {
            org.status = check::word("status", &status, OrgStatus::ALL, OrgStatus::word)?;
        }
        if let Some(verified) = self.verified {
            org.verified = verified;
        }
        Ok(())
    }
}

/// A registered currency.
pub(super) fn currency_of(room: &Ticketing, name: &str, code: &str) -> Result<String, Problem> {
    match room.settings.scale(code) {
        Some(_) => Ok(code.to_owned()),
        None => Err(super::problem::field(
            name,
            "currency_unknown",
            "The currency is not a registered asset.",
        )),
    }
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Organisation)]
struct OrgShown {
    id: String,
    slug: String,
    name: String,
    legal_name: String,
    country: String,
    default_currency: String,
    contact_email: String,
    tax_id: Option<String>,
    fee_payer: &'static str,
    tax_remitter: &'static str,
    payout_method: Option<MethodBody>,
    payout_delay_days: i64,
    status: &'static str,
    verified: bool,
    version: i64,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

impl From<&Org> for OrgShown {
    fn from(org: &Org) -> Self {
        Self {
            id: org.id.clone(),
            slug: org.slug.clone(),
            name: org.name.clone(),
            legal_name: org.legal_name.clone(),
            country: org.country.clone(),
            default_currency: org.currency.clone(),
            contact_email: org.contact_email.clone(),
            tax_id: org.tax_id.clone(),
            fee_payer: org.fee_payer.word(),
            tax_remitter: org.tax_remitter.word(),
            payout_method: org.payout_method.as_ref().map(MethodBody::shown),
            payout_delay_days: org.payout_delay_days,
            status: org.status.word(),
            verified: org.verified,
            version: org.version,
            created_at: Timestamp(org.created_at),
            updated_at: Timestamp(org.updated_at),
        }
    }
}

/// Create an organisation. Whoever creates it becomes its organizer.
#[utoipa::path(
    post, path = "/api/v1/orgs", tag = "Organisations",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the call safe to repeat")),
    request_body = OrgBody,
    responses((status = 201, description = "Created", body = OrgShown))
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    key: IdempotencyKey,
    Body { body, json }: Body<OrgBody>,
) -> Result<Response, Problem> {
    for (name, given) in [
        ("name", body.name.is_some()),
        ("legalName", body.legal_name.is_some()),
        ("country", body.country.is_some()),
        ("defaultCurrency", body.default_currency.is_some()),
        ("contactEmail", body.contact_email.is_some()),
    ] {
        if !given {
            return Err(Problem::validation(name, "This field is required."));
        }
    }
    if (body.status.is_some() || body.verified.is_some())
        && !caller.holds(permission::TICKETING_ADMIN)
    {
        return Err(Problem::forbidden(permission::TICKETING_ADMIN.as_str()));
    }
    let now = room.now();
    let mut org = blank(&room, now);
    body.apply(&room, &mut org)?;
    let creation = Creation::new(&room, &caller, "orgs", &key, &json);
    let mut tx = room.store.begin().await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    org.slug = edit::org_slug(&room.store, &mut tx, &org.name).await?;
    store::orgs::insert(&mut tx, &org).await?;
    let founder = Member {
        id: room.store.id(),
        subject: caller.subject.to_string(),
        by_mail: false,
        role: Role::Organizer,
        event_ids: None,
        created_at: now,
    };
    store::orgs::add_member(&mut tx, &org.id, &founder).await?;
    let location = format!("/api/v1/orgs/{}", org.id);
    let shown = OrgShown::from(&org);
    let answer = creation
        .keep(&mut tx, StatusCode::CREATED, Some(location), &shown, now)
        .await?;
    tx.commit().await?;
    room.note(
        Entry::new(
            &*caller.subject,
            "ticketing.org.created",
            format!("org:{}", org.id),
        )
        .after(&shown),
    )
    .await;
    Ok(answer)
}

fn blank(room: &Ticketing, now: i64) -> Org {
    Org {
        id: room.store.id(),
        slug: String::new(),
        name: String::new(),
        legal_name: String::new(),
        country: String::new(),
        currency: String::new(),
        contact_email: String::new(),
        tax_id: None,
        fee_payer: FeePayer::Buyer,
        tax_remitter: TaxRemitter::Organizer,
        payout_method: None,
        payout_delay_days: 7,
        status: OrgStatus::Active,
        verified: false,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// A page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// 1 to 500, default 50.
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// The id after which a page starts, and how many to read: one more than are shown.
pub(super) fn page_of(
    room: &Ticketing,
    digest: FilterDigest,
    query: &PageQuery,
) -> Result<(String, usize), Problem> {
    let limit = PageLimits::default().resolve(query.limit)?;
    let position = room
        .cursors
        .open_optional(digest, query.cursor.as_deref())?;
    let after = position.map(|position| String::from_utf8_lossy(&position.after).into_owned());
    Ok((after.unwrap_or_default(), limit))
}

/// A page of items that were read one more than are shown; `id` names the place of each.
pub(super) fn paged<T, U>(
    room: &Ticketing,
    digest: FilterDigest,
    mut items: Vec<T>,
    limit: usize,
    id: impl Fn(&T) -> &str,
    show: impl Fn(&T) -> U,
) -> Page<U> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| {
        let position = Position {
            snapshot: 0,
            after: id(last).as_bytes().to_vec(),
        };
        room.cursors.seal(digest, &position)
    });
    Page {
        items: items.iter().map(show).collect(),
        next_cursor,
    }
}

/// `limit + 1` for SQL.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

/// Your organisations; all of them for platform roles.
#[utoipa::path(
    get, path = "/api/v1/orgs", tag = "Organisations", params(PageQuery),
    responses((status = 200, description = "A page", body = Vec<OrgShown>))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Caller,
    Search(query): Search<PageQuery>,
) -> Result<Response, Problem> {
    let all = caller.permissions.reach(permission::ORGS_READ) == Some(Reach::All);
    let digest = FilterDigest::new(
        "orgs",
        [("caller", if all { "" } else { &*caller.subject })],
    );
    let (after, limit) = page_of(&room, digest, &query)?;
    let mail = fold_mail(&caller.subject);
    let member = (!all).then_some((&*caller.subject, mail.as_str()));
    let found = store::orgs::list(&room.store.db, member, &after, one_more(limit)).await?;
    let page = paged(
        &room,
        digest,
        found,
        limit,
        |org| &org.id,
        |org| OrgShown::from(org),
    );
    Ok(Json(page).into_response())
}

/// One organisation.
#[utoipa::path(
    get, path = "/api/v1/orgs/{id}", tag = "Organisations",
    params(("id" = String, Path)),
    responses((status = 200, body = OrgShown), (status = 404, description = "`org_not_found`"))
)]
async fn get(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<OrgShown>, Problem> {
    in_org(
        &room,
        &caller,
        &id,
        None,
        permission::ORGS_READ,
        org_not_found,
    )
    .await?;
    let org = store::orgs::load(&room.store.db, &id).await?;
    Ok(Json(OrgShown::from(&org.ok_or_else(org_not_found)?)))
}

/// Change an organisation; `status` and `verified` are an admin's.
#[utoipa::path(
    patch, path = "/api/v1/orgs/{id}", tag = "Organisations",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "`\"<version>\"`")),
    request_body = OrgBody,
    responses(
        (status = 200, body = OrgShown),
        (status = 404, description = "`org_not_found`"),
        (status = 412, description = "`version_mismatch`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body { body, .. }: Body<OrgBody>,
) -> Result<Json<OrgShown>, Problem> {
    in_org(
        &room,
        &caller,
        &id,
        None,
        permission::ORGS_WRITE,
        org_not_found,
    )
    .await?;
    if (body.status.is_some() || body.verified.is_some())
        && !caller.holds(permission::TICKETING_ADMIN)
    {
        return Err(Problem::forbidden(permission::TICKETING_ADMIN.as_str()));
    }
    let expected = check::if_match(&headers)?;
    let mut tx = room.store.begin().await?;
    let before = store::orgs::load_in(&mut tx, &id)
        .await?
        .ok_or_else(org_not_found)?;
    edit::check_version(expected, before.version)?;
    let mut org = before.clone();
    body.apply(&room, &mut org)?;
    org.version += 1;
    org.updated_at = room.now();
    store::orgs::update(&mut tx, &org).await?;
    tx.commit().await?;
    if before.name != org.name {
        reindex(&room, &org).await?;
    }
    let shown = OrgShown::from(&org);
    let entry = Entry::new(
        &*caller.subject,
        "ticketing.org.changed",
        format!("org:{id}"),
    );
    room.note(entry.before(&OrgShown::from(&before)).after(&shown))
        .await;
    Ok(Json(shown))
}

/// Events are found by the new name of their organiser.
async fn reindex(room: &Ticketing, org: &Org) -> Result<(), Problem> {
    for id in store::events::of_org(&room.store.db, &org.id).await? {
        let mut tx = room.store.begin_event(&id).await?;
        if let Some(event) = store::events::load_in(&mut tx, &id).await? {
            store::search::index(&mut tx, &event, &org.name).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}
