//! The real binary behind its real socket: how tests start it, talk to it, stop it and kill it.
//!
//! One server costs about a second, so that tests are grouped: a group is one test that starts
//! a server and runs its cases against it one after the other ([`run`]), each under its own
//! name. `FLORIN_CASE=case_16` runs only the cases whose names contain the text.

pub mod client;
pub mod launch;
pub mod moves;
pub mod rng;
mod transport;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub use client::Reply;
pub use launch::{ANY_DISK, Launch, PROGRAM, Server, program};
pub use moves::path;
pub use rng::Rng;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Without any credential.
    Nobody,
    /// A token of the user `ana`.
    Ana,
    /// A token of the user `bob`.
    Bob,
    /// A key of role `service`.
    Service,
    /// A key of role `operator`.
    Operator,
    /// A key of role `auditor`.
    Auditor,
    /// A key of role `admin`.
    Admin,
}

/// A case with its name.
pub type Case<'a> = (&'a str, &'a dyn Fn(&Server));

/// Looks again and again until there is something, at most for so long.
#[track_caller]
pub fn wait<T>(what: &str, longest: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    const LOOK: Duration = Duration::from_millis(200);
    let until = Instant::now() + longest;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// Runs every case, then compares the books. Fails with the names of those that failed.
pub fn run(server: &Server, cases: &[Case<'_>]) {
    let wanted = std::env::var("FLORIN_CASE").unwrap_or_default();
    let mut failed = Vec::new();
    for (name, case) in cases.iter().filter(|(name, _)| name.contains(&wanted)) {
        if catch_unwind(AssertUnwindSafe(|| case(server))).is_err() {
            eprintln!("FAILED {name}");
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        eprintln!("{}", server.log_tail());
        panic!("failed: {}", failed.join(", "));
    }
    server.books_are_balanced();
}

/// Runs functions of the form `fn(&Server)` as the cases of a group.
macro_rules! cases {
    ($server:expr; $($case:ident),+ $(,)?) => {
        $crate::server::run(&$server, &[$((stringify!($case), &$case)),+])
    };
}
pub(crate) use cases;
