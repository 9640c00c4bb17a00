//! The shadow ledger's processes without a gateway before them (INV-S25).

use std::collections::BTreeSet;

use florin_platform::testing::process::skipped;
use serde_json::json;

use super::{shadow, with_ids};
use crate::server::launch::{florin, on_postgres};
use crate::server::{Launch, Server};

/// Each role of the shadow ledger alone in a process, asked directly: no gateway stands before it.
#[test]
fn inv_s25_processes_without_a_gateway_refuse_by_themselves() {
    if on_postgres() {
        skipped("each process has a folder of its own here");
        return;
    }
    let mut asked = BTreeSet::new();
    for role in ["shadow-events", "shadow-ledger", "shadow-drift"] {
        let server = Launch::new().arg("--role").arg(role).start();
        let data = server.data_dir().to_str().expect("plain").to_owned();
        let config = server.data_dir().with_file_name("florin.toml");
        let args = [
            "key",
            "create",
            "user",
            "--role",
            "user",
            "--account",
            "none",
        ];
        let place = [
            "--data-dir",
            &data,
            "--config",
            config.to_str().expect("plain"),
        ];
        let (code, key, err) = florin(&[&args[..], &place].concat());
        assert_eq!(code, Some(0), "{err}");
        asked.extend(directly(&server, key.trim()));
    }
    let all: BTreeSet<_> = shadow::ROUTES
        .iter()
        .map(|(method, path, _)| (*method, *path))
        .collect();
    assert_eq!(asked, all, "every route belongs to one of the roles");
}

/// Asks every route that this process has as everybody; answers which those were.
fn directly(server: &Server, user: &str) -> BTreeSet<(&'static str, &'static str)> {
    let keys = [
        "serviceApiKey",
        "operatorApiKey",
        "auditorApiKey",
        "adminApiKey",
    ];
    let keys = keys.map(|member| server.demo(member));
    let keys = [user, keys[0], keys[1], keys[2], keys[3]];
    let mut asked = BTreeSet::new();
    for (method, path, permission) in shadow::ROUTES {
        let send = |key: Option<&str>| {
            let call = server.client.call(method, &with_ids(path));
            let call = match key {
                Some(key) => call.header("x-api-key", key),
                None => call,
            };
            match *method {
                "GET" => call.send(),
                _ => call.json(&json!({})).send(),
            }
        };
        let nobody = send(None);
        if matches!(nobody.code(), (404, "not_found") | (405, _)) {
            continue;
        }
        assert_eq!(nobody.code(), (401, "unauthenticated"), "{method} {path}");
        let known = shadow::ROLES.iter().find(|(name, _)| name == permission);
        let (_, roles) = known.expect("in the table");
        for (key, allowed) in keys.iter().zip(roles) {
            let reply = send(Some(key));
            let forbidden = reply.code() == (403, "forbidden");
            assert_eq!(forbidden, !allowed, "{method} {path}: {}", reply.text);
        }
        asked.insert((*method, *path));
    }
    asked
}
