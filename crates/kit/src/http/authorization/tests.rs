use ::http::HeaderValue;

use super::*;

fn basic(pair: &[u8]) -> Result<Credentials, AuthorizationError> {
    match Authorization::parse(format!("Basic {}", STANDARD.encode(pair)).as_bytes())? {
        Authorization::Basic(credentials) => Ok(credentials),
        Authorization::Bearer(_) => panic!("Basic was read as Bearer"),
    }
}

fn bearer(value: &str) -> Result<BearerToken, AuthorizationError> {
    match Authorization::parse(value.as_bytes())? {
        Authorization::Bearer(token) => Ok(token),
        Authorization::Basic(_) => panic!("Bearer was read as Basic"),
    }
}

fn exposed(credentials: &Credentials) -> Option<&str> {
    credentials.secret.as_ref().map(PresentedSecret::expose)
}

#[test]
fn ids_and_secrets_with_colon_percent_plus_and_accents_work() {
    let credentials = basic(b"a%3Ab%25c%2Bd%C3%A9:s%3Ae%25c%2Br%C3%A9t%20").expect("valid");
    assert_eq!(credentials.client_id.as_str(), "a:b%c+dé");
    assert_eq!(exposed(&credentials), Some("s:e%c+rét "));
}

#[test]
fn the_first_colon_splits() {
    let credentials = basic(b"id:se:cr:et").expect("valid");
    assert_eq!(credentials.client_id.as_str(), "id");
    assert_eq!(exposed(&credentials), Some("se:cr:et"));
}

#[test]
fn a_plus_is_a_space_and_unescaped_utf8_is_itself() {
    assert_eq!(exposed(&basic("id:a+bé".as_bytes()).expect("valid")), Some("a bé"));
    assert_eq!(basic(b"i+d:secret").err(), Some(AuthorizationError::Basic), "a client id has no space");
}

#[test]
fn an_empty_secret_is_none() {
    assert!(basic(b"id:").expect("valid").secret.is_none());
    assert!(basic(format!("id:{}", "x".repeat(1025)).as_bytes()).expect("valid").secret.is_none());
}

#[test]
fn malformed_pairs_are_refused() {
    for pair in [&b""[..], b":", b":secret", b"id", b"id:%", b"id:%4", b"id%zz:s", b"id:\xff", b"\xff:s", b"i\0d:s"] {
        assert_eq!(basic(pair).err(), Some(AuthorizationError::Basic), "{pair:?}");
    }
}

#[test]
fn base64_is_read_strictly() {
    for encoded in
        ["aWQ6cw", "aWQ6cw=", "aWQ6cx==", "aWQ6cw== ", "aW Q6cw==", "aWQ6c_==", "aWQ6cw==\n", "!!!!", "====", ""]
    {
        let value = format!("Basic {encoded}");
        assert_eq!(Authorization::parse(value.as_bytes()).err(), Some(AuthorizationError::Basic), "{encoded:?}");
    }
    assert!(Authorization::parse(b"Basic aWQ6cw==").is_ok());
}

#[test]
fn the_scheme_is_case_insensitive() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        assert_eq!(bearer(&format!("{scheme} abc.DEF-_~+/==")).expect("valid").expose(), "abc.DEF-_~+/==");
    }
    for scheme in ["Basic", "basic", "BASIC"] {
        assert!(Authorization::parse(format!("{scheme} aWQ6cw==").as_bytes()).is_ok(), "{scheme}");
    }
}

#[test]
fn malformed_bearer_tokens_are_refused() {
    for value in ["Bearer", "Bearer ", "Bearer =", "Bearer a b", "Bearer a=b", "Bearer a,b", "Bearer \"a\"", "Bearer é"]
    {
        assert_eq!(bearer(value).err(), Some(AuthorizationError::Bearer), "{value}");
    }
}

#[test]
fn other_schemes_are_refused() {
    for value in ["", "Digest x", "Bearerabc", "Basic:aWQ6cw==", "Negotiate", "\tBearer a"] {
        assert_eq!(Authorization::parse(value.as_bytes()).err(), Some(AuthorizationError::Scheme), "{value:?}");
    }
}

#[test]
fn two_headers_are_refused_and_none_is_none() {
    let mut headers = HeaderMap::new();
    assert!(Authorization::from_headers(&headers).expect("no header").is_none());
    headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    assert!(Authorization::from_headers(&headers).expect("one header").is_some());
    headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
    assert_eq!(Authorization::from_headers(&headers).err(), Some(AuthorizationError::Repeated));
}

#[test]
fn debug_shows_no_credential() {
    let shown = format!("{:?} {:?}", basic(b"id:hunter2").expect("valid"), bearer("Bearer hunter2").expect("valid"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn every_advice_may_stand_in_an_error_description() {
    use AuthorizationError as E;
    for error in [E::Repeated, E::Scheme, E::Basic, E::Bearer] {
        assert!(tessera_types::error::is_description(error.advice()), "{error:?}");
    }
}
