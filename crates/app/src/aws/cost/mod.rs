//! `florin aws cost` (DEP-153): what a plan of Terraform costs a month, offline.
//!
//! Resources of `terraform show -json` times dated prices, and a usage file for what a plan
//! cannot know. Integers throughout: prices in billionths of a dollar, quantities in
//! thousandths.

mod bands;
pub mod drivers;
mod prices;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use florin_base::clock::{Clock as _, SystemClock};
use serde::Serialize;
use serde_json::{Value, json};

pub use prices::{Prices, decimal};

use super::units;
use crate::fail::OrHint as _;
use crate::out::{Output, table};
use drivers::{Need, Resource};

/// Hours of a month, as price lists count them.
pub const HOURS_PER_MONTH: i64 = 730;
/// Billionths in a dollar.
const NANO: i64 = 1_000_000_000;

/// Whole dollars, rounded to the nearest.
pub fn whole_usd(nano: i64) -> i64 {
    (nano + NANO / 2) / NANO
}

/// Estimate what a plan costs a month, from dated list prices
///
/// Offline. Exit code 1 when a resource has no price, unless --allow-unpriced. Prices that are
/// old or unverified are marked.
#[derive(Debug, Args)]
pub struct Cost {
    /// The plan: output of `terraform show -json PLAN`
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Another plan, to tell the difference to
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Price table, CSV; left out: the one built in
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// What the platform is used for, TOML: traffic, storage, requests
    #[arg(long, value_name = "FILE")]
    usage: Option<PathBuf>,
    /// At which counts of tasks and nodes
    #[arg(long, value_enum, default_value_t)]
    at: At,
    /// Do not fail for resources without a price
    #[arg(long)]
    allow_unpriced: bool,
}

/// At which counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum At {
    /// The fewest.
    Min,
    /// A usual hour.
    #[default]
    Desired,
    /// Everything at its limit.
    Max,
}

/// One line of the bill.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    group: &'static str,
    module: String,
    what: String,
    quantity_milli: i64,
    unit: String,
    nano_usd_per_unit: i64,
    monthly_nano_usd: i64,
    fixed: bool,
    marks: Vec<&'static str>,
}

/// The whole estimate.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Estimate {
    environment: String,
    region: String,
    total_usd: i64,
    fixed_usd: i64,
    usage_usd: i64,
    groups: BTreeMap<&'static str, i64>,
    modules: BTreeMap<String, i64>,
    budget_usd: Option<i64>,
    warnings: Vec<String>,
    unpriced: Vec<String>,
    lines: Vec<Line>,
    difference_usd: Option<i64>,
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path)
        .or_hint(format!("terraform show -json PLAN > {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// A usage file: what a plan cannot know.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    #[serde(default)]
    item: Vec<UsageItem>,
}

/// A line of it.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageItem {
    /// Resource type of the price table.
    resource_type: String,
    /// Key of the price table.
    key: String,
    /// How many units a month.
    quantity: i64,
}

impl Cost {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let prices = match &self.prices {
            Some(path) => Prices::parse(&std::fs::read_to_string(path)?)?,
            None => Prices::built_in()?,
        };
        let usage: Usage = match &self.usage {
            Some(path) => toml::from_str(&std::fs::read_to_string(path)?)?,
            None => Usage::default(),
        };
        let today = SystemClock.wall_micros();
        let mut estimate = estimate(&read_json(&self.plan)?, &usage, &prices, self.at, today)?;
        if let Some(path) = &self.compare {
            let other = self::estimate(&read_json(path)?, &usage, &prices, self.at, today)?;
            estimate.difference_usd = Some(estimate.total_usd - other.total_usd);
        }
        let fails = !estimate.unpriced.is_empty() && !self.allow_unpriced;
        output.print(&json!(estimate), || show(&estimate))?;
        Ok(u8::from(fails))
    }
}

/// A variable of the root, where it has that one.
fn variable<'a>(plan: &'a Value, name: &str) -> Option<&'a str> {
    let pointer = format!("/variables/{name}/value");
    plan.pointer(&pointer).and_then(Value::as_str)
}

/// The environment: a variable of the root, else what every resource is tagged with.
fn environment(plan: &Value, resources: &[drivers::Resource]) -> String {
    let tag = |resource: &drivers::Resource| {
        let tag = resource.values.pointer("/tags_all/Environment");
        tag.and_then(Value::as_str).map(str::to_owned)
    };
    let named = variable(plan, "environment").map(str::to_owned);
    let tagged = || resources.iter().find_map(tag);
    named.or_else(tagged).unwrap_or_default()
}

/// The region: a variable of the root, else that of the first subnet's zone.
fn region(plan: &Value, resources: &[drivers::Resource]) -> String {
    let zone = |resource: &drivers::Resource| {
        let zone = resource.values.pointer("/availability_zone")?.as_str()?;
        Some(
            zone.trim_end_matches(|c: char| c.is_ascii_lowercase())
                .to_owned(),
        )
    };
    let named = variable(plan, "aws_region").map(str::to_owned);
    let placed = || {
        resources
            .iter()
            .filter(|r| r.kind == "aws_subnet")
            .find_map(zone)
    };
    named.or_else(placed).unwrap_or_default()
}

