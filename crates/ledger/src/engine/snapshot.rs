//! Snapshots bound the start-up time: the state as of a place in the journal, written while
//! postings go on.
//!
//! The open reservations are taken at once when a snapshot starts; accounts follow chunk by
//! chunk between commits, each chunk with the frame it is as of. A start loads them and replays
//! the journal from the place where the snapshot started: totals in records are absolute, so
//! records a chunk already has do no harm, and use of limits is replayed only from the chunk's
//! own frame on. A snapshot is derived; one that cannot be read is passed over for an older one
//! or for the whole journal.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use florin_base::Timestamp;

use super::{
    chunked::CHUNK_ROWS,
    state::{Account, Rare, State},
};
use crate::{
    journal::{Link, Lsn, Position},
    model::{AccountKind, Floor, NewAccount, Side, Slot, Status},
    record::wallets::{put_limits, take_limits},
    record::{
        bytes::{Malformed, Put, Read as Reading, Take},
        codec::{
            put_account_id, put_asset, put_floor, put_metadata, put_option, put_totals,
            take_account_id, take_asset, take_asset_no, take_floor, take_metadata, take_option,
            take_totals, word,
        },
    },
    rules::book::{Book, OpenPending, WalletInfo, Windows},
};

const MAGIC: &[u8; 8] = b"FLRNSNP1";
const HEAD: u8 = 1;
const ASSETS: u8 = 2;
const PENDINGS: u8 = 3;
const ACCOUNTS: u8 = 4;
const END: u8 = 9;
/// Largest section accepted when loading, in bytes.
const SECTION_MAX: u64 = 4 << 30;
/// Bytes that a wallet takes in a snapshot, about; room is made by it before loading.
const ROW_BYTES: u64 = 96;
/// Snapshots kept.
const KEEP: usize = 2;

/// The place in the ledger a snapshot started at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub ledger_id: u128,
    pub position: Position,
    pub seq: u64,
    pub batch: u64,
    pub note: u64,
    pub recorded_at: Timestamp,
}

impl Head {
    /// Last frame before the snapshot.
    pub(super) const fn frame(&self) -> u64 {
        self.position.batch - 1
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ledger_id.to_be_bytes());
        let p = &self.position;
        for value in [
            p.lsn.0,
            p.batch,
            u64::from(p.link.0),
            p.prev.0,
            self.seq,
            self.batch,
            self.note,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.micros(self.recorded_at.0);
    }

    fn take(take: &mut Take<'_>) -> Reading<Self> {
        let ledger_id = take.u128_be()?;
        let (lsn, batch) = (Lsn(take.u64()?), take.u64()?);
        let link = Link(u32::try_from(take.u64()?).map_err(|_| Malformed("link too large"))?);
        let position = Position {
            lsn,
            batch,
            link,
            prev: Lsn(take.u64()?),
        };
        let (seq, batch, note) = (take.u64()?, take.u64()?, take.u64()?);
        Ok(Self {
            ledger_id,
            position,
            seq,
            batch,
            note,
            recorded_at: Timestamp(take.micros()?),
        })
    }
}

/// A snapshot being written.
pub(super) struct Job {
    next: usize,
    end: usize,
    /// The last section was handed over.
    ended: bool,
    sections: SyncSender<(u8, Vec<u8>)>,
    thread: JoinHandle<io::Result<()>>,
}

impl Job {
    /// Starts a snapshot of `state` as it is at `head`.
    pub(super) fn start(dir: &Path, head: &Head, state: &State) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let (sections, receiver) = sync_channel(4);
        let (dir, frame) = (dir.to_owned(), head.frame());
        let thread = std::thread::Builder::new()
            .name("florin-snapshot".into())
            .spawn(move || write_file(&dir, frame, &receiver))?;
        let job = Self {
            next: 0,
            ended: false,
            end: state.accounts.len(),
            sections,
            thread,
        };
        let mut bytes = Vec::new();
        head.put(&mut bytes);
        job.send(HEAD, bytes);
        let mut bytes = Vec::new();
        let assets = state.directory.assets();
        bytes.varint(assets.len() as u128);
        assets.iter().for_each(|asset| put_asset(asset, &mut bytes));
        job.send(ASSETS, bytes);
        let mut bytes = Vec::new();
        bytes.varint(state.pendings.len() as u128);
        for (id, pending) in &state.pendings {
            put_pending(id, pending, &mut bytes);
        }
        job.send(PENDINGS, bytes);
        Ok(job)
    }

    /// A failed writer thread is noticed at the end.
    fn send(&self, kind: u8, bytes: Vec<u8>) {
        drop(self.sections.send((kind, bytes)));
    }

    /// Takes the next chunk as of `frame`; false when that was the last.
    pub(super) fn step(&mut self, state: &State, frame: u64) -> bool {
        if self.next < self.end {
            let last = (self.next + CHUNK_ROWS).min(self.end);
            let mut bytes = Vec::with_capacity((last - self.next) * 160);
            bytes.varint(self.next as u128);
            bytes.varint((last - self.next) as u128);
            bytes.extend_from_slice(&frame.to_le_bytes());
            for slot in self.next..last {
                put_account(state, slot as Slot, &mut bytes);
            }
            self.send(ACCOUNTS, bytes);
            self.next = last;
        }
        if self.next >= self.end && !self.ended {
            self.ended = true;
            self.send(END, Vec::new());
        }
        self.next < self.end
    }

    /// Everything handed over is on disk, or the thread failed: [`Job::finish`] does not wait.
    pub(super) fn is_written(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the snapshot is on disk.
    pub(super) fn finish(self) -> io::Result<()> {
        drop(self.sections);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the snapshot thread panicked")))
    }

    /// Gives up and waits until the thread is gone: the next snapshot uses the same file name.
    pub(super) fn abandon(self) {
        drop(self.sections);
        // What it leaves is derived; a failure to tidy up is seen by the next snapshot.
        drop(self.thread.join());
    }

    /// All chunks were handed over.
    pub(super) const fn is_complete(&self) -> bool {
        self.ended
    }
}

