//! What other parts of the room want to do in the same transaction as a correction's last step.

use super::model::Correction;
use crate::store::{Session, Working};

/// Told inside the transaction; an error rolls the step back.
pub trait Hooks: Send + Sync + 'static {
    /// The books hold the correction: a line that it follows is matched, a variance makes its
    /// match count.
    fn applied<'a>(
        &'a self,
        session: &'a mut Session,
        correction: &'a Correction,
    ) -> Working<'a, ()>;

    /// A final no: the match that waited for its variance is undone.
    fn rejected<'a>(
        &'a self,
        session: &'a mut Session,
        correction: &'a Correction,
    ) -> Working<'a, ()>;
}

/// Nobody else wants to do anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn applied<'a>(&'a self, _: &'a mut Session, _: &'a Correction) -> Working<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn rejected<'a>(&'a self, _: &'a mut Session, _: &'a Correction) -> Working<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
