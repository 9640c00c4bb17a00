//! AWS credentials of this process, looked for in the usual order: the environment, a web
//! identity (IAM roles for service accounts), a container's endpoint (ECS, EKS pod identity),
//! the instance's metadata service (version 2 only).

use std::time::Duration;

use florin_base::{Clock, Secret};
use serde::Deserialize;

use super::sigv4::encoded;
use super::{Env, SecretError, send};
use crate::http::client::Outgoing;

/// Keys of an AWS principal.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: Secret<String>,
    /// Of temporary credentials.
    pub session_token: Option<Secret<String>>,
}

impl Credentials {
    /// From their parts.
    pub fn new(access_key: &str, secret_key: &str, session_token: Option<&str>) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret_key: Secret::new(secret_key.to_owned()),
            session_token: session_token.map(|token| Secret::new(token.to_owned())),
        }
    }
}

/// Where ECS tells the credentials of a task.
const ECS: &str = "http://169.254.170.2";
/// Where an instance tells its own.
const IMDS: &str = "http://169.254.169.254";
/// Longest wait for an endpoint beside the process: where there is none, nothing answers.
const NEAR: Duration = Duration::from_secs(1);
/// Life of a session with the metadata service; it is used once.
const IMDS_SECONDS: &str = "60";

/// What the container's endpoint and the metadata service answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: Secret<String>,
    token: Option<Secret<String>>,
}

impl From<Answer> for Credentials {
    fn from(answer: Answer) -> Self {
        Self {
            access_key: answer.access_key_id,
            secret_key: answer.secret_access_key,
            session_token: answer.token,
        }
    }
}

/// The region in force: `AWS_REGION`, then `AWS_DEFAULT_REGION`.
///
/// # Errors
/// [`SecretError`] when neither is set.
pub fn region(env: &Env) -> Result<String, SecretError> {
    let found = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(|name| given(env, name));
    found.ok_or_else(|| {
        SecretError::new(
            "no AWS region is known",
            "set AWS_REGION in the environment of the server",
        )
    })
}

