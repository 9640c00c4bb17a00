//! References against fakes that check what they are asked, and against moto's Secrets Manager
//! where that is installed.

mod fake;

use base64::Engine as _;
use florin_base::clock::ManualClock;
use serde_json::json;

use super::*;
use crate::testing::moto::TestMoto;
use fake::{Asked, Fake};

/// 2015-08-30T12:36:00Z, the time of AWS's published signatures.
const NOW: i64 = 1_440_938_160_000_000;

fn env(pairs: &[(&str, &str)]) -> Env {
    let pairs: BTreeMap<String, String> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Arc::new(move |name| pairs.get(name).cloned())
}

async fn read(text: &str, pairs: &[(&str, &str)]) -> Result<String, SecretError> {
    let reference = Reference::parse(text)?.expect("a reference");
    let clock = Arc::new(ManualClock::new(NOW));
    let mut reader = Reader::new(env(pairs), clock)?;
    Ok(reader.read(&reference).await?.into_inner())
}

/// The keys of AWS's published test suite.
const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    ),
    ("AWS_REGION", "us-east-1"),
];

/// What a right signature of this call would be, made from its own parts.
fn signature_is_right(asked: &Asked, key: &str, secret: &str, token: Option<&str>) -> bool {
    let target = asked.header("x-amz-target");
    let content = asked.header("content-type");
    let request = Signable {
        method: "POST",
        host: asked.header("host"),
        path: &asked.path,
        query: &[],
        headers: &[("content-type", content), ("x-amz-target", target)],
        body: &asked.body,
        region: "us-east-1",
        service: "secretsmanager",
    };
    let signed = sign(&request, &Credentials::new(key, secret, token), NOW);
    signed
        .iter()
        .all(|(name, value)| asked.header(name) == value)
}

#[test]
fn references_are_read_and_wrong_ones_refused() {
    let parse = |text: &str| Reference::parse(text);
    assert_eq!(parse("plain text"), Ok(None));
    assert_eq!(parse("env:NAME"), Ok(None));
    let whole = parse("aws-secretsmanager://florin/prod/db#password?AWSPREVIOUS");
    let whole = whole.expect("valid").expect("a reference");
    assert_eq!(whole.place.name, "florin/prod/db");
    assert_eq!(whole.key.as_deref(), Some("password"));
    assert_eq!(whole.place.version.as_deref(), Some("AWSPREVIOUS"));
    let arn = "aws-secretsmanager://arn:aws:secretsmanager:eu-west-1:000000000000:secret:a-AbCdEf";
    assert!(parse(arn).expect("valid").is_some());
    for wrong in [
        "aws-secretsmanager://",
        "aws-secretsmanager://#key",
        "aws-secretsmanager://a#",
        "aws-secretsmanager://a?",
        "aws-secretsmanager://a b",
        "vault://secret#key",
        "vault://secret/path",
        "vault://secret/../sys#key",
        "vault://secret//x#key",
    ] {
        let error = parse(wrong).expect_err(wrong);
        assert!(error.remedy.contains("the form is"), "{error:?}");
    }
}

#[tokio::test]
async fn secrets_manager_is_asked_with_a_right_signature() {
    let fake = Fake::start(|_| {
        (
            200,
            json!({"SecretString": "{\"password\":\"p1\",\"port\":5432}"}),
        )
    })
    .await;
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL", &fake.url));
    let reference = "aws-secretsmanager://florin/db#password?AWSPREVIOUS";
    assert_eq!(read(reference, &pairs).await.as_deref(), Ok("p1"));
    assert_eq!(
        read("aws-secretsmanager://florin/db#port", &pairs)
            .await
            .as_deref(),
        Ok("5432")
    );
    let asked = fake.asked();
    assert_eq!(
        asked[0].header("x-amz-target"),
        "secretsmanager.GetSecretValue"
    );
    assert_eq!(
        asked[0].json(),
        json!({"SecretId": "florin/db", "VersionStage": "AWSPREVIOUS"})
    );
    assert_eq!(asked[1].json(), json!({"SecretId": "florin/db"}));
    let (key, secret) = (KEYS[0].1, KEYS[1].1);
    assert!(signature_is_right(&asked[0], key, secret, None));
    assert!(
        !signature_is_right(&asked[0], key, "another", None),
        "the check can fail"
    );
}

#[tokio::test]
async fn binary_secrets_and_version_ids_work() {
    let binary = base64::engine::general_purpose::STANDARD.encode("from bytes");
    let fake = Fake::start(move |_| (200, json!({"SecretBinary": binary}))).await;
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL_SECRETS_MANAGER", &fake.url));
    let id = "11111111-2222-3333-4444-555555555555";
    let text = format!("aws-secretsmanager://s?{id}");
    assert_eq!(read(&text, &pairs).await.as_deref(), Ok("from bytes"));
    assert_eq!(fake.asked()[0].json()["VersionId"], id);
}

