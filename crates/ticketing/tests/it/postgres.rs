//! The same on PostgreSQL, where it is installed.

use std::path::Path;

use florin_platform::testing::mirrored::{same_names, same_tables};
use florin_platform::testing::on;
use florin_platform::testing::postgres::TestPostgres;
use serde_json::json;

use crate::stage::{GUEST, OLGA, Stage};

fn migrations() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
}

#[test]
fn migrations_are_mirrored() {
    same_names(migrations());
}

#[tokio::test]
async fn events_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    same_tables(&server, migrations()).await;
    on(&server, async {
        let stage = Stage::new().await;
        let gig = stage
            .event_with(json!({"title": "Été du Jazz", "capacity": 5}), json!({"quantity": null}))
            .await;
        let found = stage.get(GUEST, "/api/v1/events?q=ete+jaz&priceMin=1").await.ok(200);
        assert_eq!(found.items()[0]["id"], json!(gig.event));
        let capacity = format!("/api/v1/events/{}/capacity", gig.event);
        let capacity = stage.get(OLGA, &capacity).await.ok(200);
        assert_eq!(capacity.body["types"][0]["available"], 5);
        let path = format!("/api/v1/events/{}", gig.event);
        let change = json!({"capacity": 4, "title": "Jazz"});
        assert_eq!(stage.patch(OLGA, &path, change).await.ok(200).body["capacity"], 4);
        let reason = json!({"reason": "Rain"});
        stage.post(OLGA, &format!("{path}/postpone"), reason).await.ok(200);
        let dates = json!({"startsAt": stage.at(60 * 86_400_000_000), "endsAt": stage.at(61 * 86_400_000_000)});
        stage.post(OLGA, &format!("{path}/reschedule"), dates).await.ok(200);
        let codes = format!("{path}/promo-codes");
        let code = json!({"code": "TEN", "kind": "percent", "bp": 1000});
        stage.post(OLGA, &codes, code).await.ok(201);
        assert_eq!(stage.get(OLGA, &codes).await.ok(200).items().len(), 1);
    })
    .await;
}
