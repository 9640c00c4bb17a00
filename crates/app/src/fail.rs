//! Errors as a person at a terminal meets them: one line that says what is wrong, and a `hint:`
//! line that says what to do about it.

use std::fmt;

/// An error with its remedy and the exit code of the process.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// An error that says what to do.
pub fn failure(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    with_code(message, Some(hint.into()), 1)
}

/// An error with an exit code of its own.
pub fn with_code(message: impl Into<String>, hint: Option<String>, code: u8) -> anyhow::Error {
    anyhow::Error::new(Failure {
        message: message.into(),
        hint,
        code,
    })
}

/// The remedy of an error, if it has one.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<Failure>()?.hint.as_deref()
}

/// Adds a remedy to any error.
pub trait OrHint<T> {
    /// Keeps the error's words and adds what to do.
    fn or_hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrHint<T> for Result<T, E> {
    fn or_hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| failure(format!("{:#}", error.into()), hint))
    }
}

/// Writes the error to stderr and answers the exit code.
pub fn report(error: &anyhow::Error) -> u8 {
    eprintln!("error: {error:#}");
    match error.downcast_ref::<Failure>() {
        Some(known) => {
            if let Some(hint) = &known.hint {
                eprintln!("hint: {hint}");
            }
            known.code
        }
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stays_with_its_error() {
        let wrong: Result<u8, _> = "x".parse::<u8>();
        let error = wrong.or_hint("give a number").expect_err("not a number");
        let known = error.downcast_ref::<Failure>().expect("ours");
        assert_eq!(known.hint.as_deref(), Some("give a number"));
        assert_eq!(error.to_string(), "invalid digit found in string");
    }
}
