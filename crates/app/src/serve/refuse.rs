//! What stands in the way of a start: switches and settings that do not belong where this server
//! is to run (contracts/README.md, "environment"; shadow-ledger contract, section E).
//!
//! Every refusal is told on stderr with its setting, before anything is opened, and ends the
//! process with 78 (`EX_CONFIG`).

use crate::config::Config;
use crate::config::production::{DevSwitches, refusals, weak_secrets};
use crate::fail::{failure, with_code};

/// Exit code of a configuration that must not run (`EX_CONFIG`).
const REFUSED: u8 = 78;

/// An error unless this configuration may run with these switches; warnings go to stderr.
pub fn check(config: &Config, switches: DevSwitches) -> anyhow::Result<()> {
    if switches.dev_clock && !switches.unsafe_dev {
        return Err(failure(
            "--dev-clock needs --unsafe-dev",
            "florin serve --unsafe-dev --dev-clock",
        ));
    }
    let found = refusals(config, switches);
    let (fatal, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(|refusal| refusal.fatal);
    for warning in warnings {
        eprintln!(
            "warning: {}: {}; {}",
            warning.setting, warning.why, warning.fix
        );
    }
    let (fatal, place) = match fatal.is_empty() {
        true => (weak_secrets(config), config.environment.word()),
        false => (fatal, "production"),
    };
    if !fatal.is_empty() {
        let lines: Vec<String> = fatal
            .iter()
            .map(|refusal| format!("  {}: {}; {}", refusal.setting, refusal.why, refusal.fix))
            .collect();
        let message = format!("refusing to start in {place}:\n{}", lines.join("\n"));
        let hint = "florin config check judges a configuration without starting";
        return Err(with_code(message, Some(hint.into()), REFUSED));
    }
    open_doors(config, switches)
}

/// Development tokens and the compat profile let anybody do anything: they stay on a developer's
/// machine unless he says otherwise.
fn open_doors(config: &Config, switches: DevSwitches) -> anyhow::Result<()> {
    let doors = [
        (switches.dev_auth, "--dev-auth", "start without it"),
        (
            config.shadow.compat,
            "`shadow.compat`",
            "set shadow.compat to false",
        ),
    ];
    for (open, name, fix) in doors {
        let why = match open {
            false => continue,
            true if !switches.unsafe_dev => "needs --unsafe-dev",
            true if !config.server.listen.is_loopback() && !switches.dev_auth_remote => {
                "is refused on a listener that is not loopback; --dev-auth-remote allows it"
            }
            true => continue,
        };
        let hint = Some(fix.to_owned());
        return Err(with_code(format!("{name} {why}"), hint, REFUSED));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{Layers, Origin, toml_value};
    use crate::config::resolve;
    use crate::fail::report;

    /// Exit code and text of the refusal, 0 for none.
    fn judge(settings: &[(&str, &str)], switches: DevSwitches) -> (u8, String) {
        let mut layers = Layers::defaults();
        for (name, text) in settings {
            let value = toml_value(text).expect("TOML");
            layers.set(name, value, Origin::Flag("--x")).expect("known");
        }
        let config = resolve(layers).expect("usable").config;
        match check(&config, switches) {
            Ok(()) => (0, String::new()),
            Err(error) => (report(&error), error.to_string()),
        }
    }

    const DEV: DevSwitches = DevSwitches {
        unsafe_dev: true,
        dev_clock: false,
        dev_auth: true,
        dev_auth_remote: false,
        demo: false,
    };
    const OPEN: (&str, &str) = ("server.listen", "\"0.0.0.0\"");

    #[test]
    fn development_doors_open_on_loopback_or_when_asked_for_twice() {
        let none = DevSwitches::default();
        let remote = DevSwitches {
            dev_auth_remote: true,
            ..DEV
        };
        let unsafe_only = DevSwitches {
            dev_auth: false,
            ..DEV
        };
        let compat = ("shadow.compat", "true");
        assert_eq!(judge(&[], DEV).0, 0);
        assert_eq!(judge(&[compat], unsafe_only).0, 0);
        let without = DevSwitches {
            unsafe_dev: false,
            ..DEV
        };
        assert!(
            judge(&[], without)
                .1
                .contains("--dev-auth needs --unsafe-dev")
        );
        assert_eq!(judge(&[compat], none).0, 78);
        assert_eq!(judge(&[OPEN], DEV).0, 78);
        assert_eq!(judge(&[OPEN, compat], unsafe_only).0, 78);
        assert_eq!(judge(&[OPEN, compat], remote).0, 0);
    }

    #[test]
    fn production_and_weak_secrets_end_with_the_same_code() {
        let production = ("environment", "\"production\"");
        let (code, text) = judge(&[production], DEV);
        assert_eq!(code, 78);
        assert!(
            text.contains("--dev-auth: ") && text.contains("--unsafe-dev: "),
            "{text}"
        );
        let weak = ("auth.signing_key", "\"hunter2-hunter2\"");
        assert_eq!(judge(&[weak], DevSwitches::default()).0, 0, "development");
        let staging = ("environment", "\"staging\"");
        let (code, text) = judge(&[staging, weak], DevSwitches::default());
        assert_eq!(code, 78);
        assert!(
            text.contains("auth.signing_key") && !text.contains("hunter2"),
            "{text}"
        );
        let issuer = "[{ issuer = \"https://a\", audiences = [\"x\"], hmac_secret = \"short\" }]";
        let (code, text) = judge(&[staging, ("auth.issuers", issuer)], DevSwitches::default());
        assert!(code == 78 && text.contains("hmac_secret"), "{text}");
    }
}
