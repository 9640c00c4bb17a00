//! `florin fake-stripe` and `florin dev stripe`: a card payment provider for development.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::{Args, Subcommand};
use florin_base::SystemClock;
use florin_platform::http::shutdown;
use florin_ticketing::fake_stripe::{FakeStripe as Fake, PUBLISHABLE_KEY, SECRET_KEY};
use serde_json::json;

use crate::fail::OrHint as _;
use crate::out::Output;

/// A card payment provider for development: speaks Stripe's protocol, and moves no money. Its state
/// ends with it
#[derive(Debug, Args)]
pub struct FakeStripe {
    /// Address to listen on; port 0 picks a free one. Whoever reaches it may do anything with it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// Address that is told of everything, such as
    /// <http://127.0.0.1:8080/api/v1/payments/stripe/webhook>
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Secret that the webhook's signatures are made with; made up without it
    #[arg(long, value_name = "SECRET", requires = "webhook")]
    webhook_secret: Option<String>,
}

/// Tools for development
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    Stripe(FakeStripe),
}

impl DevCommand {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        match self {
            Self::Stripe(command) => command.run(output),
        }
    }
}

impl FakeStripe {
    /// Serves until it is told to stop.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        super::block_on(async move {
            let fake = Fake::bind(self.listen, Arc::new(SystemClock))
                .or_hint("another address can be given with --listen")?;
            let secret = match (&self.webhook, self.webhook_secret) {
                (Some(url), Some(secret)) => {
                    fake.add_webhook_with(url, &secret);
                    Some(secret)
                }
                (Some(url), None) => Some(fake.add_webhook(url)),
                (None, _) => None,
            };
            let base = fake.base_url().to_owned();
            let told = json!({
                "baseUrl": base,
                "secretKey": SECRET_KEY,
                "publishableKey": PUBLISHABLE_KEY,
                "webhookSecret": secret,
            });
            output.print(&told, || {
                let mut text = format!(
                    "Listens on {base}\nSecret key {SECRET_KEY}\nPublishable key {PUBLISHABLE_KEY}\n"
                );
                if let Some(secret) = &secret {
                    text.push_str(&format!("Webhook secret {secret}\n"));
                }
                text
            })?;
            let (_trigger, ended) = shutdown::on_signals()?;
            fake.serve(ended).await;
            Ok(0)
        })
    }
}
