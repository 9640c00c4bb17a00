//! Identifiers: UUID version 7 from a passed-in time and a buffered random source.
#![allow(
    clippy::disallowed_methods,
    reason = "the one place that asks the system for random numbers"
)]

use uuid::Uuid;

const BUFFER_BYTES: usize = 1_000;
const BYTES_PER_ID: usize = 10;

/// Makes UUIDv7 values. Not shared between threads: give each owner its own.
pub struct IdSource {
    buffer: [u8; BUFFER_BYTES],
    used: usize,
}

impl Default for IdSource {
    fn default() -> Self {
        Self::new()
    }
}

impl IdSource {
    /// A source backed by the operating system's random numbers.
    pub const fn new() -> Self {
        Self {
            buffer: [0; BUFFER_BYTES],
            used: BUFFER_BYTES,
        }
    }

    /// A UUIDv7 for `wall_micros` (microseconds since the epoch). The microseconds within the
    /// millisecond lead the random part, so that ids of one maker sort by time.
    pub fn uuid_v7(&mut self, wall_micros: i64) -> Uuid {
        if self.used + BYTES_PER_ID > BUFFER_BYTES {
            getrandom::fill(&mut self.buffer).expect("the system's random source answers");
            self.used = 0;
        }
        let random = &mut self.buffer[self.used..self.used + BYTES_PER_ID];
        self.used += BYTES_PER_ID;
        let micros = wall_micros.max(0).unsigned_abs();
        // 12 bits of rand_a: the microsecond fraction scaled to 4096 steps (RFC 9562 6.2, method 3).
        let fraction = (micros % 1_000) * 4_096 / 1_000;
        random[0] = (fraction >> 8) as u8;
        random[1] = fraction as u8;
        let mut counter_and_random = [0u8; 10];
        counter_and_random.copy_from_slice(random);
        uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &counter_and_random).into_uuid()
    }

    /// 32 random bytes, for keys and secrets.
    pub fn random_32() -> [u8; 32] {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).expect("the system's random source answers");
        bytes
    }
}

/// Parses the canonical form of a UUID (lower case, hyphens) and nothing else.
pub fn parse_canonical_uuid(text: &str) -> Option<Uuid> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if DASHES.iter().any(|&at| bytes[at] != b'-') {
        return None;
    }
    // What is no digit sets high bits of `seen`: one look at the end is enough.
    let (mut value, mut seen) = ([0; 16], 0);
    for (byte, &at) in value.iter_mut().zip(&PAIRS) {
        let high = NIBBLES[usize::from(bytes[at])];
        let low = NIBBLES[usize::from(bytes[at + 1])];
        seen |= high | low;
        *byte = high << 4 | low & 0xF;
    }
    (seen < 0x10).then(|| Uuid::from_bytes(value))
}

/// Where the canonical form has its dashes, and the first digit of each byte.
const DASHES: [usize; 4] = [8, 13, 18, 23];
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The value of each lower-case hexadecimal digit; 0xFF for other bytes.
const NIBBLES: [u8; 256] = {
    let mut table = [0xFF; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_seven_sorts_by_time() {
        let mut ids = IdSource::new();
        let a = ids.uuid_v7(1_700_000_000_000_100);
        let b = ids.uuid_v7(1_700_000_000_000_900);
        assert_eq!(a.get_version_num(), 7);
        assert!(a < b, "{a} before {b}");
    }

    #[test]
    fn only_the_canonical_form_parses() {
        let text = "0190f000-0000-7000-8000-00000000000a";
        assert_eq!(
            parse_canonical_uuid(text).map(|u| u.to_string()).as_deref(),
            Some(text)
        );
        assert_eq!(
            parse_canonical_uuid("0190F000-0000-7000-8000-00000000000A"),
            None
        );
        assert_eq!(
            parse_canonical_uuid("0190f00000000-7000-8000-00000000000a"),
            None
        );
        assert_eq!(
            parse_canonical_uuid("0190f000-0000-7000-8000-0000000000-a"),
            None
        );
    }
}
