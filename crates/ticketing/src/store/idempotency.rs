//! Answers kept under an `Idempotency-Key`, in the transaction of their effect
//! (contracts/README.md, "idempotency").
//!
//! Of a request only keyed digests of its members are kept, enough to name the first that
//! differs; the answer is sealed under the key of the person it tells about.

use std::collections::BTreeMap;

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Arg, Query, Row, Tx, query};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bulk::{self, Marks};
use crate::room::Secrets;

/// A request that must have one effect however often it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Once {
    scope: String,
    key: String,
    members: BTreeMap<String, String>,
}

/// The answer of the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its status.
    pub status: u16,
    /// Its `Location`, if it had one.
    pub location: Option<String>,
    /// Person under whose key the body is sealed.
    pub person: Option<String>,
    /// Its body: JSON text, or that text sealed under the person's key.
    pub body: Vec<u8>,
}

impl Once {
    /// `scope` names route and caller (`orders:sub:ana`); the body is that of the request as JSON.
    pub fn new(secrets: &Secrets, scope: impl Into<String>, key: &str, body: &Value) -> Self {
        let mut members = BTreeMap::new();
        flatten("", body, &mut |path, text| {
            let digest = secrets.digest("idempotency", text.as_bytes());
            members.insert(path.to_owned(), hex::encode(&digest[..8]));
        });
        Self {
            scope: scope.into(),
            key: key.to_owned(),
            members,
        }
    }

    /// The answer of the first time, if there was one.
    ///
    /// # Errors
    /// 409 `idempotency_conflict` naming the first member that differs; the store's.
    pub async fn replay(&self, tx: &mut Tx) -> Result<Option<Kept>, Problem> {
        let text = "SELECT members, status, location, person_id, body FROM tk_idempotency
            WHERE scope = $1 AND key = $2";
        let statement = query(text).bind(&self.scope).bind(&self.key);
        let Some(row) = tx.fetch_optional(statement).await? else {
            return Ok(None);
        };
        self.kept(&row).map(Some)
    }

    /// Scope and key: equal ones are the same request.
    pub fn identity(&self) -> (&str, &str) {
        (&self.scope, &self.key)
    }

    /// 409 unless the other request of the same identity has the same members.
    ///
    /// # Errors
    /// 409 `idempotency_conflict` naming the first member that differs.
    pub fn same(&self, other: &Self) -> Result<(), Problem> {
        match self.difference(&other.members) {
            Some(field) => Err(conflict(&field)),
            None => Ok(()),
        }
    }

