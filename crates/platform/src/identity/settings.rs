//! The section `auth` of the configuration.

use std::collections::BTreeMap;

use florin_base::Secret;
use serde::Deserialize;

use super::jose::Algorithm;

/// Claim that lists roles where nothing else is configured.
pub const ROLES_CLAIM: &str = "roles";

/// Shortest secret that production accepts, in bytes.
pub const MIN_SECRET_LEN: usize = 32;

/// Who may make an account for himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signup {
    /// Anybody, through `POST /api/v1/auth/signup`.
    Open,
    /// Nobody: administrators make accounts.
    Closed,
}

/// `auth` in the configuration; every member has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Left out: closed in production, open elsewhere.
    pub signup: Option<Signup>,
    /// `iss` of Florin's own tokens: the public URL under which the server is reached, since
    /// `/.well-known/openid-configuration` is found by it.
    pub issuer: String,
    /// `aud` of Florin's own tokens.
    pub audience: String,
    /// Life of an access token.
    pub access_token_seconds: u32,
    /// Life of a refresh token since it was made.
    pub refresh_token_seconds: u32,
    /// Life of a log-in, however often it is refreshed.
    pub session_seconds: u32,
    /// Seed of the signing key, 32 bytes in base64 or hex. Left out: a key file in the data
    /// directory, made on first start and rotated.
    pub signing_key: Option<Secret<String>>,
    /// Seed of the key that will sign after the next change: known before it does.
    pub signing_key_next: Option<Secret<String>>,
    /// Seed of the key that signed before the last change.
    pub signing_key_former: Option<Secret<String>>,
    /// Age at which the key file gets a new key.
    pub signing_key_days: u32,
    /// Cost of passwords.
    pub password: PasswordCost,
    /// Others whose tokens are accepted.
    pub issuers: Vec<IssuerSettings>,
    /// Named sets of permissions, over the built-in ones of the same name. `name` reaches all
    /// objects, `name@own` the caller's own, `role:name` takes in another role.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Life of the token of `POST /auth/token`, which comes without a refresh token.
    pub plain_token_seconds: u32,
    /// Users with passwords exist here; `false` where foreign issuers alone say who calls.
    pub local_users: bool,
    /// Accepts development credentials; set by `--dev-auth` only.
    #[serde(skip)]
    pub dev_auth: bool,
}

/// Argon2id parameters; the defaults are the first choice of the OWASP password storage sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordCost {
    /// Memory per computation, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Computations at the same time; others wait.
    pub concurrent: u32,
}

/// One foreign issuer of tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Exact `iss`; also where discovery starts.
    pub issuer: String,
    /// Accepted values of `aud`.
    pub audiences: Vec<String>,
    /// Where the keys are, instead of discovery.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Accepts tokens under this secret, and no others.
    #[serde(default, alias = "hs256_secret")]
    pub hmac_secret: Option<Secret<String>>,
    /// The one algorithm of that secret: `HS256`, `HS384` or `HS512`.
    #[serde(default = "hs256")]
    pub hmac_algorithm: Algorithm,
    /// Accepted algorithms of published keys.
    #[serde(default = "public_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Claim that names the caller.
    #[serde(default = "sub")]
    pub subject_claim: String,
    /// Claim that owners of wallets are compared with; left out: the subject.
    #[serde(default)]
    pub owner_claim: Option<String>,
    /// Put before subject and owner, so that two issuers cannot speak for the same user.
    #[serde(default)]
    pub subject_prefix: String,
    /// Claim that lists roles; dots look into objects (`realm_access.roles`). With the default,
    /// `roles`, the claim `role` is read too.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// Claim that lists permissions directly; left out: none are taken from the token.
    #[serde(default)]
    pub permissions_claim: Option<String>,
    /// Foreign role names → Florin's. Empty: names are taken as they are.
    #[serde(default)]
    pub role_map: BTreeMap<String, String>,
}

impl Settings {
    /// Configured seeds by the names of their settings, the signing one first.
    pub fn signing_keys(&self) -> Vec<(&'static str, &Secret<String>)> {
        let seeds = [
            ("auth.signing_key", &self.signing_key),
            ("auth.signing_key_next", &self.signing_key_next),
            ("auth.signing_key_former", &self.signing_key_former),
        ];
        let given = seeds
            .into_iter()
            .filter_map(|(name, seed)| Some((name, seed.as_ref()?)));
        given.collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signup: None,
            issuer: "http://localhost:8080".to_owned(),
            audience: "florin".to_owned(),
            access_token_seconds: 15 * 60,
            plain_token_seconds: 3_600,
            refresh_token_seconds: 30 * 86_400,
            session_seconds: 90 * 86_400,
            signing_key: None,
            signing_key_next: None,
            signing_key_former: None,
            signing_key_days: 90,
            password: PasswordCost::default(),
            issuers: Vec::new(),
            roles: BTreeMap::new(),
            local_users: true,
            dev_auth: false,
        }
    }
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            concurrent: 2,
        }
    }
}

impl PasswordCost {
    /// As little work as argon2 allows. For tests only: production refuses it.
    pub const WEAKEST: Self = Self {
        memory_kib: 8,
        iterations: 1,
        parallelism: 1,
        concurrent: 2,
    };
}

