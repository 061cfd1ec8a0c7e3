//! `tessera user password`: a new password, which ends what the old one opened.

use clap::Args;
use tessera_api::admin::v1 as wire;

use super::{Who, fetch, service};
use crate::app::App;
use crate::commands::Done;
use crate::confirm::Consent;
use crate::connect::Access;
use crate::password::{NewPasswordArgs, Origin};
use crate::problem::{Exit, Problem};

/// Changes a user's password. Their sessions end, and their tokens become inactive.
///
/// Who types it twice is not asked again; one that is read from elsewhere needs --yes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user password ada
  tessera user password ada --password-file password.txt --yes")]
pub struct Password {
    #[command(flatten)]
    who: Who,

    #[command(flatten)]
    new: NewPasswordArgs,

    #[command(flatten)]
    consent: Consent,
}

impl Password {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let user = fetch(&admin, &self.who.who).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("given a new password", user.username));
        }
        let (password, origin) = self.new.read(&user.username, app.console)?;
        if origin == Origin::Given {
            let question = format!(
                "Change the password of `{}` ({})? Their sessions end, and their tokens become inactive.",
                user.username, user.user_id
            );
            self.consent.ask(&question, app.console)?;
        }
        let message = wire::SetUserPasswordRequest { user_id: user.user_id, password: Some(password) };
        let answer = service(&admin).set_user_password(admin.request(message)).await?.into_inner();
        app.show(&Done::did("given a new password", user.username, Some(answer.revision)))
    }
}