    /// [`Once::replay`] for many requests at a time, in their order.
    ///
    /// # Errors
    /// The store's; a conflict stands in the place of its request.
    pub async fn replay_all(
        tx: &mut Tx,
        marks: Marks,
        all: &[&Self],
    ) -> Result<Vec<Result<Option<Kept>, Problem>>, Problem> {
        let mut keys: Vec<&str> = all.iter().map(|once| &*once.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let prefix = "SELECT scope, key, members, status, location, person_id, body
            FROM tk_idempotency WHERE key IN";
        let keys = keys.into_iter().map(Arg::from).collect();
        let rows = bulk::select(tx, marks, prefix, "", &[], keys).await?;
        let mut known = BTreeMap::new();
        for row in &rows {
            let identity: (String, String) = (row.get("scope")?, row.get("key")?);
            known.insert(identity, row);
        }
        let mut found = Vec::with_capacity(all.len());
        for once in all {
            let identity = (once.scope.clone(), once.key.clone());
            found.push(match known.get(&identity) {
                None => Ok(None),
                Some(row) => once.kept(row).map(Some),
            });
        }
        Ok(found)
    }

    fn kept(&self, row: &Row) -> Result<Kept, Problem> {
        let known: BTreeMap<String, String> =
            serde_json::from_str(&row.get::<String>("members")?).map_err(Problem::internal)?;
        if let Some(field) = self.difference(&known) {
            return Err(conflict(&field));
        }
        Ok(Kept {
            status: u16::try_from(row.get::<i64>("status")?).unwrap_or(200),
            location: row.get("location")?,
            person: row.get("person_id")?,
            body: row.get("body")?,
        })
    }

    /// The row that keeps an answer, for [`Once::INSERT`].
    pub fn row(&self, kept: &Kept, now: i64) -> Vec<Arg> {
        let members = serde_json::to_string(&self.members).unwrap_or_default();
        vec![
            Arg::from(&self.scope),
            Arg::from(&self.key),
            Arg::from(members),
            Arg::from(i64::from(kept.status)),
            Arg::from(kept.location.clone()),
            Arg::from(kept.person.clone()),
            Arg::from(kept.body.clone()),
            Arg::from(now),
        ]
    }

    /// What stands before the rows of [`Once::row`].
    pub const INSERT: &str = "INSERT INTO tk_idempotency
        (scope, key, members, status, location, person_id, body, created_at)";

    /// Keeps the answer, in the transaction of the effect.
    ///
    /// # Errors
    /// 503 when the same key is at work elsewhere at this moment; the store's.
    pub async fn keep(&self, tx: &mut Tx, kept: &Kept, now: i64) -> Result<(), Problem> {
        let text = format!(
            "{} VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            Self::INSERT
        );
        let values = self.row(kept, now).into_iter();
        let statement = values.fold(Query::assembled(text), Query::bind);
        all_kept(tx.execute(statement).await?, 1)
    }

    /// [`Once::keep`] for many requests at a time.
    ///
    /// # Errors
    /// 503 when one of the keys is at work elsewhere at this moment, or stands there twice; the
    /// store's.
    pub async fn keep_all(
        tx: &mut Tx,
        marks: Marks,
        all: &[(&Self, Kept)],
        now: i64,
    ) -> Result<(), Problem> {
        let rows = all.iter().map(|(once, kept)| once.row(kept, now)).collect();
        let kept = bulk::insert(tx, marks, Self::INSERT, "ON CONFLICT DO NOTHING", rows).await?;
        all_kept(kept, all.len())
    }

    fn difference(&self, known: &BTreeMap<String, String>) -> Option<String> {
        let changed = self
            .members
            .iter()
            .find(|(path, digest)| known.get(*path) != Some(digest));
        let missing = known.keys().find(|path| !self.members.contains_key(*path));
        match (changed, missing) {
            (Some((path, _)), Some(gone)) => Some(path.min(gone).clone()),
            (Some((path, _)), None) => Some(path.clone()),
            (None, gone) => gone.cloned(),
        }
    }
}

fn all_kept(rows: u64, answers: usize) -> Result<(), Problem> {
    match usize::try_from(rows) == Ok(answers) {
        true => Ok(()),
        false => Err(Problem::unavailable(
            "request_in_progress",
            "The same request is at work at this moment; send it again.",
        )),
    }
}

fn conflict(field: &str) -> Problem {
    Problem::field(
        Status::Conflict,
        "idempotency_conflict",
        field,
        "This key was used with another value here.",
    )
    .with("field", field)
}

fn flatten(path: &str, value: &Value, found: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, inner) in map {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), inner, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, inner) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), inner, found);
            }
        }
        // A member that is null is a member that was left out.
        Value::Null => {}
        scalar => found(path, &scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn once(body: Value) -> Once {
        Once::new(&Secrets::new(&[7; 32]), "orders", "k", &body)
    }

    #[test]
    fn row_7_the_first_differing_member_is_named() {
        let known = once(json!({"items": [{"quantity": 1, "id": "a"}], "note": null})).members;
        let same = once(json!({"items": [{"id": "a", "quantity": 1}]}));
        assert_eq!(same.difference(&known), None);
        let other = once(json!({"items": [{"quantity": 2, "id": "a"}]}));
        assert_eq!(
            other.difference(&known).as_deref(),
            Some("items[0].quantity")
        );
        let less = once(json!({"items": [{"id": "a"}]}));
        assert_eq!(
            less.difference(&known).as_deref(),
            Some("items[0].quantity")
        );
        let more = once(json!({"items": [{"quantity": 1, "id": "a"}], "note": "x"}));
        assert_eq!(more.difference(&known).as_deref(), Some("note"));
    }
}
