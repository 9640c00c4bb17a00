//! `/events/{id}/ticket-types`, `/ticket-types/{id}`: what is sold (contract A4).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_base::Timestamp;
use florin_platform::http::auth::{Access, Caller};
use florin_platform::http::idempotency::IdempotencyKey;
use florin_platform::http::json::{Json, Path};
use florin_platform::http::page::Page;
use florin_platform::http::problem::Problem;
use florin_platform::http::respond::no_content;
use florin_platform::http::router::{RequestInfo, RouteSpec, Routes};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::events::{allowed, at_most};
use super::given::Given;
use super::input::{Body, Search};
use super::once::Creation;
use super::{check, money, permission};
use crate::Ticketing;
use crate::events::{self, edit, publish};
use crate::limits;
use crate::model::event::{Event, Status};
use crate::model::promo;
use crate::model::ticket_type::{
    AttendeeFields, PER_ORDER_MAX, Pool, QUANTITY_MAX, Question, QuestionKind, TicketType,
};
use crate::store;

/// Highest number that a token can carry.
const TYPE_NO_MAX: i64 = 65_535;
/// Most questions to an attendee.
const QUESTIONS_MAX: usize = 20;

#[derive(OpenApi)]
#[openapi(paths(create, list, patch, delete, availability, capacity))]
struct Document;

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    let of_event = "/api/v1/events/{id}/ticket-types";
    let one = "/api/v1/ticket-types/{id}";
    Routes::new()
        .route(RouteSpec::post(of_event, permission::EVENTS_WRITE), create)
        .route(RouteSpec::get(of_event, Access::Optional), list)
        .route(RouteSpec::patch(one, permission::EVENTS_WRITE), patch)
        .route(RouteSpec::delete(one, permission::EVENTS_WRITE), delete)
        .route(
            RouteSpec::get("/api/v1/events/{id}/availability", Access::Optional),
            availability,
        )
        .route(
            RouteSpec::get("/api/v1/events/{id}/capacity", permission::ORDERS_READ),
            capacity,
        )
        .document(Document::openapi())
}

fn type_not_found() -> Problem {
    Problem::not_found("ticket_type_not_found", "There is no such ticket type.")
}

/// A question to each attendee.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = AttendeeQuestion)]
struct QuestionBody {
    /// `[a-zA-Z0-9_-]`, at most 40 characters; names the answer.
    key: String,
    label: String,
    /// `text`, `choice`, `checkbox`.
    kind: String,
    #[serde(default)]
    required: bool,
    /// 2 to 50 of a `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
}

/// Fields of a ticket type. At creation `name` and `price` are needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = TicketTypeRequest)]
struct TypeBody {
    /// 1 to 80 characters.
    name: Option<String>,
    /// At most 1000 characters.
    #[schema(value_type = Option<String>)]
    description: Given<String>,
    /// Order among the types.
    position: Option<i64>,
    /// Listed and sold only with an access code.
    hidden: Option<bool>,
    /// Decimal in the event's currency; `"0"` = free.
    price: Option<String>,
    /// 1 to 10 000 000; null when a pool limits it.
    #[schema(value_type = Option<i64>)]
    quantity: Given<i64>,
    #[schema(value_type = Option<String>)]
    sale_starts_at: Given<String>,
    /// Not on sale from then on.
    #[schema(value_type = Option<String>)]
    sale_ends_at: Given<String>,
    /// Default 1.
    #[schema(value_type = Option<i64>)]
    min_per_order: Given<i64>,
    /// Default 10, at most 100.
    #[schema(value_type = Option<i64>)]
    max_per_order: Given<i64>,
    #[schema(value_type = Option<i64>)]
    max_per_buyer: Given<i64>,
    /// Default true.
    transferable: Option<bool>,
    /// Buyers may refund alone before then.
    #[schema(value_type = Option<String>)]
    refundable_until: Given<String>,
    /// Basis points, 0 to 5000.
    #[schema(value_type = Option<i64>)]
    tax_rate_bp: Given<i64>,
    /// Default true.
    price_includes_tax: Option<bool>,
    #[schema(value_type = Option<String>)]
    valid_from: Given<String>,
    #[schema(value_type = Option<String>)]
    valid_until: Given<String>,
    /// Numbers 0 to 15; null: all areas.
    #[schema(value_type = Option<Vec<i64>>)]
    areas: Given<Vec<i64>>,
    /// `none` (default), `name`, `name_email`.
    attendee_fields: Option<String>,
    /// At most 20.
    #[schema(value_type = Option<Vec<QuestionBody>>)]
    questions: Given<Vec<QuestionBody>>,
    /// At most 4 pools of the event.
    #[schema(value_type = Option<Vec<String>>)]
    pool_ids: Given<Vec<String>>,
}

