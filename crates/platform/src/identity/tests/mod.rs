//! Identity as a whole, below HTTP.

mod credentials;
mod dev;
mod issuers;
mod people;
mod sharing;

use std::path::PathBuf;

use florin_base::Secret;
use florin_base::clock::ManualClock;
use http::{HeaderMap, HeaderValue};

use super::*;
use crate::http::auth::{Authentication, Authenticator as _};
use crate::http::client::{ClientConfig, Targets};
use crate::http::problem::Problem;

pub(super) const START: i64 = 1_800_000_000 * MICROS;
pub(super) const PASSWORD: &str = "correct horse battery";

/// An installation with a clock that stands still.
pub(super) struct House {
    pub service: AuthService,
    pub clock: Arc<ManualClock>,
    pub db: Db,
    pub dir: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl House {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let db = crate::testing::fresh_db().await;
        let mut settings = Settings {
            password: PasswordCost::WEAKEST,
            ..Settings::default()
        };
        change(&mut settings);
        let path = dir.path().to_owned();
        let service = open(settings, &clock, &db, &path).await;
        Self {
            service,
            clock,
            db,
            dir: path,
            _dir: Some(dir),
        }
    }

    /// Another process on the same store and directory.
    pub async fn neighbour(&self) -> AuthService {
        let db = crate::testing::neighbour(&self.db).await;
        open(self.service.settings.clone(), &self.clock, &db, &self.dir).await
    }

    pub async fn user(&self, name: &str, roles: &[&str]) -> User {
        let new = NewUser {
            id: None,
            user_name: name.to_owned(),
            password: Some(secret(PASSWORD)),
            display_name: None,
            roles: roles.iter().map(|role| role.to_string()).collect(),
            accounts: None,
        };
        self.service
            .create_user("test", new, None)
            .await
            .unwrap()
            .value
    }

    pub async fn log_in(&self, name: &str) -> Tokens {
        self.service.log_in(name, secret(PASSWORD)).await.unwrap()
    }

    /// Actions in the audit log, oldest first.
    pub async fn actions(&self) -> Vec<String> {
        let page = self
            .service
            .audit
            .page(&Default::default(), None, 500)
            .await
            .unwrap();
        page.into_iter().rev().map(|record| record.action).collect()
    }
}

async fn open(settings: Settings, clock: &Arc<ManualClock>, db: &Db, dir: &Path) -> AuthService {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let parts = Parts {
        settings,
        production: false,
        data_dir: dir,
        audit: AuditLog::open(db.clone(), Arc::clone(&clock))
            .await
            .unwrap(),
        db: db.clone(),
        clock,
        client: Outgoing::new(&ClientConfig::new(Targets::Any)).unwrap(),
    };
    AuthService::open(parts).await.unwrap()
}

pub(super) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// What the kit would learn about a request with this header.
pub(super) async fn caller(
    service: &AuthService,
    name: &'static str,
    value: &str,
) -> Result<Arc<Principal>, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    match service.authenticate(&headers, peer) {
        Authentication::Now(answer) => answer,
        Authentication::Later(answer) => answer.await,
    }
}

pub(super) async fn bearer(service: &AuthService, token: &str) -> Result<Arc<Principal>, Problem> {
    caller(service, "authorization", &format!("Bearer {token}")).await
}

/// Asserts the one answer that every bad credential gets.
pub(super) fn refused(answer: Result<Arc<Principal>, Problem>) {
    let problem = answer.expect_err("must be refused");
    assert_eq!(
        (problem.status().as_u16(), problem.code()),
        (401, "unauthenticated")
    );
}
