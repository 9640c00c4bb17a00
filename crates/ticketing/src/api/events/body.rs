//! The fields of an event as they are sent (contract A2).

use florin_base::money::Decimal;
use florin_platform::http::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::Ticketing;
use crate::api::given::Given;
use crate::api::problem::field;
use crate::api::{check, orgs};
use crate::model::event::{CATEGORIES, Event, Format, HOLD_SECONDS, Venue, Visibility};
use crate::model::org::FeePayer;
use crate::model::ticket_type::QUANTITY_MAX;
use crate::model::zone::Zone;

/// Most images that an event orders.
const IMAGES_MAX: usize = 20;

/// The place of an event.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = VenueRequest)]
pub struct VenueBody {
    name: String,
    address: String,
    city: String,
    region: Option<String>,
    postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    country: String,
    /// −90 to 90, at most six decimals count.
    #[schema(value_type = f64)]
    lat: Number,
    /// −180 to 180.
    #[schema(value_type = f64)]
    lng: Number,
    capacity: Option<i64>,
}

/// Fields of an event. At creation `orgId`, `title` and `timeZone` are needed; null gives a field
/// its default back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = EventRequest)]
pub struct EventBody {
    /// At creation: whose it is.
    pub org_id: Option<String>,
    /// 3 to 140 characters.
    pub title: Option<String>,
    /// At most 300 characters.
    #[schema(value_type = Option<String>)]
    pub summary: Given<String>,
    /// At most 20 000 characters of text or Markdown.
    #[schema(value_type = Option<String>)]
    pub description: Given<String>,
    /// Such as `music`.
    #[schema(value_type = Option<String>)]
    pub category: Given<String>,
    /// At most 10 of 2 to 30 characters.
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Given<Vec<String>>,
    /// `in_person` (default), `virtual`, `hybrid`.
    pub format: Option<String>,
    /// `public` (default), `unlisted`, `private`.
    pub visibility: Option<String>,
    /// Of a private event; made by the server unless given.
    #[schema(value_type = Option<String>)]
    pub access_key: Given<String>,
    /// RFC 3339.
    #[schema(value_type = Option<String>)]
    pub starts_at: Given<String>,
    /// RFC 3339, after the start.
    #[schema(value_type = Option<String>)]
    pub ends_at: Given<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// Place.
    #[schema(value_type = Option<VenueBody>)]
    pub venue: Given<VenueBody>,
    /// Shown to holders of valid tickets.
    #[schema(value_type = Option<String>)]
    pub online_url: Given<String>,
    /// Default: the organisation's.
    pub currency: Option<String>,
    /// Hard limit of the event.
    #[schema(value_type = Option<i64>)]
    pub capacity: Given<i64>,
    /// 10 to 1800, default 900.
    #[schema(value_type = Option<i64>)]
    pub hold_seconds: Given<i64>,
    /// `buyer` or `organizer`; default: the organisation's.
    pub fee_payer: Option<String>,
    /// In and out alternate.
    pub reentry: Option<bool>,
    /// Default: 6 h before the start.
    #[schema(value_type = Option<String>)]
    pub check_in_opens_at: Given<String>,
    /// Default: 6 h after the end.
    #[schema(value_type = Option<String>)]
    pub check_in_closes_at: Given<String>,
    /// Nothing is sold for now.
    pub sales_paused: Option<bool>,
    /// At most 2000 characters.
    #[schema(value_type = Option<String>)]
    pub refund_policy: Given<String>,
    /// Most tickets of one buyer.
    #[schema(value_type = Option<i64>)]
    pub max_per_buyer: Given<i64>,
    /// Images in order; the first is the primary one.
    pub image_ids: Option<Vec<String>>,
}

