//! When a refused message is tried again: 12 tries over about 3 days, then it is parked
//! (contracts, "webhooks").

use std::hash::Hasher as _;

/// Tries of one round.
pub const TRIES: u32 = 12;

/// Waits after the first to the eleventh try, in seconds; together 71 hours.
const WAITS: [i64; TRIES as usize - 1] = [
    5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400,
];

/// Spread of a wait, in per cent of it to either side: receivers that come back are not hit
/// by all waiting messages at once.
const JITTER_PERCENT: i64 = 10;

/// Microseconds to wait after try number `tries` (from 1) of a delivery; `None` when it was the
/// last. The spread follows from the delivery's id, so that it can be foretold in tests.
pub fn wait_micros(delivery_id: &str, tries: u32) -> Option<i64> {
    let index = usize::try_from(tries.checked_sub(1)?).ok()?;
    let wait = WAITS.get(index)? * 1_000_000;
    let span = wait / 100 * JITTER_PERCENT;
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(delivery_id.as_bytes());
    hasher.write_u32(tries);
    let spread = i64::try_from(hasher.finish() >> 1).unwrap_or(0) % (2 * span + 1);
    Some(wait - span + spread)
}

/// FNV-1a with a final mix; spreads ids, keeps no secret.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_tries_over_three_days() {
        let waits: Vec<i64> = (1..TRIES)
            .map(|tries| wait_micros("d", tries).expect("not the last"))
            .collect();
        let hours = waits.iter().sum::<i64>() / 3_600_000_000;
        assert!((63..=79).contains(&hours), "{hours} hours");
        assert_eq!(wait_micros("d", TRIES), None);
        assert_eq!(wait_micros("d", 0), None);
        let within =
            |wait: i64, seconds: i64| (seconds * 900_000..=seconds * 1_100_000).contains(&wait);
        for (wait, seconds) in waits.iter().zip(WAITS) {
            assert!(within(*wait, seconds), "{wait} for {seconds} s");
        }
    }

    #[test]
    fn waits_of_different_deliveries_spread() {
        let of = |id: &str| wait_micros(id, 5);
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }
}
