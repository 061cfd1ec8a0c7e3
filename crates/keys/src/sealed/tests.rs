use super::*;
use proptest::prelude::*;

struct Fixed(u8);
impl Randomness for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

fn kek(byte: u8) -> Kek {
    Kek::from_bytes(&[byte; 32]).expect("32 bytes")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(path: &Path, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("writes");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("sets the mode");
}

#[test]
fn a_new_file_is_its_owners_alone_and_reads_back() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let path = folder.path().join("kek");
    let made = Kek::create_file(&path, &Fixed(7)).expect("creates");
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o7777, 0o600);
    let sealed = made.seal(&Fixed(1), b"aad", b"secret").expect("seals");
    let read = Kek::read_file(&path).expect("reads");
    assert_eq!(read.open(b"aad", &sealed).expect("opens").as_slice(), b"secret");
}

#[test]
fn a_file_is_never_overwritten() {
    let folder = folder();
    let path = folder.path().join("kek");
    Kek::create_file(&path, &Fixed(7)).expect("creates");
    let before = std::fs::read(&path).expect("reads");
    assert!(matches!(Kek::create_file(&path, &Fixed(8)), Err(KekError::Exists { .. })));
    assert_eq!(std::fs::read(&path).expect("reads"), before);
}

#[test]
fn of_many_who_create_the_file_one_does() {
    let folder = folder();
    let path = folder.path().join("kek");
    let made = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|byte| {
                scope.spawn({
                    let path = &path;
                    move || Kek::create_file(path, &Fixed(byte)).is_ok()
                })
            })
            .collect();
        tries.into_iter().filter(|_| true).map(|one| one.join().expect("no panic")).filter(|made| *made).count()
    });
    assert_eq!(made, 1);
}

#[test]
fn a_file_open_to_others_is_refused() {
    let folder = folder();
    let path = folder.path().join("kek");
    for mode in [0o644, 0o640, 0o660, 0o604, 0o610] {
        write(&path, &STANDARD.encode([7; 32]), mode);
        let error = Kek::read_file(&path).expect_err("exposed");
        assert!(matches!(error, KekError::Exposed { mode: shown, .. } if shown == mode), "{mode:o}");
        assert!(error.to_string().contains("chmod 600"));
    }
    write(&path, &STANDARD.encode([7; 32]), 0o400);
    assert!(Kek::read_file(&path).is_ok());
}

#[test]
fn a_file_without_a_key_is_refused_and_not_echoed() {
    let folder = folder();
    let path = folder.path().join("kek");
    for text in ["", "\n", "secret-text", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33]), &"A".repeat(1000)] {
        write(&path, text, 0o600);
        let error = Kek::read_file(&path).expect_err("no key");
        assert!(matches!(error, KekError::Malformed { .. }), "{text}");
        assert!(!error.to_string().contains("secret-text"));
    }
    assert!(Kek::read_file(folder.path()).is_err());
    assert!(matches!(Kek::read_file(&folder.path().join("none")), Err(KekError::Missing { .. })));
}

#[test]
fn every_changed_byte_and_every_other_length_is_refused() {
    let kek = kek(1);
    let sealed = kek.seal(&Fixed(2), b"aad", b"secret").expect("seals");
    for index in 0..sealed.len() {
        let mut other = sealed.clone();
        other[index] ^= 1;
        assert!(kek.open(b"aad", &other).is_err(), "byte {index}");
        assert!(kek.open(b"aad", &sealed[..index]).is_err(), "length {index}");
    }
    assert!(kek.open(b"aad", &[&sealed[..], &[0]].concat()).is_err());
    assert!(kek.open(b"other", &sealed).is_err());
}

#[test]
fn another_key_is_told_apart_from_an_alteration() {
    let sealed = kek(1).seal(&Fixed(2), b"", b"secret").expect("seals");
    assert_eq!(kek(2).open(b"", &sealed).map(|_| ()), Err(SealError::OtherKek));
    assert_eq!(kek(1).open(b"x", &sealed).map(|_| ()), Err(SealError::Altered));
    assert_eq!(kek(1).open(b"", b"").map(|_| ()), Err(SealError::Unknown));
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", kek(1)), "Kek(…)");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plaintext in proptest::collection::vec(any::<u8>(), 0..300), aad in proptest::collection::vec(any::<u8>(), 0..50), nonce: u8) {
        let kek = kek(3);
        let sealed = kek.seal(&Fixed(nonce), &aad, &plaintext).expect("seals");
        prop_assert!(plaintext.len() < 8 || !sealed.windows(plaintext.len()).any(|window| window == plaintext));
        let opened = kek.open(&aad, &sealed).expect("opens");
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
    }
}
