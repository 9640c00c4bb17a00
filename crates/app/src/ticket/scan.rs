//! `florin ticket scan`: the gate without a network (contract D4).

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use florin_base::{Clock as _, IdSource, SystemClock, Timestamp};
use florin_ticketing::model::bundle::{Bundle, BundleError};
use florin_ticketing::model::offline::{Answer, First, Memory, Scanner, remember};
use florin_ticketing::model::scan::{Direction, Reason};
use florin_ticketing::model::token::{PublicKey, Token};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{read, unreadable};
use crate::out::Output;

/// Judge a ticket by a scan bundle. Exit 0: admitted, 1: denied, 2: unreadable
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// The bundle: {"signature": …, "bundle": …}, body as it was sent
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Text of the QR code
    #[arg(long, value_name = "TEXT")]
    token: String,
    /// The event's public key in hex, known from elsewhere than the bundle
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// When; now if left out
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Area, 0 to 15; not checked if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..16))]
    area: Option<u8>,
    /// Which way
    #[arg(long, value_enum, default_value_t)]
    direction: Way,
    /// What this gate has seen so far; made when it is missing. Its scans can be sent to
    /// POST /api/v1/events/{id}/check-ins/batch as they are
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Name of this scanner, for the state
    #[arg(long, value_name = "ID", default_value = "florin-cli")]
    device: String,
    /// Name of this gate, for the state
    #[arg(long, value_name = "NAME")]
    gate: Option<String>,
}

/// Which way somebody walks.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Way {
    /// Into the venue
    #[default]
    In,
    /// Out of it
    Out,
}

/// What this gate has seen: the scans of a batch upload.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    scans: Vec<Seen>,
}

/// A scan, as it is uploaded.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Seen {
    token: String,
    nonce: String,
    device_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<u8>,
    direction: String,
    scanned_at: Timestamp,
    stale_bundle: bool,
    result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl State {
    fn load(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| unreadable(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unreadable(format!("{}: {error}", path.display()))),
        }
    }

    /// Who has passed here.
    fn memory(&self) -> Memory {
        let mut memory = Memory::new();
        for seen in self.scans.iter().filter(|seen| seen.result == "admitted") {
            let way = Direction::from_word(&seen.direction);
            if let (Ok(token), Some(way)) = (Token::parse(&seen.token), way) {
                let first = First {
                    at: seen.scanned_at,
                    gate: seen.gate.clone(),
                    device_id: Some(seen.device_id.clone()),
                };
                remember(&mut memory, token.claims.ticket_id, first, way);
            }
        }
        memory
    }

    /// Written beside and renamed: a scanner that loses power keeps the last whole state.
    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let beside = path.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        std::fs::File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, path)?;
        Ok(())
    }
}

impl ScanArgs {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let pinned = self.key.as_deref().map(|text| {
            PublicKey::from_hex(text).ok_or_else(|| unreadable("the key is no public key in hex"))
        });
        let pinned = pinned.transpose()?;
        let bundle = Bundle::open(&read(&self.bundle)?, pinned.as_ref());
        let bundle = bundle.map_err(|error: BundleError| unreadable(error.to_string()))?;
        let at = match &self.at {
            Some(text) => {
                Timestamp::parse(text).map_err(|error| unreadable(format!("--at: {error}")))?
            }
            None => Timestamp(SystemClock.wall_micros()),
        };
        let mut state = match &self.state {
            Some(path) => State::load(path)?,
            None => State::default(),
        };
        let way = match self.direction {
            Way::In => Direction::In,
            Way::Out => Direction::Out,
        };
        let scanner = Scanner::new(&bundle);
        let token = self.token.trim();
        let answer = scanner.judge(&state.memory(), token, at.0, self.area, way);
        if let Some(path) = &self.state {
            state.scans.push(self.seen(token, at, way, &answer));
            state.save(path)?;
        }
        show(output, &answer)?;
        Ok(match answer.reason {
            Reason::Ok => 0,
            Reason::Malformed => super::UNREADABLE,
            _ => 1,
        })
    }

    fn seen(&self, token: &str, at: Timestamp, way: Direction, answer: &Answer) -> Seen {
        let admitted = answer.reason.is_admitted();
        Seen {
            token: token.to_owned(),
            nonce: IdSource::new()
                .uuid_v7(SystemClock.wall_micros())
                .to_string(),
            device_id: self.device.clone(),
            gate: self.gate.clone(),
            area: self.area,
            direction: way.as_str().to_owned(),
            scanned_at: at,
            stale_bundle: answer.stale,
            result: if admitted { "admitted" } else { "denied" }.to_owned(),
            reason: (!admitted).then(|| answer.reason.as_str().to_owned()),
        }
    }
}

fn show(output: Output, answer: &Answer) -> anyhow::Result<()> {
    if answer.stale {
        eprintln!("warning: the bundle is older than 24 hours; fetch a new one when you can");
    }
    let result = match answer.reason.is_admitted() {
        true => "admitted",
        false => "denied",
    };
    let ticket = answer.claims.map(|claims| claims.ticket_id);
    let value = json!({
        "result": result,
        "reason": answer.reason.as_str(),
        "ticketId": ticket,
        "first": answer.first,
        "staleBundle": answer.stale,
    });
    let text = || {
        let mut line = format!("{result}: {}", answer.reason.as_str());
        if let Some(ticket) = ticket {
            line.push_str(&format!(" (ticket {ticket})"));
        }
        if let Some(first) = &answer.first {
            let gate = first.gate.as_deref().unwrap_or("elsewhere");
            line.push_str(&format!(", first at {} ({gate})", first.at));
        }
        line
    };
    output.print(&value, text)?;
    Ok(())
}
