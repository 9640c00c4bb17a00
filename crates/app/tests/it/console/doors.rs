//! The console over plain HTTP: who comes in, what forms must carry, what answers carry, and that
//! nobody can do more here than at the API.

use serde_json::json;

use super::{NAME, PASSWORD, launch, some_money};
use crate::server::{Reply, Server, Who};

/// A browser's cookies.
#[derive(Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn keep(&mut self, reply: &Reply) {
        let set = reply
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie");
        for (_, cookie) in set {
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            self.0.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn line(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn get(&mut self, server: &Server, path: &str) -> Reply {
        let call = server
            .client
            .call("GET", path)
            .header("cookie", &self.line());
        let reply = call.send();
        self.keep(&reply);
        reply
    }

    fn post(&mut self, server: &Server, path: &str, fields: &[(&str, &str)]) -> Reply {
        let form = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)));
        let form = form.collect::<Vec<_>>().join("&").into_bytes();
        let call = server.client.call("POST", path);
        let call = call.header("cookie", &self.line());
        let reply = call.body(form, "application/x-www-form-urlencoded").send();
        self.keep(&reply);
        reply
    }

    /// Signs in by the form.
    fn signed_in(server: &Server, name: &str, password: &str) -> Self {
        let mut jar = Self::default();
        let door = jar.get(server, "/console/sign-in").ok(200);
        let token = token_of(&door);
        let fields = [
            ("_form", token.as_str()),
            ("user", name),
            ("password", password),
        ];
        let reply = jar.post(server, "/console/sign-in", &fields);
        assert_eq!(reply.status, 303, "{}", reply.text);
        jar
    }
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The token of the first form of a page.
fn token_of(page: &Reply) -> String {
    let at = page.text.find("name=\"_form\" value=\"").expect("a form");
    let rest = &page.text[at + 20..];
    rest[..rest.find('"').expect("its end")].to_owned()
}

#[test]
fn who_comes_in_and_what_answers_carry() {
    let server = launch();
    let (wallet, _) = some_money(&server);

    // Nobody is led to the sign-in, and back afterwards.
    let mut nobody = Jar::default();
    let reply = nobody.get(&server, "/console/wallets?status=ACTIVE");
    assert_eq!(reply.status, 303);
    assert_eq!(
        reply.header("location"),
        "/console/sign-in?next=%2Fconsole%2Fwallets%3Fstatus%3DACTIVE"
    );

    // Every answer forbids what is not ours, and pages are not kept.
    let mut vera = Jar::signed_in(&server, NAME, PASSWORD);
    let page = vera.get(&server, "/console/wallets").ok(200);
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let style = page
        .text
        .split('"')
        .find(|word| word.ends_with(".css"))
        .expect("a style sheet");
    let style = vera.get(&server, style).ok(200);
    assert!(style.header("cache-control").contains("immutable"));

    // Cookies tell nothing and cannot be made up.
    let session = vera.0.iter().find(|(name, _)| name == "florin_console");
    let (_, sealed) = session.expect("a session").clone();
    assert!(!sealed.contains("eyJ"), "no token in the clear");
    let mut thief = Jar(vec![("florin_console".to_owned(), sealed[1..].to_owned())]);
    assert_eq!(thief.get(&server, "/console").status, 303);

    // A form without the session's token, or of another site, does nothing.
    let path = format!("/console/wallets/{wallet}/freeze");
    let token = token_of(&page);
    for fields in [
        vec![("reason", "because")],
        vec![("reason", "because"), ("_form", "x")],
    ] {
        let reply = vera.post(&server, &path, &fields);
        assert_eq!(reply.status, 403, "{}", reply.text);
    }
    let foreign = server
        .client
        .call("POST", &path)
        .header("cookie", &vera.line())
        .header("sec-fetch-site", "cross-site")
        .body(
            format!("reason=because&_form={token}").into_bytes(),
            "application/x-www-form-urlencoded",
        )
        .send();
    assert_eq!(foreign.status, 403);
    let wallet_now = server
        .get(Who::Auditor, &format!("/api/v1/wallets/{wallet}"))
        .ok(200);
    assert_eq!(wallet_now.text_of("status"), "ACTIVE");
    let reply = vera.post(&server, &path, &[("reason", "because"), ("_form", &token)]);
    assert_eq!(reply.status, 303, "{}", reply.text);
    let wallet_now = server
        .get(Who::Auditor, &format!("/api/v1/wallets/{wallet}"))
        .ok(200);
    assert_eq!(wallet_now.text_of("status"), "FROZEN");
    // The act stands in the audit log or the ledger under her name, not the console's.
    let last = server.changes(server.last_seq() - 1);
    let actor = last.last().expect("a record")["data"]["actor"].clone();
    let me = server
        .get(Who::Admin, &format!("/api/v1/users?userName={NAME}"))
        .ok(200);
    assert_eq!(actor, me.body["items"][0]["id"], "{last:?}");

    // Signed out is signed out, with the API too.
    let reply = vera.post(&server, "/console/sign-out", &[("_form", &token)]);
    assert_eq!(reply.status, 303);
    let mut kept = Jar(vec![("florin_console".to_owned(), sealed)]);
    assert_eq!(
        kept.get(&server, "/console/wallets").status,
        303,
        "the token is revoked"
    );
}

