//! Sales by time, type, channel and source; the funnel of visitors (contract E).

use std::collections::{BTreeMap, BTreeSet};

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Query, query};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::figures::ratio;
use super::fold::SLOT;
use crate::Ticketing;
use crate::api::money::print;
use crate::api::problem::field;
use crate::model::event::Event;

/// Most buckets of one answer.
const BUCKETS_MAX: usize = 20_000;

/// By what sales are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Hour of the event's zone.
    Hour,
    /// Day of the event's zone.
    Day,
    /// Ticket type.
    Type,
    /// Channel.
    Channel,
    /// Source.
    Source,
}

impl By {
    /// The value for a word.
    ///
    /// # Errors
    /// 400 `group_invalid`.
    pub fn parse(word: &str) -> Result<Self, Problem> {
        Ok(match word {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "type" => Self::Type,
            "channel" => Self::Channel,
            "source" => Self::Source,
            _ => {
                return Err(field(
                    "groupBy",
                    "group_invalid",
                    "One of hour, day, type, channel, source.",
                ));
            }
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Type => "type",
            Self::Channel => "channel",
            Self::Source => "source",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    orders: i64,
    tickets: i64,
    gross: i64,
}

/// A slot of paid sales, or of tickets that cost nothing.
struct Slot {
    at: i64,
    type_id: String,
    channel: String,
    source: String,
    sums: Sums,
}

/// Start of the bucket of an instant.
fn bucket(zone: &TimeZone, by: By, at: i64) -> Option<i64> {
    let instant = jiff::Timestamp::from_microsecond(at).ok()?;
    let local = instant.to_zoned(zone.clone());
    let start = match by {
        By::Day => local.start_of_day().ok()?,
        // Of an hour that comes twice, each is a bucket of its own.
        _ => {
            let into = i64::from(local.minute()) * 60_000_000
                + i64::from(local.second()) * 1_000_000
                + i64::from(local.subsec_nanosecond()) / 1_000;
            return Some(at - into);
        }
    };
    Some(start.timestamp().as_microsecond())
}

/// Start of the bucket after one.
fn next(zone: &TimeZone, by: By, start: i64) -> Option<i64> {
    match by {
        By::Hour => {
            // An offset that is no whole hour may cut an hour short at a change.
            let after = bucket(zone, by, start + 3_600_000_000)?;
            Some(if after > start {
                after
            } else {
                start + 3_600_000_000
            })
        }
        _ => {
            let instant = jiff::Timestamp::from_microsecond(start).ok()?;
            let day = instant.to_zoned(zone.clone()).date().tomorrow().ok()?;
            let wall = day.to_datetime(Time::midnight());
            let zoned = zone.to_ambiguous_zoned(wall).compatible().ok()?;
            Some(zoned.start_of_day().ok()?.timestamp().as_microsecond())
        }
    }
}

/// Sales of an event in `[from, to)`, grouped; the sums of all buckets are those of the overview.
///
/// # Errors
/// 400 `too_many_buckets`; the store's.
pub async fn grouped(
    room: &Ticketing,
    event: &Event,
    by: By,
    from: Option<i64>,
    to: Option<i64>,
) -> Result<Value, Problem> {
    let scale = room.settings.scale(&event.currency).unwrap_or(2);
    let (low, high) = (from.unwrap_or(0), to.unwrap_or(i64::MAX));
    let by_type = by == By::Type;
    let mut slots = paid(room, &event.id, by_type, low, high).await?;
    slots.extend(free(room, &event.id, by_type, low, high).await?);
    let items = match by {
        By::Hour | By::Day => timed(event, by, &slots, from, to, scale)?,
        By::Type => named(&slots, "ticketTypeId", scale, |slot| {
            slot.type_id.clone().into()
        }),
        By::Channel => named(&slots, "channel", scale, |slot| slot.channel.clone().into()),
        By::Source => named(&slots, "source", scale, |slot| source(&slot.source)),
    };
    Ok(json!({
        "eventId": event.id,
        "currency": event.currency,
        "groupBy": by.word(),
        "timeZone": event.time_zone,
        "items": items,
    }))
}

/// A source as it is shown: an object, or `direct`.
pub fn source(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        _ => Value::from("direct"),
    }
}

async fn paid(
    room: &Ticketing,
    event_id: &str,
    by_type: bool,
    from: i64,
    to: i64,
) -> Result<Vec<Slot>, Problem> {
    let narrow = if by_type { "<> ''" } else { "= ''" };
    let text = format!(
        "SELECT slot, type_id, channel, source, orders, tickets, gross FROM tk_sales_sums
         WHERE event_id = $1 AND type_id {narrow} AND slot >= $2 AND slot < $3"
    );
    // A bound inside a slot counts the slot that it lies in.
    let low = from - from.rem_euclid(SLOT);
    let statement = Query::assembled(text).bind(event_id).bind(low).bind(to);
    let rows = room.store.db.fetch_all(statement).await?;
    let mut slots = Vec::with_capacity(rows.len());
    for row in &rows {
        slots.push(Slot {
            at: row.get("slot")?,
            type_id: row.get("type_id")?,
            channel: row.get("channel")?,
            source: row.get("source")?,
            sums: Sums {
                orders: row.get("orders")?,
                tickets: row.get("tickets")?,
                gross: row.get("gross")?,
            },
        });
    }
    Ok(slots)
}

async fn free(
    room: &Ticketing,
    event_id: &str,
    by_type: bool,
    from: i64,
    to: i64,
) -> Result<Vec<Slot>, Problem> {
    let text = match by_type {
        false => {
            "SELECT confirmed_at AS at, '' AS kind, channel, source, units AS n FROM tk_orders
             WHERE event_id = $1 AND total = 0 AND confirmed_at >= $2 AND confirmed_at < $3"
        }
        true => {
            "SELECT o.confirmed_at AS at, i.type_id AS kind, o.channel, o.source,
             i.quantity AS n FROM tk_orders o JOIN tk_order_items i ON i.order_id = o.id
             WHERE o.event_id = $1 AND o.total = 0 AND o.confirmed_at >= $2
             AND o.confirmed_at < $3"
        }
    };
    let statement = query(text).bind(event_id).bind(from).bind(to);
    let rows = room.store.db.fetch_all(statement).await?;
    let mut slots = Vec::with_capacity(rows.len());
    for row in &rows {
        let source: Option<String> = row.get("source")?;
        slots.push(Slot {
            at: row.get("at")?,
            type_id: row.get("kind")?,
            channel: row.get("channel")?,
            source: source.unwrap_or_default(),
            sums: Sums {
                // Orders that cost nothing are no sales.
                orders: 0,
                tickets: row.get("n")?,
                gross: 0,
            },
        });
    }
    Ok(slots)
}

fn add(into: &mut Sums, sums: Sums) {
    into.orders += sums.orders;
    into.tickets += sums.tickets;
    into.gross += sums.gross;
}

fn show(name: &str, label: Value, sums: Sums, scale: u8) -> Value {
    let mut shown = json!({
        "tickets": sums.tickets, "orders": sums.orders, "gross": print(sums.gross, scale),
    });
    shown[name] = label;
    shown
}

fn named(slots: &[Slot], name: &str, scale: u8, label: impl Fn(&Slot) -> Value) -> Vec<Value> {
    let mut groups: BTreeMap<String, (Value, Sums)> = BTreeMap::new();
    for slot in slots {
        let value = label(slot);
        let entry = groups.entry(value.to_string());
        add(&mut entry.or_insert((value, Sums::default())).1, slot.sums);
    }
    let groups = groups.into_values();
    groups
        .map(|(label, sums)| show(name, label, sums, scale))
        .collect()
}

/// Every bucket of the time, empty ones as zero.
fn timed(
    event: &Event,
    by: By,
    slots: &[Slot],
    from: Option<i64>,
    to: Option<i64>,
    scale: u8,
) -> Result<Vec<Value>, Problem> {
    let zone = TimeZone::get(&event.time_zone).map_err(Problem::internal)?;
    let mut buckets: BTreeMap<i64, Sums> = BTreeMap::new();
    for slot in slots {
        let start = bucket(&zone, by, slot.at).unwrap_or(slot.at);
        add(buckets.entry(start).or_default(), slot.sums);
    }
    let ends: Vec<i64> = slots.iter().map(|slot| slot.at).collect();
    let first = from.or_else(|| ends.iter().min().copied());
    let last = match to {
        Some(to) => Some(to - 1),
        None => ends.iter().max().copied(),
    };
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(Vec::new());
    };
    let mut at = bucket(&zone, by, first);
    let mut shown = Vec::new();
    while let Some(start) = at.filter(|start| *start <= last) {
        if shown.len() >= BUCKETS_MAX {
            return Err(field("to", "too_many_buckets", "Ask for a shorter time."));
        }
        let sums = buckets.get(&start).copied().unwrap_or_default();
        let label = florin_base::Timestamp(start).to_string();
        shown.push(show("start", label.into(), sums, scale));
        at = next(&zone, by, start);
    }
    Ok(shown)
}

/// Steps of the funnel, a later one implies the earlier ones.
const STEPS: [&str; 4] = ["view", "select", "hold", "paid"];

/// Visitors with the last step of each and where he came from; a visitor counts once.
async fn visitors(
    room: &Ticketing,
    event_id: &str,
) -> Result<BTreeMap<String, (usize, String)>, Problem> {
    let mut steps: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let text = "SELECT visitor_id, step, source FROM tk_tracks WHERE event_id = $1
        ORDER BY first_at, visitor_id";
    for row in room.store.db.fetch_all(query(text).bind(event_id)).await? {
        let step: String = row.get("step")?;
        let rank = STEPS.iter().position(|known| *known == step).unwrap_or(0);
        let entry = steps
            .entry(row.get("visitor_id")?)
            .or_insert((rank, row.get("source")?));
        entry.0 = entry.0.max(rank);
    }
    let text = "SELECT visitor_id, source, confirmed_at FROM tk_orders
        WHERE event_id = $1 AND channel = 'online' AND visitor_id IS NOT NULL ORDER BY id";
    for row in room.store.db.fetch_all(query(text).bind(event_id)).await? {
        let paid = row.get::<Option<i64>>("confirmed_at")?.is_some();
        let rank = if paid { 3 } else { 2 };
        let source: Option<String> = row.get("source")?;
        let entry = steps
            .entry(row.get("visitor_id")?)
            .or_insert((rank, source.unwrap_or_default()));
        entry.0 = entry.0.max(rank);
    }
    Ok(steps)
}

/// How many visitors ended at each step, counted where the rows are.
async fn ended(room: &Ticketing, event_id: &str) -> Result<[i64; 4], Problem> {
    let text = "SELECT last, COUNT(*) AS n FROM (
            SELECT visitor_id, MAX(rank) AS last FROM (
                SELECT visitor_id,
                CAST(CASE WHEN step = 'select' THEN 1 ELSE 0 END AS BIGINT) AS rank
                FROM tk_tracks WHERE event_id = $1
                UNION ALL
                SELECT visitor_id,
                CAST(CASE WHEN confirmed_at IS NULL THEN 2 ELSE 3 END AS BIGINT) AS rank
                FROM tk_orders
                WHERE event_id = $2 AND channel = 'online' AND visitor_id IS NOT NULL
            ) AS steps GROUP BY visitor_id
        ) AS visitors GROUP BY last";
    let statement = query(text).bind(event_id).bind(event_id);
    let mut ended = [0; 4];
    for row in room.store.db.fetch_all(statement).await? {
        let last = usize::try_from(row.get::<i64>("last")?).unwrap_or(0);
        if let Some(count) = ended.get_mut(last) {
            *count = row.get("n")?;
        }
    }
    Ok(ended)
}

