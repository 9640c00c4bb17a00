//! Rate limits of this room (contract E): allowances per credential that hold for every role.
//! The configuration gives each a figure (`limits.*`).

use florin_platform::http::limit::LimitClass;

/// Events, single and in batches.
pub const INTAKE: &str = "intake";
/// Drift checks.
pub const DRIFT_CHECKS: &str = "drift-checks";
/// Corrections, reversals, redrives and rejections of events.
pub const CORRECTIONS: &str = "corrections";
/// Imports of statements.
pub const IMPORTS: &str = "imports";

pub(super) const fn intake() -> LimitClass {
    LimitClass::Named(INTAKE)
}

pub(super) const fn drift_checks() -> LimitClass {
    LimitClass::Named(DRIFT_CHECKS)
}

pub(super) const fn corrections() -> LimitClass {
    LimitClass::Named(CORRECTIONS)
}

pub(super) const fn imports() -> LimitClass {
    LimitClass::Named(IMPORTS)
}