/// A variable that is set to something.
pub(super) fn given(env: &Env, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// The credentials of this process.
///
/// # Errors
/// [`SecretError`] that says where was looked.
pub async fn find(
    env: &Env,
    http: &Outgoing,
    clock: &dyn Clock,
) -> Result<Credentials, SecretError> {
    if let (Some(access_key), Some(secret_key)) = (
        given(env, "AWS_ACCESS_KEY_ID"),
        given(env, "AWS_SECRET_ACCESS_KEY"),
    ) {
        let token = given(env, "AWS_SESSION_TOKEN");
        return Ok(Credentials::new(&access_key, &secret_key, token.as_deref()));
    }
    if let (Some(file), Some(role)) = (
        given(env, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        given(env, "AWS_ROLE_ARN"),
    ) {
        return web_identity(env, http, clock, &file, &role).await;
    }
    if let Some(url) = container_url(env)? {
        return container(env, http, &url).await;
    }
    if given(env, "AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
    {
        return Err(none_found(
            "the instance's metadata service is switched off",
        ));
    }
    let base = given(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let base = base.unwrap_or_else(|| IMDS.to_owned());
    instance(http, base.trim_end_matches('/'))
        .await
        .map_err(|why| none_found(&why))
}

fn none_found(why: &str) -> SecretError {
    SecretError::new(
        format!("no AWS credentials were found: {why}"),
        "give the task, pod or instance a role; elsewhere set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )
}

fn failed(source: &str, why: impl std::fmt::Display) -> SecretError {
    SecretError::new(
        format!("AWS credentials from {source}: {why}"),
        "look at the role of the task or pod and what it trusts",
    )
}

fn unreadable(file: &str, error: &std::io::Error) -> SecretError {
    SecretError::new(
        format!("AWS credentials need the file {file}: {error}"),
        "the file must exist and be readable by the server",
    )
}

/// Where a container's endpoint is, if there is one. Tokens go only to where AWS puts such
/// endpoints, or over TLS.
fn container_url(env: &Env) -> Result<Option<String>, SecretError> {
    if let Some(path) = given(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Ok(Some(format!("{ECS}{path}")));
    }
    let Some(url) = given(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
        return Ok(None);
    };
    let parsed = reqwest::Url::parse(&url).ok();
    let allowed = parsed.is_some_and(|url| match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let loopback = host
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
            loopback
                || [
                    "localhost",
                    "169.254.170.2",
                    "169.254.170.23",
                    "fd00:ec2::23",
                ]
                .contains(&host)
        }
        _ => false,
    });
    match allowed {
        true => Ok(Some(url)),
        false => Err(failed(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "its host is not one for credentials",
        )),
    }
}

async fn container(env: &Env, http: &Outgoing, url: &str) -> Result<Credentials, SecretError> {
    let source = "the container's endpoint";
    let token = match given(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(std::fs::read_to_string(&file).map_err(|e| unreadable(&file, &e))?),
        None => given(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let mut request = http.get(url).map_err(|error| failed(source, error))?;
    if let Some(token) = token {
        request = request.header("authorization", token.trim());
    }
    let answer = send(request).await.map_err(|why| failed(source, why))?;
    read(answer).map_err(|why| failed(source, why))
}

fn read((status, body): (u16, Vec<u8>)) -> Result<Credentials, String> {
    if status != 200 {
        return Err(format!("it answers {status}"));
    }
    let answer: Result<Answer, _> = serde_json::from_slice(&body);
    answer
        .map(Credentials::from)
        .map_err(|_| "its answer holds no keys".to_owned())
}

/// Version 2: a session first, so that nothing that forwards requests can be used to read keys.
async fn instance(http: &Outgoing, base: &str) -> Result<Credentials, String> {
    let away = |why: String| format!("the metadata service does not answer: {why}");
    let session = http
        .request(reqwest::Method::PUT, &format!("{base}/latest/api/token"))
        .map_err(|error| error.to_string())?
        .timeout(NEAR)
        .header("x-aws-ec2-metadata-token-ttl-seconds", IMDS_SECONDS);
    let session = text(send(session).await.map_err(away)?)?;
    let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
    let get = |url: &str| {
        let request = http.get(url).map_err(|error| error.to_string())?;
        let request = request.header("x-aws-ec2-metadata-token", &session);
        Ok::<_, String>(request.timeout(NEAR))
    };
    let role = match send(get(&roles)?).await.map_err(away)? {
        (404, _) => return Err("the instance has no role".to_owned()),
        answer => text(answer)?,
    };
    let role = role.lines().next().unwrap_or_default().trim().to_owned();
    let answer = send(get(&format!("{roles}{role}"))?).await.map_err(away)?;
    read(answer)
}

fn text((status, body): (u16, Vec<u8>)) -> Result<String, String> {
    match (status, String::from_utf8(body)) {
        (200, Ok(text)) => Ok(text),
        (status, _) => Err(format!("the metadata service answers {status}")),
    }
}

/// STS exchanges a signed token of the cluster for keys; the call itself is not signed.
async fn web_identity(
    env: &Env,
    http: &Outgoing,
    clock: &dyn Clock,
    file: &str,
    role: &str,
) -> Result<Credentials, SecretError> {
    let source = "STS (web identity)";
    let token = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    let session = given(env, "AWS_ROLE_SESSION_NAME")
        .unwrap_or_else(|| format!("florin-{}", clock.wall_micros() / 1_000_000));
    let endpoint =
        match given(env, "AWS_ENDPOINT_URL_STS").or_else(|| given(env, "AWS_ENDPOINT_URL")) {
            Some(url) => url,
            None => format!("https://sts.{}.{}", region(env)?, domain(&region(env)?)),
        };
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", &session),
        ("WebIdentityToken", token.trim()),
    ];
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let request = http
        .post(&format!("{}/", endpoint.trim_end_matches('/')))
        .map_err(|error| failed(source, error))?
        .header("content-type", "application/x-www-form-urlencoded")
        .body(fields.join("&"));
    let (status, body) = send(request).await.map_err(|why| failed(source, why))?;
    let body = String::from_utf8_lossy(&body);
    if status != 200 {
        let code = element(&body, "Code").unwrap_or("no code");
        return Err(failed(source, format!("it answers {status} {code}")));
    }
    let parts = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| element(&body, name));
    match parts {
        [Some(access), Some(secret), Some(token)] => {
            Ok(Credentials::new(access, secret, Some(token)))
        }
        _ => Err(failed(source, "its answer holds no keys")),
    }
}

/// The text of the first element of this name. Keys and codes hold nothing that XML escapes.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

/// The domain of a region's endpoints.
pub(super) fn domain(region: &str) -> &'static str {
    match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    }
}
