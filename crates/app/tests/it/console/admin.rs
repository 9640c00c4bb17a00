//! Administration by hand, in the browser: a key is made, used and revoked; a receiver is
//! registered, told, and told again.

use super::*;
use crate::webhooks::receiver::Receiver;

/// The secret that the page shows once.
const SHOWN_ONCE: &str = "document.querySelector('.notice code').textContent";

#[test]
fn a_key_is_made_used_and_revoked() {
    let Some(mut browser) = Browser::start("a_key_is_made_used_and_revoked") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    sign_in(&mut browser, &url, "/console/admin/keys");
    browser.write("#create [name=name]", "evening audit");
    browser.write("#create [name=roles]", "auditor");
    browser.follow("#create button.primary");
    let key = browser.text(SHOWN_ONCE);
    let list = || {
        let call = server.call(Who::Nobody, "GET", "/api/v1/audit?limit=1");
        call.header("x-api-key", &key).send()
    };
    let newest = list().ok(200);
    let entry = &newest.body["items"][0];
    assert_eq!(entry["action"], "key.created", "{entry}");
    let object = entry["object"].as_str().expect("an object");
    let id = object.strip_prefix("key:").expect("of a key").to_owned();

    browser.open(&format!("{url}/console/admin/keys"));
    assert!(!browser.shown().contains(&key), "shown once");
    browser.press(&format!("[data-dialog='revoke-{id}']"));
    browser.press(&format!("#revoke-{id} [data-close]"));
    list().ok(200);
    browser.press(&format!("[data-dialog='revoke-{id}']"));
    browser.follow(&format!("#revoke-{id} button.danger"));
    assert!(browser.shown().contains("The key is revoked."));
    assert_eq!(list().status, 401);
    assert_eq!(browser.errors, Vec::<String>::new());
}

#[test]
fn a_receiver_is_registered_told_and_told_again() {
    let test = "a_receiver_is_registered_told_and_told_again";
    let Some(mut browser) = Browser::start(test) else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let receiver = Receiver::start();
    sign_in(&mut browser, &url, "/console/admin/webhooks");
    browser.write("#create [name=url]", &receiver.url());
    browser.write("#create [name=events]", "FundsDeposited");
    browser.follow("#create button.primary");
    let secret = browser.text(SHOWN_ONCE);
    browser.follow("main p > a");
    let page = browser.text("location.pathname");

    server.funded("BRL", "12.00");
    let first = receiver.take(1).remove(0);
    first.verify(&secret);
    browser.open(&format!("{url}{page}"));
    browser.follow("#deliveries td a");
    // The answer is written down after it was given.
    while !browser.shown().contains("Redeliver") {
        let here = browser.text("location.href");
        browser.open(&here);
    }
    browser.follow("main form[action$='/redeliver'] button");
    assert!(browser.shown().contains("It is queued again."));
    let again = receiver.take(1).remove(0);
    again.verify(&secret);
    assert_eq!((again.id, again.body), (first.id, first.body));
    assert_eq!(browser.errors, Vec::<String>::new());
}
