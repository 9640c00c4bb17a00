//! The price table: `region,resource_type,key,unit,usd,source,as_of,verified`.

use anyhow::{Context as _, bail, ensure};
use florin_base::time::Timestamp;

/// The table of the release.
const BUILT_IN: &str = include_str!("../../../../../deploy/aws/prices/2026-11.csv");
/// Its columns.
const HEADER: &str = "region,resource_type,key,unit,usd,source,as_of,verified";
/// Prices older than this are marked.
const DAYS_MAX: i64 = 180;

/// A price.
#[derive(Debug, Clone)]
pub struct Price {
    kind: String,
    key: String,
    /// `hour`, or a unit that is counted by the month.
    pub unit: String,
    /// Billionths of a dollar for one unit.
    pub nano_usd: i64,
    as_of_day: i64,
    verified: bool,
}

impl Price {
    /// What must be said about it: `old`, `unverified`.
    pub fn marks(&self, today_micros: i64) -> Vec<&'static str> {
        let mut marks = Vec::new();
        if Timestamp(today_micros).day_number() - self.as_of_day > DAYS_MAX {
            marks.push("old");
        }
        if !self.verified {
            marks.push("unverified");
        }
        marks
    }
}

/// All prices.
#[derive(Debug)]
pub struct Prices {
    rows: Vec<Price>,
}

/// Reads a decimal as an integer with so many decimals; more of them, or anything else, is none.
pub fn decimal(text: &str, decimals: u32) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let width = usize::try_from(decimals).ok()?;
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > width {
        return None;
    }
    let scale = 10_i64.checked_pow(decimals)?;
    let padded = format!("{fraction:0<width$}");
    let rest = if width == 0 { 0 } else { padded.parse().ok()? };
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(scale)?
        .checked_add(rest)
}

fn day(text: &str) -> anyhow::Result<i64> {
    let moment = Timestamp::parse(&format!("{text}T00:00:00Z"));
    let moment = moment.with_context(|| format!("{text} is no date"))?;
    Ok(moment.day_number())
}

fn row(line: &str) -> anyhow::Result<Price> {
    let cells: Vec<&str> = line.split(',').collect();
    let [_, kind, key, unit, usd, source, as_of, verified] = cells[..] else {
        bail!("eight columns are wanted: {line}");
    };
    ensure!(!source.is_empty(), "a price without a source: {line}");
    Ok(Price {
        kind: kind.to_owned(),
        key: key.to_owned(),
        unit: unit.to_owned(),
        nano_usd: decimal(usd, 9).with_context(|| format!("{usd} is no price: {line}"))?,
        as_of_day: day(as_of)?,
        verified: match verified {
            "yes" => true,
            "no" => false,
            other => bail!("verified is yes or no, not {other}: {line}"),
        },
    })
}

impl Prices {
    /// Reads a table.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        ensure!(
            lines.next() == Some(HEADER),
            "the first line must be {HEADER}"
        );
        let rows = lines.map(row).collect::<anyhow::Result<Vec<_>>>()?;
        for (at, price) in rows.iter().enumerate() {
            let same = |other: &Price| other.kind == price.kind && other.key == price.key;
            ensure!(
                !rows[..at].iter().any(same),
                "{} {} has two prices",
                price.kind,
                price.key
            );
        }
        Ok(Self { rows })
    }

    /// The table of the release.
    pub fn built_in() -> anyhow::Result<Self> {
        Self::parse(BUILT_IN)
    }

    /// The price of a key.
    pub fn find(&self, kind: &str, key: &str) -> Option<&Price> {
        self.rows
            .iter()
            .find(|row| row.kind == kind && row.key == key)
    }

    /// Whether a type of resource is listed as free.
    pub fn is_free(&self, kind: &str) -> bool {
        self.find(kind, "free").is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        assert_eq!(decimal("0.04048", 9), Some(40_480_000));
        assert_eq!(decimal("7", 9), Some(7_000_000_000));
        assert_eq!(decimal("7600", 0), Some(7600));
        assert_eq!(decimal("0.50", 3), Some(500));
        for wrong in ["", ".5", "1e3", "-1", "0.0000000001"] {
            assert_eq!(decimal(wrong, 9), None, "{wrong}");
        }
    }

    #[test]
    fn the_built_in_table_is_read_and_every_row_has_a_source() {
        let prices = Prices::built_in().expect("the built-in table");
        assert!(prices.find("fargate", "vcpu-hour").is_some());
        assert!(prices.is_free("aws_iam_role"));
        assert!(!prices.is_free("aws_nat_gateway"));
    }

    #[test]
    fn old_and_unverified_prices_are_marked() {
        let table = format!("{HEADER}\nus-west-2,x,y,hour,1,somebody,2026-01-01,no\n");
        let prices = Prices::parse(&table).expect("a table");
        let price = prices.find("x", "y").expect("there");
        let at = |text: &str| Timestamp::parse(text).expect("a time").micros();
        assert_eq!(price.marks(at("2026-06-01T00:00:00Z")), ["unverified"]);
        assert_eq!(
            price.marks(at("2026-08-01T00:00:00Z")),
            ["old", "unverified"]
        );
    }

    #[test]
    fn a_price_without_a_source_and_a_second_price_are_refused() {
        for rows in [
            "r,x,y,hour,1,,2026-01-01,no",
            "r,x,y,hour,1,s,2026-01-01,no\nr,x,y,hour,2,s,2026-01-01,no",
            "r,x,y,hour,1,s,2026-01-01,perhaps",
        ] {
            assert!(
                Prices::parse(&format!("{HEADER}\n{rows}\n")).is_err(),
                "{rows}"
            );
        }
    }
}