/// Confirmed orders without a visitor.
async fn unattributed(room: &Ticketing, event_id: &str) -> Result<i64, Problem> {
    let text = "SELECT COUNT(*) AS n FROM tk_orders WHERE event_id = $1
        AND visitor_id IS NULL AND channel = 'online' AND confirmed_at IS NOT NULL";
    let row = room.store.db.fetch_optional(query(text).bind(event_id));
    Ok(row.await?.map_or(Ok(0), |row| row.get("n"))?)
}

fn reached(ranks: impl Iterator<Item = usize>) -> [i64; 4] {
    let mut counts = [0; 4];
    for rank in ranks {
        for count in &mut counts[..=rank] {
            *count += 1;
        }
    }
    counts
}

/// `GET /analytics/events/{id}/funnel`.
///
/// # Errors
/// The store's.
pub async fn funnel(room: &Ticketing, event: &Event) -> Result<Value, Problem> {
    let ended = ended(room, &event.id).await?;
    // A later step implies the earlier ones.
    let counts: Vec<i64> = (0..STEPS.len())
        .map(|at| ended[at..].iter().sum())
        .collect();
    let steps: Vec<Value> = STEPS
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let drop = match counts.get(index + 1) {
                Some(next) => ratio(counts[index] - next, counts[index]),
                None => Value::Null,
            };
            json!({"step": step, "visitors": counts[index], "dropOff": drop})
        })
        .collect();
    Ok(json!({
        "eventId": event.id,
        "steps": steps,
        "conversion": ratio(counts[3], counts[0]),
        "unattributed": unattributed(room, &event.id).await?,
    }))
}

