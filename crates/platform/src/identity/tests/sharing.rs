//! Identity in two processes on one store.

use super::*;
use crate::cache::{Cache, CacheSettings};
use crate::testing::redis::TestRedis;

fn new_key() -> NewApiKey {
    NewApiKey {
        name: "till".into(),
        user_id: None,
        roles: vec!["service".into()],
        scopes: None,
        expires_at: None,
        accounts: None,
    }
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        id: None,
        user_name: name.to_owned(),
        password: None,
        display_name: None,
        roles: vec!["user".to_owned()],
        accounts: None,
    }
}

async fn by_key(service: &AuthService, text: &str) -> Result<Arc<Principal>, Problem> {
    caller(service, "x-api-key", text).await
}

async fn a_refresh_token_used_in_two_processes_ends_the_log_in() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let neighbour = house.neighbour().await;
    for _ in 0..5 {
        let first = house.log_in("ana").await;
        let token = &first.refresh_token;
        let (a, b) = tokio::join!(house.service.refresh(token), neighbour.refresh(token));
        let won: Vec<Tokens> = [a, b].into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "one pair of tokens");
        for service in [&house.service, &neighbour] {
            service.pull_cuts().await.unwrap();
            refused(bearer(service, won[0].access_token.expose()).await);
            let again = service.refresh(&won[0].refresh_token).await;
            assert!(matches!(again, Err(IdentityError::Unauthenticated(_))));
        }
    }
    assert!(matches!(
        house.service.audit.verify().await.unwrap(),
        crate::audit::Verdict::Whole { .. }
    ));
}

async fn one_idempotency_key_makes_one_thing_in_two_processes() {
    let house = House::new().await;
    let neighbour = house.neighbour().await;
    for round in 0..5 {
        let key = format!("k{round}");
        let (here, there) = tokio::join!(
            house.service.create_key("admin1", new_key(), Some(&key)),
            neighbour.create_key("admin1", new_key(), Some(&key))
        );
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_ne!(here.replayed, there.replayed);
        assert_eq!(here.value.0.id, there.value.0.id);
        assert_ne!(
            here.value.1.is_some(),
            there.value.1.is_some(),
            "the text is shown once"
        );
    }
    let all = house.service.keys(None, None, 100).await.unwrap();
    assert_eq!(all.len(), 5);
}

async fn a_name_is_taken_once_in_two_processes() {
    let house = House::new().await;
    let neighbour = house.neighbour().await;
    for round in 0..5 {
        let name = format!("ana{round}");
        let made = tokio::join!(
            house.service.create_user("admin1", new_user(&name), None),
            neighbour.create_user("admin1", new_user(&name), None)
        );
        match made {
            (Ok(_), Err(IdentityError::UserExists)) | (Err(IdentityError::UserExists), Ok(_)) => {}
            both => panic!("{both:?}"),
        }
    }
}

async fn no_change_of_a_user_is_lost_between_processes() {
    let house = House::new().await;
    let ana = house.user("ana", &["user"]).await;
    let neighbour = house.neighbour().await;
    let change = |roles: &[&str]| UserChange {
        roles: Some(roles.iter().map(|role| role.to_string()).collect()),
        ..UserChange::default()
    };
    let mut epoch = 0;
    for _ in 0..5 {
        let (here, there) = tokio::join!(
            house
                .service
                .change_user("a", &ana.id, change(&["operator"])),
            neighbour.change_user("b", &ana.id, change(&["auditor"]))
        );
        let epochs = [here.unwrap().epoch, there.unwrap().epoch];
        assert!(epochs[0] != epochs[1] || epochs[0] == epoch, "{epochs:?}");
        epoch = house.service.user(&ana.id).await.unwrap().epoch;
        assert_eq!(epoch, epochs[0].max(epochs[1]));
    }
}

/// Rows of two writers must not appear behind the place up to which a reader has read.
async fn a_reader_misses_no_cut_of_two_writers() {
    let house = House::new().await;
    let (one, reader) = (house.neighbour().await, house.neighbour().await);
    let mut texts = Vec::new();
    for _ in 0..20 {
        let made = house.service.create_key("admin1", new_key(), None).await;
        let (key, text) = made.unwrap().value;
        let text = text.expect("new").expose().clone();
        by_key(&reader, &text).await.unwrap();
        texts.push((key.id, text));
    }
    let revoke = async |service: &AuthService, odd: usize| {
        for (id, _) in texts.iter().skip(odd).step_by(2) {
            service.revoke_key("admin1", id).await.unwrap();
        }
    };
    let done = std::cell::Cell::new(false);
    let revoking = async {
        tokio::join!(revoke(&house.service, 0), revoke(&one, 1));
        done.set(true);
    };
    let reading = async {
        while !done.get() {
            reader.pull_cuts().await.unwrap();
        }
        reader.pull_cuts().await.unwrap();
    };
    tokio::join!(revoking, reading);
    for (_, text) in &texts {
        refused(by_key(&reader, text).await);
    }
}

async fn a_process_that_cannot_read_cuts_recognises_nobody() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let tokens = house.log_in("ana").await;
    let token = tokens.access_token.expose();
    bearer(&house.service, token).await.unwrap();
    let long_ago = Instant::now().checked_sub(BLIND_MAX + Duration::from_millis(1));
    *house.service.pulled.lock() = long_ago.expect("the machine has run for a while");
    let answer = bearer(&house.service, token).await;
    match house.db.is_shared() {
        true => assert_eq!(answer.unwrap_err().code(), "store_unavailable"),
        false => drop(answer.expect("there is nobody else to cut")),
    }
    house.service.pull_cuts().await.unwrap();
    bearer(&house.service, token).await.unwrap();
}

/// With news over Redis the time between two looks does not matter, and without them it does.
async fn a_revocation_is_heard_of_by_news() {
    let Some(server) = TestRedis::start() else {
        return;
    };
    let house = House::new().await;
    let caches = [0, 1].map(|_| {
        let settings = CacheSettings {
            url: Secret::new(server.url()),
            prefix: "test".to_owned(),
        };
        Cache::redis(&settings).unwrap()
    });
    let teller = house.neighbour().await;
    let teller = teller.with_signals(caches[0].signals(CUTS_TOPIC));
    let mut hearer = house.neighbour().await;
    hearer.pull_every = Duration::from_secs(3_600);
    let hearer = Arc::new(hearer.with_signals(caches[1].signals(CUTS_TOPIC)));
    let mut running = tokio::task::JoinSet::new();
    for cache in caches {
        running.spawn(cache.run());
    }
    running.spawn({
        let hearer = Arc::clone(&hearer);
        async move { hearer.follow().await }
    });
    for _ in 0..3 {
        let made = teller.create_key("admin1", new_key(), None).await;
        let (key, text) = made.unwrap().value;
        let text = text.expect("new").expose().clone();
        by_key(&hearer, &text).await.unwrap();
        teller.revoke_key("admin1", &key.id).await.unwrap();
        let heard = async {
            while by_key(&hearer, &text).await.is_ok() {
                // The first news may be told before the connection stands.
                teller.signals.tell();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
        heard.expect("heard long before the next look");
    }
}

crate::testing::conformance! {
    a_refresh_token_used_in_two_processes_ends_the_log_in,
    one_idempotency_key_makes_one_thing_in_two_processes,
    a_name_is_taken_once_in_two_processes,
    no_change_of_a_user_is_lost_between_processes,
    a_reader_misses_no_cut_of_two_writers,
    a_process_that_cannot_read_cuts_recognises_nobody,
    a_revocation_is_heard_of_by_news,
}
