//! AWS Secrets Manager: one operation, `GetSecretValue`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use florin_base::Secret;
use serde::Deserialize;
use serde_json::json;

use super::credentials::{domain, given};
use super::sigv4::{Signable, sign};
use super::{Credentials, Found, Reader, Reference, SecretError, region};

const TARGET: &str = "secretsmanager.GetSecretValue";
const CONTENT: &str = "application/x-amz-json-1.1";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    secret_string: Option<Secret<String>>,
    secret_binary: Option<Secret<String>>,
}

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
}

/// Asks for one secret.
pub async fn read(
    reader: &Reader,
    credentials: &Credentials,
    reference: &Reference,
) -> Result<Found, SecretError> {
    let name = &reference.place.name;
    // arn:aws:secretsmanager:{region}:{account}:secret:{name}
    let region = match name
        .strip_prefix("arn:")
        .and_then(|arn| arn.split(':').nth(2))
    {
        Some(region) => region.to_owned(),
        None => region(&reader.env)?,
    };
    let endpoint = given(&reader.env, "AWS_ENDPOINT_URL_SECRETS_MANAGER")
        .or_else(|| given(&reader.env, "AWS_ENDPOINT_URL"))
        .unwrap_or_else(|| format!("https://secretsmanager.{region}.{}", domain(&region)));
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let host = endpoint.split_once("://").map_or("", |(_, host)| host);
    let mut body = json!({"SecretId": name});
    match &reference.place.version {
        Some(version) if is_version_id(version) => body["VersionId"] = json!(version),
        Some(stage) => body["VersionStage"] = json!(stage),
        None => {}
    }
    let body = body.to_string();
    let make = || {
        let request = Signable {
            method: "POST",
            host,
            path: "/",
            query: &[],
            headers: &[("content-type", CONTENT), ("x-amz-target", TARGET)],
            body: body.as_bytes(),
            region: &region,
            service: "secretsmanager",
        };
        let signed = sign(&request, credentials, reader.clock.wall_micros());
        let post = reader.http.post(&format!("{endpoint}/"));
        let mut post = post
            .map_err(|error| {
                SecretError::new(
                    format!("the endpoint {endpoint}: {error}"),
                    "look at AWS_ENDPOINT_URL",
                )
            })?
            .header("content-type", CONTENT)
            .header("x-amz-target", TARGET)
            .body(body.clone());
        for (name, value) in signed {
            post = post.header(name, value);
        }
        Ok(post)
    };
    let (status, answer) = reader.call(reference, make).await?;
    if status != 200 {
        let refusal: Refusal = serde_json::from_slice(&answer).unwrap_or_default();
        return Err(refused(reference, status, &refusal.kind));
    }
    let value: Option<Value> = serde_json::from_slice(&answer).ok();
    let text = value.and_then(|value| match (value.secret_string, value.secret_binary) {
        (Some(text), _) => Some(text),
        (None, Some(binary)) => {
            let bytes = BASE64.decode(binary.expose()).ok()?;
            String::from_utf8(bytes).ok().map(Secret::new)
        }
        (None, None) => None,
    });
    text.map(Found::Text).ok_or_else(|| {
        SecretError::new(
            format!("`{}`: the secret holds no text", reference.text),
            "store it as SecretString",
        )
    })
}

/// Version ids have 32 to 64 characters and are made like UUIDs; stages are names.
fn is_version_id(version: &str) -> bool {
    (32..=64).contains(&version.len())
        && version
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn refused(reference: &Reference, status: u16, kind: &str) -> SecretError {
    // The type may come with its name space in front.
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let remedy = match kind {
        "ResourceNotFoundException" => {
            "make the secret and give it a value, or correct name, region and version in the reference"
        }
        "AccessDeniedException" => {
            "allow secretsmanager:GetSecretValue on it, and kms:Decrypt on its key, to the role of the server"
        }
        "DecryptionFailure" => {
            "the key of the secret must be enabled and usable by the role of the server"
        }
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            "the credentials of the server are not accepted: look at them, and at the clock"
        }
        _ => "look the code up in the documentation of AWS Secrets Manager",
    };
    SecretError::new(
        format!(
            "`{}`: Secrets Manager answers {status} {kind}",
            reference.text
        ),
        remedy,
    )
}
