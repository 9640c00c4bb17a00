//! The few messages of the Kafka protocol that a tunnel reads or changes. Numbers are big-endian.
//!
//! **Invariant.** Every answer that names brokers comes in a version that is understood here: what
//! a broker offers beyond is not shown to the client.

use std::io;

/// Keys of calls.
pub const METADATA: i16 = 3;
pub const FIND_COORDINATOR: i16 = 10;
pub const SASL_HANDSHAKE: i16 = 17;
pub const API_VERSIONS: i16 = 18;
pub const DESCRIBE_ACLS: i16 = 29;
pub const CREATE_ACLS: i16 = 30;
pub const SASL_AUTHENTICATE: i16 = 36;
const DESCRIBE_CLUSTER: i16 = 60;

/// Highest versions that the client is shown. Later ones of the first two name brokers in places
/// of their own, of the others in another form.
const HELD: [(i16, i16); 4] = [(0, 9), (1, 12), (METADATA, 8), (FIND_COORDINATOR, 2)];
/// The client signs in with the tunnel, in these versions.
const OWN: [(i16, i16); 2] = [(SASL_HANDSHAKE, 1), (SASL_AUTHENTICATE, 1)];

/// A message that is none.
pub fn malformed(what: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a message of the Kafka protocol is malformed: {what}"),
    )
}

/// Reads along a message.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| malformed("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| malformed("a number"))
    }

    pub fn i8(&mut self) -> io::Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> io::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A text that may be absent.
    pub fn text(&mut self) -> io::Result<Option<&'a str>> {
        let Ok(length) = usize::try_from(self.i16()?) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(length)?);
        text.map(Some).map_err(|_| malformed("a text"))
    }

    /// Bytes with their length before them; none are empty ones.
    pub fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(length)
    }

    fn varint(&mut self) -> io::Result<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("a number"))
    }
}

pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(&text.as_bytes()[..usize::try_from(length).unwrap_or(0)]);
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What every call begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub key: i16,
    pub version: i16,
    pub correlation: i32,
}

/// Bytes of [`Call`] on the wire.
pub const CALL_BYTES: usize = 8;

impl Call {
    pub fn read(message: &[u8]) -> io::Result<Self> {
        let mut reader = Reader(message);
        Ok(Self {
            key: reader.i16()?,
            version: reader.i16()?,
            correlation: reader.i32()?,
        })
    }

    /// A call of the tunnel's own, of a version without tags.
    pub fn write(self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(CALL_BYTES + 8 + body.len());
        out.extend(self.key.to_be_bytes());
        out.extend(self.version.to_be_bytes());
        out.extend(self.correlation.to_be_bytes());
        put_text(&mut out, "florin");
        out.extend(body);
        out
    }

    /// Its answer is changed on the way.
    pub const fn is_changed(self) -> bool {
        matches!(self.key, METADATA | FIND_COORDINATOR | API_VERSIONS)
    }

    /// What its answer becomes; `place` gives each broker another address.
    ///
    /// # Errors
    /// For an answer that is not understood, and those of `place`.
    pub fn change(
        self,
        answer: &[u8],
        place: &mut impl FnMut(&str, i32) -> io::Result<(String, i32)>,
    ) -> io::Result<Vec<u8>> {
        match self.key {
            METADATA => metadata(answer, self.version, place),
            FIND_COORDINATOR => coordinator(answer, self.version, place),
            API_VERSIONS => versions(answer, self.version),
            _ => Ok(answer.to_vec()),
        }
    }
}

/// A broker as both answers have it.
fn broker(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    place: &mut impl FnMut(&str, i32) -> io::Result<(String, i32)>,
) -> io::Result<()> {
    out.extend(reader.i32()?.to_be_bytes());
    let host = reader.text()?.unwrap_or_default();
    let port = reader.i32()?;
    // No broker: there is none yet.
    let (host, port) = match host.is_empty() {
        true => (host.to_owned(), port),
        false => place(host, port)?,
    };
    put_text(out, &host);
    out.extend(port.to_be_bytes());
    Ok(())
}

fn metadata(
    answer: &[u8],
    version: i16,
    place: &mut impl FnMut(&str, i32) -> io::Result<(String, i32)>,
) -> io::Result<Vec<u8>> {
    if !(0..=8).contains(&version) {
        return Err(malformed("a version of Metadata that was not offered"));
    }
    let mut reader = Reader(answer);
    let mut out = Vec::with_capacity(answer.len() + 64);
    if version >= 3 {
        out.extend(reader.i32()?.to_be_bytes());
    }
    let count = reader.i32()?;
    out.extend(count.to_be_bytes());
    for _ in 0..count {
        broker(&mut reader, &mut out, place)?;
        if version >= 1 {
            match reader.text()? {
                Some(rack) => put_text(&mut out, rack),
                None => out.extend((-1_i16).to_be_bytes()),
            }
        }
    }
    out.extend(reader.0);
    Ok(out)
}

fn coordinator(
    answer: &[u8],
    version: i16,
    place: &mut impl FnMut(&str, i32) -> io::Result<(String, i32)>,
) -> io::Result<Vec<u8>> {
    if !(0..=2).contains(&version) {
        return Err(malformed(
            "a version of FindCoordinator that was not offered",
        ));
    }
    let mut reader = Reader(answer);
    let mut out = Vec::with_capacity(answer.len() + 64);
    if version >= 1 {
        out.extend(reader.i32()?.to_be_bytes());
    }
    out.extend(reader.i16()?.to_be_bytes());
    if version >= 1 {
        match reader.text()? {
            Some(words) => put_text(&mut out, words),
            None => out.extend((-1_i16).to_be_bytes()),
        }
    }
    broker(&mut reader, &mut out, place)?;
    out.extend(reader.0);
    Ok(out)
}

/// Offers of versions, as they are shown to the client.
fn versions(answer: &[u8], version: i16) -> io::Result<Vec<u8>> {
    let mut reader = Reader(answer);
    let error = reader.i16()?;
    // A version that the broker does not know is answered in the first form; the client asks again.
    if error != 0 {
        return Ok(answer.to_vec());
    }
    let is_tagged = version >= 3;
    let count = match is_tagged {
        true => reader.varint()?.saturating_sub(1),
        false => u32::try_from(reader.i32()?).unwrap_or(0),
    };
    let mut shown = Vec::new();
    for _ in 0..count {
        let (key, min, max) = (reader.i16()?, reader.i16()?, reader.i16()?);
        if is_tagged {
            for _ in 0..reader.varint()? {
                reader.varint()?;
                let length = reader.varint()?;
                reader.take(length as usize)?;
            }
        }
        let held = HELD.iter().find(|(held, _)| *held == key);
        let max = held.map_or(max, |(_, most)| max.min(*most));
        let own = OWN.iter().any(|(own, _)| *own == key);
        if !own && key != DESCRIBE_CLUSTER && min <= max {
            shown.push((key, min, max));
        }
    }
    shown.extend(OWN.map(|(key, max)| (key, 0, max)));
    let mut out = error.to_be_bytes().to_vec();
    let count = u32::try_from(shown.len()).unwrap_or(u32::MAX);
    match is_tagged {
        true => put_varint(&mut out, count + 1),
        false => out.extend(count.to_be_bytes()),
    }
    for (key, min, max) in shown {
        for number in [key, min, max] {
            out.extend(number.to_be_bytes());
        }
        if is_tagged {
            out.push(0);
        }
    }
    out.extend(reader.0);
    Ok(out)
}

#[cfg(test)]
mod tests;
