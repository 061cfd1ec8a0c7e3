//! The `Authorization` header. Base64 hides from mutation what is in it, so each input is also tried as the pair itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_fuzz::Seeds;
use tessera_kit::http::{Authorization, Credentials, form};

use crate::rewritten::escaped;

const WORDS: &[&[u8]] =
    &[b"Basic ", b"basic  ", b"Bearer ", b":", b"%3A", b"%00", b"%20", b"+", b"=", b"==", b"demo", b"%C3%A9", b"%"];

fn seeds() -> Seeds {
    Seeds::load("basic", WORDS).expect("seeds")
}

fn property(input: &[u8]) -> bool {
    let encoded = STANDARD.encode(input);
    let as_pair = Credentials::parse(encoded.as_bytes());
    if let Ok(credentials) = &as_pair {
        assert_reads_back(credentials, &encoded);
    }
    let as_header = Authorization::parse(input);
    match &as_header {
        Ok(Authorization::Basic(credentials)) => {
            let encoded = input[6..].trim_ascii_start();
            assert_reads_back(credentials, str::from_utf8(encoded).expect("base64 is ASCII"));
        }
        Ok(Authorization::Bearer(token)) => assert!(input.ends_with(token.expose().as_bytes())),
        Err(_) => {}
    }
    as_pair.is_ok() || as_header.is_ok()
}

/// The base64 is the one way to write the pair; the pair, written with every escape, reads as the same credentials.
fn assert_reads_back(credentials: &Credentials, encoded: &str) {
    let pair = STANDARD.decode(encoded).expect("it was accepted");
    assert_eq!(STANDARD.encode(&pair), encoded, "another form of the same base64");
    let colon = pair.iter().position(|b| *b == b':').expect("it was accepted");
    let [id, secret] = [&pair[..colon], &pair[colon + 1..]].map(|half| form::decode(half).expect("it was accepted"));
    assert_eq!(credentials.client_id.as_str(), id);

    let rewritten = STANDARD.encode(format!("{}:{}", escaped(&id), escaped(&secret)));
    let again = Credentials::parse(rewritten.as_bytes()).expect("what was read can be written");
    assert_eq!(again.client_id, credentials.client_id);
    assert_eq!(shown(&again), shown(credentials));
    assert_eq!(shown(credentials), Some(secret.as_str()).filter(|secret| (1..=1024).contains(&secret.len())));
}

/// Secrets do not compare, lest somebody does it in a time that tells something.
fn shown(credentials: &Credentials) -> Option<&str> {
    credentials.secret.as_ref().map(tessera_types::PresentedSecret::expose)
}

tessera_fuzz::target!(accepted_credentials_read_back_as_written, seeds(), property);
