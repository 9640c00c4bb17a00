//! The inside of a data block: records in key order, each key without the bytes it shares with
//! the one before.
//!
//! A record is `shared u8, value_len u8, [sum_len u8,] key suffix, value, [sum]`; the sum only in
//! tables that keep running sums. The checksum around a block is the run's business.

use std::ops::Range;

use super::spec::{MAX_KEY, MAX_VALUE};

/// How the records of a table are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) key_len: usize,
    pub(super) sums: bool,
}

/// Appends a record to a block. `last_key` is empty at the start of a block.
pub(super) fn encode(
    block: &mut Vec<u8>,
    format: Format,
    last_key: &[u8],
    key: &[u8],
    value: &[u8],
    sum: &[u8],
) {
    assert!(key.len() == format.key_len && value.len() <= MAX_VALUE && sum.len() <= MAX_VALUE);
    let shared = last_key.iter().zip(key).take_while(|(a, b)| a == b).count();
    let mut head = [shared as u8, value.len() as u8, sum.len() as u8];
    if !format.sums {
        head[2] = 0;
    }
    block.extend_from_slice(&head[..if format.sums { 3 } else { 2 }]);
    block.extend_from_slice(&key[shared..]);
    block.extend_from_slice(value);
    if format.sums {
        block.extend_from_slice(sum);
    }
}

/// Steps through the records of a block; holds positions only, the bytes are passed in.
#[derive(Clone, Default)]
pub(super) struct Decoder {
    next: usize,
    key: [u8; MAX_KEY],
    value: Range<usize>,
    sum: Range<usize>,
}

/// The bytes of a block contradict themselves although the checksum holds.
#[derive(Debug)]
pub(super) struct Malformed;

impl Decoder {
    /// Moves to the next record; `false` at the end of the block.
    pub(super) fn step(&mut self, block: &[u8], format: Format) -> Result<bool, Malformed> {
        if self.next == block.len() {
            return Ok(false);
        }
        let head_len = if format.sums { 3 } else { 2 };
        let head = block
            .get(self.next..self.next + head_len)
            .ok_or(Malformed)?;
        let shared = head[0] as usize;
        let (value_len, sum_len) = (head[1] as usize, head.get(2).copied().unwrap_or(0) as usize);
        if shared > format.key_len {
            return Err(Malformed);
        }
        let key_at = self.next + head_len;
        let value_at = key_at + format.key_len - shared;
        let suffix = block.get(key_at..value_at).ok_or(Malformed)?;
        self.key[shared..format.key_len].copy_from_slice(suffix);
        self.value = value_at..value_at + value_len;
        self.sum = self.value.end..self.value.end + sum_len;
        self.next = self.sum.end;
        if self.next > block.len() {
            return Err(Malformed);
        }
        Ok(true)
    }

    pub(super) fn key(&self, format: Format) -> &[u8] {
        &self.key[..format.key_len]
    }

    pub(super) fn value<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        &block[self.value.clone()]
    }

    pub(super) fn sum<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        &block[self.sum.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote_and_refuses_a_cut_block() {
        for sums in [false, true] {
            let format = Format { key_len: 3, sums };
            let mut block = Vec::new();
            encode(&mut block, format, b"", b"aaa", b"one", b"1");
            encode(&mut block, format, b"aaa", b"aab", b"", b"12");
            let mut at = Decoder::default();
            assert!(at.step(&block, format).unwrap());
            assert_eq!(
                (at.key(format), at.value(&block)),
                (&b"aaa"[..], &b"one"[..])
            );
            assert!(at.step(&block, format).unwrap());
            assert_eq!((at.key(format), at.value(&block)), (&b"aab"[..], &b""[..]));
            assert_eq!(at.sum(&block), if sums { &b"12"[..] } else { &b""[..] });
            assert!(!at.step(&block, format).unwrap());

            let mut at = Decoder::default();
            assert!(at.step(&block[..4], format).is_err());
        }
    }
}
