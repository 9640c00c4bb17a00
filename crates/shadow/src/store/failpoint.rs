//! Named points at which a test build may be killed (contract F2).
//!
//! `FLORIN_FAILPOINT=intake.before_commit` kills the process the first time the point is
//! reached; `…:3` the third time. Without the feature `failpoints` there is nothing here.

/// Says that a point is reached.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reach(_point: &'static str) {}

/// Says that a point is reached; dies if it is the one that is asked for.
#[cfg(feature = "failpoints")]
pub fn reach(point: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("FLORIN_FAILPOINT").ok()?;
        match text.split_once(':') {
            Some((name, count)) => Some((name.to_owned(), count.parse().ok()?)),
            None => Some((text, 1)),
        }
    });
    let Some((name, count)) = wanted else { return };
    if name == point && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        // As `kill -9`: no handler, no destructor and no flush may run.
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        // The signal is on its way; nothing more is to happen.
        loop {
            std::thread::park();
        }
    }
}
