//! The words by which events are found, and the search over them (contract A6).

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Tx, query};

use crate::model::event::{Event, Venue};
use crate::model::words::{fold, words};

/// Most different words of one event.
const WORDS_MAX: usize = 2_000;
/// Words that one statement puts in.
const AT_ONCE: usize = 100;
/// Most events that one search ranks.
pub const CANDIDATES_MAX: i64 = 10_000;

/// Writes the words of an event anew, in the transaction of its change.
///
/// # Errors
/// The store's.
pub async fn index(tx: &mut Tx, event: &Event, organiser: &str) -> Result<(), Problem> {
    let remove = query("DELETE FROM tk_search WHERE event_id = $1").bind(&event.id);
    tx.execute(remove).await?;
    let found: Vec<(String, i64)> = weighed(event, organiser).into_iter().collect();
    for some in found.chunks(AT_ONCE) {
        let rows: Vec<String> = (0..some.len())
            .map(|n| format!("(${}, $1, ${})", 2 * n + 2, 2 * n + 3))
            .collect();
        let text = format!(
            "INSERT INTO tk_search (word, event_id, weight) VALUES {}",
            rows.join(", ")
        );
        let statement = Query::assembled(text).bind(&event.id);
        let statement = some.iter().fold(statement, |statement, (word, weight)| {
            statement.bind(word).bind(*weight)
        });
        tx.execute(statement).await?;
    }
    Ok(())
}

/// Words with the place where each weighs most.
fn weighed(event: &Event, organiser: &str) -> BTreeMap<String, i64> {
    let venue = event.venue.as_ref();
    let places = [
        event.title.clone(),
        event.tags.join(" "),
        organiser.to_owned(),
        venue.map_or_else(String::new, |venue| venue.name.clone()),
        venue.map_or_else(String::new, |venue| venue.city.clone()),
        format!("{} {}", event.summary, event.description),
    ];
    let mut found = BTreeMap::new();
    for (weight, text) in (0..).zip(&places) {
        for word in words(text) {
            if found.len() < WORDS_MAX {
                found.entry(word).or_insert(weight);
            }
        }
    }
    found
}

/// What is searched for. Instants are microseconds, places millionths of a degree.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Folded words; each must begin a word of the event.
    pub words: Vec<String>,
    /// One category.
    pub category: Option<String>,
    /// Ends after this.
    pub from: Option<i64>,
    /// Starts before this.
    pub to: Option<i64>,
    /// South, north.
    pub lat: Option<(i64, i64)>,
    /// West, east; west > east crosses the 180° line.
    pub lng: Option<(i64, i64)>,
    /// Only of this organisation.
    pub org_id: Option<String>,
    /// Only in this status.
    pub status: Option<String>,
    /// What strangers see: public, and published, sold out or postponed.
    pub public_only: bool,
}

/// An event that fits, with what it is ranked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// Start, microseconds; drafts may have none.
    pub starts_at: Option<i64>,
    /// Millionths of a degree.
    pub place: Option<(i64, i64)>,
    /// Currency of its prices.
    pub currency: String,
    /// City of the venue as it was written.
    pub city: Option<String>,
    /// Country of the venue.
    pub country: Option<String>,
    /// Σ of the weights of the words; less is better.
    pub score: i64,
}

