//! `POST …/drift-check` (contract C1): accounts in one piece, answered at once, or as a stream of
//! lines, answered with 202.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State as AxumState};
use axum::response::{IntoResponse as _, Response};
use florin_platform::http::auth::Caller;
use florin_platform::http::idempotency::{IdempotencyKey, replayed};
use florin_platform::http::json::{Json, Query};
use florin_platform::http::problem::{Problem, Status};
use florin_platform::http::respond::with_location;
use florin_platform::http::router::{RouteSpec, Routes};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use super::control::{Control, ControlApi, faulty};
use super::problem::{self, ours};
use super::{actor, class, money, permission, scope};
use crate::corrections::table as corrections;
use crate::drift::force::InForce;
use crate::drift::found;
use crate::drift::input::{self, Asked, Fault, Given, Item};
use crate::drift::render::{self, Print};
use crate::drift::run::{Begun, NewCheck};
use crate::drift::stream::{Format, Receiver};
use crate::drift::table::{self, Check};
use crate::model::MoneyForm;
use crate::model::digest::sha256;

/// Largest body in one piece, in bytes.
const ONE_PIECE: usize = 8 << 20;
/// Largest stream, in bytes.
const STREAM: usize = 256 << 20;
/// Longest silence of a body.
const SILENCE: Duration = Duration::from_secs(30);
/// Faults that are told at once.
const FAULTS_MAX: usize = 100;

#[derive(OpenApi)]
#[openapi(paths(post))]
struct Document;

pub(super) fn routes(aliases: bool) -> Routes<Control> {
    let spec = |path| {
        RouteSpec::post(path, permission::CHECK)
            .body_limit(STREAM)
            .class(class::drift_checks())
    };
    let all = Routes::new()
        .route(spec("/api/v1/shadow/drift-check"), post)
        .document(Document::openapi());
    match aliases {
        true => all.route(spec("/drift-check").undocumented(), post),
        false => all,
    }
}

/// What the query may say; the policy of a stream stands here.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Params {
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
    /// Of a stream: its id.
    check_id: Option<String>,
    /// Of a stream: `report`, `propose` or `auto`.
    mode: Option<String>,
    /// Of a stream: `true` or `false`.
    strict: Option<String>,
    /// Of a stream: 2 to 6.
    max_subset: Option<String>,
    /// Of a stream: absolute tolerance.
    tolerance: Option<String>,
    /// Of a stream: tolerance in percent.
    tolerance_percent: Option<String>,
}

impl Params {
    fn policy(&self) -> Result<Asked, Fault> {
        let cell = |text: &Option<String>| match text {
            None => Given::Absent,
            Some(text) => Given::Bare(text.clone()),
        };
        input::policy_of(&BTreeMap::from([
            ("mode", cell(&self.mode)),
            ("strict", cell(&self.strict)),
            ("maxSubset", cell(&self.max_subset)),
            ("tolerance", cell(&self.tolerance)),
            ("tolerancePercent", cell(&self.tolerance_percent)),
        ]))
    }

    fn any_policy(&self) -> bool {
        self.check_id.is_some() || self.policy().is_ok_and(|asked| asked != Asked::default())
    }
}

/// What a body is.
enum Kind {
    OnePiece,
    Lines(Format),
}

fn kind_of(request: &Request) -> Result<Kind, Problem> {
    let given = request.headers().get(CONTENT_TYPE);
    let essence = given
        .and_then(|value| value.to_str().ok())
        .map(|text| text.split(';').next().unwrap_or(text).trim());
    match essence.unwrap_or_default().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Kind::OnePiece),
        "application/x-ndjson" => Ok(Kind::Lines(Format::Ndjson)),
        "text/csv" => Ok(Kind::Lines(Format::Csv)),
        _ => Err(ours(Problem::new(
            Status::UnsupportedMediaType,
            "unsupported_media_type",
            "Send application/json, application/x-ndjson or text/csv.",
        ))),
    }
}

