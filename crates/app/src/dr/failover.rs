//! `florin dr status` and `florin dr failover` (DEP-142): how far behind the recovery region is,
//! and the way there.
//!
//! Two writers would be two truths about money. So the order is: look, fence the old writer,
//! promote, wait for the new one, start tasks. DNS follows by its health check, since the fenced
//! region no longer answers.

use std::time::Duration;

use clap::Args;
use florin_base::clock::{Clock as _, SystemClock};
use florin_base::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::aws::client::{CallError, Client, Settings};
use crate::aws::{units, xml};
use crate::cli::block_on;
use crate::fail::{failure, with_code};
use crate::out::Output;

/// Exit code when it could not be found out.
const UNKNOWN: u8 = 2;
/// A lag above this is not promoted over without a word (DEP-141: one minute).
const LAG_MAX_MS: u64 = 60_000;
/// Wait for the new writer.
const PROMOTION_MAX: Duration = Duration::from_mins(15);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const RDS: &str = "2014-10-31";
const EC2: &str = "2016-11-15";

/// Which platform.
#[derive(Debug, Args)]
struct Which {
    /// The environment that is to be recovered
    #[arg(long, value_name = "NAME", default_value = "production")]
    environment: String,
    /// First part of all names
    #[arg(long, value_name = "NAME", default_value = "florin")]
    platform_name: String,
    /// Region of the environment
    #[arg(long, value_name = "REGION", default_value = "us-west-2")]
    region: String,
    /// Region of the standby
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    dr_region: String,
}

/// How far behind the recovery region is, and who writes
///
/// Exit code 0: the standby follows; 1: it is too far behind, or writes itself; 2: nobody knows.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    which: Which,
}

/// Make the recovery region the one that writes
///
/// Fences the old writer, promotes the standby's database, starts tasks there. Exit code 0: done;
/// 1: stopped before anything changed; 4: stopped on the way, the message says where.
#[derive(Debug, Args)]
pub struct Failover {
    #[command(flatten)]
    which: Which,
    /// The name of the environment again: this cannot be taken back
    #[arg(long, value_name = "NAME")]
    confirm: String,
    /// Go on though the old region does not answer and cannot be fenced: it must be really lost
    #[arg(long)]
    primary_lost: bool,
    /// Go on though the standby is more than a minute behind, or nobody knows how far
    #[arg(long)]
    accept_loss: bool,
}

/// What is known of the two.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stand {
    writer: String,
    standby: String,
    /// Lag of the standby, milliseconds; none: not known.
    lag_ms: Option<u64>,
}

impl Stand {
    fn state(&self, dr_region: &str) -> u8 {
        match self.lag_ms {
            _ if self.writer.contains(&format!(":{dr_region}:")) => 1,
            Some(lag) if lag <= LAG_MAX_MS => 0,
            Some(_) => 1,
            None => UNKNOWN,
        }
    }
}

/// Members of the global database: ARN, and whether it writes.
fn members(answer: &str) -> Vec<(String, bool)> {
    let arns = xml::all(answer, "DBClusterArn");
    let writers = xml::all(answer, "IsWriter");
    let pairs = arns.into_iter().zip(writers);
    pairs
        .map(|(arn, writes)| (arn.to_owned(), writes == "true"))
        .collect()
}

impl Which {
    async fn client(&self, region: &str) -> anyhow::Result<Client<SystemClock>> {
        let settings = Settings {
            region: Some(region.to_owned()),
            ..Settings::from_environment()
        };
        Client::open(settings, SystemClock).await
    }

    fn global(&self) -> String {
        format!("{}-{}-global", self.platform_name, self.environment)
    }

    async fn stand(&self, there: &Client<SystemClock>) -> anyhow::Result<Stand> {
        let parameters = [("GlobalClusterIdentifier", self.global())];
        let parameters = parameters
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let answer = there
            .query("rds", RDS, "DescribeGlobalClusters", &parameters)
            .await?;
        let members = members(&answer);
        let here = format!(":{}:", self.dr_region);
        let find = |wanted: &dyn Fn(&(String, bool)) -> bool| {
            members.iter().find(|m| wanted(m)).map(|m| m.0.clone())
        };
        let writer = find(&|member| member.1);
        let standby = find(&|member| member.0.contains(&here));
        let (Some(writer), Some(standby)) = (writer, standby) else {
            return Err(with_code(
                format!(
                    "{} has no writer, or no member in {}",
                    self.global(),
                    self.dr_region
                ),
                Some("apply deploy/aws/environments/dr first".to_owned()),
                UNKNOWN,
            ));
        };
        let lag_ms = self.lag(there, &standby).await.unwrap_or(None);
        Ok(Stand {
            writer,
            standby,
            lag_ms,
        })
    }

