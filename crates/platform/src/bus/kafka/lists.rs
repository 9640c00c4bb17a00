//! Access control lists of the brokers: what is in them, and adding what is missing.
//!
//! The client's Rust crate has no such calls. They are made here, over connections of their own, in
//! the version that all brokers from 2.0 to 4 know. Every entry allows something to a user from
//! everywhere, on one resource by its name; others that are there are left alone.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::super::BusError;
use super::super::access::{Grant, Operation, Resource};
use super::client::Reach;
use super::tunnel::Stream;
use super::tunnel::sign_in::ask;
use super::tunnel::wire::{self, Reader, malformed, put_text};

/// Longest wait for an answer.
const WAIT: Duration = Duration::from_secs(10);
/// Most entries of one call.
const AT_ONCE: usize = 500;

/// Numbers of the protocol.
const ANY: i8 = 1;
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;
const EVERYWHERE: &str = "*";
/// Its errors that have a remedy here.
const NOT_AUTHORIZED: i16 = 31;
const KEEPS_NONE: i16 = 54;

const fn resource(kind: Resource) -> i8 {
    match kind {
        Resource::Topic => 2,
        Resource::Group => 3,
        Resource::Cluster => 4,
        Resource::TransactionalId => 5,
    }
}

const fn operation(what: Operation) -> i8 {
    match what {
        Operation::Read => 3,
        Operation::Write => 4,
        Operation::Create => 5,
        Operation::Alter => 7,
        Operation::Describe => 8,
        Operation::DescribeConfigs => 10,
    }
}

/// What a user may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name of the user.
    pub user: String,
    /// What it may do.
    pub grant: Grant,
}

impl Entry {
    fn principal(&self) -> String {
        format!("User:{}", self.user)
    }

    /// As the protocol has it: kind, name, user, operation.
    fn key(&self) -> (i8, String, String, i8) {
        let Grant {
            resource: kind,
            name,
            operation: what,
        } = &self.grant;
        let name = name.clone();
        (resource(*kind), name, self.principal(), operation(*what))
    }
}

/// Those of the entries that no list has.
///
/// # Errors
/// [`BusError`] when no broker answers, or it refuses.
pub async fn missing(reach: &Reach, wanted: &[Entry]) -> Result<Vec<Entry>, BusError> {
    let users: BTreeSet<String> = wanted.iter().map(Entry::principal).collect();
    let mut stream = reach.enter_any().await?;
    let mut known = BTreeSet::new();
    for (user, number) in users.iter().zip(0..) {
        let mut body = vec![ANY.cast_unsigned()];
        body.extend((-1_i16).to_be_bytes());
        body.push(ANY.cast_unsigned());
        put_text(&mut body, user);
        body.extend((-1_i16).to_be_bytes());
        body.extend([ANY, ANY].map(i8::cast_unsigned));
        let answer = call(&mut stream, wire::DESCRIBE_ACLS, number, &body).await?;
        known.extend(described(&answer).map_err(told)??);
    }
    let absent = wanted.iter().filter(|entry| !known.contains(&entry.key()));
    Ok(absent.cloned().collect())
}

/// Adds entries; those that are there already stay as they are.
///
/// # Errors
/// [`BusError`] when no broker answers, or it refuses one of them. Others may have been added.
pub async fn add(reach: &Reach, entries: &[Entry]) -> Result<(), BusError> {
    let mut stream = controller(reach).await?;
    for (some, number) in entries.chunks(AT_ONCE).zip(0..) {
        let count = i32::try_from(some.len()).unwrap_or(i32::MAX);
        let mut body = count.to_be_bytes().to_vec();
        for entry in some {
            let (kind, name, user, what) = entry.key();
            body.push(kind.cast_unsigned());
            put_text(&mut body, &name);
            body.push(LITERAL.cast_unsigned());
            put_text(&mut body, &user);
            put_text(&mut body, EVERYWHERE);
            body.extend([what, ALLOW].map(i8::cast_unsigned));
        }
        let answer = call(&mut stream, wire::CREATE_ACLS, number, &body).await?;
        let refusals = refusals(&answer).map_err(told)?;
        if refusals.len() != some.len() {
            return Err(told(malformed("an answer to another number of entries")));
        }
        let refused = refusals.into_iter().zip(some);
        if let Some((Some(why), entry)) = refused.into_iter().find(|(why, _)| why.is_some()) {
            let about = &entry.grant.name;
            return Err(BusError(format!("{}, {about}: {why}", entry.user)));
        }
    }
    Ok(())
}

