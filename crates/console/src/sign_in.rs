//! Signing in and out: local users through the API's log-in, others through the provider of
//! [`crate::oidc`]; refreshing; the colour scheme.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequest as _, Request, State};
use axum::response::Response;
use florin_base::Secret;
use florin_platform::http::auth::Access;
use florin_platform::http::json::RawBody;
use florin_platform::http::limit::LimitClass;
use florin_platform::http::router::{RouteSpec, Routes};
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::api::{ApiError, Away, Client, text};
use crate::oidc::{Begun, OidcError, Returned};
use crate::reply::{self, Failure, Outcome, Page, Reply, own_path, words_of};
use crate::session::{Session, Source, Tokens, cookie, random};
use crate::visit::{self, FORM_TOKEN, Frame, THEME, Visit, client_of, is_own};
use crate::{BASE, Console};

/// Largest form of a sign-in, in bytes.
const FORM_LIMIT: usize = 8 * 1024;
/// Purpose of the cookie with the token of the sign-in form.
const DOOR: &str = "door";
/// Purpose of the cookie with what the provider must give back.
const OIDC: &str = "oidc";
/// Seconds of a year, for the colour scheme.
const YEAR: u32 = 31_536_000;

/// Routes of signing in and out.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let open = |path| RouteSpec::get(path, Access::Public).undocumented();
    let form = RouteSpec::post("/console/sign-in", Access::Public)
        .class(LimitClass::Write)
        .body_limit(FORM_LIMIT)
        .undocumented();
    let routes = routes
        .route(open("/console/sign-in"), door)
        .route(form, enter)
        .route(open("/console/oidc/start"), start)
        .route(open("/console/oidc/callback"), callback);
    let routes = visit::post(routes, "/console/sign-out", leave);
    visit::post(routes, "/console/theme", theme)
}

fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> &'p str {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value.as_str())
}

async fn door(State(console): State<Console>, request: Request) -> Response {
    let frame = Frame::of(&console, &request);
    let query = pairs(request.uri().query().unwrap_or_default());
    let next = own_path(value(&query, "next")).to_owned();
    if console.0.sessions.read(request.headers()).is_some() && value(&query, "again").is_empty() {
        // A session that still refreshes leads on; one that does not comes back with `again`.
        let client = client_of(&request);
        let session = console.0.sessions.read(request.headers());
        if let Some(session) = session
            && live(&console, session, client).await
        {
            return reply::see(&next);
        }
    }
    show_door(&console, &frame, &next, "", None)
}

async fn live(console: &Console, session: Session, client: IpAddr) -> bool {
    let api = Arc::clone(&console.0.api);
    let api = Client::new(api, Some(session.access), client);
    api.get("/api/v1/auth/me").send().await.is_ok()
}

