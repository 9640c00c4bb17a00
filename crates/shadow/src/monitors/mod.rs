//! Monitors: scheduled looks at the books, and the alerts that follow (contract E).
pub mod rules;
