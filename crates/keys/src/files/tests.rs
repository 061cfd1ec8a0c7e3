use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use tempfile::TempDir;

use super::*;

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Two files in a folder, the private one for its owner alone.
struct Pair {
    folder: TempDir,
    files: KeyFiles,
}

impl Pair {
    fn of(private: &str, public: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let files = KeyFiles { private: folder.path().join("private.key"), public: folder.path().join("public.key") };
        std::fs::write(&files.private, private).expect("written");
        std::fs::write(&files.public, public).expect("written");
        let pair = Self { folder, files };
        pair.expose(0o600);
        pair
    }

    fn expose(&self, mode: u32) {
        std::fs::set_permissions(&self.files.private, std::fs::Permissions::from_mode(mode)).expect("changed");
    }
}

fn private(key: &SigningKey) -> String {
    pem("PRIVATE KEY", &key.to_pkcs8().expect("a key"))
}

fn public(key: &SigningKey) -> String {
    pem("PUBLIC KEY", &key.spki().expect("a key"))
}

#[rstest]
#[case(Algorithm::Rs256)]
#[case(Algorithm::Es256)]
#[case(Algorithm::EdDsa)]
fn a_pair_is_read_as_openssl_writes_it(#[case] algorithm: Algorithm) {
    let key = SigningKey::generate(algorithm).expect("a key");
    let pair = Pair::of(&private(&key), &public(&key));
    let read = pair.files.read(algorithm).expect("read").expect("there");
    assert_eq!(read.key_id(), key.key_id());
}

#[test]
fn an_older_openssls_rsa_key_is_read_too() {
    let key = SigningKey::generate(Algorithm::Rs256).expect("a key");
    let pkcs8 = key.to_pkcs8().expect("a key");
    // What PKCS #8 puts around it: version, algorithm, and the head of an octet string.
    let pkcs1 = &pkcs8[26..];
    let pair = Pair::of(&pem("RSA PRIVATE KEY", pkcs1), &public(&key));
    assert_eq!(pair.files.read(Algorithm::Rs256).expect("read").expect("there").key_id(), key.key_id());
}

#[test]
fn half_a_pair_is_none() {
    let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    for half in ["private.key", "public.key"] {
        let pair = Pair::of(&private(&key), &public(&key));
        std::fs::remove_file(pair.folder.path().join(half)).expect("removed");
        assert!(pair.files.read(Algorithm::EdDsa).expect("no mistake").is_none(), "{half}");
    }
}

#[test]
fn what_is_no_pair_is_told_with_its_file() {
    let [key, other] = [(); 2].map(|()| SigningKey::generate(Algorithm::EdDsa).expect("a key"));
    let told = |pair: &Pair| pair.files.read(Algorithm::EdDsa).expect_err("no pair").to_string();
    let exposed = Pair::of(&private(&key), &public(&key));
    exposed.expose(0o640);
    assert!(told(&exposed).contains("private.key may be used by others than its owner (mode 0640): chmod 600"));
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &[0; 64]);
    for (private, public, expected) in [
        (private(&key), public(&other), "public.key is not the public half of"),
        ("nothing".to_owned(), public(&key), "private.key does not hold a private key in PEM, unencrypted"),
        (encrypted, public(&key), "private.key does not hold a private key in PEM, unencrypted"),
        (private(&key), private(&key), "public.key does not hold a public key in PEM"),
        (pem("PRIVATE KEY", &[0; 64]), public(&key), "private.key does not hold a key for EdDSA"),
        (pem("RSA PRIVATE KEY", &[0; 64]), public(&key), "private.key does not hold a key for EdDSA"),
    ] {
        let told = told(&Pair::of(&private, &public));
        assert!(told.contains(expected), "{told}");
    }
}
