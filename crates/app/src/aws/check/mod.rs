//! `florin aws check`: is what runs on AWS what it should be?
//!
//! Each check gives findings. *Good* was looked at and is right; *bad* was looked at and is
//! not; *unknown* could not be looked at; *skipped* needs the VPC. Nothing becomes good
//! because a call failed.

mod guards;
mod measures;
mod reach;
mod run;
mod smoke;
mod stores;
mod tls;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use florin_base::clock::{Clock as _, SystemClock};
use florin_base::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{CallError, Client, Settings};
use crate::cli::block_on;
use crate::out::Output;

/// Look at a platform on AWS: account, entrance, units, stores, keys, alarms, backups
///
/// Exit code 0: all good; 1: something is bad; 2: nothing bad was seen, but something could not
/// be looked at. Changes nothing, but for --smoke, which moves a cent between two wallets of the
/// user `florin-smoke` and back.
#[derive(Debug, Args)]
pub struct Check {
    /// Which environment: the one whose parameters stand below /florin/NAME/
    #[arg(long, value_name = "NAME", default_value = "staging")]
    environment: String,
    /// Where the check runs; what needs the VPC is skipped outside
    #[arg(long, value_enum, default_value_t)]
    from: From,
    /// First part of all names
    #[arg(long, value_name = "NAME", default_value = "florin")]
    platform_name: String,
    /// Ask this address instead of the one that was deployed
    #[arg(long, value_name = "URL")]
    application_url: Option<String>,
    /// Create wallets, deposit, transfer, repeat, reverse, and sum the books; needs an API key
    #[arg(long, requires = "api_key")]
    smoke: bool,
    /// API key for --smoke, of a user with role `service` and `auditor`
    #[arg(
        long,
        value_name = "KEY",
        env = "FLORIN_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Look again and again, and tell what changed, until it is stopped
    #[arg(long)]
    watch: bool,
    /// Seconds between two looks of --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=3600))]
    every: u64,
}

/// Where the check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum From {
    /// Inside the VPC.
    Vpc,
    /// Anywhere else.
    #[default]
    Outside,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Looked at, right.
    Good,
    /// Looked at, wrong.
    Bad,
    /// Could not be looked at.
    Unknown,
    /// Needs the VPC.
    Skipped,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What came of it.
    pub state: State,
    /// In words.
    pub what: String,
}

impl Finding {
    /// Good when `ok`.
    pub fn judged(check: &'static str, ok: bool, what: impl Into<String>) -> Self {
        let state = if ok { State::Good } else { State::Bad };
        Self {
            check,
            state,
            what: what.into(),
        }
    }

    /// Could not be looked at.
    pub fn unknown(check: &'static str, what: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Unknown,
            what: what.into(),
        }
    }
}

/// What the checks share.
pub struct Context {
    /// Calls to AWS.
    pub client: Client<SystemClock>,
    /// `florin-staging`.
    pub prefix: String,
    /// `staging`.
    pub environment: String,
    /// Outputs of Terraform, from Parameter Store.
    pub outputs: BTreeMap<String, String>,
    /// Age of the oldest secret, days.
    pub secret_age_days: std::sync::atomic::AtomicI64,
}

impl Context {
    /// An output of Terraform.
    pub fn output(&self, name: &str) -> Option<&str> {
        self.outputs.get(name).map(String::as_str)
    }
}

/// Runs a look whose failure is unknown, never good.
pub fn looked(check: &'static str, result: Result<Vec<Finding>, CallError>) -> Vec<Finding> {
    match result {
        Ok(findings) if findings.is_empty() => vec![Finding::unknown(check, "nothing was found")],
        Ok(findings) => findings,
        Err(error) => vec![Finding::unknown(check, error.to_string())],
    }
}

/// Members of a JSON answer, for reading without panics.
pub fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A text member, empty where there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Pages of parameters that are read at most.
const PAGES_MAX: usize = 20;

