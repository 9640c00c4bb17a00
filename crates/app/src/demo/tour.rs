//! `florin demo`: the story of the README in one terminal, over a ledger in a temporary folder.

use std::io::Write as _;

use anyhow::Context as _;
use axum::http::Method;
use serde_json::{Value, json};

use crate::config::ConfigArgs;
use crate::inproc::{Answer, InProcess};
use crate::out::Output;
use crate::serve;
use crate::serve::offline::Offline;

/// One step as a program sees it.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Step<'a> {
    title: &'a str,
    method: &'a str,
    path: &'a str,
    request: Option<&'a Value>,
    status: u16,
    replayed: bool,
    answer: &'a Value,
}

struct Tour {
    caller: InProcess,
    output: Output,
    steps: usize,
}

/// Runs the tour.
pub async fn run(output: Output) -> anyhow::Result<()> {
    let folder = Folder::make()?;
    let args = ConfigArgs {
        config: None,
        data_dir: Some(folder.0.join("data")),
    };
    let offline = Offline::open(serve::load(&args)?).await?;
    let mut tour = Tour {
        caller: offline.caller.clone(),
        output,
        steps: 0,
    };
    let told = tour.tell().await;
    drop(tour);
    offline.close().await;
    told
}

/// A folder that goes away with its owner.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let name = super::password_text(florin_base::IdSource::random_32());
        let path = std::env::temp_dir().join(format!("florin-demo-{name}"));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The folder lies among the temporary ones; the system clears what stays behind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Tour {
    async fn tell(&mut self) -> anyhow::Result<()> {
        let ana = self.wallet("Ana opens a wallet", "ana").await?;
        let bob = self.wallet("Bob opens one, too", "bob").await?;
        let deposit = json!({"amount": "100.00", "referenceId": "salary-1"});
        self.post(
            "Ana is paid 100.00",
            &format!("wallets/{ana}/deposit"),
            &deposit,
        )
        .await?;
        let lunch = json!({"toWalletId": bob, "amount": "12.50", "referenceId": "lunch-1"});
        let transfer = format!("wallets/{ana}/transfer");
        self.post("She pays Bob for lunch", &transfer, &lunch)
            .await?;
        self.post(
            "The same call again, as after a lost answer: nothing moves twice",
            &transfer,
            &lunch,
        )
        .await?;
        let much = json!({"toWalletId": bob, "amount": "1000.00", "referenceId": "boat-1"});
        self.post(
            "More than she has: refused, and nothing changed",
            &transfer,
            &much,
        )
        .await?;
        let hold = json!({"amount": "50.00", "referenceId": "hotel-1"});
        let held = self
            .post(
                "A hotel reserves 50.00",
                &format!("wallets/{ana}/holds"),
                &hold,
            )
            .await?;
        let id = held["id"].as_str().context("a hold without id")?.to_owned();
        let capture = json!({"amount": "42.00", "referenceId": "hotel-bill-1"});
        self.post(
            "The bill is 42.00; the rest is released",
            &format!("holds/{id}/capture"),
            &capture,
        )
        .await?;
        self.get("What she has left", &format!("wallets/{ana}/balance"))
            .await?;
        self.get(
            "Underneath: her account in the ledger, entry by entry",
            &format!("ledger/accounts/florin:wallet:{ana}/history"),
        )
        .await?;
        self.get(
            "Over everything, debits equal credits",
            "ledger/trial-balance",
        )
        .await?;
        if self.output == Output::Text {
            println!(
                "That was real: {} calls, each synced to disk before its answer.",
                self.steps
            );
            println!("Next: florin serve --demo");
        }
        Ok(())
    }

    async fn wallet(&mut self, title: &str, user: &str) -> anyhow::Result<String> {
        let body = json!({"userId": user, "currency": "BRL"});
        let made = self.post(title, "wallets", &body).await?;
        Ok(made["walletId"]
            .as_str()
            .context("a wallet without id")?
            .to_owned())
    }

    async fn post(&mut self, title: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.caller.post(&format!("/api/v1/{path}"), body).await?;
        self.show(title, &Method::POST, path, Some(body), &answer)
    }

    async fn get(&mut self, title: &str, path: &str) -> anyhow::Result<Value> {
        let answer = self.caller.get(&format!("/api/v1/{path}")).await?;
        self.show(title, &Method::GET, path, None, &answer)
    }

    fn show(
        &mut self,
        title: &str,
        method: &Method,
        path: &str,
        request: Option<&Value>,
        answer: &Answer,
    ) -> anyhow::Result<Value> {
        self.steps += 1;
        let body = answer.json()?;
        if answer.status.is_server_error() {
            answer.success().with_context(|| title.to_owned())?;
        }
        let replayed = answer.headers.contains_key("idempotency-replayed");
        let step = Step {
            title,
            method: method.as_str(),
            path: &format!("/api/v1/{path}"),
            request,
            status: answer.status.as_u16(),
            replayed,
            answer: &body,
        };
        self.output.print(&step, || {
            let request = request.map(|body| format!(" {body}")).unwrap_or_default();
            let again = if replayed {
                " (Idempotency-Replayed: true)"
            } else {
                ""
            };
            let shown = serde_json::to_string_pretty(&body).unwrap_or_default();
            let shown: Vec<String> = shown.lines().map(|line| format!("    {line}")).collect();
            format!(
                "{}. {title}\n  {method} /api/v1/{path}{request}\n  {}{again}\n{}\n\n",
                self.steps,
                answer.status,
                shown.join("\n")
            )
        })?;
        std::io::stdout().flush()?;
        Ok(body)
    }
}
