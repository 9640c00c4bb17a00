//! Events: their fields, statuses and phases (contract A2, A3).

use super::org::{FeePayer, words};
use super::zone::Zone;

/// Categories of events.
pub const CATEGORIES: [&str; 9] = [
    "music",
    "sports",
    "business",
    "arts",
    "food",
    "technology",
    "education",
    "community",
    "other",
];

/// Doors open this long before the start, and close this long after the end, in microseconds.
pub const DOORS_MICROS: i64 = 6 * 3_600 * 1_000_000;
/// Seconds that a hold lives unless the event says otherwise.
pub const HOLD_SECONDS: i64 = 900;
/// A postponed event that is not rescheduled counts as completed so long after its end.
pub const POSTPONED_MAX_MICROS: i64 = 90 * 86_400 * 1_000_000;

/// Where an event takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// At a venue.
    InPerson,
    /// At a URL.
    Virtual,
    /// Both.
    Hybrid,
}

/// Who finds an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody, by search too.
    Public,
    /// Whoever knows its id.
    Unlisted,
    /// Whoever has its access key.
    Private,
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Being written.
    Draft,
    /// On sale.
    Published,
    /// On sale, with nothing left.
    SoldOut,
    /// Without a date.
    Postponed,
    /// Called off, for good.
    Cancelled,
    /// Over.
    Completed,
}

words!(Format { InPerson => "in_person", Virtual => "virtual", Hybrid => "hybrid" });
words!(Visibility { Public => "public", Unlisted => "unlisted", Private => "private" });
words!(Status {
    Draft => "draft",
    Published => "published",
    SoldOut => "sold_out",
    Postponed => "postponed",
    Cancelled => "cancelled",
    Completed => "completed",
});

impl Status {
    /// The table of contract A3: may an event go from here to there?
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Draft, Self::Published)
                | (Self::Published, Self::SoldOut)
                | (Self::SoldOut | Self::Postponed, Self::Published)
                | (Self::Published | Self::SoldOut, Self::Postponed)
                | (Self::Postponed, Self::SoldOut)
                | (
                    Self::Published | Self::SoldOut | Self::Postponed,
                    Self::Cancelled | Self::Completed
                )
        )
    }

    /// Orders may be reserved.
    pub const fn sells(self) -> bool {
        matches!(self, Self::Published | Self::SoldOut)
    }

    /// Strangers may see it.
    pub const fn is_shown(self) -> bool {
        !matches!(self, Self::Draft)
    }
}

/// Where an event is in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before its start, or without one.
    Upcoming,
    /// Between start and end.
    Live,
    /// After its end.
    Past,
}

words!(Phase { Upcoming => "upcoming", Live => "live", Past => "past" });

/// The place of an event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Venue {
    /// Name.
    pub name: String,
    /// Street and number.
    pub address: String,
    /// City.
    pub city: String,
    /// State or region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Latitude in millionths of a degree.
    pub lat: i64,
    /// Longitude in millionths of a degree.
    pub lng: i64,
    /// Places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i64>,
}

/// An event. Instants are microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub org_id: String,
    /// For URLs.
    pub slug: String,
    /// Title.
    pub title: String,
    /// A line or two.
    pub summary: String,
    /// Plain text or Markdown, as it was written.
    pub description: String,
    /// One of [`CATEGORIES`].
    pub category: Option<String>,
    /// At most 10.
    pub tags: Vec<String>,
    /// At a venue, at a URL, both.
    pub format: Format,
    /// Who finds it.
    pub visibility: Visibility,
    /// Opens a private event.
    pub access_key: Option<String>,
    /// Start.
    pub starts_at: Option<i64>,
    /// End, after the start.
    pub ends_at: Option<i64>,
    /// IANA name.
    pub time_zone: String,
    /// Place; needed unless virtual.
    pub venue: Option<Venue>,
    /// Shown to holders of valid tickets only.
    pub online_url: Option<String>,
    /// One per event, fixed at publish.
    pub currency: String,
    /// Life of a hold, 10 to 1800 s.
    pub hold_seconds: i64,
    /// Who pays the fees.
    pub fee_payer: FeePayer,
    /// In and out alternate.
    pub reentry: bool,
    /// Doors; `None`: 6 h before the start.
    pub check_in_opens_at: Option<i64>,
    /// Doors; `None`: 6 h after the end.
    pub check_in_closes_at: Option<i64>,
    /// Nothing is sold for now.
    pub sales_paused: bool,
    /// For people.
    pub refund_policy: Option<String>,
    /// Most tickets of one buyer.
    pub max_per_buyer: Option<i64>,
    /// Images in order; the first is the primary one.
    pub image_ids: Vec<String>,
    /// Where it stands.
    pub status: Status,
    /// Why it was postponed or cancelled.
    pub status_reason: Option<String>,
    /// After a reschedule: buyers may refund in full until then.
    pub refund_until: Option<i64>,
    /// Counts changes by people.
    pub version: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// When it was published.
    pub published_at: Option<i64>,
    /// Number of the next ticket type.
    pub next_type_no: i64,
}

impl Event {
    /// Where it is in time.
    pub fn phase(&self, now: i64) -> Phase {
        match (self.starts_at, self.ends_at) {
            (_, Some(ends)) if now >= ends => Phase::Past,
            (Some(starts), _) if now >= starts => Phase::Live,
            _ => Phase::Upcoming,
        }
    }

    /// Its zone.
    pub fn zone(&self) -> Option<Zone> {
        Zone::parse(&self.time_zone)
    }

    /// When doors open: set, or 6 h before the start.
    pub fn doors_open(&self) -> Option<i64> {
        self.check_in_opens_at
            .or_else(|| self.starts_at.map(|at| at - DOORS_MICROS))
    }

    /// When doors close: set, or 6 h after the end.
    pub fn doors_close(&self) -> Option<i64> {
        self.check_in_closes_at
            .or_else(|| self.ends_at.map(|at| at + DOORS_MICROS))
    }

    /// Buyers may refund in full whatever the type says: while it is postponed, and until
    /// `refund_until` after a reschedule.
    pub fn refunds_in_full(&self, now: i64) -> bool {
        self.status == Status::Postponed || self.refund_until.is_some_and(|until| now < until)
    }

    /// Sale, transfer and resale are over.
    pub const fn is_over(&self) -> bool {
        matches!(self.status, Status::Cancelled | Status::Completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_statuses_is_that_of_the_contract() {
        use Status::{Cancelled, Completed, Draft, Postponed, Published, SoldOut};
        let allowed = [
            (Draft, Published),
            (Published, SoldOut),
            (SoldOut, Published),
            (Published, Postponed),
            (SoldOut, Postponed),
            (Postponed, Published),
            (Postponed, SoldOut),
            (Published, Cancelled),
            (SoldOut, Cancelled),
            (Postponed, Cancelled),
            (Published, Completed),
            (SoldOut, Completed),
            (Postponed, Completed),
        ];
        for from in Status::ALL {
            for to in Status::ALL {
                let expected = allowed.contains(&(*from, *to));
                assert_eq!(from.may_become(*to), expected, "{from:?} -> {to:?}");
            }
        }
    }
}
