//! Looks at what runs: the entrance, the web ACL, the services.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::client::CallError;
use super::{Context, Finding, State, array, text, tls};

/// ECS describes this many services in one call.
const SERVICES_MAX: usize = 10;

/// The application answers where it should.
pub async fn application(context: &Context, other: Option<&str>) -> Vec<Finding> {
    let Some(base) = other.or(context.output("application_url")) else {
        return vec![Finding::unknown("application", "no address is known")];
    };
    let base = base.trim_end_matches('/');
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .tls_info(true)
        .build();
    let Ok(client) = client else {
        return vec![Finding::unknown("application", "no HTTP client")];
    };
    let mut findings = Vec::new();
    for path in ["/ready", "/q/health"] {
        let answer = client.get(format!("{base}{path}")).send().await;
        findings.push(match answer {
            Ok(answer) => {
                let status = answer.status().as_u16();
                Finding::judged(
                    "application",
                    status == 200,
                    format!("{base}{path}: {status}"),
                )
            }
            Err(error) => Finding::judged("application", false, format!("{base}{path}: {error}")),
        });
    }
    match base.strip_prefix("https://") {
        Some(host) => findings.extend(entrance(&client, host, context.client.now()).await),
        None => findings.push(Finding {
            check: "entrance",
            state: State::Skipped,
            what: format!("{base} is not reached over TLS"),
        }),
    }
    findings
}

/// The entrance over TLS: how long its certificate holds, that plain HTTP leads there, and that
/// browsers are told to stay (contract, B5). Chain and names were judged by the requests themselves.
async fn entrance(client: &reqwest::Client, host: &str, now: i64) -> Vec<Finding> {
    let unknown = |what: &str, error: reqwest::Error| {
        vec![Finding::unknown("entrance", format!("{what}: {error}"))]
    };
    let answer = match client.get(format!("https://{host}/ready")).send().await {
        Ok(answer) => answer,
        Err(error) => return unknown("TLS", error),
    };
    let told = answer.headers().contains_key("strict-transport-security");
    let shown = answer.extensions().get::<reqwest::tls::TlsInfo>();
    let certificate = shown.and_then(reqwest::tls::TlsInfo::peer_certificate);
    let days = certificate.and_then(|certificate| tls::days_left(certificate, now));
    let mut findings = vec![
        match days {
            Some(days) => Finding::judged(
                "entrance",
                days >= tls::DAYS_LEFT_MIN,
                format!("the certificate of {host} holds {days} days more"),
            ),
            None => Finding::unknown("entrance", format!("the certificate of {host}")),
        },
        Finding::judged(
            "entrance",
            told,
            "browsers are told to stay with TLS (HSTS)",
        ),
    ];
    match client.get(format!("http://{host}/")).send().await {
        Ok(plain) => {
            let status = plain.status().as_u16();
            let leads = plain
                .headers()
                .get("location")
                .and_then(|value| value.to_str().ok())
                .is_some_and(|place| place.starts_with("https://"));
            findings.push(Finding::judged(
                "entrance",
                status == 301 && leads,
                format!("plain HTTP is answered {status}, leads to TLS: {leads}"),
            ));
        }
        Err(error) => findings.extend(unknown("plain HTTP", error)),
    }
    findings
}

/// The public load balancer has a web ACL.
pub async fn web_acl(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(arn) = context.output("alb_arn") else {
        return Ok(Vec::new());
    };
    let body = json!({"ResourceArn": arn});
    let target = "AWSWAF_20190729.GetWebACLForResource";
    let answer = context.client.json("wafv2", target, &body).await?;
    let name = answer.pointer("/WebACL/Name").and_then(Value::as_str);
    Ok(vec![Finding::judged(
        "waf",
        name.is_some(),
        format!(
            "web ACL of the public load balancer: {}",
            name.unwrap_or("none")
        ),
    )])
}

