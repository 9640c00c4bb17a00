//! The gateway's part of `florin serve`: routes of roles that other processes serve.
//!
//! Invariants: only role `gateway` forwards; a role that this process has itself is never
//! forwarded; which paths a role has comes from the table of roles.

use std::collections::BTreeMap;

use florin_platform::http::forward::{Forward, ForwardConfig};
use florin_platform::http::health::{FnCheck, Verdict};
use florin_platform::http::router::BoundRoutes;

use super::parts::Wired;
use crate::fail::failure;
use crate::roles::{ROLES, Role};

/// The role that forwards.
const GATEWAY: &str = "gateway";
const HOW: &str =
    "gateway.upstreams = [\"wallets=http://10.0.0.5:8084\"]; florin roles lists the roles";

/// The routes of all roles with upstreams, and a check that says who is away.
pub(super) async fn forwards(
    wired: &Wired,
    selected: &[&Role],
) -> anyhow::Result<Vec<BoundRoutes>> {
    let settings = &wired.config.gateway;
    if !selected.iter().any(|role| role.name == GATEWAY) {
        return Ok(Vec::new());
    }
    let upstreams = by_role(&settings.upstreams)?;
    let mut routes = Vec::new();
    let mut forwards: Vec<(&'static str, Forward)> = Vec::new();
    for (name, urls) in upstreams {
        let role = ROLES.iter().find(|role| role.name == name);
        let role = role
            .ok_or_else(|| failure(format!("gateway.upstreams: there is no role `{name}`"), HOW))?;
        if selected.iter().any(|own| own.name == role.name) {
            return Err(failure(
                format!("gateway.upstreams: this process serves role `{name}` itself"),
                "leave it out there, or start this process with --role gateway",
            ));
        }
        let mut config = ForwardConfig::new(role.name, urls);
        config.answer_timeout = settings.answer_timeout;
        config.probe_interval = settings.probe_interval;
        let forward = Forward::start(config, wired.shutdown.clone())
            .await
            .map_err(|error| failure(format!("gateway.upstreams: {error}"), HOW))?;
        routes.push((role.describe)().forward(&forward));
        forwards.push((role.name, forward));
    }
    if !forwards.is_empty() {
        let look = move || verdict(&forwards);
        wired
            .health
            .register(FnCheck::new("upstreams", false, look));
    }
    Ok(routes)
}

fn verdict(forwards: &[(&'static str, Forward)]) -> Verdict {
    let away: Vec<&str> = forwards
        .iter()
        .filter(|(_, forward)| forward.ready().0 == 0)
        .map(|(name, _)| *name)
        .collect();
    match away.is_empty() {
        true => Verdict::ok(),
        false => Verdict::degraded(
            format!("no process is ready for: {}", away.join(", ")),
            "start one, or look at /ready of those in gateway.upstreams",
        ),
    }
}

/// `role=url` entries, grouped.
fn by_role(entries: &[String]) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        let Some((role, url)) = entry.split_once('=') else {
            return Err(failure(
                format!("gateway.upstreams: `{entry}` is not role=url"),
                HOW,
            ));
        };
        roles
            .entry(role.trim().to_owned())
            .or_default()
            .push(url.trim().to_owned());
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_role_belong_together() {
        let entries = [
            "wallets=http://a:1",
            "shadow=http://c:3",
            "wallets = http://b:2",
        ];
        let entries: Vec<String> = entries.map(str::to_owned).to_vec();
        let grouped = by_role(&entries).expect("fine");
        assert_eq!(grouped["wallets"], ["http://a:1", "http://b:2"]);
        assert_eq!(grouped["shadow"], ["http://c:3"]);
        assert!(by_role(&["http://a:1".to_owned()]).is_err());
    }
}
