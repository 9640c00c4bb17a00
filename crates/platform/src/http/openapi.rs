//! The OpenAPI 3.1 file, assembled from the rooms' documents and the route table, and the pages
//! that show it.
//!
//! The rooms describe operations; what is the same everywhere (security schemes, the permission
//! of each route, the refusals that the kit itself makes) is added here from the table that
//! also drives the checks, so that the file cannot promise another rule than the server keeps.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::auth::Access;
use super::json::json_bytes;
use super::problem::Problem;
use super::router::{BoundRoutes, Description, RouteSpec, Routes};
use super::swagger;

/// Head of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiInfo {
    /// Title.
    pub title: String,
    /// Version of the product.
    pub version: String,
    /// One paragraph.
    pub description: String,
}

/// Joins the rooms' documents and adds what they share. The result is sorted, so that equal
/// input gives equal bytes.
pub fn assemble(info: &ApiInfo, all: &Description) -> Value {
    let mut paths = Map::new();
    let mut components = Map::new();
    let mut tags: Vec<Value> = Vec::new();
    for document in &all.documents {
        let document = serde_json::to_value(document).expect("OpenAPI documents are JSON");
        merge(&mut paths, &document["paths"], 2);
        merge(&mut components, &document["components"], 2);
        tags.extend(document["tags"].as_array().into_iter().flatten().cloned());
    }
    for row in &all.rows {
        let method = row.method.to_ascii_lowercase();
        let operation = paths
            .get_mut(&row.path)
            .and_then(|item| item.get_mut(&method))
            .and_then(Value::as_object_mut);
        if let Some(operation) = operation {
            add_shared(operation, row.permission);
        }
    }
    merge(&mut components, &shared_components(), 2);
    tags.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    tags.dedup();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": info.title,
            "version": info.version,
            "description": info.description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": components,
        "tags": tags,
    })
}

/// The file as it is committed: two spaces, a line feed at the end.
pub fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("a JSON value is JSON");
    text.push('\n');
    text
}

/// Routes that the document leaves out and operations that no route serves; both lists are
/// empty in a healthy tree.
pub fn gaps(document: &Value, all: &Description) -> Vec<String> {
    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let methods = METHODS.iter().filter(|method| item.get(method).is_some());
        described.extend(methods.map(|method| (method.to_ascii_uppercase(), path.clone())));
    }
    let served: BTreeSet<_> = all
        .rows
        .iter()
        .filter(|row| row.documented)
        .map(|row| (row.method.clone(), row.path.clone()))
        .collect();
    let missing = served.difference(&described);
    let surplus = described.difference(&served);
    missing
        .map(|(method, path)| format!("{method} {path} is served but not described"))
        .chain(surplus.map(|(method, path)| format!("{method} {path} is described but not served")))
        .collect()
}

/// Merges objects down to `depth` levels; deeper down and for other values the first wins.
fn merge(into: &mut Map<String, Value>, from: &Value, depth: u8) {
    for (name, value) in from.as_object().into_iter().flatten() {
        match into.get_mut(name) {
            None => {
                into.insert(name.clone(), value.clone());
            }
            Some(Value::Object(known)) if depth > 1 => merge(known, value, depth - 1),
            Some(_) => {}
        }
    }
}

fn add_shared(operation: &mut Map<String, Value>, permission: &str) {
    let public = permission == Access::Public.as_str();
    let security = match (public, permission == Access::Optional.as_str()) {
        (true, _) => json!([]),
        (_, true) => json!([{}, {"bearer": []}, {"apiKey": []}]),
        _ => json!([{"bearer": []}, {"apiKey": []}]),
    };
    operation.insert("security".to_string(), security);
    operation.insert("x-permission".to_string(), json!(permission));
    let takes_body = operation.contains_key("requestBody");
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    let mut add = |status: &str, name: &str| {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        responses.entry(status).or_insert(reference);
    };
    if !public {
        add("401", "Unauthenticated");
        add("403", "Forbidden");
    }
    if takes_body {
        add("400", "BadRequest");
        add("413", "BodyTooLarge");
        add("415", "UnsupportedMediaType");
    }
    add("429", "RateLimited");
    add("500", "InternalError");
    add("503", "Unavailable");
}

