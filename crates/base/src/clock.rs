//! The two clocks a ledger needs: the wall clock, which people set, and the boot-time clock,
//! which only ever runs forward.

use std::sync::atomic::{AtomicI64, Ordering};

/// Where the time comes from. Both values are in microseconds.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock: microseconds since 1970-01-01T00:00:00Z; may jump either way.
    fn wall_micros(&self) -> i64;
    /// Boot-time clock: microseconds since an arbitrary start; never falls, counts suspend.
    fn boot_micros(&self) -> i64;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

fn micros(spec: rustix::time::Timespec) -> i64 {
    spec.tv_sec * 1_000_000 + spec.tv_nsec / 1_000
}

impl Clock for SystemClock {
    fn wall_micros(&self) -> i64 {
        micros(rustix::time::clock_gettime(rustix::time::ClockId::Realtime))
    }

    fn boot_micros(&self) -> i64 {
        micros(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
    }
}

/// The system clock with offsets that a tester may move (`--dev-clock`, contract G).
#[derive(Debug, Default)]
pub struct DevClock {
    system: SystemClock,
    wall_offset: AtomicI64,
    boot_offset: AtomicI64,
}

impl DevClock {
    /// A clock that starts equal to the system's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the wall clock only; the boot-time clock goes on undisturbed.
    pub fn set_wall(&self, now_micros: i64) {
        let offset = now_micros - self.system.wall_micros();
        self.wall_offset.store(offset, Ordering::SeqCst);
    }

    /// Moves both clocks together, as if that much time had passed.
    pub fn advance_micros(&self, by: i64) {
        self.wall_offset.fetch_add(by, Ordering::SeqCst);
        self.boot_offset.fetch_add(by.max(0), Ordering::SeqCst);
    }
}

impl Clock for DevClock {
    fn wall_micros(&self) -> i64 {
        self.system.wall_micros() + self.wall_offset.load(Ordering::SeqCst)
    }

    fn boot_micros(&self) -> i64 {
        self.system.boot_micros() + self.boot_offset.load(Ordering::SeqCst)
    }
}

/// A clock that stands still until it is moved; for tests of pure code and engines.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    boot: AtomicI64,
}

impl ManualClock {
    /// A clock standing at `wall` microseconds since the epoch.
    pub fn new(wall: i64) -> Self {
        Self {
            wall: AtomicI64::new(wall),
            boot: AtomicI64::new(0),
        }
    }

    /// Lets both clocks run forward by `by` microseconds.
    pub fn advance(&self, by: i64) {
        self.wall.fetch_add(by, Ordering::SeqCst);
        self.boot.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets the wall clock only.
    pub fn set_wall(&self, now: i64) {
        self.wall.store(now, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_micros(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn boot_micros(&self) -> i64 {
        self.boot.load(Ordering::SeqCst)
    }
}
