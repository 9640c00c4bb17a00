//! The house rules, and the binary as a stranger meets it.

mod direction;
mod script;
mod tidy;