impl EventBody {
    /// Lays the fields over an event; `capacity` is not one of its columns.
    ///
    /// # Errors
    /// 400 naming the field.
    pub fn apply(self, room: &Ticketing, event: &mut Event) -> Result<(), Problem> {
        if let Some(title) = &self.title {
            event.title = check::line("title", title, 3, 140)?;
        }
        self.words(event)?;
        if let Some(word) = &self.format {
            event.format = check::word("format", word, Format::ALL, Format::word)?;
        }
        if let Some(currency) = &self.currency {
            event.currency = orgs::currency_of(room, "currency", currency)?;
        }
        if let Some(word) = &self.fee_payer {
            event.fee_payer = check::word("feePayer", word, FeePayer::ALL, FeePayer::word)?;
        }
        event.reentry = self.reentry.unwrap_or(event.reentry);
        event.sales_paused = self.sales_paused.unwrap_or(event.sales_paused);
        self.numbers(event)?;
        self.times(event)?;
        self.venue
            .try_map(VenueBody::read)?
            .over_option(&mut event.venue);
        if let Some(ids) = self.image_ids {
            event.image_ids = images(ids)?;
        }
        if let Some(word) = &self.visibility {
            event.visibility = check::word("visibility", word, Visibility::ALL, Visibility::word)?;
        }
        self.access_key
            .try_map(|text| check::line("accessKey", &text, 8, 128))?
            .over_option(&mut event.access_key);
        if event.visibility == Visibility::Private && event.access_key.is_none() {
            event.access_key = Some(hex::encode(&florin_base::IdSource::random_32()[..16]));
        }
        Ok(())
    }

    fn words(&self, event: &mut Event) -> Result<(), Problem> {
        let summary = self.summary.clone();
        summary
            .try_map(|text| check::text("summary", &text, 300))?
            .over(&mut event.summary, String::new());
        let description = self.description.clone();
        description
            .try_map(|text| check::text("description", &text, 20_000))?
            .over(&mut event.description, String::new());
        let policy = self.refund_policy.clone();
        policy
            .try_map(|text| check::text("refundPolicy", &text, 2_000))?
            .over_option(&mut event.refund_policy);
        let url = self.online_url.clone();
        url.try_map(|text| online_url(&text))?
            .over_option(&mut event.online_url);
        let category = self.category.clone();
        category
            .try_map(|text| match CATEGORIES.contains(&&*text) {
                true => Ok(text),
                false => Err(Problem::validation(
                    "category",
                    format!("One of {}.", CATEGORIES.join(", ")),
                )),
            })?
            .over_option(&mut event.category);
        self.tags
            .clone()
            .try_map(tags)?
            .over(&mut event.tags, Vec::new());
        Ok(())
    }

    fn numbers(&self, event: &mut Event) -> Result<(), Problem> {
        let seconds = self.hold_seconds.clone();
        seconds
            .try_map(|n| check::range("holdSeconds", n, 10, 1_800))?
            .over(&mut event.hold_seconds, HOLD_SECONDS);
        let most = self.max_per_buyer.clone();
        most.try_map(|n| check::range("maxPerBuyer", n, 1, QUANTITY_MAX))?
            .over_option(&mut event.max_per_buyer);
        Ok(())
    }

    fn times(&self, event: &mut Event) -> Result<(), Problem> {
        let places = [
            ("startsAt", &self.starts_at, &mut event.starts_at),
            ("endsAt", &self.ends_at, &mut event.ends_at),
            (
                "checkInOpensAt",
                &self.check_in_opens_at,
                &mut event.check_in_opens_at,
            ),
            (
                "checkInClosesAt",
                &self.check_in_closes_at,
                &mut event.check_in_closes_at,
            ),
        ];
        for (name, given, place) in places {
            let given = given.clone();
            given
                .try_map(|text| check::instant(name, &text))?
                .over_option(place);
        }
        if let Some(zone) = &self.time_zone {
            if Zone::parse(zone).is_none() {
                let message = "Must be a time zone of the IANA data base.";
                return Err(field("timeZone", "bad_time_zone", message));
            }
            event.time_zone.clone_from(zone);
        }
        let wrong = |from: Option<i64>, to: Option<i64>| from.zip(to).is_some_and(|(a, b)| a >= b);
        if wrong(event.starts_at, event.ends_at) {
            return Err(Problem::validation(
                "endsAt",
                "The end must come after the start.",
            ));
        }
        if wrong(event.doors_open(), event.doors_close()) {
            let message = "Doors must close after they open.";
            return Err(Problem::validation("checkInClosesAt", message));
        }
        Ok(())
    }
}

