//! Admission: how many requests may be in progress at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::problem::Problem;

/// Bounds the requests in progress; what does not fit is refused at once.
pub struct Admission {
    max: usize,
    in_progress: AtomicUsize,
}

impl Admission {
    /// At most `max` requests at a time.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            in_progress: AtomicUsize::new(0),
        }
    }

    /// Takes a place until the permit is dropped. Error: 503 `overloaded`.
    pub fn enter(&self) -> Result<Permit<'_>, Problem> {
        let before = self.in_progress.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(self);
        if before >= self.max {
            return Err(Problem::overloaded());
        }
        Ok(permit)
    }

    /// Requests in progress.
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }
}

/// A place among the requests in progress.
pub struct Permit<'a>(&'a Admission);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_refuses_above_its_bound_and_forgets_nothing() {
        let admission = Admission::new(2);
        let first = admission.enter().expect("free");
        let _second = admission.enter().expect("free");
        let problem = admission.enter().err().expect("full");
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (503, "overloaded")
        );
        assert_eq!(admission.in_progress(), 2);
        drop(first);
        assert!(admission.enter().is_ok());
    }
}
