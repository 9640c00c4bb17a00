//! Cookies in headers (RFC 6265).

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// How long a browser keeps a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Until it is closed.
    Browser,
    /// So many seconds.
    Seconds(u32),
    /// Not at all.
    Gone,
}

/// The values of all cookies of this name.
pub fn read_cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(COOKIE).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(move |(key, value)| (key == name).then_some(value))
}

/// A `Set-Cookie` that scripts cannot read and other sites do not send along with their forms.
/// `secure` cookies belong to the whole host, as their prefix `__Host-` asks for. `None` when a
/// character cannot stand in a cookie.
pub fn set(name: &str, value: &str, life: Life, secure: bool) -> Option<HeaderValue> {
    let path = if secure { "/" } else { crate::BASE };
    let mut text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax");
    if secure {
        text.push_str("; Secure");
    }
    match life {
        Life::Browser => {}
        Life::Seconds(seconds) => text.push_str(&format!("; Max-Age={seconds}")),
        Life::Gone => text.push_str("; Max-Age=0"),
    }
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xa=1; a=2; b=3"));
        headers.append(COOKIE, HeaderValue::from_static("a=4"));
        let found: Vec<_> = read_cookies(&headers, "a").collect();
        assert_eq!(found, ["2", "4"]);
    }
}
