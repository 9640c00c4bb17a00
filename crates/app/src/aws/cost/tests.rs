//! An estimate of a small plan, by hand.

use super::*;

/// 2026-11-21, when the built-in table is older than 180 days.
const TODAY: i64 = 1_795_219_200_000_000;

fn plan(resources: Value) -> Value {
    json!({
        "variables": {"environment": {"value": "staging"}, "aws_region": {"value": "us-west-2"}},
        "planned_values": {"root_module": {"child_modules": [{
            "address": "module.ecs", "resources": resources,
        }]}},
    })
}

fn resource(kind: &str, values: Value) -> Value {
    json!({"address": format!("module.ecs.{kind}.x"), "mode": "managed", "type": kind, "values": values})
}

fn estimated(resources: Value, at: At) -> Estimate {
    let prices = Prices::built_in().expect("built in");
    estimate(&plan(resources), &Usage::default(), &prices, at, TODAY).expect("an estimate")
}

/// DEP-153 of the deployment contract.
#[test]
fn tasks_cost_by_their_size_and_the_counts_asked_for() {
    let resources = json!([
        resource(
            "aws_ecs_service",
            json!({"tags": {"Unit": "wallets"}, "capacity_provider_strategy": [{"capacity_provider": "FARGATE"}]})
        ),
        resource(
            "aws_ecs_task_definition",
            json!({"tags": {"Unit": "wallets"}, "cpu": "2048", "memory": "4096"})
        ),
        resource(
            "aws_appautoscaling_target",
            json!({"tags": {"Unit": "wallets"}, "min_capacity": 2, "max_capacity": 5})
        ),
    ]);
    // A task of 2 vCPU and 4 GiB: (2 × 0.04048 + 4 × 0.004445) × 730 = 72.08 dollars.
    for (at, usd) in [(At::Min, 144), (At::Desired, 144), (At::Max, 360)] {
        let estimate = estimated(resources.clone(), at);
        assert_eq!(estimate.total_usd, usd, "{at:?}");
        assert_eq!(estimate.groups.get("ECS units"), Some(&usd));
        assert!(estimate.unpriced.is_empty(), "{:?}", estimate.unpriced);
    }
}

#[test]
fn node_groups_and_brokers_hide_their_size_in_blocks() {
    let resources = json!([
        resource(
            "aws_eks_node_group",
            json!({"instance_types": ["m5.large"], "capacity_type": "ON_DEMAND",
            "scaling_config": [{"min_size": 2, "desired_size": 2, "max_size": 3}]})
        ),
        resource(
            "aws_msk_cluster",
            json!({"number_of_broker_nodes": 3, "broker_node_group_info": [{
            "instance_type": "kafka.t3.small", "storage_info": [{"ebs_storage_info": [{"volume_size": 50}]}]}]})
        ),
    ]);
    let estimate = estimated(resources, At::Desired);
    // Two nodes at 0.096 and 200 GB at 0.08; three brokers at 0.0456 and 150 GB at 0.10.
    assert_eq!(estimate.groups.get("EKS and hosts"), Some(&156));
    assert_eq!(estimate.groups.get("messaging"), Some(&115));
}

#[test]
fn what_has_no_price_is_listed_and_what_is_free_is_not() {
    let resources = json!([
        resource("aws_quantum_thing", json!({})),
        resource("aws_iam_role", json!({})),
        resource(
            "aws_rds_cluster_instance",
            json!({"instance_class": "db.x99.huge"})
        ),
    ]);
    let estimate = estimated(resources, At::Desired);
    assert_eq!(
        estimate.unpriced,
        [
            "module.ecs.aws_quantum_thing.x",
            "module.ecs.aws_rds_cluster_instance.x: aurora-postgresql db.x99.huge"
        ]
    );
}

#[test]
fn usage_is_told_apart_and_prices_are_marked() {
    let prices = Prices::built_in().expect("built in");
    let usage: Usage =
        toml::from_str("[[item]]\nresource_type = \"nat\"\nkey = \"gb\"\nquantity = 1000\n")
            .expect("a usage file");
    let resources = json!([resource("aws_nat_gateway", json!({}))]);
    let estimate =
        estimate(&plan(resources), &usage, &prices, At::Desired, TODAY).expect("an estimate");
    assert_eq!((estimate.fixed_usd, estimate.usage_usd), (33, 45));
    assert!(
        estimate
            .lines
            .iter()
            .all(|line| line.marks == ["old", "unverified"])
    );
}

#[test]
fn dep_134_a_total_outside_of_the_bands_is_told() {
    let estimate = estimated(json!([resource("aws_eks_cluster", json!({}))]), At::Desired);
    assert_eq!(estimate.total_usd, 73);
    assert_eq!(
        estimate.warnings,
        ["total: 73 USD, the guides say 800 to 1200"]
    );
}

#[test]
fn dep_132_a_budget_below_the_estimate_is_told() {
    let resources = json!([
        resource("aws_eks_cluster", json!({})),
        resource("aws_budgets_budget", json!({"limit_amount": "50"})),
    ]);
    let estimate = estimated(resources, At::Desired);
    assert!(
        estimate
            .warnings
            .iter()
            .any(|w| w == "budget 50 USD; the estimate asks for 100"),
        "{:?}",
        estimate.warnings
    );
}

/// DEP-012, DEP-153: a root that only gives values has no such variables; tags and zones tell.
#[test]
fn environment_and_region_are_found_without_variables() {
    let tags = json!({"Environment": "staging"});
    let values = json!({"availability_zone": "us-west-2a", "tags_all": tags});
    let found = drivers::resources(&plan(json!([resource("aws_subnet", values)])));
    assert_eq!(environment(&json!({}), &found), "staging");
    assert_eq!(region(&json!({}), &found), "us-west-2");
    let given = json!({"variables": {"environment": {"value": "production"}, "aws_region": {"value": "sa-east-1"}}});
    assert_eq!(environment(&given, &found), "production");
    assert_eq!(region(&given, &found), "sa-east-1");
}
