//! Webhooks in two processes on one store.

use super::*;
use crate::testing::neighbour;

/// Another process, with a clock of its own.
async fn other_process(rig: &Rig) -> Rig {
    let db = neighbour(&rig.db).await;
    let clock = Arc::new(ManualClock::new(rig.clock.wall_micros()));
    let hooks = open(&db, clock.clone(), Targets::Any).await;
    Rig { hooks, clock, db }
}

async fn a_delivery_is_sent_by_one_worker() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    let other = other_process(&rig).await;
    let events: Vec<Event> = (0..40)
        .map(|n| event(&format!("e{n:02}"), &format!("w{}", n % 10), 101 + n))
        .collect();
    rig.give(&events).await;
    let (here, there) = tokio::join!(rig.deliver(), other.deliver());
    assert_eq!(here + there, 40);
    let mut ids = receiver.ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    assert_eq!(receiver.ids().len(), 40, "nothing came twice");
    let states = rig.states(&endpoint).await;
    assert!(
        states
            .iter()
            .all(|(_, state, tries)| (*state, *tries) == (State::Accepted, 1)),
        "{states:?}"
    );
}

/// A claim is all that is left of a worker that died.
async fn what_a_dead_worker_had_claimed_is_sent_by_another() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    let other = other_process(&rig).await;
    rig.give(&[event("e1", "w1", 101), event("e2", "w1", 102)])
        .await;
    let claim = i64::try_from(CLAIM.as_micros()).expect("fits");
    let taken = store::claim(&rig.hooks.inner.db, &endpoint.id, START, START + claim, 8).await;
    let (_, taken) = taken.expect("reads").expect("enabled");
    assert_eq!(taken.len(), 1, "the second of the wallet waits");
    other.clock.advance(claim - 1);
    assert_eq!(other.deliver().await, 0, "it may still be alive");
    other.clock.advance(1);
    assert_eq!(other.deliver().await, 2);
    // The first one was alive after all, and comes late with a refusal.
    let late = model::Try {
        number: 1,
        at: START,
        status: Some(500),
        error: None,
        duration_ms: 1,
    };
    let now = other.clock.wall_micros();
    let verdict = store::Verdict::Again(now);
    let db = &rig.hooks.inner.db;
    let recorded = store::record(db, &endpoint.id, &taken[0], &late, verdict, now);
    recorded.await.expect("recorded");
    assert_eq!(other.deliver().await, 0);
    let states = rig.states(&endpoint).await;
    assert!(
        states.iter().all(|state| state.1 == State::Accepted),
        "{states:?}"
    );
    assert_eq!(receiver.ids(), ["e1", "e2"]);
}

/// The reader of the feed and the server that registers are different processes.
async fn an_endpoint_added_elsewhere_gets_what_comes_after_it() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let other = other_process(&rig).await;
    assert_eq!(other.hooks.is_idle(), !rig.db.is_shared());
    let endpoint = rig.add(&receiver.url, None, None).await;
    if rig.db.is_shared() {
        // `head` says 100: what lies behind it is new to the endpoint.
        assert!(!other.give(&[event("old", "w1", 100)]).await);
        assert!(other.give(&[event("new", "w1", 101)]).await);
        assert_eq!(other.deliver().await, 1);
        assert_eq!(receiver.ids(), ["new"]);
        store::disable(&other.hooks.inner.db, &endpoint.id, "test", START)
            .await
            .expect("disabled");
        assert!(!rig.give(&[event("later", "w1", 102)]).await);
    }
}

async fn places_of_two_processes_keep_the_order_of_events() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let endpoint = rig.add(&receiver.url, None, None).await;
    let other = other_process(&rig).await;
    other.hooks.reload().await.expect("reads");
    for n in 0..6 {
        let by = if n % 2 == 0 { &rig } else { &other };
        by.give(&[event(&format!("e{n}"), "w1", 101 + n)]).await;
    }
    let deliveries = store::list(&rig.db, &endpoint.id, None, i64::MAX, 100).await;
    let places: Vec<i64> = deliveries.expect("reads").iter().map(|d| d.place).collect();
    assert_eq!(places, [6, 5, 4, 3, 2, 1]);
    assert_eq!(rig.deliver().await, 6);
    assert_eq!(receiver.ids(), ["e0", "e1", "e2", "e3", "e4", "e5"]);
}

async fn racing_registrations_with_one_key_make_one_endpoint() {
    let (rig, receiver) = (rig().await, Receiver::start().await);
    let other = other_process(&rig).await;
    let endpoint = |rig: &Rig| Endpoint {
        id: rig.hooks.new_id(),
        url: receiver.url.as_str().into(),
        events: None,
        key: None,
        secret: SigningSecret::generate(),
        previous: None,
        disabled: None,
        since_seq: 0,
        created_at: START,
    };
    let identity = Some(("svc", "key"));
    let (here, there) = tokio::join!(
        rig.hooks.register(endpoint(&rig), identity),
        other.hooks.register(endpoint(&other), identity)
    );
    use super::super::service::Registered::{Known, New};
    let (new, known) = match (here.expect("registered"), there.expect("registered")) {
        (New(new), Known(known)) | (Known(known), New(new)) => (new, known),
        both => panic!("{both:?}"),
    };
    assert_eq!(new.id, known.id);
    assert_eq!(store::endpoints(&rig.db).await.expect("reads").len(), 1);
}

crate::testing::conformance! {
    a_delivery_is_sent_by_one_worker,
    what_a_dead_worker_had_claimed_is_sent_by_another,
    an_endpoint_added_elsewhere_gets_what_comes_after_it,
    places_of_two_processes_keep_the_order_of_events,
    racing_registrations_with_one_key_make_one_endpoint,
}