/// Outputs of Terraform below /florin/ENVIRONMENT/, by name.
pub async fn outputs(
    client: &Client<SystemClock>,
    environment: &str,
) -> Result<BTreeMap<String, String>, CallError> {
    let path = format!("/florin/{environment}/");
    let mut found = BTreeMap::new();
    let mut next = Value::Null;
    for _ in 0..PAGES_MAX {
        let mut body = json!({"Path": path, "Recursive": true});
        if let Value::String(_) = &next {
            body["NextToken"] = next.clone();
        }
        let answer = client
            .json("ssm", "AmazonSSM.GetParametersByPath", &body)
            .await?;
        for parameter in array(&answer, "Parameters") {
            let name = text(parameter, "Name").trim_start_matches(path.as_str());
            found.insert(name.to_owned(), text(parameter, "Value").to_owned());
        }
        next = answer.get("NextToken").cloned().unwrap_or_default();
        if !next.is_string() {
            break;
        }
    }
    Ok(found)
}

impl Check {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        if self.watch {
            return block_on(self.watch(output));
        }
        let (findings, age) = block_on(self.look())?;
        let count = |state| findings.iter().filter(|f| f.state == state).count();
        let (bad, unknown) = (count(State::Bad), count(State::Unknown));
        let report = report(&self.environment, &findings, bad, age);
        output.print(&report, || {
            let lines: Vec<String> = findings
                .iter()
                .map(|f| format!("{:<8} {:<12} {}", word(f.state), f.check, f.what))
                .collect();
            lines.join("\n")
        })?;
        Ok(match (bad, unknown) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        })
    }

    /// Looks until a signal to stop; prints the first look whole, then what changed.
    async fn watch(&self, output: Output) -> anyhow::Result<u8> {
        let mut known: BTreeMap<(&'static str, String), State> = BTreeMap::new();
        let mut pause = tokio::time::interval(std::time::Duration::from_secs(self.every));
        let mut bad = false;
        loop {
            tokio::select! {
                _ = pause.tick() => {}
                done = tokio::signal::ctrl_c() => {
                    done?;
                    return Ok(u8::from(bad));
                }
            }
            let (findings, _) = self.look().await?;
            bad = findings.iter().any(|finding| finding.state == State::Bad);
            let news = changed(&mut known, findings);
            for finding in news {
                let at = Timestamp(SystemClock.wall_micros());
                output.print(&json!({"at": at.to_string(), "finding": finding}), || {
                    format!(
                        "{at} {:<8} {:<12} {}",
                        word(finding.state),
                        finding.check,
                        finding.what
                    )
                })?;
            }
        }
    }

    async fn try_out(&self, context: &Context) -> Vec<Finding> {
        let (true, Some(key)) = (self.smoke, &self.api_key) else {
            return Vec::new();
        };
        let base = self
            .application_url
            .as_deref()
            .or(context.output("application_url"));
        smoke::run(base, key, SystemClock.wall_micros()).await
    }

    async fn look(&self) -> anyhow::Result<(Vec<Finding>, i64)> {
        let client = Client::open(Settings::from_environment(), SystemClock).await?;
        let outputs = outputs(&client, &self.environment).await?;
        let mut findings = vec![Finding::judged(
            "outputs",
            !outputs.is_empty(),
            format!(
                "{} parameters below /florin/{}/",
                outputs.len(),
                self.environment
            ),
        )];
        let context = Context {
            client,
            prefix: format!("{}-{}", self.platform_name, self.environment),
            environment: self.environment.clone(),
            outputs,
            secret_age_days: std::sync::atomic::AtomicI64::new(0),
        };
        findings.extend(looked("account", guards::account(&context).await));
        findings.extend(run::application(&context, self.application_url.as_deref()).await);
        findings.extend(looked("waf", run::web_acl(&context).await));
        findings.extend(looked("units", run::units(&context).await));
        findings.extend(looked("database", stores::database(&context).await));
        findings.extend(looked("cache", stores::cache(&context).await));
        findings.extend(looked("kafka", stores::kafka(&context).await));
        findings.extend(looked("buckets", stores::buckets(&context).await));
        findings.extend(measures::all(&context).await);
        findings.extend(looked("keys", guards::keys(&context).await));
        findings.extend(looked("secrets", guards::secrets(&context).await));
        findings.extend(looked("alarms", guards::alarms(&context).await));
        findings.extend(looked("mail", guards::subscriptions(&context).await));
        findings.extend(looked("trail", guards::trail(&context).await));
        findings.extend(looked("guardduty", guards::detector(&context).await));
        findings.extend(looked("backup", guards::backup(&context).await));
        findings.extend(inside(&context, self.from).await);
        findings.extend(self.try_out(&context).await);
        let age = context
            .secret_age_days
            .load(std::sync::atomic::Ordering::Relaxed);
        Ok((findings, age))
    }
}

