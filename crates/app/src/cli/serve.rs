//! `florin serve`.

use std::net::{IpAddr, SocketAddr};

use clap::Args;

use crate::config::production::DevSwitches;
use crate::config::{self, ConfigArgs};
use crate::fail::failure;
use crate::out::Output;
use crate::serve::{self, Options};

/// Serve the APIs: all roles, or those named
///
/// Says on stdout when it is ready (with `--output json` as one line) and serves until Ctrl-C or
/// SIGTERM: the first finishes what was accepted, the second stops at once.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this role; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Address to listen on, with or without port
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Port to listen on; 0 picks a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Make users, keys and a little data to look at
    #[arg(long)]
    demo: bool,
    /// TLS with a certificate made on the spot
    #[arg(long)]
    self_signed: bool,
    /// Lift protections that stand in the way of development, such as webhooks to this machine
    #[arg(long)]
    unsafe_dev: bool,
    /// Let role `admin` move the clock: PUT /api/v1/dev/clock; needs --unsafe-dev
    #[arg(long)]
    dev_clock: bool,
    /// Give tokens for any name and role without a password; needs --unsafe-dev
    #[arg(long)]
    dev_auth: bool,
    /// Allow --dev-auth and the compat profile on a listener that others reach
    #[arg(long)]
    dev_auth_remote: bool,
}

impl Serve {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let mut flags: Vec<(&'static str, &'static str, toml::Value)> = Vec::new();
        if !self.roles.is_empty() {
            flags.push(("roles", "--role", self.roles.into()));
        }
        if let Some(text) = &self.listen {
            let (address, port) = parse_listen(text)?;
            flags.push(("server.listen", "--listen", address.to_string().into()));
            if let Some(port) = port {
                flags.push(("server.port", "--listen", i64::from(port).into()));
            }
        }
        if let Some(port) = self.port {
            flags.push(("server.port", "--port", i64::from(port).into()));
        }
        if self.self_signed {
            flags.push(("server.tls_self_signed", "--self-signed", true.into()));
        }
        let loaded = config::load(&self.config, flags)?;
        let switches = DevSwitches {
            unsafe_dev: self.unsafe_dev,
            dev_clock: self.dev_clock,
            dev_auth: self.dev_auth,
            dev_auth_remote: self.dev_auth_remote,
            demo: self.demo,
        };
        super::block_on(serve::run(loaded, Options { switches, output }))?;
        Ok(0)
    }
}

fn parse_listen(text: &str) -> anyhow::Result<(IpAddr, Option<u16>)> {
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok((both.ip(), Some(both.port())));
    }
    let only = text.parse::<IpAddr>().map(|address| (address, None));
    only.map_err(|_| {
        failure(
            format!("--listen {text} is no address"),
            "such as 127.0.0.1, 0.0.0.0:8090 or [::1]:8090",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_with_and_without_port() {
        let read = |text| parse_listen(text).map(|(address, port)| (address.to_string(), port));
        assert_eq!(read("0.0.0.0").expect("fine"), ("0.0.0.0".to_owned(), None));
        assert_eq!(read("[::1]:9").expect("fine"), ("::1".to_owned(), Some(9)));
        assert!(read("localhost").is_err() && read("1.2.3.4:99999").is_err());
    }
}
