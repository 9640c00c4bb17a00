//! Tests of problem.

use super::*;
use serde_json::json;

fn body(problem: &Problem, form: ErrorForm) -> Value {
    serde_json::from_slice(&problem.to_json(Some("t-1"), form)).expect("valid JSON")
}

#[test]
fn shape_of_rfc_9457() {
    let problem = Problem::validation("amount", "must be positive").with("limit", "10.00");
    assert_eq!(
        body(&problem, ErrorForm::Plain),
        json!({
            "type": "urn:florin:problem:validation_failed",
            "title": "Validation failed",
            "status": 400,
            "detail": "must be positive",
            "code": "validation_failed",
            "traceId": "t-1",
            "errors": [{"field": "amount", "code": "validation_failed", "message": "must be positive"}],
            "limit": "10.00",
        })
    );
}

#[test]
fn error_member_is_the_code_in_upper_case() {
    let problem = Problem::new(Status::BadRequest, "insufficient_funds", "Too little.");
    assert_eq!(
        body(&problem, ErrorForm::UpperCode)["error"],
        "INSUFFICIENT_FUNDS"
    );
    assert!(body(&problem, ErrorForm::Plain).get("error").is_none());
}

#[test]
fn words_are_code_and_detail_again() {
    let problem = Problem::new(Status::Forbidden, "forbidden", "Not you.");
    let shown = body(&problem, ErrorForm::Words);
    assert_eq!(shown["error"], "forbidden");
    assert_eq!(shown["message"], "Not you.");
    let own = problem.with("message", "Another.");
    assert_eq!(body(&own, ErrorForm::Words)["message"], "Another.");
}

#[test]
fn server_errors_show_nothing_internal() {
    let problem = Problem::internal("disk /var/lib/x: permission denied");
    let text = String::from_utf8(problem.to_json(None, ErrorForm::UpperCode)).expect("UTF-8");
    assert!(!text.contains("/var/lib/x"), "{text}");
    assert_eq!(problem.cause(), Some("disk /var/lib/x: permission denied"));
    assert_eq!(problem.severity(), Severity::Error);
}

#[test]
fn retry_after_rounds_up_and_replaces() {
    let problem = Problem::overloaded().with_retry_after(Duration::from_millis(1500));
    let response = problem.into_response();
    let values: Vec<_> = response.headers().get_all(RETRY_AFTER).iter().collect();
    assert_eq!(values, ["2"]);
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
}

#[test]
fn extra_members_replace_by_name() {
    let problem = Problem::conflict("idempotency_conflict", "Differs.")
        .with("field", "amount")
        .with("field", "currency");
    assert_eq!(body(&problem, ErrorForm::Plain)["field"], "currency");
}