fn show_door(
    console: &Console,
    frame: &Frame,
    next: &str,
    name: &str,
    wrong: Option<&str>,
) -> Response {
    let token = random();
    let mut page = Page::new("Sign in", door_content(console, next, name, &token, wrong));
    if wrong.is_some() {
        page.status = StatusCode::UNAUTHORIZED;
    }
    let mut response = frame.page(None, page);
    let cookie = console.0.sessions.pending(DOOR, token.as_bytes());
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn door_content(
    console: &Console,
    next: &str,
    name: &str,
    token: &str,
    wrong: Option<&str>,
) -> Markup {
    html! {
        div.door {
            @if let Some(wrong) = wrong {
                p.said.bad role="alert" { (wrong) }
            }
            form method="post" action="/console/sign-in" {
                input type="hidden" name=(FORM_TOKEN) value=(token);
                input type="hidden" name="next" value=(next);
                label for="user" { "User name" }
                input #user name="user" autocomplete="username" required
                    maxlength="100" autocapitalize="none" spellcheck="false"
                    value=(name) autofocus[name.is_empty()];
                label for="password" { "Password" }
                input #password name="password" type="password" required
                    autocomplete="current-password" autofocus[!name.is_empty()];
                button.primary type="submit" { "Sign in" }
            }
            @if let Some(oidc) = &console.0.oidc {
                @let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair("next", next).finish();
                p.or { "or" }
                a.button href={ (BASE) "/oidc/start?" (query) } { "Sign in with " (oidc.name()) }
            }
            p.note {
                "An administrator makes accounts: "
                code { "florin user create" }
                "."
            }
        }
    }
}

async fn enter(State(console): State<Console>, request: Request) -> Response {
    let frame = Frame::of(&console, &request);
    let client = client_of(&request);
    let headers = request.headers().clone();
    let form = match RawBody::from_request(request, &()).await {
        Ok(RawBody(bytes)) => pairs(&String::from_utf8_lossy(&bytes)),
        Err(problem) => {
            return frame.failed(None, &Failure::Bad(problem.detail().to_owned()));
        }
    };
    let next = own_path(value(&form, "next")).to_owned();
    let token = console.0.sessions.read_pending(DOOR, &headers);
    let token = token.and_then(|bytes| String::from_utf8(bytes).ok());
    let own = token.is_some_and(|token| is_own(&headers, value(&form, FORM_TOKEN), &token));
    let name = value(&form, "user");
    if !own {
        let wrong = "The form was too old, or cookies are off. Please try again.";
        return show_door(&console, &frame, &next, name, Some(wrong));
    }
    let api = Client::new(Arc::clone(&console.0.api), None, client);
    let body = json!({"userName": name, "password": value(&form, "password")});
    match api.post("/api/v1/auth/token").json_body(&body).json().await {
        Ok(answer) => signed_in(&console, &frame, Source::Local, tokens_of(&answer), &next),
        Err(error) => {
            let wrong = wrong_words(&error);
            show_door(&console, &frame, &next, name, Some(&wrong))
        }
    }
}

fn wrong_words(error: &ApiError) -> String {
    match error {
        ApiError::Refused(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
            "User name or password is wrong.".to_owned()
        }
        ApiError::Refused(refusal) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
            let wait = refusal.retry_after.as_deref().unwrap_or("60");
            format!("Too many attempts. Try again in {wait} s.")
        }
        ApiError::Refused(refusal) if refusal.is_absent_room() => {
            "No process that knows users (role gateway) answers at the moment.".to_owned()
        }
        ApiError::Refused(refusal) => words_of(refusal),
        _ => "The API does not answer at the moment.".to_owned(),
    }
}

fn tokens_of(answer: &Value) -> Tokens {
    let refresh = text(answer, "refreshToken");
    Tokens {
        access: Secret::new(text(answer, "accessToken").to_owned()),
        refresh: (!refresh.is_empty()).then(|| Secret::new(refresh.to_owned())),
        expires_in: answer["expiresIn"].as_i64().unwrap_or(60),
    }
}

