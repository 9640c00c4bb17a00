//! Ledger time (contract A7): never falls, does not follow a wall clock that was set back, stops
//! for one that jumped ahead.

use std::sync::Arc;

use florin_base::{Clock, Timestamp};

/// Difference between wall and ledger time that is worth a warning, in microseconds.
const WARN_BEHIND_MICROS: i64 = 1_000_000;

/// State of the clock, for `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// Wall clock and ledger time agree.
    Good,
    /// The wall clock was set back; ledger time goes on by the boot-time clock.
    Behind,
    /// The wall clock jumped ahead: no postings until it returns or is accepted.
    Unsafe,
}

/// Makes `recordedAt`.
pub(crate) struct LedgerTime {
    clock: Arc<dyn Clock>,
    /// Last value given.
    last: i64,
    /// Reading of both clocks the jump is measured against.
    anchor_wall: i64,
    anchor_boot: i64,
    /// Boot-time clock at the last value given.
    last_boot: i64,
    forward_max: i64,
}

impl LedgerTime {
    /// Goes on after `last` (microseconds; 0 for a new ledger).
    pub(crate) fn new(clock: Arc<dyn Clock>, last: i64, forward_max: i64) -> Self {
        let (wall, boot) = (clock.wall_micros(), clock.boot_micros());
        Self {
            clock,
            last,
            anchor_wall: wall,
            anchor_boot: boot,
            last_boot: boot,
            forward_max,
        }
    }

    /// Ledger time now: the larger of the wall clock and last value + elapsed boot time.
    pub(crate) fn now(&self) -> i64 {
        let elapsed = (self.clock.boot_micros() - self.last_boot).max(0);
        let steady = self.last + elapsed;
        // A jump must leave no trace should the wall clock return.
        if self.is_unsafe() {
            steady
        } else {
            self.clock.wall_micros().max(steady)
        }
    }

    fn is_unsafe(&self) -> bool {
        let (wall, boot) = (self.clock.wall_micros(), self.clock.boot_micros());
        (wall - self.anchor_wall) - (boot - self.anchor_boot) > self.forward_max
    }

    /// Whether postings may go on.
    pub(crate) fn state(&self) -> ClockState {
        if self.is_unsafe() {
            ClockState::Unsafe
        } else if self.clock.wall_micros() + WARN_BEHIND_MICROS < self.now() {
            ClockState::Behind
        } else {
            ClockState::Good
        }
    }

    /// Another process gave this time already: later ones lie above it.
    pub(crate) fn observe(&mut self, last: i64) {
        if last > self.last {
            self.last = last;
            self.last_boot = self.clock.boot_micros();
        }
    }

    /// An operator takes the wall clock as it is.
    pub(crate) fn accept(&mut self) {
        self.anchor_wall = self.clock.wall_micros();
        self.anchor_boot = self.clock.boot_micros();
    }

    /// The time of the next commit: above that of every earlier one.
    pub(crate) fn next(&mut self) -> Timestamp {
        let now = self.now().max(self.last + 1);
        self.last = now;
        self.last_boot = self.clock.boot_micros();
        // Small steps forward (a leap, an hour) must not add up to a jump.
        if !self.is_unsafe() {
            self.accept();
        }
        Timestamp(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::clock::ManualClock;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn case_60_a_wall_clock_set_back_changes_nothing_but_a_warning() {
        let clock = Arc::new(ManualClock::new(100 * HOUR));
        let mut time = LedgerTime::new(clock.clone(), 0, 24 * HOUR);
        let first = time.next();
        clock.set_wall(99 * HOUR);
        clock.advance(1_000_000);
        let second = time.next();
        assert_eq!(second.0 - first.0, 1_000_000);
        assert_eq!(time.state(), ClockState::Behind);
    }

    #[test]
    fn case_61_a_jump_of_two_days_is_unsafe_until_it_returns_or_is_accepted() {
        let clock = Arc::new(ManualClock::new(100 * HOUR));
        let mut time = LedgerTime::new(clock.clone(), 0, 24 * HOUR);
        clock.set_wall(148 * HOUR);
        assert_eq!(time.state(), ClockState::Unsafe);
        clock.set_wall(100 * HOUR);
        assert_eq!(time.state(), ClockState::Good);
        clock.set_wall(148 * HOUR);
        time.accept();
        assert_eq!(time.state(), ClockState::Good);
    }

    #[test]
    fn time_grows_even_when_the_clock_stands() {
        let mut time = LedgerTime::new(Arc::new(ManualClock::new(5)), 0, 24 * HOUR);
        let (a, b) = (time.next(), time.next());
        assert!(a < b, "{a} < {b}");
    }
}
