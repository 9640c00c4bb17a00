//! Trace ids, problems, strict input, access rules.

use serde_json::json;

use super::support::{Setup, answer, routes};
use florin_platform::http::router::render_table;

#[tokio::test]
async fn trace_ids_are_kept_made_and_echoed() {
    let server = Setup::new().start();
    let kept = server.get("/api/v1/plain").header("x-trace-id", "my_id-1");
    assert_eq!(answer(kept).await.1["x-trace-id"], "my_id-1");
    let bad = server
        .get("/api/v1/plain")
        .header("x-trace-id", "no spaces");
    let made = answer(bad).await.1["x-trace-id"]
        .to_str()
        .expect("ASCII")
        .to_string();
    assert_eq!(made.len(), 32);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let continued = server.get("/api/v1/plain").header("traceparent", parent);
    let (_, headers, _) = answer(continued).await;
    assert_eq!(headers["x-trace-id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let lost = server.get("/nowhere").header("x-trace-id", "lost");
    let (status, headers, body) = answer(lost).await;
    assert_eq!(
        (status, &headers["x-trace-id"]),
        (404, &"lost".parse().expect("header"))
    );
    assert_eq!(body["traceId"], "lost");
    assert_eq!(headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn problems_have_the_shared_shape() {
    let server = Setup::new().start();
    let request = server
        .admin_post("/api/v1/things", r#"{"name":"a","colour":"red"}"#)
        .header("x-trace-id", "t1");
    let (status, headers, body) = answer(request).await;
    assert_eq!(status, 400);
    assert_eq!(headers["content-type"], "application/problem+json");
    let detail = "The field `colour` is not known here.";
    assert_eq!(
        body,
        json!({
            "type": "urn:florin:problem:unknown_field",
            "title": "Unknown field",
            "status": 400,
            "detail": detail,
            "code": "unknown_field",
            "traceId": "t1",
            "error": "UNKNOWN_FIELD",
            "errors": [{"field": "colour", "code": "unknown_field", "message": detail}],
        })
    );
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let server = Setup::new().start();
    for (body, code, field) in [
        (r#"{"name":1}"#, "validation_failed", "name"),
        (r#"{"name":"a","name":"b"}"#, "validation_failed", "name"),
        ("{}", "validation_failed", "name"),
        ("{", "validation_failed", ""),
        ("", "validation_failed", ""),
    ] {
        let (status, _, problem) = answer(server.admin_post("/api/v1/things", body)).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let reader = |path| server.get(path).header("x-api-key", "reader");
    for (path, code, field) in [
        ("/api/v1/things/x", "invalid_id", "id"),
        ("/api/v1/things/1?sort=up", "unknown_field", "sort"),
        ("/api/v1/things/1?limit=-1", "validation_failed", "limit"),
    ] {
        let (status, _, problem) = answer(reader(path)).await;
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!(code)),
            "{path}: {problem}"
        );
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
    }
    let (status, _, thing) = answer(reader("/api/v1/things/7?limit=3")).await;
    assert_eq!(
        (status, &thing["id"], &thing["by"]),
        (200, &json!(7), &json!("reader"))
    );
}

#[tokio::test]
async fn bodies_have_a_type_and_a_limit() {
    let server = Setup::new().start();
    let text = server
        .post("/api/v1/things")
        .header("x-api-key", "admin")
        .body("{}");
    let (status, _, problem) = answer(text).await;
    assert_eq!(
        (status, &problem["code"]),
        (415, &json!("unsupported_media_type"))
    );
    let large = format!("\"{}\"", "x".repeat(2 << 20));
    let send = |path: &str| {
        let request = server.post(path).header("x-api-key", "admin");
        answer(request.json(&serde_json::from_str::<String>(&large).expect("JSON")))
    };
    let (status, _, problem) = send("/api/v1/things").await;
    assert_eq!((status, &problem["code"]), (413, &json!("body_too_large")));
    assert_eq!(problem["limit"], 1 << 20);
    let (status, _, len) = send("/api/v1/big").await;
    assert_eq!((status, len), (200, json!(2 << 20)));
}

#[tokio::test]
async fn access_rules_are_enforced() {
    let server = Setup::new().start();
    let (status, headers, problem) = answer(server.get("/api/v1/things/1")).await;
    assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")));
    assert!(headers.contains_key("www-authenticate"));
    let denied = server
        .post("/api/v1/things")
        .header("x-api-key", "reader")
        .json(&json!({"name": "a"}));
    let (status, _, problem) = answer(denied).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    assert_eq!(problem["permission"], "things:write");
    let (status, headers, problem) = answer(server.post("/api/v1/plain")).await;
    assert_eq!(
        (status, &problem["code"]),
        (405, &json!("method_not_allowed"))
    );
    assert_eq!(headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_panic_shows_nothing_and_does_not_end_the_server() {
    let server = Setup::new().start();
    for _ in 0..2 {
        let (status, headers, problem) = answer(server.get("/api/v1/panics")).await;
        assert_eq!((status, &problem["code"]), (500, &json!("internal_error")));
        assert!(!problem.to_string().contains("vault"), "{problem}");
        assert_eq!(
            headers["x-trace-id"],
            problem["traceId"].as_str().expect("text")
        );
    }
}

#[test]
fn the_route_table_names_every_rule() {
    let expected = "\
POST   /api/v1/big things:write
POST   /api/v1/login public
GET    /api/v1/panics public
GET    /api/v1/plain public
GET    /api/v1/slow public
POST   /api/v1/things things:write
GET    /api/v1/things/{id} things:read
";
    assert_eq!(render_table(&routes().describe().rows), expected);
}

#[tokio::test]
async fn documents_are_served_without_network() {
    let server = Setup::new().start();
    let (status, _, document) = answer(server.get("/openapi.json")).await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    for path in ["/q/swagger-ui", "/q/swagger-ui/"] {
        let (status, headers, page) = answer(server.get(path)).await;
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert!(
            page.as_str()
                .expect("text")
                .contains("swagger-ui-bundle.js")
        );
    }
    for file in [
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "start.js",
        "favicon-32x32.png",
    ] {
        let response = server.get(&format!("/q/swagger-ui/{file}")).send().await;
        assert_eq!(response.expect("an answer").status(), 200, "{file}");
    }
    let (status, _, _) = answer(server.get("/q/swagger-ui/other.js")).await;
    assert_eq!(status, 404);
}
