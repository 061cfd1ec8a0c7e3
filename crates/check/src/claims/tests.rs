use super::*;
use proptest::prelude::*;
use serde_json::json;
use tessera_types::Epoch;

fn claims(profile: ClaimsProfile) -> AccessClaims {
    AccessClaims {
        profile,
        issuer: "http://127.0.0.1:6400".into(),
        subject: "demo-service".into(),
        audience: match profile {
            ClaimsProfile::Rfc9068 => vec!["demo-resource".parse().expect("valid")],
            ClaimsProfile::Legacy => Vec::new(),
        },
        client: "demo-service".parse().expect("valid"),
        scopes: "orders:read orders:write".parse().expect("valid"),
        issued: Timestamp(1000),
        not_before: Timestamp(997),
        expires: Timestamp(1900),
        token: TokenId([7; 16]),
        rev: Revision { epoch: Epoch(0xabc), number: 12 },
        grant: None,
        username: None,
    }
}

fn wire(profile: ClaimsProfile) -> Map<String, Value> {
    serde_json::from_str(&claims(profile).to_json()).expect("an object")
}

fn parse(profile: ClaimsProfile, wire: &Map<String, Value>) -> Result<AccessClaims, InvalidClaims> {
    AccessClaims::parse(profile, serde_json::to_string(wire).expect("JSON").as_bytes())
}

/// Reads the claims with one of them replaced (`None`: left out).
fn with(profile: ClaimsProfile, name: &str, value: Option<Value>) -> Result<AccessClaims, InvalidClaims> {
    let mut wire = wire(profile);
    match value {
        Some(value) => wire.insert(name.into(), value),
        None => wire.remove(name),
    };
    parse(profile, &wire)
}

#[test]
fn the_default_profile_is_written_as_rfc_9068_says() {
    assert_eq!(
        Value::Object(wire(ClaimsProfile::Rfc9068)),
        json!({
            "iss": "http://127.0.0.1:6400", "sub": "demo-service", "aud": "demo-resource", "client_id": "demo-service",
            "scope": "orders:read orders:write", "iat": 1000, "nbf": 997, "exp": 1900,
            "jti": "BwcHBwcHBwcHBwcHBwcHBw", "rev": "0000000000000abc.12",
        })
    );
}

#[test]
fn the_legacy_profile_is_written_as_shop_systems_read_it() {
    assert_eq!(
        Value::Object(wire(ClaimsProfile::Legacy)),
        json!({
            "iss": "http://127.0.0.1:6400", "sub": "", "aud": "demo-service", "client_id": "demo-service",
            "scope": "orders:read orders:write", "scopes": ["orders:read", "orders:write"], "iat": 1000, "nbf": 997,
            "exp": 1900, "jti": "BwcHBwcHBwcHBwcHBwcHBw", "rev": "0000000000000abc.12",
        })
    );
}

#[test]
fn no_scope_is_written_as_the_empty_text() {
    for profile in ClaimsProfile::ALL {
        let bare = AccessClaims { scopes: ScopeSet::empty(), ..claims(*profile) };
        let wire: Map<String, Value> = serde_json::from_str(&bare.to_json()).expect("an object");
        let legacy = *profile == ClaimsProfile::Legacy;
        assert_eq!(wire.get("scope"), Some(&json!("")));
        assert_eq!(wire.get("scopes"), legacy.then(|| json!([])).as_ref());
        assert_eq!(parse(*profile, &wire), Ok(bare));
    }
}

