//! What lies outside of this machine: brokers, the bucket, stores of secrets.

use std::sync::Arc;

use florin_base::{IdSource, SystemClock};
use florin_platform::blobs::{self, Blobs, Key, Put};
use florin_platform::bus;
use florin_platform::http::client::install_crypto;

use super::{Finding, bad, ok};
use crate::cli::block_on;
use crate::config::secret::count_of_stores;
use crate::config::{Config, Loaded};
use crate::serve::parts::BLOBS_FOLDER;

/// Bytes of the blob that is written and removed.
const CANARY: &str = "florin doctor";

/// All findings about them; only about what is configured.
pub fn examine(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The configuration was loaded, so that every reference has been followed.
    match count_of_stores(&loaded.layers.nested()) {
        0 => {}
        1 => findings.push(ok("secrets", "one reference to a store, and it was read")),
        count => findings.push(ok(
            "secrets",
            format!("{count} references to stores, all read"),
        )),
    }
    findings.extend(broker(&loaded.config));
    findings.extend(bucket(loaded));
    findings
}

fn broker(config: &Config) -> Option<Finding> {
    if config.bus.url.is_empty() {
        return None;
    }
    let bus = match bus::open(&config.bus, Arc::new(SystemClock)) {
        Ok(bus) => bus,
        Err(error) => return Some(bad("bus", error.to_string(), error.remedy)),
    };
    let looked = block_on(async { Ok(bus.probe().await) });
    Some(match looked {
        Ok(Ok(())) => ok(
            "bus",
            format!("{} answers and has the topics", config.bus.url),
        ),
        Ok(Err(error)) => {
            let remedy = match error.0.contains("does not exist") {
                true => "florin kafka topics apply makes the topics",
                false => {
                    "brokers, their addresses and the network: the addresses that brokers advertise must be reachable from here; kafkas:// where they want TLS, with bus.tls_ca for an authority of your own"
                }
            };
            bad("bus", format!("{}: {}", config.bus.url, error.0), remedy)
        }
        Err(error) => bad(
            "bus",
            format!("{error:#}"),
            "see the limits of this process",
        ),
    })
}

fn bucket(loaded: &Loaded) -> Option<Finding> {
    let settings = &loaded.config.blobs;
    if settings.url.is_empty() {
        return None;
    }
    install_crypto();
    let folder = loaded.data_dir().ok()?.join(BLOBS_FOLDER);
    let key = IdSource::random_32();
    let clock = Arc::new(SystemClock);
    let opened = match blobs::open(settings, &folder, &key, "", clock) {
        Ok(opened) => opened,
        Err(error) => return Some(bad("blobs", error.to_string(), error.remedy)),
    };
    let tried = block_on(async { Ok(canary(&opened).await) });
    Some(match tried {
        Ok(Ok(())) => ok(
            "blobs",
            format!("{} takes, gives back and removes a blob", settings.url),
        ),
        Ok(Err((step, why))) => bad(
            "blobs",
            format!("{}: {step}: {why}", settings.url),
            "the bucket must exist in this region, and the role of the server needs s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket on it",
        ),
        Err(error) => bad(
            "blobs",
            format!("{error:#}"),
            "see the limits of this process",
        ),
    })
}

/// Writes, reads and removes one blob; answers the step that failed.
async fn canary(blobs: &Blobs) -> Result<(), (&'static str, String)> {
    let name = format!("florin-doctor/{:02x?}", &IdSource::random_32()[..4]);
    let name: String = name.chars().filter(|c| !"[], ".contains(*c)).collect();
    let key = Key::parse(&name).map_err(|error| ("name", error.to_string()))?;
    let put = blobs.put(&key, CANARY, &Put::default()).await;
    put.map_err(|error| ("write", error.to_string()))?;
    let got = blobs.get(&key, 1_024).await;
    let got = got.map_err(|error| ("read", error.to_string()))?;
    let removed = blobs.delete(&key).await;
    removed.map_err(|error| ("remove", error.to_string()))?;
    match got == CANARY {
        true => Ok(()),
        false => Err(("read", "other bytes came back".to_owned())),
    }
}
