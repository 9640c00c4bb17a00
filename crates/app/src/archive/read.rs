//! `florin dr archived`: the archived feed, held against its signatures, and written as one file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use florin_base::SystemClock;
use florin_ledger::proof::{Frontier, VerifierKey};
use florin_ledger::verify::read_keys;
use florin_platform::blobs::{BlobError, Blobs, Key};
use serde_json::json;
use uuid::Uuid;

use super::segment::{self, Manifest, PACKED_MAX, Segment};
use super::{MANIFEST_MAX, at};
use crate::cli::block_on;
use crate::config::{self, ConfigArgs};
use crate::fail::{failure, hint_of, with_code};
use crate::out::Output;

/// Exit code when the archive is damaged.
const DAMAGED: u8 = 1;
/// Exit code when nothing can be said of it.
const COULD_NOT: u8 = 2;

/// Read the archived feed, hold every segment against its signed checkpoint, write its lines
///
/// What comes out is what `florin dr lost --feed` and `florin ledger verify --export` read. Exit
/// code 0: whole; 1: damaged, the first bad segment is named; 2: could not run.
#[derive(Debug, Args)]
pub struct Archived {
    /// The archive; left out: `archive.url` of the configuration
    #[arg(long, value_name = "URL|DIR")]
    archive: Option<String>,
    /// Identity of the ledger; left out: the only one in the archive
    #[arg(long, value_name = "ID")]
    ledger: Option<Uuid>,
    /// Keys that must have signed: verifier keys, one a line, or the answer of the key route
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Write all lines to this file
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What came of it.
struct Read {
    segments: u64,
    tree: Frontier,
    /// Of the first segment that does not hold: its name and why.
    damage: Option<(String, String)>,
}

impl Archived {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        // Who runs this by a timer tells what is damaged from what did not answer.
        self.found(output).map_err(|error| {
            let hint = hint_of(&error).map(str::to_owned);
            with_code(format!("{error:#}"), hint, COULD_NOT)
        })
    }