    /// The largest lag of the last five minutes, as the standby's region measured it.
    async fn lag(
        &self,
        there: &Client<SystemClock>,
        standby: &str,
    ) -> Result<Option<u64>, CallError> {
        let cluster = standby.rsplit(':').next().unwrap_or(standby);
        let now = SystemClock.wall_micros();
        let stamp = |micros: i64| Timestamp(micros).to_string();
        let (from, to) = (stamp(now - 300_000_000), stamp(now));
        let parameters = [
            ("Namespace", "AWS/RDS"),
            ("MetricName", "AuroraGlobalDBReplicationLag"),
            ("Dimensions.member.1.Name", "DBClusterIdentifier"),
            ("Dimensions.member.1.Value", cluster),
            ("StartTime", &from),
            ("EndTime", &to),
            ("Period", "60"),
            ("Statistics.member.1", "Maximum"),
        ];
        let answer = there
            .query(
                "monitoring",
                "2010-08-01",
                "GetMetricStatistics",
                &parameters,
            )
            .await?;
        let values = xml::all(&answer, "Maximum").into_iter();
        // 12.5 and 1.25E3 alike: the whole milliseconds of a plain number, else unknown.
        Ok(values
            .filter_map(|value| value.split('.').next()?.parse().ok())
            .max())
    }
}

impl Status {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let stand = block_on(async {
            let there = self.which.client(&self.which.dr_region).await?;
            self.which.stand(&there).await
        })?;
        output.print(&stand, || {
            let lag = stand
                .lag_ms
                .map_or_else(|| "unknown".to_owned(), |lag| format!("{lag} ms"));
            format!(
                "writer   {}\nstandby  {}\nlag      {lag}",
                stand.writer, stand.standby
            )
        })?;
        Ok(stand.state(&self.which.dr_region))
    }
}

impl Failover {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let which = &self.which;
        if self.confirm != which.environment {
            return Err(failure(
                format!(
                    "--confirm says {}, the environment is {}",
                    self.confirm, which.environment
                ),
                "nothing was changed",
            ));
        }
        let steps = block_on(self.go())?;
        output.print(&json!({"steps": steps}), || steps.join("\n"))?;
        Ok(0)
    }

    async fn go(&self) -> anyhow::Result<Vec<String>> {
        let which = &self.which;
        let there = which.client(&which.dr_region).await?;
        let stand = which.stand(&there).await?;
        let mut steps = vec![format!(
            "looked: {} writes, lag {:?} ms",
            stand.writer, stand.lag_ms
        )];
        let is_done = stand.writer == stand.standby;
        if !is_done {
            let near = stand.lag_ms.is_some_and(|lag| lag <= LAG_MAX_MS);
            if !near && !self.accept_loss {
                return Err(failure(
                    format!("the standby is behind by {:?} ms", stand.lag_ms),
                    "acknowledged transfers would be lost; if the loss is decided: --accept-loss",
                ));
            }
            steps.push(self.fence().await?);
            promote(which, &there, &stand).await?;
            steps.push(format!("promoted: {} writes", stand.standby));
        }
        for (unit, tasks) in self.start(&there).await? {
            steps.push(format!("started: {unit}, {tasks} tasks"));
        }
        steps.push(
            "DNS follows when the health check of the old region has failed three times".to_owned(),
        );
        steps.push(
            "now: florin ledger verify, then docs/operate/runbooks/lost-transfers.md".to_owned(),
        );
        Ok(steps)
    }

    /// Takes from everybody the way to the old database, so that what still runs there cannot
    /// write: a task that was only asked to stop may be in the middle of a batch.
    async fn fence(&self) -> anyhow::Result<String> {
        let which = &self.which;
        let fenced = async {
            let here = which.client(&which.region).await?;
            let name = format!("{}-{}-database", which.platform_name, which.environment);
            let group = [
                ("Filter.1.Name", "group-name"),
                ("Filter.1.Value.1", name.as_str()),
            ];
            let answer = here
                .query("ec2", EC2, "DescribeSecurityGroups", &group)
                .await?;
            let group = xml::first(&answer, "groupId").map(str::to_owned);
            let group =
                group.ok_or_else(|| anyhow::anyhow!("there is no security group {name}"))?;
            let filter = [
                ("Filter.1.Name", "group-id"),
                ("Filter.1.Value.1", group.as_str()),
            ];
            let answer = here
                .query("ec2", EC2, "DescribeSecurityGroupRules", &filter)
                .await?;
            let rules = xml::all(&answer, "securityGroupRuleId");
            let egress = xml::all(&answer, "isEgress");
            let inward: Vec<&str> = rules
                .into_iter()
                .zip(egress)
                .filter(|(_, out)| *out == "false")
                .map(|(rule, _)| rule)
                .collect();
            if inward.is_empty() {
                return Ok(0);
            }
            let names: Vec<String> = (1..=inward.len())
                .map(|at| format!("SecurityGroupRuleId.{at}"))
                .collect();
            let mut parameters = vec![("GroupId", group.as_str())];
            parameters.extend(names.iter().map(String::as_str).zip(inward.iter().copied()));
            here.query("ec2", EC2, "RevokeSecurityGroupIngress", &parameters)
                .await?;
            Ok::<usize, anyhow::Error>(inward.len())
        };
        match fenced.await {
            Ok(rules) => Ok(format!("fenced: {rules} ways to the old database are gone")),
            Err(error) if self.primary_lost => Ok(format!("NOT fenced, as asked: {error:#}")),
            Err(error) => Err(failure(
                format!("the old region cannot be fenced: {error:#}"),
                "nothing was promoted; if that region is really lost: --primary-lost",
            )),
        }
    }

    /// Starts the standby's units at production's counts.
    async fn start(&self, there: &Client<SystemClock>) -> anyhow::Result<Vec<(String, i64)>> {
        let cluster = format!("{}-dr", self.which.platform_name);
        let mut started = Vec::new();
        for unit in units::all()?
            .into_iter()
            .filter(|unit| ["gateway", "wallets"].contains(&unit.name.as_str()))
        {
            let tasks = unit.production.desired;
            let body = json!({"cluster": cluster, "service": unit.name, "desiredCount": tasks});
            let target = "AmazonEC2ContainerServiceV20141113.UpdateService";
            there.json("ecs", target, &body).await.map_err(|error| {
                let hint = "the database is promoted; start the tasks by hand: docs/operate/runbooks/region-lost.md";
                with_code(format!("{}: {error}", unit.name), Some(hint.to_owned()), 4)
            })?;
            started.push((unit.name, tasks));
        }
        Ok(started)
    }
}