impl TypeBody {
    fn apply(self, kind: &mut TicketType, scale: u8, pools: &[Pool]) -> Result<(), Problem> {
        if let Some(name) = &self.name {
            kind.name = check::line("name", name, 1, 80)?;
        }
        self.description
            .try_map(|text| check::text("description", &text, 1_000))?
            .over(&mut kind.description, String::new());
        if let Some(position) = self.position {
            kind.position = check::range("position", position, 0, 10_000)?;
        }
        if let Some(price) = &self.price {
            kind.price = money::minor("price", price, scale)?;
        }
        kind.hidden = self.hidden.unwrap_or(kind.hidden);
        kind.transferable = self.transferable.unwrap_or(kind.transferable);
        kind.price_includes_tax = self.price_includes_tax.unwrap_or(kind.price_includes_tax);
        let count = |name: &'static str, max| move |n| check::range(name, n, 1, max);
        self.quantity
            .try_map(count("quantity", QUANTITY_MAX))?
            .over_option(&mut kind.quantity);
        self.min_per_order
            .try_map(count("minPerOrder", PER_ORDER_MAX))?
            .over(&mut kind.min_per_order, 1);
        self.max_per_order
            .try_map(count("maxPerOrder", PER_ORDER_MAX))?
            .over(&mut kind.max_per_order, 10);
        self.max_per_buyer
            .try_map(count("maxPerBuyer", QUANTITY_MAX))?
            .over_option(&mut kind.max_per_buyer);
        self.tax_rate_bp
            .try_map(|bp| check::range("taxRateBp", bp, 0, 5_000))?
            .over(&mut kind.tax_rate_bp, 0);
        let instants = [
            (
                "saleStartsAt",
                self.sale_starts_at,
                &mut kind.sale_starts_at,
            ),
            ("saleEndsAt", self.sale_ends_at, &mut kind.sale_ends_at),
            (
                "refundableUntil",
                self.refundable_until,
                &mut kind.refundable_until,
            ),
            ("validFrom", self.valid_from, &mut kind.valid_from),
            ("validUntil", self.valid_until, &mut kind.valid_until),
        ];
        for (name, given, place) in instants {
            given
                .try_map(|text| check::instant(name, &text))?
                .over_option(place);
        }
        self.areas.try_map(areas)?.over_option(&mut kind.areas);
        if let Some(word) = &self.attendee_fields {
            let all = AttendeeFields::ALL;
            kind.attendee_fields = check::word("attendeeFields", word, all, AttendeeFields::word)?;
        }
        self.questions
            .try_map(questions)?
            .over(&mut kind.questions, Vec::new());
        if self.pool_ids != Given::Left {
            let mut chosen = match self.pool_ids {
                Given::Value(ids) => ids,
                _ => Vec::new(),
            };
            // The hard limit of the event is no choice.
            let whole = |pool: &&Pool| pool.whole_event;
            chosen.retain(|id| !pools.iter().any(|pool| pool.whole_event && pool.id == *id));
            chosen.extend(pools.iter().filter(whole).map(|pool| pool.id.clone()));
            kind.pool_ids = chosen;
        }
        Ok(())
    }
}

/// A bit for each area.
fn areas(numbers: Vec<i64>) -> Result<i64, Problem> {
    let mut bits = 0;
    for (index, number) in numbers.iter().enumerate() {
        bits |= 1 << check::range(&format!("areas[{index}]"), *number, 0, 15)?;
    }
    match bits {
        0 => Err(Problem::validation("areas", "At least one area, or null.")),
        bits => Ok(bits),
    }
}

