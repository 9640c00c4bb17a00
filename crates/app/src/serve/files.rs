//! The data directory and the small secret files in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use crate::fail::failure;

/// Makes the data directory (readable by its owner only) and tries to write in it.
pub fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    let refused = |error: io::Error| {
        failure(
            format!(
                "cannot write to the data directory {}: {error}",
                dir.display()
            ),
            "give another one with --data-dir DIR, or make this one writable for your user",
        )
    };
    made.map_err(refused)?;
    let probe = dir.join(".writable");
    let tried = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&probe);
    tried.and_then(|_| fs::remove_file(&probe)).map_err(refused)
}

/// Reads 32 secret bytes, or makes the file with new ones (mode 0600).
pub fn secret_file(path: &Path, make: impl FnOnce() -> [u8; 32]) -> anyhow::Result<[u8; 32]> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match opened {
        Ok(mut file) => {
            let bytes = make();
            file.write_all(&bytes)
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut bytes = [0; 32];
            fs::File::open(path)
                .and_then(|mut file| file.read_exact(&mut bytes))
                .map_err(|error| failure(
                    format!("cannot read {}: {error}", path.display()),
                    "it holds 32 bytes; remove it when it is damaged, and cursors of lists start anew",
                ))?;
            Ok(bytes)
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let place = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&place)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&place, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("key");
        assert_eq!(secret_file(&path, || [7; 32]).expect("made"), [7; 32]);
        assert_eq!(secret_file(&path, || [8; 32]).expect("read"), [7; 32]);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, b"short").expect("written");
        assert!(
            secret_file(&path, || [9; 32]).is_err(),
            "a damaged key is not replaced"
        );
    }
}
