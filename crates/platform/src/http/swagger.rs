//! Swagger UI at `/q/swagger-ui`, from files inside the binary: no network, no inflating.
//!
//! The vendored release is a ZIP archive. Its members are raw deflate streams, so that a gzip
//! header and trailer (RFC 1952) around the stored bytes make them servable as they are, with
//! `Content-Encoding: gzip`.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::json::Path;
use super::problem::Problem;

const INDEX: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Florin API</title>
<link rel="stylesheet" href="/q/swagger-ui/swagger-ui.css">
<link rel="icon" type="image/png" href="/q/swagger-ui/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/q/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/q/swagger-ui/start.js"></script>
</body>
</html>
"#;

const START: &str = r##"window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
});
"##;

/// Nothing may be loaded from elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
);

/// Files that the page uses, and their types.
const FILES: [(&str, &str); 3] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

struct Asset {
    content_type: &'static str,
    gzipped: bool,
    bytes: Bytes,
}

static ASSETS: LazyLock<HashMap<&'static str, Asset>> =
    LazyLock::new(|| read_archive(SWAGGER_UI_VENDORED));

/// The page.
pub(super) async fn index() -> Response {
    let mut response = Html(INDEX).into_response();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// A file of the page.
pub(super) async fn asset(Path(file): Path<String>) -> Result<Response, Problem> {
    if file == "start.js" {
        let content_type = HeaderValue::from_static("text/javascript; charset=utf-8");
        return Ok(([(CONTENT_TYPE, content_type)], START).into_response());
    }
    let asset = ASSETS
        .get(file.as_str())
        .ok_or_else(|| Problem::not_found("not_found", "There is no such file."))?;
    let mut response = asset.bytes.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=86400"),
    );
    if asset.gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Reads the ZIP central directory (APPNOTE 6.3, sections 4.3.12 and 4.3.7). What is not
/// understood is left out.
fn read_archive(archive: &'static [u8]) -> HashMap<&'static str, Asset> {
    let mut assets = HashMap::new();
    let mut at = central_directory(archive).unwrap_or(archive.len());
    while let Some(entry) = archive.get(at..).and_then(Entry::read) {
        let name = entry.name.rsplit_once("/dist/").map(|(_, file)| file);
        let known = FILES.iter().find(|(file, _)| Some(*file) == name);
        let root = entry.name.matches('/').count() == 2;
        if let (Some((file, content_type)), true) = (known, root)
            && let Some(asset) = entry.asset(archive, content_type)
        {
            assets.insert(*file, asset);
        }
        at += entry.len;
    }
    assets
}

fn central_directory(archive: &[u8]) -> Option<usize> {
    let end = archive
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")?;
    u32_at(archive, end + 16).map(|offset| offset as usize)
}

struct Entry<'a> {
    method: u16,
    crc: u32,
    compressed: usize,
    size: u32,
    name: &'a str,
    header_at: usize,
    len: usize,
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(b"PK\x01\x02") {
            return None;
        }
        let name_len = usize::from(u16_at(bytes, 28)?);
        let extra = usize::from(u16_at(bytes, 30)?) + usize::from(u16_at(bytes, 32)?);
        Some(Self {
            method: u16_at(bytes, 10)?,
            crc: u32_at(bytes, 16)?,
            compressed: u32_at(bytes, 20)? as usize,
            size: u32_at(bytes, 24)?,
            name: std::str::from_utf8(bytes.get(46..46 + name_len)?).ok()?,
            header_at: u32_at(bytes, 42)? as usize,
            len: 46 + name_len + extra,
        })
    }

    fn asset(&self, archive: &'static [u8], content_type: &'static str) -> Option<Asset> {
        let header = archive.get(self.header_at..)?;
        let skip = usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
        let data = header.get(30 + skip..30 + skip + self.compressed)?;
        let (gzipped, bytes) = match self.method {
            0 => (false, Bytes::from_static(data)),
            8 => (true, gzip(data, self.crc, self.size)),
            _ => return None,
        };
        Some(Asset {
            content_type,
            gzipped,
            bytes,
        })
    }
}

fn gzip(deflated: &[u8], crc: u32, size: u32) -> Bytes {
    let mut bytes = BytesMut::with_capacity(deflated.len() + 18);
    bytes.put_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    bytes.put_slice(deflated);
    bytes.put_u32_le(crc);
    bytes.put_u32_le(size);
    bytes.freeze()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..at + 2)?;
    Some(u16::from_le_bytes([raw[0], raw[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_inside() {
        for (file, _) in FILES {
            let asset = ASSETS.get(file).expect(file);
            let expected: &[u8] = match asset.gzipped {
                true => &[0x1f, 0x8b, 8],
                false => b"\x89PN",
            };
            assert!(asset.bytes.starts_with(expected), "{file}");
        }
        let bundle = &ASSETS["swagger-ui-bundle.js"].bytes;
        let size = u32_at(bundle, bundle.len() - 4).expect("trailer");
        assert!(size > 1_000_000, "{size}");
        for name in ["swagger-ui.css", "swagger-ui-bundle.js", "start.js"] {
            assert!(INDEX.contains(&format!("/q/swagger-ui/{name}")), "{name}");
        }
    }
}
