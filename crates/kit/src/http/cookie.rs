//! Cookies: the `Cookie` header read strictly, and `Set-Cookie` written with the attributes every cookie of ours has (RFC 6265).
//!
//! A cookie does not say who set it: a neighbouring subdomain, or another port of the same host, can add one of the same name,
//! and which of the two a server sees first is up to the attacker. So a name that stands there twice is read as absent.

use std::fmt::{self, Write as _};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, header};
use zeroize::Zeroize as _;

/// How many cookies are read. Browsers keep fewer than 200 for a host.
const MAX_COOKIES: usize = 256;

/// The cookies of a request, those that are well-formed. Their values are credentials: `Debug` shows only names, and they are
/// wiped when dropped.
#[derive(Default)]
pub struct Cookies(Vec<(String, String)>);

/// A cookie to set: `HttpOnly` and `SameSite=Lax`, for this host alone (no `Domain`).
#[derive(Clone, Copy)]
pub struct SetCookie<'a> {
    /// Its name, a token. One that begins with `__Host-` demands `secure` and the path `/`.
    pub name: &'a str,
    /// Its value; empty with a `max_age` of zero deletes it.
    pub value: &'a str,
    /// Whether it travels over TLS only.
    pub secure: bool,
    /// How long the browser keeps it, in whole seconds; `None` until it is closed.
    pub max_age: Option<Duration>,
    /// The path it is sent to.
    pub path: &'a str,
}

/// Why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetCookie {
    /// The name is not a token, or its `__Host-` promises what the other fields break.
    #[error("the cookie's name is not a token, or promises what the cookie does not keep")]
    Name,
    /// The value has a character that may not stand there.
    #[error("the cookie's value has a character that may not stand in one")]
    Value,
    /// The path does not begin with `/`, or has a character that may not stand there.
    #[error("the cookie's path does not begin with / or has a character that may not stand in one")]
    Path,
}

impl Cookies {
    /// Reads every `Cookie` header; HTTP/2 may split one into several (RFC 9113 section 8.2.3). A pair that breaks the grammar of
    /// RFC 6265 section 4.2.1 is skipped, quoted values among them, since nobody here writes them. More than 256 cookies are
    /// none: a repeated name could hide behind any bound.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::COOKIE).iter();
        let pairs = values.flat_map(|value| value.as_bytes().split(|b| *b == b';'));
        let mut cookies = Self::default();
        for (name, value) in pairs.filter_map(pair) {
            if cookies.0.len() == MAX_COOKIES {
                return Self::default();
            }
            cookies.0.push((name.to_owned(), value.to_owned()));
        }
        cookies
    }

    /// The value of a cookie; `None` also where the name stands there twice.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// The names, as often as they stand there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Drop for Cookies {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl SetCookie<'_> {
    /// The value of the `Set-Cookie` header.
    ///
    /// # Errors
    /// Every [`InvalidSetCookie`].
    pub fn header_value(&self) -> Result<HeaderValue, InvalidSetCookie> {
        let for_host = self.name.starts_with("__Host-");
        if !is_token(self.name.as_bytes()) || (for_host && !(self.secure && self.path == "/")) {
            return Err(InvalidSetCookie::Name);
        }
        if !self.value.bytes().all(is_octet) {
            return Err(InvalidSetCookie::Value);
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
            return Err(InvalidSetCookie::Path);
        }
        let mut text = format!("{}={}; Path={}; HttpOnly; SameSite=Lax", self.name, self.value, self.path);
        if self.secure {
            text.push_str("; Secure");
        }
        if let Some(age) = self.max_age {
            let _ = write!(text, "; Max-Age={}", age.as_secs());
        }
        let mut header = HeaderValue::try_from(text).map_err(|_| InvalidSetCookie::Value)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl fmt::Debug for SetCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A `cookie-pair`, without the space before it.
fn pair(bytes: &[u8]) -> Option<(&str, &str)> {
    let bytes = bytes.trim_ascii();
    let at = bytes.iter().position(|b| *b == b'=')?;
    let (name, value) = (&bytes[..at], &bytes[at + 1..]);
    let well_formed = is_token(name) && value.iter().copied().all(is_octet);
    if well_formed { Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?)) } else { None }
}

