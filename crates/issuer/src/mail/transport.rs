//! Where mails go: a server, or a folder for tests and for who wants to see them.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use uuid::Uuid;

use super::{By, MailError};

/// How long a server may take for one command.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends mails.
pub(super) enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Folder(PathBuf),
}

/// A mail did not go out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("the mail server")]
    Smtp(#[from] lettre::transport::smtp::Error),
    #[error("the folder of mails")]
    Folder(#[from] io::Error),
}

impl Undelivered {
    /// Whether another try would go no better.
    pub(super) fn is_permanent(&self) -> bool {
        matches!(self, Self::Smtp(error) if error.is_permanent() && !is_about_us(error))
    }
}

/// Whether the server wants other credentials, or a safer way to present them (RFC 4954 section 6): an operator mends that, and the mail
/// is as good as before.
fn is_about_us(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538))
}

impl Transport {
    pub(super) fn new(by: &By) -> Result<Self, MailError> {
        Ok(match by {
            By::Smtp(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(MailError::Url)?;
                Self::Smtp(Box::new(builder.timeout(Some(TIMEOUT)).build()))
            }
            By::Folder(folder) => Self::Folder(folder.clone()),
        })
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), Undelivered> {
        match self {
            Self::Smtp(server) => drop(server.send(message).await?),
            Self::Folder(folder) => {
                let folder = folder.clone();
                let written = tokio::task::spawn_blocking(move || write(&folder, &message.formatted()));
                written.await.map_err(io::Error::other)??;
            }
        }
        Ok(())
    }
}

/// Under its own name only once it is whole: whoever watches the folder sees no half of one.
fn write(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // For a name that nobody has; nothing depends on its randomness.
    let name = Uuid::now_v7();
    let (half, whole) = (folder.join(format!("{name}.part")), folder.join(format!("{name}.eml")));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
    io::Write::write_all(&mut file, bytes)?;
    std::fs::rename(half, whole)
}
