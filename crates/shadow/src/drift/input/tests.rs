//! Rows of the contract's table of bad input that a check can meet.

use super::*;
use crate::drift::policy::Mode;
use crate::drift::tolerance::Tolerance;
use crate::model::amount::Currencies;

struct Two;

impl Currencies for Two {
    fn scale(&self, code: &str) -> Option<u8> {
        match code {
            "BRL" => Some(2),
            "JPY" => Some(0),
            _ => None,
        }
    }
    fn default_code(&self) -> &str {
        "BRL"
    }
}

fn read(json: &str, strict: bool) -> Result<Item, Vec<(String, &'static str)>> {
    let draft = draft(json.as_bytes(), "[0]").map_err(|f| vec![(f.field, f.code)])?;
    let pairs = |faults: Vec<Fault>| faults.into_iter().map(|f| (f.field, f.code)).collect();
    item(&draft, "[0]", &Two, strict).map_err(pairs)
}

fn code(json: &str) -> &'static str {
    read(json, false).expect_err(json)[0].1
}

#[test]
fn an_account_may_be_negative_and_short() {
    let read = read(r#"{"accountId":"B21","reportedBalance":-14.5}"#, false);
    let wanted = Item {
        account: "B21".into(),
        currency: "BRL".into(),
        scale: 2,
        as_of: None,
        reported: -1_450,
        statement: None,
    };
    assert_eq!(read.expect("good"), wanted);
}

/// Rows 2, 3, 10, 23, 25, 28, 29.
#[test]
fn faults_have_their_codes() {
    assert_eq!(code(r#"{"accountId":"A"}"#), "required");
    assert_eq!(
        code(r#"{"accountId":"A","reportedBalance":null}"#),
        "required"
    );
    for bad in ["\"abc\"", "true", "{}", "1e2", "\"1,5\"", "\"\""] {
        let json = format!(r#"{{"accountId":"A","reportedBalance":{bad}}}"#);
        assert_eq!(code(&json), "amount_invalid", "{bad}");
    }
    assert_eq!(
        code(r#"{"accountId":"A","reportedBalance":10.001}"#),
        "amount_precision"
    );
    assert_eq!(
        code(r#"{"accountId":"A/","reportedBalance":1}"#),
        "invalid_id"
    );
    assert_eq!(
        code(r#"{"accountId":"A","reportedBalance":1,"currency":"XXQ"}"#),
        "currency_unknown"
    );
    assert_eq!(
        code(r#"{"accountId":"A","reportedBalance":1,"asOf":"yesterday"}"#),
        "invalid_timestamp"
    );
    assert_eq!(
        code(r#"{"accountId":"A","reportedBalance":1,"asOf":"1735561800000"}"#),
        "invalid_timestamp"
    );
    assert_eq!(code(r#"{"accountId":"A","balance":1}"#), "unknown_field");
    assert_eq!(
        code(r#"{"accountId":"A","accountId":"A","reportedBalance":1}"#),
        "duplicate_field"
    );
    assert_eq!(code("[]"), "malformed_json");
}

/// Row 30.
#[test]
fn strict_needs_everything() {
    let faults = read(r#"{"accountId":"A","reportedBalance":1}"#, true).expect_err("strict");
    let names: Vec<&str> = faults.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(names, ["[0].currency", "[0].asOf", "[0].statementId"]);
    assert!(faults.iter().all(|(_, code)| *code == "required"));
}

#[test]
fn both_forms_of_a_request() {
    let array = request(br#"[{"accountId":"A","reportedBalance":1}]"#).expect("array");
    assert_eq!(array.drafts[0].0, "[0]");
    let object = br#"{"checkId":"c1","policy":{"mode":"report","strict":true,"maxSubset":3,
        "tolerance":{"absolute":"0.01","percent":1.5}},"accounts":[{"accountId":"A"}]}"#;
    let object = request(object).expect("object");
    assert_eq!(object.check_id.as_deref(), Some("c1"));
    assert_eq!(object.asked.narrowing.mode, Some(Mode::Report));
    assert_eq!(object.asked.narrowing.strict, Some(true));
    let tolerance = object.asked.tolerance.of_scale(2).expect("fits");
    let wanted = Tolerance {
        absolute: 1,
        percent: Some(15_000),
    };
    assert_eq!(tolerance, Some(wanted));
    assert!(object.asked.tolerance.of_scale(0).is_err(), "0.01 of yen");
}

/// Rows 1 and 26, and 413 `too_many_accounts`.
#[test]
fn whole_requests_are_refused_at_once() {
    let code = |body: &[u8]| request(body).expect_err("refused").code;
    assert_eq!(code(b"[]"), "empty_check");
    assert_eq!(code(br#"{"accounts":[]}"#), "empty_check");
    assert_eq!(code(b"{}"), "required");
    assert_eq!(code(b"NaN"), "malformed_json");
    assert_eq!(code(br#"{"accounts":[{}],"x":1}"#), "unknown_field");
    assert_eq!(
        code(br#"{"policy":{"mode":"loud"},"accounts":[{}]}"#),
        "validation_failed"
    );
    let many = format!("[{}{{}}]", "{},".repeat(MAX_ACCOUNTS));
    assert_eq!(code(many.as_bytes()), "too_many_accounts");
}