fn shared_components() -> Value {
    let refusal = |description: &str| {
        json!({
            "description": description,
            "headers": {"X-Trace-Id": {"schema": {"type": "string"}}},
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
            }},
        })
    };
    json!({
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        },
        "responses": {
            "BadRequest": refusal("The request is wrong; `code` and `errors` say how."),
            "Unauthenticated": refusal("No credential, or none that is accepted."),
            "Forbidden": refusal("The credential lacks the permission of this route."),
            "BodyTooLarge": refusal("The body is larger than this route takes."),
            "UnsupportedMediaType": refusal("The body must be application/json."),
            "RateLimited": refusal("Too many requests; see `Retry-After`."),
            "InternalError": refusal("A fault of the server; the trace id leads to its log."),
            "Unavailable": refusal("Not now; see `Retry-After`."),
        },
        "schemas": {"Problem": problem_schema()},
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457. Some problems carry further members, named with their code.",
        "required": ["type", "title", "status", "detail", "code", "traceId"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "Stable, snake_case."},
            "traceId": {"type": "string"},
            "errors": {"type": "array", "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            }},
        },
        "additionalProperties": true,
    })
}

/// `/openapi.json` and `/q/swagger-ui`.
pub(super) fn routes(document: Value) -> BoundRoutes {
    let text = Bytes::from(pretty(&document));
    Routes::new()
        .route(page("/openapi.json"), document_json)
        .route(page("/q/swagger-ui"), swagger::index)
        .route(page("/q/swagger-ui/"), swagger::index)
        .route(page("/q/swagger-ui/{file}"), swagger::asset)
        .bind(Arc::new(text))
}

fn page(path: &'static str) -> RouteSpec {
    RouteSpec::get(path, Access::Public).undocumented()
}

async fn document_json(State(text): State<Arc<Bytes>>) -> Result<Response, Problem> {
    Ok(json_bytes(Bytes::clone(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::router::RouteRow;

    fn description() -> Description {
        let document: utoipa::openapi::OpenApi = serde_json::from_value(json!({
            "openapi": "3.1.0",
            "info": {"title": "room", "version": "0"},
            "paths": {"/api/v1/things": {
                "get": {"responses": {"200": {"description": "things"}}},
                "post": {
                    "requestBody": {"content": {"application/json": {}}},
                    "responses": {"400": {"description": "own words"}},
                },
            }},
        }))
        .expect("a document");
        let row = |method: &str, path: &str, permission| RouteRow {
            path: path.to_string(),
            method: method.to_string(),
            permission,
            documented: true,
        };
        Description {
            rows: vec![
                row("GET", "/api/v1/things", "public"),
                row("POST", "/api/v1/things", "things:write"),
            ],
            documents: vec![document],
            specs: Vec::new(),
        }
    }

    fn info() -> ApiInfo {
        ApiInfo {
            title: "T".to_string(),
            version: "1".to_string(),
            description: "D".to_string(),
        }
    }

    #[test]
    fn operations_get_permission_security_and_refusals() {
        let document = assemble(&info(), &description());
        assert_eq!(document["openapi"], "3.1.0");
        let post = &document["paths"]["/api/v1/things"]["post"];
        assert_eq!(post["x-permission"], "things:write");
        assert_eq!(post["security"], json!([{"bearer": []}, {"apiKey": []}]));
        assert_eq!(post["responses"]["400"]["description"], "own words");
        let reference = &post["responses"]["403"]["$ref"];
        assert_eq!(reference, "#/components/responses/Forbidden");
        assert!(document["components"]["responses"]["Forbidden"].is_object());
        let get = &document["paths"]["/api/v1/things"]["get"];
        assert_eq!(get["security"], json!([]));
        assert!(get["responses"].get("401").is_none());
    }

    #[test]
    fn gaps_name_both_sides() {
        let mut all = description();
        let document = assemble(&info(), &all);
        assert_eq!(gaps(&document, &all), Vec::<String>::new());
        all.rows[0].path = "/api/v1/other".to_string();
        assert_eq!(
            gaps(&document, &all),
            [
                "GET /api/v1/other is served but not described",
                "GET /api/v1/things is described but not served",
            ]
        );
    }
}
