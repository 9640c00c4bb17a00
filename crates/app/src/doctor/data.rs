//! The data directory: writable, space, sync and its latency, tables, the ledger and its holder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Finding, bad, note, ok};
use crate::config::Loaded;
use crate::serve::parts::{LEDGER_FOLDER, TABLES_FILE};

/// Syncs that are timed.
const SYNCS: usize = 20;
/// Bytes of each, about a small batch.
const SYNC_BYTES: usize = 4096;
/// A sync at or above this makes every answer slow.
const SLOW_SYNC: Duration = Duration::from_millis(20);
/// Free bytes below which a note is made.
const LOW_SPACE_BYTES: u64 = 2 << 30;

/// All findings about the data directory.
pub fn examine(loaded: &Loaded) -> Vec<Finding> {
    let dir = match loaded.data_dir() {
        Ok(dir) => dir,
        Err(error) => {
            return vec![bad(
                "data directory",
                error.to_string(),
                "give one with --data-dir DIR",
            )];
        }
    };
    let min_percent = loaded.config.ledger.disk_free_min_percent;
    if !dir.exists() {
        let parent = dir
            .ancestors()
            .find(|ancestor| ancestor.exists())
            .unwrap_or(Path::new("/"));
        return vec![
            ok(
                "data directory",
                format!("{} will be made at the first start", dir.display()),
            ),
            space(parent, min_percent),
        ];
    }
    let mut findings = vec![writable(&dir), space(&dir, min_percent)];
    if loaded.config.database.postgres().is_none() {
        findings.push(tables(&dir));
    }
    if loaded.config.ledger.postgres().is_none() {
        findings.push(ledger(&dir.join(LEDGER_FOLDER)));
    }
    findings
}

fn writable(dir: &Path) -> Finding {
    let path = dir.join(".doctor");
    let measured = time_syncs(&path);
    let _ = fs::remove_file(&path);
    match measured {
        Ok(median) => {
            let what = format!(
                "{} is writable; a sync takes {:.2} ms (median of {SYNCS})",
                dir.display(),
                median.as_secs_f64() * 1e3
            );
            match median >= SLOW_SYNC {
                true => note(
                    "data directory",
                    what,
                    "every posting waits for a sync: use a faster disk, or send batches",
                ),
                false => ok("data directory", what),
            }
        }
        Err(error) => bad(
            "data directory",
            format!("{} cannot be written and synced: {error}", dir.display()),
            "make it writable for this user, look at the disk, or give another with --data-dir",
        ),
    }
}

fn time_syncs(path: &Path) -> io::Result<Duration> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(&vec![0; SYNC_BYTES * SYNCS])?;
    file.sync_all()?;
    let mut taken = Vec::with_capacity(SYNCS);
    io::Seek::rewind(&mut file)?;
    for _ in 0..SYNCS {
        file.write_all(&[1; SYNC_BYTES])?;
        let started = Instant::now();
        file.sync_data()?;
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    Ok(taken[SYNCS / 2])
}

fn space(dir: &Path, min_percent: u32) -> Finding {
    let Ok(stat) = rustix::fs::statvfs(dir) else {
        return bad(
            "disk space",
            format!("the file system of {} does not answer", dir.display()),
            "look at the disk and the mount",
        );
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let ratio = stat.f_bavail as f64 / (stat.f_blocks.max(1)) as f64;
    let what = format!(
        "{:.1} GiB free ({:.0} %)",
        free as f64 / f64::from(1 << 30),
        ratio * 100.0
    );
    if ratio < f64::from(min_percent) / 100.0 {
        bad(
            "disk space",
            what,
            format!("below {min_percent} % postings stop: free some space"),
        )
    } else if free < LOW_SPACE_BYTES {
        note("disk space", what, "a transfer takes up to 600 bytes")
    } else {
        ok("disk space", what)
    }
}

fn tables(dir: &Path) -> Finding {
    let path = dir.join(TABLES_FILE);
    match File::open(&path) {
        Ok(_) => match OpenOptions::new().write(true).open(&path) {
            Ok(_) => ok("tables", format!("{} is there", path.display())),
            Err(error) => bad(
                "tables",
                format!("{}: {error}", path.display()),
                "make it writable for this user",
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => ok("tables", "not made yet"),
        Err(error) => bad(
            "tables",
            format!("{}: {error}", path.display()),
            "make it readable for this user",
        ),
    }
}

fn ledger(dir: &Path) -> Finding {
    let lock = dir.join("journal/journal.lock");
    if !dir.exists() {
        return ok("ledger", "not made yet");
    }
    let file = match File::open(&lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return ok("ledger", "no process holds it");
        }
        Err(error) => {
            return bad(
                "ledger",
                format!("{}: {error}", lock.display()),
                "make it readable for this user",
            );
        }
    };
    let tried = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    match tried {
        Ok(()) => ok(
            "ledger",
            "no process holds it; florin ledger verify looks inside",
        ),
        Err(_) => ok("ledger", format!("in use{}", holder(&lock))),
    }
}

/// Who holds the lock, as far as `/proc/locks` tells: it lists process and inode.
fn holder(lock: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let find = || {
        let inode = fs::metadata(lock).ok()?.ino();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let ending = format!(":{inode}");
        let line = locks
            .lines()
            .find(|line| line.split(' ').any(|word| word.ends_with(&ending)))?;
        line.split_whitespace().nth(4)?.parse::<u32>().ok()
    };
    find()
        .map(|process| format!(" by process {process}"))
        .unwrap_or_default()
}
