//! A certificate around an RSA key (RFC 5280), for verifiers that take keys in no other form: `x5c` of RFC 7517 section 4.7.
//!
//! It is self-signed and vouches for nothing: who fetches the key set trusts the key for where it comes from. It says nothing but the key
//! and its identifier, and an RSASSA-PKCS1-v1_5 signature has no randomness, so that a key has one certificate, whenever and wherever
//! it is made.

use tessera_types::KeyId;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// `sha256WithRSAEncryption` with its NULL (RFC 4055 section 5), DER.
const SHA256_WITH_RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];

/// `id-at-commonName`, DER.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// Before any key of ours.
const NOT_BEFORE: &[u8] = b"200101000000Z";

/// No end (RFC 5280 section 4.1.2.5): a key ends with its leaving the key set.
const NOT_AFTER: &[u8] = b"99991231235959Z";

/// What is signed: version 1, since there are no extensions (RFC 5280 section 4.1.2.1). `public` is a `SubjectPublicKeyInfo`.
pub(crate) fn unsigned(key: &KeyId, public: &[u8]) -> Vec<u8> {
    let common_name = [COMMON_NAME, &der(UTF8_STRING, key.as_str().as_bytes())].concat();
    let name = der(SEQUENCE, &der(SET, &der(SEQUENCE, &common_name)));
    let validity = [der(UTC_TIME, NOT_BEFORE), der(GENERALIZED_TIME, NOT_AFTER)].concat();
    // The issuer's name is the key's, and it has signed nothing else.
    let serial = der(INTEGER, &[1]);
    der(SEQUENCE, &[&serial, SHA256_WITH_RSA, &name, &der(SEQUENCE, &validity), &name, public].concat())
}

/// The certificate.
pub(crate) fn signed(unsigned: &[u8], signature: &[u8]) -> Vec<u8> {
    let signature = der(BIT_STRING, &[&[0], signature].concat());
    der(SEQUENCE, &[unsigned, SHA256_WITH_RSA, &signature].concat())
}

/// A tag, a length in as few bytes as it takes (X.690 section 10.1), and the contents.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut encoded = vec![tag];
    match length {
        [] => encoded.push(0),
        [short] if *short < 0x80 => encoded.push(*short),
        long => {
            // At most eight bytes.
            encoded.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            encoded.extend_from_slice(long);
        }
    }
    encoded.extend_from_slice(contents);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        assert_eq!(der(INTEGER, &[1]), [2, 1, 1]);
        assert_eq!(der(SEQUENCE, &[]), [0x30, 0]);
        assert_eq!(der(SET, &[7; 127])[..2], [0x31, 127]);
        assert_eq!(der(SET, &[7; 128])[..3], [0x31, 0x81, 128]);
        assert_eq!(der(SET, &[7; 300])[..4], [0x31, 0x82, 1, 44]);
    }
}
