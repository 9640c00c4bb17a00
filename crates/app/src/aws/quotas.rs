//! `florin aws quotas` (contract, B4 "service quotas for the plan"): what a plan needs at its largest
//! beside what the account may have.
//!
//! Boundary: processors of tasks and machines, addresses, and rules of a load balancer. What else runs
//! in the account is not counted: an environment has an account of its own (DEP-013).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use florin_base::clock::SystemClock;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{Client, Settings};
use super::cost::drivers::{Resource, resources};
use crate::cli::block_on;
use crate::out::Output;

/// Compare what a plan needs at its largest with the quotas of the account
///
/// Exit code 0: enough; 1: something is too little; 2: a quota could not be asked.
#[derive(Debug, Args)]
pub struct Quotas {
    /// The plan: output of `terraform show -json PLAN`
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
}

/// A quota.
struct Quota {
    /// What it limits.
    what: &'static str,
    service: &'static str,
    /// Its code; empty: it has none that can be asked, and `default` counts.
    code: &'static str,
    default: i64,
}

const QUOTAS: &[Quota] = &[
    Quota {
        what: "vCPU of tasks",
        service: "fargate",
        code: "L-3032A538",
        default: 6,
    },
    Quota {
        what: "vCPU of tasks on spot",
        service: "fargate",
        code: "L-36FBB829",
        default: 6,
    },
    Quota {
        what: "vCPU of machines",
        service: "ec2",
        code: "L-1216C47A",
        default: 5,
    },
    Quota {
        what: "vCPU of machines on spot",
        service: "ec2",
        code: "L-34B43A08",
        default: 5,
    },
    Quota {
        what: "addresses",
        service: "ec2",
        code: "L-0263D0A3",
        default: 5,
    },
    Quota {
        what: "rules of a listener",
        service: "elasticloadbalancing",
        code: "",
        default: 100,
    },
];

/// A line of the answer.
#[derive(Debug, Serialize)]
struct Line {
    what: &'static str,
    needed: i64,
    /// What the account may have; `None`: it could not be asked.
    allowed: Option<i64>,
    enough: Option<bool>,
}

impl Quotas {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let text =
            std::fs::read_to_string(&self.plan).with_context(|| self.plan.display().to_string())?;
        let plan: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is no JSON", self.plan.display()))?;
        let needed = needed(&resources(&plan));
        let lines = block_on(asked(&needed))?;
        output.print(&json!({ "quotas": lines }), || {
            let said: Vec<String> = lines.iter().map(said).collect();
            said.join("\n")
        })?;
        let any = |state: Option<bool>| lines.iter().any(|line| line.enough == state);
        Ok(match (any(Some(false)), any(None)) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        })
    }
}

async fn asked(needed: &BTreeMap<&'static str, i64>) -> anyhow::Result<Vec<Line>> {
    let client = Client::open(Settings::from_environment(), SystemClock).await?;
    let mut lines = Vec::new();
    for quota in QUOTAS {
        let wanted = needed.get(quota.what).copied().unwrap_or(0);
        let allowed = match quota.code {
            "" => Some(quota.default),
            code => {
                let body = json!({"ServiceCode": quota.service, "QuotaCode": code});
                let target = "ServiceQuotasV20190624.GetServiceQuota";
                let answer = client.json("servicequotas", target, &body).await;
                answer.ok().and_then(|answer| value(&answer))
            }
        };
        lines.push(line(quota.what, wanted, allowed));
    }
    Ok(lines)
}

fn line(what: &'static str, needed: i64, allowed: Option<i64>) -> Line {
    // What is not needed at all need not be asked.
    let enough = match needed {
        0 => Some(true),
        _ => allowed.map(|allowed| needed <= allowed),
    };
    Line {
        what,
        needed,
        allowed,
        enough,
    }
}

/// The whole part of a quota such as 140.0.
fn value(answer: &Value) -> Option<i64> {
    let text = answer.pointer("/Quota/Value")?.as_number()?.to_string();
    text.split('.').next()?.parse().ok()
}

fn said(line: &Line) -> String {
    let state = match line.enough {
        Some(true) => "good",
        Some(false) => "TOO LITTLE",
        None => "unknown",
    };
    let allowed = line
        .allowed
        .map_or("?".to_owned(), |allowed| allowed.to_string());
    format!("{state:<10} {:<26} {} of {allowed}", line.what, line.needed)
}

fn number(resource: &Resource, pointer: &str) -> i64 {
    let value = resource.values.pointer(pointer);
    value
        .and_then(|value| {
            value
                .as_i64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
        })
        .unwrap_or(0)
}

fn text<'a>(resource: &'a Resource, pointer: &str) -> &'a str {
    let value = resource.values.pointer(pointer);
    value.and_then(Value::as_str).unwrap_or_default()
}

/// vCPU of an instance type, by the size that its name ends with.
fn vcpu(instance: &str) -> i64 {
    let size = instance.rsplit('.').next().unwrap_or_default();
    match size.strip_suffix("xlarge") {
        Some("") => 4,
        Some(times) => times.parse::<i64>().map_or(4, |times| times * 4),
        None => 2,
    }
}