fn file_name(frame: u64) -> String {
    format!("snapshot-{frame:020}.bin")
}

fn write_file(dir: &Path, frame: u64, sections: &Receiver<(u8, Vec<u8>)>) -> io::Result<()> {
    let temporary = dir.join("snapshot.tmp");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
    out.write_all(MAGIC)?;
    let mut complete = false;
    while let Ok((kind, bytes)) = sections.recv() {
        out.write_all(&[kind])?;
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(&crc32fast::hash(&bytes).to_le_bytes())?;
        out.write_all(&bytes)?;
        if kind == END {
            complete = true;
            break;
        }
    }
    if !complete {
        return fs::remove_file(&temporary);
    }
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&temporary, dir.join(file_name(frame)))?;
    File::open(dir)?.sync_all()?;
    for old in list(dir)?.into_iter().skip(KEEP) {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// Snapshot files, newest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_snapshot = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        name.starts_with("snapshot-") && name.ends_with(".bin")
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(is_snapshot)
        .collect();
    files.sort();
    files.reverse();
    Ok(files)
}

/// What a snapshot put into a state.
pub(super) struct Loaded {
    pub head: Head,
    /// Frame each chunk of accounts is as of.
    pub chunk_frames: Vec<u64>,
    /// Accounts in it; those made while it was written are not, though their chunk may be.
    pub rows: usize,
}

impl Loaded {
    /// Whether the use of limits by a record of a frame is already in the account.
    pub(super) fn covers(&self, slot: Slot, frame: u64) -> bool {
        let chunk = self.chunk_frames.get(slot as usize / CHUNK_ROWS);
        (slot as usize) < self.rows && chunk.is_some_and(|at| frame <= *at)
    }
}

/// Fills an empty state from a file.
pub(super) fn load(path: &Path, state: &mut State) -> io::Result<Loaded> {
    let file = File::open(path)?;
    let rows = file.metadata()?.len() / ROW_BYTES;
    state
        .directory
        .reserve(usize::try_from(rows).unwrap_or_default());
    let mut file = BufReader::with_capacity(1 << 20, file);
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(invalid("not a snapshot of this version"));
    }
    let mut head = None;
    let mut chunk_frames = Vec::new();
    loop {
        let mut prefix = [0; 13];
        file.read_exact(&mut prefix)?;
        let length = u64::from_le_bytes(prefix[1..9].try_into().map_err(|_| invalid("cut short"))?);
        let checksum =
            u32::from_le_bytes(prefix[9..13].try_into().map_err(|_| invalid("cut short"))?);
        if length > SECTION_MAX {
            return Err(invalid("a section is too long"));
        }
        let mut bytes = Vec::new();
        (&mut file).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length || crc32fast::hash(&bytes) != checksum {
            return Err(invalid("a section is damaged"));
        }
        let mut take = Take::new(&bytes);
        let read = match prefix[0] {
            HEAD => Head::take(&mut take).map(|h| head = Some(h)),
            ASSETS => take_assets(&mut take, state),
            PENDINGS => take_pendings(&mut take, state),
            ACCOUNTS => take_accounts(&mut take, state).map(|frame| chunk_frames.push(frame)),
            END => break,
            _ => Err(Malformed("unknown section")),
        };
        read.map_err(|e| invalid(e.0))?;
    }
    Ok(Loaded {
        head: head.ok_or_else(|| invalid("no head"))?,
        chunk_frames,
        rows: state.accounts.len(),
    })
}

fn take_assets(take: &mut Take<'_>, state: &State) -> Reading<()> {
    for _ in 0..take.varint_u32()? {
        state.directory.add_asset(take_asset(take)?);
    }
    Ok(())
}

fn put_pending(id: &str, p: &OpenPending, out: &mut Vec<u8>) {
    out.text(id);
    out.varint(u128::from(p.seq));
    out.varint(u128::from(p.debit));
    out.varint(u128::from(p.credit));
    out.varint(p.amount);
    out.varint(u128::from(p.asset));
    out.text(&p.code);
    out.micros(p.effective_at.0);
    out.micros(p.recorded_at.0);
    put_option(p.expires_at, out, |at, out| out.micros(at.0));
    out.push(u8::from(p.is_hold));
}

