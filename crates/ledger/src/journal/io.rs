//! The seam between the journal and the file system.
//!
//! Boundary: [`RealIo`] does what it says on the real disk; [`super::fault::FaultIo`] does the same
//! and fails on demand. The journal touches files through nothing else, its lock file excepted.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Space on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total_bytes: u64,
    /// What an unprivileged process may still use.
    pub available_bytes: u64,
}

impl Space {
    /// Free share in thousandths, rounded down; 1000 if the size is unknown.
    pub fn free_per_mille(&self) -> u32 {
        if self.total_bytes == 0 {
            return 1000;
        }
        let share = u128::from(self.available_bytes) * 1000 / u128::from(self.total_bytes);
        u32::try_from(share).unwrap_or(1000)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// An open file.
pub trait IoFile: Send + Sync + fmt::Debug {
    /// Reads at an offset; returns the bytes read, 0 at the end.
    ///
    /// # Errors
    /// As the operating system reports.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset; returns the bytes written, which may be fewer than given.
    ///
    /// # Errors
    /// As the operating system reports.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes the file `bytes` long with its blocks reserved.
    ///
    /// # Errors
    /// `StorageFull` and others as the operating system reports.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes the data durable (fdatasync).
    ///
    /// # Errors
    /// As the operating system reports; the data must then be taken for lost.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes data and metadata durable (fsync).
    ///
    /// # Errors
    /// As [`IoFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// As the operating system reports.
    fn size(&self) -> io::Result<u64>;
}

/// A file system. Errors are those of the operating system.
pub trait Io: Send + Sync + fmt::Debug {
    /// Makes a directory and those above it, and makes its entry durable.
    ///
    /// # Errors
    /// As the operating system reports.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Opens a file that exists.
    ///
    /// # Errors
    /// As the operating system reports.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn IoFile>>;
    /// Makes an empty file, in place of one that exists.
    ///
    /// # Errors
    /// As the operating system reports.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn IoFile>>;
    /// Renames a file, in place of one that exists.
    ///
    /// # Errors
    /// As the operating system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system reports.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// As the operating system reports.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of the files in a directory, in no order. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// As the operating system reports.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Space on the file system that holds `dir`.
    ///
    /// # Errors
    /// As the operating system reports.
    fn space(&self, dir: &Path) -> io::Result<Space>;
    /// A random number, for the salt of a new journal.
    ///
    /// # Errors
    /// As the operating system reports.
    fn entropy(&self) -> io::Result<u64>;
}

/// Writes all of `buf`, going on after short writes.
pub(super) fn write_all_at(file: &dyn IoFile, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.write_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                buf = &buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads all of `buf`.
pub(super) fn read_exact_at(
    file: &dyn IoFile,
    mut buf: &mut [u8],
    mut offset: u64,
) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealIo;

impl Io for RealIo {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.sync_dir(parent),
            _ => Ok(()),
        }
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn IoFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::ReadWrite)
            .open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn IoFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let fs = rustix::fs::statvfs(dir)?;
        Ok(Space {
            total_bytes: fs.f_blocks.saturating_mul(fs.f_frsize),
            available_bytes: fs.f_bavail.saturating_mul(fs.f_frsize),
        })
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the source; tests bring their own Io"
    )]
    fn entropy(&self) -> io::Result<u64> {
        getrandom::u64().map_err(|e| io::Error::other(e.to_string()))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl IoFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buf, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        allocate(&self.0, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Reserves blocks; a file system that cannot is left to find them when zeros are written.
pub(super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(bytes),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_files_report_space_and_size() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a");
        let file = RealIo.create(&path).expect("create");
        file.allocate(10_000).expect("allocate");
        assert_eq!(file.size().expect("size"), 10_000);
        write_all_at(&*file, b"hello", 9_000).expect("write");
        let mut back = [0; 5];
        read_exact_at(&*file, &mut back, 9_000).expect("read");
        assert_eq!(&back, b"hello");
        assert_eq!(
            read_exact_at(&*file, &mut back, 9_998)
                .expect_err("beyond the end")
                .kind(),
            io::ErrorKind::UnexpectedEof
        );
        let space = RealIo.space(dir.path()).expect("space");
        assert!(space.total_bytes >= space.available_bytes && space.total_bytes > 0);
    }

    #[test]
    fn free_share_in_thousandths() {
        let space = |total_bytes, available_bytes| Space {
            total_bytes,
            available_bytes,
        };
        assert_eq!(space(1000, 49).free_per_mille(), 49);
        assert_eq!(space(u64::MAX, u64::MAX).free_per_mille(), 1000);
        assert_eq!(space(0, 0).free_per_mille(), 1000);
    }
}
