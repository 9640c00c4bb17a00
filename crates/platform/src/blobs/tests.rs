//! One suite for every store: a folder always, S3 where moto is installed.

use std::net::IpAddr;

use florin_base::SystemClock;
use florin_base::clock::ManualClock;
use futures_util::stream;
use sha2::Digest as _;

use super::*;
use crate::http::auth::{Authentication, Authenticator};
use crate::http::client::install_crypto;
use crate::http::guard::{Kit, KitConfig};
use crate::http::router::App;
use crate::testing::moto::TestMoto;

const NOW: i64 = 1_700_000_000_000_000;
const MIB: usize = 1024 * 1024;

/// A store with whatever it needs to live.
struct Rig {
    blobs: Blobs,
    /// Decides when signed URLs of a folder end.
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
    _server: Option<TestMoto>,
}

fn key(text: &str) -> Key {
    Key::parse(text).expect("a key")
}

/// Nobody has a credential.
struct Nobody;

impl Authenticator for Nobody {
    fn authenticate<'a>(&'a self, _: &'a http::HeaderMap, _: IpAddr) -> Authentication<'a> {
        unreachable!("signed URLs are public")
    }
}

/// A folder whose signed URLs are served.
async fn directory() -> Rig {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(NOW));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let settings = BlobSettings::default();
    let path = folder.path().join("blobs");
    let blobs = open(&settings, &path, &[7; 32], &url, clock.clone()).expect("opens");
    let kit = Kit::new(KitConfig::default()).with_authenticator(Arc::new(Nobody));
    let app = App::builder(kit)
        .mount(api::routes().bind(Arc::new(blobs.clone())))
        .build()
        .expect("routes");
    let router = app.router();
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    Rig {
        blobs,
        clock,
        _folder: folder,
        _server: None,
    }
}

/// A bucket of its own, when there is a server.
#[cfg(feature = "s3")]
async fn bucket() -> Option<Rig> {
    let server = TestMoto::start()?;
    let endpoint = server.url().to_owned();
    let name = format!(
        "t-{}",
        hex::encode(&florin_base::IdSource::random_32()[..8])
    );
    install_crypto();
    let made = reqwest::Client::new().put(format!("{endpoint}/{name}"));
    assert!(made.send().await.expect("answers").status().is_success());
    let settings = BlobSettings {
        url: format!("s3://{name}/some/prefix"),
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        path_style: true,
        checksums: false,
    };
    let builder = object_store::aws::AmazonS3Builder::new()
        .with_access_key_id("AKIDEXAMPLE")
        .with_secret_access_key("secret");
    let clock = Arc::new(ManualClock::new(NOW));
    let (bucket, prefix) = settings.bucket().expect("valid").expect("a bucket");
    let store = S3Store::with(builder, &settings, bucket, prefix, clock.clone()).expect("opens");
    Some(Rig {
        blobs: Blobs::new(store),
        clock,
        _folder: tempfile::tempdir().expect("a folder"),
        _server: Some(server),
    })
}

#[cfg(not(feature = "s3"))]
async fn bucket() -> Option<Rig> {
    crate::testing::process::skipped("built without the feature s3");
    None
}

/// Runs one test of the suite on every store.
macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        mod directory_keeps {
            $(#[tokio::test] async fn $test() { super::$test(super::directory().await).await; })*
        }
        mod s3_keeps {
            $(#[tokio::test] async fn $test() {
                if let Some(rig) = super::bucket().await { super::$test(rig).await; }
            })*
        }
    };
}

suite!(
    what_is_put_can_be_read,
    creating_succeeds_once,
    pieces_become_one_blob,
    lists_are_ordered_and_go_on,
    what_is_deleted_is_gone,
    signed_urls_do_one_thing,
);

async fn what_is_put_can_be_read(rig: Rig) {
    let (blobs, a) = (&rig.blobs, key("kyc/1/front.jpg"));
    assert!(matches!(blobs.get(&a, 10).await, Err(BlobError::NotFound(k)) if k == a));
    assert!(matches!(blobs.head(&a).await, Err(BlobError::NotFound(_))));
    let put = Put {
        content_type: Some("image/jpeg".to_owned()),
        ..Put::default()
    };
    blobs.put(&a, "picture", &put).await.expect("put");
    assert_eq!(blobs.get(&a, 7).await.expect("got"), "picture");
    assert!(matches!(
        blobs.get(&a, 6).await,
        Err(BlobError::TooLarge(6))
    ));
    let reading = blobs.read(&a).await.expect("reads");
    assert_eq!(
        (reading.content_type.as_str(), reading.meta.size),
        ("image/jpeg", 7)
    );
    blobs.put(&a, "", &Put::default()).await.expect("replaced");
    assert_eq!(blobs.head(&a).await.expect("there").size, 0);
    assert_eq!(blobs.read(&a).await.expect("reads").content_type, OCTETS);
}