impl VenueBody {
    fn read(self) -> Result<Venue, Problem> {
        let optional = |name: &str, text: Option<String>, max| {
            text.map(|text| check::line(name, &text, 1, max))
                .transpose()
        };
        Ok(Venue {
            name: check::line("venue.name", &self.name, 1, 140)?,
            address: check::line("venue.address", &self.address, 1, 200)?,
            city: check::line("venue.city", &self.city, 1, 100)?,
            region: optional("venue.region", self.region, 100)?,
            postal_code: optional("venue.postalCode", self.postal_code, 20)?,
            country: check::country("venue.country", &self.country)?,
            lat: degrees("venue.lat", &self.lat, 90)?,
            lng: degrees("venue.lng", &self.lng, 180)?,
            capacity: self
                .capacity
                .map(|n| check::range("venue.capacity", n, 1, QUANTITY_MAX))
                .transpose()?,
        })
    }
}

/// Millionths of a degree; more decimals are cut off.
pub fn degrees(name: &str, number: &Number, max: i64) -> Result<i64, Problem> {
    let text = number.to_string();
    // Only numbers below a hundred-thousandth are printed with an exponent.
    match text.contains("e-") {
        true => Ok(0),
        false => degrees_of(name, &text, max),
    }
}

/// As [`degrees`], from text.
///
/// # Errors
/// 400 `validation_failed`.
pub fn degrees_of(name: &str, text: &str, max: i64) -> Result<i64, Problem> {
    let wrong = || Problem::validation(name.to_owned(), format!("Degrees from -{max} to {max}."));
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let kept: String = decimals.chars().take(6).collect();
    let decimal = Decimal::parse(&format!("{whole}.{kept}")).map_err(|_| wrong())?;
    let size = Decimal {
        negative: false,
        ..decimal
    };
    let micro = size
        .to_minor(6)
        .ok()
        .and_then(|micro| i64::try_from(micro).ok());
    match micro {
        Some(micro) if micro <= max * 1_000_000 && decimals.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(if decimal.negative { -micro } else { micro })
        }
        _ => Err(wrong()),
    }
}

fn tags(tags: Vec<String>) -> Result<Vec<String>, Problem> {
    if tags.len() > 10 {
        return Err(Problem::validation("tags", "At most 10 tags."));
    }
    let mut kept: Vec<String> = Vec::new();
    for (index, tag) in tags.iter().enumerate() {
        let tag = check::line(&format!("tags[{index}]"), tag, 2, 30)?;
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    Ok(kept)
}

fn images(ids: Vec<String>) -> Result<Vec<String>, Problem> {
    if ids.len() > IMAGES_MAX {
        return Err(Problem::validation("imageIds", "At most 20 images."));
    }
    for (index, id) in ids.iter().enumerate() {
        check::id(&format!("imageIds[{index}]"), id)?;
        if ids[..index].contains(id) {
            return Err(Problem::validation("imageIds", "Each image once."));
        }
    }
    Ok(ids)
}

fn online_url(text: &str) -> Result<String, Problem> {
    let text = check::line("onlineUrl", text, 8, 2_000)?;
    let good = text.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !text.contains(char::is_whitespace)
    });
    match good {
        true => Ok(text),
        false => Err(Problem::validation("onlineUrl", "Must be an https URL.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_kept_in_millionths() {
        let read = |text: &str| degrees_of("lat", text, 90).ok();
        assert_eq!(read("52.52"), Some(52_520_000));
        assert_eq!(read("-0.0000019"), Some(-1));
        assert_eq!(read("90"), Some(90_000_000));
        assert_eq!(read("-90.0"), Some(-90_000_000));
        assert_eq!(read("90.000001"), None);
        assert_eq!(read("1e1"), None);
        assert_eq!(read("5.1e3"), None);
    }
}