async fn promote(which: &Which, there: &Client<SystemClock>, stand: &Stand) -> anyhow::Result<()> {
    let on_the_way = |what: String| {
        let hint =
            "the old writer is fenced and nobody writes: docs/operate/runbooks/region-lost.md";
        with_code(what, Some(hint.to_owned()), 4)
    };
    let global = which.global();
    let parameters = [
        ("GlobalClusterIdentifier", global.as_str()),
        ("TargetDbClusterIdentifier", stand.standby.as_str()),
        ("AllowDataLoss", "true"),
    ];
    let asked = there
        .query("rds", RDS, "FailoverGlobalCluster", &parameters)
        .await;
    asked.map_err(|error| on_the_way(format!("the standby was not promoted: {error}")))?;
    let wait = async {
        loop {
            if let Ok(now) = which.stand(there).await
                && now.writer == stand.standby
            {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(PROMOTION_MAX, wait).await;
    waited.map_err(|_| on_the_way("the standby does not write after 15 minutes".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "<R><GlobalClusterMember><DBClusterArn>arn:aws:rds:us-west-2:1:cluster:a</DBClusterArn><IsWriter>true</IsWriter></GlobalClusterMember><GlobalClusterMember><DBClusterArn>arn:aws:rds:us-east-1:1:cluster:b</DBClusterArn><IsWriter>false</IsWriter></GlobalClusterMember></R>";

    #[test]
    fn dep_142_who_writes_is_read_from_the_members() {
        let members = members(ANSWER);
        assert_eq!(members.len(), 2);
        assert!(members[0].1 && !members[1].1);
    }

    #[test]
    fn dep_141_a_standby_is_good_within_a_minute() {
        let stand = |writer: &str, lag_ms| Stand {
            writer: writer.to_owned(),
            standby: "arn:aws:rds:us-east-1:1:cluster:b".to_owned(),
            lag_ms,
        };
        let west = "arn:aws:rds:us-west-2:1:cluster:a";
        assert_eq!(stand(west, Some(60_000)).state("us-east-1"), 0);
        assert_eq!(stand(west, Some(60_001)).state("us-east-1"), 1);
        assert_eq!(stand(west, None).state("us-east-1"), UNKNOWN);
        assert_eq!(
            stand("arn:aws:rds:us-east-1:1:cluster:b", Some(0)).state("us-east-1"),
            1
        );
    }
}
