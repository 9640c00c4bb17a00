//! Months of the journal: partitions are made ahead. Making one waits for nobody who reads the
//! journal, such as a backup: whoever comes next would wait behind it; it is tried again later. What falls into no month (a clock far away) goes to the default
//! partition.

use florin_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};

/// Months that are there beside the running one.
const MONTHS_AHEAD: i64 = 3;
const MONTHS_PER_YEAR: i64 = 12;

/// One month of the journal, by [`Timestamp::month_number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(i64);

impl Month {
    /// The month of a time.
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.month_number())
    }

    /// The month so many later.
    pub(super) const fn plus(self, months: i64) -> Self {
        Self(self.0 + months)
    }

    fn year_and_month(self) -> (i64, i64) {
        (
            self.0.div_euclid(MONTHS_PER_YEAR),
            self.0.rem_euclid(MONTHS_PER_YEAR) + 1,
        )
    }

    /// Where it starts; `None` beyond the years that times have.
    pub(super) fn start(self) -> Option<Timestamp> {
        let (year, month) = self.year_and_month();
        Timestamp::from_date(year, month, 1)
    }

    /// Name of its partition.
    pub(super) fn partition(self) -> String {
        let (year, month) = self.year_and_month();
        format!("journal_{year:04}_{month:02}")
    }

    /// The month of a partition's name.
    pub(super) fn of_partition(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix("journal_")?.split_once('_')?;
        let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
        let is_month = (1..=MONTHS_PER_YEAR).contains(&month);
        is_month.then_some(Self(year * MONTHS_PER_YEAR + month - 1))
    }
}

/// Makes the partition of a time's month and those ahead, as far as they are missing. False when
/// one is still missing.
pub(super) async fn ensure(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut all = true;
    let month = Month::of(now);
    for month in (0..=MONTHS_AHEAD).map(|months| month.plus(months)) {
        let (Some(from), Some(to)) = (month.start(), month.plus(1).start()) else {
            return Ok(all);
        };
        let name = month.partition();
        let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&name)
            .fetch_one(&mut *connection)
            .await?;
        let archived: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM archives WHERE to_at > $1)")
                .bind(from.0)
                .fetch_one(&mut *connection)
                .await?;
        if exists || archived {
            continue;
        }
        // Made of digits and fixed words only.
        let text = format!(
            "BEGIN; SET LOCAL lock_timeout = '100ms'; \
             CREATE TABLE IF NOT EXISTS {name} PARTITION OF journal FOR VALUES FROM ({}) TO ({}) \
             WITH (toast_tuple_target = 8160); \
             ALTER TABLE {name} ALTER COLUMN entries SET STORAGE EXTERNAL; COMMIT",
            from.0, to.0
        );
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut *connection)
            .await
        {
            sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
            // Records of the month may stand in the default partition already; they stay there.
            tracing::warn!(%error, partition = name, "a month of the journal was not made");
            all = false;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other_over_the_year() {
        let at = Timestamp::parse("2026-11-21T03:00:00Z").expect("a time");
        let month = Month::of(at);
        let names: Vec<_> = (0..3).map(|n| month.plus(n).partition()).collect();
        assert_eq!(
            names,
            ["journal_2026_11", "journal_2026_12", "journal_2027_01"]
        );
        let start = month.plus(2).start().expect("a start");
        assert_eq!(
            start,
            Timestamp::parse("2027-01-01T00:00:00Z").expect("a time")
        );
        for name in names {
            assert_eq!(Month::of_partition(&name).map(Month::partition), Some(name));
        }
        assert_eq!(Month::of_partition("journal_default"), None);
    }
}
