//! `errors.md`: every code that an answer may carry, with its status.

use florin_ledger::ResultCode;
use florin_ledger::call::RefusalCode;

/// Codes that the HTTP kit and identity give: code, status, when.
const SHARED: &[(&str, u16, &str)] = &[
    (
        "validation_failed",
        400,
        "a field breaks a rule; `errors` names it",
    ),
    (
        "unknown_field",
        400,
        "the body holds a member that the route does not know",
    ),
    ("malformed_json", 400, "the body is no JSON"),
    (
        "invalid_id",
        400,
        "an id in the path does not have the form of one",
    ),
    (
        "identity_required",
        400,
        "a ledger call with neither ids nor `Idempotency-Key`",
    ),
    (
        "identity_mismatch",
        400,
        "`Idempotency-Key` and `referenceId` differ",
    ),
    (
        "amount_invalid",
        400,
        "not a decimal number as the contract writes them",
    ),
    ("cursor_invalid", 400, "a cursor that was not made here"),
    (
        "cursor_mismatch",
        400,
        "a cursor of another list or of other filters",
    ),
    (
        "unauthenticated",
        401,
        "no credential, or one that is not accepted",
    ),
    ("forbidden", 403, "the credential lacks the permission"),
    (
        "reserved_prefix",
        403,
        "ids that start with `florin:` are Florin's",
    ),
    ("signup_closed", 403, "accounts are made by administrators"),
    ("not_found", 404, "nothing at this path"),
    ("user_not_found", 404, "no such user"),
    ("key_not_found", 404, "no such API key"),
    ("checkpoint_not_found", 404, "no such checkpoint"),
    ("webhook_not_found", 404, "no such endpoint"),
    (
        "method_not_allowed",
        405,
        "the path exists, but not with this method",
    ),
    (
        "idempotency_conflict",
        409,
        "the key was used for another body; `field` names the first difference",
    ),
    ("user_exists", 409, "a user with this name or id exists"),
    (
        "seq_ahead",
        409,
        "the feed was asked for records beyond its end",
    ),
    (
        "checkpoint_pending",
        409,
        "no checkpoint covers the transfer yet; `Retry-After`",
    ),
    (
        "body_too_large",
        413,
        "the body is larger than the route takes",
    ),
    (
        "unsupported_media_type",
        415,
        "the body must be application/json",
    ),
    ("rate_limited", 429, "too many requests; `Retry-After`"),
    (
        "internal_error",
        500,
        "a fault of the server; the trace id leads to its log",
    ),
    (
        "overloaded",
        503,
        "certainly not done: the server is full; `Retry-After`",
    ),
    (
        "store_unavailable",
        503,
        "certainly not done: the store takes no postings now",
    ),
    (
        "clock_unsafe",
        503,
        "certainly not done: the clock jumped ahead",
    ),
    (
        "commit_unknown",
        503,
        "not known whether it was done: send the same call again",
    ),
];

/// The page.
pub fn render() -> String {
    let mut text = String::from(
        "# Codes\n\nMade from the program by `./dev gen`. Every refusal is \
         `application/problem+json` with a stable `code`; a 5xx says nothing about the inside, \
         its `traceId` leads to the log. On wallet routes `error` repeats the code in upper case.\n\n\
         ## Everywhere\n\n| code | status | when |\n|---|---|---|\n",
    );
    for (code, status, when) in SHARED {
        text.push_str(&format!("| `{code}` | {status} | {when} |\n"));
    }
    text.push_str(
        "\n## Results of ledger transfers\n\nIn order of rank: the first that applies is the \
         result. The status is that of the single form. Remembered ones are the outcome of \
         their id for ever.\n\n| rank | code | status | remembered |\n|---|---|---|---|\n",
    );
    for code in ResultCode::ALL {
        let remembered = if code.is_remembered() { "yes" } else { "" };
        let cells = format!(
            "| {} | `{}` | {} | {remembered}",
            code.rank(),
            code.word(),
            code.http()
        );
        text.push_str(&format!("{} |\n", cells.trim_end()));
    }
    text.push_str(
        "\n## Refusals of wallets, accounts, assets and reversals\n\nRemembered ones are \
         answered again for the same identity.\n\n| code | status | remembered |\n|---|---|---|\n",
    );
    for code in RefusalCode::ALL {
        let remembered = if code.is_remembered() { "yes" } else { "" };
        let cells = format!("| `{}` | {} | {remembered}", code.word(), code.http());
        text.push_str(&format!("{} |\n", cells.trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice_in_a_list() {
        for (at, (code, ..)) in SHARED.iter().enumerate() {
            assert!(
                !SHARED[..at].iter().any(|(other, ..)| other == code),
                "{code}"
            );
        }
    }
}
