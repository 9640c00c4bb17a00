//! `deploy/units.json`, built in: units, sizes, ports and placement. Terraform and the
//! Kubernetes files are made from the same file.

use serde::{Deserialize, Serialize};

/// The file as it stood when the binary was built.
const FILE: &str = include_str!("../../../../deploy/units.json");

/// The whole file.
#[derive(Debug, Deserialize)]
pub struct Units {
    /// The units in the order of the contract.
    pub units: Vec<Unit>,
}

/// Where a unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Pods on nodes.
    Eks,
    /// Tasks on Fargate.
    Ecs,
    /// A host with a disk of its own.
    Ec2,
}

impl Platform {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Eks => "EKS",
            Self::Ecs => "ECS",
            Self::Ec2 => "EC2",
        }
    }
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// What the rule of placement asks of a unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// How far it must scale.
    pub scalability: Level,
    /// How many moving parts it has.
    pub complexity: Level,
    /// Whether it drives the Kubernetes API.
    #[serde(default)]
    pub kubernetes_api: bool,
    /// Whether it is always on and keeps a disk of its own.
    #[serde(default)]
    pub local_state: bool,
}

/// Size and counts in an environment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Size {
    /// Processors of one copy, in thousandths.
    #[serde(
        rename(serialize = "vcpu_milli", deserialize = "vcpu"),
        deserialize_with = "thousandths"
    )]
    pub vcpu_milli: i64,
    /// Memory of one copy, in thousandths of a GiB.
    #[serde(
        rename(serialize = "memory_milli_gib", deserialize = "memory_gib"),
        deserialize_with = "thousandths"
    )]
    pub memory_milli_gib: i64,
    /// Copies at least.
    pub min: i64,
    /// Copies in a usual hour.
    pub desired: i64,
    /// Copies at most.
    pub max: i64,
}

/// Reads 0.5 as 500, from the digits of the text.
fn thousandths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    super::cost::decimal(&number.to_string(), 3)
        .ok_or_else(|| serde::de::Error::custom(format!("{number} has more than three decimals")))
}

/// A unit: one deployable.
#[derive(Debug, Clone, Deserialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Its row in the contract.
    pub dep: String,
    /// Where it runs unless somebody moves it.
    pub platform: Platform,
    /// Why.
    pub why: String,
    /// Where its own guide puts it; empty: none does.
    pub guide: String,
    /// What the rule asks.
    pub profile: Profile,
    /// Connections to the writer of the database that one copy may have.
    #[serde(default)]
    pub connections: u64,
    /// Whether it bears losing its machine at two minutes' notice.
    pub spot: bool,
    /// Size in production.
    pub production: Size,
    /// Size in staging.
    pub staging: Size,
}

impl Unit {
    /// Size in an environment; recovery starts at the smallest counts of production.
    pub fn size(&self, environment: &str) -> Size {
        match environment {
            "staging" => self.staging,
            "dr" => Size {
                desired: 1,
                min: 1,
                ..self.production
            },
            _ => self.production,
        }
    }
}

/// The built-in file.
pub fn all() -> anyhow::Result<Vec<Unit>> {
    Ok(serde_json::from_str::<Units>(FILE)?.units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_without_floats() {
        let units = all().expect("the built-in file");
        let console = units.iter().find(|u| u.name == "console").expect("there");
        assert_eq!(
            (
                console.production.vcpu_milli,
                console.production.memory_milli_gib
            ),
            (500, 1000)
        );
    }

    #[test]
    fn dep_012_staging_is_smaller_and_has_every_unit() {
        let units = all().expect("the built-in file");
        let sum = |size: fn(&Unit) -> Size| {
            let total = |unit: &Unit| size(unit).vcpu_milli * size(unit).desired;
            units.iter().map(total).sum::<i64>()
        };
        let percent = sum(|u| u.staging) * 100 / sum(|u| u.production);
        assert!(
            (15..=30).contains(&percent),
            "staging has {percent} % of production's processors"
        );
    }

    #[test]
    fn every_role_of_the_binary_has_a_unit_on_its_port() {
        #[derive(Deserialize)]
        struct Row {
            roles: Vec<String>,
            port: u16,
        }
        #[derive(Deserialize)]
        struct File {
            units: Vec<Row>,
        }
        let file: File = serde_json::from_str(FILE).expect("the built-in file");
        for role in crate::roles::ROLES {
            let unit = file
                .units
                .iter()
                .find(|unit| unit.roles.iter().any(|name| name == role.name));
            let unit = unit.unwrap_or_else(|| panic!("{} has no unit", role.name));
            assert_eq!(unit.port, role.port, "{}", role.name);
        }
    }
}
