//! Vault and OpenBao: secrets of the KV engine, version 2, with a token.

use florin_base::Secret;
use serde::Deserialize;

use super::credentials::given;
use super::{Found, Reader, Reference, SecretError};

#[derive(Deserialize)]
struct Answer {
    data: Outer,
}

#[derive(Deserialize)]
struct Outer {
    data: Option<Secret<serde_json::Map<String, serde_json::Value>>>,
}

/// Asks for one secret.
pub async fn read(reader: &Reader, reference: &Reference) -> Result<Found, SecretError> {
    let text = &reference.text;
    let address = given(&reader.env, "VAULT_ADDR").ok_or_else(|| {
        SecretError::new(
            format!("`{text}`: no address of Vault is known"),
            "set VAULT_ADDR in the environment of the server",
        )
    })?;
    let token = match given(&reader.env, "VAULT_TOKEN_FILE") {
        Some(file) => Some(std::fs::read_to_string(&file).map_err(|error| {
            SecretError::new(
                format!("`{text}`: VAULT_TOKEN_FILE names {file}: {error}"),
                "the file must exist and be readable by the server",
            )
        })?),
        None => given(&reader.env, "VAULT_TOKEN"),
    };
    let token = token.map(Secret::new).ok_or_else(|| {
        SecretError::new(
            format!("`{text}`: no token for Vault is known"),
            "set VAULT_TOKEN_FILE to a file that an agent renews, or VAULT_TOKEN",
        )
    })?;
    // The reference was checked to have a mount and a path.
    let (mount, path) = reference.place.name.split_once('/').unwrap_or_default();
    let address = address.trim_end_matches('/');
    let version = reference.place.version.as_ref();
    let version = version.map_or_else(String::new, |version| format!("?version={version}"));
    let url = format!("{address}/v1/{mount}/data/{path}{version}");
    let namespace = given(&reader.env, "VAULT_NAMESPACE");
    let make = || {
        let get = reader.http.get(&url).map_err(|error| {
            SecretError::new(
                format!("`{text}`: VAULT_ADDR: {error}"),
                "such as https://vault.example.com:8200",
            )
        })?;
        let mut get = get
            .header("x-vault-token", token.expose().trim())
            .header("x-vault-request", "true");
        if let Some(namespace) = &namespace {
            get = get.header("x-vault-namespace", namespace);
        }
        Ok(get)
    };
    let (status, body) = reader.call(reference, make).await?;
    let remedy = match status {
        200 => {
            let answer: Option<Answer> = serde_json::from_slice(&body).ok();
            return answer
                .and_then(|answer| answer.data.data)
                .map(Found::Fields)
                .ok_or_else(|| {
                    SecretError::new(
                        format!("`{text}`: Vault's answer holds no secret"),
                        "the mount must be a KV engine of version 2, and the version not deleted",
                    )
                });
        }
        403 => "the token must be valid and its policy allow read on {mount}/data/{path}",
        404 => "the mount must be a KV engine of version 2 and hold this path in this version",
        _ => "look at Vault's log",
    };
    let remedy = remedy.replace("{mount}", mount).replace("{path}", path);
    Err(SecretError::new(
        format!("`{text}`: Vault answers {status}"),
        remedy,
    ))
}
