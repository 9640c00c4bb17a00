//! Ids of corrections: derived from what they correct, so that a repeated step meets its first
//! outcome (contract C3, C4 and clarifications).

use crate::model::digest::short_id;

/// `CORR-{accountId}-{h}`: the one correction that a check may make for a book.
pub fn of_check(check: &str, account: &str, currency: &str) -> String {
    format!("CORR-{account}-{}", short_id(&[check, account, currency]))
}

/// `REDRIVE-{h}` of an event. `attempt` counts from 1; a later one follows a rejected proposal.
pub fn of_redrive(event: &str, attempt: u32) -> String {
    format!("REDRIVE-{}", attempt_hash(event, attempt))
}

/// `REV-{h}` of a correction; attempts as for redrives.
pub fn of_reversal(reversed: &str, attempt: u32) -> String {
    format!("REV-{}", attempt_hash(reversed, attempt))
}

/// `MANUAL-{accountId}-{h}` from a person and an idempotency key: two people never meet.
pub fn of_key(account: &str, subject: &str, key: &str) -> String {
    format!("MANUAL-{account}-{}", short_id(&[subject, key]))
}

/// `MANUAL-{accountId}-{uuid}` where there is no key.
pub fn of_uuid(account: &str, uuid: &uuid::Uuid) -> String {
    format!("MANUAL-{account}-{uuid}")
}

/// Whether an id starts with a prefix that the intake refuses.
pub fn reserved(id: &str) -> bool {
    let prefixes = ["CORR-", "MANUAL-", "REDRIVE-", "REV-", "LED-"];
    prefixes.iter().any(|prefix| id.starts_with(prefix))
}

fn attempt_hash(id: &str, attempt: u32) -> String {
    match attempt {
        0 | 1 => short_id(&[id]),
        n => short_id(&[id, &n.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_what_they_correct() {
        let one = of_check("c", "B21", "BRL");
        assert!(one.starts_with("CORR-B21-") && one.len() == "CORR-B21-".len() + 16);
        assert_eq!(one, of_check("c", "B21", "BRL"));
        assert_ne!(one, of_check("c", "B21", "USD"));
        assert_ne!(of_redrive("e", 1), of_redrive("e", 2));
        assert_eq!(of_redrive("e", 1).len(), "REDRIVE-".len() + 16);
        assert_ne!(of_key("A", "ana", "k"), of_key("A", "ben", "k"));
        assert!(reserved("LED-1-D") && !reserved("CORRA"));
    }
}
