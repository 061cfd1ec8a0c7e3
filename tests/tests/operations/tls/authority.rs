//! Certificate authorities for tests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};

/// One that signs whatever it is asked to.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Pem {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) der: Vec<u8>,
}

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Authority {
    pub(super) fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server on this machine.
    pub(super) fn server(&self) -> Result<Pem> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        self.sign(&params)
    }

    /// For a client of this name, such as `uri:urn:test:orders`.
    pub(super) fn client(&self, name: &str) -> Result<Pem> {
        self.sign(&Self::of_client(name)?)
    }

    /// One that has ended.
    pub(super) fn expired_client(&self, name: &str) -> Result<Pem> {
        let mut params = Self::of_client(name)?;
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        self.sign(&params)
    }

    fn of_client(name: &str) -> Result<CertificateParams> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        // It must count for nothing.
        params.distinguished_name.push(DnType::CommonName, "uri:urn:test:administrator");
        params.subject_alt_names.push(match name.split_once(':') {
            Some(("dns", host)) => SanType::DnsName(host.try_into()?),
            Some((_, uri)) => SanType::URI(uri.try_into()?),
            None => anyhow::bail!("{name} is no name"),
        });
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pem> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Pem { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() })
    }
}

impl Pem {
    /// Writes both into a folder, the key for its owner alone.
    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<Files> {
        std::fs::create_dir_all(folder)?;
        let files = Files { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
        replace(&files.certificate, &self.certificate)?;
        replace(&files.key, &self.key)?;
        Ok(files)
    }
}

/// Writes a file in one step, so that nobody reads half of it.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    Ok(std::fs::rename(fresh, path)?)
}
