//! Who may do what (contract C): every route that the server describes × every role, and what
//! two users see of each other (INV-L25).

mod alone;
mod shadow;
mod ticketing;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::moves::fresh;
use crate::server::{Launch, Reply, Server, Who, cases, path};
use crate::tidy::root;

/// Needs no credential.
const PUBLIC: &str = "public";
/// Needs any credential.
const ANYBODY: &str = "authenticated";
/// Guests too.
const OPTIONAL: &str = "optional";

/// The table of contract C; the last three are those of contracts/README.md.
/// Columns: user, service, operator, auditor, admin.
const ROLES: &[(&str, [bool; 5])] = &[
    ("wallets:read", [true, true, true, true, true]),
    ("wallets:write", [true, true, false, false, false]),
    ("wallets:deposit", [false, true, false, false, false]),
    ("wallets:capture", [false, true, false, false, false]),
    ("wallets:status", [false, false, true, false, false]),
    ("wallets:limits", [false, false, true, false, false]),
    ("wallets:reverse", [false, false, true, false, false]),
    ("ledger:read", [false, true, true, true, true]),
    ("ledger:write", [false, true, false, false, true]),
    ("webhooks:manage", [false, true, false, false, true]),
    ("ledger:reverse", [false, false, true, false, true]),
    ("ledger:admin", [false, false, false, false, true]),
    ("ledger:import", [false, false, false, false, true]),
    ("ledger:export", [false, false, false, true, true]),
    ("ledger:checkpoint", [false, false, false, true, true]),
    ("users:manage", [false, false, false, false, true]),
    ("keys:manage", [false, false, false, false, true]),
    ("audit:read", [false, false, false, true, true]),
    ("config:read", [false, false, false, false, true]),
    (ANYBODY, [true, true, true, true, true]),
];