/// What the plan needs with everything at its limit.
fn needed(resources: &[Resource]) -> BTreeMap<&'static str, i64> {
    let mut sums = BTreeMap::new();
    let mut add = |what: &'static str, count: i64| *sums.entry(what).or_insert(0) += count;
    let (mut tasks, mut spot_tasks) = (0, 0);
    for resource in resources {
        match resource.kind.as_str() {
            "aws_eip" => add("addresses", 1),
            "aws_appautoscaling_target"
                if text(resource, "/scalable_dimension") == "ecs:service:DesiredCount" =>
            {
                let unit = text(resource, "/tags/Unit");
                let most = number(resource, "/max_capacity");
                let of = |kind: &str| {
                    let is = |r: &&Resource| r.kind == kind && text(r, "/tags/Unit") == unit;
                    resources.iter().find(is)
                };
                let cpu = of("aws_ecs_task_definition").map_or(0, |r| number(r, "/cpu"));
                let spot = of("aws_ecs_service").is_some_and(|r| {
                    text(r, "/capacity_provider_strategy/0/capacity_provider") == "FARGATE_SPOT"
                });
                *(if spot { &mut spot_tasks } else { &mut tasks }) += most * cpu;
            }
            "aws_eks_node_group" => {
                let most = number(resource, "/scaling_config/0/max_size");
                let cpu = most * vcpu(text(resource, "/instance_types/0"));
                let spot = text(resource, "/capacity_type") == "SPOT";
                add(
                    if spot {
                        "vCPU of machines on spot"
                    } else {
                        "vCPU of machines"
                    },
                    cpu,
                );
            }
            "aws_autoscaling_group" => {
                add("vCPU of machines", 2 * number(resource, "/max_size"));
            }
            _ => {}
        }
    }
    // Task definitions count 1024 to a processor; a started one is a whole one.
    add("vCPU of tasks", (tasks + 1023) / 1024);
    add("vCPU of tasks on spot", (spot_tasks + 1023) / 1024);
    let rules = resources
        .iter()
        .filter(|r| r.kind == "aws_lb_listener_rule");
    add(
        "rules of a listener",
        i64::try_from(rules.count()).unwrap_or(i64::MAX),
    );
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_151_what_a_plan_needs_is_summed_at_its_largest() {
        let resource = |kind: &str, values: Value| json!({"type": kind, "address": "a", "mode": "managed", "name": "n", "values": values});
        let unit = |name: &str, cpu: &str, most: i64, capacity: &str| {
            [
                resource(
                    "aws_ecs_task_definition",
                    json!({"cpu": cpu, "tags": {"Unit": name}}),
                ),
                resource(
                    "aws_ecs_service",
                    json!({"tags": {"Unit": name}, "capacity_provider_strategy": [{"capacity_provider": capacity}]}),
                ),
                resource(
                    "aws_appautoscaling_target",
                    json!({"scalable_dimension": "ecs:service:DesiredCount", "max_capacity": most, "tags": {"Unit": name}}),
                ),
            ]
        };
        let mut list = vec![
            resource("aws_eip", json!({})),
            resource("aws_eip", json!({})),
            resource(
                "aws_eks_node_group",
                json!({"capacity_type": "SPOT", "instance_types": ["m5.xlarge"], "scaling_config": [{"max_size": 4}]}),
            ),
            resource(
                "aws_eks_node_group",
                json!({"capacity_type": "ON_DEMAND", "instance_types": ["m5.2xlarge"], "scaling_config": [{"max_size": 3}]}),
            ),
            resource("aws_autoscaling_group", json!({"max_size": 1})),
        ];
        list.extend(unit("wallets", "4096", 20, "FARGATE"));
        list.extend(unit("kyc", "512", 3, "FARGATE_SPOT"));
        let plan = json!({"planned_values": {"root_module": {"resources": list}}});
        let needed = needed(&resources(&plan));
        assert_eq!(needed["addresses"], 2);
        assert_eq!(needed["vCPU of machines on spot"], 16);
        assert_eq!(needed["vCPU of machines"], 26);
        assert_eq!(needed["vCPU of tasks"], 80);
        assert_eq!(needed["vCPU of tasks on spot"], 2);
        assert_eq!(needed["rules of a listener"], 0);
    }

    #[test]
    fn dep_151_an_unknown_quota_is_never_enough() {
        assert_eq!(line("addresses", 4, Some(5)).enough, Some(true));
        assert_eq!(line("addresses", 6, Some(5)).enough, Some(false));
        assert_eq!(line("addresses", 6, None).enough, None);
        assert_eq!(line("addresses", 0, None).enough, Some(true));
        assert_eq!(value(&json!({"Quota": {"Value": 140.0}})), Some(140));
        assert_eq!(value(&json!({"Quota": {}})), None);
    }
}
