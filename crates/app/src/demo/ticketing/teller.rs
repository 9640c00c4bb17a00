//! Tells a story over HTTP: each step is a call, checked and printed with what matters of its
//! answer.

use anyhow::{Context as _, bail};
use axum::http::Method;
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::out::Output;

/// Somebody in the story, with a credential.
#[derive(Debug, Clone)]
pub struct Person {
    /// As the story calls him.
    pub name: String,
    header: (&'static str, String),
}

impl Person {
    /// With an API key.
    pub fn with_key(name: &str, key: &str) -> Self {
        Self {
            name: name.to_owned(),
            header: ("x-api-key", key.to_owned()),
        }
    }

    /// With an access token.
    pub fn with_token(name: &str, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            header: ("authorization", format!("Bearer {token}")),
        }
    }

    /// A GET of his; the path without `/api/v1`.
    pub fn get(&self, path: impl Into<String>) -> Ask {
        self.ask(Method::GET, path, None)
    }

    /// A POST of his.
    pub fn post(&self, path: impl Into<String>, body: Value) -> Ask {
        self.ask(Method::POST, path, Some(body))
    }

    /// A PATCH of his.
    pub fn patch(&self, path: impl Into<String>, body: Value) -> Ask {
        self.ask(Method::PATCH, path, Some(body))
    }

    /// A PUT of his.
    pub fn put(&self, path: impl Into<String>, body: Value) -> Ask {
        self.ask(Method::PUT, path, Some(body))
    }

    fn ask(&self, method: Method, path: impl Into<String>, body: Option<Value>) -> Ask {
        Ask {
            who: self.clone(),
            method,
            path: path.into(),
            body,
            key: None,
            shows: &[],
        }
    }
}

/// A call that is to be made.
#[derive(Debug, Clone)]
pub struct Ask {
    who: Person,
    method: Method,
    path: String,
    body: Option<Value>,
    key: Option<&'static str>,
    shows: &'static [&'static str],
}

impl Ask {
    /// Under an idempotency key of this run: the same step again has no second effect.
    pub fn once(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    /// Members of the answer that are printed, such as `amounts.total`.
    pub fn shows(mut self, members: &'static [&'static str]) -> Self {
        self.shows = members;
        self
    }
}

/// What a call answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// It was the first answer again.
    pub replayed: bool,
    /// Its body, null without one.
    pub body: Value,
}

impl Answer {
    /// The code of a refusal.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// One step as a program sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step<'a> {
    step: usize,
    title: &'a str,
    who: &'a str,
    method: &'a str,
    path: &'a str,
    status: u16,
    replayed: bool,
    shows: &'a Map<String, Value>,
}

/// The teller.
pub struct Teller {
    outgoing: Outgoing,
    url: String,
    /// Name of this run: its keys begin with it.
    pub run: String,
    output: Output,
    steps: usize,
}

impl Teller {
    /// Talks to a server.
    ///
    /// # Errors
    /// No client can be made.
    pub fn new(url: &str, run: String, output: Output) -> anyhow::Result<Self> {
        Ok(Self {
            outgoing: Outgoing::new(&ClientConfig::new(Targets::Any))?,
            url: url.trim_end_matches('/').to_owned(),
            run,
            output,
            steps: 0,
        })
    }

    /// Makes a call and prints nothing.
    ///
    /// # Errors
    /// No answer, or one that is no JSON.
    pub async fn ask(&self, ask: &Ask) -> anyhow::Result<Answer> {
        let url = format!("{}/api/v1/{}", self.url, ask.path);
        let (name, value) = &ask.who.header;
        let mut request = self.outgoing.request(ask.method.clone(), &url)?;
        request = request.header(*name, value);
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", format!("demo-{}-{key}", self.run));
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let answer = answer.with_context(|| format!("{} does not answer", self.url))?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        let bytes = answer.bytes().await?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => {
                serde_json::from_slice(&bytes).with_context(|| format!("{url} answered no JSON"))?
            }
        };
        Ok(Answer {
            status,
            replayed,
            body,
        })
    }

    /// Makes a call that must succeed and prints nothing; its body.
    ///
    /// # Errors
    /// As [`Self::ask`], and a refusal.
    pub async fn must(&self, ask: &Ask) -> anyhow::Result<Value> {
        let answer = self.ask(ask).await?;
        if answer.status >= 300 {
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            let (status, code) = (answer.status, answer.code());
            bail!("{} {}: {status} {code}: {detail}", ask.method, ask.path);
        }
        Ok(answer.body)
    }

    /// A step of the story: makes a call that must succeed, prints it, answers its body.
    ///
    /// # Errors
    /// As [`Self::must`], with the title.
    pub async fn tell(&mut self, title: &str, ask: Ask) -> anyhow::Result<Value> {
        let answer = self.ask(&ask).await.with_context(|| title.to_owned())?;
        if answer.status >= 300 {
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            bail!("{title}: {} {}: {detail}", answer.status, answer.code());
        }
        self.print(title, &ask, &answer)?;
        Ok(answer.body)
    }

    fn print(&mut self, title: &str, ask: &Ask, answer: &Answer) -> anyhow::Result<()> {
        self.steps += 1;
        let mut shows = Map::new();
        for member in ask.shows {
            let found =
                member
                    .split('.')
                    .fold(&answer.body, |at, name| match name.parse::<usize>() {
                        Ok(index) => &at[index],
                        Err(_) => &at[name],
                    });
            shows.insert((*member).to_owned(), found.clone());
        }
        let path = format!("/api/v1/{}", ask.path);
        let step = Step {
            step: self.steps,
            title,
            who: &ask.who.name,
            method: ask.method.as_str(),
            path: &path,
            status: answer.status,
            replayed: answer.replayed,
            shows: &shows,
        };
        self.output.print(&step, || {
            let again = if answer.replayed {
                ", as the first time"
            } else {
                ""
            };
            let mut text = format!(
                "{:>2}. {title}\n    {}: {} {path} → {}{again}\n",
                self.steps, ask.who.name, ask.method, answer.status
            );
            for (name, value) in &shows {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                text.push_str(&format!("      {name} {value}\n"));
            }
            text
        })?;
        Ok(())
    }

    /// The figures at the end, as one document: name, what the report says, what the ledger says.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn figures(&self, rows: &[(String, String, String)]) -> anyhow::Result<()> {
        let items: Vec<Value> = rows
            .iter()
            .map(|(name, report, ledger)| json!({"figure": name, "report": report, "ledger": ledger}))
            .collect();
        self.output.print(&json!({"figures": items}), || {
            let rows: Vec<Vec<String>> = rows
                .iter()
                .map(|(name, report, ledger)| vec![name.clone(), report.clone(), ledger.clone()])
                .collect();
            format!(
                "\n{}",
                crate::out::table(&["FIGURE", "REPORT", "LEDGER"], &rows)
            )
        })?;
        Ok(())
    }
}
