use super::*;

struct Fixed(u8);
impl Randomness for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

fn kek(byte: u8) -> Kek {
    Kek::from_bytes(&[byte; 32]).expect("32 bytes")
}

#[test]
fn signatures_have_the_form_that_jose_wants() {
    for (algorithm, len) in [(Algorithm::Rs256, 256), (Algorithm::Es256, 64), (Algorithm::EdDsa, 64)] {
        let key = SigningKey::generate(algorithm).expect("a key");
        for message in [&b""[..], b"message"] {
            assert_eq!(key.sign(message).expect("signs").len(), len, "{algorithm}");
        }
    }
}

#[test]
fn a_sealed_key_opens_as_the_same_key() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(*algorithm).expect("a key");
        let sealed = key.seal(&kek(1), &Fixed(2)).expect("seals");
        let opened = SigningKey::unseal(*algorithm, key.key_id(), &kek(1).into(), &sealed).expect("opens");
        assert_eq!(opened.key_id(), key.key_id());
        let signature = opened.sign(b"message").expect("signs");
        assert_eq!(key.public().verify(b"message", &signature), Ok(()));
    }
}

#[test]
fn a_sealed_key_does_not_open_in_the_place_of_another() {
    let (one, other) = (generate(), generate());
    let sealed = one.seal(&kek(1), &Fixed(2)).expect("seals");
    let error =
        SigningKey::unseal(Algorithm::EdDsa, other.key_id(), &kek(1).into(), &sealed).expect_err("bound to its id");
    assert!(matches!(error, KeyError::Sealed(SealError::Altered)));
    let error = SigningKey::unseal(Algorithm::EdDsa, one.key_id(), &kek(9).into(), &sealed).expect_err("another kek");
    assert!(matches!(error, KeyError::Sealed(SealError::OtherKek)));
}

#[test]
fn a_key_that_opens_but_is_another_is_refused() {
    let (one, other) = (generate(), generate());
    let der = one.to_pkcs8().expect("DER");
    let sealed = kek(1).seal(&Fixed(2), other.key_id().as_str().as_bytes(), &der).expect("seals");
    let error = SigningKey::unseal(Algorithm::EdDsa, other.key_id(), &kek(1).into(), &sealed).expect_err("another key");
    assert!(matches!(error, KeyError::OtherKey));
}

#[test]
fn bytes_of_another_algorithm_are_refused() {
    let der = generate().to_pkcs8().expect("DER");
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        assert!(matches!(SigningKey::from_pkcs8(algorithm, &der), Err(KeyError::Rejected(_))));
    }
    assert!(SigningKey::from_pkcs8(Algorithm::EdDsa, &der[1..]).is_err());
    assert!(SigningKey::from_pkcs8(Algorithm::EdDsa, &[]).is_err());
}

#[test]
fn debug_shows_no_private_part() {
    let key = generate();
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ public: {:?}, .. }}", key.public()));
}

fn generate() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).expect("a key")
}

#[test]
fn an_rsa_key_has_one_certificate_and_keeps_its_identifier() {
    let key = SigningKey::generate(Algorithm::Rs256).expect("a key");
    let jwk: serde_json::Value = serde_json::from_str(&key.public_jwk()).expect("JSON");
    let certificate = jwk["x5c"][0].as_str().expect("a text");
    let der = STANDARD.decode(certificate).expect("base64, not base64url (RFC 7517 section 4.7)");
    let again = SigningKey::from_pkcs8(Algorithm::Rs256, &key.to_pkcs8().expect("DER")).expect("the key");
    assert_eq!(again.public_jwk(), key.public_jwk(), "made anew it is the same");
    let read = PublicKey::from_jwk(Algorithm::Rs256, &key.public_jwk()).expect("a key");
    assert_eq!((read.key_id(), &read), (key.key_id(), key.public()));
    // The last 256 bytes are its own signature over what comes before them, without the outermost header and the algorithm.
    let (before, signature) = der.split_at(der.len() - 256);
    let length = usize::from(u16::from_be_bytes([before[6], before[7]])) + 4;
    assert_eq!(key.public().verify(&before[4..4 + length], signature), Ok(()));
}

#[test]
fn only_rsa_keys_have_certificates() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).expect("a key");
        assert_eq!(key.public_jwk(), key.public().to_jwk());
    }
}

#[test]
fn no_keys_identifier_passes_for_an_option() {
    for _ in 0..1000 {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        assert!(!key.key_id().as_str().starts_with('-'), "{}", key.key_id());
    }
}