#[tokio::test]
async fn refusals_name_reference_cause_and_remedy_and_no_secret() {
    let cases = [
        ("ResourceNotFoundException", "make the secret"),
        (
            "AccessDeniedException",
            "allow secretsmanager:GetSecretValue",
        ),
        (
            "com.amazon#InvalidSignatureException",
            "look at them, and at the clock",
        ),
    ];
    for (kind, remedy) in cases {
        let fake = Fake::start(move |_| (400, json!({"__type": kind, "Message": "hunter2"}))).await;
        let mut pairs = KEYS.to_vec();
        pairs.push(("AWS_ENDPOINT_URL", &fake.url));
        let error = read("aws-secretsmanager://florin/db", &pairs)
            .await
            .expect_err("refused");
        assert!(
            error
                .what
                .starts_with("`aws-secretsmanager://florin/db`: Secrets Manager answers 400"),
            "{error}"
        );
        assert!(error.remedy.contains(remedy), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let fake = Fake::start(|_| (200, json!({"SecretString": "hunter2"}))).await;
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL", &fake.url));
    let error = read("aws-secretsmanager://florin/db#x", &pairs)
        .await
        .expect_err("no object");
    assert!(error.what.contains("no JSON object") && !format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn an_overloaded_store_is_asked_again_and_an_absent_one_told() {
    let fake = Fake::start(|number| match number {
        0 => (500, json!({})),
        1 => (429, json!({})),
        _ => (200, json!({"SecretString": "late"})),
    })
    .await;
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL", &fake.url));
    assert_eq!(
        read("aws-secretsmanager://s", &pairs).await.as_deref(),
        Ok("late")
    );
    assert_eq!(fake.asked().len(), 3);
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:1"));
    let error = read("aws-secretsmanager://s", &pairs)
        .await
        .expect_err("away");
    assert!(error.what.contains("no connection"), "{error}");
}

#[tokio::test]
async fn ecs_and_pod_identity_credentials_are_taken_from_the_endpoint() {
    let keys = json!({"AccessKeyId": "ASIAX", "SecretAccessKey": "sec", "Token": "tok", "Expiration": "2030-01-01T00:00:00Z"});
    let endpoint = Fake::start(move |_| (200, keys.clone())).await;
    let store = Fake::start(|_| (200, json!({"SecretString": "v"}))).await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "pod-token\n").expect("written");
    let url = format!("{}/v1/credentials", endpoint.url);
    let pairs = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            file.to_str().expect("UTF-8"),
        ),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &store.url),
    ];
    assert_eq!(
        read("aws-secretsmanager://s", &pairs).await.as_deref(),
        Ok("v")
    );
    assert_eq!(endpoint.asked()[0].path, "/v1/credentials");
    assert_eq!(endpoint.asked()[0].header("authorization"), "pod-token");
    let asked = &store.asked()[0];
    assert_eq!(asked.header("x-amz-security-token"), "tok");
    assert!(signature_is_right(asked, "ASIAX", "sec", Some("tok")));
    // A token must not be sent to just any host.
    let stranger = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://203.0.113.9/c"),
        ("AWS_REGION", "us-east-1"),
    ];
    let error = read("aws-secretsmanager://s", &stranger)
        .await
        .expect_err("refused");
    assert!(error.what.contains("not one for credentials"), "{error}");
}

#[tokio::test]
async fn an_instance_is_asked_through_a_session() {
    let imds = Fake::answering(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", "/latest/api/token") => (200, "session".into()),
        (_, _) if asked.header("x-aws-ec2-metadata-token") != "session" => (401, "".into()),
        ("GET", "/latest/meta-data/iam/security-credentials/") => (200, "florin-role".into()),
        ("GET", "/latest/meta-data/iam/security-credentials/florin-role") => (
            200,
            json!({"AccessKeyId": "ASIAI", "SecretAccessKey": "sec", "Token": "tok"}).to_string(),
        ),
        _ => (404, "".into()),
    })
    .await;
    let store = Fake::start(|_| (200, json!({"SecretString": "v"}))).await;
    let pairs = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &store.url),
    ];
    assert_eq!(
        read("aws-secretsmanager://s", &pairs).await.as_deref(),
        Ok("v")
    );
    assert_eq!(
        imds.asked()[0].header("x-aws-ec2-metadata-token-ttl-seconds"),
        "60"
    );
    assert!(signature_is_right(
        &store.asked()[0],
        "ASIAI",
        "sec",
        Some("tok")
    ));
    let off = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "us-east-1"),
    ];
    let error = read("aws-secretsmanager://s", &off)
        .await
        .expect_err("none");
    assert!(
        error
            .remedy
            .contains("give the task, pod or instance a role"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_keys() {
    let sts = Fake::answering(|_| {
        let keys = "<AccessKeyId>ASIAW</AccessKeyId><SecretAccessKey>sec</SecretAccessKey><SessionToken>tok</SessionToken>";
        (200, format!("<R><Credentials>{keys}</Credentials></R>"))
    })
    .await;
    let store = Fake::start(|_| (200, json!({"SecretString": "v"}))).await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "head.body.sig").expect("written");
    let pairs = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("UTF-8")),
        ("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/florin"),
        ("AWS_ROLE_SESSION_NAME", "florin"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_STS", &sts.url),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &store.url),
    ];
    assert_eq!(
        read("aws-secretsmanager://s", &pairs).await.as_deref(),
        Ok("v")
    );
    let asked = &sts.asked()[0];
    assert_eq!(asked.header("authorization"), "", "the call is not signed");
    let body = String::from_utf8(asked.body.clone()).expect("UTF-8");
    let expected = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fflorin&RoleSessionName=florin&WebIdentityToken=head.body.sig";
    assert_eq!(body, expected);
    assert!(signature_is_right(
        &store.asked()[0],
        "ASIAW",
        "sec",
        Some("tok")
    ));
    let sts = Fake::answering(|_| (403, "<E><Code>AccessDenied</Code></E>".into())).await;
    let mut refused = pairs;
    refused[4].1 = &sts.url;
    let error = read("aws-secretsmanager://s", &refused)
        .await
        .expect_err("refused");
    assert!(error.what.contains("403 AccessDenied"), "{error}");
}

