//! `florin aws versions`: what is pinned, and how long it is supported (DEP-018).
//!
//! `deploy/aws/versions.toml` is built in; `deploy.sh` judges the same file by the same two bounds.

use clap::Args;
use florin_base::clock::{Clock as _, SystemClock};
use florin_base::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::out::{Output, table};

/// The file as it stood when the binary was built.
const FILE: &str = include_str!("../../../../deploy/aws/versions.toml");
/// Days before an end from which it is warned.
const WARN_DAYS: i64 = 180;
/// Days before an end from which nothing is deployed.
const REFUSE_DAYS: i64 = 30;
const DAY_MICROS: i64 = 86_400_000_000;

/// Show the pinned versions and the ends of their support
///
/// Exit code 1: one of them ends within 30 days, or has ended.
#[derive(Debug, Args)]
pub struct Versions {}

#[derive(Debug, Deserialize)]
struct File {
    version: Vec<Pinned>,
}

/// A row of the file.
#[derive(Debug, Deserialize)]
struct Pinned {
    name: String,
    version: String,
    end_of_support: String,
    source: String,
}

/// How near an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Soon,
    Ending,
}

/// A row of the answer.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    version: String,
    end_of_support: String,
    days_left: i64,
    state: State,
    source: String,
}

fn judged(days_left: i64) -> State {
    match days_left {
        days if days < REFUSE_DAYS => State::Ending,
        days if days < WARN_DAYS => State::Soon,
        _ => State::Good,
    }
}

fn rows(now_micros: i64) -> anyhow::Result<Vec<Row>> {
    let file: File = toml::from_str(FILE)?;
    let row = |pinned: Pinned| {
        let end = Timestamp::parse(&format!("{}T00:00:00Z", pinned.end_of_support))?;
        let days_left = (end.0 - now_micros).div_euclid(DAY_MICROS);
        Ok(Row {
            name: pinned.name,
            version: pinned.version,
            end_of_support: pinned.end_of_support,
            days_left,
            state: judged(days_left),
            source: pinned.source,
        })
    };
    file.version.into_iter().map(row).collect()
}

impl Versions {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let rows = rows(SystemClock.wall_micros())?;
        let bad = rows.iter().any(|row| row.state == State::Ending);
        output.print(&rows, || {
            let lines: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    vec![
                        row.name.clone(),
                        row.version.clone(),
                        row.end_of_support.clone(),
                        row.days_left.to_string(),
                        format!("{:?}", row.state).to_lowercase(),
                    ]
                })
                .collect();
            table(
                &["NAME", "VERSION", "SUPPORTED UNTIL", "DAYS", "STATE"],
                &lines,
            )
        })?;
        Ok(u8::from(bad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_018_an_end_is_told_half_a_year_before_and_refused_a_month_before() {
        assert_eq!(judged(180), State::Good);
        assert_eq!(judged(179), State::Soon);
        assert_eq!(judged(30), State::Soon);
        assert_eq!(judged(29), State::Ending);
        assert_eq!(judged(-1), State::Ending);
    }

    #[test]
    fn dep_018_every_pin_has_a_version_a_source_and_a_date() {
        let rows = rows(0).expect("the built-in file");
        assert!(rows.len() >= 5, "{} rows", rows.len());
        for row in &rows {
            assert!(!row.source.is_empty(), "{}", row.name);
            assert_ne!(row.version, "latest", "{}", row.name);
            assert!(row.days_left > 20_000, "{}: {}", row.name, row.days_left);
        }
        let end = rows.iter().find(|row| row.name == "eks").expect("there");
        assert_eq!(
            (end.version.as_str(), end.end_of_support.as_str()),
            ("1.35", "2027-03-27")
        );
    }

    #[test]
    fn dep_037_dep_045_add_ons_follow_the_minor_of_the_cluster() {
        let root = include_str!("../../../../deploy/aws/environments/production/main.tf");
        let rows = rows(0).expect("the built-in file");
        let eks = rows.iter().find(|row| row.name == "eks").expect("there");
        assert!(root.contains(&format!("cluster_version = \"{}\"", eks.version)));
        assert!(root.contains(&format!("\"kube-proxy\"         = \"v{}.", eks.version)));
        let database = rows
            .iter()
            .find(|row| row.name == "aurora-postgresql")
            .expect("there");
        assert!(root.contains(&format!("= \"{}\"", database.version)));
    }
}
