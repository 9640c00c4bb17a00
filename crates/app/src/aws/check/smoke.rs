//! `florin aws check --smoke`: a cent goes between two wallets of the user `florin-smoke`, is asked
//! for twice, and comes back; then the books are summed (deploy.sh, "after").

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{Finding, text};

const CHECK: &str = "smoke";
/// Owner of the two wallets.
const USER: &str = "florin-smoke";
const CURRENCY: &str = "POINTS";

struct Smoke<'a> {
    http: Client,
    base: &'a str,
    key: &'a str,
    /// Makes the references of this run its own.
    run: i64,
}

/// Why it stopped.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{0}: {1}")]
    Silent(&'static str, reqwest::Error),
    #[error("{0}: {1}, {2}")]
    Refused(&'static str, StatusCode, String),
    #[error("{0}: {1}")]
    Wrong(&'static str, String),
}

/// Does it; one finding for each step that was taken.
pub async fn run(base: Option<&str>, key: &str, now_micros: i64) -> Vec<Finding> {
    let Some(base) = base else {
        return vec![Finding::unknown(CHECK, "no address is known")];
    };
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10));
    let Ok(http) = builder.build() else {
        return vec![Finding::unknown(CHECK, "no HTTP client")];
    };
    let smoke = Smoke {
        http,
        base: base.trim_end_matches('/'),
        key,
        run: now_micros,
    };
    let mut done = Vec::new();
    let outcome = smoke.steps(&mut done).await;
    let mut findings: Vec<Finding> = done
        .into_iter()
        .map(|step| Finding::judged(CHECK, true, step))
        .collect();
    if let Err(stopped) = outcome {
        findings.push(Finding::judged(CHECK, false, stopped.to_string()));
    }
    findings
}

impl Smoke<'_> {
    async fn steps(&self, done: &mut Vec<&'static str>) -> Result<(), Stopped> {
        let (one, two) = (self.wallet("a").await?, self.wallet("b").await?);
        done.push("two wallets are there");
        let money = json!({"amount": "2", "referenceId": self.reference("deposit")});
        self.post("deposit", &format!("/api/v1/wallets/{one}/deposit"), &money)
            .await?;
        done.push("a deposit was taken");
        let before = (self.balance(&one).await?, self.balance(&two).await?);
        let money = json!({"amount": "1", "destinationWalletId": two, "referenceId": self.reference("transfer")});
        let path = format!("/api/v1/wallets/{one}/transfer");
        let first = self.post("transfer", &path, &money).await?;
        let again = self.post("repeated transfer", &path, &money).await?;
        let id = text(&first, "id").to_owned();
        let same = !id.is_empty() && id == text(&again, "id");
        expect("repeated transfer", same, || {
            "another transaction came of it".to_owned()
        })?;
        done.push("a transfer was made, and once though it was sent twice");
        let path = format!("/api/v1/transactions/{id}/reverse");
        let why = json!({"reason": "the check's own transfer goes back"});
        self.post("reversal", &path, &why).await?;
        let after = (self.balance(&one).await?, self.balance(&two).await?);
        expect("reversal", before == after, || {
            format!("balances are {after:?}, were {before:?}")
        })?;
        done.push("the transfer was reversed, and both balances are what they were");
        let path = format!("/api/v1/wallets/{one}/withdraw");
        let money = json!({"amount": "2", "referenceId": self.reference("withdraw")});
        self.post("withdrawal", &path, &money).await?;
        let books = self
            .get("trial balance", "/api/v1/ledger/trial-balance")
            .await?;
        let sides = |row: &Value| text(row, "debitsPosted") == text(row, "creditsPosted");
        let rows = super::array(&books, "assets");
        let balanced = !rows.is_empty() && rows.iter().all(sides);
        expect("trial balance", balanced, || {
            "debits and credits differ".to_owned()
        })?;
        done.push("debits equal credits for every asset");
        Ok(())
    }

    fn reference(&self, step: &str) -> String {
        format!("smoke-{}-{step}", self.run)
    }

    /// The same wallet at each run: its reference is its identity.
    async fn wallet(&self, which: &str) -> Result<String, Stopped> {
        let reference = format!("{USER}-{which}");
        let body = json!({"userId": USER, "currency": CURRENCY, "referenceId": reference});
        let made = self.post("wallet", "/api/v1/wallets", &body).await?;
        let id = text(&made, "id").to_owned();
        expect("wallet", !id.is_empty(), || "it has no id".to_owned())?;
        Ok(id)
    }

    async fn balance(&self, wallet: &str) -> Result<String, Stopped> {
        let found = self
            .get("balance", &format!("/api/v1/wallets/{wallet}/balance"))
            .await?;
        let balance = found.get("balance").map(Value::to_string);
        balance.ok_or_else(|| Stopped::Wrong("balance", "the answer has none".to_owned()))
    }

    async fn post(&self, step: &'static str, path: &str, body: &Value) -> Result<Value, Stopped> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        self.send(step, request).await
    }

    async fn get(&self, step: &'static str, path: &str) -> Result<Value, Stopped> {
        self.send(step, self.http.get(format!("{}{path}", self.base)))
            .await
    }

    async fn send(
        &self,
        step: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<Value, Stopped> {
        let silent = |error| Stopped::Silent(step, error);
        let answer = request
            .header("x-api-key", self.key)
            .send()
            .await
            .map_err(silent)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(silent)?;
        match status.is_success() {
            true => Ok(body),
            false => Err(Stopped::Refused(
                step,
                status,
                text(&body, "code").to_owned(),
            )),
        }
    }
}

fn expect(step: &'static str, ok: bool, why: impl FnOnce() -> String) -> Result<(), Stopped> {
    match ok {
        true => Ok(()),
        false => Err(Stopped::Wrong(step, why())),
    }
}
