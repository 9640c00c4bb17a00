//! The frame around every page: head, menu, who is signed in, colour scheme, the word from before.

use maud::{DOCTYPE, Markup, html};

use super::form;
use super::nav::{MENU, current};
use crate::BASE;
use crate::assets::{ICON, SCRIPT, STYLE};
use crate::reply::Page;
use crate::visit::{Frame, Shown};

/// The whole document. Without `shown` nobody is signed in, and there is no menu.
pub fn document(frame: &Frame, shown: Option<&Shown>, page: Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[frame.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (page.title) " · Florin" }
                link rel="icon" href=(ICON.path) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer { }
            }
            body.alone[shown.is_none()] {
                a.skip href="#main" { "Skip to the content" }
                (head(frame, shown))
                @if let Some(shown) = shown { (menu(frame, shown)) }
                main #main tabindex="-1" {
                    div.title {
                        h1 { (page.title) }
                        @if let Some(beside) = &page.beside { div.beside { (beside) } }
                    }
                    @if let Some(said) = &frame.said {
                        p class={ "said " (if said.good { "good" } else { "bad" }) }
                            role=(if said.good { "status" } else { "alert" }) { (said.text) }
                    }
                    (page.content)
                }
            }
        }
    }
}

fn head(frame: &Frame, shown: Option<&Shown>) -> Markup {
    let environment = &frame.console().settings().environment;
    html! {
        header.top {
            @if shown.is_some() {
                button.menu type="button" aria-expanded="false" aria-controls="menu" data-menu {
                    span.burger aria-hidden="true" { } span.hidden { "Menu" }
                }
            }
            a.brand href=(BASE) { img src=(ICON.path) alt="" width="24" height="24"; "Florin" }
            @if environment != "production" {
                span class={ "environment " (environment) } { (environment) }
            }
            span.gap { }
            @if let Some(shown) = shown {
                (theme(frame, shown))
                details.who {
                    summary { (shown.me.name) }
                    div {
                        @if !shown.me.roles.is_empty() {
                            p.note { "Roles: " (shown.me.roles.join(", ")) }
                        }
                        form method="post" action="/console/sign-out" {
                            (form::hidden_with(&shown.form_token))
                            button type="submit" { "Sign out" }
                        }
                    }
                }
            }
        }
    }
}

/// The next colour scheme, its sign and its name.
fn theme(frame: &Frame, shown: &Shown) -> Markup {
    let (next, sign, name) = match frame.theme {
        None => (
            "light",
            "◐",
            "Colours as the system has them; switch to light",
        ),
        Some("light") => ("dark", "☀", "Light colours; switch to dark"),
        Some(_) => ("", "☾", "Dark colours; switch to those of the system"),
    };
    html! {
        form.theme method="post" action="/console/theme" {
            (form::hidden_with(&shown.form_token))
            input type="hidden" name="here" value=(frame.here);
            input type="hidden" name="theme" value=(next);
            button.icon type="submit" title=(name) aria-label=(name) { (sign) }
        }
    }
}

fn menu(frame: &Frame, shown: &Shown) -> Markup {
    let here = current(&frame.path).map(|item| item.path);
    html! {
        nav.side #menu aria-label="Pages" {
            @for section in MENU {
                @let items: Vec<_> = section.items.iter().filter(|item| item.is_for(&shown.me)).collect();
                @if !items.is_empty() {
                    @if section.items.len() > 1 { h2 { (section.name) } }
                    ul {
                        @for item in items {
                            li {
                                a href=(item.path)
                                    aria-current=[(here == Some(item.path)).then_some("page")] {
                                    (item.name)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
