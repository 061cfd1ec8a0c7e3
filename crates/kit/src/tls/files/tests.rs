use std::os::unix::fs::PermissionsExt as _;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000);

/// A certificate and its key in two files, the key for its owner alone.
struct Written {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Written {
    fn of(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self::texts(&certificate.pem(), &key.serialize_pem())
    }

    fn texts(certificate: &str, key: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let written = Self { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key"), folder };
        std::fs::write(&written.certificate, certificate).expect("written");
        std::fs::write(&written.key, key).expect("written");
        written.expose(0o600);
        written
    }

    fn expose(&self, mode: u32) {
        std::fs::set_permissions(&self.key, std::fs::Permissions::from_mode(mode)).expect("changed");
    }

    fn read(&self) -> Result<Contents, TlsError> {
        Contents::default().with_pair(&self.certificate, &self.key)
    }

    fn own(&self, now: Timestamp) -> Result<OwnCertificate, TlsError> {
        self.read()?.own(now).map(|own| own.expect("it was read"))
    }

    fn told(&self) -> String {
        self.own(NOW).err().expect("no certificate").to_string()
    }
}

fn params() -> CertificateParams {
    CertificateParams::new(vec!["a.example".to_owned()]).expect("a name")
}

/// As `openssl x509 -req` makes one without extensions.
#[test]
fn a_certificate_of_an_older_version_is_told_as_that() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let key = KeyPair::generate().expect("a key");
    let mut der = params().self_signed(&key).expect("a certificate").der().to_vec();
    let version = der.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]).expect("a version");
    der[version + 4] = 0;
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der));
    let told = Written::texts(&pem, &key.serialize_pem()).told();
    assert!(told.contains("tls.crt is not X.509 version 3") && told.contains("subjectAltName"), "{told}");
}

#[test]
fn a_certificate_with_its_key_is_read() {
    let own = Written::of(&params()).own(NOW).expect("good");
    assert_eq!(own.key.cert.len(), 1);
    assert_eq!(own.not_after, Timestamp(date_time_ymd(4096, 1, 1).unix_timestamp()));
}

#[test]
fn what_cannot_be_used_is_told_with_its_file_and_what_to_do() {
    let good = Written::of(&params());
    let [certificate, key] = [&good.certificate, &good.key].map(|path| std::fs::read_to_string(path).expect("read"));
    let other = KeyPair::generate().expect("a key").serialize_pem();
    for (certificate, key, expected) in [
        (certificate.as_str(), other.as_str(), "tls.key is not the key of the first certificate in"),
        (&certificate, "nothing", "tls.key does not hold a private key in PEM"),
        (&certificate, &certificate, "tls.key does not hold a private key in PEM"),
        ("", &key, "tls.crt does not hold a certificate in PEM"),
        (&key, &key, "tls.crt does not hold a certificate in PEM"),
        (&certificate[..certificate.len() / 2], &key, "tls.crt does not hold a certificate in PEM"),
    ] {
        let told = Written::texts(certificate, key).told();
        assert!(told.contains(expected), "{told}");
    }
    good.expose(0o644);
    assert!(good.told().contains("tls.key may be used by others than its owner (mode 0644): chmod 600"));
    std::fs::remove_file(&good.key).expect("removed");
    assert!(good.told().contains("tls.key cannot be read"), "{}", good.told());
}

#[test]
fn a_certificate_that_is_not_good_now_is_told_with_the_date() {
    let mut params = params();
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 12, 31));
    let (begins, ends) = (params.not_before.unix_timestamp(), params.not_after.unix_timestamp());
    let written = Written::of(&params);
    for good in [begins, ends] {
        assert!(written.own(Timestamp(good)).is_ok(), "{good}");
    }
    let told = |at| written.own(Timestamp(at)).err().expect("not good").to_string();
    assert!(told(ends + 1).contains("tls.crt ended on 2026-12-31T00:00:00Z"), "{}", told(ends + 1));
    assert!(told(begins - 1).contains("tls.crt begins on 2026-01-01T00:00:00Z only"), "{}", told(begins - 1));
}

#[test]
fn a_key_is_its_owners_and_where_that_is_root_perhaps_a_groups() {
    let (root, us) = (0, 1000);
    for (mode, owner, ours, exposed) in [
        (0o600, us, us, false),
        (0o400, us, us, false),
        (0o640, us, us, true),
        (0o604, us, us, true),
        (0o640, root, us, false),
        (0o660, root, us, true),
        (0o644, root, us, true),
        (0o640, root, root, true),
    ] {
        assert_eq!(is_exposed(mode, owner, ours), exposed, "{mode:o} {owner} {ours}");
    }
}

#[test]
fn a_stamp_tells_contents_apart_and_nothing_else() {
    let written = Written::of(&params());
    let stamp = written.read().expect("read").stamp();
    let text = std::fs::read_to_string(&written.certificate).expect("read");
    std::fs::write(&written.certificate, &text).expect("written");
    assert_eq!(written.read().expect("read").stamp(), stamp, "written anew, with the same in it");
    let moved = written.folder.path().join("moved");
    std::fs::rename(&written.certificate, &moved).expect("moved");
    std::os::unix::fs::symlink(&moved, &written.certificate).expect("linked");
    assert_eq!(written.read().expect("read").stamp(), stamp, "behind a link");
    std::fs::write(&moved, format!("{text}\n")).expect("written");
    assert_ne!(written.read().expect("read").stamp(), stamp);
}

#[test]
fn authorities_are_every_certificate_of_their_file() {
    let pem = || {
        let mut params = params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem()
    };
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, [pem(), pem()].concat()).expect("written");
    let roots = Contents::default().with_authorities(&path).expect("read").roots().expect("good").expect("there");
    assert_eq!(roots.len(), 2);
    std::fs::write(&path, "").expect("written");
    let told = Contents::default().with_authorities(&path).expect("read").roots().expect_err("empty").to_string();
    assert!(told.contains("ca.crt does not hold the certificates of authorities"), "{told}");
}
