//! The console in a real browser and over plain HTTP: signing in, every page, actions that ask
//! first, live updates, and that it has no powers of its own.

mod admin;
mod browser;
mod data;
mod doors;
mod keys;
mod looks;
mod schemes;

use std::path::Path;

use serde_json::json;

use crate::server::{Launch, Server, Who};
use browser::Browser;
use looks::look;

/// A user of the tests who may do everything that an operator, an auditor and an administrator
/// may together.
const NAME: &str = "vera";
const PASSWORD: &str = "correct horse battery staple";

fn launch() -> Server {
    // The clock of the process is the machine's, so that the browser agrees with it.
    with_vera(Launch::new().without("--dev-clock").start())
}

fn with_vera(server: Server) -> Server {
    let roles = ["operator", "auditor", "admin"];
    let user =
        json!({"userName": NAME, "password": PASSWORD, "displayName": "Vera", "roles": roles});
    server.post(Who::Admin, "/api/v1/users", user).ok(201);
    server
}

fn url_of(server: &Server) -> String {
    server.ready["url"].as_str().expect("a URL").to_owned()
}

/// Signs in by the form, from the page that was asked for.
#[track_caller]
fn sign_in(browser: &mut Browser, url: &str, path: &str) {
    browser.open(&format!("{url}{path}"));
    browser.write("#user", NAME);
    browser.write("#password", PASSWORD);
    browser.follow("form button[type=submit]");
    let place = browser.text("location.pathname + location.search");
    assert_eq!(place, path, "{}", browser.shown());
}

/// A wallet of Ana with money, a hold, a movement; and the transaction of the movement.
fn some_money(server: &Server) -> (String, String) {
    let wallet = server.funded("BRL", "987654.32");
    let other = server.empty("BRL");
    let moved = server.transfer(&wallet, &other, "1500.25").ok(200);
    server.hold(&wallet, "60.00");
    let transaction = moved.text_of("transactionId").to_owned();
    (wallet, transaction)
}

#[test]
fn a_visitor_signs_in_looks_and_signs_out() {
    let Some(mut browser) = Browser::start("a_visitor_signs_in_looks_and_signs_out") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let (wallet, transaction) = some_money(&server);
    server.post(Who::Auditor, "/api/v1/ledger/checkpoints", json!({}));

    browser.open(&format!("{url}/console/wallets"));
    look_at_the_door(&mut browser, &url);
    browser.write("#user", NAME);
    browser.write("#password", "not the password");
    browser.follow("form button[type=submit]");
    assert!(browser.shown().contains("User name or password is wrong."));
    sign_in(&mut browser, &url, "/console/wallets?status=ACTIVE");

    look_at_all(&mut browser, &url, &pages(&wallet, &transaction));

    // Times are shown in the viewer's zone, with UTC on hover.
    browser.open(&format!("{url}/console/transactions/{transaction}"));
    let (shown, hover) = (
        browser.text("document.querySelector('dd time').textContent"),
        browser.text("document.querySelector('dd time').title"),
    );
    let hours = |text: &str| {
        let at = text.find(':').expect("a time");
        text[at - 2..at].trim().parse::<i32>().expect("hours")
    };
    assert!(hover.ends_with(" UTC"), "{hover}");
    assert_eq!(
        (hours(&hover) - hours(&shown)).rem_euclid(24),
        3,
        "{shown} / {hover}"
    );

    browser.eval("document.querySelector('details.who').open = true");
    browser.follow(".who form button");
    assert!(browser.shown().contains("Sign in"));
    browser.open(&format!("{url}/console/wallets"));
    let place = browser.text("location.pathname");
    assert_eq!(place, "/console/sign-in", "signed out for good");
}

#[track_caller]
fn look_at_all(browser: &mut Browser, url: &str, pages: &[data::Page]) {
    for (path, name) in pages {
        look(browser, url, path, name);
        let shown = browser.shown();
        for word in ["This part does not run", "Not permitted", "Not found"] {
            assert!(!shown.contains(word), "{path}: {shown}");
        }
    }
}

