//! Users, log-ins and what cuts them off.

use super::*;
use crate::audit::Verdict;

async fn a_log_in_from_first_to_last() {
    let house = House::new().await;
    let user = house.user("Ana", &["user"]).await;
    assert_eq!(user.user_name, "ana");
    let first = house
        .service
        .log_in("  ANA ", secret(PASSWORD))
        .await
        .unwrap();
    assert_eq!(first.expires_in, 900);
    let principal = bearer(&house.service, first.access_token.expose())
        .await
        .unwrap();
    assert_eq!(*principal.subject, *user.id);
    assert_eq!(
        principal.permissions.names(),
        [
            "analytics:read@own",
            "checkins:read@own",
            "checkins:write@own",
            "devices:write@own",
            "events:write@own",
            "exports:write@own",
            "hooks:write@own",
            "orders:buy",
            "orders:read@own",
            "orders:refund@own",
            "orgs:create",
            "orgs:read@own",
            "orgs:write@own",
            "payouts:read@own",
            "payouts:write@own",
            "shadow:balance",
            "shadow:intake",
            "tickets:manage@own",
            "tickets:own",
            "wallets:read@own",
            "wallets:write@own"
        ]
    );

    let second = house.service.refresh(&first.refresh_token).await.unwrap();
    bearer(&house.service, second.access_token.expose())
        .await
        .unwrap();
    bearer(&house.service, first.access_token.expose())
        .await
        .unwrap();

    let mut headers = HeaderMap::new();
    let value = format!("Bearer {}", second.access_token.expose());
    headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
    let session = house.service.session_of(&headers).unwrap().unwrap();
    house.service.log_out(&session).await.unwrap();
    house.service.log_out(&session).await.unwrap();
    refused(bearer(&house.service, first.access_token.expose()).await);
    refused(bearer(&house.service, second.access_token.expose()).await);
    assert!(house.service.refresh(&second.refresh_token).await.is_err());
    assert_eq!(
        house.actions().await,
        ["user.created", "session.started", "session.ended"]
    );
    let verdict = house.service.audit.verify().await.unwrap();
    assert!(
        matches!(verdict, Verdict::Whole { entries: 3, .. }),
        "{verdict:?}"
    );
}

async fn a_reused_refresh_token_ends_the_family() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let (first, other) = (house.log_in("ana").await, house.log_in("ana").await);
    let second = house.service.refresh(&first.refresh_token).await.unwrap();
    bearer(&house.service, second.access_token.expose())
        .await
        .unwrap();

    let reused = house.service.refresh(&first.refresh_token).await;
    assert!(matches!(reused, Err(IdentityError::Unauthenticated(_))));
    refused(bearer(&house.service, second.access_token.expose()).await);
    assert!(house.service.refresh(&second.refresh_token).await.is_err());
    bearer(&house.service, other.access_token.expose())
        .await
        .unwrap();
    house.service.refresh(&other.refresh_token).await.unwrap();
    assert!(
        house
            .actions()
            .await
            .contains(&"session.refresh_reused".to_owned())
    );
}

async fn racing_refreshes_give_one_pair_and_end_the_log_in() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let first = house.log_in("ana").await;
    let token = &first.refresh_token;
    let (a, b) = tokio::join!(house.service.refresh(token), house.service.refresh(token));
    let winners: Vec<_> = [a, b].into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    refused(bearer(&house.service, winners[0].access_token.expose()).await);
}

