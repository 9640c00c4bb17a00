//! What of a resource costs money: type, key and quantity of the price table.

use serde_json::Value;

use super::At;
use crate::aws::units::Unit;

/// A planned resource.
#[derive(Debug)]
pub struct Resource {
    /// Its address.
    pub address: String,
    /// Its module, without the index.
    pub module: String,
    /// Its type.
    pub kind: String,
    /// Its planned values.
    pub values: Value,
}

impl Resource {
    /// Stands for what a usage file names.
    pub fn usage(kind: &str) -> Self {
        Self {
            address: format!("usage: {kind}"),
            module: "usage".to_owned(),
            kind: kind.to_owned(),
            values: Value::Null,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        let value = self.values.pointer(pointer);
        value.and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, pointer: &str) -> i64 {
        let value = self.values.pointer(pointer);
        value.and_then(Value::as_i64).unwrap_or(0)
    }

    fn is(&self, pointer: &str) -> bool {
        self.values.pointer(pointer) == Some(&Value::Bool(true))
    }

    fn length(&self, pointer: &str) -> i64 {
        let list = self.values.pointer(pointer).and_then(Value::as_array);
        list.and_then(|list| i64::try_from(list.len()).ok())
            .unwrap_or(0)
    }
}

/// Something that has a price.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// Resource type of the price table.
    pub kind: String,
    /// Key of the price table.
    pub key: String,
    /// How many, in thousandths.
    pub milli: i64,
}

impl Need {
    /// So many thousandths of it.
    pub fn new(kind: &str, key: &str, milli: i64) -> Self {
        Self {
            kind: kind.to_owned(),
            key: key.to_owned(),
            milli,
        }
    }
}

/// What is needed beside the resource itself.
pub struct World<'a> {
    /// All resources of the plan.
    pub resources: &'a [Resource],
    /// The units.
    pub units: &'a [Unit],
    /// Environment of the plan.
    pub environment: &'a str,
    /// At which counts.
    pub at: At,
}

/// All planned resources of all modules.
pub fn resources(plan: &Value) -> Vec<Resource> {
    let mut found = Vec::new();
    // A plan, or what `terraform show -json` says of the state.
    let root = plan.pointer("/planned_values/root_module");
    if let Some(root) = root.or_else(|| plan.pointer("/values/root_module")) {
        collect(root, "root", &mut found);
    }
    found
}