/// `GET /analytics/events/{id}/sources`: visitors, orders and sales of each source.
///
/// # Errors
/// The store's.
pub async fn sources(room: &Ticketing, event: &Event) -> Result<Value, Problem> {
    let scale = room.settings.scale(&event.currency).unwrap_or(2);
    let visitors = visitors(room, &event.id).await?;
    let mut slots = paid(room, &event.id, false, 0, i64::MAX).await?;
    slots.extend(free(room, &event.id, false, 0, i64::MAX).await?);
    let of_visitors = visitors.values().map(|(_, source)| source.as_str());
    let of_sales = slots.iter().map(|slot| slot.source.as_str());
    let all: BTreeSet<&str> = of_visitors.chain(of_sales).collect();
    let mut items = Vec::with_capacity(all.len());
    for name in all {
        let mut sums = Sums::default();
        for slot in slots.iter().filter(|slot| slot.source == name) {
            add(&mut sums, slot.sums);
        }
        let ranks = visitors.values().filter(|(_, source)| source == name);
        let counts = reached(ranks.map(|(rank, _)| *rank));
        let mut shown = show("source", source(name), sums, scale);
        shown["visitors"] = counts[0].into();
        shown["conversion"] = ratio(counts[3], counts[0]);
        items.push(shown);
    }
    Ok(json!({"eventId": event.id, "currency": event.currency, "items": items}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::Timestamp;

    fn at(text: &str) -> i64 {
        Timestamp::parse(text).expect("a time").micros()
    }

    #[test]
    fn row_60_a_clock_change_day_has_23_or_25_hours() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        for (noon, hours) in [
            ("2030-03-31T12:00:00+02:00", 23),
            ("2030-10-27T12:00:00+01:00", 25),
            ("2030-06-29T12:00:00+02:00", 24),
        ] {
            let start = bucket(&zone, By::Day, at(noon)).expect("a day");
            let end = next(&zone, By::Day, start).expect("a day");
            let mut count = 0;
            let mut hour = start;
            while hour < end {
                count += 1;
                hour = next(&zone, By::Hour, hour).expect("an hour");
            }
            assert_eq!((count, hour), (hours, end), "{noon}");
        }
    }

    #[test]
    fn zones_of_half_hours_have_whole_hours_of_their_own() {
        let zone = TimeZone::get("Asia/Kolkata").expect("a zone");
        let start = bucket(&zone, By::Hour, at("2030-01-01T10:45:00Z")).expect("an hour");
        assert_eq!(start, at("2030-01-01T10:30:00Z"));
    }

    #[test]
    fn a_later_step_implies_the_earlier_ones() {
        assert_eq!(reached([0, 3, 2].into_iter()), [3, 2, 2, 1]);
    }
}
