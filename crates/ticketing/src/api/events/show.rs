//! An event as it is shown.

use std::collections::BTreeMap;

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Ticketing;
use crate::model::event::{Event, Venue};
use crate::model::words::without_html;
use crate::store;
use crate::store::images::Image;

/// The place of an event; degrees are JSON numbers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Venue)]
pub struct VenueShown {
    name: String,
    address: String,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    country: String,
    #[schema(value_type = f64)]
    lat: serde_json::Number,
    #[schema(value_type = f64)]
    lng: serde_json::Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<i64>,
}

impl From<&Venue> for VenueShown {
    fn from(venue: &Venue) -> Self {
        Self {
            name: venue.name.clone(),
            address: venue.address.clone(),
            city: venue.city.clone(),
            region: venue.region.clone(),
            postal_code: venue.postal_code.clone(),
            country: venue.country.clone(),
            lat: degrees(venue.lat),
            lng: degrees(venue.lng),
            capacity: venue.capacity,
        }
    }
}

/// Millionths of a degree as a JSON number.
pub fn degrees(micro: i64) -> serde_json::Number {
    let (sign, size) = (if micro < 0 { "-" } else { "" }, micro.unsigned_abs());
    let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
    serde_json::from_str(&text).unwrap_or_else(|_| 0.into())
}

/// An image that is ready.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventImage)]
pub struct ImageShown {
    id: String,
    url: String,
    alt_text: String,
    content_type: String,
}

