//! What production refuses (contracts/README.md, "environment"). Each refusal names its setting.

use florin_platform::identity::{Refusal, production_refusals};

use super::{Config, Environment, Profile};

/// Switches of `florin serve` that only development has.
#[derive(Debug, Clone, Copy, Default)]
pub struct DevSwitches {
    /// `--unsafe-dev`.
    pub unsafe_dev: bool,
    /// `--dev-clock`.
    pub dev_clock: bool,
    /// `--dev-auth`.
    pub dev_auth: bool,
    /// `--dev-auth-remote`.
    pub dev_auth_remote: bool,
    /// `--demo`: makes users and keys that a file in the data directory holds.
    pub demo: bool,
}

/// Everything that speaks against starting in this environment; empty outside production.
pub fn refusals(config: &Config, switches: DevSwitches) -> Vec<Refusal> {
    if config.environment != Environment::Production {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut refuse = |setting: &str, why: &str, fix: &str| {
        found.push(Refusal {
            setting: setting.to_owned(),
            why: why.to_owned(),
            fix: fix.to_owned(),
            fatal: true,
        });
    };
    let switches = [
        (switches.unsafe_dev, "--unsafe-dev", "it lifts protections"),
        (
            switches.dev_clock,
            "--dev-clock",
            "it lets a caller move the clock",
        ),
        (switches.dev_auth, "--dev-auth", "it lets anybody in"),
        (
            switches.dev_auth_remote,
            "--dev-auth-remote",
            "it opens development doors to others",
        ),
        (
            switches.demo,
            "--demo",
            "it makes credentials and keeps them in a file",
        ),
    ];
    for (given, name, why) in switches {
        if given {
            refuse(name, why, &format!("start without {name}"));
        }
    }
    if config.wallets.profile == Profile::Compat {
        refuse(
            "wallets.profile",
            "compat rounds amounts and prints money as numbers",
            "set it to \"strict\"",
        );
    }
    if config.shadow.compat {
        refuse(
            "shadow.compat",
            "it posts corrections without approval",
            "set it to false",
        );
    }
    let listener = &config.server;
    // A load balancer encrypts to its targets and does not ask who signed; callers meet its own
    // certificate.
    if listener.tls_self_signed && listener.trusted_proxies.is_empty() {
        refuse(
            "server.tls_self_signed",
            "no caller can trust such a certificate",
            "give server.tls_certificate and server.tls_key, or declare the proxy that callers meet in server.trusted_proxies",
        );
    }
    if !listener.has_tls() && !listener.listen.is_loopback() && listener.trusted_proxies.is_empty()
    {
        refuse(
            "server.listen",
            "credentials would cross the network in the clear",
            "give server.tls_certificate and server.tls_key, listen on 127.0.0.1, or declare the proxy that ends TLS in server.trusted_proxies",
        );
    }
    let database = config.database.postgres();
    if database.is_some_and(|settings| settings.address().is_ok_and(|at| at.is_exposed())) {
        refuse(
            "database.url",
            "the password and the rows would cross the network in the clear",
            "add sslmode=verify-full, and sslrootcert where its certificate is your own",
        );
    }
    if config
        .cache
        .redis()
        .is_some_and(|settings| settings.is_exposed() == Ok(true))
    {
        refuse(
            "cache.url",
            "the password would cross the network in the clear",
            "use rediss://",
        );
    }
    found.extend(exposed_bus(config));
    found.extend(production_refusals(&config.auth));
    found
}

/// Secrets that are built in, too short or easily guessed, which only development may have
/// (shadow-ledger contract, section E).
pub fn weak_secrets(config: &Config) -> Vec<Refusal> {
    if config.environment == Environment::Development {
        return Vec::new();
    }
    let mut found = production_refusals(&config.auth);
    found.retain(|refusal| {
        refusal.setting.starts_with("auth.signing_key")
            || refusal.setting.ends_with("].hmac_secret")
    });
    found
}

/// Without TLS, what stands between is the network's business.
fn exposed_bus(config: &Config) -> Option<Refusal> {
    let brokers = config.bus.brokers().ok().flatten();
    let brokers = brokers.filter(|_| !config.bus.is_tls())?;
    let near = |broker: &str| {
        ["127.0.0.1:", "[::1]:", "localhost:"]
            .iter()
            .any(|host| broker.starts_with(host))
    };
    (!brokers.split(',').all(near)).then(|| Refusal {
        setting: "bus.url".to_owned(),
        why: "events cross the network in the clear".to_owned(),
        fix: "reach the brokers over TLS, kafkas://host:port, or keep them in a network that nobody else can read".to_owned(),
        fatal: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{Layers, Origin, toml_value};
    use crate::config::resolve;

    fn names(settings: &[(&str, &str)], switches: DevSwitches) -> Vec<String> {
        let mut layers = Layers::defaults();
        for (name, text) in settings {
            let value = toml_value(text).expect("TOML");
            layers.set(name, value, Origin::Flag("--x")).expect("known");
        }
        let config = resolve(layers).expect("usable").config;
        refusals(&config, switches)
            .into_iter()
            .map(|refusal| refusal.setting)
            .collect()
    }

    const PRODUCTION: (&str, &str) = ("environment", "\"production\"");

    #[test]
    fn a_loopback_listener_without_tls_is_fine() {
        assert!(names(&[PRODUCTION], DevSwitches::default()).is_empty());
    }

    #[test]
    fn each_refusal_names_its_setting() {
        let all = DevSwitches {
            unsafe_dev: true,
            dev_clock: true,
            dev_auth: true,
            dev_auth_remote: true,
            demo: true,
        };
        let settings = [
            PRODUCTION,
            ("wallets.profile", "\"compat\""),
            ("shadow.compat", "true"),
            ("server.listen", "\"0.0.0.0\""),
            ("auth.signing_key", "\"short\""),
        ];
        let expected = [
            "--unsafe-dev",
            "--dev-clock",
            "--dev-auth",
            "--dev-auth-remote",
            "--demo",
            "wallets.profile",
            "shadow.compat",
            "server.listen",
            "auth.signing_key",
        ];
        assert_eq!(names(&settings, all), expected);
        assert!(
            names(&settings[1..], all).is_empty(),
            "development refuses nothing"
        );
    }

    #[test]
    fn stores_beyond_the_machine_need_tls() {
        let settings = |database, cache| {
            names(
                &[PRODUCTION, ("database.url", database), ("cache.url", cache)],
                DevSwitches::default(),
            )
        };
        assert_eq!(
            settings("\"postgres://a@db/x\"", "\"redis://h\""),
            ["database.url", "cache.url"]
        );
        assert!(
            settings(
                "\"postgres://a@db/x?sslmode=verify-full\"",
                "\"rediss://h\""
            )
            .is_empty()
        );
        assert!(settings("\"postgres://a@127.0.0.1/x\"", "\"redis://localhost\"").is_empty());
    }

    #[test]
    fn a_listener_for_others_needs_tls_or_a_proxy() {
        let open = ("server.listen", "\"::\"");
        let proxy = ("server.trusted_proxies", "[\"10.0.0.0/8\"]");
        let files = [
            ("server.tls_certificate", "\"c\""),
            ("server.tls_key", "\"k\""),
        ];
        assert_eq!(
            names(&[PRODUCTION, open], DevSwitches::default()),
            ["server.listen"]
        );
        assert!(names(&[PRODUCTION, open, proxy], DevSwitches::default()).is_empty());
        let own = ("server.tls_self_signed", "true");
        assert_eq!(
            names(&[PRODUCTION, open, own], DevSwitches::default()),
            ["server.tls_self_signed"]
        );
        assert!(names(&[PRODUCTION, open, own, proxy], DevSwitches::default()).is_empty());
        assert!(
            names(
                &[PRODUCTION, open, files[0], files[1]],
                DevSwitches::default()
            )
            .is_empty()
        );
    }
}