fn questions(bodies: Vec<QuestionBody>) -> Result<Vec<Question>, Problem> {
    if bodies.len() > QUESTIONS_MAX {
        return Err(Problem::validation("questions", "At most 20 questions."));
    }
    let mut kept: Vec<Question> = Vec::new();
    for (index, body) in bodies.into_iter().enumerate() {
        let name = |member: &str| format!("questions[{index}].{member}");
        let key = check::line(&name("key"), &body.key, 1, 40)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !key.bytes().all(plain) || kept.iter().any(|question| question.key == key) {
            let message = "Letters, digits, hyphen and underscore, each key once.";
            return Err(Problem::validation(name("key"), message));
        }
        let kind = match &*body.kind {
            "text" => QuestionKind::Text,
            "choice" => QuestionKind::Choice,
            "checkbox" => QuestionKind::Checkbox,
            _ => {
                let message = "One of text, choice, checkbox.";
                return Err(Problem::validation(name("kind"), message));
            }
        };
        let needs_choices = kind == QuestionKind::Choice;
        if needs_choices != (2..=50).contains(&body.choices.len()) {
            let message = "2 to 50 of a `choice`, none of others.";
            return Err(Problem::validation(name("choices"), message));
        }
        let choices = body.choices.iter().enumerate();
        let choices = choices
            .map(|(n, text)| check::line(&format!("questions[{index}].choices[{n}]"), text, 1, 80));
        kept.push(Question {
            label: check::line(&name("label"), &body.label, 1, 200)?,
            choices: choices.collect::<Result<_, _>>()?,
            key,
            kind,
            required: body.required,
        });
    }
    Ok(kept)
}

/// A ticket type. `sold`, `held` and `available` are shown to members.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketType)]
struct TypeShown {
    id: String,
    event_id: String,
    type_no: i64,
    name: String,
    description: String,
    position: i64,
    hidden: bool,
    price: String,
    currency: String,
    quantity: Option<i64>,
    #[schema(value_type = Option<String>)]
    sale_starts_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    sale_ends_at: Option<Timestamp>,
    min_per_order: i64,
    max_per_order: i64,
    max_per_buyer: Option<i64>,
    transferable: bool,
    #[schema(value_type = Option<String>)]
    refundable_until: Option<Timestamp>,
    tax_rate_bp: i64,
    price_includes_tax: bool,
    #[schema(value_type = Option<String>)]
    valid_from: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    valid_until: Option<Timestamp>,
    areas: Option<Vec<i64>>,
    attendee_fields: &'static str,
    #[schema(value_type = Vec<QuestionBody>)]
    questions: Vec<Question>,
    pool_ids: Vec<String>,
    sale_state: &'static str,
    availability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sold: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<i64>,
    version: i64,
}

fn show(
    room: &Ticketing,
    event: &Event,
    kind: &TicketType,
    pools: &[Pool],
    member: bool,
) -> TypeShown {
    let scale = room.settings.scale(&event.currency).unwrap_or(2);
    let whole = |id: &&String| pools.iter().any(|pool| pool.whole_event && pool.id == **id);
    let areas = |bits: i64| (0..16).filter(|n| bits & (1 << n) != 0).collect();
    TypeShown {
        id: kind.id.clone(),
        event_id: kind.event_id.clone(),
        type_no: kind.type_no,
        name: kind.name.clone(),
        description: kind.description.clone(),
        position: kind.position,
        hidden: kind.hidden,
        price: money::print(kind.price, scale),
        currency: event.currency.clone(),
        quantity: kind.quantity,
        sale_starts_at: kind.sale_opens(event).map(Timestamp),
        sale_ends_at: kind.sale_closes(event).map(Timestamp),
        min_per_order: kind.min_per_order,
        max_per_order: kind.max_per_order,
        max_per_buyer: kind.max_per_buyer,
        transferable: kind.transferable,
        refundable_until: kind.refundable_until.map(Timestamp),
        tax_rate_bp: kind.tax_rate_bp,
        price_includes_tax: kind.price_includes_tax,
        valid_from: kind.valid_from.or(event.doors_open()).map(Timestamp),
        valid_until: kind.valid_until.or(event.doors_close()).map(Timestamp),
        areas: kind.areas.map(areas),
        attendee_fields: kind.attendee_fields.word(),
        questions: kind.questions.clone(),
        pool_ids: kind
            .pool_ids
            .iter()
            .filter(|id| !whole(id))
            .cloned()
            .collect(),
        sale_state: kind.sale_state(event, pools, room.now()).word(),
        availability: kind.availability(pools).word(),
        sold: member.then_some(kind.sold),
        held: member.then_some(kind.held),
        available: member.then(|| kind.available(pools)),
        version: kind.version,
    }
}