/// Who organises.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventOrganiser)]
pub struct OrganiserShown {
    id: String,
    slug: String,
    name: String,
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventShown {
    id: String,
    slug: String,
    org_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organiser: Option<OrganiserShown>,
    title: String,
    summary: String,
    /// Text or Markdown, without HTML.
    description: String,
    category: Option<String>,
    tags: Vec<String>,
    format: &'static str,
    visibility: &'static str,
    /// Members only.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<String>,
    #[schema(value_type = Option<String>)]
    starts_at: Option<Timestamp>,
    starts_at_local: Option<String>,
    #[schema(value_type = Option<String>)]
    ends_at: Option<Timestamp>,
    ends_at_local: Option<String>,
    time_zone: String,
    venue: Option<VenueShown>,
    /// Members only; holders of valid tickets see it on the ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    online_url: Option<String>,
    currency: String,
    capacity: Option<i64>,
    hold_seconds: i64,
    fee_payer: &'static str,
    reentry: bool,
    #[schema(value_type = Option<String>)]
    check_in_opens_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    check_in_closes_at: Option<Timestamp>,
    sales_paused: bool,
    refund_policy: Option<String>,
    max_per_buyer: Option<i64>,
    images: Vec<ImageShown>,
    image_ids: Vec<String>,
    status: &'static str,
    /// Why it was postponed or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    /// After a reschedule: buyers may refund in full until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    refund_until: Option<Timestamp>,
    phase: &'static str,
    version: i64,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
    #[schema(value_type = Option<String>)]
    published_at: Option<Timestamp>,
    /// In a search near a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub distance_km: Option<serde_json::Number>,
}

/// Where an image is served.
pub fn image_url(room: &Ticketing, id: &str) -> String {
    format!("{}/api/v1/media/{id}", room.settings.public_url)
}

/// Prints an event; `member` shows what is kept from strangers.
pub fn event(
    room: &Ticketing,
    event: &Event,
    member: bool,
    organiser: Option<OrganiserShown>,
    images: &[Image],
    capacity: Option<i64>,
) -> EventShown {
    let zone = event.zone();
    let local = |at: Option<i64>| at.zip(zone.as_ref()).map(|(at, zone)| zone.local(at));
    let ready = |image: &&Image| image.status == "ready";
    EventShown {
        organiser,
        title: event.title.clone(),
        summary: without_html(&event.summary),
        description: without_html(&event.description),
        category: event.category.clone(),
        tags: event.tags.clone(),
        format: event.format.word(),
        visibility: event.visibility.word(),
        access_key: event.access_key.clone().filter(|_| member),
        starts_at: event.starts_at.map(Timestamp),
        starts_at_local: local(event.starts_at),
        ends_at: event.ends_at.map(Timestamp),
        ends_at_local: local(event.ends_at),
        time_zone: event.time_zone.clone(),
        venue: event.venue.as_ref().map(VenueShown::from),
        online_url: event.online_url.clone().filter(|_| member),
        currency: event.currency.clone(),
        capacity,
        hold_seconds: event.hold_seconds,
        fee_payer: event.fee_payer.word(),
        reentry: event.reentry,
        check_in_opens_at: event.doors_open().map(Timestamp),
        check_in_closes_at: event.doors_close().map(Timestamp),
        sales_paused: event.sales_paused,
        refund_policy: event.refund_policy.clone(),
        max_per_buyer: event.max_per_buyer,
        images: in_order(event, images)
            .filter(ready)
            .map(|image| ImageShown {
                id: image.id.clone(),
                url: image_url(room, &image.id),
                alt_text: image.alt_text.clone(),
                content_type: image.content_type.clone(),
            })
            .collect(),
        image_ids: event.image_ids.clone(),
        status: event.status.word(),
        status_reason: event.status_reason.clone(),
        refund_until: event.refund_until.map(Timestamp),
        phase: event.phase(room.now()).word(),
        version: event.version,
        created_at: Timestamp(event.created_at),
        updated_at: Timestamp(event.updated_at),
        published_at: event.published_at.map(Timestamp),
        distance_km: None,
        id: event.id.clone(),
        slug: event.slug.clone(),
        org_id: event.org_id.clone(),
    }
}

/// Images in the order of the event, those it does not name behind them.
fn in_order<'a>(event: &'a Event, images: &'a [Image]) -> impl Iterator<Item = &'a Image> {
    let named = event
        .image_ids
        .iter()
        .filter_map(|id| images.iter().find(|image| image.id == *id));
    let rest = images
        .iter()
        .filter(|image| !event.image_ids.contains(&image.id));
    named.chain(rest)
}

/// Reads what belongs to an event and prints it.
///
/// # Errors
/// The store's.
pub async fn whole(room: &Ticketing, found: &Event, member: bool) -> Result<EventShown, Problem> {
    let db = &room.store.db;
    let organiser = store::orgs::load(db, &found.org_id).await?;
    let organiser = organiser.map(|org| OrganiserShown {
        id: org.id,
        slug: org.slug,
        name: org.name,
    });
    let images = store::images::list(db, &found.id).await?;
    let pools = store::types::pools(db, &found.id).await?;
    let capacity = pools
        .iter()
        .find(|pool| pool.whole_event)
        .map(|pool| pool.capacity);
    Ok(event(room, found, member, organiser, &images, capacity))
}

/// Prints the events of a page, each organisation read once.
///
/// # Errors
/// The store's.
pub async fn page(
    room: &Ticketing,
    found: &[Event],
    member: bool,
) -> Result<Vec<EventShown>, Problem> {
    let db = &room.store.db;
    let mut orgs: BTreeMap<&str, Option<OrganiserShown>> = BTreeMap::new();
    let mut shown = Vec::with_capacity(found.len());
    for one in found {
        if !orgs.contains_key(&*one.org_id) {
            let org = store::orgs::load(db, &one.org_id).await?;
            let org = org.map(|org| OrganiserShown {
                id: org.id,
                slug: org.slug,
                name: org.name,
            });
            orgs.insert(&one.org_id, org);
        }
        let organiser = orgs.get(&*one.org_id).cloned().flatten();
        let images = match one.image_ids.is_empty() {
            true => Vec::new(),
            false => store::images::list(db, &one.id).await?,
        };
        shown.push(event(room, one, member, organiser, &images, None));
    }
    Ok(shown)
}