/// Every route with its permission, below `/api/v1` unless it starts with another path.
const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/wallets", "wallets:read"),
    ("POST", "/wallets", "wallets:write"),
    ("GET", "/users/{userId}/wallets", "wallets:read"),
    ("GET", "/wallets/{id}", "wallets:read"),
    ("GET", "/wallets/{id}/balance", "wallets:read"),
    ("GET", "/wallets/{id}/balance/historical", "wallets:read"),
    ("GET", "/wallets/{id}/balance/history", "wallets:read"),
    ("POST", "/wallets/{id}/freeze", "wallets:status"),
    ("POST", "/wallets/{id}/unfreeze", "wallets:status"),
    ("POST", "/wallets/{id}/close", "wallets:status"),
    ("POST", "/wallets/{id}/deposit", "wallets:deposit"),
    ("POST", "/wallets/{id}/withdraw", "wallets:write"),
    ("POST", "/wallets/{id}/transfer", "wallets:write"),
    ("POST", "/wallets/{id}/holds", "wallets:write"),
    ("GET", "/wallets/{id}/holds", "wallets:read"),
    ("GET", "/holds/{id}", "wallets:read"),
    ("POST", "/holds/{id}/capture", "wallets:capture"),
    ("POST", "/holds/{id}/void", "wallets:capture"),
    ("GET", "/wallets/{id}/transactions", "wallets:read"),
    ("GET", "/transactions/{id}", "wallets:read"),
    ("POST", "/transactions/{id}/reverse", "wallets:reverse"),
    ("GET", "/wallets/{id}/statement", "wallets:read"),
    ("GET", "/wallets/{id}/limits", "wallets:read"),
    ("PUT", "/wallets/{id}/limits", "wallets:limits"),
    ("GET", "/ledger", "ledger:read"),
    ("GET", "/ledger/trial-balance", "ledger:read"),
    ("GET", "/ledger/assets", "ledger:read"),
    ("POST", "/ledger/assets", "ledger:admin"),
    ("GET", "/ledger/assets/{code}", "ledger:read"),
    ("GET", "/ledger/accounts", "ledger:read"),
    ("POST", "/ledger/accounts", "ledger:write"),
    ("GET", "/ledger/accounts/{id}", "ledger:read"),
    ("PATCH", "/ledger/accounts/{id}", "ledger:admin"),
    ("GET", "/ledger/accounts/{id}/balance", "ledger:read"),
    ("GET", "/ledger/accounts/{id}/history", "ledger:read"),
    ("GET", "/ledger/accounts/{id}/transfers", "ledger:read"),
    ("GET", "/ledger/transfers", "ledger:read"),
    ("POST", "/ledger/transfers", "ledger:write"),
    ("GET", "/ledger/transfers/{id}", "ledger:read"),
    ("POST", "/ledger/transfers/{id}/reverse", "ledger:reverse"),
    ("POST", "/ledger/transfers/lookup", "ledger:read"),
    ("GET", "/ledger/changes", "ledger:read"),
    ("GET", "/ledger/checkpoints", "ledger:read"),
    ("POST", "/ledger/checkpoints", "ledger:checkpoint"),
    ("GET", "/ledger/checkpoints/keys", "ledger:read"),
    ("GET", "/ledger/checkpoints/{n}", "ledger:read"),
    ("GET", "/ledger/checkpoints/{n}/consistency", "ledger:read"),
    ("GET", "/ledger/proofs/{transferId}", "ledger:read"),
    ("GET", "/ledger/export", "ledger:export"),
    ("POST", "/ledger/import", "ledger:import"),
    ("GET", "/webhooks", "webhooks:manage"),
    ("POST", "/webhooks", "webhooks:manage"),
    ("GET", "/webhooks/{id}", "webhooks:manage"),
    ("DELETE", "/webhooks/{id}", "webhooks:manage"),
    ("POST", "/webhooks/{id}/rotate", "webhooks:manage"),
    ("POST", "/webhooks/{id}/replay", "webhooks:manage"),
    ("GET", "/webhooks/{id}/deliveries", "webhooks:manage"),
    (
        "GET",
        "/webhooks/{id}/deliveries/{deliveryId}",
        "webhooks:manage",
    ),
    (
        "POST",
        "/webhooks/{id}/deliveries/{deliveryId}/redeliver",
        "webhooks:manage",
    ),
    ("GET", "/users", "users:manage"),
    ("POST", "/users", "users:manage"),
    ("GET", "/users/{id}", "users:manage"),
    ("PATCH", "/users/{id}", "users:manage"),
    ("PUT", "/users/{id}/password", "users:manage"),
    ("GET", "/keys", "keys:manage"),
    ("POST", "/keys", "keys:manage"),
    ("GET", "/keys/{id}", "keys:manage"),
    ("DELETE", "/keys/{id}", "keys:manage"),
    ("GET", "/audit", "audit:read"),
    ("GET", "/admin/config", "config:read"),
    ("GET", "/admin/roles", "config:read"),
    ("GET", "/blobs", PUBLIC),
    ("PUT", "/blobs", PUBLIC),
    ("GET", "/auth/me", ANYBODY),
    ("PUT", "/auth/password", ANYBODY),
    ("POST", "/auth/token", PUBLIC),
    ("POST", "/auth/refresh", PUBLIC),
    ("POST", "/auth/logout", PUBLIC),
    ("POST", "/auth/signup", PUBLIC),
    ("GET", "/.well-known/jwks.json", PUBLIC),
    ("GET", "/.well-known/openid-configuration", PUBLIC),
    ("GET", "/health", PUBLIC),
    ("GET", "/ready", PUBLIC),
    ("GET", "/q/health", PUBLIC),
    ("GET", "/metrics", PUBLIC),
    ("GET", "/openapi.json", PUBLIC),
    ("GET", "/q/swagger-ui", PUBLIC),
];

/// All routes with whole paths.
fn routes() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let own = ROUTES
        .iter()
        .map(|(method, path, permission)| (*method, full(path), *permission));
    let shadow = shadow::ROUTES
        .iter()
        .map(|(method, path, permission)| (*method, (*path).to_owned(), *permission));
    let ticketing = ticketing::ROUTES
        .iter()
        .map(|(method, path, permission)| (*method, full(path), *permission));
    own.chain(shadow).chain(ticketing)
}

