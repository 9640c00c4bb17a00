//! Times in microseconds, counted in buckets less than 1 % wide: constant memory, constant cost.

/// Buckets of one power of two: 128, so a bucket is at most 1/128 of its value wide.
const SPLIT_BITS: u32 = 7;
const SPLIT: u64 = 1 << SPLIT_BITS;
/// Values above 2^36 µs (19 hours) are counted as that.
const VALUE_MAX: u64 = (1 << 36) - 1;

/// A histogram of times.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; bucket(VALUE_MAX) + 1],
            count: 0,
            max: 0,
        }
    }
}

/// Values below 128 have a bucket each; above, each power of two has 128.
fn bucket(value: u64) -> usize {
    let octave = (value | (SPLIT - 1)).ilog2() + 1 - SPLIT_BITS;
    let mantissa = value >> octave;
    // From the second octave on the mantissa is at least 64.
    (u64::from(octave) * (SPLIT / 2) + mantissa) as usize
}

/// The largest value counted in a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let half = SPLIT / 2;
    if bucket < SPLIT {
        return bucket;
    }
    let octave = bucket / half - 1;
    let mantissa = bucket - octave * half;
    ((mantissa + 1) << octave) - 1
}

impl Histogram {
    /// Counts a time in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.buckets[bucket(micros.min(VALUE_MAX))] += 1;
        self.count += 1;
        self.max = self.max.max(micros);
    }

    /// How many were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The largest, exactly.
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The value that `per_mille` of a thousand do not exceed, rounded up to its bucket's end.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (number, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(number).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_value_and_is_narrow() {
        for value in (0..5_000).chain([123_456, 9_999_999, VALUE_MAX]) {
            let top = upper(bucket(value));
            assert!(top >= value, "{value} is above its bucket's end {top}");
            assert!(top - value <= value / 64, "{value}: a bucket up to {top}");
            assert!(value == 0 || bucket(value) >= bucket(value - 1));
        }
    }

    #[test]
    fn quantiles_come_in_order() {
        let mut times = Histogram::default();
        (1..=1000).for_each(|micros| times.record(micros));
        assert_eq!((times.quantile(500), times.max()), (503, 1000));
        assert_eq!((times.quantile(950), times.quantile(1000)), (951, 1000));
        assert_eq!(Histogram::default().quantile(500), 0);
    }
}