    fn found(&self, output: Output) -> anyhow::Result<u8> {
        let loaded = config::load(&self.config, Vec::new())?;
        let clock = Arc::new(SystemClock);
        let config = &loaded.config;
        let url = self.archive.as_ref().unwrap_or(&config.archive.url);
        if url.is_empty() {
            return Err(failure(
                "no archive is configured",
                "name it with --archive",
            ));
        }
        let folder = Path::new(url);
        // Who reads makes no archive.
        if folder.is_absolute() && !folder.is_dir() {
            return Err(failure(
                format!("there is no folder {url}"),
                "name another with --archive",
            ));
        }
        let store = at(url, &config.blobs, clock)?;
        let keys = match &self.key {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                read_keys(&text).map_err(|error| failure(error, "florin dr archived --help"))?
            }
            None => Vec::new(),
        };
        let (ledger, read) = block_on(async {
            let ledger = match self.ledger {
                Some(ledger) => ledger,
                None => only(&store).await?,
            };
            let read = self.read(&store, ledger, &keys).await?;
            anyhow::Ok((ledger, read))
        })?;
        let (records, root) = (read.tree.size(), read.tree.root());
        let signed = !keys.is_empty();
        let damage = read.damage.as_ref();
        output.print(
            &json!({
                "ledgerId": ledger,
                "segments": read.segments,
                "records": records,
                "rootHash": root,
                "signaturesChecked": signed,
                "damage": damage.map(|(name, why)| json!({"segment": name, "why": why})),
            }),
            || {
                let mut lines = vec![format!(
                    "{records} records in {} segments of ledger {ledger}\nroot {root}",
                    read.segments
                )];
                if !signed {
                    lines.push("signatures were not looked at: give the keys with --key".into());
                }
                lines.push(match damage {
                    None => "whole".into(),
                    Some((name, why)) => format!("DAMAGED: {name}: {why}"),
                });
                lines.join("\n")
            },
        )?;
        Ok(if damage.is_none() { 0 } else { DAMAGED })
    }

    async fn read(
        &self,
        store: &Blobs,
        ledger: Uuid,
        keys: &[VerifierKey],
    ) -> anyhow::Result<Read> {
        let mut file = match &self.to_file {
            Some(path) => {
                let made = std::fs::File::create_new(path);
                Some(made.with_context(|| path.display().to_string())?)
            }
            None => None,
        };
        let mut read = Read {
            segments: 0,
            tree: Frontier::new(),
            damage: None,
        };
        loop {
            let first = read.tree.size() + 1;
            let name = segment::manifest_key(ledger, first)?;
            let manifest = match store.get(&name, MANIFEST_MAX).await {
                Ok(manifest) => manifest,
                Err(BlobError::NotFound(_)) => {
                    read.damage = missing(store, ledger, first).await?;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let lines = segment::lines_key(ledger, first)?;
            let found = whole(store, &manifest, &lines).await?;
            let checked = found.and_then(|one| {
                let checked = one.check(ledger, &mut read.tree, keys);
                checked.map(|()| one).map_err(|error| error.to_string())
            });
            match checked {
                Ok(one) => {
                    if let Some(file) = &mut file {
                        file.write_all(&one.lines)?;
                    }
                    read.segments += 1;
                }
                Err(why) => {
                    read.damage = Some((lines.to_string(), why));
                    break;
                }
            }
        }
        if let Some(file) = &mut file {
            file.sync_all()?;
        }
        if read.segments == 0 && read.damage.is_none() {
            let hint = "the first segment of a ledger begins at record 1";
            let what = format!("the archive has nothing of ledger {ledger}");
            return Err(failure(what, hint));
        }
        Ok(read)
    }
}

/// No segment begins at this record: the end, unless the archive goes on behind it. Lines alone
/// are the end too: their manifest comes when the worker does.
async fn missing(
    store: &Blobs,
    ledger: Uuid,
    first: u64,
) -> anyhow::Result<Option<(String, String)>> {
    let folder = Key::parse(&ledger.to_string()).context("a name")?;
    let lines = segment::lines_key(ledger, first)?;
    let behind = store.list(Some(&folder), Some(&lines), 1).await?;
    Ok(behind.first().map(|later| {
        let manifest = segment::manifest_key(ledger, first)
            .map_or_else(|_| lines.to_string(), |manifest| manifest.to_string());
        let why = format!("it is missing, and the archive goes on with {}", later.key);
        (manifest, why)
    }))
}

/// Both objects of a segment; the inner error says what is wrong with them.
async fn whole(
    store: &Blobs,
    manifest: &[u8],
    lines: &Key,
) -> anyhow::Result<Result<Segment, String>> {
    let manifest: Manifest = match serde_json::from_slice(manifest) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Err(format!("its manifest cannot be read: {error}"))),
    };
    let packed = match store.get(lines, PACKED_MAX).await {
        Ok(packed) => packed,
        Err(error @ (BlobError::NotFound(_) | BlobError::TooLarge(_))) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(match segment::unpacked(&packed) {
        Ok(lines) => Ok(Segment { lines, manifest }),
        Err(error) => Err(format!("{error:#}")),
    })
}

/// The one ledger of an archive.
async fn only(store: &Blobs) -> anyhow::Result<Uuid> {
    let of = |key: &Key| {
        let id = key.as_str().split('/').next().unwrap_or_default();
        Uuid::parse_str(id).ok()
    };
    let first = store.list(None, None, 1).await?;
    let found = first.first().and_then(|meta| of(&meta.key));
    let id = found.ok_or_else(|| {
        failure(
            "the archive is empty",
            "the first segment comes after archive.interval",
        )
    })?;
    // Sorts behind every name of this ledger.
    let behind = Key::parse(&format!("{id}/z")).context("a name")?;
    let more = store.list(None, Some(&behind), 1).await?;
    match more.first().and_then(|meta| of(&meta.key)) {
        Some(_) => Err(failure(
            "the archive holds more than one ledger",
            "say which with --ledger",
        )),
        None => Ok(id),
    }
}