/// A connection to the broker that changes things for all.
async fn controller(reach: &Reach) -> Result<Box<dyn Stream>, BusError> {
    let mut stream = reach.enter_any().await?;
    // No topics.
    let body = 0_i32.to_be_bytes();
    let answer = call(&mut stream, wire::METADATA, 0, &body).await?;
    match named_controller(&answer).map_err(told)? {
        Some(broker) => reach.enter(&broker).await,
        None => Ok(stream),
    }
}

async fn call(
    stream: &mut Box<dyn Stream>,
    key: i16,
    mut number: i32,
    body: &[u8],
) -> Result<Vec<u8>, BusError> {
    let answer = timeout(WAIT, ask(stream, key, &mut number, body)).await;
    let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    answer.map_err(told)
}

fn told(error: io::Error) -> BusError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BusError(
            "the broker ended the connection: is it older than Apache Kafka 2.0?".to_owned(),
        ),
        _ => BusError(error.to_string()),
    }
}

fn named_controller(answer: &[u8]) -> io::Result<Option<String>> {
    let mut reader = Reader(answer);
    let mut brokers = Vec::new();
    for _ in 0..reader.i32()? {
        let number = reader.i32()?;
        let host = reader.text()?.unwrap_or_default();
        let port = reader.i32()?;
        reader.text()?;
        brokers.push((number, format!("{host}:{port}")));
    }
    let controller = reader.i32()?;
    let found = brokers
        .into_iter()
        .find(|(number, _)| *number == controller);
    Ok(found.map(|(_, broker)| broker))
}

/// What entries allow everywhere and by exact names: kind, name, user, operation.
type Allowed = Vec<(i8, String, String, i8)>;

fn described(answer: &[u8]) -> io::Result<Result<Allowed, BusError>> {
    let mut reader = Reader(answer);
    reader.i32()?;
    let (code, words) = (reader.i16()?, reader.text()?);
    if let Some(why) = refusal(code, words) {
        return Ok(Err(BusError(why)));
    }
    let mut allowed = Vec::new();
    for _ in 0..reader.i32()? {
        let kind = reader.i8()?;
        let name = reader.text()?.unwrap_or_default().to_owned();
        let pattern = reader.i8()?;
        for _ in 0..reader.i32()? {
            let user = reader.text()?.unwrap_or_default().to_owned();
            let host = reader.text()?.unwrap_or_default();
            let (what, permission) = (reader.i8()?, reader.i8()?);
            if (pattern, host, permission) == (LITERAL, EVERYWHERE, ALLOW) {
                allowed.push((kind, name.clone(), user, what));
            }
        }
    }
    Ok(Ok(allowed))
}

/// Why entries were refused, in their order.
fn refusals(answer: &[u8]) -> io::Result<Vec<Option<String>>> {
    let mut reader = Reader(answer);
    reader.i32()?;
    let mut refusals = Vec::new();
    for _ in 0..reader.i32()? {
        let (code, words) = (reader.i16()?, reader.text()?);
        refusals.push(refusal(code, words));
    }
    Ok(refusals)
}

fn refusal(code: i16, words: Option<&str>) -> Option<String> {
    let words = words.unwrap_or("no reason given");
    match code {
        0 => None,
        KEEPS_NONE => {
            Some("these brokers keep no access control lists (authorizer.class.name)".to_owned())
        }
        NOT_AUTHORIZED => Some(format!(
            "the user of bus.sasl_user may not see or change lists; one that may (Alter on the cluster) must do it: {words}"
        )),
        code => Some(format!("the broker refuses ({code}): {words}")),
    }
}
