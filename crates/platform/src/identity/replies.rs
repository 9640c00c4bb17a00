//! Idempotency of creating calls: the request of the first call, kept in the transaction of its
//! effect (contracts/README.md, "idempotency"). Passwords and secrets are not part of what is
//! kept or compared.

use serde_json::Value;

use super::error::IdentityError;
use crate::sql::{Tx, query};

/// The object that the first call with this key made, if there was one.
///
/// # Errors
/// [`IdentityError::IdempotencyConflict`] naming the first member in which the requests differ.
pub async fn find(
    tx: &mut Tx,
    actor: &str,
    key: &str,
    request: &Value,
) -> Result<Option<String>, IdentityError> {
    let select = "SELECT request, object_id FROM identity_replies WHERE actor = $1 AND key = $2";
    let found = tx
        .fetch_optional(query(select).bind(actor).bind(key))
        .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    let first: Value = serde_json::from_str(&row.get::<String>("request")?)
        .map_err(|error| IdentityError::Internal(format!("kept request: {error}")))?;
    match first_difference(&first, request) {
        Some(field) => Err(IdentityError::IdempotencyConflict(field)),
        None => Ok(Some(row.get("object_id")?)),
    }
}

/// Keeps a request with the object it made.
///
/// # Errors
/// Of the store.
pub async fn keep(
    tx: &mut Tx,
    actor: &str,
    key: &str,
    request: &Value,
    object_id: &str,
    now: i64,
) -> Result<(), IdentityError> {
    let insert = "INSERT INTO identity_replies (actor, key, request, object_id, created_at)
                  VALUES ($1, $2, $3, $4, $5)";
    let row = query(insert)
        .bind(actor)
        .bind(key)
        .bind(request.to_string())
        .bind(object_id)
        .bind(now);
    tx.execute(row).await?;
    Ok(())
}

fn first_difference(first: &Value, now: &Value) -> Option<String> {
    let (Value::Object(first), Value::Object(now)) = (first, now) else {
        return (first != now).then(|| "body".to_owned());
    };
    let differs = |name: &&String| first.get(*name) != now.get(*name);
    first.keys().chain(now.keys()).find(differs).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_differing_member_is_named() {
        let a = json!({ "operation": "user", "name": "x", "roles": ["user"] });
        assert_eq!(first_difference(&a, &a), None);
        let b = json!({ "operation": "user", "name": "x", "roles": [] });
        assert_eq!(first_difference(&a, &b).as_deref(), Some("roles"));
        let c = json!({ "operation": "user", "name": "x", "roles": ["user"], "id": "1" });
        assert_eq!(first_difference(&a, &c).as_deref(), Some("id"));
    }
}
