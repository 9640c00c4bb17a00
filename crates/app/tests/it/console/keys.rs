//! The console with a keyboard alone (WCAG 2.1, 2.1.1, 2.4.3, 2.4.7): from the top of a page to an
//! action that hurts and back, the menus, and that the focus can always be seen.

use serde_json::json;

use super::browser::Browser;
use super::{launch, sign_in, some_money, url_of};
use crate::server::Who;

/// More stops than any page has.
const STOPS_MAX: usize = 200;

/// What has the focus, in words.
const FOCUSED: &str = "(() => { const e = document.activeElement; \
    return `${e.tagName} ${e.id || e.name || e.dataset.dialog || e.textContent.trim()}`; })()";
/// Whether the focus can be seen: an outline of at least two pixels, inside the window.
const SEEN: &str = "(() => { const e = document.activeElement; const s = getComputedStyle(e); \
    const b = e.getBoundingClientRect(); \
    return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 \
        && b.bottom > 0 && b.top < innerHeight && b.right > 0 && b.left < innerWidth; })()";

impl Browser {
    fn key(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    fn tab(&mut self) {
        self.key("Tab", 9, "");
    }

    fn enter(&mut self) {
        self.key("Enter", 13, "\r");
    }

    /// Goes on with Tab until this has the focus; every stop can be seen.
    #[track_caller]
    fn tab_to(&mut self, condition: &str) {
        let mut stops = Vec::new();
        for _ in 0..STOPS_MAX {
            self.tab();
            let stop = self.text(FOCUSED);
            if self.eval(&format!(
                "document.activeElement !== document.body && ({SEEN})"
            )) != true
            {
                panic!("the focus cannot be seen: {stop}, after {stops:?}");
            }
            stops.push(stop);
            if self.eval(&format!(
                "document.activeElement.matches({})",
                json!(condition)
            )) == true
            {
                return;
            }
        }
        panic!("{condition} is not reached: {stops:?}");
    }
}

#[test]
fn a_wallet_is_frozen_with_the_keyboard_alone() {
    let Some(mut browser) = Browser::start("a_wallet_is_frozen_with_the_keyboard_alone") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    let (wallet, _) = some_money(&server);
    let path = format!("/console/wallets/{wallet}");
    sign_in(&mut browser, &url, &path);
    browser.open(&format!("{url}{path}"));

    // The first stop leads past the menu.
    browser.tab();
    assert!(
        browser.text(FOCUSED).contains("Skip"),
        "{}",
        browser.text(FOCUSED)
    );
    browser.enter();
    browser.wait("location.hash === '#main'");

    browser.tab_to("[data-dialog=freeze]");
    browser.enter();
    assert_eq!(browser.eval("document.getElementById('freeze').open"), true);
    assert_eq!(
        browser.eval("document.activeElement.closest('dialog')?.id"),
        "freeze"
    );
    // Away with Escape: nothing was done, and the focus is where it was.
    browser.key("Escape", 27, "");
    browser.wait("!document.getElementById('freeze').open");
    assert_eq!(
        browser.eval("document.activeElement.dataset.dialog"),
        "freeze"
    );
    let status = || {
        let shown = server.get(Who::Auditor, &format!("/api/v1/wallets/{wallet}"));
        shown.ok(200).text_of("status").to_owned()
    };
    assert_eq!(status(), "ACTIVE");

    browser.enter();
    browser.wait("document.getElementById('freeze').open");
    if browser.eval("document.activeElement.name === 'reason'") != true {
        browser.tab_to("#freeze [name=reason]");
    }
    browser.ask("Input.insertText", json!({"text": "a lost phone"}));
    // The page behind cannot be reached while the question is open.
    browser.tab_to("#freeze button.primary");
    browser.enter();
    browser.loads();
    assert!(browser.shown().contains("The wallet is frozen."));
    assert_eq!(status(), "FROZEN");
}

#[test]
fn menus_open_and_close_with_the_keyboard() {
    let Some(mut browser) = Browser::start("menus_open_and_close_with_the_keyboard") else {
        return;
    };
    let server = launch();
    let url = url_of(&server);
    sign_in(&mut browser, &url, "/console/wallets");
    browser.open(&format!("{url}/console/wallets"));
    browser.tab_to("details.who summary");
    browser.enter();
    browser.wait("document.querySelector('details.who').open");
    browser.tab_to(".who form button");
    browser.key("Escape", 27, "");
    browser.wait("!document.querySelector('details.who').open");
    assert_eq!(
        browser.eval("document.activeElement.matches('details.who summary')"),
        true
    );

    // On a phone the menu is a button that says whether it is open.
    browser.size(390, 844);
    browser.open(&format!("{url}/console/wallets"));
    browser.tab_to("button[data-menu]");
    let expanded = "document.activeElement.getAttribute('aria-expanded')";
    assert_eq!(browser.eval(expanded), "false");
    browser.enter();
    browser.wait("document.querySelector('#menu').checkVisibility()");
    assert_eq!(browser.eval(expanded), "true");
    browser.tab_to("#menu a");
    browser.key("Escape", 27, "");
    browser.wait("!document.querySelector('#menu').checkVisibility()");
    assert_eq!(
        browser.eval("document.activeElement.matches('button[data-menu]')"),
        true
    );
    assert_eq!(browser.errors, Vec::<String>::new());
}