fn blank(room: &Ticketing, event: &Event) -> TicketType {
    let now = room.now();
    TicketType {
        id: room.store.id(),
        event_id: event.id.clone(),
        type_no: event.next_type_no,
        name: String::new(),
        description: String::new(),
        position: event.next_type_no,
        hidden: false,
        price: 0,
        quantity: None,
        sale_starts_at: None,
        sale_ends_at: None,
        min_per_order: 1,
        max_per_order: 10,
        max_per_buyer: None,
        transferable: true,
        refundable_until: None,
        tax_rate_bp: 0,
        price_includes_tax: true,
        valid_from: None,
        valid_until: None,
        areas: None,
        attendee_fields: AttendeeFields::None,
        questions: Vec::new(),
        pool_ids: Vec::new(),
        sold: 0,
        held: 0,
        held_ever: 0,
        converted: 0,
        released: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn scale_of(room: &Ticketing, event: &Event) -> Result<u8, Problem> {
    let scale = room.settings.scale(&event.currency);
    scale.ok_or_else(|| Problem::internal("the currency of an event is no asset any more"))
}

/// Add a ticket type.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/ticket-types", tag = "Events",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = TypeBody,
    responses(
        (status = 201, body = TypeShown),
        (status = 404, description = "`event_not_found`"),
        (status = 409, description = "`event_state`, `too_many_types`"),
    )
)]
async fn create(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    key: IdempotencyKey,
    Body { mut body, json }: Body<TypeBody>,
) -> Result<Response, Problem> {
    let found = allowed(&room, &caller, &id, permission::EVENTS_WRITE).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &found.org_id)
        .await?;
    for (name, given) in [
        ("name", body.name.is_some()),
        ("price", body.price.is_some()),
    ] {
        if !given {
            return Err(Problem::validation(name, "This field is required."));
        }
    }
    // A new type stands in the pool of the whole event, whatever else is said.
    if body.pool_ids == Given::Left {
        body.pool_ids = Given::Null;
    }
    let creation = Creation::new(&room, &caller, &format!("types:{id}"), &key, &json);
    let mut tx = room.store.begin_event(&id).await?;
    if let Some(known) = creation.known(&mut tx).await? {
        return Ok(known);
    }
    let event = events::load_in(&mut tx, &id).await?;
    let mut event = event.ok_or_else(super::problem::event_not_found)?;
    let types = events::types_in(&mut tx, &id).await?;
    at_most(types.len(), edit::TYPES_MAX, "too_many_types")?;
    if event.next_type_no > TYPE_NO_MAX {
        at_most(1, 1, "too_many_types")?;
    }
    let pools = events::pools_in(&mut tx, &id).await?;
    let mut kind = blank(&room, &event);
    body.apply(&mut kind, scale_of(&room, &event)?, &pools)?;
    edit::check_type(&event, None, &kind, &pools)?;
    store::types::insert(&mut tx, &kind).await?;
    event.next_type_no += 1;
    store::events::update(&mut tx, &event).await?;
    events::after_stock_change(&room.store, &mut tx, &id).await?;
    let shown = show(&room, &event, &kind, &pools, true);
    let location = format!("/api/v1/ticket-types/{}", kind.id);
    let answer = creation
        .keep(
            &mut tx,
            StatusCode::CREATED,
            Some(location),
            &shown,
            kind.created_at,
        )
        .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Which types are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// An access code: lists the hidden types that it opens.
    promo_code: Option<String>,
    /// Access key of a private event.
    access_key: Option<String>,
}

/// What is shown to this caller: the event, its types and pools, whether he is a member.
struct Listed {
    event: Event,
    types: Vec<TicketType>,
    pools: Vec<Pool>,
    member: bool,
}

