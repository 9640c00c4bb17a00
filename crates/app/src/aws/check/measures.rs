//! Looks at what the stores and the program measured in the last minutes, as CloudWatch keeps it:
//! lag, connections, memory, partitions, the books. Nobody logs in for it, and no secret is read
//! (contract, D1).

use florin_base::time::Timestamp;

use super::super::client::CallError;
use super::super::xml;
use super::{Context, Finding};

/// How far back is looked, microseconds.
const WINDOW_MICROS: i64 = 900_000_000;

/// What is measured, where, and what is too much.
struct Measure {
    check: &'static str,
    namespace: &'static str,
    metric: &'static str,
    /// Dimensions; a value in braces is an output of Terraform or a word of the context.
    dimensions: &'static [(&'static str, &'static str)],
    /// The most that is good (alarms of DEP-125 to DEP-127).
    most: i64,
    /// Words for people.
    about: &'static str,
}

const RDS: &[(&str, &str)] = &[("DBClusterIdentifier", "{rds_identifier}")];
const CACHE: &[(&str, &str)] = &[("CacheClusterId", "{redis_id}-001")];
const KAFKA: &[(&str, &str)] = &[("Cluster Name", "{prefix}-kafka")];
const WALLETS: &[(&str, &str)] = &[("Environment", "{environment}"), ("Unit", "wallets")];
const WORKERS: &[(&str, &str)] = &[("Environment", "{environment}"), ("Unit", "workers")];

const fn measure(
    check: &'static str,
    namespace: &'static str,
    metric: &'static str,
    dimensions: &'static [(&'static str, &'static str)],
    most: i64,
    about: &'static str,
) -> Measure {
    Measure {
        check,
        namespace,
        metric,
        dimensions,
        most,
        about,
    }
}

const MEASURES: &[Measure] = &[
    measure(
        "database",
        "AWS/RDS",
        "AuroraReplicaLagMaximum",
        RDS,
        5_000,
        "lag of the readers, ms",
    ),
    measure(
        "database",
        "AWS/RDS",
        "DatabaseConnections",
        RDS,
        1_600,
        "connections",
    ),
    measure(
        "cache",
        "AWS/ElastiCache",
        "DatabaseMemoryUsagePercentage",
        CACHE,
        75,
        "memory, %",
    ),
    measure(
        "kafka",
        "AWS/Kafka",
        "OfflinePartitionsCount",
        KAFKA,
        0,
        "partitions that are offline",
    ),
    measure(
        "kafka",
        "AWS/Kafka",
        "UnderReplicatedPartitions",
        KAFKA,
        0,
        "partitions with too few copies",
    ),
    measure(
        "ledger",
        "Florin",
        "ledger_invariant_violations_total",
        WALLETS,
        0,
        "assets whose books do not balance",
    ),
    measure(
        "ledger",
        "Florin",
        "ledger_checkpoint_age_seconds",
        WALLETS,
        300,
        "age of the signed checkpoint, s",
    ),
    measure(
        "events",
        "Florin",
        "event_lag_seconds",
        WORKERS,
        60,
        "lag of events, s",
    ),
];

/// One finding for each measure; without a value it is unknown.
pub async fn all(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for measure in MEASURES {
        findings.push(match largest(context, measure).await {
            Ok(Some(value)) => judged(measure, &value),
            Ok(None) => Finding::unknown(measure.check, format!("{}: no value", measure.about)),
            Err(error) => Finding::unknown(measure.check, format!("{}: {error}", measure.about)),
        });
    }
    findings
}

fn judged(measure: &Measure, value: &str) -> Finding {
    let (about, most) = (measure.about, measure.most);
    let what = format!("{about}: {value}, at most {most}");
    match above(value, most) {
        Some(above) => Finding::judged(measure.check, !above, what),
        None => Finding::unknown(measure.check, what),
    }
}

/// Whether a decimal is larger than a whole number; without floats. `None`: no plain number.
fn above(value: &str, most: i64) -> Option<bool> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    // 1.5E-4 and such: below one, whatever its digits are.
    if let Some((_, exponent)) = value.split_once(['e', 'E']) {
        return exponent.starts_with('-').then_some(most < 0);
    }
    let whole: i64 = whole.parse().ok()?;
    let rest = fraction.bytes().any(|digit| digit != b'0');
    Some(whole > most || (whole == most && rest))
}

async fn largest(context: &Context, measure: &Measure) -> Result<Option<String>, CallError> {
    let now = context.client.now();
    let (from, until) = (
        Timestamp(now - WINDOW_MICROS).to_string(),
        Timestamp(now).to_string(),
    );
    let mut pairs: Vec<(String, String)> = [
        ("Namespace", measure.namespace),
        ("MetricName", measure.metric),
        ("StartTime", from.as_str()),
        ("EndTime", until.as_str()),
        ("Period", "60"),
        ("Statistics.member.1", "Maximum"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (at, (name, value)) in measure.dimensions.iter().enumerate() {
        let Some(value) = filled(context, value) else {
            return Ok(None);
        };
        let member = format!("Dimensions.member.{}", at + 1);
        pairs.push((format!("{member}.Name"), (*name).to_owned()));
        pairs.push((format!("{member}.Value"), value));
    }
    let parameters: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = context
        .client
        .query(
            "monitoring",
            "2010-08-01",
            "GetMetricStatistics",
            &parameters,
        )
        .await?;
    Ok(worst(&xml::all(&answer, "Maximum")))
}

/// The largest of some decimals.
fn worst(values: &[&str]) -> Option<String> {
    let key = |value: &str| {
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        (whole.parse::<i64>().unwrap_or(0), fraction.to_owned())
    };
    let largest = values.iter().copied().max_by_key(|value| key(value));
    largest.map(str::to_owned)
}

/// Words in braces replaced; `None` when an output is missing.
fn filled(context: &Context, pattern: &str) -> Option<String> {
    let Some((word, rest)) = pattern
        .strip_prefix('{')
        .and_then(|text| text.split_once('}'))
    else {
        return Some(pattern.to_owned());
    };
    let value = match word {
        "environment" => context.environment.as_str(),
        "prefix" => context.prefix.as_str(),
        output => context.output(output)?,
    };
    Some(format!("{value}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn decimals_are_compared_without_floats() {
        for (value, most, wanted) in [
            ("0.0", 0, Some(false)),
            ("0.1", 0, Some(true)),
            ("5000.0", 5_000, Some(false)),
            ("5000.5", 5_000, Some(true)),
            ("74.9", 75, Some(false)),
            ("12", 5, Some(true)),
            ("1.5E-4", 60, Some(false)),
            ("1.5E9", 60, None),
            ("soon", 60, None),
        ] {
            assert_eq!(above(value, most), wanted, "{value} above {most}");
        }
        assert_eq!(worst(&["1.5", "12.0", "3.25"]), Some("12.0".to_owned()));
        assert_eq!(worst(&[]), None);
    }

    #[test]
    fn dep_127_dep_152_a_violation_is_bad_and_no_value_is_never_good() {
        let books = MEASURES
            .iter()
            .find(|m| m.metric == "ledger_invariant_violations_total");
        let books = books.expect("the books are looked at");
        assert_eq!(judged(books, "0.0").state, State::Good);
        assert_eq!(judged(books, "1.0").state, State::Bad);
        assert_eq!(judged(books, "much").state, State::Unknown);
    }
}
