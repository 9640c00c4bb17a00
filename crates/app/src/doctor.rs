//! What may stand in the way of serving: each finding says what was seen and what to do.
//!
//! Changes nothing that stays: the sync test writes one file in the data directory and removes it.

mod data;
mod outside;
mod stores;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use florin_base::{Clock as _, SystemClock, Timestamp};
use florin_platform::http::tls::{TlsMaterial, TlsSource};
use serde::Serialize;

use crate::config::production::{DevSwitches, refusals};
use crate::config::{self, Config, ConfigArgs, Environment, Loaded};
use crate::fail;
use crate::roles;

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, but somebody should know.
    Note,
    /// Stands in the way.
    Bad,
}

impl Health {
    /// For people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Bad => "BAD",
        }
    }
}

/// What was looked at, seen, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is meant.
    pub health: Health,
    /// What was seen.
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All is well.
fn ok(check: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        check,
        health: Health::Ok,
        what: what.into(),
        remedy: None,
    }
}

/// Somebody should know.
fn note(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        check,
        health: Health::Note,
        what: what.into(),
        remedy: Some(remedy.into()),
    }
}

/// Stands in the way.
fn bad(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        check,
        health: Health::Bad,
        what: what.into(),
        remedy: Some(remedy.into()),
    }
}

/// Looks at everything that the configuration leads to.
pub fn examine(args: &ConfigArgs) -> Vec<Finding> {
    let loaded = match config::load(args, Vec::new()) {
        Ok(loaded) => loaded,
        Err(error) => {
            return vec![
                bad(
                    "configuration",
                    format!("{error:#}"),
                    fail::hint_of(&error).unwrap_or("florin config check, florin config default"),
                ),
                clock(),
            ];
        }
    };
    let mut findings = configuration(&loaded.config);
    findings.push(clock());
    findings.extend(data::examine(&loaded));
    findings.extend(stores::examine(&loaded.config));
    findings.extend(outside::examine(&loaded));
    findings.push(port(&loaded));
    findings.push(tls(&loaded.config));
    findings.push(compliance(&loaded.config));
    findings
}

fn configuration(config: &Config) -> Vec<Finding> {
    let environment = config.environment.word();
    let found = refusals(config, DevSwitches::default());
    if found.is_empty() {
        return vec![ok("configuration", format!("valid for {environment}"))];
    }
    let finding = |refusal: florin_platform::identity::Refusal| {
        let what = format!("{}: {}", refusal.setting, refusal.why);
        match refusal.fatal {
            true => bad("configuration", what, refusal.fix),
            false => note("configuration", what, refusal.fix),
        }
    };
    found.into_iter().map(finding).collect()
}

/// The first day of 2025: an older clock was never set.
const OLDEST_MICROS: i64 = 1_735_689_600_000_000;

fn clock() -> Finding {
    let now = SystemClock.wall_micros();
    let shown = Timestamp(now).to_string();
    match now < OLDEST_MICROS {
        true => bad(
            "clock",
            format!("the wall clock says {shown}"),
            "set it: timedatectl set-ntp true",
        ),
        false => ok("clock", shown),
    }
}

fn port(loaded: &Loaded) -> Finding {
    let server = &loaded.config.server;
    let default = roles::select(&loaded.config.roles)
        .map_or(roles::SHARED_PORT, |roles| roles::default_port(&roles));
    let address = SocketAddr::new(server.listen, server.port.unwrap_or(default));
    match TcpListener::bind(address) {
        Ok(_) => ok("port", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => note(
            "port",
            format!("{address} is in use"),
            "fine if that is this server; else florin serve --port N",
        ),
        Err(error) => bad(
            "port",
            format!("{address}: {error}"),
            "choose another with --listen or --port",
        ),
    }
}

fn tls(config: &Config) -> Finding {
    let server = &config.server;
    match (&server.tls_certificate, &server.tls_key) {
        (Some(certificate), Some(key)) => {
            let source = TlsSource::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            match TlsMaterial::load(source) {
                Ok(_) => ok(
                    "tls",
                    format!("{} and its key fit together", certificate.display()),
                ),
                Err(error) => bad(
                    "tls",
                    error.to_string(),
                    "PEM files: the chain with the server's certificate first, and its key",
                ),
            }
        }
        _ if server.tls_self_signed => note(
            "tls",
            "a certificate is made at each start",
            "for development only",
        ),
        _ if server.listen.is_loopback() => {
            ok("tls", "none; only this machine can reach the server")
        }
        _ if !server.trusted_proxies.is_empty() => ok("tls", "ends at the declared proxies"),
        _ => note(
            "tls",
            "none, and other machines can reach the server: credentials cross the network in the clear",
            "give server.tls_certificate and server.tls_key",
        ),
    }
}

fn compliance(config: &Config) -> Finding {
    match config.environment {
        Environment::Production => note(
            "compliance",
            "payments are not screened: the mode is observe",
            "an installation that serves the public is expected to enforce screening",
        ),
        _ => ok("compliance", "observe"),
    }
}