fn take_pendings(take: &mut Take<'_>, state: &mut State) -> Reading<()> {
    for _ in 0..take.varint_u64()? {
        let id = take.text()?;
        let pending = OpenPending {
            seq: take.varint_u64()?,
            debit: take.varint_u32()?,
            credit: take.varint_u32()?,
            amount: take.varint()?,
            asset: take_asset_no(take)?,
            code: take.text()?,
            effective_at: Timestamp(take.micros()?),
            recorded_at: Timestamp(take.micros()?),
            expires_at: take_option(take, |t| t.micros().map(Timestamp))?,
            is_hold: take.byte()? != 0,
        };
        state.add_pending(&id, pending);
    }
    Ok(())
}

fn put_account(state: &State, slot: Slot, out: &mut Vec<u8>) {
    let Account {
        hot,
        wallet,
        windows,
    } = state.account(slot);
    let Some(row) = state.directory.row(slot) else {
        return;
    };
    put_account_id(&row.id, out);
    out.varint(u128::from(row.created_seq));
    out.micros(row.created_at.0);
    out.varint(u128::from(row.asset));
    out.extend_from_slice(&[row.kind as u8, row.normal as u8, hot.status as u8]);
    out.varint(u128::from(hot.version));
    put_totals(&hot.totals, out);
    put_option(wallet.as_ref(), out, |info, out| {
        out.text(&info.user_id);
        out.text(&info.tier);
        put_option(info.limits.as_deref().copied(), out, put_limits);
        out.micros(info.updated_at.0);
    });
    put_option(windows.as_deref(), out, |w, out| {
        out.micros(w.day);
        out.micros(w.month);
        for value in [
            w.used.out_day,
            w.used.out_month,
            w.used.in_day,
            w.used.in_month,
        ] {
            out.varint(value);
        }
    });
    put_option(state.rare.get(&slot), out, |rare, out| {
        put_floor(rare.floor, out);
        put_metadata(&rare.metadata, out);
        put_option(rare.label.as_deref(), out, |label, out| out.text(label));
        put_metadata(&rare.wallet_metadata, out);
    });
}

/// Adds a chunk of accounts; returns the frame it is as of.
fn take_accounts(take: &mut Take<'_>, state: &mut State) -> Reading<u64> {
    let first = take.varint_u64()?;
    let count = take.varint_u64()?;
    let frame = take.u64()?;
    if first != state.accounts.len() as u64 {
        return Err(Malformed("accounts out of order"));
    }
    for _ in 0..count {
        take_one_account(take, state)?;
    }
    Ok(frame)
}

fn take_one_account(take: &mut Take<'_>, state: &mut State) -> Reading<()> {
    let id = take_account_id(take)?;
    let (created_seq, created_at) = (take.varint_u64()?, Timestamp(take.micros()?));
    let account = NewAccount {
        id,
        asset: take_asset_no(take)?,
        kind: word(take.byte()?, AccountKind::from_number)?,
        normal: word(take.byte()?, Side::from_number)?,
        floor: Floor::Zero,
        metadata: Default::default(),
    };
    let slot = state.add_account(&account, created_seq, created_at);
    let status = word(take.byte()?, Status::from_number)?;
    let version = take.varint_u32()?;
    let totals = take_totals(take)?;
    let hot = state.hot_mut(slot);
    (hot.status, hot.version, hot.totals) = (status, version, totals);
    let wallet = take_option(take, |t| {
        Ok((
            t.text()?,
            t.text()?,
            take_option(t, take_limits)?,
            Timestamp(t.micros()?),
        ))
    })?;
    if let Some((user_id, tier, limits, updated_at)) = wallet {
        let user_id: std::sync::Arc<str> = user_id.into();
        state.directory.set_owner(slot, user_id.clone());
        let tier = state.tier(&tier);
        state.set_wallet(
            slot,
            WalletInfo {
                user_id,
                tier,
                limits: limits.map(Box::new),
                updated_at,
            },
        );
    }
    let windows = take_option(take, |t| {
        let mut w = Windows {
            day: t.micros()?,
            month: t.micros()?,
            ..Windows::default()
        };
        let u = &mut w.used;
        for value in [
            &mut u.out_day,
            &mut u.out_month,
            &mut u.in_day,
            &mut u.in_month,
        ] {
            *value = t.varint()?;
        }
        Ok(w)
    })?;
    if let Some(windows) = windows {
        state.set_windows(slot, windows);
    }
    let rare = take_option(take, |t| {
        Ok(Rare {
            floor: take_floor(t)?,
            metadata: take_metadata(t)?,
            label: take_option(t, Take::text)?,
            wallet_metadata: take_metadata(t)?,
        })
    })?;
    if let Some(rare) = rare {
        state.hot_mut(slot).has_floor = rare.floor != Floor::Zero;
        state.rare.insert(slot, rare);
    }
    Ok(())
}