#[test]
fn several_audiences_are_a_list() {
    let both = vec!["a".parse().expect("valid"), "https://b.example/".parse().expect("valid")];
    let many = AccessClaims { audience: both, ..claims(ClaimsProfile::Rfc9068) };
    let wire: Map<String, Value> = serde_json::from_str(&many.to_json()).expect("an object");
    assert_eq!(wire["aud"], json!(["a", "https://b.example/"]));
    assert_eq!(parse(ClaimsProfile::Rfc9068, &wire), Ok(many));
    let one = with(ClaimsProfile::Rfc9068, "aud", Some(json!(["a"]))).expect("a list of one");
    assert_eq!(one.aud().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn every_claim_but_scope_gid_and_username_is_mandatory() {
    for profile in ClaimsProfile::ALL {
        for name in wire(*profile).keys() {
            let read = with(*profile, name, None);
            if *profile == ClaimsProfile::Rfc9068 && name == "scope" {
                assert!(read.is_ok_and(|claims| claims.scopes.is_empty()));
            } else {
                assert!(read.is_err(), "{profile} {name}");
            }
        }
    }
}

#[test]
fn a_claim_of_the_wrong_type_refuses_the_token() {
    let wrong = [
        json!(null),
        json!(true),
        json!(1.5),
        json!({}),
        json!({ "a": 1 }),
        json!([[]]),
        json!([1]),
        json!(["a", 1]),
        json!([]),
    ];
    for profile in ClaimsProfile::ALL {
        let mut names: Vec<String> = wire(*profile).keys().cloned().collect();
        names.extend(["gid".into(), "username".into()]);
        for name in &names {
            for value in &wrong {
                assert!(with(*profile, name, Some(value.clone())).is_err(), "{profile} {name} {value}");
            }
            let swapped = if ["iat", "nbf", "exp"].contains(&&**name) { json!("1900") } else { json!(1900) };
            assert!(with(*profile, name, Some(swapped)).is_err(), "{profile} {name} swapped");
        }
    }
}

#[test]
fn an_expiry_is_a_whole_number() {
    for profile in ClaimsProfile::ALL {
        for name in ["iat", "nbf", "exp"] {
            for bad in [
                "\"1900\"",
                "1900.0",
                "1900.5",
                "1.9e3",
                "19e2",
                "-1",
                "9223372036854775808",
                "1e400",
                "null",
                "[1900]",
            ] {
                let text = claims(*profile).to_json();
                let marker = format!("\"{name}\":");
                let at = text.find(&marker).expect("the claim") + marker.len();
                let end = at + text[at..].find(',').expect("another claim");
                let text = format!("{}{bad}{}", &text[..at], &text[end..]);
                assert!(AccessClaims::parse(*profile, text.as_bytes()).is_err(), "{profile} {name} {bad}");
            }
        }
    }
}

#[test]
fn values_that_are_not_of_their_kind_are_refused() {
    for (name, bad) in [
        ("sub", ""),
        ("client_id", ""),
        ("client_id", "a b"),
        ("aud", ""),
        ("aud", "a b"),
        ("scope", "a\"b"),
        ("jti", "short"),
        ("jti", "BwcHBwcHBwcHBwcHBwcHBx"),
        ("rev", "12"),
        ("rev", "0000000000000abc.012"),
        ("gid", "short"),
    ] {
        assert!(with(ClaimsProfile::Rfc9068, name, Some(json!(bad))).is_err(), "{name} {bad:?}");
    }
}

#[test]
fn a_claim_that_stands_twice_refuses_the_token() {
    for (name, value) in [("exp", "99999"), ("sub", "\"root\""), ("other", "1,\"other\":2")] {
        let text = claims(ClaimsProfile::Rfc9068).to_json();
        let twice = format!("{},\"{name}\":{value}}}", text.trim_end_matches('}'));
        assert_eq!(AccessClaims::parse(ClaimsProfile::Rfc9068, twice.as_bytes()), Err(InvalidClaims::Json), "{name}");
    }
}

#[test]
fn what_is_not_known_is_ignored() {
    assert_eq!(with(ClaimsProfile::Rfc9068, "cnf", Some(json!({ "jkt": "x" }))), Ok(claims(ClaimsProfile::Rfc9068)));
}

#[test]
fn the_legacy_profile_wants_its_own_shape() {
    let legacy = ClaimsProfile::Legacy;
    for (name, value) in [
        ("aud", json!("demo-resource")),
        ("aud", json!(["demo-service"])),
        ("scopes", json!("orders:read orders:write")),
        ("scopes", json!(["orders:read"])),
        ("scopes", json!(["orders:read", "orders:write", "tessera.admin"])),
        ("scope", json!("tessera.admin")),
        ("client_id", json!("other-client")),
        ("resource", json!(["demo-resource"])),
        ("resource", json!("two words")),
    ] {
        assert!(with(legacy, name, Some(value.clone())).is_err(), "{name} {value}");
    }
    assert!(parse(legacy, &wire(ClaimsProfile::Rfc9068)).is_err());
}

#[test]
fn an_empty_legacy_subject_is_the_client_itself() {
    let read = parse(ClaimsProfile::Legacy, &wire(ClaimsProfile::Legacy)).expect("well-formed");
    assert_eq!((read.subject.as_str(), read.user()), ("demo-service", None));
    let person = with(ClaimsProfile::Legacy, "sub", Some(json!("u-1"))).expect("well-formed");
    assert_eq!(person.user(), Some("u-1"));
    assert_eq!(person.aud().collect::<Vec<_>>(), ["demo-service"]);
}

#[test]
fn the_type_tells_access_tokens_from_other_signed_things() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert_eq!(profile_of(Some(typ)), Some(ClaimsProfile::Rfc9068), "{typ}");
    }
    for typ in ["JWT", "jwt"] {
        assert_eq!(profile_of(Some(typ)), Some(ClaimsProfile::Legacy), "{typ}");
    }
    for typ in
        ["", " at+jwt", "at+jwt ", "at jwt", "id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "jose", "text/at+jwt"]
    {
        assert_eq!(profile_of(Some(typ)), None, "{typ}");
    }
    assert_eq!(profile_of(None), None);
}

fn any_claims() -> impl Strategy<Value = AccessClaims> {
    let texts = ("[!-~]{1,40}", "[!-~é]{1,40}", "[!#-\\[\\]-~]{1,20}( [!#-\\[\\]-~]{1,20}){0,4}");
    let numbers = (0..i64::MAX, 0..i64::MAX, 0..i64::MAX, any::<[u8; 16]>(), any::<u64>(), any::<u64>());
    let others = (any::<bool>(), any::<Option<[u8; 16]>>(), any::<Option<String>>(), any::<bool>());
    (texts, proptest::collection::vec("[!#-\\[\\]-~]{1,30}", 1..4), numbers, others).prop_map(
        |((subject, client, scopes), audience, (iat, nbf, exp, jti, epoch, number), (legacy, gid, username, own))| {
            let profile = if legacy { ClaimsProfile::Legacy } else { ClaimsProfile::Rfc9068 };
            AccessClaims {
                profile,
                issuer: "https://issuer.example/\"é\\".into(),
                subject: if own { client.clone() } else { subject },
                // The legacy profile has one at most.
                audience: audience
                    .iter()
                    .map(|text| text.parse().expect("valid"))
                    .take(if legacy { audience.len() % 2 } else { audience.len() })
                    .collect(),
                client: client.parse().expect("valid"),
                scopes: scopes.parse().expect("valid"),
                issued: Timestamp(iat),
                not_before: Timestamp(nbf),
                expires: Timestamp(exp),
                token: TokenId(jti),
                rev: Revision { epoch: Epoch(epoch), number },
                grant: gid.map(GrantId),
                username,
            }
        },
    )
}

proptest! {
    #[test]
    fn claims_read_back_as_written(claims in any_claims()) {
        prop_assert_eq!(AccessClaims::parse(claims.profile, claims.to_json().as_bytes()), Ok(claims));
    }

    #[test]
    fn any_bytes_are_claims_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for profile in ClaimsProfile::ALL {
            let _ = AccessClaims::parse(*profile, &bytes);
        }
    }
}