async fn listed(
    room: &Ticketing,
    caller: Option<Caller>,
    info: &RequestInfo,
    id: &str,
    query: &ListQuery,
) -> Result<Listed, Problem> {
    let address = info.client().to_string();
    if caller.is_none() {
        room.limits.take(limits::PAGES, &address).await?;
    }
    let db = &room.store.db;
    let event = store::events::load(db, id).await?;
    let principal = caller.as_deref();
    let seen = events::visible(room, principal, event, query.access_key.as_deref()).await?;
    let mut types = store::types::list(db, id).await?;
    let pools = store::types::pools(db, id).await?;
    if !seen.member {
        let opened = match &query.promo_code {
            None => None,
            Some(code) => access_code(room, id, code, &address).await?,
        };
        let now = room.now();
        let opens = |kind: &TicketType| {
            opened
                .as_ref()
                .is_some_and(|code| code.opens(&kind.id, now))
        };
        types.retain(|kind| !kind.hidden || opens(kind));
    }
    Ok(Listed {
        event: seen.event,
        types,
        pools,
        member: seen.member,
    })
}

/// The code of an event; wrong guesses are counted.
async fn access_code(
    room: &Ticketing,
    event_id: &str,
    code: &str,
    address: &str,
) -> Result<Option<promo::Promo>, Problem> {
    let found = match promo::normal(code) {
        Some(code) => store::promos::find(&room.store.db, event_id, &code).await?,
        None => None,
    };
    if found.is_none() {
        room.limits.take(limits::GUESS, address).await?;
    }
    Ok(found)
}

/// What an event sells. Hidden types are listed with their access code.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/ticket-types", tag = "Events",
    params(("id" = String, Path), ListQuery),
    responses((status = 200, body = Vec<TypeShown>), (status = 404, description = "`event_not_found`"))
)]
async fn list(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    let found = listed(&room, caller, &info, &id, &query).await?;
    let items: Vec<TypeShown> = found
        .types
        .iter()
        .map(|kind| show(&room, &found.event, kind, &found.pools, found.member))
        .collect();
    let page = Page {
        items,
        next_cursor: None,
    };
    Ok(Json(page).into_response())
}

/// What is left of a type, as the public is told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TypeAvailability)]
struct AvailabilityRow {
    ticket_type_id: String,
    availability: &'static str,
    sale_state: &'static str,
}

/// What is left of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventAvailability)]
struct AvailabilityShown {
    event_id: String,
    status: &'static str,
    types: Vec<AvailabilityRow>,
}

