//! `Idempotency-Key` of requests that make or move something other than events: what was asked
//! and what came of it, in the commit of the effect (contracts, "idempotency").
//!
//! **Invariants.** A key is unique in its route and person, for ever. The same request under it
//! makes nothing and gets what was made first; another one is 409 `idempotency_conflict` naming
//! the first member that differs. A key in flight waits, since writers take turns.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, query};
use serde_json::{Map, Value};

use super::error::WriteError;
use super::record::Actor;
use super::session::Session;
use crate::model::digest::sha256;

const FIND: &str = "SELECT answer FROM shadow_keys WHERE scope = $1";
/// Members of what is kept.
const REQUEST: &str = "request";
const MADE: &str = "made";

/// A request under a key.
#[derive(Debug, Clone)]
pub struct Keyed {
    scope: String,
    /// Members in the order in which they are compared.
    request: Vec<(&'static str, Value)>,
}

impl Keyed {
    /// Of `actor`, at a route that is named by one word.
    pub fn new(
        route: &'static str,
        actor: &Actor,
        key: &str,
        request: Vec<(&'static str, Value)>,
    ) -> Self {
        Self {
            scope: format!("{route}\n{}\n{key}", actor.subject),
            request,
        }
    }

    fn kept(&self, made: Value) -> String {
        let request: Map<String, Value> = self
            .request
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let mut kept = Map::new();
        kept.insert(REQUEST.to_owned(), Value::Object(request));
        kept.insert(MADE.to_owned(), made);
        Value::Object(kept).to_string()
    }

    /// What was made under the key, if the request is the same.
    fn compare(&self, kept: &str) -> Result<Value, WriteError> {
        let mut kept: Value =
            serde_json::from_str(kept).map_err(|_| WriteError::Damaged("idempotency key"))?;
        let differs = |(name, value): &&(&'static str, Value)| kept[REQUEST][*name] != *value;
        match self.request.iter().find(differs) {
            None => Ok(kept[MADE].take()),
            Some((name, _)) => Err(conflict(name).into()),
        }
    }
}

/// 409 for a key that was used for another request.
pub fn conflict(first_difference: &'static str) -> Problem {
    let detail = "This Idempotency-Key was used for another request.";
    Problem::conflict("idempotency_conflict", detail)
        .with("firstDifference", first_difference)
        .with("field", first_difference)
}

/// What was made under a key before, outside a transaction: [`Session::made_under`] decides.
///
/// # Errors
/// 409 `idempotency_conflict`, else the store's.
pub async fn made_before(db: &Db, keyed: Option<&Keyed>) -> Result<Option<Value>, WriteError> {
    let Some(keyed) = keyed else { return Ok(None) };
    let row = db.fetch_optional(query(FIND).bind(&keyed.scope)).await?;
    match row {
        Some(row) => keyed.compare(&row.get::<String>("answer")?).map(Some),
        None => Ok(None),
    }
}

impl Session {
    /// What was made under a key before.
    ///
    /// # Errors
    /// 409 `idempotency_conflict`, else the store's.
    pub async fn made_under(&mut self, keyed: Option<&Keyed>) -> Result<Option<Value>, WriteError> {
        let Some(keyed) = keyed else { return Ok(None) };
        let find = query(FIND).bind(&keyed.scope);
        match self.tx().fetch_optional(find).await? {
            Some(row) => keyed.compare(&row.get::<String>("answer")?).map(Some),
            None => Ok(None),
        }
    }

    /// Keeps what was made under a key, in this commit.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_made(
        &mut self,
        keyed: Option<&Keyed>,
        status: u16,
        made: impl Into<Value>,
    ) -> Result<(), WriteError> {
        let Some(keyed) = keyed else { return Ok(()) };
        let kept = keyed.kept(made.into());
        let insert = "INSERT INTO shadow_keys (scope, body_digest, status, answer, recorded_at)
            VALUES ($1, $2, $3, $4, $5)";
        let row = query(insert)
            .bind(&keyed.scope)
            .bind(sha256(kept.as_bytes()))
            .bind(i64::from(status))
            .bind(kept)
            .bind(self.now());
        self.tx().execute(row).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(amount: &str) -> Keyed {
        let request = vec![("id", "A".into()), ("amount", amount.into())];
        Keyed::new("match", &Actor::system("olga"), "k", request)
    }

    #[test]
    fn the_same_request_gets_what_was_made_and_another_names_its_difference() {
        let kept = keyed("1").kept("M1".into());
        let same = keyed("1").compare(&kept).expect("the same");
        assert_eq!(same, Value::from("M1"));
        let Err(WriteError::Refused(problem)) = keyed("2").compare(&kept) else {
            panic!("another request is refused");
        };
        assert_eq!(problem.code(), "idempotency_conflict");
        assert!(matches!(
            keyed("1").compare("{"),
            Err(WriteError::Damaged(_))
        ));
    }
}