#[tokio::test]
async fn vault_is_asked_for_kv_version_two() {
    let vault = Fake::start(|_| {
        (
            200,
            json!({"data": {"data": {"password": "p2"}, "metadata": {"version": 3}}}),
        )
    })
    .await;
    let pairs = [
        ("VAULT_ADDR", vault.url.as_str()),
        ("VAULT_TOKEN", "t0k"),
        ("VAULT_NAMESPACE", "team"),
    ];
    assert_eq!(
        read("vault://secret/florin/db#password?3", &pairs)
            .await
            .as_deref(),
        Ok("p2")
    );
    let asked = &vault.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("GET", "/v1/secret/data/florin/db?version=3")
    );
    assert_eq!(asked.header("x-vault-token"), "t0k");
    assert_eq!(asked.header("x-vault-namespace"), "team");
    let error = read("vault://secret/florin/db#user", &pairs)
        .await
        .expect_err("no such key");
    assert!(error.what.contains("no such key"), "{error}");
    let closed = Fake::start(|_| (403, json!({"errors": ["permission denied"]}))).await;
    let pairs = [("VAULT_ADDR", closed.url.as_str()), ("VAULT_TOKEN", "t0k")];
    let error = read("vault://secret/florin/db#password", &pairs)
        .await
        .expect_err("refused");
    assert!(
        error.remedy.contains("read on secret/data/florin/db"),
        "{error:?}"
    );
    let error = read("vault://secret/florin/db#password", &[])
        .await
        .expect_err("unknown");
    assert!(error.remedy.contains("VAULT_ADDR"), "{error:?}");
}

#[tokio::test]
async fn a_secret_with_several_keys_is_asked_for_once() {
    let fake = Fake::start(|_| (200, json!({"SecretString": "{\"a\":\"1\",\"b\":\"2\"}"}))).await;
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL", &fake.url));
    let references = ["aws-secretsmanager://s#a", "aws-secretsmanager://s#b"]
        .map(|text| Reference::parse(text).expect("valid").expect("a reference"));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    let env = env(&pairs);
    let read = tokio::task::spawn_blocking(move || read_all(&references, env, clock));
    let secrets = read.await.expect("ends").expect("read");
    let texts: Vec<String> = secrets.into_iter().map(Secret::into_inner).collect();
    assert_eq!(texts, ["1", "2"]);
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn moto_gives_what_was_put_into_it() {
    let Some(server) = TestMoto::start() else {
        return;
    };
    let url = server.url();
    let mut pairs = KEYS.to_vec();
    pairs.push(("AWS_ENDPOINT_URL", url));
    let name = format!(
        "florin/{}",
        hex::encode(&florin_base::IdSource::random_32()[..6])
    );
    let body = json!({"Name": name, "SecretString": "{\"password\":\"p3\"}", "ClientRequestToken": "11111111-2222-3333-4444-555555555555"});
    crate::http::client::install_crypto();
    let http = reqwest::Client::new();
    let made = http
        .post(url)
        .header("x-amz-target", "secretsmanager.CreateSecret")
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
        .body(body.to_string());
    assert!(made.send().await.expect("answers").status().is_success());
    let text = format!("aws-secretsmanager://{name}#password");
    assert_eq!(read(&text, &pairs).await.as_deref(), Ok("p3"));
    let absent = read("aws-secretsmanager://florin/absent", &pairs).await;
    assert!(
        absent
            .expect_err("absent")
            .remedy
            .contains("make the secret")
    );
}