#[test]
fn every_page_of_the_shadow_ledger_holds_what_is_promised_of_pages() {
    let test = "every_page_of_the_shadow_ledger_holds_what_is_promised_of_pages";
    let Some(mut browser) = Browser::start(test) else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    server.funded("BRL", "700.00");
    let pages = data::shadow_pages(&server);
    sign_in(&mut browser, &url, "/console/shadow");
    look_at_all(&mut browser, &url, &pages);
}

#[test]
fn every_page_of_ticketing_holds_what_is_promised_of_pages() {
    let test = "every_page_of_ticketing_holds_what_is_promised_of_pages";
    let Some(mut browser) = Browser::start(test) else {
        return;
    };
    // The end of a concert needs a clock that can be moved.
    let server = with_vera(Launch::new().start());
    let url = url_of(&server);
    let pages = data::ticketing_pages(&server);
    sign_in(&mut browser, &url, "/console/ticketing/events");
    look_at_all(&mut browser, &url, &pages);
}

#[test]
fn every_page_of_administration_holds_what_is_promised_of_pages() {
    let test = "every_page_of_administration_holds_what_is_promised_of_pages";
    let Some(mut browser) = Browser::start(test) else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let pages = data::admin_pages(&server);
    sign_in(&mut browser, &url, "/console/admin/users");
    look_at_all(&mut browser, &url, &pages);
}

fn look_at_the_door(browser: &mut Browser, url: &str) {
    let place = browser.text("location.pathname + location.search");
    assert_eq!(place, "/console/sign-in?next=%2Fconsole%2Fwallets");
    look(browser, url, "/console/sign-in", "sign-in");
}

fn pages(wallet: &str, transaction: &str) -> Vec<(String, &'static str)> {
    let at = |path: &str| format!("/console{path}");
    vec![
        (at("?range=5m"), "overview"),
        (at("/ledger/accounts"), "ledger-accounts"),
        (
            at(&format!("/ledger/accounts/florin%3Awallet%3A{wallet}")),
            "ledger-account",
        ),
        (at("/ledger/transfers"), "ledger-transfers"),
        (
            at(&format!("/ledger/transfers/{transaction}?verify=1")),
            "ledger-transfer",
        ),
        (at("/ledger/trial-balance"), "ledger-trial-balance"),
        (at("/ledger/checkpoints"), "ledger-checkpoints"),
        (at("/ledger/checkpoints/1"), "ledger-checkpoint"),
        (at("/ledger/live"), "ledger-live"),
        (at("/wallets"), "wallets"),
        (at(&format!("/wallets/{wallet}")), "wallet"),
        (at(&format!("/transactions/{transaction}")), "transaction"),
        (at("/holds"), "holds"),
    ]
}

#[test]
fn actions_ask_first_and_say_what_became_of_them() {
    let Some(mut browser) = Browser::start("actions_ask_first_and_say_what_became_of_them") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let (wallet, transaction) = some_money(&server);
    let path = format!("/console/wallets/{wallet}");
    sign_in(&mut browser, &url, &path);

    browser.press("[data-dialog=freeze]");
    assert_eq!(browser.eval("document.getElementById('freeze').open"), true);
    browser.picture("wallet-freeze-dialog");
    browser.press("#freeze [data-close]");
    assert_eq!(
        browser.eval("document.getElementById('freeze').open"),
        false
    );
    let status = |server: &Server| {
        let reply = server.get(Who::Auditor, &format!("/api/v1/wallets/{wallet}"));
        reply.ok(200).text_of("status").to_owned()
    };
    assert_eq!(status(&server), "ACTIVE", "asked, not done");

    browser.press("[data-dialog=freeze]");
    browser.write("#freeze [name=reason]", "a lost phone");
    browser.follow("#freeze button.primary");
    assert!(browser.shown().contains("The wallet is frozen."));
    assert_eq!(status(&server), "FROZEN");
    browser.open(&format!("{url}{path}"));
    assert!(
        !browser.shown().contains("The wallet is frozen."),
        "said once"
    );

    // What cannot be done is refused by the API, in its words.
    browser.press("[data-dialog=close]");
    browser.write("#close [name=reason]", "no longer wanted");
    browser.follow("#close button.danger");
    let said = browser.text("document.querySelector('.said.bad').textContent");
    assert!(!said.is_empty(), "{}", browser.shown());
    assert_eq!(status(&server), "FROZEN");

    browser.press("[data-dialog=unfreeze]");
    browser.write("#unfreeze [name=reason]", "found again");
    browser.follow("#unfreeze button.primary");
    assert_eq!(status(&server), "ACTIVE");

    let before = server.balance(&wallet);
    browser.open(&format!("{url}/console/transactions/{transaction}"));
    browser.press("[data-dialog=reverse]");
    browser.write("#reverse [name=reason]", "sent twice");
    browser.follow("#reverse button.danger");
    assert!(browser.shown().contains("The transaction is reversed."));
    assert_ne!(server.balance(&wallet), before);
    assert_eq!(browser.errors, Vec::<String>::new());
    server.books_are_balanced();
}

