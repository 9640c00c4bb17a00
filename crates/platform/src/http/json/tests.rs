//! Tests of json.

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Line {
    #[serde(rename = "amount")]
    _amount: String,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Order {
    #[serde(rename = "lines")]
    _lines: Vec<Line>,
    #[serde(rename = "count")]
    _count: Option<u32>,
}

fn refused(body: &str) -> (String, String) {
    let problem = parse::<Order>(body.as_bytes()).expect_err(body);
    assert_eq!(problem.status(), Status::BadRequest);
    let field = problem.errors()[0].field.clone();
    (problem.code().to_string(), field)
}

fn pair(code: &str, field: &str) -> (String, String) {
    (code.to_string(), field.to_string())
}

#[test]
fn problems_name_the_path_of_the_field() {
    let failed = "validation_failed";
    for (body, code, field) in [
        (r#"{"lines":[],"x":1}"#, "unknown_field", "x"),
        (
            r#"{"lines":[{"amount":"1"},{"amount":"1","y":2}]}"#,
            "unknown_field",
            "lines[1].y",
        ),
        (r#"{"lines":[{"amount":1}]}"#, failed, "lines[0].amount"),
        (r#"{"lines":[{}]}"#, failed, "lines[0].amount"),
        (r#"{"count":1}"#, failed, "lines"),
        (r#"{"lines":[],"lines":[]}"#, failed, "lines"),
        (
            r#"{"lines":[{"amount":"1","amount":"2"}]}"#,
            failed,
            "lines[0].amount",
        ),
        (r#"{"lines":[],"count":-1}"#, failed, "count"),
        (r#"{"lines":[]"#, failed, ""),
        (r#"{"lines":[]} x"#, failed, ""),
        ("[]", failed, ""),
        ("", failed, ""),
    ] {
        assert_eq!(refused(body), pair(code, field), "{body}");
    }
    assert!(parse::<Order>(br#"{"lines":[{"amount":"1","note":null}]}"#).is_ok());
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<u32>,
    status: Option<String>,
}

#[test]
fn queries_are_as_strict() {
    let filter: Filter = parse_query("limit=5&status=a%20b").expect("valid");
    assert_eq!(
        (filter.limit, filter.status.as_deref()),
        (Some(5), Some("a b"))
    );
    for (query, code, field) in [
        ("sort=up", "unknown_field", "sort"),
        ("limit=x", "validation_failed", "limit"),
        ("limit=1&limit=2", "validation_failed", "limit"),
    ] {
        let problem = parse_query::<Filter>(query).expect_err(query);
        assert_eq!(problem.code(), code, "{query}");
        assert_eq!(problem.errors()[0].field, field, "{query}");
    }
}

#[test]
fn routes_without_parameters_refuse_them() {
    assert!(parse_query::<NoQuery>("").is_ok());
    let problem = parse_query::<NoQuery>("a=1").expect_err("unknown");
    assert_eq!(problem.errors()[0].field, "a");
}

#[test]
fn borrowed_parsing_points_into_the_body() {
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        meta: &'a serde_json::value::RawValue,
    }
    let body = br#"{"meta": {"b":1, "a":2}}"#;
    let raw: Raw<'_> = parse(body).expect("valid");
    assert_eq!(raw.meta.get(), r#"{"b":1, "a":2}"#);
}

#[tokio::test]
async fn bodies_stop_at_the_limit() {
    let wait = Duration::from_secs(1);
    let fits = read_body(Body::from("12345"), 5, wait).await.expect("fits");
    assert_eq!(&fits[..], b"12345");
    let problem = read_body(Body::from("123456"), 5, wait)
        .await
        .expect_err("too large");
    assert_eq!(
        (problem.status().as_u16(), problem.code()),
        (413, "body_too_large")
    );
    let chunks = ["123", "45", "6"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
    let stream = Body::from_stream(futures_util::stream::iter(chunks));
    let problem = read_body(stream, 5, wait).await.expect_err("too large");
    assert_eq!(problem.code(), "body_too_large");
    let chunks = ["123", "45"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
    let stream = Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(
        &read_body(stream, 5, wait).await.expect("fits")[..],
        b"12345"
    );
}

#[tokio::test]
async fn a_body_that_never_ends_times_out() {
    let stalled = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let problem = read_body(Body::from_stream(stalled), 5, Duration::from_millis(5))
        .await
        .expect_err("stalled");
    assert_eq!(problem.code(), "request_timeout");
}

#[test]
fn content_type_must_be_json() {
    let with = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
        headers
    };
    assert!(require_json(&with("application/json")).is_ok());
    assert!(require_json(&with("Application/JSON; charset=utf-8")).is_ok());
    for bad in ["text/plain", "application/jsonx", ""] {
        let problem = require_json(&with(bad)).expect_err(bad);
        assert_eq!(problem.status().as_u16(), 415);
    }
    assert!(require_json(&HeaderMap::new()).is_err());
}
