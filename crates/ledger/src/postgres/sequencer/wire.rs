//! What two processes of one program say to each other: frames of a length (4 bytes,
//! little-endian) and a message in postcard's form.

use std::{fs::File, io::Read as _, sync::OnceLock};

use florin_base::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::directory::Row;
use crate::{
    call::{Answer, Head, Unavailable},
    model::{AccountId, AccountKind, AssetNo, Side, Slot},
};

/// Longest frame: well above the largest call and the largest answer.
const FRAME_MAX: usize = 256 << 20;

/// The first message: who calls.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The caller's program, see [`build`].
    pub build: String,
    pub ledger: u128,
    /// Id of the link, a row of `writers`.
    pub link: u128,
    pub token: Vec<u8>,
}

/// From whoever hands over calls. `C` is a borrowed call when it is sent, an owned one when read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask<C> {
    /// Calls with their numbers, which grow.
    Calls(Vec<(u64, C)>),
    /// Ledger time.
    Time(u64),
    /// Shows that both sides live.
    Ping,
}

/// What an answer's slots stand for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Known {
    pub slot: Slot,
    id: AccountId,
    asset: AssetNo,
    kind: AccountKind,
    normal: Side,
    created_seq: u64,
    created_at: i64,
    owner: Option<String>,
}

impl Known {
    pub(super) fn of(slot: Slot, row: &Row) -> Self {
        Self {
            slot,
            id: row.id.clone(),
            asset: row.asset,
            kind: row.kind,
            normal: row.normal,
            created_seq: row.created_seq,
            created_at: row.created_at.0,
            owner: row.owner.as_deref().map(str::to_owned),
        }
    }

    pub(super) fn row(self) -> Row {
        Row {
            id: self.id,
            asset: self.asset,
            kind: self.kind,
            normal: self.normal,
            created_seq: self.created_seq,
            created_at: Timestamp(self.created_at),
            owner: self.owner.map(Into::into),
        }
    }
}

/// An answered message, by number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// A call.
    Call(Result<Answer, Unavailable>),
    /// Ledger time.
    Time(Result<Timestamp, Unavailable>),
}

/// From the sequencer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Tell {
    /// The link stands.
    Welcome,
    /// It does not; why.
    Refused(String),
    /// Answers, and what is needed to read them.
    Answers {
        answers: Vec<(u64, Told)>,
        head: Head,
        rows: Vec<Known>,
        assets: usize,
    },
    /// Shows that both sides live.
    Pong,
}

/// This program: its length and CRC-32. The form of the messages follows the types of calls and
/// answers, so that two builds of one version may read each other wrongly without an error; only
/// the very same program hands calls over. `None` when the program cannot be read.
pub(super) fn build() -> Option<&'static str> {
    static BUILD: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let mut file = File::open(std::env::current_exe().ok()?).ok()?;
        let (mut sum, mut length) = (crc32fast::Hasher::new(), 0u64);
        let mut bytes = vec![0; 1 << 20];
        loop {
            match file.read(&mut bytes).ok()? {
                0 => return Some(format!("{length}-{:08x}", sum.finalize())),
                count => {
                    sum.update(&bytes[..count]);
                    length += count as u64;
                }
            }
        }
    };
    BUILD.get_or_init(read).as_deref()
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error)
}

fn not_too_long(length: usize) -> std::io::Result<()> {
    match length > FRAME_MAX {
        true => Err(wrong(format!("a message of {length} bytes is too long"))),
        false => Ok(()),
    }
}

/// The bytes of a message with their length before them.
///
/// # Errors
/// A message that is too long.
pub(super) fn frame(message: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(wrong)?;
    let length = bytes.len() - 4;
    not_too_long(length)?;
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes)
}

/// Sends a message.
///
/// # Errors
/// The connection's.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    to: &mut W,
    message: &impl Serialize,
) -> std::io::Result<()> {
    to.write_all(&frame(message)?).await?;
    to.flush().await
}

/// Reads a message whole.
///
/// # Errors
/// The connection's, and bytes that are no message.
pub(super) async fn read<T: DeserializeOwned, R: AsyncRead + Unpin>(
    from: &mut R,
) -> std::io::Result<T> {
    let length = from.read_u32_le().await? as usize;
    not_too_long(length)?;
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Item, TransfersCall};
    use crate::codes::ResultCode;
    use crate::model::Mode;

    fn call(text: &str) -> Call {
        let item = Item {
            id: text.into(),
            mode: Mode::Pending,
            debit: AccountId::parse("florin:wallet:01890a5d-ac96-774b-bcce-b302099a8057"),
            credit: AccountId::parse(&"c".repeat(128)),
            amount: Some(u128::MAX),
            asset: None,
            code: Some("t".into()),
            pending_id: None,
            timeout_seconds: Some(60),
            effective_at: Some(Timestamp(-1)),
            linked: true,
            description: Some("é\u{1F600}".into()),
            metadata: Default::default(),
            invalid: Some((ResultCode::FieldInvalid, "metadata")),
        };
        Call::Transfers(TransfersCall {
            actor: None,
            items: vec![item],
            key: None,
        })
    }

    async fn over(bytes: &[u8]) -> std::io::Result<Ask<Box<Call>>> {
        read(&mut &bytes[..]).await
    }

    #[tokio::test]
    async fn a_call_arrives_as_it_was_sent_and_damage_is_an_error() {
        let (one, two) = (call("one"), call("two"));
        let sent = frame(&Ask::Calls(vec![(1, &one), (2, &two)])).expect("short");
        let read = over(&sent).await.expect("whole");
        let expected = format!("Calls([(1, {one:?}), (2, {two:?})])");
        assert_eq!(format!("{read:?}"), expected);
        for end in 0..sent.len() {
            assert!(over(&sent[..end]).await.is_err(), "cut at {end}");
        }
        let mut long = sent.clone();
        long[3] = 0xff;
        let error = over(&long).await.expect_err("too long");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}
