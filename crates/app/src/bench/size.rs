//! What a ledger of a given size costs: time to start, memory, disk.

use std::path::Path;

use serde::Serialize;

use super::fill;
use super::server::{Server, disk_bytes, resident_bytes};
use crate::out::{Output, progress};
use crate::serve::parts::LEDGER_FOLDER;

/// Result.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Size {
    /// Wallets in the ledger.
    pub wallets: u64,
    /// Transfers in the ledger.
    pub transfers: u64,
    /// Seconds from the start of the process until it was ready, after a stop in order.
    pub start_seconds: Vec<f64>,
    /// The same after a kill; not measured for a ledger without transfers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_after_kill_seconds: Option<f64>,
    /// Resident memory once it was ready, in bytes.
    pub resident_bytes: u64,
    /// Disk that the transfers took, journal and index: bytes each.
    pub disk_bytes_per_transfer: Option<u64>,
    /// The whole ledger on the disk, in bytes.
    pub disk_bytes: u64,
    /// Transfers per second while it was filled in process by batches of 8,190.
    pub fill_transfers_per_second: Option<f64>,
}

/// Fills a ledger and measures a server on it, started `starts` times.
pub fn measure(
    data_dir: &Path,
    wallets: u64,
    transfers: u64,
    starts: u32,
    output: Output,
) -> anyhow::Result<Size> {
    std::fs::create_dir_all(data_dir)?;
    let bar = progress(output, "filling", Some(wallets + transfers), false);
    fill::wallets(data_dir, wallets, &bar)?;
    let wallets_alone = disk_bytes(&data_dir.join(LEDGER_FOLDER))?;
    let rate = match transfers {
        0 => None,
        _ => {
            let took = fill::transfers(data_dir, wallets, transfers, &bar)?;
            Some(transfers as f64 / took.as_secs_f64())
        }
    };
    bar.finish_and_clear();
    let disk = disk_bytes(&data_dir.join(LEDGER_FOLDER))?;
    if transfers > 0 {
        // The first start makes users and keys, which is not what is measured.
        Server::start(data_dir)?.stop()?;
    }
    let mut start_seconds = Vec::new();
    let mut resident = 0;
    for _ in 0..starts.max(1) {
        let server = Server::start(data_dir)?;
        start_seconds.push(server.start_time.as_secs_f64());
        resident = resident_bytes(server.pid()).unwrap_or_default();
        server.stop()?;
    }
    let start_after_kill_seconds = match transfers {
        0 => None,
        _ => Some(after_kill(data_dir)?),
    };
    start_seconds.sort_by(f64::total_cmp);
    Ok(Size {
        wallets,
        transfers,
        start_seconds,
        start_after_kill_seconds,
        resident_bytes: resident,
        disk_bytes_per_transfer: disk.saturating_sub(wallets_alone).checked_div(transfers),
        disk_bytes: disk,
        fill_transfers_per_second: rate,
    })
}

fn after_kill(data_dir: &Path) -> anyhow::Result<f64> {
    Server::start(data_dir)?.kill()?;
    let server = Server::start(data_dir)?;
    let seconds = server.start_time.as_secs_f64();
    server.stop()?;
    Ok(seconds)
}

impl Size {
    /// The middle one.
    pub fn start_median(&self) -> f64 {
        self.start_seconds
            .get(self.start_seconds.len() / 2)
            .copied()
            .unwrap_or_default()
    }

    /// For people.
    pub fn text(&self) -> String {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let killed = self
            .start_after_kill_seconds
            .map_or_else(String::new, |seconds| {
                format!(", after a kill {seconds:.2} s")
            });
        let mut text = format!(
            "{} wallets, {} transfers\n  ready after {:.2} s (median of {}){killed}\n  \
             memory {:.2} GiB resident, disk {:.2} GiB",
            self.wallets,
            self.transfers,
            self.start_median(),
            self.start_seconds.len(),
            gib(self.resident_bytes),
            gib(self.disk_bytes)
        );
        if let Some(bytes) = self.disk_bytes_per_transfer {
            text.push_str(&format!(", {bytes} bytes a transfer"));
        }
        text.push('\n');
        text
    }
}
