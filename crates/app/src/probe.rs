//! `florin probe`: one request to a running process, for health checks in images without a shell.
//!
//! Invariant: a certificate that nobody signed is accepted from this machine alone, where the
//! process makes a new one at each start (deployment contract, DEP-105).

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use serde::Serialize;

use crate::cli::block_on;
use crate::fail::failure;
use crate::out::Output;

/// Ask a running process whether it is alive or ready; exit code 0 when it answers 200
///
/// Made for health checks inside a container. Exit code 1: it answered something else, or
/// nothing.
#[derive(Debug, Args)]
pub struct Probe {
    /// What to ask: /health, /ready, or any other URL that needs no credential
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/ready"
    )]
    url: Url,
    /// Seconds to wait for the whole answer
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Answer {
    ok: bool,
    status: Option<u16>,
    what: String,
}

/// Whether the URL names this machine by a loopback address or `localhost`.
fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

impl Probe {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(failure(
                format!("{} is not a web address", self.url),
                "florin probe --url https://127.0.0.1:8443/ready",
            ));
        }
        let answer = block_on(async { Ok(self.ask().await) })?;
        output.print(&answer, || answer.what.clone())?;
        Ok(u8::from(!answer.ok))
    }

    async fn ask(&self) -> Answer {
        match self.status().await {
            Ok(status) => Answer {
                ok: status == 200,
                status: Some(status),
                what: format!("{}: {status}", self.url),
            },
            Err(error) => Answer {
                ok: false,
                status: None,
                what: format!("{}: no answer: {error:#}", self.url),
            },
        }
    }

    async fn status(&self) -> anyhow::Result<u16> {
        florin_platform::http::client::install_crypto();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(self.timeout))
            .tls_danger_accept_invalid_certs(is_local(&self.url))
            .build()?;
        Ok(client.get(self.url.clone()).send().await?.status().as_u16())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn only_this_machine_may_show_any_certificate() {
        for here in [
            "https://127.0.0.1:8443/",
            "https://[::1]/",
            "https://localhost/",
        ] {
            assert!(is_local(&url(here)), "{here}");
        }
        for elsewhere in [
            "https://10.0.0.1/",
            "https://localhost.example.com/",
            "https://127.0.0.1.example.com/",
        ] {
            assert!(!is_local(&url(elsewhere)), "{elsewhere}");
        }
    }

    async fn answered(line: &'static str) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("the probe");
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await.expect("a request");
            let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("answered");
        });
        let probe = Probe {
            url: url(&format!("http://{address}/ready")),
            timeout: 3,
        };
        probe.ask().await
    }

    #[tokio::test]
    async fn two_hundred_is_well_and_all_else_is_not() {
        let well = answered("200 OK").await;
        assert!(well.ok && well.status == Some(200), "{well:?}");
        let ill = answered("503 Service Unavailable").await;
        assert!(!ill.ok && ill.status == Some(503), "{ill:?}");
    }

    #[tokio::test]
    async fn nobody_there_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let probe = Probe {
            url: url(&format!("http://{address}/health")),
            timeout: 1,
        };
        let answer = probe.ask().await;
        assert!(!answer.ok && answer.status.is_none(), "{answer:?}");
    }
}
