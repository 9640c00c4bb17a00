//! Card payments: the provider behind a trait, what it tells us, and what we ask it.

/// Takes card payments; see contract C5.
pub trait Provider: Send + Sync + 'static {
    /// Name of the provider in ids and accounts (`stripe`).
    fn name(&self) -> &'static str;
}