/// `token` of RFC 9110 section 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// `cookie-octet`: no control character, space, quote, comma, semicolon or backslash.
fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(headers: &[&[u8]]) -> Cookies {
        let values = headers.iter().map(|value| HeaderValue::from_bytes(value).expect("a header"));
        Cookies::from_headers(&values.map(|value| (header::COOKIE, value)).collect())
    }

    #[test]
    fn cookies_are_read_from_one_header_or_several() {
        let cookies = cookies(&[b"a=1; b=x=y==;c=", b" d=4"]);
        let read = ["a", "b", "c", "d", "e", "A"].map(|name| cookies.value(name));
        assert_eq!(read, [Some("1"), Some("x=y=="), Some(""), Some("4"), None, None]);
    }

    #[test]
    fn a_name_that_stands_there_twice_is_absent() {
        for headers in [&[&b"s=good; s=evil"[..]][..], &[b"s=good", b"s=evil"], &[b"s=good; s=good"], &[b"s=; s=good"]]
        {
            assert_eq!(cookies(headers).value("s"), None, "{headers:?}");
        }
    }

    #[test]
    fn malformed_pairs_are_skipped_and_the_others_read() {
        let cookies = cookies(&[b"=s; s; x y=1; a=\"q\"; b=\xff; c=1,2; d=a b; \xc3\xa9=1; e=\\; s=good; ;"]);
        assert_eq!(cookies.names().collect::<Vec<_>>(), ["s"]);
        assert_eq!(cookies.value("s"), Some("good"));
    }

    #[test]
    fn a_repeated_name_cannot_hide_behind_the_bound() {
        let many = vec!["x=1"; MAX_COOKIES].join("; ");
        assert_eq!(cookies(&[b"s=evil", many.as_bytes(), b"s=good"]).value("s"), None);
    }

    #[test]
    fn debug_shows_names_only() {
        assert_eq!(format!("{:?}", cookies(&[b"s=hunter2"])), "{\"s\"}");
        let cookie = SetCookie { name: "s", value: "hunter2", secure: true, max_age: None, path: "/" };
        assert!(!format!("{cookie:?} {:?}", cookie.header_value()).contains("hunter2"));
    }

    #[test]
    fn a_cookie_is_written_with_what_protects_it() {
        let mut cookie = SetCookie { name: "__Host-s", value: "abc", secure: true, max_age: None, path: "/" };
        assert_eq!(cookie.header_value().expect("valid"), "__Host-s=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
        cookie =
            SetCookie { name: "s", secure: false, max_age: Some(Duration::from_millis(1500)), path: "/a", ..cookie };
        assert_eq!(cookie.header_value().expect("valid"), "s=abc; Path=/a; HttpOnly; SameSite=Lax; Max-Age=1");
    }

    #[test]
    fn a_cookie_that_would_say_more_than_it_should_is_not_written() {
        use InvalidSetCookie as Bad;
        let good = SetCookie { name: "s", value: "abc", secure: true, max_age: None, path: "/" };
        for (bad, why) in [
            (SetCookie { name: "", ..good }, Bad::Name),
            (SetCookie { name: "s=x", ..good }, Bad::Name),
            (SetCookie { name: "__Host-s", secure: false, ..good }, Bad::Name),
            (SetCookie { name: "__Host-s", path: "/a", ..good }, Bad::Name),
            (SetCookie { value: "a; Domain=evil.example", ..good }, Bad::Value),
            (SetCookie { value: "a\r\nX: y", ..good }, Bad::Value),
            (SetCookie { path: "", ..good }, Bad::Path),
            (SetCookie { path: "/;Domain=evil.example", ..good }, Bad::Path),
        ] {
            assert_eq!(bad.header_value(), Err(why), "{bad:?}");
        }
    }
}