/// Paths outside `/api/v1`.
const OUTSIDE: &str = "/.well-known /health /ready /q/ /metrics /openapi.json";

fn full(path: &str) -> String {
    match OUTSIDE.split(' ').any(|start| path.starts_with(start)) {
        true => path.to_owned(),
        false => format!("/api/v1{path}"),
    }
}

#[test]
fn who_may_do_what() {
    let server = Launch::new().start();
    cases!(server;
        every_described_route_stands_in_the_table,
        the_golden_file_agrees_with_the_table,
        every_route_allows_whom_the_table_says,
        a_transfer_with_a_rate_needs_its_own_permission,
        inv_l25_users_see_nothing_of_each_other,
        inv_l25_refusals_tell_nothing_apart,
    );
}

fn every_described_route_stands_in_the_table(server: &Server) {
    let described = server.get(Who::Nobody, "/openapi.json").ok(200);
    let mut found = BTreeSet::new();
    for (path, methods) in described.body["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            found.insert((method.to_ascii_uppercase(), path.clone()));
        }
    }
    let table: BTreeSet<_> = routes()
        .map(|(method, path, _)| (method.to_owned(), path))
        .collect();
    let rooms = |(_, path): &&(String, String)| path.starts_with("/api/v1");
    let missing: Vec<_> = table.difference(&found).filter(rooms).collect();
    let unknown: Vec<_> = found.difference(&table).collect();
    assert!(
        unknown.is_empty() && missing.is_empty(),
        "unknown {unknown:?}, missing {missing:?}"
    );
}

