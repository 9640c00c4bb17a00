//! `--dev-auth`: its token forms, and where it does not open.

use serde_json::{Value, json};

use super::{MEMBERS, claims, event, members, sorted, with_token};
use crate::server::launch::florin_with;
use crate::server::{Launch, Who};

/// The forms of `--dev-auth`, and that its tokens die with it.
#[test]
fn development_tokens_need_the_switch() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = Launch::new().arg("--dev-auth").dir(dir.path()).start();
    let ask = |path: &str, body: Value| server.post(Who::Nobody, path, body).ok(200);
    let mut tokens = Vec::new();
    for path in ["/auth/token", "/api/v1/auth/token"] {
        let list = ask(
            path,
            json!({"username": "zoe", "roles": ["ROLE_AUDITOR", "emperor"]}),
        );
        assert_eq!(sorted(members(&list)), MEMBERS);
        assert_eq!(
            (
                &list.body["userId"],
                &list.body["role"],
                &list.body["roles"]
            ),
            (&json!("zoe"), &json!("auditor"), &json!(["auditor"]))
        );
        assert_eq!(list.body["expiresIn"], 3_600);
        let one = ask(path, json!({"username": "zoe", "role": "USER"}));
        assert_eq!(one.body["roles"], json!(["user"]));
        let query = ask(&format!("{path}?role=ADMIN"), json!({"userId": "zoe"}));
        assert_eq!(query.body["roles"], json!(["admin"]));
        let bare = server
            .client
            .call("POST", &format!("{path}?role=service"))
            .send()
            .ok(200);
        assert_eq!(bare.body["username"], "dev");
        let said = claims(list.text_of("token"));
        assert_eq!(
            (&said["dev"], &said["accounts"]),
            (&json!(true), &json!(["*"]))
        );
        tokens.push((
            list.text_of("token").to_owned(),
            one.text_of("token").to_owned(),
        ));
        // A password still counts as one.
        let body = json!({"userId": server.demo("adminUser"), "password": "a wrong password"});
        assert_eq!(server.post(Who::Nobody, path, body).status, 401);
    }
    let check = json!([{"accountId": "A1", "reportedBalance": 0}]);
    let (auditor, user) = tokens[0].clone();
    with_token(&server, &auditor, "POST", "/drift-check", &check).ok(200);
    with_token(&server, &auditor, "POST", "/events", &event("A1")).refused(403, "forbidden");
    with_token(&server, &user, "POST", "/events", &event("A1")).ok(202);
    with_token(&server, &user, "POST", "/drift-check", &check).refused(403, "forbidden");
    let signup = |name: &str| {
        let body = json!({"userId": name, "password": "correct horse battery"});
        server.post(Who::Nobody, "/auth/signup", body)
    };
    let made = signup("yan").ok(201);
    assert_eq!(
        (&made.body["username"], &made.body["role"]),
        (&json!("yan"), &json!("user"))
    );
    signup("yan").refused(409, "user_exists");
    let body = json!({"userId": "yan", "password": "correct horse battery"});
    let yan = server
        .post(Who::Nobody, "/auth/token", body)
        .ok(200)
        .text_of("token")
        .to_owned();
    with_token(&server, &yan, "POST", "/events", &event("any")).ok(202);
    let url = server.ready["url"].as_str().expect("url").to_owned();
    server.stop();

    // The same installation and key, without the switch.
    let issuer = format!("[auth]\nissuer = \"{url}\"\n");
    let server = Launch::new().dir(dir.path()).config(&issuer).start();
    for (auditor, user) in tokens {
        for token in [auditor, user] {
            with_token(&server, &token, "GET", "/api/v1/auth/me", &Value::Null)
                .refused(401, "unauthenticated");
        }
    }
    with_token(&server, &yan, "POST", "/events", &event("any")).ok(202);
}

#[test]
fn the_development_doors_do_not_open_where_others_come() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let data = dir.path().join("data");
    let data = data.to_str().expect("plain");
    let serve = |args: &[&str], env: &[(&'static str, String)]| {
        let common = ["serve", "--port", "0", "--data-dir", data];
        florin_with(&[&common, args].concat(), env)
    };
    let compat = [("FLORIN__SHADOW__COMPAT", "true".to_owned())];
    let production = [("FLORIN__ENVIRONMENT", "production".to_owned())];
    let both = [compat[0].clone(), production[0].clone()];
    let open = ["--unsafe-dev", "--listen", "0.0.0.0"];
    let open_dev = [&open[..], &["--dev-auth"]].concat();
    for (args, env, named) in [
        (&["--dev-auth"][..], &[][..], "--dev-auth"),
        (&open_dev, &[], "--dev-auth"),
        (
            &["--unsafe-dev", "--dev-auth", "--dev-auth-remote"],
            &production,
            "--dev-auth",
        ),
        (&["--dev-auth"], &production, "--dev-auth"),
        (&[], &compat, "shadow.compat"),
        (&open, &compat, "shadow.compat"),
        (
            &["--unsafe-dev", "--dev-auth-remote"],
            &both,
            "shadow.compat",
        ),
    ] {
        let (code, out, err) = serve(args, env);
        assert_eq!((code, out.as_str()), (Some(78), ""), "{args:?}: {err}");
        assert!(err.contains(named), "{args:?}: {err}");
    }
    assert!(!std::path::Path::new(data).exists(), "nothing was opened");
}