fn public_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256]
}

fn sub() -> String {
    "sub".to_owned()
}

fn roles_claim() -> String {
    ROLES_CLAIM.to_owned()
}

fn hs256() -> Algorithm {
    Algorithm::HS256
}

/// Why the server does not start in production (contracts/README.md, "environment").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Full name of the setting.
    pub setting: String,
    /// What is wrong with its value; never the value itself.
    pub why: String,
    /// What to do instead.
    pub fix: String,
    /// False for what is merely worth a warning.
    pub fatal: bool,
}

/// Checks what identity knows of: secrets, development doors, weak passwords, open sign-up
/// (allowed, `fatal: false`).
pub fn production_refusals(settings: &Settings) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut refuse = |fatal: bool, setting: String, why: &str, fix: &str| {
        found.push(Refusal {
            setting,
            why: why.to_owned(),
            fix: fix.to_owned(),
            fatal,
        });
    };
    if settings.dev_auth {
        let fix = "start without --dev-auth";
        refuse(true, "--dev-auth".into(), "it lets anybody in", fix);
    }
    if settings.signup == Some(Signup::Open) {
        let fix = "set it to \"closed\" unless the public may make accounts";
        refuse(
            false,
            "auth.signup".into(),
            "anybody may make an account",
            fix,
        );
    }
    for (name, seed) in settings.signing_keys() {
        if let Some(why) = weakness(seed) {
            let fix =
                "give 32 random bytes in base64, or leave it out for a key made on first start";
            refuse(true, name.into(), why, fix);
        }
    }
    let owasp = PasswordCost::default();
    if settings.password.memory_kib < owasp.memory_kib
        || settings.password.iterations < owasp.iterations
    {
        let fix = "leave it out";
        refuse(
            true,
            "auth.password".into(),
            "passwords are cheaper to guess than allowed",
            fix,
        );
    }
    for issuer in &settings.issuers {
        let name = |member: &str| format!("auth.issuers[{}].{member}", issuer.issuer);
        if let Some(why) = issuer.hmac_secret.as_ref().and_then(weakness) {
            refuse(
                true,
                name("hmac_secret"),
                why,
                "give at least 32 random bytes",
            );
        }
        let plain = |url: &str| url.starts_with("http://");
        let keys = issuer.jwks_url.as_deref().unwrap_or(&issuer.issuer);
        if issuer.hmac_secret.is_none() && plain(keys) {
            let fix = "use an https:// address";
            refuse(
                true,
                name("jwks_url"),
                "keys would be fetched without TLS",
                fix,
            );
        }
    }
    found
}

/// What speaks against a secret, if anything does.
fn weakness(secret: &Secret<String>) -> Option<&'static str> {
    const KNOWN: [&str; 6] = [
        "secret",
        "changeme",
        "change-me",
        "password",
        "example",
        "default",
    ];
    let text = secret.expose();
    let lower = text.to_ascii_lowercase();
    let distinct: std::collections::BTreeSet<char> = text.chars().collect();
    if text.len() < MIN_SECRET_LEN {
        Some("it is shorter than 32 bytes")
    } else if KNOWN.iter().any(|word| lower.contains(word)) {
        Some("it looks like a placeholder")
    } else if distinct.len() < 10 {
        Some("it repeats too few characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_names_each_setting() {
        assert_eq!(production_refusals(&Settings::default()), []);
        let issuer = |secret: Option<&str>| IssuerSettings {
            issuer: "http://idp.example".into(),
            audiences: vec!["florin".into()],
            jwks_url: None,
            hmac_secret: secret.map(|text| Secret::new(text.to_owned())),
            hmac_algorithm: Algorithm::HS256,
            algorithms: public_algorithms(),
            subject_claim: sub(),
            owner_claim: None,
            subject_prefix: String::new(),
            roles_claim: roles_claim(),
            permissions_claim: None,
            role_map: BTreeMap::new(),
        };
        let bad = Settings {
            signup: Some(Signup::Open),
            signing_key: Some(Secret::new("short".into())),
            password: PasswordCost::WEAKEST,
            issuers: vec![
                issuer(Some("changeme-changeme-changeme-changeme-0123")),
                issuer(None),
            ],
            dev_auth: true,
            ..Settings::default()
        };
        let found = production_refusals(&bad);
        let names: Vec<_> = found
            .iter()
            .map(|r| (r.setting.as_str(), r.fatal))
            .collect();
        assert_eq!(
            names,
            [
                ("--dev-auth", true),
                ("auth.signup", false),
                ("auth.signing_key", true),
                ("auth.password", true),
                ("auth.issuers[http://idp.example].hmac_secret", true),
                ("auth.issuers[http://idp.example].jwks_url", true),
            ]
        );
        assert!(
            !format!("{found:?}").contains("changeme-"),
            "no secret is shown"
        );
    }

    #[test]
    fn secrets_are_judged_by_what_they_are() {
        let judge = |text: &str| weakness(&Secret::new(text.to_owned()));
        assert_eq!(judge("q8Jw1rT0zXn5vB7mK3pL9sD2fG6hY4cA"), None);
        assert!(judge(&"a".repeat(64)).is_some());
        assert!(judge("q8Jw1rT0").is_some());
    }
}
