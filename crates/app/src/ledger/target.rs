//! Where a ledger command goes: to a running server over HTTP, or to the files of a stopped one.

use std::io;

use anyhow::Context as _;
use axum::body::{Body, Bytes};
use axum::http::Method;
use clap::Args;
use florin_base::Secret;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::config::{self, ConfigArgs};
use crate::fail::{OrHint as _, failure};
use crate::inproc::InProcess;
use crate::serve::offline::Offline;

/// Bytes on their way.
pub type Bytestream = BoxStream<'static, io::Result<Bytes>>;

/// Options of commands that work on a running server or on files.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// URL of a running server; left out: the files of a stopped one
    #[arg(long, value_name = "URL", requires = "api_key")]
    server: Option<String>,
    /// API key for the server
    #[arg(
        long,
        value_name = "KEY",
        env = "FLORIN_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Certificate to trust, PEM, beside the system's
    #[arg(long, value_name = "FILE", requires = "server")]
    cacert: Option<std::path::PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A server or files.
pub enum Target {
    /// A running server.
    Remote {
        /// The client.
        client: reqwest::Client,
        /// Its URL, without the last slash.
        url: String,
        /// The credential.
        key: Secret<String>,
    },
    /// The files of a stopped one.
    Local(Box<Offline>),
}

impl TargetArgs {
    /// Opens it.
    pub async fn open(&self) -> anyhow::Result<Target> {
        let (Some(url), Some(key)) = (&self.server, &self.api_key) else {
            let loaded = config::load(&self.config, Vec::new())?;
            return Ok(Target::Local(Box::new(Offline::open(loaded).await?)));
        };
        florin_platform::http::client::install_crypto();
        let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &self.cacert {
            let pem =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            builder = builder.tls_certs_merge([reqwest::Certificate::from_pem(&pem)?]);
        }
        Ok(Target::Remote {
            client: builder.build()?,
            url: url.trim_end_matches('/').to_owned(),
            key: Secret::new(key.clone()),
        })
    }
}

impl Target {
    /// Sends bytes and answers the stream of the answer; a refusal is an error.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytestream>,
    ) -> anyhow::Result<Bytestream> {
        match self {
            Self::Remote { client, url, key } => {
                let mut request = client
                    .request(method, format!("{url}{path}"))
                    .header("x-api-key", key.expose());
                if let Some(body) = body {
                    request = request
                        .header("content-type", NDJSON)
                        .body(reqwest::Body::wrap_stream(body));
                }
                let answer = request
                    .send()
                    .await
                    .or_hint("is the server running, and the URL right?")?;
                let good = answer.status().is_success();
                let stream: Bytestream = Box::pin(answer.bytes_stream().map_err(io::Error::other));
                if good {
                    Ok(stream)
                } else {
                    Err(refusal(stream).await)
                }
            }
            Self::Local(offline) => local(&offline.caller, method, path, body).await,
        }
    }

    /// GET, answered whole as JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let stream = self.send(Method::GET, path, None).await?;
        let bytes: Vec<Bytes> = stream.try_collect().await?;
        serde_json::from_slice(&bytes.concat()).context("the answer is no JSON")
    }

    /// Closes the files.
    pub async fn close(self) {
        if let Self::Local(offline) = self {
            offline.close().await;
        }
    }
}

/// Lines of JSON.
const NDJSON: &str = "application/x-ndjson";

async fn local(
    caller: &InProcess,
    method: Method,
    path: &str,
    body: Option<Bytestream>,
) -> anyhow::Result<Bytestream> {
    let body = body.map_or_else(Body::empty, Body::from_stream);
    let answer = caller.send(method, path, NDJSON, body).await?;
    let good = answer.status().is_success();
    let stream: Bytestream = Box::pin(
        answer
            .into_body()
            .into_data_stream()
            .map_err(io::Error::other),
    );
    if good {
        Ok(stream)
    } else {
        Err(refusal(stream).await)
    }
}

/// What the server said instead of answering.
async fn refusal(stream: Bytestream) -> anyhow::Error {
    let bytes: Vec<Bytes> = stream.try_collect().await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes.concat()).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or("no code");
    let detail = body["detail"].as_str().unwrap_or("no detail");
    let hint = match code {
        "unauthenticated" => "give a key that is not revoked: --api-key or FLORIN_API_KEY",
        "forbidden" => "this needs a key of role admin (export: also auditor)",
        _ => "the trace id of the answer leads to the server's log",
    };
    failure(format!("{code}: {detail}"), hint)
}
