//! Lists and their files.

use super::*;

#[tokio::test]
async fn lists_say_what_they_hold_and_give_files() {
    let mut browser = organiser().await;
    let api = &browser.api;
    let org = json!({"id": "o1", "name": "Lumen", "status": "active", "verified": false,
        "defaultCurrency": "EUR", "payoutMethod": {"kind": "wallet", "walletId": "w9"}});
    api.answer("GET /api/v1/orgs", 200, list(json!([org])));
    api.answer("GET /api/v1/events", 200, list(json!([event("sold_out")])));
    api.answer("GET /api/v1/events/e1/orders", 200, list(json!([order()])));
    let scan = json!({"id": "c1", "eventId": "e1", "ticketId": "k1", "deviceId": "gate-1",
        "result": "admitted", "reason": "ok", "direction": "in", "counted": false,
        "conflict": "duplicate", "online": true, "effectiveAt": AT});
    api.answer("GET /api/v1/events/e1/check-ins", 200, list(json!([scan])));
    let sales = json!({"currency": "EUR", "timeZone": "Europe/Berlin", "items": [
        {"ticketTypeId": "t1", "tickets": 1234, "orders": 2, "gross": "90.00"}]});
    api.answer("GET /api/v1/analytics/events/e1/sales", 200, sales);
    let capacity =
        json!({"types": [], "pools": [], "holds": {"held": 3, "converted": 2, "released": 1}});
    api.answer("GET /api/v1/events/e1/capacity", 200, capacity);
    let under = "/console/ticketing/events/e1";
    for (path, word, line) in [
        ("/console/ticketing/organisations", "wallet w9", "o1,Lumen,"),
        (
            "/console/ticketing/events?orgId=o1",
            "sold out",
            "e1,Night of <Lights>,sold_out,",
        ),
        (
            &*format!("{under}/orders"),
            "ana@example.org",
            "7K3QD-9M2XS,r1,confirmed,online,Ana,",
        ),
        (
            &format!("{under}/check-ins"),
            "duplicate",
            "c1,k1,gate-1,,in,admitted,ok,false,duplicate,",
        ),
        (
            &format!("{under}/sales?groupBy=type"),
            "Standing",
            "Standing,1234,2,90.00,EUR",
        ),
        (
            &format!("{under}/ticket-types"),
            "Standing",
            "t1,,Standing,50.00,EUR,2000,1234,3,763,open,many,",
        ),
    ] {
        let shown = browser.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text);
        assert!(shown.text.contains(word), "{path}: {word}: {}", shown.text);
        assert!(shown.text.contains("export=csv"), "{path}");
        let sign = if path.contains('?') { '&' } else { '?' };
        let file = browser.get(&format!("{path}{sign}export=csv")).await;
        assert!(
            file.header("content-type").starts_with("text/csv"),
            "{path}"
        );
        let found = file.text.lines().nth(1).unwrap_or_default();
        assert!(found.starts_with(line), "{path}: {found}");
    }
}
