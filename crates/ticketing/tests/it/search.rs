//! Events found by words, places, dates and prices (contract A6).

use serde_json::json;

use crate::events::event_path;
use crate::stage::{DAY, GUEST, OLGA, Stage};

#[tokio::test]
async fn search_finds_words_places_and_prices() {
    let stage = Stage::new().await;
    let jazz = stage
        .event_with(
            json!({"title": "Été du Jazz", "tags": ["swing"], "description": "With a big band"}),
            json!({"price": "80.00"}),
        )
        .await;
    let rock = stage
        .event_with(
            json!({"title": "Rock night", "category": "arts", "description": "No jazz at all",
                   "venue": {"name": "Olympia", "address": "Boulevard 28", "city": "Paris",
                             "country": "FR", "lat": 48.8566, "lng": 2.3522}}),
            json!({"price": "20.00"}),
        )
        .await;
    let found = |query: &str| {
        let path = format!("/api/v1/events?{query}");
        let stage = &stage;
        async move {
            let reply = stage.get(GUEST, &path).await.ok(200);
            let ids = reply
                .items()
                .iter()
                .map(|event| event["id"].as_str().expect("id").to_owned());
            ids.collect::<Vec<_>>()
        }
    };
    let (jazz, rock) = (jazz.event, rock.event);
    // The title weighs more than the description.
    assert_eq!(found("q=JAZZ").await, [jazz.clone(), rock.clone()]);
    assert_eq!(found("q=ete+swi").await, std::slice::from_ref(&jazz));
    assert_eq!(found("q=jazz+paris").await, std::slice::from_ref(&rock));
    assert!(found("q=jazz+london").await.is_empty());
    assert_eq!(found("category=arts").await, std::slice::from_ref(&rock));
    assert_eq!(found("city=PARIS").await, std::slice::from_ref(&rock));
    assert_eq!(found("country=DE").await, std::slice::from_ref(&jazz));
    assert_eq!(found("priceMax=20").await, std::slice::from_ref(&rock));
    assert_eq!(found("priceMin=20.01").await, std::slice::from_ref(&jazz));
    let near = found("lat=48.86&lng=2.35&radiusKm=5").await;
    assert_eq!(near, std::slice::from_ref(&rock));
    let wide = found("lat=48.86&lng=2.35&radiusKm=500&sort=distance").await;
    assert_eq!(wide, std::slice::from_ref(&rock));
    let to = stage.at(29 * DAY);
    assert!(found(&format!("to={to}")).await.is_empty());
    // A change is found at once, a draft never.
    let body = json!({"title": "Metal night"});
    stage.patch(OLGA, &event_path(&rock), body).await.ok(200);
    assert!(found("q=rock").await.is_empty());
    assert_eq!(found("q=metal").await, [rock]);
    for bad in [
        "sort=distance",
        "lat=1",
        "radiusKm=501",
        "status=draft",
        "q=4242424242424242",
    ] {
        let reply = stage.get(GUEST, &format!("/api/v1/events?{bad}")).await;
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text);
    }
}

#[tokio::test]
async fn row_59_a_search_crosses_the_180_degree_line() {
    let stage = Stage::new().await;
    let venue = json!({"name": "Atoll", "address": "1", "city": "Far", "country": "FJ",
                       "lat": 0, "lng": -179.9});
    let gig = stage.event_with(json!({"venue": venue}), json!({})).await;
    let path = "/api/v1/events?lat=0&lng=179.9&radiusKm=25";
    let found = stage.get(GUEST, path).await.ok(200);
    assert_eq!(found.items()[0]["id"], json!(gig.event));
    let km = found.items()[0]["distanceKm"].as_f64().expect("a distance");
    assert!((22.2..22.3).contains(&km), "{km}");
}

#[tokio::test]
async fn pages_of_a_search_hold_each_event_once() {
    let stage = Stage::new().await;
    let org = stage.org().await;
    let mut all = Vec::new();
    for n in 0..5 {
        let more = json!({"title": format!("Concert number {n}")});
        let event = stage.draft(&org, more).await;
        stage.kind(&event, json!({})).await;
        stage.publish(&event).await.ok(200);
        all.push(event);
    }
    for sort in ["startsAt", "relevance"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/events?q=concert&limit=2&sort={sort}&cursor={cursor}");
            let page = stage.get(GUEST, &path).await.ok(200);
            seen.extend(
                page.items()
                    .iter()
                    .map(|event| event["id"].as_str().expect("id").to_owned()),
            );
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        seen.sort();
        all.sort();
        assert_eq!(seen, all, "{sort}");
    }
}
