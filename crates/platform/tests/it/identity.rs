//! The whole life of users, tokens and keys over HTTP.

use std::sync::Arc;

use florin_base::{Clock, Secret, SystemClock};
use florin_platform::audit::api::AuditApi;
use florin_platform::audit::{self, AuditLog};
use florin_platform::http::client::{ClientConfig, Outgoing, Targets};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::limit::{LimitConfig, Limits};
use florin_platform::http::openapi::{self, ApiInfo};
use florin_platform::http::page::Cursors;
use florin_platform::http::router::{App, Description, render_table};
use florin_platform::http::server::{Server, ServerConfig};
use florin_platform::http::shutdown::{self, ShutdownTrigger};
use florin_platform::identity::api::IdentityApi;
use florin_platform::identity::{self, AuthService, NewUser, Parts, PasswordCost, Settings};
use florin_platform::sql::Db;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

struct House {
    base: String,
    client: Outgoing,
    _trigger: ShutdownTrigger,
    _dir: tempfile::TempDir,
}

/// One answer: status, `Location` or `Idempotency-Replayed`, body.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl House {
    async fn open(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let db = Db::open_sqlite(&dir.path().join("service.db"))
            .await
            .unwrap();
        let audit = AuditLog::open(db.clone(), Arc::clone(&clock))
            .await
            .unwrap();
        let client = Outgoing::new(&ClientConfig::new(Targets::Any)).unwrap();
        let settings = Settings {
            password: PasswordCost::WEAKEST,
            ..Settings::default()
        };
        let parts = Parts {
            settings,
            production: true,
            data_dir: dir.path(),
            db,
            audit: audit.clone(),
            clock,
            client: client.clone(),
        };
        let service = Arc::new(AuthService::open(parts).await.unwrap());
        let admin = NewUser {
            id: Some("root".into()),
            user_name: "root".into(),
            password: Some(Secret::new(PASSWORD.into())),
            display_name: None,
            roles: vec!["admin".into()],
            accounts: None,
        };
        service.create_user("cli", admin, None).await.unwrap();

        let limits = Arc::new(limits);
        let cursors = Cursors::new(b"an example key of 32 bytes......");
        let kit = Kit::new(KitConfig::default())
            .with_authenticator(Arc::clone(&service) as _)
            .with_limits(Arc::clone(&limits));
        let api = IdentityApi {
            service,
            limits,
            cursors: cursors.clone(),
        };
        let app = App::builder(kit)
            .mount(identity::api::routes().bind(Arc::new(api)))
            .mount(audit::api::routes().bind(Arc::new(AuditApi { audit, cursors })))
            .build()
            .unwrap();
        let server = Server::bind(ServerConfig::new("127.0.0.1:0".parse().unwrap())).unwrap();
        let base = format!("http://{}", server.local_addr());
        let (trigger, shutdown) = shutdown::pair();
        tokio::spawn(server.serve(app.router(), shutdown));
        Self {
            base,
            client,
            _trigger: trigger,
            _dir: dir,
        }
    }

    async fn call(&self, method: &str, path: &str, auth: &str, body: Value) -> Answer {
        self.call_with(method, path, auth, body, &[]).await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        auth: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let method = method.parse().unwrap();
        let mut request = self
            .client
            .request(method, &format!("{}{path}", self.base))
            .unwrap();
        request = match auth {
            "" => request,
            key if key.starts_with("fl_") => request.header("x-api-key", key),
            token => request.header("authorization", format!("Bearer {token}")),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            body,
        }
    }

    async fn log_in(&self, name: &str) -> Answer {
        let body = json!({ "userName": name, "password": PASSWORD });
        self.call("POST", "/api/v1/auth/token", "", body).await
    }

    async fn access(&self, name: &str) -> String {
        let answer = self.log_in(name).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["accessToken"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn from_the_first_user_to_the_last_refusal() {
    let house = House::open(Limits::unlimited()).await;
    let root = house.access("root").await;
    let id = ana_is_made_once(&house, &root).await;
    ana_logs_in_and_out(&house, &id).await;
    ana_changes_her_password(&house).await;
    ana_is_disabled(&house, &root, &id).await;
}

/// The id of the new user.
async fn ana_is_made_once(house: &House, root: &str) -> String {
    let new = json!({ "userName": "Ana", "password": PASSWORD, "displayName": "Ana A." });
    let made = house
        .call_with(
            "POST",
            "/api/v1/users",
            root,
            new.clone(),
            &[("idempotency-key", "k1")],
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{id}");
    assert_eq!(made.headers["location"], path.as_str());
    assert_eq!(made.body["roles"], json!(["user"]));
    assert!(made.body.get("password").is_none());
    let again = house
        .call_with(
            "POST",
            "/api/v1/users",
            root,
            new,
            &[("idempotency-key", "k1")],
        )
        .await;
    assert_eq!((again.status, &again.body), (201, &made.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    id
}

async fn ana_logs_in_and_out(house: &House, id: &str) {
    let answer = house.log_in("ANA").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(
        (&answer.body["tokenType"], &answer.body["expiresIn"]),
        (&json!("Bearer"), &json!(900))
    );
    let ana = answer.body["accessToken"].as_str().unwrap().to_owned();
    let me = house
        .call("GET", "/api/v1/auth/me", &ana, Value::Null)
        .await;
    assert_eq!(me.body["subject"], json!(id));
    assert_eq!(me.body["userName"], "ana");
    assert_eq!(
        me.body["permissions"],
        json!([
            "analytics:read@own",
            "checkins:read@own",
            "checkins:write@own",
            "devices:write@own",
            "events:write@own",
            "exports:write@own",
            "hooks:write@own",
            "orders:buy",
            "orders:read@own",
            "orders:refund@own",
            "orgs:create",
            "orgs:read@own",
            "orgs:write@own",
            "payouts:read@own",
            "payouts:write@own",
            "shadow:balance",
            "shadow:intake",
            "tickets:manage@own",
            "tickets:own",
            "wallets:read@own",
            "wallets:write@own"
        ])
    );
    let forbidden = house.call("GET", "/api/v1/users", &ana, Value::Null).await;
    assert_eq!(
        (forbidden.status, &forbidden.body["code"]),
        (403, &json!("forbidden"))
    );

    let refresh = json!({ "refreshToken": answer.body["refreshToken"] });
    let second = house
        .call("POST", "/api/v1/auth/refresh", "", refresh.clone())
        .await;
    assert_eq!(second.status, 200);
    let logout = json!({ "refreshToken": second.body["refreshToken"] });
    let out = house.call("POST", "/api/v1/auth/logout", "", logout).await;
    assert_eq!(out.status, 204);
    for token in [&ana, second.body["accessToken"].as_str().unwrap()] {
        let me = house
            .call("GET", "/api/v1/auth/me", token, Value::Null)
            .await;
        assert_eq!(
            (me.status, &me.body["code"]),
            (401, &json!("unauthenticated"))
        );
    }
    let neither = house
        .call("POST", "/api/v1/auth/logout", "", Value::Null)
        .await;
    assert_eq!(neither.status, 401);
}

async fn ana_changes_her_password(house: &House) {
    let ana = house.access("ana").await;
    let change = |current: &str| json!({ "currentPassword": current, "password": PASSWORD });
    let own = "/api/v1/auth/password";
    let wrong = house
        .call("PUT", own, &ana, change("wrong horse battery"))
        .await;
    assert_eq!(wrong.status, 401);
    assert_eq!(
        house.call("PUT", own, &ana, change(PASSWORD)).await.status,
        204
    );
    assert_eq!(
        house
            .call("GET", "/api/v1/auth/me", &ana, Value::Null)
            .await
            .status,
        401
    );
}

async fn ana_is_disabled(house: &House, root: &str, id: &str) {
    let path = format!("/api/v1/users/{id}");
    let ana = house.access("ana").await;
    let off = house
        .call(
            "PATCH",
            &path,
            root,
            json!({ "disabled": true, "displayName": null }),
        )
        .await;
    assert_eq!(
        (&off.body["disabled"], &off.body["displayName"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        house
            .call("GET", "/api/v1/auth/me", &ana, Value::Null)
            .await
            .status,
        401
    );
    assert_eq!(house.log_in("ana").await.status, 401);
    let unknown = house
        .call("PATCH", &path, root, json!({ "admin": true }))
        .await;
    assert_eq!(
        (unknown.status, &unknown.body["code"]),
        (400, &json!("unknown_field"))
    );
}

#[tokio::test]
async fn keys_are_made_shown_once_used_and_revoked() {
    let house = House::open(Limits::unlimited()).await;
    let root = house.access("root").await;
    let new = json!({ "name": "till 1", "roles": ["auditor"], "scopes": ["audit:read"] });
    let made = house.call("POST", "/api/v1/keys", &root, new).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = made.body["key"].as_str().unwrap().to_owned();
    let path = made.headers["location"].to_str().unwrap().to_owned();
    let shown = house.call("GET", &path, &root, Value::Null).await;
    assert!(shown.body.get("key").is_none());
    assert_eq!(shown.body["scopes"], json!(["audit:read"]));
    let audit = house
        .call("GET", "/api/v1/audit?limit=2", &key, Value::Null)
        .await;
    assert_eq!(audit.status, 200, "{}", audit.body);
    assert_eq!(audit.body["items"][0]["action"], "key.created");
    assert_eq!(audit.body["items"][0]["actor"], "root");
    assert_eq!(
        audit.body["items"][0]["traceId"],
        made.headers["x-trace-id"].to_str().unwrap()
    );
    let cursor = audit.body["nextCursor"].as_str().unwrap();
    let next = format!("/api/v1/audit?limit=2&cursor={cursor}");
    let rest = house.call("GET", &next, &key, Value::Null).await;
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["nextCursor"], Value::Null);
    assert_eq!(
        house
            .call("GET", "/api/v1/keys", &key, Value::Null)
            .await
            .status,
        403
    );

    assert_eq!(
        house.call("DELETE", &path, &root, Value::Null).await.status,
        204
    );
    assert_eq!(
        house
            .call("GET", "/api/v1/audit", &key, Value::Null)
            .await
            .status,
        401
    );
    let list = house.call("GET", "/api/v1/keys", &root, Value::Null).await;
    assert!(list.body["items"][0]["revokedAt"].is_string());
    let gone = house
        .call("DELETE", "/api/v1/keys/nope", &root, Value::Null)
        .await;
    assert_eq!(
        (gone.status, &gone.body["code"]),
        (404, &json!("key_not_found"))
    );
}

#[tokio::test]
async fn lists_page_by_cursor_and_filter() {
    let house = House::open(Limits::unlimited()).await;
    let root = house.access("root").await;
    for name in ["a1", "a2", "a3"] {
        let made = house.call(
            "POST",
            "/api/v1/users",
            &root,
            json!({ "id": name, "userName": name }),
        );
        assert_eq!(made.await.status, 201);
    }
    let first = house
        .call("GET", "/api/v1/users?limit=3", &root, Value::Null)
        .await;
    let ids = |answer: &Answer| -> Vec<String> {
        let items = answer.body["items"].as_array().unwrap().iter();
        items
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&first), ["a1", "a2", "a3"]);
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let second = format!("/api/v1/users?limit=3&cursor={cursor}");
    let second = house.call("GET", &second, &root, Value::Null).await;
    assert_eq!(ids(&second), ["root"]);
    let other = format!("/api/v1/users?disabled=true&cursor={cursor}");
    let other = house.call("GET", &other, &root, Value::Null).await;
    assert_eq!(other.body["code"], "cursor_mismatch");
    let by_name = house
        .call("GET", "/api/v1/users?userName=A2", &root, Value::Null)
        .await;
    assert_eq!(ids(&by_name), ["a2"]);
}

#[tokio::test]
async fn guessing_is_slowed_per_name_and_sign_up_is_closed_in_production() {
    let house = House::open(Limits::new(LimitConfig::default())).await;
    let guess = json!({ "userName": "root", "password": "wrong horse battery" });
    for _ in 0..5 {
        let answer = house
            .call("POST", "/api/v1/auth/token", "", guess.clone())
            .await;
        assert_eq!(answer.status, 401);
    }
    let sixth = house.log_in(" Root ").await;
    assert_eq!(
        (sixth.status, &sixth.body["code"]),
        (429, &json!("rate_limited"))
    );
    assert!(sixth.headers.contains_key("retry-after"));
    let sign_up = json!({ "userName": "eve", "password": PASSWORD });
    let closed = house.call("POST", "/api/v1/auth/signup", "", sign_up).await;
    assert_eq!(
        (closed.status, &closed.body["code"]),
        (403, &json!("signup_closed"))
    );
}

#[tokio::test]
async fn others_can_verify_our_tokens_by_discovery() {
    let house = House::open(Limits::unlimited()).await;
    let token = house.access("root").await;
    let found = house
        .call("GET", "/.well-known/openid-configuration", "", Value::Null)
        .await;
    assert_eq!(found.body["issuer"], "http://localhost:8080");
    assert_eq!(
        found.body["jwks_uri"],
        "http://localhost:8080/.well-known/jwks.json"
    );
    let keys = house
        .call("GET", "/.well-known/jwks.json", "", Value::Null)
        .await;
    let jwk: identity::jose::Jwk = serde_json::from_value(keys.body["keys"][0].clone()).unwrap();
    let unverified = identity::jose::Unverified::parse(&token).unwrap();
    assert_eq!(unverified.kid(), jwk.kid.as_deref());
    let audiences = ["florin".to_owned()];
    let expected = identity::jose::Expected {
        issuer: "http://localhost:8080",
        audiences: &audiences,
        now: SystemClock.wall_micros() / 1_000_000,
    };
    let claims = unverified
        .verify(&jwk.verifying_key().unwrap(), &expected)
        .unwrap();
    assert_eq!(claims.text("sub"), Some("root"));
    assert!(keys.body["keys"][0].get("d").is_none());
}

#[test]
fn every_route_has_its_rule_and_its_description() {
    let all = Description::join([
        identity::api::routes().describe(),
        audit::api::routes().describe(),
    ]);
    let table = "\
GET    /.well-known/jwks.json public
GET    /.well-known/openid-configuration public
GET    /api/v1/audit audit:read
POST   /api/v1/auth/logout public
GET    /api/v1/auth/me authenticated
PUT    /api/v1/auth/password authenticated
POST   /api/v1/auth/refresh public
POST   /api/v1/auth/signup public
POST   /api/v1/auth/token public
GET    /api/v1/keys keys:manage
POST   /api/v1/keys keys:manage
DELETE /api/v1/keys/{id} keys:manage
GET    /api/v1/keys/{id} keys:manage
GET    /api/v1/users users:manage
POST   /api/v1/users users:manage
GET    /api/v1/users/{id} users:manage
PATCH  /api/v1/users/{id} users:manage
PUT    /api/v1/users/{id}/password users:manage
";
    assert_eq!(render_table(&all.rows), table);
    let info = ApiInfo {
        title: "Test".into(),
        version: "1".into(),
        description: "Test".into(),
    };
    assert_eq!(
        openapi::gaps(&openapi::assemble(&info, &all), &all),
        [""; 0]
    );
}