fn signed_in(
    console: &Console,
    frame: &Frame,
    source: Source,
    tokens: Tokens,
    next: &str,
) -> Response {
    let sessions = &console.0.sessions;
    let session = sessions.begin(source, tokens);
    let Some(cookies) = sessions.cookies(&session) else {
        let why = "The provider's tokens are too long for cookies; ask it for fewer claims.";
        return frame.failed(None, &Failure::Bad(why.to_owned()));
    };
    let mut response = reply::see(next);
    let ended = [DOOR, OIDC].map(|purpose| sessions.end_pending(purpose));
    for cookie in cookies.into_iter().chain(ended.into_iter().flatten()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// New tokens for a session; `None` when it has ended.
pub(crate) async fn renew(
    console: &Console,
    session: Session,
    client: IpAddr,
) -> Result<Option<Tokens>, ApiError> {
    let Some(refresh) = session.refresh else {
        return Ok(None);
    };
    if session.source == Source::Oidc {
        let Some(oidc) = &console.0.oidc else {
            return Ok(None);
        };
        let renewed = oidc.renew(&refresh).await;
        return renewed.map_err(|error| ApiError::Away(Away(error.to_string())));
    }
    let api = Client::new(Arc::clone(&console.0.api), None, client);
    let body = json!({"refreshToken": refresh.expose()});
    match api
        .post("/api/v1/auth/refresh")
        .json_body(&body)
        .json()
        .await
    {
        Ok(answer) => Ok(Some(tokens_of(&answer))),
        Err(ApiError::Refused(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => Ok(None),
        Err(error) => Err(error),
    }
}

fn redirect_url(console: &Console) -> String {
    format!("{}{BASE}/oidc/callback", console.settings().public_url)
}

async fn start(State(console): State<Console>, request: Request) -> Response {
    let frame = Frame::of(&console, &request);
    let Some(oidc) = &console.0.oidc else {
        return frame.failed(None, &Failure::NotFound);
    };
    let query = pairs(request.uri().query().unwrap_or_default());
    let next = own_path(value(&query, "next"));
    match oidc.begin(&redirect_url(&console), next).await {
        Ok((begun, url)) => {
            let bytes = serde_json::to_vec(&begun).expect("texts are JSON");
            let mut response = reply::see(&url);
            if let Some(cookie) = console.0.sessions.pending(OIDC, &bytes) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => oidc_failed(&console, &frame, next, &error),
    }
}

async fn callback(State(console): State<Console>, request: Request) -> Response {
    let frame = Frame::of(&console, &request);
    let Some(oidc) = &console.0.oidc else {
        return frame.failed(None, &Failure::NotFound);
    };
    let pending = console.0.sessions.read_pending(OIDC, request.headers());
    let begun: Option<Begun> = pending.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(begun) = begun else {
        return oidc_failed(&console, &frame, BASE, &OidcError::Foreign);
    };
    let query = pairs(request.uri().query().unwrap_or_default());
    let back = Returned {
        code: value(&query, "code"),
        state: value(&query, "state"),
        issuer: value(&query, "iss"),
        error: value(&query, "error"),
    };
    let next = own_path(&begun.next).to_owned();
    let tokens = match oidc.finish(&begun, &back, &redirect_url(&console)).await {
        Ok(tokens) => tokens,
        Err(error) => return oidc_failed(&console, &frame, &next, &error),
    };
    // The API decides whether the token is good, before anything is kept.
    let access = Some(tokens.access.clone());
    let api = Client::new(Arc::clone(&console.0.api), access, client_of(&request));
    if let Err(error) = api.get("/api/v1/auth/me").send().await {
        tracing::info!(%error, "a token of the sign-in provider was not accepted");
        let wrong = "The provider knows you, but its token is not accepted here: its issuer and \
                     audience must stand in auth.issuers.";
        return show_door(&console, &frame, &next, "", Some(wrong));
    }
    signed_in(&console, &frame, Source::Oidc, tokens, &next)
}

fn oidc_failed(console: &Console, frame: &Frame, next: &str, error: &OidcError) -> Response {
    tracing::warn!(%error, "sign-in through the provider");
    let wrong = format!("It did not work: {error}.");
    show_door(console, frame, next, "", Some(&wrong))
}

async fn leave(visit: Visit) -> Outcome {
    let sessions = &visit.console.0.sessions;
    if visit.session().source == Source::Local {
        // Whether it worked or the session had ended already: the browser forgets it.
        let ended = visit.api.post("/api/v1/auth/logout").send().await;
        if let Err(error) = ended {
            tracing::debug!(%error, "sign-out");
        }
    }
    sessions.forget(visit.session()).await;
    let mut response = reply::see("/console/sign-in?again=1");
    for cookie in sessions.ended() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(Reply::Raw(response))
}

async fn theme(visit: Visit) -> Outcome {
    let theme = match visit.form("theme") {
        theme @ ("light" | "dark") => theme,
        _ => "",
    };
    let life = match theme {
        "" => cookie::Life::Gone,
        _ => cookie::Life::Seconds(YEAR),
    };
    let mut response = reply::see(own_path(visit.form("here")));
    let value = cookie::set(THEME, theme, life, false);
    let value = value.unwrap_or_else(|| HeaderValue::from_static(""));
    response.headers_mut().append(SET_COOKIE, value);
    Ok(Reply::Raw(response))
}