#[test]
fn records_appear_while_somebody_looks() {
    let Some(mut browser) = Browser::start("records_appear_while_somebody_looks") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let wallet = server.empty("BRL");
    sign_in(&mut browser, &url, "/console/ledger/live");
    browser.wait("document.getElementById('feed-state').textContent === 'live'");
    let deposit = server.deposit(&wallet, "12.34").ok(200);
    let transaction = deposit.text_of("transactionId").to_owned();
    browser.wait(&format!(
        "document.querySelector('#feed tr')?.innerHTML.includes('{transaction}')"
    ));
    let row = browser.text("document.querySelector('#feed tr').innerText");
    assert!(row.contains("12.34"), "{row}");

    // A part of a page is asked for again while the page stays.
    browser.open(&format!("{url}/console"));
    browser.eval("window.stays = true");
    let last = "[...document.querySelectorAll('.figure')].find((f) => f.innerText.startsWith('Last record')).querySelector('.value').innerText";
    let before = browser.text(last);
    server.deposit(&wallet, "1.00").ok(200);
    browser.wait(&format!("{last} !== {}", json!(before)));
    assert_eq!(browser.eval("window.stays"), true);
    assert_eq!(browser.errors, Vec::<String>::new());
}

#[test]
fn a_proof_is_verified_by_the_page() {
    let Some(mut browser) = Browser::start("a_proof_is_verified_by_the_page") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let (_, transaction) = some_money(&server);
    let path = format!("/console/ledger/transfers/{transaction}");
    sign_in(&mut browser, &url, &path);
    if browser
        .shown()
        .contains("No signed checkpoint covers this record yet")
    {
        browser.follow("#proof form button");
        assert!(
            browser
                .shown()
                .contains("A checkpoint covers every record.")
        );
    }
    browser.follow("#proof button.primary");
    assert!(browser.shown().contains("Verified."), "{}", browser.shown());
    let steps = "[...document.querySelectorAll('.steps .badge')].map((b) => b.textContent)";
    assert_eq!(
        browser.eval(steps),
        json!(["holds", "holds", "holds", "holds", "holds"])
    );
}

#[test]
fn a_statement_is_uploaded_and_read() {
    let Some(mut browser) = Browser::start("a_statement_is_uploaded_and_read") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    sign_in(&mut browser, &url, "/console/shadow/statements");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shadow/tests/fixtures");
    // A browser reads no file whose path has steps upwards, and says that the server is away.
    let folder = folder.canonicalize().expect("the folder");
    browser.choose("form.upload [name=file]", &folder.join("mt940_pages.sta"));
    browser.write("form.upload [name=accountId]", "bank:main");
    browser.follow("form.upload button.primary");
    let shown = browser.shown();
    assert!(shown.contains("The file is imported."), "{shown}");
    assert!(shown.contains("bank:main"), "{shown}");
    browser.picture("shadow-import");
    assert_eq!(browser.errors, Vec::<String>::new());
}
