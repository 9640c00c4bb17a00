//! `PATCH /ledger/accounts/{id}` (contract A1).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use florin_ledger::{
    Call, Outcome,
    call::PatchAccount,
    model::{AccountChange, AccountId, Floor, Status},
    rules::prepare::RawPairs,
};
use florin_platform::http::{
    auth::Caller,
    json::{Json, Path},
    problem::Problem,
};
use http::{HeaderMap, header::IF_MATCH};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{AccountBody, Fault, find, invalid, read_floor, read_metadata};
use crate::api::{
    Shared,
    ledger::support::{account_not_found, refused, unavailable, with_seq},
    permission,
};

/// A member that tells `null` from being left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Box<str>>>, D::Error> {
    Option::<Box<str>>::deserialize(deserializer).map(Some)
}

/// What changes; members left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LedgerAccountPatch)]
pub struct PatchRequest {
    /// It may end below zero.
    pub may_overdraw: Option<bool>,
    /// How far below zero; `null`, or left out beside `mayOverdraw`, means no bound.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub floor_minor: Option<Option<Box<str>>>,
    /// open, frozen or closed; closed is final.
    pub status: Option<Box<str>>,
    /// Replaces all pairs.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub metadata: Option<RawPairs>,
}

impl PatchRequest {
    /// Judges the grammar. `now` is the account's present floor, against which a `floorMinor`
    /// without `mayOverdraw` is read.
    pub fn into_change(self, now: Floor) -> Result<AccountChange, Fault> {
        let may_overdraw = self.may_overdraw.unwrap_or(now.may_overdraw());
        let floor = match (self.may_overdraw, self.floor_minor) {
            (None, None) => None,
            (_, given) => Some(read_floor(may_overdraw, given.flatten().as_deref())?),
        };
        let status = match self.status.as_deref().map(Status::from_word) {
            Some(None) => return Err(("status", "Must be open, frozen or closed.".to_owned())),
            given => given.flatten(),
        };
        let metadata = match self.metadata {
            Some(pairs) => Some(read_metadata(Some(pairs))?),
            None => None,
        };
        Ok(AccountChange {
            floor,
            status,
            metadata,
        })
    }
}

/// Reads `If-Match: "<version>"`; `*` and absence match anything.
fn if_match(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let version = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|digits| digits.parse().ok());
    version.map(Some).ok_or_else(|| {
        Problem::validation("If-Match", "Must be a version in quotes, such as \"3\".")
    })
}

/// Changes an account.
#[utoipa::path(
    patch, path = "/api/v1/ledger/accounts/{id}", tag = "Ledger",
    params(
        ("id" = String, Path, description = "Id of the account"),
        ("If-Match" = Option<String>, Header, description = "The version it must have, in quotes"),
    ),
    request_body = PatchRequest,
    responses(
        (status = 200, description = "The account", body = AccountBody),
        (status = 404, description = "`account_not_found`"),
        (status = 409, description = "`account_closed` or `account_not_empty`"),
        (status = 412, description = "`version_mismatch`"),
    )
)]
pub async fn patch(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(request): Json<PatchRequest>,
) -> Result<Response, Problem> {
    let if_version = if_match(&headers)?;
    let id = AccountId::parse(&id).ok_or_else(account_not_found)?;
    if id.is_reserved() {
        caller.require(permission::LEDGER_SYSTEM)?;
    }
    if id.wallet().is_some() && request.status.is_some() {
        let message = "A wallet's status changes only through the wallet routes.";
        return Err(Problem::validation("status", message));
    }
    let now = find(&api, id.clone()).await?;
    let change = request.into_change(now.floor).map_err(invalid)?;
    let actor = Some((*caller.subject).into());
    let call = Call::PatchAccount(PatchAccount {
        actor,
        id,
        change,
        if_version,
    });
    let answer = api.ledger.submit(call).await.map_err(unavailable)?;
    if let Outcome::Refused(refusal) = &answer.outcome {
        return Err(refused(refusal));
    }
    let view = answer
        .account
        .ok_or_else(|| Problem::internal("no account in the answer"))?;
    let body = AccountBody::new(&api.ledger, &view);
    Ok(with_seq(Json(body).into_response(), answer.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_of_the_floor_alone_keeps_the_right_to_overdraw() {
        let patch = |json: &str, now| {
            serde_json::from_str::<PatchRequest>(json)
                .expect("parses")
                .into_change(now)
        };
        let floor = |json: &str, now| patch(json, now).expect("valid").floor;
        assert_eq!(
            floor(r#"{"floorMinor":"-7"}"#, Floor::None),
            Some(Floor::Minus(7))
        );
        assert_eq!(
            floor(r#"{"floorMinor":null}"#, Floor::Minus(7)),
            Some(Floor::None)
        );
        assert_eq!(
            floor(r#"{"mayOverdraw":true}"#, Floor::Minus(7)),
            Some(Floor::None)
        );
        assert_eq!(
            floor(r#"{"mayOverdraw":false}"#, Floor::Minus(7)),
            Some(Floor::Zero)
        );
        assert_eq!(floor("{}", Floor::Zero), None);
        assert!(patch(r#"{"floorMinor":"-7"}"#, Floor::Zero).is_err());
    }

    #[test]
    fn if_match_takes_quoted_versions() {
        let header = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, http::HeaderValue::from_static(value));
            if_match(&headers)
        };
        assert_eq!(header("\"3\"").expect("quoted"), Some(3));
        assert_eq!(header("*").expect("any"), None);
        assert!(header("3").is_err());
    }
}