/// The generated list of the code against this table, which was written from the contract.
fn the_golden_file_agrees_with_the_table(_: &Server) {
    let file = root().join("docs/reference/permissions.txt");
    let text = std::fs::read_to_string(file).expect("the golden file");
    let golden: BTreeSet<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    // Pages of the console have no rule of their own: the API decides about the visitor's token.
    let (console, golden): (BTreeSet<String>, BTreeSet<String>) = golden
        .into_iter()
        .partition(|line| line.contains(" /console"));
    let public = console.iter().all(|line| line.ends_with(" public"));
    assert!(public && console.len() > 20, "{console:#?}");
    let rooms = |path: &str| path.starts_with("/api/v1") || path.starts_with("/.well-known");
    let table: BTreeSet<String> = routes()
        .filter(|(_, path, permission)| rooms(path) || permission.starts_with("shadow:"))
        .map(|(method, path, permission)| format!("{method} {path} {permission}"))
        .collect();
    let differing: Vec<_> = golden.symmetric_difference(&table).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

/// The path with ids that do not exist, but the caller's own user id.
fn with_ids(path: &str) -> String {
    let unknown = "0190f000-0000-7000-8000-00000000dead";
    let path = path
        .replace("{accountId}", "A1")
        .replace("{currency}", "BRL")
        .replace("{name}", "none")
        .replace("{eventId}", "E1")
        .replace("{checkId}", "none")
        .replace("{ref}", "none")
        .replace("{userId}", "ana")
        .replace("{code}", "NONE")
        .replace("{n}", "999999")
        .replace("{number}", "7K3QD-9M2XS")
        .replace("{slug}", "none")
        .replace("{size}", "1");
    let path = path
        .replace("{id}", unknown)
        .replace("{transferId}", unknown);
    let more = [
        "{deliveryId}",
        "{memberId}",
        "{imageId}",
        "{poolId}",
        "{codeId}",
        "{jobId}",
        "{token}",
        "{hookId}",
        "{deviceId}",
    ];
    more.iter()
        .fold(path, |path, name| path.replace(name, unknown))
}

fn every_route_allows_whom_the_table_says(server: &Server) {
    let callers = [
        Who::Ana,
        Who::Service,
        Who::Operator,
        Who::Auditor,
        Who::Admin,
    ];
    let mut wrong = Vec::new();
    for (method, path, permission) in routes().filter(|(_, _, p)| ![PUBLIC, OPTIONAL].contains(p)) {
        let (_, roles) = ROLES
            .iter()
            .chain(shadow::ROLES)
            .chain(ticketing::ROLES)
            .find(|(name, _)| *name == permission)
            .expect("in the table");
        let send = |who| {
            let call = server.call(who, method, &with_ids(&path));
            if method == "GET" {
                call.send()
            } else {
                call.json(&json!({})).send()
            }
        };
        let nobody = send(Who::Nobody);
        if nobody.code() != (401, "unauthenticated") || nobody.header("www-authenticate").is_empty()
        {
            wrong.push(format!(
                "{method} {path} without credential: {} {}",
                nobody.status, nobody.text
            ));
        }
        for (who, allowed) in callers.iter().zip(roles) {
            let reply = send(*who);
            // A key changes no password: that is refused, though not for want of a permission.
            let own_rule = path == "/api/v1/auth/password" && *who != Who::Ana;
            // A user reaches only accounts of his own claim, which this one has not.
            let out_of_scope = reply.code() == (403, "account_out_of_scope");
            let refused = matches!(reply.status, 401 | 403) && !out_of_scope;
            if refused == *allowed && !own_rule || (!allowed && reply.code() != (403, "forbidden"))
            {
                wrong.push(format!(
                    "{method} {path} as {who:?}: {} {}",
                    reply.status, reply.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn a_transfer_with_a_rate_needs_its_own_permission(server: &Server) {
    let body =
        json!({"name": "no fx", "roles": ["service"], "scopes": ["wallets:write", "wallets:read"]});
    let key = server.post(Who::Admin, "/api/v1/keys", body).ok(201);
    let (reais, dollars) = (server.funded("BRL", "10.00"), server.empty("USD"));
    let send = |rate: Value| {
        let mut body = json!({"amount": "1.00", "toWalletId": dollars, "referenceId": fresh("r")});
        if !rate.is_null() {
            body["rate"] = rate;
        }
        let call = server.client.call("POST", &path(&reais, "transfer"));
        call.header("x-api-key", key.text_of("key"))
            .json(&body)
            .send()
    };
    send(json!({"value": "0.2"})).refused(403, "forbidden");
    send(Value::Null).refused(422, "rate_required");
    server.deposit(&reais, "1.00").ok(200);
    let deposit = server.client.call("POST", &path(&reais, "deposit"));
    let body = json!({"amount": "1.00", "referenceId": fresh("r")});
    deposit
        .header("x-api-key", key.text_of("key"))
        .json(&body)
        .send()
        .refused(403, "forbidden");
}

/// An amount that stands nowhere else.
const SECRET: &str = "7353.31";

/// What Ana is told on every wallet route with an id of Bob's in it.
fn every_wallet_route_asked_by_ana(
    server: &Server,
    [mine, his, hold, deposit]: [&String; 4],
) -> Vec<Reply> {
    let mut answers = Vec::new();
    for (method, route, permission) in ROUTES {
        if !permission.starts_with("wallets:") || !route.contains("{id}") {
            continue;
        }
        let id = match *route {
            r if r.starts_with("/holds") => hold,
            r if r.starts_with("/transactions") => deposit,
            _ => his,
        };
        let body =
            json!({"amount": "1.00", "toWalletId": mine, "reason": "x", "referenceId": fresh("r")});
        let path = full(route).replace("{id}", id)
            + "?from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z&timestamp=2999-01-01T00:00";
        let call = server.call(
            Who::Ana,
            method,
            path.split('?')
                .next()
                .filter(|_| *method != "GET")
                .unwrap_or(&path),
        );
        let reply = if *method == "GET" {
            call.send()
        } else {
            call.json(&body).send()
        };
        assert!(
            matches!(reply.status, 400 | 403 | 404),
            "{method} {route}: {} {}",
            reply.status,
            reply.text
        );
        answers.push(reply);
    }
    answers
}

fn inv_l25_users_see_nothing_of_each_other(server: &Server) {
    let (ana, bob) = (server.demo("userName"), server.demo("secondUserName"));
    let mine = server.wallet(ana, "BRL");
    let his = server.wallet(bob, "BRL");
    server.deposit(&mine, "100.00").ok(200);
    let deposit = server.deposit(&his, SECRET).ok(200).id();
    let hold = server.hold(&his, "1.00").ok(201).id();
    let to_him = server
        .post(
            Who::Ana,
            &path(&mine, "transfer"),
            json!({"amount": "1.00", "toWalletId": his, "referenceId": fresh("r")}),
        )
        .ok(200);
    assert_eq!(
        to_him.body["balances"].as_array().map(Vec::len),
        Some(1),
        "{}",
        to_him.text
    );
    assert_eq!(to_him.body["balances"][0]["walletId"], mine.as_str());
    assert_eq!(
        (to_him.text_of("direction"), to_him.text_of("newBalance")),
        ("OUT", "99.00")
    );
    let seen = server
        .get(Who::Bob, &format!("/api/v1/transactions/{}", to_him.id()))
        .ok(200);
    assert_eq!(
        (
            seen.text_of("direction"),
            &seen.body["balances"][0]["walletId"]
        ),
        ("IN", &json!(his))
    );
    assert!(!seen.text.contains("99.00"), "{}", seen.text);
    let mut answers = vec![to_him];
    answers.extend(every_wallet_route_asked_by_ana(
        server,
        [&mine, &his, &hold, &deposit],
    ));
    answers.push(
        server
            .get(Who::Ana, &format!("/api/v1/wallets?userId={bob}"))
            .refused(403, "forbidden"),
    );
    answers.push(
        server
            .get(Who::Ana, &format!("/api/v1/users/{bob}/wallets"))
            .refused(403, "forbidden"),
    );
    let body = json!({"userId": bob, "currency": "BRL"});
    answers.push(
        server
            .post(Who::Ana, "/api/v1/wallets", body)
            .refused(403, "forbidden"),
    );
    let all = server.get(Who::Ana, "/api/v1/wallets?limit=500").ok(200);
    for wallet in all.body["items"].as_array().expect("items") {
        assert_eq!(wallet["userId"], ana);
    }
    answers.push(all);
    for rest in [
        "transactions",
        "balance",
        "statement?from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z",
    ] {
        answers.push(server.get(Who::Ana, &path(&mine, rest)).ok(200));
    }
    for answer in &answers {
        let leaks = answer.text.contains(SECRET) || answer.text.contains("7354.31");
        assert!(!leaks, "{}", answer.text);
    }
    assert_eq!(server.figures(&his).0, "7354.31", "nothing was moved");
}

fn inv_l25_refusals_tell_nothing_apart(server: &Server) {
    let his = server.wallet(server.demo("secondUserName"), "BRL");
    server.deposit(&his, "50.00").ok(200);
    let transaction = server.withdraw(&his, "1.00").ok(200).id();
    let hold = server.hold(&his, "1.00").ok(201).id();
    let unknown = "0190f000-0000-7000-8000-00000000feed";
    let told = |reply: Reply| {
        let mut body = reply.body;
        body.as_object_mut().expect("problem").remove("traceId");
        (reply.status, body)
    };
    for (what, id) in [
        ("wallets", &his),
        ("transactions", &transaction),
        ("holds", &hold),
    ] {
        let get = |id: &str| told(server.get(Who::Ana, &format!("/api/v1/{what}/{id}")));
        assert_eq!(get(id), get(unknown));
        assert_eq!(get(id).0, 404);
    }
    for verb in ["withdraw", "transfer", "holds"] {
        let post = |id: &str| {
            let body = json!({"amount": "1.00", "toWalletId": his, "referenceId": "same"});
            let body = if verb == "transfer" {
                body
            } else {
                json!({"amount": "1.00", "referenceId": "same"})
            };
            told(server.post(Who::Ana, &path(id, verb), body))
        };
        assert_eq!(post(&his), post(unknown), "{verb}");
    }
    // The receiver of a transfer may be any wallet, so that an unknown one is told.
    let mine = server.wallet(server.demo("userName"), "BRL");
    server.deposit(&mine, "5.00").ok(200);
    let body = json!({"amount": "1.00", "toWalletId": unknown, "referenceId": fresh("r")});
    server
        .post(Who::Ana, &path(&mine, "transfer"), body)
        .refused(404, "destination_not_found");
}
