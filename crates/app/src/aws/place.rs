//! `florin aws place` (DEP-154): the rule of part A1 of the deployment contract.
//!
//! *Needs the Kubernetes API, or high scale and high complexity: EKS. Low and low, always on,
//! keeps its own disk: EC2. Everything else: ECS on Fargate.*

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::cost::{self, Prices};
use super::units::{self, Level, Platform, Profile, Size, Unit};
use crate::fail::failure;
use crate::out::{Output, table};

/// Say on which platform a unit belongs, by which rule, at what size and cost
#[derive(Debug, Args)]
pub struct Place {
    /// One unit; left out: all of them
    #[arg(long, value_name = "NAME", conflicts_with = "profile")]
    unit: Option<String>,
    /// Judge a profile of one's own: TOML with scalability, complexity, kubernetes_api,
    /// local_state
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Whose sizes: production or staging
    #[arg(long, value_name = "NAME", default_value = "production", value_parser = ["production", "staging"])]
    environment: String,
}

/// The rule's judgement of a profile, and why.
pub fn judge(profile: &Profile) -> (Platform, &'static str) {
    let both = |level| profile.scalability == level && profile.complexity == level;
    if profile.kubernetes_api {
        (Platform::Eks, "drives the Kubernetes API")
    } else if both(Level::High) {
        (Platform::Eks, "high scale and high complexity")
    } else if both(Level::Low) && profile.local_state {
        (Platform::Ec2, "low and low, always on, keeps its own disk")
    } else {
        (Platform::Ecs, "everything else")
    }
}

/// A unit with the judgement.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Placed {
    unit: String,
    /// Its row in the contract.
    dep: String,
    /// Whether it bears losing its machine at short notice.
    spot: bool,
    platform: &'static str,
    rule_says: &'static str,
    rule: &'static str,
    why: String,
    size: Size,
    /// US dollars a month at the desired count, whole; null where a node or host is shared.
    monthly_usd: Option<i64>,
    /// Where a guide puts it elsewhere.
    differs: Option<String>,
}

/// What a unit costs at its desired count; nodes and hosts are shared, so only tasks have one.
fn monthly(unit: &Unit, size: Size, prices: &Prices) -> Option<i64> {
    if unit.platform != Platform::Ecs {
        return None;
    }
    let hour = |key: &str, milli: i64| Some(prices.find("fargate", key)?.nano_usd * milli / 1000);
    let each = hour("vcpu-hour", size.vcpu_milli)? + hour("gib-hour", size.memory_milli_gib)?;
    Some(cost::whole_usd(each * cost::HOURS_PER_MONTH * size.desired))
}

fn place(unit: &Unit, environment: &str, prices: &Prices) -> Placed {
    let (says, rule) = judge(&unit.profile);
    let size = unit.size(environment);
    let mut differs = Vec::new();
    if says != unit.platform {
        differs.push(format!("the rule alone says {}", says.word()));
    }
    if !unit.guide.is_empty() && unit.guide != unit.platform.word() {
        differs.push(format!("its guide says {}", unit.guide));
    }
    Placed {
        unit: unit.name.clone(),
        dep: unit.dep.clone(),
        spot: unit.spot,
        platform: unit.platform.word(),
        rule_says: says.word(),
        rule,
        why: unit.why.clone(),
        size,
        monthly_usd: monthly(unit, size, prices),
        differs: (!differs.is_empty()).then(|| differs.join("; ")),
    }
}

fn thousandths(milli: i64) -> String {
    match milli % 1000 {
        0 => (milli / 1000).to_string(),
        rest => {
            let text = format!("{}.{rest:03}", milli / 1000);
            text.trim_end_matches('0').to_owned()
        }
    }
}

impl Place {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        if let Some(path) = &self.profile {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let profile: Profile = toml::from_str(&text)?;
            let (platform, rule) = judge(&profile);
            let value = serde_json::json!({"platform": platform.word(), "rule": rule});
            output.print(&value, || format!("{}: {rule}", platform.word()))?;
            return Ok(0);
        }
        let prices = Prices::built_in()?;
        let units = units::all()?;
        let wanted = |unit: &&Unit| self.unit.as_ref().is_none_or(|name| *name == unit.name);
        let placed: Vec<Placed> = units
            .iter()
            .filter(wanted)
            .map(|unit| place(unit, &self.environment, &prices))
            .collect();
        if placed.is_empty() {
            let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
            return Err(failure(
                format!("there is no unit `{}`", self.unit.unwrap_or_default()),
                format!("units: {}", names.join(", ")),
            ));
        }
        output.print(&placed, || show(&placed))?;
        Ok(0)
    }
}

fn show(placed: &[Placed]) -> String {
    let rows: Vec<Vec<String>> = placed
        .iter()
        .map(|row| {
            let size = row.size;
            vec![
                row.unit.clone(),
                row.platform.to_owned(),
                format!(
                    "{} vCPU, {} GiB",
                    thousandths(size.vcpu_milli),
                    thousandths(size.memory_milli_gib)
                ),
                format!("{}/{}/{}", size.min, size.desired, size.max),
                row.monthly_usd
                    .map_or_else(|| "shared".to_owned(), |usd| usd.to_string()),
                row.differs.clone().unwrap_or_else(|| row.rule.to_owned()),
            ]
        })
        .collect();
    table(
        &["UNIT", "ON", "SIZE", "MIN/DESIRED/MAX", "USD/MONTH", "RULE"],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_154_the_five_services_of_their_guide_stand_where_it_puts_them() {
        let units = units::all().expect("built in");
        let expected = [
            ("chains", "EKS"),
            ("kyc", "ECS"),
            ("aml", "ECS"),
            ("markets", "ECS"),
            ("monitor", "EC2"),
        ];
        for (name, platform) in expected {
            let unit = units.iter().find(|u| u.name == name).expect("there");
            assert_eq!(judge(&unit.profile).0.word(), platform, "{name}");
            assert_eq!(unit.platform.word(), platform, "{name}");
        }
    }

    #[test]
    fn the_kubernetes_api_and_both_highs_mean_eks_and_a_disk_alone_does_not_mean_ec2() {
        let profile = |scalability, complexity, kubernetes_api, local_state| Profile {
            scalability,
            complexity,
            kubernetes_api,
            local_state,
        };
        let says = |profile: &Profile| judge(profile).0;
        assert_eq!(
            says(&profile(Level::Low, Level::Low, true, true)),
            Platform::Eks
        );
        assert_eq!(
            says(&profile(Level::High, Level::High, false, false)),
            Platform::Eks
        );
        assert_eq!(
            says(&profile(Level::High, Level::Medium, false, false)),
            Platform::Ecs
        );
        assert_eq!(
            says(&profile(Level::Low, Level::Low, false, false)),
            Platform::Ecs
        );
        assert_eq!(
            says(&profile(Level::Low, Level::Low, false, true)),
            Platform::Ec2
        );
    }

    #[test]
    fn where_the_table_leaves_the_rule_it_says_so() {
        let units = units::all().expect("built in");
        let prices = Prices::built_in().expect("built in");
        let shadow = units
            .iter()
            .find(|u| u.name == "shadow-drift")
            .expect("there");
        let placed = place(shadow, "production", &prices);
        assert_eq!(placed.differs.as_deref(), Some("the rule alone says ECS"));
        let wallets = units.iter().find(|u| u.name == "wallets").expect("there");
        let placed = place(wallets, "production", &prices);
        // Six tasks of 4 vCPU and 8 GiB: the contract's table says 865 dollars.
        assert_eq!((placed.monthly_usd, placed.differs), (Some(865), None));
    }
}
