//! Style, script and icon: embedded, named by their content, kept by browsers for a year.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use florin_platform::http::auth::Access;
use florin_platform::http::json::Path;
use florin_platform::http::limit::LimitClass;
use florin_platform::http::problem::Problem;
use florin_platform::http::router::{RouteSpec, Routes};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use ring::digest;

use crate::Console;
use crate::reply::guarded;

/// An embedded file.
pub struct Asset {
    /// Name with the digest of its content.
    pub name: String,
    /// Where pages find it.
    pub path: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, content: &'static str) -> Self {
        let digest = digest::digest(&digest::SHA256, content.as_bytes());
        let digest = hex::encode(&digest.as_ref()[..8]);
        let name = format!("{stem}.{digest}.{ending}");
        Self {
            path: format!("{}/assets/{name}", crate::BASE),
            name,
            kind,
            content,
        }
    }
}

/// The one style sheet.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = concat!(
        include_str!("base.css"),
        include_str!("parts.css"),
        include_str!("charts.css")
    );
    Asset::new("florin", "css", "text/css; charset=utf-8", content)
});

/// The one script.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let kind = "text/javascript; charset=utf-8";
    Asset::new("florin", "js", kind, include_str!("florin.js"))
});

/// The icon.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// The route of all files.
pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let spec = RouteSpec::get("/console/assets/{name}", Access::Public)
        .class(LimitClass::None)
        .undocumented();
    routes.route(spec, serve)
}

async fn serve(Path(name): Path<String>) -> Result<Response, Problem> {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let found = all.into_iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(|| {
        Problem::not_found("asset_not_found", "There is no such file in this version.")
    })?;
    let mut response = Response::new(Body::from(asset.content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, kept);
    Ok(guarded(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_small_and_load_nothing() {
        let all = [&*STYLE, &*SCRIPT, &*ICON];
        let weight: usize = all.iter().map(|asset| asset.content.len()).sum();
        assert!(weight < 80_000, "{weight} bytes");
        for asset in all {
            for word in ["@import", "http://", "https://", "eval(", "innerHTML"] {
                let found = asset.content.replace("http://www.w3.org/2000/svg", "");
                assert!(!found.contains(word), "{word} in {}", asset.name);
            }
        }
    }
}
