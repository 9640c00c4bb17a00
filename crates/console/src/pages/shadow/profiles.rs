//! `GET /console/shadow/profiles` and `/{name}`: how the CSV files of a bank are read.

use florin_platform::http::router::Routes;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{API, page_of};
use crate::Console;
use crate::api::{flag, items, segment, shown, text};
use crate::pages::admin::words;
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::facts::Facts;
use crate::ui::table::{Table, pager};
use crate::ui::{form, section};
use crate::visit::{Visit, get, post};

const HERE: &str = "/console/shadow/profiles";
const COLUMNS: &[(&str, &str)] = &[("Profile", "name")];
/// Settings of one text: member, label, what holds unless it is said.
const TEXTS: &[(&str, &str, &str)] = &[
    ("delimiter", "Between fields: one character, or tab", ","),
    ("quote", "Around fields", "\""),
    (
        "encoding",
        "Encoding: UTF-8, windows-1252 or ISO-8859-1",
        "UTF-8",
    ),
    (
        "datePattern",
        "Dates, of YYYY or YY, MM or M, DD or D",
        "YYYY-MM-DD",
    ),
    (
        "zone",
        "Zone of the dates: UTC or an offset such as +01:00",
        "UTC",
    ),
    ("decimalMark", "Between units and decimals", "."),
    (
        "thousandsMark",
        "Between groups of three digits: one character, or blank",
        "",
    ),
    ("currency", "Currency of rows without one", ""),
];
/// What a column may mean; the first has to be there.
const MEANINGS: &[(&str, &str)] = &[
    ("date", "Day of booking"),
    ("valueDate", "Value date"),
    ("amount", "Amount"),
    ("debit", "Money going out"),
    ("credit", "Money coming in"),
    ("sign", "Word of the sign"),
    ("currency", "Currency"),
    ("endToEndId", "End-to-end reference"),
    ("transactionId", "Reference of the transaction"),
    ("servicerRef", "Reference of the bank for the entry"),
    ("customerRef", "Reference of the customer"),
    ("bankRef", "Reference of the bank"),
    ("text", "Text; several columns parted by commas"),
    ("counterpartyName", "Name of the other side"),
    ("counterpartyAccount", "Account of the other side"),
    ("balance", "Balance after the row"),
];

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, HERE, list);
    let routes = get(routes, "/console/shadow/profiles/{name}", show);
    post(routes, HERE, put)
}

async fn list(visit: Visit) -> Outcome {
    let list = Listing::new(&visit, format!("{API}/csv-profiles"));
    if visit.exports() {
        return list.export("csv-profiles", COLUMNS).await;
    }
    let page = list.page().await?;
    let table = Table::new("CSV profiles")
        .columns(&["Profile"])
        .empty("No CSV of a bank can be read yet.")
        .rows(items(&page, "items"), |one| {
            let name = text(one, "name");
            vec![html! { a href=(page_of("profiles", name)) { (name) } }]
        });
    let content = html! {
        p.note {
            "Every bank writes its CSV in its own way. camt.053, MT940, BAI2 and OFX are told by "
            "their content and need no profile."
        }
        (table)
        (pager(&visit, &page, true))
        @if visit.me.may("shadow:import") {
            (section("new", "New profile", ask(&visit, &Value::Null)))
        }
    };
    Ok(Page::new("CSV profiles", content).into())
}

/// Characters that cannot be seen, by their names.
const UNSEEN: [(&str, &str); 2] = [("tab", "\t"), ("blank", " ")];

/// A setting as it is typed.
fn seen(profile: &Value, member: &str) -> String {
    let value = shown(profile, member);
    let named = UNSEEN.iter().find(|(_, mark)| *mark == value);
    named.map_or(value.clone(), |(name, _)| (*name).to_owned())
}

/// What was typed as the setting.
fn unseen(typed: &str) -> &str {
    let named = UNSEEN.iter().find(|(name, _)| *name == typed);
    named.map_or(typed, |(_, mark)| *mark)
}

