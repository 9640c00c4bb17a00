//! `GET /events`: search (contract A6).
#![allow(
    clippy::float_arithmetic,
    reason = "distances on the earth; prices stay whole minor units"
)]

use std::cmp::Ordering;
use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::json::Json;
use florin_platform::http::page::{FilterDigest, Page, PageLimits, Position};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::RequestInfo;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::degrees_of;
use super::show::{self, EventShown};
use crate::Ticketing;
use crate::api::input::Search;
use crate::api::scope::is_member;
use crate::api::{check, money};
use crate::limits;
use crate::model::event::{CATEGORIES, Status};
use crate::model::{geo, words};
use crate::store;
use crate::store::search::{Candidate, Wanted, in_city};

/// Kilometres around a place unless the caller says otherwise.
const RADIUS_KM: f64 = 25.0;
/// Largest radius.
const RADIUS_MAX_KM: f64 = 500.0;
/// Most words of one query that count.
const WORDS_MAX: usize = 10;

/// What is searched for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words; each must begin a word of title, tags, organiser, venue, city or description.
    q: Option<String>,
    /// Such as `music`.
    category: Option<String>,
    /// City of the venue, compared like `q`.
    city: Option<String>,
    /// Country of the venue.
    country: Option<String>,
    /// RFC 3339: events that end after this; default now.
    from: Option<String>,
    /// RFC 3339: events that start before this.
    to: Option<String>,
    /// Latitude of a place.
    lat: Option<String>,
    /// Longitude of a place.
    lng: Option<String>,
    /// Kilometres around it, default 25, at most 500.
    radius_km: Option<f64>,
    /// Some ticket costs at least this, in the event's currency.
    price_min: Option<String>,
    /// Some ticket costs at most this.
    price_max: Option<String>,
    /// Only events of this organisation; its members see all of them.
    org_id: Option<String>,
    /// Members only: one status.
    status: Option<String>,
    /// `startsAt` (default; `relevance` with `q`), `relevance`, `distance`.
    sort: Option<String>,
    /// 1 to 500, default 50.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    StartsAt,
    Relevance,
    Distance,
}

/// A candidate with its place in the list.
struct Ranked {
    candidate: Candidate,
    distance_km: Option<f64>,
    rank: [i64; 2],
}

/// Find events.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "Events", params(SearchQuery),
    responses((status = 200, description = "A page", body = Vec<EventShown>))
)]
pub(super) async fn list(
    State(room): State<Ticketing>,
    caller: Option<Caller>,
    axum::Extension(info): axum::Extension<RequestInfo>,
    Search(query): Search<SearchQuery>,
) -> Result<Response, Problem> {
    if caller.is_none() {
        room.limits
            .take(limits::PAGES, &info.client().to_string())
            .await?;
    }
    let member = match (&caller, &query.org_id) {
        (Some(caller), Some(org)) => is_member(&room, caller, org).await?,
        _ => false,
    };
    let limit = PageLimits::default().resolve(query.limit)?;
    let near = near(&query)?;
    let sort = sort(&query, near)?;
    let wanted = wanted(&room, &query, member, near)?;
    let digest = digest(&query, member);
    let after = room
        .cursors
        .open_optional(digest, query.cursor.as_deref())?;
    let found = store::search::find(&room.store.db, &wanted).await?;
    let found = narrowed(&room, &query, found).await?;
    let ranked = ranked(found, near, sort);
    let (shown, next_cursor) = cut(&room, ranked, after.as_ref(), digest, limit);
    let items = print(&room, &shown, member).await?;
    let mut response = Json(Page { items, next_cursor }).into_response();
    let caching = match member {
        true => "private, no-store",
        false => "public, max-age=1",
    };
    let value = http::HeaderValue::from_static(caching);
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, value);
    Ok(response)
}

/// Place and radius.
type Near = ((i64, i64), f64);

fn near(query: &SearchQuery) -> Result<Option<Near>, Problem> {
    let radius = query.radius_km.unwrap_or(RADIUS_KM);
    if !(radius > 0.0 && radius <= RADIUS_MAX_KM) {
        let message = format!("More than 0 and at most {RADIUS_MAX_KM}.");
        return Err(Problem::validation("radiusKm", message));
    }
    match (&query.lat, &query.lng) {
        (None, None) => Ok(None),
        (Some(lat), Some(lng)) => {
            let place = (degrees_of("lat", lat, 90)?, degrees_of("lng", lng, 180)?);
            Ok(Some((place, radius)))
        }
        _ => Err(Problem::validation("lng", "`lat` and `lng` go together.")),
    }
}

