//! A file system that fails on demand, for tests of the journal and of whole engines.
//!
//! Boundary: wraps real files in a real directory; everything is decided by a seed and by
//! [`Faults`], so that a run can be repeated. Nothing is really synced: power is lost only when
//! [`FaultIo::crash`] says so, by putting old bytes back.
//!
//! Model of a power cut: each 512-byte sector written since the last good sync holds its old bytes,
//! its new bytes or, if it held only zeros, noise. After a failed sync the sectors it should have
//! written stay at risk until they are written again, whatever later syncs say. Files made or
//! renamed since the last sync of their directory may be gone or have their old name, the last
//! first.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::io::{Access, Io, IoFile, Space};

const SECTOR_BYTES: u64 = 512;
/// Size of the file system as [`Io::space`] tells it while space is not limited.
const PLENTY_BYTES: u64 = 1 << 40;

/// What fails from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every second write, by chance, writes only a part.
    pub short_writes: bool,
    /// So many writes succeed, then all fail with an input/output error.
    pub writes_until_error: Option<u64>,
    /// So many syncs succeed, then all fail with an input/output error.
    pub syncs_until_error: Option<u64>,
    /// Files may grow by so many bytes in all; removing a file gives its bytes back.
    pub space_left: Option<u64>,
    /// Every change fails: the file system is read-only.
    pub read_only: bool,
}

/// The failing file system. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FaultIo {
    disk: Arc<Mutex<Disk>>,
}

impl FaultIo {
    /// A disk that works, until told otherwise.
    pub fn new(seed: u64) -> Self {
        FaultIo {
            disk: Arc::new(Mutex::new(Disk {
                random: seed,
                ..Disk::default()
            })),
        }
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.lock().faults = faults;
    }

    /// The process ends: open files fail from now on; what was written stays in the kernel's memory.
    pub fn kill(&self) {
        self.disk.lock().boot += 1;
    }

    /// The power is cut, as the module text says. Open files fail from now on; files opened later
    /// show what is left.
    ///
    /// # Errors
    /// As the operating system reports for the files underneath.
    pub fn crash(&self) -> io::Result<()> {
        self.disk.lock().crash()
    }
}

#[derive(Debug, Default)]
struct Disk {
    random: u64,
    boot: u64,
    faults: Faults,
    last_id: u64,
    names: HashMap<PathBuf, u64>,
    nodes: BTreeMap<u64, Node>,
    unsynced_names: Vec<NameChange>,
}

#[derive(Debug)]
struct Node {
    file: File,
    /// Sectors at risk by number.
    unsynced: BTreeMap<u64, Sector>,
}

#[derive(Debug)]
struct Sector {
    /// What the device holds.
    before: Vec<u8>,
    /// A sync of it has failed: later syncs do not help.
    stuck: bool,
}

#[derive(Debug)]
enum NameChange {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf },
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            NameChange::Created(to) | NameChange::Renamed { to, .. } => to,
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        self.path().parent() == Some(dir)
    }
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