#[test]
fn the_console_has_no_powers_of_its_own() {
    let server = launch();
    let (wallet, _) = some_money(&server);
    let (name, password) = (server.demo("userName"), server.demo("userPassword"));
    let mut ana = Jar::signed_in(&server, name, password);
    let page = ana.get(&server, "/console").ok(200);
    assert!(
        !page.text.contains("/console/ledger/accounts"),
        "not in her menu"
    );
    for path in [
        "/console/ledger/accounts",
        "/console/ledger/trial-balance",
        "/console/ledger/live",
    ] {
        let reply = ana.get(&server, path);
        assert_eq!(reply.status, 403, "{path}");
        assert!(
            reply.text.contains("Not permitted.") && reply.text.contains("ledger:read"),
            "{path}"
        );
    }
    let token = token_of(&page);
    let own = server.get(Who::Ana, "/api/v1/wallets").ok(200);
    let own = own.body["items"][0]["walletId"]
        .as_str()
        .expect("hers")
        .to_owned();
    assert_eq!(
        ana.get(&server, &format!("/console/wallets/{own}")).status,
        200
    );
    let others = server.wallet("somebody-else", "BRL");
    assert_eq!(
        ana.get(&server, &format!("/console/wallets/{others}"))
            .status,
        404
    );
    let freeze = format!("/console/wallets/{wallet}/freeze");
    let reply = ana.post(&server, &freeze, &[("reason", "mine"), ("_form", &token)]);
    let there = ana.get(&server, reply.header("location"));
    assert!(
        there.text.contains("wallets:status") || there.status == 404,
        "{}",
        there.text
    );
    let now = server
        .get(Who::Auditor, &format!("/api/v1/wallets/{wallet}"))
        .ok(200);
    assert_eq!(now.text_of("status"), "ACTIVE");
}

#[test]
fn lists_are_files_too() {
    let server = launch();
    for _ in 0..3 {
        some_money(&server);
    }
    let mut vera = Jar::signed_in(&server, NAME, PASSWORD);
    let file = vera
        .get(&server, "/console/ledger/transfers?export=csv&order=asc")
        .ok(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert!(file.header("content-disposition").contains("transfers.csv"));
    let lines: Vec<&str> = file.text.lines().collect();
    assert!(
        lines[0].starts_with("Transfer,Seq,Mode,State,Debit account"),
        "{}",
        lines[0]
    );
    let moves = server
        .changes(0)
        .into_iter()
        .filter(|record| record["type"] == "transfer");
    let ids: Vec<String> = moves
        .map(|record| record["data"]["id"].as_str().expect("an id").to_owned())
        .collect();
    let listed: Vec<String> = lines[1..]
        .iter()
        .map(|line| line.split(',').next().expect("a cell").to_owned())
        .collect();
    assert_eq!(listed, ids, "the whole list, in order");
    let wallets = vera.get(&server, "/console/wallets?export=csv").ok(200);
    assert!(wallets.text.contains("986154.07"), "{}", wallets.text);
    let refused = vera.get(&server, "/console/ledger/transfers?mode=none&export=csv");
    assert_eq!(refused.status, 400, "a refusal is a page, not half a file");
    let user = json!({"userName": "otto", "password": PASSWORD, "roles": ["scanner"]});
    server.post(Who::Admin, "/api/v1/users", user).ok(201);
    let mut otto = Jar::signed_in(&server, "otto", PASSWORD);
    assert_eq!(
        otto.get(&server, "/console/ledger/transfers?export=csv")
            .status,
        403
    );
}
