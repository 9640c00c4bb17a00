//! `florin demo ticketing`: a whole sale, told step by step over HTTP, on a server of its own or
//! on a running one. Each step is made once in a run: told again under the same name, the same
//! orders, refunds and payouts are shown, and no cent moves twice.

mod figures;
mod story;
mod teller;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use florin_base::IdSource;
use serde_json::json;

use self::story::Cast;
use self::teller::{Person, Teller};
use super::password_text;
use crate::bench::server::{Scratch, Server};
use crate::cli::block_on;
use crate::fail::failure;
use crate::out::Output;

/// A sale from the first draft to the payout: wallet and card, refund, transfer, door, report
///
/// Without --url on a server of its own, whose data is gone afterwards. A running server needs
/// --unsafe-dev for the card and --dev-clock for the end of the concert.
#[derive(Debug, Args)]
pub struct TicketingDemo {
    /// A running server, such as http://127.0.0.1:8080
    #[arg(long, env = "FLORIN_URL", value_name = "URL")]
    url: Option<String>,
    /// API key of role `service`, which pays money into wallets
    #[arg(long, env = "FLORIN_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// API key of role `admin`
    #[arg(
        long,
        env = "FLORIN_ADMIN_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    admin_key: Option<String>,
    /// Name of this telling: the same name shows the same sale again
    #[arg(long, default_value = "one", value_name = "NAME", value_parser = name)]
    run: String,
    /// Folder for the data of a server of its own; removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=20).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("1 to 20 of a–z, 0–9 and -".to_owned()),
    }
}

impl TicketingDemo {
    /// Tells the story.
    pub fn run(self, output: Output) -> anyhow::Result<()> {
        let Some(url) = &self.url else {
            let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
            let scratch = Scratch::new(&parent, "florin-demo")?;
            let dev = ["--unsafe-dev", "--dev-clock"];
            let server = Server::start_as(scratch.path(), &dev, &[])?;
            let url = format!("http://{}", server.target.host);
            self.tell(&url, &server.target.key, &server.target.admin_key, output)?;
            return server.stop().map(drop);
        };
        let both = self.key.as_deref().zip(self.admin_key.as_deref());
        let (key, admin_key) = both.ok_or_else(|| {
            failure(
                "a running server needs two keys",
                "set FLORIN_KEY and FLORIN_ADMIN_KEY, as in demo.env of its data directory",
            )
        })?;
        self.tell(url, key, admin_key, output)
    }

    fn tell(&self, url: &str, key: &str, admin_key: &str, output: Output) -> anyhow::Result<()> {
        block_on(async {
            let mut teller = Teller::new(url, self.run.clone(), output)?;
            let mut cast = cast(&teller, key, admin_key).await?;
            let whole = story::tell(&mut teller, &mut cast).await?;
            if !output.is_json() {
                let end = match whole {
                    true => "Every figure of the report is the ledger's, to the cent.",
                    false => {
                        "Every figure of the report is the ledger's, to the cent. The payout comes \
                         after the concert: a server with --unsafe-dev --dev-clock shows it at once."
                    }
                };
                println!("\n{end}");
            }
            Ok(())
        })
    }
}

/// Makes the people of this run, or gives them new passwords.
async fn cast(t: &Teller, key: &str, admin_key: &str) -> anyhow::Result<Cast> {
    let admin = Person::with_key("admin", admin_key);
    Ok(Cast {
        service: Person::with_key("service", key),
        olga: person(t, &admin, "olga").await?,
        ana: person(t, &admin, "ana").await?,
        bob: person(t, &admin, "bob").await?,
        cleo: person(t, &admin, "cleo").await?,
        admin,
    })
}

async fn person(t: &Teller, admin: &Person, name: &str) -> anyhow::Result<Person> {
    let id = format!("{name}-{}", t.run);
    let password = password_text(IdSource::random_32());
    let body = json!({"id": id, "userName": id, "password": password, "roles": ["user"]});
    let made = t.ask(&admin.post("users", body)).await?;
    match made.status {
        201 => {}
        409 => {
            let body = json!({"password": password});
            t.must(&admin.put(format!("users/{id}/password"), body))
                .await?;
        }
        _ => anyhow::bail!("{id}: {}", made.body),
    }
    let body = json!({"userName": id, "password": password});
    let answer = t.must(&admin.post("auth/token", body)).await?;
    let token = answer["accessToken"].as_str();
    let token = token.with_context(|| format!("no token for {id}"))?;
    Ok(Person::with_token(&id, token))
}
