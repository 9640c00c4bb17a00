//! Account scope: which accounts a caller reaches (contract E).

use florin_platform::http::auth::Principal;
use florin_platform::http::problem::{Problem, Status};

use super::problem::ours;

/// Whether a caller reaches an account. Role `user` reaches only what its `accounts` claim
/// names; other roles are narrowed only if the claim is present.
pub fn reaches(caller: &Principal, account_id: &str) -> bool {
    match &caller.accounts {
        Some(patterns) => patterns.iter().any(|pattern| matches(pattern, account_id)),
        None => !is_only_user(caller),
    }
}

/// 403 `account_out_of_scope` unless the caller reaches the account.
pub fn check(caller: &Principal, account_id: &str) -> Result<(), Problem> {
    match reaches(caller, account_id) {
        true => Ok(()),
        false => Err(out_of_scope("This credential does not reach that account.")),
    }
}

/// Whether there may be an account that the caller does not reach.
pub fn is_narrowed(caller: &Principal) -> bool {
    match &caller.accounts {
        Some(patterns) => patterns.iter().all(|pattern| &**pattern != "*"),
        None => is_only_user(caller),
    }
}

/// 403 `account_out_of_scope` for a narrowed caller, where it cannot be told which accounts a
/// thing is about.
pub fn check_whole(caller: &Principal) -> Result<(), Problem> {
    match is_narrowed(caller) {
        false => Ok(()),
        true => Err(out_of_scope(
            "This credential is narrowed to accounts; this is about all of them.",
        )),
    }
}

/// A list of a narrowed caller names the account.
pub fn check_list(caller: &Principal, account: Option<&str>) -> Result<(), Problem> {
    match account {
        Some(account) => check(caller, account),
        None if is_narrowed(caller) => {
            let message = "This credential is narrowed to accounts: name the account.";
            Err(super::problem::field("accountId", "required", message))
        }
        None => Ok(()),
    }
}

fn out_of_scope(detail: &'static str) -> Problem {
    ours(Problem::new(
        Status::Forbidden,
        "account_out_of_scope",
        detail,
    ))
}

fn matches(pattern: &str, account_id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => account_id.starts_with(prefix),
        None => pattern == account_id,
    }
}

/// A credential with another role beside `user` holds that role's rights without a claim.
fn is_only_user(caller: &Principal) -> bool {
    caller.roles.iter().all(|role| &**role == "user")
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_platform::http::auth::{CredentialKind, PermissionSet};
    use std::sync::Arc;

    fn caller(roles: &[&str], accounts: Option<&[&str]>) -> Principal {
        Principal {
            subject: "u".into(),
            owner: "u".into(),
            kind: CredentialKind::Token,
            credential: "user:u".into(),
            token_id: None,
            roles: roles.iter().map(|role| Box::from(*role)).collect(),
            permissions: Arc::new(PermissionSet::default()),
            accounts: accounts.map(|all| all.iter().map(|one| Box::from(*one)).collect()),
        }
    }

    #[test]
    fn row_8_users_reach_only_what_their_claim_names() {
        assert!(!reaches(&caller(&["user"], None), "A1"));
        let named = caller(&["user"], Some(&["A1", "B-*"]));
        assert!(reaches(&named, "A1") && reaches(&named, "B-7"));
        assert!(!reaches(&named, "A12") && !reaches(&named, "C"));
        assert!(reaches(&caller(&["user"], Some(&["*"])), "any"));
        assert!(reaches(&caller(&["auditor"], None), "any"));
        assert!(!reaches(&caller(&["auditor"], Some(&["A1"])), "B1"));
        assert!(reaches(&caller(&["user", "admin"], None), "any"));
    }
}