/// Reported balances beside the shadow's; differences are explained.
#[utoipa::path(
    post, path = "/api/v1/shadow/drift-check", tag = "Shadow ledger", params(Params),
    request_body(content = Object, description = "An array of `{accountId, reportedBalance, asOf?, currency?, statementId?}` or `{checkId?, policy?, accounts}`; the same fields as NDJSON or CSV are streamed"),
    responses(
        (status = 200, description = "Every account, what differs and what was done"),
        (status = 202, description = "The stream was taken; `Location` has the results"),
        (status = 400, description = "`empty_check`, `duplicate_account`, `policy_too_loose`, …"),
        (status = 409, description = "`idempotency_conflict`"),
        (status = 413, description = "`too_many_accounts`, `body_too_large`"),
    )
)]
async fn post(
    AxumState(api): AxumState<Control>,
    caller: Caller,
    Query(params): Query<Params>,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
) -> Result<Response, Problem> {
    let form = money::form(params.money.as_deref())?;
    match kind_of(&request)? {
        Kind::OnePiece if params.any_policy() => Err(problem::field(
            "policy",
            "validation_failed",
            "The policy of a check in one piece stands in its body.",
        )),
        Kind::OnePiece => {
            let body = one_piece(request.into_body()).await?;
            at_once(&api, &caller, key, &body, form).await
        }
        Kind::Lines(format) => {
            let stream = Stream {
                params: &params,
                key,
                format,
            };
            streamed(&api, &caller, stream, request.into_body()).await
        }
    }
}

fn too_large(limit: usize) -> Problem {
    ours(
        Problem::new(
            Status::PayloadTooLarge,
            "body_too_large",
            format!("The body may have at most {limit} bytes."),
        )
        .with("limit", limit),
    )
}

async fn next(body: &mut Body) -> Result<Option<bytes::Bytes>, Problem> {
    let broken = |_| {
        let detail = "The body ended before its end.";
        ours(Problem::new(
            Status::BadRequest,
            "validation_failed",
            detail,
        ))
    };
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let frame = frame.map_err(|_| {
            let detail = "The body did not arrive in time.";
            ours(Problem::new(
                Status::RequestTimeout,
                "request_timeout",
                detail,
            ))
        })?;
        let Some(frame) = frame else { return Ok(None) };
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            return Ok(Some(data));
        }
    }
}

async fn one_piece(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    while let Some(data) = next(&mut body).await? {
        if all.len() + data.len() > ONE_PIECE {
            return Err(too_large(ONE_PIECE));
        }
        all.extend_from_slice(&data);
    }
    Ok(all)
}

async fn at_once(
    api: &ControlApi,
    caller: &Caller,
    key: Option<String>,
    body: &[u8],
    form: MoneyForm,
) -> Result<Response, Problem> {
    let one = |fault: Fault| faulty(vec![fault]);
    let request = input::request(body).map_err(one)?;
    let control = api.checker.control();
    let policy = InForce::of(control, &request.asked).map_err(one)?;
    let items = items(api, caller, &policy, &request).await?;
    let digest = digest(&policy, &items);
    let new = NewCheck {
        id: request.check_id,
        key,
        policy,
        digest,
        actor: actor(caller),
        streamed: false,
    };
    let begun = api.checker.begin(new, items).await.map_err(ours)?;
    let (id, again) = match begun {
        Begun::New(check) => (check.id, false),
        Begun::Known(check) => (check.id, true),
    };
    api.checker.run(&id).await?;
    let check = table::find(api.shadow().db(), &id).await?;
    let check = check.ok_or_else(|| Problem::internal("the check is gone"))?;
    let response = answer(api, &check, form).await?;
    Ok(if again { replayed(response) } else { response })
}

/// What was asked, in a form that does not depend on spelling.
fn digest(policy: &InForce, items: &[Item]) -> [u8; 32] {
    let asked: Vec<table::Asked> = items.iter().map(table::Asked::from).collect();
    let policy = InForce {
        policy_version: String::new(),
        ..policy.clone()
    };
    let all = serde_json::to_vec(&(policy, asked)).unwrap_or_default();
    sha256(&all)
}