async fn creating_succeeds_once(rig: Rig) {
    let create = Put {
        mode: PutMode::Create,
        ..Put::default()
    };
    let a = key("a/b");
    let racing = (0..8).map(|number| {
        let (blobs, a, create) = (rig.blobs.clone(), a.clone(), create.clone());
        tokio::spawn(async move {
            let put = blobs.put(&a, number.to_string(), &create).await;
            (number, put)
        })
    });
    let mut won = Vec::new();
    for one in racing.collect::<Vec<_>>() {
        match one.await.expect("ends") {
            (number, Ok(())) => won.push(number),
            (_, Err(BlobError::Exists(k))) => assert_eq!(k, a),
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(
        rig.blobs.get(&a, 10).await.expect("got"),
        won[0].to_string()
    );
}

fn pieces(count: usize, size: usize, broken: bool) -> Pieces {
    let piece = move |number: usize| Ok(Bytes::from(vec![number as u8; size]));
    let end = broken.then(|| Err(BlobError::Unavailable("torn".to_owned())));
    stream::iter((0..count).map(piece).chain(end)).boxed()
}

async fn pieces_become_one_blob(rig: Rig) {
    let (blobs, a) = (&rig.blobs, key("large"));
    let put = Put::default();
    // More than one part, and a last one that is not full.
    let size = blobs.put_pieces(&a, pieces(19, MIB, false), &put, 20 * MIB as u64);
    assert_eq!(size.await.expect("put"), 19 * MIB as u64);
    let got = blobs.get(&a, u64::MAX).await.expect("got");
    assert_eq!(got.len(), 19 * MIB);
    assert!((0..19).all(|number| got[number * MIB] == number as u8));
    for (name, given, max) in [
        ("torn", pieces(3, MIB, true), u64::MAX),
        ("torn-large", pieces(12, MIB, true), u64::MAX),
        ("too-large", pieces(3, 10, false), 29),
    ] {
        let b = key(name);
        let failed = blobs.put_pieces(&b, given, &put, max).await;
        match (name, failed) {
            ("too-large", Err(BlobError::TooLarge(29))) => {}
            (_, Err(BlobError::Unavailable(why))) => assert_eq!(why, "torn"),
            (_, other) => panic!("{name}: {other:?}"),
        }
        assert!(
            matches!(blobs.head(&b).await, Err(BlobError::NotFound(_))),
            "{name}"
        );
    }
    let create = Put {
        mode: PutMode::Create,
        ..Put::default()
    };
    let again = blobs.put_pieces(&a, pieces(12, MIB, false), &create, u64::MAX);
    assert!(matches!(again.await, Err(BlobError::Exists(_))));
}

async fn lists_are_ordered_and_go_on(rig: Rig) {
    let blobs = &rig.blobs;
    for name in ["b", "a/2", "a/1", "a.x", "a/1/deep", "ab/1"] {
        // A name can be a folder too in a bucket; in a folder it cannot.
        if name == "a/1/deep" {
            continue;
        }
        blobs
            .put(&key(name), name.to_owned(), &Put::default())
            .await
            .expect("put");
    }
    let names = |found: Vec<Meta>| -> Vec<String> {
        found.iter().map(|meta| meta.key.to_string()).collect()
    };
    let all = blobs.list(None, None, 100).await.expect("lists");
    assert_eq!(names(all), ["a.x", "a/1", "a/2", "ab/1", "b"]);
    let first = blobs.list(None, None, 2).await.expect("lists");
    assert_eq!(names(first), ["a.x", "a/1"]);
    let rest = blobs
        .list(None, Some(&key("a/1")), 100)
        .await
        .expect("lists");
    assert_eq!(names(rest), ["a/2", "ab/1", "b"]);
    let below = blobs.list(Some(&key("a")), None, 100).await.expect("lists");
    assert_eq!(names(below), ["a/1", "a/2"]);
    assert_eq!(
        names(blobs.list(Some(&key("c")), None, 9).await.expect("lists")),
        [] as [&str; 0]
    );
}

async fn what_is_deleted_is_gone(rig: Rig) {
    let (blobs, a) = (&rig.blobs, key("a/b/c"));
    blobs.put(&a, "x", &Put::default()).await.expect("put");
    blobs.delete(&a).await.expect("deleted");
    assert!(matches!(blobs.head(&a).await, Err(BlobError::NotFound(_))));
    blobs.delete(&a).await.expect("a second time is as good");
    assert_eq!(blobs.list(None, None, 9).await.expect("lists"), []);
}

async fn call(signed: &SignedUrl, url: &str, body: &'static str) -> (u16, String) {
    install_crypto();
    let method = signed.method.parse().expect("a method");
    let mut request = reqwest::Client::new().request(method, url).body(body);
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.expect("answers");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn signed_urls_do_one_thing(rig: Rig) {
    let (blobs, a) = (&rig.blobs, key("posters/1.png"));
    let put = Signing::Put {
        lives: SIGNED_PUT,
        content_type: "image/png".to_owned(),
        sha256: Some(sha2::Sha256::digest("picture").into()),
    };
    let signed = blobs.sign(&a, &put).await.expect("signed");
    assert_eq!(signed.expires_at.micros(), NOW + 900_000_000);
    assert_eq!(call(&signed, &signed.url, "picture").await.0, 200);
    let reading = blobs.read(&a).await.expect("there");
    assert_eq!(reading.content_type, "image/png");
    let get = Signing::Get { lives: SIGNED_GET };
    let signed = blobs.sign(&a, &get).await.expect("signed");
    let (status, text) = call(&signed, &signed.url, "").await;
    assert_eq!((status, text.as_str()), (200, "picture"));
    let long = Signing::Get {
        lives: SIGNED_MAX + Duration::from_secs(1),
    };
    assert!(matches!(
        blobs.sign(&a, &long).await,
        Err(BlobError::SignedTooLong)
    ));
}

/// DEP-091 of the deployment contract.
#[tokio::test]
async fn a_signed_url_of_ours_is_good_for_nothing_else() {
    let rig = directory().await;
    let (blobs, a) = (&rig.blobs, key("a"));
    blobs.put(&a, "secret", &Put::default()).await.expect("put");
    blobs
        .put(&key("b"), "other", &Put::default())
        .await
        .expect("put");
    let get = Signing::Get { lives: SIGNED_GET };
    let signed = blobs.sign(&a, &get).await.expect("signed");
    assert_eq!(call(&signed, &signed.url, "").await.0, 200);
    let expires = (NOW / 1_000_000 + 300).to_string();
    let later = (NOW / 1_000_000 + 301).to_string();
    for wrong in [
        signed.url.replace("key=a&", "key=b&"),
        signed.url.replace(&expires, &later),
        signed.url.replace("signature=", "signature=0"),
        format!("{}&type=text%2Fhtml", signed.url),
        format!("{}&expires=1", signed.url),
        signed
            .url
            .split_once("&signature")
            .expect("signed")
            .0
            .to_owned(),
    ] {
        assert_eq!(call(&signed, &wrong, "").await.0, 403, "{wrong}");
    }
    let write = SignedUrl {
        method: "PUT",
        ..signed.clone()
    };
    assert_eq!(
        call(&write, &signed.url, "x").await.0,
        403,
        "it is for reading"
    );
    rig.clock.advance(299_000_000);
    assert_eq!(call(&signed, &signed.url, "").await.0, 200);
    rig.clock.advance(1_000_000);
    assert_eq!(call(&signed, &signed.url, "").await.0, 403, "it has ended");
    assert_eq!(blobs.get(&a, 10).await.expect("there"), "secret");
}

#[tokio::test]
async fn an_upload_must_be_what_was_signed_for() {
    let rig = directory().await;
    let (blobs, a) = (&rig.blobs, key("a"));
    let put = Signing::Put {
        lives: SIGNED_PUT,
        content_type: "image/png".to_owned(),
        sha256: Some(sha2::Sha256::digest("picture").into()),
    };
    let signed = blobs.sign(&a, &put).await.expect("signed");
    assert_eq!(call(&signed, &signed.url, "another").await.0, 400);
    let mut html = signed.clone();
    html.headers[0].1 = "text/html".to_owned();
    assert_eq!(call(&html, &signed.url, "picture").await.0, 403);
    assert!(
        matches!(blobs.head(&a).await, Err(BlobError::NotFound(_))),
        "nothing is kept"
    );
    assert_eq!(call(&signed, &signed.url, "picture").await.0, 200);
    let folder = rig._folder.path().join("blobs/.writing");
    let left = std::fs::read_dir(folder).expect("reads").count();
    assert_eq!(left, 0, "no drafts are left");
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_cleared() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("blobs");
    let open = || {
        let clock = Arc::new(SystemClock);
        open(&BlobSettings::default(), &path, &[7; 32], "http://x", clock).expect("opens")
    };
    let blobs = open();
    blobs
        .put(&key("a"), "x", &Put::default())
        .await
        .expect("put");
    std::fs::write(path.join(".writing/half"), "y").expect("written");
    drop(blobs);
    let blobs = open();
    assert_eq!(
        std::fs::read_dir(path.join(".writing"))
            .expect("reads")
            .count(),
        0
    );
    assert_eq!(blobs.get(&key("a"), 9).await.expect("there"), "x");
}