/// What is new or has another state or other words than at the look before.
fn changed(
    known: &mut BTreeMap<(&'static str, String), State>,
    findings: Vec<Finding>,
) -> Vec<Finding> {
    let mut now = BTreeMap::new();
    let mut news = Vec::new();
    for finding in findings {
        let key = (finding.check, finding.what.clone());
        if known.get(&key) != Some(&finding.state) {
            news.push(finding.clone());
        }
        now.insert(key, finding.state);
    }
    *known = now;
    news
}

/// What only a process in the VPC can see.
async fn inside(context: &Context, from: From) -> Vec<Finding> {
    match from {
        From::Vpc => reach::stores(context).await,
        From::Outside => reach::STORES
            .iter()
            .map(|store| skipped(store.check))
            .collect(),
    }
}

fn skipped(check: &'static str) -> Finding {
    Finding {
        check,
        state: State::Skipped,
        what: "needs VPC".to_owned(),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Bad => "BAD",
        State::Unknown => "unknown",
        State::Skipped => "skipped:",
    }
}

/// The report; its `_aws` member makes CloudWatch take two metrics out of the log line
/// (embedded metric format), on which alarms stand.
fn report(environment: &str, findings: &[Finding], bad: usize, age: i64) -> Value {
    let metric = |name: &str| json!({"Name": name});
    json!({
        "ok": bad == 0,
        "findings": findings,
        "Environment": environment,
        "Unit": "check",
        "aws_check_bad": bad,
        "aws_check_secret_age_days": age,
        "_aws": {
            "Timestamp": SystemClock.wall_micros() / 1000,
            "CloudWatchMetrics": [{
                "Namespace": "Florin",
                "Dimensions": [["Environment", "Unit"]],
                "Metrics": [metric("aws_check_bad"), metric("aws_check_secret_age_days")],
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_is_unknown_and_so_is_an_empty_answer() {
        let refused = CallError::Refused {
            service: "rds",
            status: 403,
            code: "AccessDenied".to_owned(),
        };
        for findings in [
            looked("database", Err(refused)),
            looked("database", Ok(vec![])),
        ] {
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].state, State::Unknown);
        }
    }

    #[test]
    fn outside_the_vpc_nothing_inside_is_called_good() {
        for store in reach::STORES {
            assert_eq!(skipped(store.check).state, State::Skipped);
        }
        assert_eq!(reach::STORES.len(), 4);
    }

    #[test]
    fn a_watcher_is_told_what_changed_and_nothing_else() {
        let mut known = BTreeMap::new();
        let look = |ok| {
            vec![
                Finding::judged("waf", ok, "web ACL"),
                Finding::judged("trail", true, "logging"),
            ]
        };
        assert_eq!(changed(&mut known, look(true)).len(), 2);
        assert_eq!(changed(&mut known, look(true)).len(), 0);
        let news = changed(&mut known, look(false));
        assert_eq!((news.len(), news[0].state), (1, State::Bad));
        assert_eq!(changed(&mut known, look(true)).len(), 1, "good again");
    }

    #[test]
    fn dep_131_the_report_carries_its_metrics() {
        let findings = [Finding::judged("waf", false, "none")];
        let report = report("staging", &findings, 1, 12);
        let metrics = &report["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Namespace"], "Florin");
        for metric in metrics["Metrics"].as_array().expect("a list") {
            let name = metric["Name"].as_str().expect("a name");
            assert!(report[name].is_number(), "{name} has a value");
        }
        for dimension in metrics["Dimensions"][0].as_array().expect("a list") {
            assert!(report[dimension.as_str().expect("a name")].is_string());
        }
    }
}
