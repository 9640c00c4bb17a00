//! `florin ledger export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use axum::http::Method;
use clap::{Args, ValueEnum};
use futures_util::TryStreamExt as _;
use serde_json::json;

use super::target::TargetArgs;
use crate::cli::block_on;
use crate::fail::failure;
use crate::out::{Output, progress};

/// Write the ledger as the exact lines of its feed, or its transfers as CSV
///
/// The lines can be verified offline (`florin ledger verify --export FILE`) and imported elsewhere.
#[derive(Debug, Args)]
pub struct Export {
    /// File to write; left out: stdout
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// Form of the file
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only records from this time on, inclusive
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Which time `--from` and `--to` mean
    #[arg(long, value_enum, default_value_t)]
    axis: Axis,
    /// Only records after this seq
    #[arg(long, value_name = "SEQ")]
    after_seq: Option<u64>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// The exact lines of the feed.
    #[default]
    Ndjson,
    /// Transfers, RFC 4180.
    Csv,
}

/// One of the two times of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Axis {
    /// When this ledger learned it.
    #[default]
    Recorded,
    /// When it counts.
    Effective,
}

impl Export {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        if output.is_json() && self.to_file.is_none() {
            return Err(failure(
                "--output json needs --to-file",
                "the export itself would stand on stdout",
            ));
        }
        block_on(self.export(output))?;
        Ok(0)
    }

    fn path(&self) -> String {
        let format = match self.format {
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
        };
        let axis = match self.axis {
            Axis::Recorded => "recorded",
            Axis::Effective => "effective",
        };
        let mut path = format!("/api/v1/ledger/export?format={format}&axis={axis}");
        for (name, value) in [("from", &self.from), ("to", &self.to)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", value.replace('+', "%2B")));
            }
        }
        if let Some(seq) = self.after_seq {
            path.push_str(&format!("&afterSeq={seq}"));
        }
        path
    }

    async fn export(self, output: Output) -> anyhow::Result<()> {
        let target = self.target.open().await?;
        let mut stream = target.send(Method::GET, &self.path(), None).await?;
        let mut out: Box<dyn Write> = match &self.to_file {
            Some(path) => Box::new(BufWriter::new(
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
            )),
            None => Box::new(BufWriter::new(io::stdout())),
        };
        let bar = progress(output, "exporting", None, true);
        let (mut bytes, mut lines) = (0_u64, 0_u64);
        while let Some(chunk) = stream.try_next().await? {
            out.write_all(&chunk)?;
            bytes += chunk.len() as u64;
            lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
            bar.set_position(bytes);
        }
        out.flush()?;
        drop(out);
        bar.finish_and_clear();
        drop(stream);
        target.close().await;
        if let Some(path) = &self.to_file {
            File::open(path)?.sync_all()?;
            let answer = json!({"file": path, "lines": lines, "bytes": bytes});
            output.print(&answer, || {
                format!("{lines} lines, {bytes} bytes: {}", path.display())
            })?;
        }
        Ok(())
    }
}
