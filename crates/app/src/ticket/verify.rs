//! `florin ticket verify`: a holder's receipt against the log's key (contract D6).

use std::path::PathBuf;

use clap::Args;
use florin_ledger::proof::{Hash, VerifierKey};
use florin_ticketing::model::provenance::{ProofError, Proven, Receipt, prove};
use serde::Deserialize;
use serde_json::json;

use super::{read, unreadable};
use crate::fail::with_code;
use crate::out::Output;

/// Verify a ticket's receipt. Exit 0: valid, 1: invalid, 2: unreadable
#[derive(Debug, Args)]
pub struct Verify {
    /// What GET /api/v1/tickets/{id}/proof answered
    #[arg(long, value_name = "FILE")]
    receipt: PathBuf,
    /// Key of the log, known from elsewhere than the receipt: name+keyid+base64
    #[arg(long, value_name = "VKEY")]
    key: String,
    /// A checkpoint kept from before: the signed note, or {"note", "path"} with the hashes of
    /// GET /api/v1/provenance/consistency where its size differs from the receipt's
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// A kept checkpoint with its way to the receipt's.
#[derive(Debug, Deserialize)]
struct Kept {
    note: String,
    #[serde(default)]
    path: Vec<Hash>,
}

impl Verify {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let receipt: Receipt = serde_json::from_slice(&read(&self.receipt)?)
            .map_err(|error| unreadable(format!("the receipt: {error}")))?;
        let key: VerifierKey = self
            .key
            .parse()
            .map_err(|error| unreadable(format!("the key: {error}")))?;
        let kept = self.checkpoint.as_deref().map(kept).transpose()?;
        let kept = kept
            .as_ref()
            .map(|kept| (kept.note.as_str(), kept.path.as_slice()));
        match prove(&receipt, &key, kept) {
            Ok(proven) => {
                show(output, &proven)?;
                Ok(0)
            }
            Err(ProofError::Unreadable(text)) => Err(unreadable(text)),
            Err(ProofError::Invalid(text)) => Err(with_code(format!("invalid: {text}"), None, 1)),
        }
    }
}

fn kept(path: &std::path::Path) -> anyhow::Result<Kept> {
    let bytes = read(path)?;
    if let Ok(kept) = serde_json::from_slice(&bytes) {
        return Ok(kept);
    }
    let note = String::from_utf8(bytes)
        .map_err(|_| unreadable(format!("{}: no signed note", path.display())))?;
    let path = Vec::new();
    Ok(Kept { note, path })
}

fn show(output: Output, proven: &Proven) -> anyhow::Result<()> {
    let kinds: Vec<Option<&str>> = proven
        .kinds
        .iter()
        .map(|kind| kind.map(|kind| kind.as_str()))
        .collect();
    let status = proven.status.map(|status| status.as_str());
    let value = json!({
        "valid": true,
        "ticketId": proven.ticket_id,
        "status": status,
        "transitions": kinds,
        "logId": proven.checkpoint.log_id,
        "size": proven.checkpoint.size,
        "rootHash": proven.checkpoint.root,
    });
    let text = || {
        let ticket = proven.ticket_id.as_deref().unwrap_or("(not shown)");
        let words: Vec<&str> = kinds
            .iter()
            .map(|kind| kind.unwrap_or("(hidden)"))
            .collect();
        format!(
            "valid\nticket  {ticket}\nstatus  {}\nsteps   {}\nlog     {} with {} leaves\n",
            status.unwrap_or("(not shown)"),
            words.join(", "),
            proven.checkpoint.log_id,
            proven.checkpoint.size,
        )
    };
    output.print(&value, text)?;
    Ok(())
}
