//! Who visits, and what he may: as the API says, for what a page offers. What works is decided by
//! the API when it is asked.

use http::StatusCode;

use crate::api::{ApiError, Client, items, text};
use crate::reply::Failure;

/// Who the visitor is, as the API says (`GET /api/v1/auth/me`).
#[derive(Debug, Clone, Default)]
pub struct Me {
    /// Name for people.
    pub name: String,
    /// What owners of wallets are compared with.
    pub user_id: String,
    /// Names of the roles.
    pub roles: Vec<String>,
    /// What they allow.
    permissions: Vec<String>,
    /// Where no role `gateway` runs nobody says what is allowed: everything is offered then.
    unknown: bool,
}

impl Me {
    /// Holds the permission, with any reach.
    pub fn may(&self, permission: &str) -> bool {
        self.unknown
            || self.permissions.iter().any(|held| {
                held.strip_prefix(permission)
                    .is_some_and(|rest| rest.is_empty() || rest == "@own")
            })
    }

    /// Holds the permission for everybody's objects.
    pub fn may_all(&self, permission: &str) -> bool {
        self.unknown || self.permissions.iter().any(|held| held == permission)
    }
}

/// Asks the API who holds the token.
pub(super) async fn me(api: &Client) -> Result<Me, Failure> {
    let me = match api.get("/api/v1/auth/me").json().await {
        Ok(me) => me,
        // The role that knows may be away; the pages of the others still work.
        Err(ApiError::Refused(refusal)) if refusal.status != StatusCode::UNAUTHORIZED => {
            return Ok(Me {
                unknown: true,
                ..Me::default()
            });
        }
        Err(error) => return Err(error.into()),
    };
    let list = |member| items(&me, member).iter().filter_map(|one| one.as_str());
    let names = ["displayName", "userName", "subject"];
    let names = names.map(|member| text(&me, member));
    let name = names.into_iter().find(|name| !name.is_empty());
    Ok(Me {
        name: name.unwrap_or_default().to_owned(),
        user_id: text(&me, "userId").to_owned(),
        roles: list("roles").map(str::to_owned).collect(),
        permissions: list("permissions").map(str::to_owned).collect(),
        unknown: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_compared_whole() {
        let me = Me {
            permissions: vec!["wallets:read@own".into(), "ledger:read".into()],
            ..Me::default()
        };
        assert!(me.may("wallets:read") && !me.may_all("wallets:read"));
        assert!(me.may_all("ledger:read"));
        assert!(!me.may("ledger:rea") && !me.may("wallets:write"));
    }
}
