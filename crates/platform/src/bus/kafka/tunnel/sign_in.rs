//! Both ends of signing in: with the broker as `bus.sasl_user`, and of the own client with the
//! tunnel.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use florin_base::{IdSource, Secret};
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::super::super::settings::SaslMechanism;
use super::scram::{Hash, Scram};
use super::wire::{self, Call, Reader, malformed};

/// Longest message before somebody has signed in.
const SMALL: usize = 1 << 20;
/// Codes of the protocol.
const UNSUPPORTED_MECHANISM: i16 = 33;
const AUTHENTICATION_FAILED: i16 = 58;

/// Who signs in with the brokers.
#[derive(Clone)]
pub struct Credentials {
    pub mechanism: SaslMechanism,
    pub user: String,
    pub password: Secret<String>,
}

/// Reads a small message, without its length.
///
/// # Errors
/// The connection's, and for a message that is too long.
pub async fn read_small<R: AsyncRead + Unpin>(reading: &mut R) -> io::Result<Vec<u8>> {
    let length = usize::try_from(reading.read_i32().await?).unwrap_or(usize::MAX);
    if length > SMALL {
        return Err(malformed("it is too long"));
    }
    let mut message = vec![0; length];
    reading.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes a message and its length before it.
///
/// # Errors
/// The connection's.
pub async fn write<W: AsyncWrite + Unpin>(writing: &mut W, message: &[u8]) -> io::Result<()> {
    let length = i32::try_from(message.len()).map_err(|_| malformed("it is too long"))?;
    writing.write_i32(length).await?;
    writing.write_all(message).await?;
    writing.flush().await
}

fn refused(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.into())
}

/// Signs in with a broker. Answers for how many milliseconds that holds; 0: without end.
///
/// # Errors
/// The connection's; `PermissionDenied` when the broker refuses or cannot be believed.
pub async fn with_broker<S>(stream: &mut S, who: &Credentials) -> io::Result<i64>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (name, hash) = match who.mechanism {
        SaslMechanism::Plain => ("PLAIN", None),
        SaslMechanism::ScramSha256 => ("SCRAM-SHA-256", Some(Hash::Sha256)),
        SaslMechanism::ScramSha512 => ("SCRAM-SHA-512", Some(Hash::Sha512)),
    };
    let mut number = 0;
    let mut body = Vec::new();
    wire::put_text(&mut body, name);
    let answer = ask(stream, wire::SASL_HANDSHAKE, &mut number, &body).await?;
    let mut reader = Reader(&answer);
    if reader.i16()? != 0 {
        let mut offered = Vec::new();
        for _ in 0..reader.i32()? {
            offered.extend(reader.text()?.map(str::to_owned));
        }
        let offered = offered.join(", ");
        return Err(refused(format!(
            "the broker does not take {name}; bus.sasl_mechanism must be one of its own: {offered}"
        )));
    }
    let password = who.password.expose();
    let Some(hash) = hash else {
        let word = format!("\0{}\0{password}", who.user);
        return Ok(tell(stream, &mut number, &word).await?.1);
    };
    let nonce = URL_SAFE_NO_PAD.encode(IdSource::random_32());
    let scram = Scram::new(hash, &who.user, password, nonce);
    let (challenge, _) = tell(stream, &mut number, &scram.first()).await?;
    let believed = |error: super::scram::ScramError| refused(error.to_string());
    let (last, awaited) = scram.last(&challenge).map_err(believed)?;
    let (verdict, lives) = tell(stream, &mut number, &last).await?;
    awaited.judge(&verdict).map_err(believed)?;
    Ok(lives)
}

/// One call of the tunnel's own, in version 1; its answer after the number.
///
/// # Errors
/// The connection's, and for an answer to something else.
pub async fn ask<S>(stream: &mut S, key: i16, number: &mut i32, body: &[u8]) -> io::Result<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    *number += 1;
    let call = Call {
        key,
        version: 1,
        correlation: *number,
    };
    write(stream, &call.write(body)).await?;
    let mut answer = read_small(stream).await?;
    if Reader(&answer).i32()? != *number {
        return Err(malformed("an answer to another call"));
    }
    Ok(answer.split_off(4))
}

/// A word of the sign-in; what the broker says to it, and for how long it lets the user in.
async fn tell<S>(stream: &mut S, number: &mut i32, word: &str) -> io::Result<(String, i64)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut body = Vec::new();
    wire::put_bytes(&mut body, word.as_bytes());
    let answer = ask(stream, wire::SASL_AUTHENTICATE, number, &body).await?;
    let mut reader = Reader(&answer);
    let (code, words) = (reader.i16()?, reader.text()?);
    if code != 0 {
        let words = words.unwrap_or("no reason given");
        return Err(refused(format!(
            "the broker refuses user or password ({code}): {words}"
        )));
    }
    let said = String::from_utf8(reader.bytes()?.to_vec());
    let said = said.map_err(|_| malformed("a text"))?;
    Ok((said, reader.i64()?))
}

/// The own client's sign-in.
#[derive(Debug, PartialEq, Eq)]
pub enum Door {
    /// The answer; more is to come.
    Wait(Vec<u8>),
    /// The answer; it is in.
    Open(Vec<u8>),
    /// The answer; nothing else is taken from it.
    Shut(Vec<u8>),
}

/// Judges a call of a client that has not signed in: with SASL/PLAIN, by the word that only the
/// own client was told.
///
/// # Errors
/// For messages that are none, and for calls that need a sign-in.
pub fn at_the_door(message: &[u8], word: &str) -> io::Result<Door> {
    let call = Call::read(message)?;
    let mut reader = Reader(&message[wire::CALL_BYTES..]);
    reader.text()?;
    let mut answer = call.correlation.to_be_bytes().to_vec();
    match call.key {
        wire::SASL_HANDSHAKE => {
            let known = reader.text()? == Some("PLAIN");
            let code = if known { 0 } else { UNSUPPORTED_MECHANISM };
            answer.extend(code.to_be_bytes());
            answer.extend(1_i32.to_be_bytes());
            wire::put_text(&mut answer, "PLAIN");
            Ok(if known {
                Door::Wait(answer)
            } else {
                Door::Shut(answer)
            })
        }
        wire::SASL_AUTHENTICATE => {
            let known: bool = reader.bytes()?.ct_eq(word.as_bytes()).into();
            let code = if known { 0 } else { AUTHENTICATION_FAILED };
            answer.extend(code.to_be_bytes());
            answer.extend((-1_i16).to_be_bytes());
            wire::put_bytes(&mut answer, b"");
            if call.version >= 1 {
                answer.extend(0_i64.to_be_bytes());
            }
            Ok(if known {
                Door::Open(answer)
            } else {
                Door::Shut(answer)
            })
        }
        _ => Err(refused("a call of a client that has not signed in")),
    }
}