/// What is left, cacheable for a second.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/availability", tag = "Events",
    params(("id" = String, Path), ListQuery),
    responses((status = 200, body = AvailabilityShown), (status = 404, description = "`event_not_found`"))
)]
async fn availability(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Path(id): Path<String>,
    Search(query): Search<ListQuery>,
) -> Result<Response, Problem> {
    let found = listed(&room, caller, &info, &id, &query).await?;
    let now = room.now();
    let row = |kind: &TicketType| AvailabilityRow {
        ticket_type_id: kind.id.clone(),
        availability: kind.availability(&found.pools).word(),
        sale_state: kind.sale_state(&found.event, &found.pools, now).word(),
    };
    let shown = AvailabilityShown {
        status: found.event.status.word(),
        types: found.types.iter().map(row).collect(),
        event_id: id,
    };
    let mut response = Json(shown).into_response();
    let caching = match query.access_key.is_some() || query.promo_code.is_some() || found.member {
        true => "private, max-age=1",
        false => "public, max-age=1",
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

/// Exact stock of a type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TypeCapacity)]
struct TypeCapacity {
    ticket_type_id: String,
    quantity: Option<i64>,
    sold: i64,
    held: i64,
    available: i64,
}

/// Exact stock of a pool.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PoolCapacity)]
struct PoolCapacity {
    pool_id: String,
    quantity: i64,
    sold: i64,
    held: i64,
    available: i64,
}

/// Units that went through holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HoldUnits)]
struct HoldUnits {
    held: i64,
    converted: i64,
    released: i64,
}

/// Exact stock of an event, in units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventCapacity)]
struct CapacityShown {
    types: Vec<TypeCapacity>,
    pools: Vec<PoolCapacity>,
    holds: HoldUnits,
}

/// Exact stock, for members.
#[utoipa::path(
    get, path = "/api/v1/events/{id}/capacity", tag = "Events",
    params(("id" = String, Path)),
    responses((status = 200, body = CapacityShown), (status = 404, description = "`event_not_found`"))
)]
async fn capacity(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<CapacityShown>, Problem> {
    allowed(&room, &caller, &id, permission::ORDERS_READ).await?;
    let (types, pools) = store::types::at_once(&room.store.db, &id).await?;
    let sum = |count: fn(&TicketType) -> i64| types.iter().map(count).sum();
    Ok(Json(CapacityShown {
        holds: HoldUnits {
            held: sum(|kind| kind.held),
            converted: sum(|kind| kind.converted),
            released: sum(|kind| kind.released),
        },
        pools: pools
            .iter()
            .map(|pool| PoolCapacity {
                pool_id: pool.id.clone(),
                quantity: pool.capacity,
                sold: pool.sold,
                held: pool.held,
                available: pool.rest(),
            })
            .collect(),
        types: types
            .iter()
            .map(|kind| TypeCapacity {
                ticket_type_id: kind.id.clone(),
                quantity: kind.quantity,
                sold: kind.sold,
                held: kind.held,
                available: kind.available(&pools),
            })
            .collect(),
    }))
}

async fn event_of(room: &Ticketing, type_id: &str) -> Result<String, Problem> {
    let event = store::types::event_of(&room.store.db, type_id).await?;
    event.ok_or_else(type_not_found)
}

async fn allowed_type(room: &Ticketing, caller: &Caller, type_id: &str) -> Result<Event, Problem> {
    let event_id = event_of(room, type_id).await?;
    let found = allowed(room, caller, &event_id, permission::EVENTS_WRITE).await;
    found.map_err(|problem| match problem.code() {
        "event_not_found" => type_not_found(),
        _ => problem,
    })
}

/// Change a ticket type. Orders keep the price at which they were reserved.
#[utoipa::path(
    patch, path = "/api/v1/ticket-types/{id}", tag = "Events",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "`\"<version>\"`")),
    request_body = TypeBody,
    responses(
        (status = 200, body = TypeShown),
        (status = 404, description = "`ticket_type_not_found`"),
        (status = 409, description = "`quantity_below_committed`, `type_in_use`, `event_state`"),
        (status = 412, description = "`version_mismatch`"),
    )
)]
async fn patch(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body { body, .. }: Body<TypeBody>,
) -> Result<Response, Problem> {
    let found = allowed_type(&room, &caller, &id).await?;
    room.limits
        .take(limits::EVENT_UPDATE, &found.org_id)
        .await?;
    let expected = check::if_match(&headers)?;
    let mut tx = room.store.begin_event(&found.id).await?;
    let event = events::load_in(&mut tx, &found.id).await?;
    let event = event.ok_or_else(type_not_found)?;
    let types = events::types_in(&mut tx, &event.id).await?;
    let pools = events::pools_in(&mut tx, &event.id).await?;
    let before = types
        .iter()
        .find(|kind| kind.id == id)
        .ok_or_else(type_not_found)?;
    edit::check_version(expected, before.version)?;
    let mut kind = before.clone();
    body.apply(&mut kind, scale_of(&room, &event)?, &pools)?;
    edit::check_type(&event, Some(before), &kind, &pools)?;
    kind.version += 1;
    kind.updated_at = room.now();
    store::types::update(&mut tx, &kind).await?;
    events::after_stock_change(&room.store, &mut tx, &event.id).await?;
    tx.commit().await?;
    room.told.notify_one();
    Ok(Json(show(&room, &event, &kind, &pools, true)).into_response())
}

/// Delete a ticket type of which nothing was ever held.
#[utoipa::path(
    delete, path = "/api/v1/ticket-types/{id}", tag = "Events",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`ticket_type_not_found`"),
        (status = 409, description = "`type_in_use`, `event_incomplete`"),
    )
)]
async fn delete(
    State(room): State<Ticketing>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = allowed_type(&room, &caller, &id).await?;
    let mut tx = room.store.begin_event(&found.id).await?;
    let types = events::types_in(&mut tx, &found.id).await?;
    let kind = types
        .iter()
        .find(|kind| kind.id == id)
        .ok_or_else(type_not_found)?;
    if kind.held_ever > 0 || kind.sold > 0 {
        return Err(edit::type_in_use());
    }
    if found.status != Status::Draft && types.len() == 1 {
        let lacks = [("ticketTypes", "A published event keeps one ticket type.")];
        return Err(publish::incomplete(&lacks));
    }
    store::types::delete(&mut tx, &id).await?;
    events::after_stock_change(&room.store, &mut tx, &found.id).await?;
    tx.commit().await?;
    room.told.notify_one();
    Ok(no_content())
}