/// A column of a profile as it is typed: its name or number, or several.
fn typed(profile: &Value, meaning: &str) -> String {
    let column = &profile["columns"][meaning];
    let one = |value: &Value| match value {
        Value::String(name) => name.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match column {
        Value::Array(many) => many.iter().map(one).collect::<Vec<_>>().join(", "),
        column => one(column),
    }
}

/// What was typed, as the API takes it: a number where the file has no header.
fn column(typed: &str, header: bool) -> Value {
    match typed.parse::<u16>() {
        Ok(number) if !header => number.into(),
        _ => typed.into(),
    }
}

fn columns_of(typed: &str, header: bool) -> Value {
    let parts = typed
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let mut all: Vec<Value> = parts.map(|part| column(part, header)).collect();
    match all.len() {
        1 => all.remove(0),
        _ => all.into(),
    }
}

fn ask(visit: &Visit, now: &Value) -> Markup {
    let known = text(now, "name");
    let given = |member: &str, unless: &str| match known {
        "" => unless.to_owned(),
        _ => seen(now, member),
    };
    let header = known.is_empty() || flag(now, "header");
    html! {
        form.form method="post" action=(HERE) {
            (form::hidden(visit))
            @if known.is_empty() { (form::text("name", "Name", "", true)) }
            @else { input type="hidden" name="name" value=(known); }
            @for (member, label, unless) in TEXTS {
                (form::text(member, label, &given(member, unless), false))
            }
            (form::text("skipRows", "Rows before the header that are passed over", &given("skipRows", "0"), false))
            (form::check("header", "The first row names the columns", "true", header))
            (form::check("newestFirst", "The newest row comes first", "true", flag(now, "newestFirst")))
            fieldset {
                legend { "Columns, by the name in the header or by number from 1" }
                @for (at, (meaning, label)) in MEANINGS.iter().enumerate() {
                    (form::text(&format!("column.{meaning}"), label, &typed(now, meaning), at == 0))
                }
            }
            fieldset {
                legend { "Words of the sign, parted by commas" }
                (form::text("signs.credit", "Coming in", &words(&now["signs"], "credit"), false))
                (form::text("signs.debit", "Going out", &words(&now["signs"], "debit"), false))
            }
            div.buttons { button.primary type="submit" { "Save" } }
        }
    }
}

async fn show(visit: Visit) -> Outcome {
    let path = format!("{API}/csv-profiles/{}", segment(visit.param("name")));
    let profile = visit.api.get(path).json().await?;
    let set = TEXTS
        .iter()
        .map(|(member, label, _)| (*label, seen(&profile, member)));
    let set = set.chain([
        ("Rows before the header", shown(&profile, "skipRows")),
        ("The first row names the columns", shown(&profile, "header")),
        ("The newest row comes first", shown(&profile, "newestFirst")),
    ]);
    let mut facts = Facts::new();
    for (label, value) in set {
        if !value.is_empty() {
            facts = facts.add(label, html! { code { (value) } });
        }
    }
    let mut table = Table::new("Columns").columns(&["Means", "Column"]);
    for (meaning, label) in MEANINGS {
        let typed = typed(&profile, meaning);
        if !typed.is_empty() {
            table.row(vec![html! { (label) }, html! { code { (typed) } }]);
        }
    }
    let content = html! {
        (facts)
        (section("columns", "Columns", html! { (table) }))
        @if visit.me.may("shadow:import") { (section("change", "Change", ask(&visit, &profile))) }
    };
    let title = format!("CSV profile {}", text(&profile, "name"));
    Ok(Page::new(title, content).into())
}

/// The profile that was typed.
fn profile_of(visit: &Visit) -> Value {
    let header = visit.form("header") == "true";
    let mut body = json!({
        "header": header,
        "newestFirst": visit.form("newestFirst") == "true",
    });
    for (member, ..) in TEXTS {
        if !visit.form(member).is_empty() {
            body[*member] = unseen(visit.form(member)).into();
        }
    }
    if let Ok(rows) = visit.form("skipRows").parse::<u32>() {
        body["skipRows"] = rows.into();
    }
    let mut columns = Map::new();
    for (meaning, _) in MEANINGS {
        let typed = visit.form(&format!("column.{meaning}"));
        if typed.is_empty() {
            continue;
        }
        let value = match *meaning {
            "text" => columns_of(typed, header),
            _ => column(typed, header),
        };
        columns.insert((*meaning).to_owned(), value);
    }
    body["columns"] = columns.into();
    let signs = |name: &str| -> Vec<&str> {
        let parts = visit.form(name).split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).collect()
    };
    let (credit, debit) = (signs("signs.credit"), signs("signs.debit"));
    if !credit.is_empty() && !debit.is_empty() {
        body["signs"] = json!({"credit": credit, "debit": debit});
    }
    body
}

async fn put(visit: Visit) -> Outcome {
    let name = visit.form("name");
    let ask = visit
        .api
        .put(format!("{API}/csv-profiles/{}", segment(name)));
    let result = ask.json_body(&profile_of(&visit)).json().await;
    let place = match &result {
        Ok(_) => page_of("profiles", name),
        Err(_) => HERE.to_owned(),
    };
    Reply::after(result, place, "Files are read by this profile from now on.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_names_or_numbers() {
        assert_eq!(column("Date", true), json!("Date"));
        assert_eq!(column("3", true), json!("3"), "a column that is called 3");
        assert_eq!(column("3", false), json!(3));
        assert_eq!(columns_of("Text, Note", true), json!(["Text", "Note"]));
        assert_eq!(columns_of("4", false), json!(4));
        assert_eq!(seen(&json!({"delimiter": "\t"}), "delimiter"), "tab");
        assert_eq!((unseen("tab"), unseen(";")), ("\t", ";"));
        let profile = json!({"columns": {"date": 1, "text": ["A", 2]}});
        assert_eq!(typed(&profile, "date"), "1");
        assert_eq!(typed(&profile, "text"), "A, 2");
        assert_eq!(typed(&profile, "amount"), "");
    }
}
