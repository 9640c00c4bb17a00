//! The two ends of a drill: a ledger and its service tables in PostgreSQL, or the data directory
//! of the embedded engine.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use florin_base::Secret;
use florin_ledger::PostgresOptions;
use florin_ledger::verify::{Evidence, Report, VerifyError, verify_database, verify_directory};
use florin_platform::sql::{Db, PostgresSettings, Query};

use crate::cli::block_on;
use crate::fail::failure;
use crate::serve::parts::LEDGER_FOLDER;

/// Schema of the ledger.
pub const LEDGER_SCHEMA: &str = "florin_ledger";

/// An end.
pub enum Place {
    /// A database.
    Database(Secret<String>),
    /// A data directory.
    Folder(PathBuf),
}

/// Longest time in which a table is counted, or a row of it found.
const COUNTING: Duration = Duration::from_secs(3_600);

impl Place {
    /// Reads a URL or the path of a folder.
    pub fn parse(text: &str) -> Self {
        match text.starts_with("postgres://") || text.starts_with("postgresql://") {
            true => Self::Database(Secret::new(text.to_owned())),
            false => Self::Folder(PathBuf::from(text)),
        }
    }

    /// Recomputes the whole ledger.
    pub fn verify(&self, scratch: &Path, evidence: &Evidence) -> Result<Report, VerifyError> {
        match self {
            Self::Folder(dir) => verify_directory(&dir.join(LEDGER_FOLDER), evidence, &mut |_| {}),
            Self::Database(url) => {
                let options = PostgresOptions {
                    schema: LEDGER_SCHEMA.to_owned(),
                    ..PostgresOptions::new(url.expose(), scratch.to_owned())
                };
                verify_database(&options, evidence, &mut |_| {})
            }
        }
    }

    /// Count of rows of each table beside the ledger's, by schema and name; of each file's name
    /// and size for a folder.
    pub fn rooms(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        match self {
            Self::Folder(dir) => files(dir),
            Self::Database(url) => block_on(counted(url)),
        }
    }

    /// One row of each table beside the ledger's, read back whole and hashed: what a room would
    /// answer for it. None for a folder, whose files are compared as they are.
    pub fn samples(&self) -> anyhow::Result<BTreeMap<String, String>> {
        match self {
            Self::Folder(_) => Ok(BTreeMap::new()),
            Self::Database(url) => block_on(sampled(url)),
        }
    }

    /// The ledger's id, where it stands beside the records.
    pub fn ledger_id(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::Database(url) => block_on(async {
                let db = open(url).await?;
                let sql = format!("SELECT ledger_id::text AS id FROM {LEDGER_SCHEMA}.head");
                let row = db.fetch_optional(Query::assembled(sql)).await?;
                db.close().await;
                row.map(|row| row.get("id")).transpose().map_err(Into::into)
            }),
        }
    }
}

/// Opens a database for reading; `public` exists everywhere, so nothing is made.
async fn open(url: &Secret<String>) -> anyhow::Result<Db> {
    let settings = PostgresSettings {
        schema: "public".to_owned(),
        pool_max: 1,
        ..PostgresSettings::new(url.clone())
    };
    Ok(Db::open_postgres(settings).await?.with_patience(COUNTING))
}

/// Tables of the rooms: schema and name, and both quoted for a statement.
async fn tables(db: &Db) -> anyhow::Result<Vec<(String, String)>> {
    let tables = "SELECT schemaname AS place, tablename AS name FROM pg_tables
        WHERE schemaname LIKE 'florin%' AND schemaname <> 'florin_ledger' ORDER BY 1, 2";
    let mut found = Vec::new();
    for row in db.fetch_all(Query::assembled(tables.to_owned())).await? {
        let (place, name): (String, String) = (row.get("place")?, row.get("name")?);
        // Names come from the catalogue; quotes keep them names whatever they hold.
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!("{}.{}", quoted(&place), quoted(&name));
        found.push((format!("{place}.{name}"), sql));
    }
    Ok(found)
}

async fn counted(url: &Secret<String>) -> anyhow::Result<BTreeMap<String, i64>> {
    let db = open(url).await?;
    let mut found = BTreeMap::new();
    for (name, quoted) in tables(&db).await? {
        let sql = format!("SELECT count(*) AS rows FROM {quoted}");
        let rows = db.fetch_all(Query::assembled(sql)).await?;
        let count: i64 = rows.first().context("a count has a row")?.get("rows")?;
        found.insert(name, count);
    }
    db.close().await;
    Ok(found)
}

async fn sampled(url: &Secret<String>) -> anyhow::Result<BTreeMap<String, String>> {
    let db = open(url).await?;
    let mut found = BTreeMap::new();
    for (name, quoted) in tables(&db).await? {
        let sql = format!(
            "SELECT md5(one::text) AS sum FROM (SELECT * FROM {quoted} AS t ORDER BY t::text LIMIT 1) AS one"
        );
        if let Some(row) = db.fetch_optional(Query::assembled(sql)).await? {
            found.insert(name, row.get("sum")?);
        }
    }
    db.close().await;
    Ok(found)
}

/// Files of a data directory beside the ledger's.
fn files(dir: &Path) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name, i64::try_from(about.len())?);
        }
    }
    Ok(found)
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Runs one of PostgreSQL's own programs. The URL goes through the environment, where other users
/// of the machine do not see it.
pub fn program(
    folder: Option<&Path>,
    name: &str,
    url: &Secret<String>,
    args: &[&OsStr],
) -> anyhow::Result<()> {
    let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let (url, password) = without_password(url.expose());
    let mut command = Command::new(&path);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    let run = command.args(args).arg("--dbname").arg(url).output();
    let done = run.map_err(|error| {
        let hint = "install PostgreSQL's client programs, or name their folder with --programs";
        failure(format!("{}: {error}", path.display()), hint)
    })?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    let first = words.lines().find(|line| !line.trim().is_empty());
    anyhow::bail!("{name}: {}", first.unwrap_or("failed without a word"))
}

/// A URL for a command line, and the password that was in it.
fn without_password(url: &str) -> (String, Option<String>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (login, place) = rest.split_once('@')?;
        let (user, password) = login.split_once(':')?;
        Some((format!("{scheme}://{user}@{place}"), decoded(password)))
    });
    match parts {
        Some((url, password)) => (url, Some(password)),
        None => (url.to_owned(), None),
    }
}

/// Percent-encoding undone.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_stands_on_a_command_line() {
        let (url, password) = without_password("postgres://u:a%40b@h:5432/d?sslmode=require");
        assert_eq!(url, "postgres://u@h:5432/d?sslmode=require");
        assert_eq!(password.as_deref(), Some("a@b"));
        let (url, password) = without_password("postgres://u@h/d");
        assert_eq!((url.as_str(), password), ("postgres://u@h/d", None));
        assert_eq!(decoded("100%"), "100%");
    }

    #[test]
    fn a_url_is_a_database_and_all_else_a_folder() {
        assert!(matches!(Place::parse("postgres://h/d"), Place::Database(_)));
        assert!(matches!(Place::parse("/var/lib/florin"), Place::Folder(_)));
    }
}
