//! Errors of the derived index.

use std::path::Path;

/// What can go wrong with the derived index. None of these endangers the journal.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The operating system refused a file operation.
    #[error("derived index: {what}: {source}")]
    Io {
        /// The operation and the file.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A stored file does not say what was written; no answer is derived from it.
    #[error("derived index damaged: run `florin ledger rebuild-index` ({file}: {what})")]
    Damaged {
        /// The file, without its directory.
        file: String,
        /// The check that failed.
        what: String,
    },
    /// The files were written by another version or for other tables.
    #[error("derived index has another layout: run `florin ledger rebuild-index` ({what})")]
    Layout {
        /// The difference found.
        what: String,
    },
    /// A flush or merge failed earlier; the index takes no more writes until it is opened again.
    #[error("derived index stopped: {0}")]
    Stopped(String),
}

/// Short form used throughout the index.
pub type Result<T> = std::result::Result<T, IndexError>;

impl IndexError {
    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Self::Damaged {
            file,
            what: what.into(),
        }
    }
}

/// Turns an I/O result into one that names the operation and the file.
pub(super) trait At<T> {
    fn at(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => IndexError::damaged(path, "file is cut short"),
            _ => IndexError::Io {
                what: format!("{what} {}", path.display()),
                source,
            },
        })
    }
}
