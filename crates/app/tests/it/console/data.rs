//! What the pages show in the tests: a book that does not agree with its bank, a sale from the
//! first ticket to the payout, an event that was called off, and somebody who is told of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Reply, Server, Who, program};
use crate::webhooks::receiver::Receiver;

/// Longest wait for what a worker does.
const LONGEST: Duration = Duration::from_secs(60);

/// A page: path below `/console`, and the name of its picture.
pub type Page = (String, &'static str);

fn page(path: impl Into<String>, name: &'static str) -> Page {
    (format!("/console{}", path.into()), name)
}

fn shadow(path: &str) -> String {
    format!("/api/v1/shadow/{path}")
}

/// Asks until the list has a row; the first one.
fn awaited(server: &Server, who: Who, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let reply = server.get(who, path).ok(200);
        if let Some(first) = reply.body["items"].get(0) {
            return first.clone();
        }
        assert!(begun.elapsed() < LONGEST, "{path} stays empty");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

fn member(value: &Value, name: &str) -> String {
    let found = value[name].as_str();
    found
        .unwrap_or_else(|| panic!("no {name}: {value}"))
        .to_owned()
}

fn statement(server: &Server, account: &str, rows: &str) -> Reply {
    let path = format!("statements?profile=my-bank&accountId={account}");
    let file = format!("Date;Amount;Reference;Text;Balance\n{rows}");
    server
        .call(Who::Operator, "POST", &shadow(&path))
        .body(file.into_bytes(), "application/octet-stream")
        .send()
        .ok(201)
}

/// Two books and what their bank says; the import of the first.
fn books(server: &Server) -> Reply {
    let event = |id: &str, account: &str, kind: &str, amount: &str, day: u32, reference: &str| {
        json!({"eventId": id, "accountId": account, "type": kind, "amount": amount,
            "timestamp": format!("2025-03-{day:02}T10:00:00Z"), "reference": reference,
            "source": "core"})
    };
    let events = json!([
        event("PAY-1", "clearing-1", "credit", "250.00", 3, "INV-7"),
        event("PAY-2", "clearing-1", "credit", "80.50", 4, "INV-9"),
        event(
            "PAY-3",
            "clearing-1",
            "debit",
            "1980.50",
            4,
            "more than there is"
        ),
        event("CRED-1", "merchant-9", "credit", "250.00", 3, "INV-7"),
    ]);
    let sent = server.post(Who::Service, &shadow("events/batch"), events);
    assert_eq!(sent.ok(202).body["accepted"], 4);
    let profile = json!({"delimiter": ";", "datePattern": "DD.MM.YYYY", "decimalMark": ",",
        "currency": "BRL", "columns": {"date": "Date", "amount": "Amount",
        "endToEndId": "Reference", "text": "Text", "balance": "Balance"}});
    let path = shadow("csv-profiles/my-bank");
    server.put(Who::Operator, &path, profile).ok(200);
    let rows = "03.03.2025;250,00;INV 7;;250,00\n04.03.2025;50,00;INV 8;;300,00\n";
    statement(server, "merchant-9", rows);
    let rows = "03.03.2025;250,00;INV 7;Invoice 7;250,00\n04.03.2025;80,50;;Card sales;330,50\n\
                05.03.2025;-5,00;;Account fee;325,50\n";
    statement(server, "clearing-1", rows)
}

/// What looks after the books: a check, a monitor, a reference, a link.
fn watched(server: &Server) {
    let check = json!({"checkId": "march-4", "accounts": [
        {"accountId": "merchant-9", "reportedBalance": "300.00", "asOf": "2025-03-04T23:59:59Z"},
        {"accountId": "clearing-1", "reportedBalance": "331.50"}]});
    let path = shadow("drift-check");
    server.post(Who::Auditor, &path, check).ok(200);
    let put = |who: Who, path: &str, body: Value| server.put(who, &shadow(path), body);
    let monitor = json!({"kind": "drift", "everySeconds": 10, "sustainSeconds": 0});
    put(Who::Admin, "monitors/drift-often", monitor).ok(201);
    let reference = json!({"accountId": "clearing-1"});
    put(
        Who::Operator,
        "account-refs/DE89370400440532013000",
        reference,
    )
    .ok(200);
    let link = json!({"ledgerAccount": "florin:external:BRL", "orientation": "liability"});
    put(Who::Admin, "links/external", link).ok(201);
}

/// Two books, their bank, what does not agree, and who looks after it.
pub fn shadow_pages(server: &Server) -> Vec<Page> {
    let imported = books(server);
    watched(server);
    let run = json!({"accountId": "clearing-1", "from": "2025-03-01", "to": "2025-04-01"});
    let run = server
        .post(Who::Operator, &shadow("reconciliations"), run)
        .ok(201);
    let correction = json!({"type": "credit", "amount": "500.00", "reason": "found money"});
    let correction = server
        .post(Who::Admin, &shadow("correct/clearing-1"), correction)
        .ok(202);
    let first = |list: &str| awaited(server, Who::Auditor, &shadow(list));
    let statement = first("statements?accountId=clearing-1");
    let (line, match_) = (first("lines"), first("matches"));
    first("alerts");
    let at = |kind: &str, id: &str, name: &'static str| page(format!("/shadow/{kind}/{id}"), name);
    let mut pages = vec![
        page("/shadow", "shadow"),
        page("/shadow/accounts/clearing-1", "shadow-book"),
        page(
            "/shadow/accounts/clearing-1?asOf=2025-03-03T23:00:00Z",
            "shadow-book-as-of",
        ),
        page(
            "/shadow/accounts/clearing-1/settings/BRL",
            "shadow-book-settings",
        ),
        page("/shadow/links/external?currency=BRL", "shadow-link"),
        at("events", "PAY-3", "shadow-event"),
        at("drift", "march-4", "shadow-check"),
        page(
            "/shadow/drift/march-4/evidence?accountId=merchant-9&currency=BRL",
            "shadow-evidence",
        ),
        at(
            "corrections",
            correction.text_of("eventId"),
            "shadow-correction",
        ),
        at(
            "statements",
            &member(&statement, "statementId"),
            "shadow-statement",
        ),
        at("imports", imported.text_of("importId"), "shadow-import"),
        at("lines", &member(&line, "lineId"), "shadow-line"),
        at(
            "reconciliations",
            run.text_of("reconciliationId"),
            "shadow-workbench",
        ),
        at("matches", &member(&match_, "matchId"), "shadow-match"),
        at("monitors", "drift-often", "shadow-monitor"),
        at("profiles", "my-bank", "shadow-profile"),
    ];
    for (list, name) in [
        ("accounts", "shadow-books"),
        ("links", "shadow-links"),
        ("events", "shadow-events"),
        ("dead-letters", "shadow-dead-letters"),
        ("drift", "shadow-drift"),
        ("corrections", "shadow-corrections"),
        ("statements", "shadow-statements"),
        ("lines", "shadow-lines"),
        ("profiles", "shadow-profiles"),
        ("references", "shadow-references"),
        ("reconciliations", "shadow-reconciliations"),
        ("matches", "shadow-matches"),
        ("monitors", "shadow-monitors"),
        ("alerts", "shadow-alerts"),
        ("audit", "shadow-audit"),
    ] {
        pages.push(page(format!("/shadow/{list}"), name));
    }
    pages
}

/// Tells the sale of `florin demo ticketing`; its clock has to move for the payout.
fn tell(server: &Server) {
    let url = server.ready["url"].as_str().expect("a URL");
    let output = program()
        .args(["demo", "ticketing", "--output", "json", "--url", url])
        .env("FLORIN_KEY", server.demo("serviceApiKey"))
        .env("FLORIN_ADMIN_KEY", server.demo("adminApiKey"))
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", server.log_tail());
}

/// An event without buyers, called off: its page and that of its refunds.
fn called_off(server: &Server, org: &str) -> (String, String) {
    let body = json!({"orgId": org, "title": "Rained off", "category": "music",
        "timeZone": "Europe/Berlin", "startsAt": "2090-06-01T18:00:00Z",
        "endsAt": "2090-06-01T22:00:00Z", "currency": "EUR",
        "venue": {"name": "Hall", "address": "Street 1", "city": "Berlin", "country": "DE",
                  "lat": 52.52, "lng": 13.405}});
    let post = |path: &str, body: Value| server.post(Who::Admin, path, body);
    let event = post("/api/v1/events", body).ok(201).id();
    let path = format!("/api/v1/events/{event}");
    let kind = json!({"name": "Standing", "price": "10.00", "quantity": 100});
    post(&format!("{path}/ticket-types"), kind).ok(201);
    post(&format!("{path}/publish"), json!({})).ok(200);
    let job = post(&format!("{path}/cancel"), json!({"reason": "Rain"})).ok(202);
    (event, job.text_of("refundJobId").to_owned())
}

/// A sale whose money has been paid out, and who was told of it.
pub fn ticketing_pages(server: &Server) -> Vec<Page> {
    tell(server);
    let get = |path: &str| awaited(server, Who::Admin, path);
    let org = member(&get("/api/v1/orgs"), "id");
    let event = member(&get(&format!("/api/v1/events?orgId={org}")), "id");
    let (off, job) = called_off(server, &org);
    let receiver = Receiver::start();
    let hooks = format!("/api/v1/orgs/{org}/webhooks");
    let body = json!({"url": receiver.url(), "events": ["order.confirmed"]});
    let hook = server.post(Who::Admin, &hooks, body).ok(201).id();
    let path = format!("{hooks}/{hook}/test");
    let tested = server.post(Who::Admin, &path, json!({}));
    assert!(tested.status < 300, "{}", tested.text);
    let delivery = member(&get(&format!("{hooks}/{hook}/deliveries")), "id");
    let payout = member(&get(&format!("/api/v1/orgs/{org}/payouts")), "id");
    let orders = format!("/api/v1/events/{event}/orders?status=partially_refunded");
    let order = member(&get(&orders), "id");
    let at = |path: &str, name: &'static str| page(format!("/ticketing/{path}"), name);
    let mut pages = vec![
        at("organisations", "ticketing-organisations"),
        at(&format!("organisations/{org}"), "ticketing-organisation"),
        at(&format!("organisations/{org}/payouts"), "ticketing-payouts"),
        at(&format!("payouts/{payout}"), "ticketing-payout"),
        at(
            &format!("organisations/{org}/webhooks"),
            "ticketing-webhooks",
        ),
        at(
            &format!("organisations/{org}/webhooks/{hook}"),
            "ticketing-webhook",
        ),
        at(
            &format!("organisations/{org}/webhooks/{hook}/deliveries/{delivery}"),
            "ticketing-delivery",
        ),
        at("events", "ticketing-events"),
        at(&format!("events/{event}"), "ticketing-event"),
        at(&format!("events/{off}"), "ticketing-event-called-off"),
        at(
            &format!("events/{off}/refund-jobs/{job}"),
            "ticketing-refund-job",
        ),
        at("orders", "ticketing-find-order"),
        at(&format!("orders/{order}"), "ticketing-order"),
    ];
    for (part, name) in [
        ("ticket-types", "ticketing-types"),
        ("sales", "ticketing-sales"),
        ("orders", "ticketing-orders"),
        ("refunds", "ticketing-refunds"),
        ("attendees", "ticketing-attendees"),
        ("check-ins", "ticketing-check-ins"),
        ("postings", "ticketing-postings"),
    ] {
        pages.push(at(&format!("events/{event}/{part}"), name));
    }
    pages
}

/// Users, keys, and somebody who is told of deposits.
pub fn admin_pages(server: &Server) -> Vec<Page> {
    let receiver = Receiver::start();
    let body = json!({"url": receiver.url(), "events": ["FundsDeposited"]});
    let hook = server
        .post(Who::Admin, "/api/v1/webhooks", body)
        .ok(201)
        .id();
    server.funded("BRL", "12.00");
    let get = |path: &str| awaited(server, Who::Admin, path);
    let delivery = member(&get(&format!("/api/v1/webhooks/{hook}/deliveries")), "id");
    let user = member(&get("/api/v1/users"), "id");
    let key = member(&get("/api/v1/keys"), "id");
    let at = |path: &str, name: &'static str| page(format!("/admin/{path}"), name);
    vec![
        at("users", "admin-users"),
        at(&format!("users/{user}"), "admin-user"),
        at("keys", "admin-keys"),
        at(&format!("keys/{key}"), "admin-key"),
        at("roles", "admin-roles"),
        at("webhooks", "admin-webhooks"),
        at(&format!("webhooks/{hook}"), "admin-webhook"),
        at(
            &format!("webhooks/{hook}/deliveries/{delivery}"),
            "admin-delivery",
        ),
        at("audit", "admin-audit"),
        at("config", "admin-configuration"),
    ]
}
