//! Who may do what in which organisation (contract A1): rows of other organisations answer 404,
//! a member without the permission gets 403.

use florin_platform::http::auth::{Permission, Principal, Reach};
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Row, query};

use super::permission as p;
use crate::Ticketing;

/// Role of a member in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs it.
    Organizer,
    /// Scans tickets, of all events or of listed ones.
    Scanner,
    /// Helps buyers.
    Support,
}

impl Role {
    /// The word in tables and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Organizer => "organizer",
            Self::Scanner => "scanner",
            Self::Support => "support",
        }
    }

    /// The role of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Organizer, Self::Scanner, Self::Support]
            .into_iter()
            .find(|role| role.word() == word)
    }

    /// What the role allows inside its organisation.
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Organizer => &[
                p::ORGS_READ,
                p::ORGS_WRITE,
                p::EVENTS_WRITE,
                p::ORDERS_READ,
                p::ORDERS_REFUND,
                p::TICKETS_MANAGE,
                p::CHECKINS_READ,
                p::CHECKINS_WRITE,
                p::DEVICES_WRITE,
                p::PAYOUTS_READ,
                p::PAYOUTS_WRITE,
                p::ANALYTICS_READ,
                p::EXPORTS_WRITE,
                p::HOOKS_WRITE,
            ],
            Self::Scanner => &[p::CHECKINS_READ, p::CHECKINS_WRITE],
            Self::Support => &[
                p::ORDERS_READ,
                p::TICKETS_MANAGE,
                p::CHECKINS_READ,
                p::ORDERS_REFUND,
            ],
        }
    }
}

/// By what right a caller acts in an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// A platform role holds the permission everywhere; `support`: refunds are bounded.
    Platform {
        /// It is not an admin's.
        support: bool,
    },
    /// Membership with this role.
    Member(Role),
}

impl Right {
    /// Refunds go up to `supportRefundLimit` only.
    pub fn is_support(&self) -> bool {
        matches!(
            self,
            Self::Platform { support: true } | Self::Member(Role::Support)
        )
    }
}

/// What a caller is in an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Membership {
    role: Role,
    /// Only these events.
    events: Option<Vec<String>>,
}

fn membership(row: &Row) -> Result<Membership, Problem> {
    let word: String = row.get("role")?;
    let events: Option<String> = row.get("event_ids")?;
    Ok(Membership {
        role: Role::from_word(&word).ok_or_else(|| Problem::internal("role of a member"))?,
        events: events
            .map(|text| serde_json::from_str(&text).map_err(Problem::internal))
            .transpose()?,
    })
}

async fn memberships(
    room: &Ticketing,
    caller: &Principal,
    org_id: &str,
) -> Result<Vec<Membership>, Problem> {
    let text = "SELECT role, event_ids FROM tk_members WHERE org_id = $1
        AND (subject = $2 OR (subject = $3 AND by_mail = $4))";
    let statement = query(text)
        .bind(org_id)
        .bind(&*caller.subject)
        .bind(crate::model::buyer::fold_mail(&caller.subject))
        .bind(true);
    let rows = room.store.db.fetch_all(statement).await?;
    rows.iter().map(membership).collect()
}

/// The caller's right to do something in an organisation, or for one event of it.
///
/// # Errors
/// 404 with `absent` for strangers, 403 `forbidden` for members without the permission, the
/// store's.
pub async fn in_org(
    room: &Ticketing,
    caller: &Principal,
    org_id: &str,
    event_id: Option<&str>,
    permission: Permission,
    absent: fn() -> Problem,
) -> Result<Right, Problem> {
    let reach = caller.permissions.reach(permission);
    if reach == Some(Reach::All) {
        let support = !caller.permissions.holds(p::TICKETING_ADMIN);
        return Ok(Right::Platform { support });
    }
    let mine = memberships(room, caller, org_id).await?;
    if mine.is_empty() {
        return Err(absent());
    }
    let fits = |member: &&Membership| {
        let here = match (&member.events, event_id) {
            (None, _) => true,
            (Some(listed), Some(event)) => listed.iter().any(|id| id == event),
            (Some(_), None) => false,
        };
        here && member.role.permissions().contains(&permission)
    };
    // The strongest role counts, and the credential must carry the permission too.
    let best = mine
        .iter()
        .filter(fits)
        .min_by_key(|member| member.role == Role::Support);
    match (best, reach) {
        (Some(member), Some(Reach::Own)) => Ok(Right::Member(member.role)),
        _ => Err(Problem::forbidden(permission.as_str())),
    }
}

/// The caller is a member of the organisation, or a platform role reads it.
///
/// # Errors
/// The store's.
pub async fn is_member(
    room: &Ticketing,
    caller: &Principal,
    org_id: &str,
) -> Result<bool, Problem> {
    let platform = caller.permissions.reach(p::ORGS_READ) == Some(Reach::All);
    Ok(platform || !memberships(room, caller, org_id).await?.is_empty())
}
