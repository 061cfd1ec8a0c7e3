//! `Cookie` headers, a line each. A value holds nothing that ends it, and what is read can be set and reads the same.

use http::{HeaderMap, HeaderValue, header};
use tessera_fuzz::Seeds;
use tessera_kit::http::{Cookies, SetCookie};

const WORDS: &[&[u8]] = &[
    b"; ",
    b";",
    b"=",
    b"__Host-session=",
    b"session=",
    b"\"",
    b"\n",
    b"\t",
    b" ",
    b"\xc3\xa9",
    b",",
    b"\\",
    b"$Path",
];

fn seeds() -> Seeds {
    Seeds::load("cookie", WORDS).expect("seeds")
}

fn property(input: &[u8]) -> bool {
    let values = input.split(|b| *b == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let cookies = Cookies::from_headers(&values.map(|value| (header::COOKIE, value)).collect());
    let names: Vec<&str> = cookies.names().collect();
    for name in &names {
        let once = names.iter().filter(|other| *other == name).count() == 1;
        assert_eq!(cookies.value(name).is_some(), once, "{name}");
        if let Some(value) = cookies.value(name) {
            assert!(!value.contains([';', ',', '"', '\\', ' ']) && !value.contains(|c: char| c.is_control()));
            assert_settable(name, value);
        }
    }
    !names.is_empty()
}

fn assert_settable(name: &str, value: &str) {
    let cookie = SetCookie { name, value, secure: true, max_age: None, path: "/" };
    let set = cookie.header_value().expect("what was read can be set");
    let pair = set.to_str().expect("ASCII").split(';').next().unwrap_or_default();
    let headers: HeaderMap = [(header::COOKIE, pair.parse().expect("a header"))].into_iter().collect();
    assert_eq!(Cookies::from_headers(&headers).value(name), Some(value));
}

tessera_fuzz::target!(an_accepted_cookie_holds_nothing_that_ends_it, seeds(), property);
