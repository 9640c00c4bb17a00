//! What the server says when it is ready: on stdout, once, for people or as one JSON line.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::demo::{Credentials, ENV_FILE};
use crate::out::Output;

/// The facts of a server that is ready.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready<'a> {
    /// Where it listens.
    pub url: &'a str,
    /// Where the data lies.
    pub data_dir: &'a Path,
    /// What it does.
    pub roles: Vec<&'static str>,
    /// Which world this is.
    pub environment: &'static str,
    /// Certificate to trust, when it was made on the spot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Somebody can log in.
    #[serde(skip)]
    pub users: bool,
    /// Who may log in, in a demo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demo: Option<&'a Credentials>,
}

/// Tells it.
pub fn ready(output: Output, ready: &Ready<'_>) -> std::io::Result<()> {
    output.print(ready, || text(ready))
}

fn text(ready: &Ready<'_>) -> String {
    let mut lines = vec![format!("Florin is ready at {}", ready.url), String::new()];
    let mut say = |name: &str, value: String| lines.push(format!("  {name:<14}{value}"));
    say("try it", format!("{}/q/swagger-ui", ready.url));
    if ready.roles.contains(&"console") {
        say("console", format!("{}/console", ready.url));
    }
    say("data", ready.data_dir.display().to_string());
    say("roles", ready.roles.join(", "));
    say("environment", ready.environment.to_owned());
    if let Some(certificate) = &ready.certificate {
        say(
            "certificate",
            format!("curl --cacert {}", certificate.display()),
        );
    }
    if let Some(demo) = ready.demo {
        let env = ready.data_dir.join(ENV_FILE);
        lines.push(String::new());
        lines.push("Demo credentials, made for this data directory:".to_owned());
        let mut say = |name: &str, value: String| lines.push(format!("  {name:<14}{value}"));
        say(
            "admin",
            format!("{} / {}", demo.admin_user, demo.admin_password),
        );
        say(
            "user",
            format!("{} / {}", demo.user_name, demo.user_password),
        );
        say(
            "user",
            format!("{} / {}", demo.second_user_name, demo.second_user_password),
        );
        say("service key", demo.service_api_key.clone());
        say("operator key", demo.operator_api_key.clone());
        say("auditor key", demo.auditor_api_key.clone());
        say("in a shell", format!(". {}", env.display()));
        say(
            "",
            "curl -H \"X-API-Key: $FLORIN_KEY\" $FLORIN_URL/api/v1/wallets".to_owned(),
        );
    } else if !ready.users {
        lines.push(String::new());
        lines.push("Nobody can log in yet:".to_owned());
        lines.push(format!(
            "  florin user create admin --role admin --data-dir {}",
            ready.data_dir.display()
        ));
    }
    lines.push(String::new());
    let mut say = |name: &str, value: String| lines.push(format!("  {name:<14}{value}"));
    say(
        "stop",
        "Ctrl-C: finishes what it has accepted; again: at once".to_owned(),
    );
    say(
        "reset",
        format!(
            "stop, then delete the data: rm -r {}",
            ready.data_dir.display()
        ),
    );
    lines.push(String::new());
    lines.join("\n")
}