fn sort(query: &SearchQuery, near: Option<Near>) -> Result<Sort, Problem> {
    match (query.sort.as_deref(), near) {
        (None, _) if query.q.is_some() => Ok(Sort::Relevance),
        (None | Some("startsAt"), _) => Ok(Sort::StartsAt),
        (Some("relevance"), _) => Ok(Sort::Relevance),
        (Some("distance"), Some(_)) => Ok(Sort::Distance),
        (Some("distance"), None) => Err(Problem::validation(
            "sort",
            "Distance needs `lat` and `lng`.",
        )),
        _ => Err(Problem::validation(
            "sort",
            "One of startsAt, relevance, distance.",
        )),
    }
}

fn wanted(
    room: &Ticketing,
    query: &SearchQuery,
    member: bool,
    near: Option<Near>,
) -> Result<Wanted, Problem> {
    let q = query.q.as_deref().unwrap_or_default();
    if q.chars().count() > 200 {
        return Err(Problem::validation("q", "At most 200 characters."));
    }
    let mut found = words::words(q);
    found.truncate(WORDS_MAX);
    if let Some(category) = &query.category
        && !CATEGORIES.contains(&&**category)
    {
        let message = format!("One of {}.", CATEGORIES.join(", "));
        return Err(Problem::validation("category", message));
    }
    if let Some(status) = &query.status {
        if !member {
            return Err(Problem::validation(
                "status",
                "Members only, with their `orgId`.",
            ));
        }
        check::word("status", status, Status::ALL, Status::word)?;
    }
    let time = |name: &str, text: &Option<String>| {
        text.as_ref()
            .map(|text| check::instant(name, text))
            .transpose()
    };
    // Strangers are shown what lies ahead, unless they ask for the past.
    let from = time("from", &query.from)?.or((!member).then(|| room.now()));
    let around = near.map(|(place, radius)| geo::around(place, radius));
    Ok(Wanted {
        words: found,
        category: query.category.clone(),
        from,
        to: time("to", &query.to)?,
        lat: around.map(|(lats, _)| lats),
        lng: around.and_then(|(_, lngs)| lngs),
        org_id: query.org_id.clone(),
        status: query.status.clone(),
        public_only: !member,
    })
}

fn digest(query: &SearchQuery, member: bool) -> FilterDigest {
    let radius = query.radius_km.map(|radius| radius.to_string());
    let all = [
        ("q", &query.q),
        ("category", &query.category),
        ("city", &query.city),
        ("country", &query.country),
        ("from", &query.from),
        ("to", &query.to),
        ("lat", &query.lat),
        ("lng", &query.lng),
        ("radiusKm", &radius),
        ("priceMin", &query.price_min),
        ("priceMax", &query.price_max),
        ("orgId", &query.org_id),
        ("status", &query.status),
        ("sort", &query.sort),
    ];
    let given = all
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)));
    let who = ("member", if member { "1" } else { "0" });
    FilterDigest::new("events", given.chain([who]))
}

/// Filters that SQL does not know: city, country, prices.
async fn narrowed(
    room: &Ticketing,
    query: &SearchQuery,
    found: Vec<Candidate>,
) -> Result<Vec<Candidate>, Problem> {
    let fits = |candidate: &Candidate| {
        let city = query
            .city
            .as_ref()
            .is_none_or(|city| in_city(candidate, city));
        city && (query.country.is_none() || query.country == candidate.country)
    };
    let mut found: Vec<Candidate> = found.into_iter().filter(fits).collect();
    if query.price_min.is_some() || query.price_max.is_some() {
        let ids: Vec<String> = found.iter().map(|candidate| candidate.id.clone()).collect();
        let prices = store::search::prices(&room.store.db, &ids).await?;
        let mut kept = Vec::new();
        for candidate in found {
            if priced(room, query, &candidate, &prices)? {
                kept.push(candidate);
            }
        }
        found = kept;
    }
    Ok(found)
}

