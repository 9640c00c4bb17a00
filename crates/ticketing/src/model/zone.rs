//! Time zones: an instant plus an IANA zone (contract A2), and wall-clock arithmetic in it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit};

/// A zone of the IANA data base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Longest name of a zone.
const NAME_MAX: usize = 64;

impl Zone {
    /// The zone of a name such as `Europe/Berlin`; `None` when there is no such zone.
    pub fn parse(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_+-".contains(&b);
        if name.is_empty() || bytes.len() > NAME_MAX || !bytes.iter().copied().all(allowed) {
            return None;
        }
        let zone = jiff::tz::db().get(name).ok()?;
        // The data base folds case; what is stored and shown is the name as it was given.
        (zone.iana_name() == Some(name)).then_some(Self(zone))
    }

    /// An instant (microseconds) as it reads on the wall there:
    /// `2030-06-29T20:00:00+02:00[Europe/Berlin]`.
    pub fn local(&self, micros: i64) -> String {
        instant(micros).map_or_else(String::new, |at| at.to_zoned(self.0.clone()).to_string())
    }

    /// Date and time on the wall there.
    pub fn wall(&self, micros: i64) -> Option<DateTime> {
        Some(self.0.to_datetime(instant(micros)?))
    }

    /// The instant of a date and time on the wall. A time that a clock change leaves out is
    /// moved past the gap; of one that comes twice the first counts.
    pub fn instant(&self, wall: DateTime) -> Option<i64> {
        self.0
            .to_timestamp(wall)
            .ok()
            .map(Timestamp::as_microsecond)
    }

    /// Moves instants of an event by the wall-clock difference between its former and its new
    /// start.
    pub fn shift(&self, from: i64, to: i64) -> Option<Shift> {
        let (before, after) = (self.wall(from)?, self.wall(to)?);
        // In days and time, so that a month later is the same time of the day.
        let by = before.until((Unit::Day, after)).ok()?;
        Some(Shift {
            zone: self.clone(),
            by,
        })
    }
}

/// A wall-clock difference in a zone.
#[derive(Debug, Clone)]
pub struct Shift {
    zone: Zone,
    by: Span,
}

impl Shift {
    /// The instant moved by the difference; itself where the calendar ends.
    pub fn apply(&self, micros: i64) -> i64 {
        let moved = || {
            let wall = self.zone.wall(micros)?.checked_add(self.by).ok()?;
            self.zone.instant(wall)
        };
        moved().unwrap_or(micros)
    }
}

fn instant(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::Timestamp as Micros;

    fn at(text: &str) -> i64 {
        Micros::parse(text).expect("a time").micros()
    }

    fn berlin() -> Zone {
        Zone::parse("Europe/Berlin").expect("a zone")
    }

    #[test]
    fn local_times_carry_offset_and_zone() {
        let summer = at("2030-06-29T18:00:00Z");
        assert_eq!(
            berlin().local(summer),
            "2030-06-29T20:00:00+02:00[Europe/Berlin]"
        );
        for wrong in ["", "Berlin", "Europe/berlin", "+02:00", "Europe/Berlin "] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn row_60_both_hours_of_a_clock_change_night_are_kept_apart() {
        // 2030-10-27: 02:00–03:00 comes twice in Berlin.
        let first = at("2030-10-27T00:30:00Z");
        let second = at("2030-10-27T01:30:00Z");
        assert_eq!(
            berlin().local(first),
            "2030-10-27T02:30:00+02:00[Europe/Berlin]"
        );
        assert_eq!(
            berlin().local(second),
            "2030-10-27T02:30:00+01:00[Europe/Berlin]"
        );
    }

    #[test]
    fn a_shift_keeps_the_time_on_the_wall_across_a_clock_change() {
        let zone = berlin();
        let (winter, summer) = (at("2030-03-20T19:00:00Z"), at("2030-04-20T18:00:00Z"));
        let shift = zone.shift(winter, summer).expect("in the calendar");
        assert_eq!(shift.apply(winter), summer);
        // Doors at 18:00 on the wall stay at 18:00.
        assert_eq!(
            shift.apply(at("2030-03-20T17:00:00Z")),
            at("2030-04-20T16:00:00Z")
        );
        let back = zone.shift(summer, winter).expect("in the calendar");
        assert_eq!(back.apply(summer), winter);
    }
}