fn collect(module: &Value, name: &str, found: &mut Vec<Resource>) {
    let list = |member| {
        module
            .get(member)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    for resource in list("resources") {
        let text = |member| {
            resource
                .get(member)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("mode") == "managed" {
            found.push(Resource {
                address: text("address").to_owned(),
                module: name.to_owned(),
                kind: text("type").to_owned(),
                values: resource.get("values").cloned().unwrap_or_default(),
            });
        }
    }
    for child in list("child_modules") {
        let address = child
            .get("address")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let last = address.rsplit("module.").next().unwrap_or(address);
        collect(child, last.split('[').next().unwrap_or(last), found);
    }
}

/// Three interfaces where the subnets are not known before they are made.
const ENDPOINT_ZONES: i64 = 3;
/// Disk of a node, GiB.
const NODE_DISK_GIB: i64 = 100;

/// What a resource needs; none for a type that this function does not know.
pub fn needs(resource: &Resource, world: &World<'_>) -> Option<Vec<Need>> {
    stores(resource)
        .or_else(|| compute(resource, world))
        .or_else(|| edge(resource))
        .or_else(|| small(resource))
}

fn stores(r: &Resource) -> Option<Vec<Need>> {
    Some(match r.kind.as_str() {
        "aws_rds_cluster_instance" => {
            vec![Need::new(
                "aurora-postgresql",
                r.text("/instance_class"),
                1000,
            )]
        }
        "aws_db_instance" => {
            let copies = if r.is("/multi_az") { 2000 } else { 1000 };
            let gib = r.number("/allocated_storage");
            vec![
                Need::new("rds-postgres", r.text("/instance_class"), copies),
                Need::new("rds-storage", "gp3-gb", copies * gib),
            ]
        }
        "aws_elasticache_replication_group" => {
            let kind = format!("elasticache-{}", r.text("/engine"));
            let nodes = r.number("/num_cache_clusters");
            vec![Need::new(&kind, r.text("/node_type"), nodes * 1000)]
        }
        "aws_msk_cluster" => {
            let brokers = r.number("/number_of_broker_nodes") * 1000;
            let group = "/broker_node_group_info/0";
            let disk = format!("{group}/storage_info/0/ebs_storage_info/0/volume_size");
            vec![
                Need::new("msk", r.text(&format!("{group}/instance_type")), brokers),
                Need::new("msk-storage", "gb", brokers * r.number(&disk)),
            ]
        }
        "aws_ebs_volume" => vec![Need::new("ebs", "gp3-gb", r.number("/size") * 1000)],
        _ => return None,
    })
}

fn compute(r: &Resource, world: &World<'_>) -> Option<Vec<Need>> {
    Some(match r.kind.as_str() {
        "aws_eks_cluster" => vec![Need::new("eks", "cluster", 1000)],
        "aws_eks_node_group" => {
            let scaling = |name: &str| r.number(&format!("/scaling_config/0/{name}"));
            let nodes = match world.at {
                At::Min => scaling("min_size"),
                At::Desired => scaling("desired_size"),
                At::Max => scaling("max_size"),
            };
            let spot = r.text("/capacity_type") == "SPOT";
            let kind = if spot { "ec2-spot" } else { "ec2" };
            vec![
                Need::new(kind, r.text("/instance_types/0"), nodes * 1000),
                Need::new("ebs", "gp3-gb", nodes * NODE_DISK_GIB * 1000),
            ]
        }
        "aws_ecs_service" => tasks(r, world),
        "aws_autoscaling_group" => hosts(r, world),
        _ => return None,
    })
}

/// Tasks of a service: the plan makes services with 0 tasks, so counts come from the scaling
/// limits and the table of units.
fn tasks(service: &Resource, world: &World<'_>) -> Vec<Need> {
    let unit = service.text("/tags/Unit");
    let of_unit = |kind: &str| {
        let mut found = world.resources.iter();
        found.find(|r| r.kind == kind && r.text("/tags/Unit") == unit)
    };
    let Some(task) = of_unit("aws_ecs_task_definition") else {
        return Vec::new();
    };
    let scaling = of_unit("aws_appautoscaling_target");
    let limit = |pointer: &str| scaling.map_or(0, |target| target.number(pointer));
    let count = match world.at {
        At::Min => limit("/min_capacity"),
        At::Max => limit("/max_capacity"),
        At::Desired => {
            let row = world.units.iter().find(|row| row.name == unit);
            row.map_or(0, |row| row.size(world.environment).desired)
        }
    };
    let spot = service.text("/capacity_provider_strategy/0/capacity_provider") == "FARGATE_SPOT";
    let kind = if spot { "fargate-spot" } else { "fargate" };
    let milli = |pointer: &str| {
        let text = task.text(pointer);
        text.parse::<i64>().unwrap_or(0) * 1000 / 1024 * count
    };
    vec![
        Need::new(kind, "vcpu-hour", milli("/cpu")),
        Need::new(kind, "gib-hour", milli("/memory")),
    ]
}

fn hosts(group: &Resource, world: &World<'_>) -> Vec<Need> {
    let count = match world.at {
        At::Min => group.number("/min_size"),
        At::Desired => group.number("/desired_capacity"),
        At::Max => group.number("/max_size"),
    };
    let name = group.text("/name");
    let mut templates = world.resources.iter();
    let template = templates.find(|r| r.kind == "aws_launch_template" && r.text("/name") == name);
    let class = template.map_or("", |template| template.text("/instance_type"));
    let disk = template.map_or(0, |t| {
        t.number("/block_device_mappings/0/ebs/0/volume_size")
    });
    vec![
        Need::new("ec2", class, count * 1000),
        Need::new("ebs", "gp3-gb", count * disk * 1000),
    ]
}

fn edge(r: &Resource) -> Option<Vec<Need>> {
    Some(match r.kind.as_str() {
        "aws_nat_gateway" => vec![Need::new("nat", "gateway", 1000)],
        "aws_vpc_endpoint" if r.text("/vpc_endpoint_type") == "Interface" => {
            let known = r.length("/subnet_ids");
            let zones = if known > 0 { known } else { ENDPOINT_ZONES };
            vec![Need::new("vpc-endpoint", "zone", zones * 1000)]
        }
        "aws_vpc_endpoint" => Vec::new(),
        "aws_lb" => vec![Need::new(
            "load-balancer",
            r.text("/load_balancer_type"),
            1000,
        )],
        "aws_wafv2_web_acl" => vec![
            Need::new("waf", "acl", 1000),
            Need::new("waf", "rule", r.length("/rule") * 1000),
        ],
        "aws_route53_zone" => vec![Need::new("route53", "zone", 1000)],
        "aws_route53_health_check" => vec![Need::new("route53", "https-health-check", 1000)],
        // Public addresses of NAT gateways.
        "aws_eip" => vec![Need::new("ec2", "public-ipv4", 1000)],
        _ => return None,
    })
}

fn small(r: &Resource) -> Option<Vec<Need>> {
    Some(match r.kind.as_str() {
        "aws_kms_key" | "aws_kms_replica_key" => vec![Need::new("kms", "key", 1000)],
        "aws_secretsmanager_secret" => {
            let copies = 1 + r.length("/replica");
            vec![Need::new("secret", "secret", copies * 1000)]
        }
        "aws_cloudwatch_metric_alarm" => {
            // An alarm over an expression costs one for each metric in it.
            let queries = r.values.pointer("/metric_query").and_then(Value::as_array);
            let metrics = queries.into_iter().flatten();
            let metrics = metrics.filter(|query| {
                let metric = query.get("metric").and_then(Value::as_array);
                metric.is_some_and(|metric| !metric.is_empty())
            });
            let count = i64::try_from(metrics.count()).unwrap_or(0).max(1);
            vec![Need::new("cloudwatch", "alarm-metric", count * 1000)]
        }
        "aws_cloudwatch_composite_alarm" => vec![Need::new("cloudwatch", "composite-alarm", 1000)],
        "aws_cloudwatch_dashboard" => vec![Need::new("cloudwatch", "dashboard", 1000)],
        "aws_codepipeline" => vec![Need::new("codepipeline", "v2-minutes", 0)],
        _ => return None,
    })
}
