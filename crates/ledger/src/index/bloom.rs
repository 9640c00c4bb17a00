//! Blocked presence filter: one cache line per question, eight bits in it.
//!
//! Invariant: a key that was added is always reported as possibly present.

/// Bits per block: one cache line of 64 bytes.
const BLOCK_BITS: usize = 512;

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Block([u64; 8]);

/// Where a key falls and which bits it sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    place: u64,
    pattern: u64,
}

impl Probe {
    /// Of a uniformly distributed key of at least 16 bytes. The place follows the key order, so
    /// a filter filled in key order is filled front to back.
    pub(super) fn of_uniform(key: &[u8]) -> Self {
        Self {
            place: be64(&key[..8]),
            pattern: mix(be64(&key[8..16])),
        }
    }

    /// Of a group number, which may be anything.
    pub(super) fn of_group(group: u64) -> Self {
        let place = mix(group);
        Self {
            place,
            pattern: mix(place),
        }
    }
}

/// The filter of one run.
pub(super) struct Bloom {
    blocks: Vec<Block>,
}

impl Bloom {
    pub(super) fn for_keys(keys: u64, bits_per_key: usize) -> Self {
        let blocks = (keys as usize * bits_per_key).div_ceil(BLOCK_BITS).max(1);
        Self {
            blocks: vec![Block::default(); blocks],
        }
    }

    fn block(&self, probe: Probe) -> usize {
        ((u128::from(probe.place) * self.blocks.len() as u128) >> 64) as usize
    }

    pub(super) fn add(&mut self, probe: Probe) {
        let block = self.block(probe);
        for (lane, word) in self.blocks[block].0.iter_mut().enumerate() {
            *word |= 1 << ((probe.pattern >> (lane * 6)) & 63);
        }
    }

    /// Whether the key may be present. Free of branches, so that the cache misses of several
    /// runs overlap.
    pub(super) fn may_hold(&self, probe: Probe) -> bool {
        let block = &self.blocks[self.block(probe)].0;
        let mut all = 1;
        for (lane, word) in block.iter().enumerate() {
            all &= word >> ((probe.pattern >> (lane * 6)) & 63);
        }
        all & 1 == 1
    }

    pub(super) fn byte_len(&self) -> usize {
        self.blocks.len() * BLOCK_BITS / 8
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let words = self.blocks.iter().flat_map(|block| block.0);
        words.flat_map(u64::to_le_bytes).collect()
    }

    /// `None` if the length is not a whole, positive number of blocks.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK_BITS / 8) {
            return None;
        }
        let blocks = bytes.chunks_exact(BLOCK_BITS / 8).map(|chunk| {
            let mut block = Block::default();
            for (word, bytes) in block.0.iter_mut().zip(chunk.chunks_exact(8)) {
                *word = be64(bytes).swap_bytes();
            }
            block
        });
        Some(Self {
            blocks: blocks.collect(),
        })
    }
}

/// Reads up to 8 bytes as a big-endian number.
pub(super) fn be64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// A bijection that spreads nearby numbers over all 64 bits.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let number = (number ^ (number >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    number ^ (number >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_added_and_rejects_most_of_the_rest() {
        let mut filter = Bloom::for_keys(10_000, 10);
        for group in 0..10_000 {
            filter.add(Probe::of_group(group));
        }
        let filter = Bloom::from_bytes(&filter.to_bytes()).expect("whole blocks");
        assert!((0..10_000).all(|group| filter.may_hold(Probe::of_group(group))));
        let wrong = (10_000..110_000)
            .filter(|g| filter.may_hold(Probe::of_group(*g)))
            .count();
        assert!(wrong < 2_500, "{wrong} of 100000 absent keys pass");
        assert!(Bloom::from_bytes(&[0; 63]).is_none());
    }
}