/// Events that fit, at most [`CANDIDATES_MAX`], soonest first.
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, wanted: &Wanted) -> Result<Vec<Candidate>, Problem> {
    let mut args: Vec<Arg> = Vec::new();
    let mut wheres: Vec<String> = Vec::new();
    let mut score = "0".to_owned();
    for word in &wanted.words {
        let (low, high) = (
            place(&mut args, word.clone()),
            place(&mut args, above(word)),
        );
        let hits = format!(
            "SELECT MIN(s.weight) FROM tk_search s
            WHERE s.event_id = e.id AND s.word >= {low} AND s.word < {high}"
        );
        score = format!("{score} + ({hits})");
        wheres.push(format!(
            "e.id IN (SELECT event_id FROM tk_search WHERE word >= {low} AND word < {high})"
        ));
    }
    filters(wanted, &mut args, &mut wheres);
    let most = place(&mut args, CANDIDATES_MAX);
    let condition = match wheres.is_empty() {
        true => "e.id = e.id".to_owned(),
        false => wheres.join(" AND "),
    };
    let text = format!(
        "SELECT e.id, e.starts_at, e.lat, e.lng, e.currency, e.venue, {score} AS score
         FROM tk_events e WHERE {condition} ORDER BY e.starts_at, e.id LIMIT {most}"
    );
    let statement = args.into_iter().fold(Query::assembled(text), Query::bind);
    let rows = db.fetch_all(statement).await?;
    rows.iter()
        .map(|row| {
            let place: (Option<i64>, Option<i64>) = (row.get("lat")?, row.get("lng")?);
            let venue: Option<String> = row.get("venue")?;
            let venue: Option<Venue> = venue.and_then(|text| serde_json::from_str(&text).ok());
            Ok(Candidate {
                id: row.get("id")?,
                starts_at: row.get("starts_at")?,
                place: place.0.zip(place.1),
                currency: row.get("currency")?,
                country: venue.as_ref().map(|venue| venue.country.clone()),
                city: venue.map(|venue| venue.city),
                score: row.get("score")?,
            })
        })
        .collect()
}

fn place(args: &mut Vec<Arg>, value: impl Into<Arg>) -> String {
    args.push(value.into());
    format!("${}", args.len())
}

fn filters(wanted: &Wanted, args: &mut Vec<Arg>, wheres: &mut Vec<String>) {
    if wanted.public_only {
        wheres.push("e.visibility = 'public'".to_owned());
        wheres.push("e.status IN ('published', 'sold_out', 'postponed')".to_owned());
    }
    let equal = [
        ("e.category", &wanted.category),
        ("e.org_id", &wanted.org_id),
        ("e.status", &wanted.status),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            wheres.push(format!("{column} = {}", place(args, value.clone())));
        }
    }
    if let Some(from) = wanted.from {
        wheres.push(format!("e.ends_at > {}", place(args, from)));
    }
    if let Some(to) = wanted.to {
        wheres.push(format!("e.starts_at < {}", place(args, to)));
    }
    if let Some((south, north)) = wanted.lat {
        let (south, north) = (place(args, south), place(args, north));
        wheres.push(format!("e.lat >= {south} AND e.lat <= {north}"));
    }
    if let Some((west, east)) = wanted.lng {
        let crossing = west > east;
        let (west, east) = (place(args, west), place(args, east));
        let join = if crossing { "OR" } else { "AND" };
        wheres.push(format!("(e.lng >= {west} {join} e.lng <= {east})"));
    }
}

/// The least text above all that begin with a word; texts are ordered by their bytes.
fn above(word: &str) -> String {
    format!("{word}\u{10FFFF}")
}

/// The city of a candidate begins with the words of the wanted one, case and accents ignored.
pub fn in_city(candidate: &Candidate, city: &str) -> bool {
    let has = words(candidate.city.as_deref().unwrap_or_default());
    words(city)
        .iter()
        .all(|wanted| has.iter().any(|word| word.starts_with(wanted.as_str())))
        && !fold(city).trim().is_empty()
}

/// Prices of visible types of events, minor units.
///
/// # Errors
/// The store's.
pub async fn prices(db: &Db, ids: &[String]) -> Result<BTreeMap<String, Vec<i64>>, Problem> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for some in ids.chunks(AT_ONCE * 5) {
        let names: Vec<String> = (2..=some.len() + 1).map(|n| format!("${n}")).collect();
        let text = format!(
            "SELECT event_id, price FROM tk_types WHERE hidden = $1 AND event_id IN ({})",
            names.join(", ")
        );
        let statement = some
            .iter()
            .fold(Query::assembled(text).bind(false), Query::bind);
        for row in db.fetch_all(statement).await? {
            let of_event = found.entry(row.get("event_id")?).or_default();
            of_event.push(row.get("price")?);
        }
    }
    Ok(found)
}
