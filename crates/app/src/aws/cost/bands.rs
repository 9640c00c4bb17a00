//! Groups of the bill, and the bands of the deployment guides (contract, DEP-134): sanity, not
//! truth.

use std::collections::BTreeMap;

/// The group that a price belongs to.
pub fn group(kind: &str, key: &str) -> &'static str {
    match kind {
        "fargate" | "fargate-spot" => "ECS units",
        "eks" | "ec2" | "ec2-spot" | "ebs" if key != "public-ipv4" => "EKS and hosts",
        "aurora-postgresql" | "rds-postgres" | "rds-storage" | "aurora" => "database",
        "elasticache-valkey" | "elasticache-redis" => "cache",
        "msk" | "msk-storage" => "messaging",
        "cloudwatch" | "logs" | "xray" => "monitoring",
        "waf" => "web ACL",
        "s3" | "kms" | "secret" | "ecr" | "backup" | "codepipeline" | "codebuild" => {
            "storage, keys, build"
        }
        "audit" => "audit",
        _ => "networking",
    }
}

/// Group, least, most: US dollars a month in production.
const PRODUCTION: &[(&str, i64, i64)] = &[
    ("ECS units", 900, 2800),
    ("EKS and hosts", 180, 810),
    ("database", 0, 1320),
    ("cache", 25, 475),
    ("messaging", 0, 600),
    ("networking", 0, 200),
    ("monitoring", 0, 300),
    ("storage, keys, build", 0, 200),
];
const PRODUCTION_TOTAL: (i64, i64) = (4125, 6705);
const STAGING_TOTAL: (i64, i64) = (800, 1200);
/// The budget is the estimate with so many percent on top, rounded up to hundreds.
const BUDGET_PERCENT: i64 = 115;

/// What leaves the bands or the budget.
pub fn warnings(
    environment: &str,
    groups: &BTreeMap<&'static str, i64>,
    total: i64,
    budget: Option<i64>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let (least, most) = match environment {
        "production" => PRODUCTION_TOTAL,
        "staging" => STAGING_TOTAL,
        _ => (0, i64::MAX),
    };
    if environment == "production" {
        for (name, least, most) in PRODUCTION {
            let usd = groups.get(name).copied().unwrap_or(0);
            if usd < *least || usd > *most {
                warnings.push(format!(
                    "{name}: {usd} USD, the guides say {least} to {most}"
                ));
            }
        }
    }
    if total < least || total > most {
        warnings.push(format!(
            "total: {total} USD, the guides say {least} to {most}"
        ));
    }
    let wanted = (total * BUDGET_PERCENT / 100 + 99) / 100 * 100;
    if let Some(budget) = budget
        && budget < wanted
    {
        warnings.push(format!(
            "budget {budget} USD; the estimate asks for {wanted}"
        ));
    }
    warnings
}