/// The estimate of a plan.
fn estimate(
    plan: &Value,
    usage: &Usage,
    prices: &Prices,
    at: At,
    today_micros: i64,
) -> anyhow::Result<Estimate> {
    let resources = drivers::resources(plan);
    let units = units::all()?;
    let mut result = Estimate {
        environment: environment(plan, &resources),
        region: region(plan, &resources),
        ..Estimate::default()
    };
    let world = drivers::World {
        resources: &resources,
        units: &units,
        environment: &result.environment.clone(),
        at,
    };
    for resource in &resources {
        match drivers::needs(resource, &world) {
            Some(needs) => {
                for need in needs {
                    add(&mut result, resource, &need, prices, today_micros, true);
                }
            }
            None if prices.is_free(&resource.kind) => {}
            None => result.unpriced.push(resource.address.clone()),
        }
        if resource.kind == "aws_budgets_budget" {
            let limit = resource.values.get("limit_amount").and_then(Value::as_str);
            result.budget_usd = limit.and_then(|text| decimal(text, 0));
        }
    }
    for item in &usage.item {
        let need = Need::new(&item.resource_type, &item.key, item.quantity * 1000);
        let nowhere = Resource::usage(&item.resource_type);
        add(&mut result, &nowhere, &need, prices, today_micros, false);
    }
    sum(&mut result);
    result.warnings = bands::warnings(
        &result.environment,
        &result.groups,
        result.total_usd,
        result.budget_usd,
    );
    Ok(result)
}

fn add(
    result: &mut Estimate,
    resource: &Resource,
    need: &Need,
    prices: &Prices,
    today_micros: i64,
    fixed: bool,
) {
    if need.milli == 0 {
        return;
    }
    let Some(price) = prices.find(&need.kind, &need.key) else {
        result
            .unpriced
            .push(format!("{}: {} {}", resource.address, need.kind, need.key));
        return;
    };
    let hours = if price.unit == "hour" {
        HOURS_PER_MONTH
    } else {
        1
    };
    result.lines.push(Line {
        group: bands::group(&need.kind, &need.key),
        module: resource.module.clone(),
        what: format!("{} {}", need.kind, need.key),
        quantity_milli: need.milli,
        unit: price.unit.clone(),
        nano_usd_per_unit: price.nano_usd,
        monthly_nano_usd: price.nano_usd * hours * need.milli / 1000,
        fixed,
        marks: price.marks(today_micros),
    });
}

fn sum(result: &mut Estimate) {
    let mut groups: BTreeMap<&'static str, i64> = BTreeMap::new();
    let mut modules: BTreeMap<String, i64> = BTreeMap::new();
    let (mut fixed, mut used) = (0, 0);
    for line in &result.lines {
        *groups.entry(line.group).or_default() += line.monthly_nano_usd;
        *modules.entry(line.module.clone()).or_default() += line.monthly_nano_usd;
        let part = if line.fixed { &mut fixed } else { &mut used };
        *part += line.monthly_nano_usd;
    }
    result.groups = groups.into_iter().map(|(k, v)| (k, whole_usd(v))).collect();
    result.modules = modules
        .into_iter()
        .map(|(k, v)| (k, whole_usd(v)))
        .collect();
    result.fixed_usd = whole_usd(fixed);
    result.usage_usd = whole_usd(used);
    result.total_usd = whole_usd(fixed + used);
}

fn show(estimate: &Estimate) -> String {
    let rows = |map: Vec<(String, i64)>| -> Vec<Vec<String>> {
        let cells = map.into_iter();
        cells
            .map(|(name, usd)| vec![usd.to_string(), name])
            .collect()
    };
    let groups = estimate.groups.iter().map(|(k, v)| ((*k).to_owned(), *v));
    let modules = estimate.modules.iter().map(|(k, v)| (k.clone(), *v));
    let mut text = table(&["USD/MONTH", "GROUP"], &rows(groups.collect()));
    text.push('\n');
    text.push_str(&table(&["USD/MONTH", "MODULE"], &rows(modules.collect())));
    text.push_str(&format!(
        "\ntotal {} USD a month: {} fixed, {} by use\n",
        estimate.total_usd, estimate.fixed_usd, estimate.usage_usd
    ));
    if let Some(budget) = estimate.budget_usd {
        text.push_str(&format!("budget {budget} USD a month\n"));
    }
    if let Some(difference) = estimate.difference_usd {
        text.push_str(&format!(
            "difference to the other plan: {difference:+} USD a month\n"
        ));
    }
    let marked = |mark| {
        estimate
            .lines
            .iter()
            .filter(|l| l.marks.contains(&mark))
            .count()
    };
    text.push_str(&format!(
        "{} of {} lines stand on unverified prices, {} on prices older than 180 days\n",
        marked("unverified"),
        estimate.lines.len(),
        marked("old"),
    ));
    for warning in &estimate.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    for address in &estimate.unpriced {
        text.push_str(&format!("no price: {address}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