impl Disk {
    /// The next number of the generator "splitmix64".
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.faults.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }

    fn node(&mut self, id: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(broken)
    }

    fn count_down(counter: &mut Option<u64>) -> io::Result<()> {
        match counter {
            Some(0) => Err(broken()),
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn grow(&mut self, id: u64, end: u64) -> io::Result<()> {
        let size = self.node(id)?.file.metadata()?.len();
        let more = end.saturating_sub(size);
        if let Some(left) = &mut self.faults.space_left {
            if more > *left {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *left -= more;
        }
        Ok(())
    }

    fn write(&mut self, id: u64, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.check_writable()?;
        let mut len = buf.len();
        if self.faults.short_writes && len > 1 && self.next_random().is_multiple_of(2) {
            len = 1 + (self.next_random() % (len as u64 - 1)) as usize;
        }
        Self::count_down(&mut self.faults.writes_until_error)?;
        let end = offset + len as u64;
        self.grow(id, end)?;
        let node = self.node(id)?;
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            node.remember(sector)?;
        }
        node.file.write_all_at(&buf[..len], offset)?;
        Ok(len)
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        let outcome = Self::count_down(&mut self.faults.syncs_until_error);
        let node = self.node(id)?;
        match outcome {
            Ok(()) => node.unsynced.retain(|_, sector| sector.stuck),
            Err(_) => node.unsynced.values_mut().for_each(|s| s.stuck = true),
        }
        outcome
    }

    fn crash(&mut self) -> io::Result<()> {
        self.boot += 1;
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            let unsynced = std::mem::take(&mut self.node(id)?.unsynced);
            for (number, sector) in unsynced {
                let noise_allowed = sector.before.iter().all(|&b| b == 0);
                let bytes = match self.next_random() % 8 {
                    0..4 => continue,
                    7 if noise_allowed => (0..SECTOR_BYTES)
                        .map(|_| self.next_random().to_le_bytes()[0])
                        .collect(),
                    _ => sector.before,
                };
                let file = &self.node(id)?.file;
                file.write_all_at(&bytes, number * SECTOR_BYTES)?;
            }
        }
        while let Some(change) = self.unsynced_names.pop() {
            if self.next_random().is_multiple_of(2) {
                break;
            }
            self.undo(change)?;
        }
        self.unsynced_names.clear();
        Ok(())
    }

    fn undo(&mut self, change: NameChange) -> io::Result<()> {
        match change {
            NameChange::Created(path) => {
                if let Some(id) = self.names.remove(&path) {
                    self.nodes.remove(&id);
                    fs::remove_file(&path)?;
                }
            }
            NameChange::Renamed { from, to } => {
                if let Some(id) = self.names.remove(&to) {
                    fs::rename(&to, &from)?;
                    self.names.insert(from, id);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, file: File) -> u64 {
        self.last_id += 1;
        self.names.insert(path.to_owned(), self.last_id);
        let node = Node {
            file,
            unsynced: BTreeMap::new(),
        };
        self.nodes.insert(self.last_id, node);
        self.last_id
    }

    fn forget(&mut self, path: &Path) -> io::Result<()> {
        self.unsynced_names.retain(|c| c.path() != path);
        if let Some(id) = self.names.remove(path) {
            self.nodes.remove(&id);
        }
        if let Some(left) = &mut self.faults.space_left {
            *left += fs::metadata(path)?.len();
        }
        Ok(())
    }
}

impl Node {
    /// Keeps what the device holds in a sector before it is written for the first time.
    fn remember(&mut self, number: u64) -> io::Result<()> {
        if let Some(sector) = self.unsynced.get_mut(&number) {
            sector.stuck = false;
            return Ok(());
        }
        let mut before = vec![0u8; SECTOR_BYTES as usize];
        let mut have = 0;
        while have < before.len() {
            let at = number * SECTOR_BYTES + have as u64;
            match self.file.read_at(&mut before[have..], at)? {
                0 => break,
                n => have += n,
            }
        }
        let sector = Sector {
            before,
            stuck: false,
        };
        self.unsynced.insert(number, sector);
        Ok(())
    }
}

#[derive(Debug)]
struct FaultFile {
    disk: Arc<Mutex<Disk>>,
    id: u64,
    boot: u64,
    file: File,
}

impl FaultFile {
    fn with<T>(&self, work: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        if disk.boot != self.boot {
            return Err(broken());
        }
        work(&mut disk)
    }
}

impl IoFile for FaultFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|_| self.file.read_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.with(|disk| disk.write(self.id, buf, offset))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.with(|disk| {
            disk.check_writable()?;
            disk.grow(self.id, bytes)?;
            self.file.set_len(bytes)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|disk| disk.sync(self.id))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|_| Ok(self.file.metadata()?.len()))
    }
}

impl Io for FaultIo {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        self.disk.lock().check_writable()?;
        fs::create_dir_all(dir)
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn IoFile>> {
        let mut disk = self.disk.lock();
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let id = match disk.names.get(path) {
            Some(id) => *id,
            None => disk.add(path, file.try_clone()?),
        };
        Ok(self.handle(&disk, id, file))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn IoFile>> {
        let mut disk = self.disk.lock();
        disk.check_writable()?;
        if path.exists() {
            disk.forget(path)?;
            fs::remove_file(path)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        let id = disk.add(path, file.try_clone()?);
        disk.unsynced_names
            .push(NameChange::Created(path.to_owned()));
        Ok(self.handle(&disk, id, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.check_writable()?;
        if to.exists() {
            disk.forget(to)?;
        }
        fs::rename(from, to)?;
        if let Some(id) = disk.names.remove(from) {
            disk.names.insert(to.to_owned(), id);
        }
        disk.unsynced_names.push(NameChange::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.check_writable()?;
        disk.forget(path)?;
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        Disk::count_down(&mut disk.faults.syncs_until_error)?;
        disk.unsynced_names.retain(|c| !c.is_in(dir));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        super::io::RealIo.list(dir)
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let left = self.disk.lock().faults.space_left;
        Ok(Space {
            total_bytes: PLENTY_BYTES,
            available_bytes: left.unwrap_or(PLENTY_BYTES),
        })
    }

    fn entropy(&self) -> io::Result<u64> {
        Ok(self.disk.lock().next_random())
    }
}

impl FaultIo {
    fn handle(&self, disk: &Disk, id: u64, file: File) -> Arc<dyn IoFile> {
        Arc::new(FaultFile {
            disk: Arc::clone(&self.disk),
            id,
            boot: disk.boot,
            file,
        })
    }
}