async fn bad_names_and_passwords_look_alike() {
    let house = House::new().await;
    let user = house.user("ana", &["user"]).await;
    house.user("bob", &["user"]).await;
    let disable = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    house
        .service
        .change_user("test", &user.id, disable)
        .await
        .unwrap();
    let mut answers = Vec::new();
    for (name, password) in [
        ("ana", PASSWORD),
        ("bob", "wrong horse battery"),
        ("nobody", PASSWORD),
        ("no body!", PASSWORD),
        ("", ""),
    ] {
        let error = house
            .service
            .log_in(name, secret(password))
            .await
            .unwrap_err();
        let problem = Problem::from(error);
        answers.push((problem.status().as_u16(), problem.detail().to_owned()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 401);
}

async fn a_disabled_user_is_cut_off_at_once_everywhere() {
    let house = House::new().await;
    let user = house.user("ana", &["user"]).await;
    let tokens = house.log_in("ana").await;
    let neighbour = house.neighbour().await;
    bearer(&house.service, tokens.access_token.expose())
        .await
        .unwrap();
    bearer(&neighbour, tokens.access_token.expose())
        .await
        .unwrap();

    let disable = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    house
        .service
        .change_user("test", &user.id, disable)
        .await
        .unwrap();
    refused(bearer(&house.service, tokens.access_token.expose()).await);
    neighbour.pull_cuts().await.unwrap();
    refused(bearer(&neighbour, tokens.access_token.expose()).await);
    let late = house.neighbour().await;
    refused(bearer(&late, tokens.access_token.expose()).await);
    assert!(house.service.refresh(&tokens.refresh_token).await.is_err());

    let enable = UserChange {
        disabled: Some(false),
        ..UserChange::default()
    };
    house
        .service
        .change_user("test", &user.id, enable)
        .await
        .unwrap();
    refused(bearer(&house.service, tokens.access_token.expose()).await);
    let again = house.log_in("ana").await;
    bearer(&house.service, again.access_token.expose())
        .await
        .unwrap();
}

async fn other_roles_and_passwords_cut_what_was_issued_before() {
    let house = House::new().await;
    let user = house.user("ana", &["admin"]).await;
    let tokens = house.log_in("ana").await;
    let admin = bearer(&house.service, tokens.access_token.expose())
        .await
        .unwrap();
    assert!(admin.holds(USERS_MANAGE));
    let demote = UserChange {
        roles: Some(vec!["user".into()]),
        ..UserChange::default()
    };
    house
        .service
        .change_user("test", &user.id, demote)
        .await
        .unwrap();
    refused(bearer(&house.service, tokens.access_token.expose()).await);
    let tokens = house.service.refresh(&tokens.refresh_token).await.unwrap();
    let now = bearer(&house.service, tokens.access_token.expose())
        .await
        .unwrap();
    assert!(!now.holds(USERS_MANAGE));

    house
        .service
        .set_password("test", &user.id, secret("another long password"))
        .await
        .unwrap();
    refused(bearer(&house.service, tokens.access_token.expose()).await);
    assert!(house.service.refresh(&tokens.refresh_token).await.is_err());
    assert!(house.service.log_in("ana", secret(PASSWORD)).await.is_err());
    house
        .service
        .log_in("ana", secret("another long password"))
        .await
        .unwrap();
}

async fn creating_is_idempotent_and_unique() {
    let house = House::new().await;
    let new = |name: &str, roles: &[&str]| NewUser {
        id: None,
        user_name: name.to_owned(),
        password: None,
        display_name: None,
        roles: roles.iter().map(|role| role.to_string()).collect(),
        accounts: None,
    };
    let create = |new, key| house.service.create_user("admin1", new, key);
    let first = create(new("ana", &["user"]), Some("k1")).await.unwrap();
    let again = create(new("Ana", &["user"]), Some("k1")).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.value, again.value);
    let other = create(new("ana", &["admin"]), Some("k1"))
        .await
        .unwrap_err();
    assert!(matches!(other, IdentityError::IdempotencyConflict(field) if field == "roles"));
    let taken = create(new("ANA", &["user"]), None).await.unwrap_err();
    assert!(matches!(taken, IdentityError::UserExists));
    let taken = create(new("ANA", &["user"]), Some("k2")).await.unwrap_err();
    assert!(matches!(taken, IdentityError::UserExists));
    create(new("bob", &["user"]), Some("k2")).await.unwrap();
    for (name, roles) in [("", &["user"][..]), ("a b", &["user"]), ("cleo", &["king"])] {
        let refused = create(new(name, roles), None).await.unwrap_err();
        assert!(matches!(refused, IdentityError::Invalid { .. }), "{name}");
    }
    let all = house
        .service
        .users(&UserFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(all.len(), 2);
    let bob = house.service.user_by_name("BOB").await.unwrap();
    assert!(all.contains(&bob) && bob.user_name == "bob");
}

async fn sign_up_only_where_it_is_open() {
    let house = House::with(|settings| settings.signup = Some(Signup::Closed)).await;
    let closed = house
        .service
        .sign_up("eve".into(), secret(PASSWORD), None)
        .await;
    assert!(matches!(closed, Err(IdentityError::SignupClosed)));
    let house = House::with(|settings| settings.signup = Some(Signup::Open)).await;
    let open = house
        .service
        .sign_up("eve".into(), secret(PASSWORD), None)
        .await;
    let (user, tokens) = open.unwrap();
    assert_eq!(user.roles, ["user"]);
    bearer(&house.service, tokens.access_token.expose())
        .await
        .unwrap();
}

async fn what_has_expired_is_thrown_away() {
    let house = House::new().await;
    house.user("ana", &["user"]).await;
    let tokens = house.log_in("ana").await;
    house.clock.advance(29 * 86_400 * MICROS);
    house.service.housekeeping().await.unwrap();
    let tokens = house.service.refresh(&tokens.refresh_token).await.unwrap();
    house.clock.advance(30 * 86_400 * MICROS);
    assert!(
        house.service.refresh(&tokens.refresh_token).await.is_err(),
        "30 days old"
    );
    house.clock.advance(32 * 86_400 * MICROS);
    house.service.housekeeping().await.unwrap();
    for table in ["SELECT 1 FROM sessions", "SELECT 1 FROM refresh_tokens"] {
        assert!(
            house.db.fetch_all(query(table)).await.unwrap().is_empty(),
            "{table}"
        );
    }
}

crate::testing::conformance! {
    a_log_in_from_first_to_last,
    a_reused_refresh_token_ends_the_family,
    racing_refreshes_give_one_pair_and_end_the_log_in,
    bad_names_and_passwords_look_alike,
    a_disabled_user_is_cut_off_at_once_everywhere,
    other_roles_and_passwords_cut_what_was_issued_before,
    creating_is_idempotent_and_unique,
    sign_up_only_where_it_is_open,
    what_has_expired_is_thrown_away,
}