async fn items(
    api: &ControlApi,
    caller: &Caller,
    policy: &InForce,
    request: &input::Request,
) -> Result<Vec<Item>, Problem> {
    let mut items = Vec::with_capacity(request.drafts.len());
    let mut faults: Vec<Fault> = Vec::new();
    let mut books = HashSet::new();
    let mut currencies = HashSet::new();
    for (place, draft) in &request.drafts {
        if faults.len() >= FAULTS_MAX {
            break;
        }
        let item = match input::item(draft, place, api.shadow().currencies(), policy.strict) {
            Ok(item) => item,
            Err(more) => {
                faults.extend(more);
                continue;
            }
        };
        scope::check(caller, &item.account)?;
        if !books.insert((item.account.clone(), item.currency.clone())) {
            let message = "This book stands in the check twice.";
            let field = format!("{place}.accountId");
            faults.push(Fault::new(field, "duplicate_account", message));
            continue;
        }
        if currencies.insert(item.currency.clone()) {
            let control = api.checker.control();
            let fits = policy.check_tolerance(control, &item.currency, item.scale);
            faults.extend(fits.err());
        }
        match api.checker.with_statement(item, place).await? {
            Ok(item) => items.push(item),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(items),
        false => Err(faulty(faults)),
    }
}

async fn answer(api: &ControlApi, check: &Check, form: MoneyForm) -> Result<Response, Problem> {
    let db = api.shadow().db();
    let mut all = Vec::new();
    for number in 0..check.pages {
        let page = table::page(db, &check.id, number).await?;
        let page = page.ok_or_else(|| Problem::internal("a page is gone"))?;
        let end = page.first + i64::try_from(page.items.len()).unwrap_or(i64::MAX);
        let differing = found::between(db, &check.id, page.first, end).await?;
        all.extend(render::accounts(&page, differing)?);
    }
    let made = corrections::of_check(db, &check.id).await?;
    let print = Print {
        currencies: api.shadow().currencies(),
        form,
    };
    Ok(Json(render::answer(check, &all, &made, print)?).into_response())
}

/// What is known of a stream before it begins.
struct Stream<'a> {
    params: &'a Params,
    key: Option<String>,
    format: Format,
}

async fn streamed(
    api: &ControlApi,
    caller: &Caller,
    stream: Stream<'_>,
    mut body: Body,
) -> Result<Response, Problem> {
    let one = |fault: Fault| faulty(vec![fault]);
    scope::check_whole(caller)?;
    let asked = stream.params.policy().map_err(one)?;
    let policy = InForce::of(api.checker.control(), &asked).map_err(one)?;
    let id = stream.params.check_id.clone();
    if id.as_deref().is_some_and(|id| !input::name_ok(id)) {
        let fault = Fault::new("checkId", "invalid_id", "This is no check id.");
        return Err(faulty(vec![fault]));
    }
    let new = NewCheck {
        id,
        key: stream.key,
        policy,
        digest: [0; 32],
        actor: actor(caller),
        streamed: true,
    };
    let mut receiver = Receiver::begin(api.checker.clone(), new, stream.format)
        .await
        .map_err(ours)?;
    let mut bytes = 0;
    let failed = loop {
        let data = match next(&mut body).await {
            Ok(Some(data)) => data,
            Ok(None) => break None,
            Err(problem) => break Some(problem),
        };
        bytes += data.len();
        if bytes > STREAM {
            break Some(too_large(STREAM));
        }
        if let Err(problem) = receiver.take(&data).await {
            break Some(ours(problem));
        }
    };
    if let Some(problem) = failed {
        receiver.give_up().await;
        return Err(problem);
    }
    let keep = receiver.id().to_owned();
    let received = match receiver.end().await {
        Ok(received) => received,
        Err(problem) => {
            api.checker.forget(&keep).await;
            return Err(ours(problem));
        }
    };
    let location = format!("/api/v1/shadow/drift-checks/{}", received.id);
    let check = table::find(api.shadow().db(), &received.id).await?;
    let check = check.ok_or_else(|| Problem::internal("the check is gone"))?;
    let print = Print {
        currencies: api.shadow().currencies(),
        form: money::form(stream.params.money.as_deref())?,
    };
    let shown = super::drift_checks::shown(&check, print)?;
    let response = with_location(StatusCode::ACCEPTED, &location, shown)?;
    Ok(match received.replayed {
        true => replayed(response),
        false => response,
    })
}