fn priced(
    room: &Ticketing,
    query: &SearchQuery,
    candidate: &Candidate,
    prices: &BTreeMap<String, Vec<i64>>,
) -> Result<bool, Problem> {
    // Currencies with more decimals than the caller wrote are compared all the same.
    let scale = room.settings.scale(&candidate.currency).unwrap_or(2);
    let bound = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match money::minor(name, text, scale) {
            Ok(minor) => Ok(Some(minor)),
            // Cents say nothing about a currency without them; the next whole unit does.
            Err(problem) if problem.code() == "amount_precision" => {
                let whole = text.split('.').next().unwrap_or(text);
                let minor = money::minor(name, whole, scale)?;
                Ok(Some(if name == "priceMin" { minor + 1 } else { minor }))
            }
            Err(problem) => Err(problem),
        },
    };
    let least = bound("priceMin", &query.price_min)?.unwrap_or(0);
    let most = bound("priceMax", &query.price_max)?.unwrap_or(i64::MAX);
    let of_event = prices.get(&candidate.id);
    Ok(of_event.is_some_and(|all| all.iter().any(|price| (least..=most).contains(price))))
}

fn ranked(found: Vec<Candidate>, near: Option<Near>, sort: Sort) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = found
        .into_iter()
        .filter_map(|candidate| {
            let distance = near
                .zip(candidate.place)
                .map(|((here, _), there)| geo::distance_km(here, there));
            match (near, distance) {
                (Some((_, radius)), Some(km)) if km > radius => return None,
                (Some(_), None) => return None,
                _ => {}
            }
            let starts = candidate.starts_at.unwrap_or(i64::MAX);
            // Metres, so that a cursor can hold it.
            let metres = distance.map_or(0, |km| (km * 1_000.0).round() as i64);
            let rank = match sort {
                Sort::StartsAt => [starts, 0],
                Sort::Relevance => [candidate.score, starts],
                Sort::Distance => [metres, starts],
            };
            Some(Ranked {
                candidate,
                distance_km: distance,
                rank,
            })
        })
        .collect();
    ranked.sort_by(order);
    ranked
}

fn order(a: &Ranked, b: &Ranked) -> Ordering {
    (a.rank, &a.candidate.id).cmp(&(b.rank, &b.candidate.id))
}

/// The page after a cursor, and the next one's.
fn cut(
    room: &Ticketing,
    ranked: Vec<Ranked>,
    after: Option<&Position>,
    digest: FilterDigest,
    limit: usize,
) -> (Vec<Ranked>, Option<String>) {
    let start = after.and_then(|position| place_of(&position.after));
    let mut rest = ranked.into_iter().filter(|one| {
        let place = (one.rank, one.candidate.id.as_str());
        start
            .as_ref()
            .is_none_or(|(rank, id)| place > (*rank, id.as_str()))
    });
    let shown: Vec<Ranked> = rest.by_ref().take(limit).collect();
    let next = match (rest.next(), shown.last()) {
        (Some(_), Some(last)) => {
            let mut place = Vec::new();
            for number in last.rank {
                place.extend_from_slice(&number.to_be_bytes());
            }
            place.extend_from_slice(last.candidate.id.as_bytes());
            let position = Position {
                snapshot: 0,
                after: place,
            };
            Some(room.cursors.seal(digest, &position))
        }
        _ => None,
    };
    (shown, next)
}

fn place_of(bytes: &[u8]) -> Option<([i64; 2], String)> {
    let (first, rest) = bytes.split_first_chunk::<8>()?;
    let (second, id) = rest.split_first_chunk::<8>()?;
    let rank = [i64::from_be_bytes(*first), i64::from_be_bytes(*second)];
    Some((rank, String::from_utf8(id.to_vec()).ok()?))
}

async fn print(
    room: &Ticketing,
    shown: &[Ranked],
    member: bool,
) -> Result<Vec<EventShown>, Problem> {
    let ids: Vec<String> = shown.iter().map(|one| one.candidate.id.clone()).collect();
    let mut found = BTreeMap::new();
    for event in store::events::some(&room.store.db, &ids).await? {
        found.insert(event.id.clone(), event);
    }
    let mut events = Vec::with_capacity(ids.len());
    let mut distances = Vec::with_capacity(ids.len());
    for one in shown {
        if let Some(event) = found.remove(&one.candidate.id) {
            events.push(event);
            distances.push(one.distance_km);
        }
    }
    let mut printed = show::page(room, &events, member).await?;
    for (event, distance) in printed.iter_mut().zip(distances) {
        let rounded = distance.map(|km| (km * 1_000.0).round() / 1_000.0);
        event.distance_km = rounded.and_then(serde_json::Number::from_f64);
    }
    Ok(printed)
}