/// Every service on ECS runs as many tasks as it wants, and wants some.
pub async fn units(context: &Context) -> Result<Vec<Finding>, CallError> {
    let Some(cluster) = context.output("ecs_cluster_name") else {
        return Ok(Vec::new());
    };
    let placed: BTreeMap<String, String> = context
        .output("units")
        .and_then(|units| serde_json::from_str(units).ok())
        .unwrap_or_default();
    let on_ecs: Vec<&String> = placed
        .iter()
        .filter(|(_, platform)| *platform == "ecs")
        .map(|(unit, _)| unit)
        .collect();
    let mut findings = Vec::new();
    for some in on_ecs.chunks(SERVICES_MAX) {
        let body = json!({"cluster": cluster, "services": some});
        let target = "AmazonEC2ContainerServiceV20141113.DescribeServices";
        let answer = context.client.json("ecs", target, &body).await?;
        let found = array(&answer, "services");
        for unit in some {
            let service = found.iter().find(|s| text(s, "serviceName") == *unit);
            let finding = judge(unit, service);
            if let (Some(service), State::Good) = (service, finding.state) {
                findings.push(image(context, unit, service).await?);
            }
            findings.push(finding);
        }
    }
    let elsewhere = placed
        .values()
        .filter(|platform| *platform == "eks")
        .count();
    if elsewhere > 0 {
        findings.push(Finding {
            check: "units",
            state: super::State::Skipped,
            what: format!("{elsewhere} units on EKS: its API needs VPC"),
        });
    }
    Ok(findings)
}

/// The unit runs the image that Terraform was given, by digest.
async fn image(context: &Context, unit: &str, service: &Value) -> Result<Finding, CallError> {
    let wanted = context
        .output("container_image")
        .and_then(|image| image.split_once('@'))
        .map_or("", |(_, digest)| digest);
    // Under CodeDeploy the definition stands in the task set that is served.
    let sets = array(service, "taskSets").iter();
    let served = sets
        .filter(|set| text(set, "status") == "PRIMARY")
        .map(|set| text(set, "taskDefinition"))
        .next();
    let definition = served.unwrap_or_else(|| text(service, "taskDefinition"));
    let target = "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition";
    let body = json!({ "taskDefinition": definition });
    let answer = context.client.json("ecs", target, &body).await?;
    let containers = answer.get("taskDefinition").cloned().unwrap_or_default();
    let own = array(&containers, "containerDefinitions")
        .iter()
        .find(|container| text(container, "name") == "florin");
    let running = own.map_or("", |container| text(container, "image"));
    let same = !wanted.is_empty() && running.ends_with(wanted);
    Ok(Finding::judged(
        "units",
        same,
        format!("{unit}: runs {running}"),
    ))
}

fn judge(unit: &str, service: Option<&Value>) -> Finding {
    let Some(service) = service else {
        return Finding::judged("units", false, format!("{unit}: no service"));
    };
    let count = |name: &str| service.get(name).and_then(Value::as_i64).unwrap_or(0);
    let (wanted, running) = (count("desiredCount"), count("runningCount"));
    if wanted == 0 && !crate::roles::ROLES.iter().any(|role| role.name == unit) {
        return Finding {
            check: "units",
            state: super::State::Skipped,
            what: format!("{unit}: not in this version, waits with no task"),
        };
    }
    Finding::judged(
        "units",
        wanted > 0 && running >= wanted,
        format!("{unit}: {running} of {wanted} tasks run"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_unit_is_good_when_all_its_tasks_run_and_there_are_some() {
        let state = |wanted: i64, running: i64| {
            let service = json!({"desiredCount": wanted, "runningCount": running});
            judge("wallets", Some(&service)).state
        };
        assert_eq!(state(2, 2), State::Good);
        assert_eq!(state(2, 1), State::Bad);
        assert_eq!(state(0, 0), State::Bad);
        assert_eq!(judge("wallets", None).state, State::Bad);
        let waiting = json!({"desiredCount": 0, "runningCount": 0});
        assert_eq!(judge("not-built-yet", Some(&waiting)).state, State::Skipped);
        assert_eq!(judge("not-built-yet", None).state, State::Bad);
    }
}
