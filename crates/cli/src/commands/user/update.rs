//! `tessera user update`: changes what a user is called.

use clap::{Args, ValueEnum};
use tessera_api::admin::v1 as wire;
use tessera_types::{Email, Username};

use super::view::UserView;
use super::{Who, fetch, present, service};
use crate::app::App;
use crate::connect::Access;
use crate::problem::{Exit, Problem};

/// Changes what a user is called. Their tokens and sessions stay.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user update ada --name 'Ada King'
  tessera user update ada@example.test --username countess --clear email")]
pub struct Update {
    #[command(flatten)]
    who: Who,

    /// What they sign in with; unique, whatever its case.
    #[arg(long, value_name = "NAME")]
    username: Option<Username>,

    /// Their e-mail address, with which they may sign in too.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<Email>,

    /// What people call them.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    /// A field to empty.
    #[arg(long, num_args = 1.., value_name = "FIELD")]
    clear: Vec<Field>,
}

/// A field that may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    Email,
    Name,
}

impl Update {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        if self.apply(&mut wire::User::default()).is_empty() {
            return Err(Problem::usage("NOTHING_TO_CHANGE", "no flag says what to change")
                .hint("see tessera user update --help"));
        }
        let admin = app.administrator(Access::Write).await?;
        let mut user = fetch(&admin, &self.who.who).await?;
        let paths = self.apply(&mut user).into_iter().map(str::to_owned).collect();
        let message = wire::UpdateUserRequest { user: Some(user), update_mask: Some(prost_types::FieldMask { paths }) };
        let answer = service(&admin).update_user(admin.request(message)).await?.into_inner();
        app.show(&UserView::from(present(answer.user)?))
    }

    /// Writes the change into a user and returns the fields it touched.
    fn apply(&self, user: &mut wire::User) -> Vec<&'static str> {
        let mut touched = Vec::new();
        let mut set = |name: &'static str, given: Option<String>, field: &mut String| {
            if let Some(given) = given {
                *field = given;
                touched.push(name);
            }
        };
        let cleared = |field: Field| self.clear.contains(&field).then(String::new);
        set("username", self.username.as_ref().map(ToString::to_string), &mut user.username);
        set("email", self.email.as_ref().map(ToString::to_string).or_else(|| cleared(Field::Email)), &mut user.email);
        set("name", self.name.clone().or_else(|| cleared(Field::Name)), &mut user.name);
        touched
    }
}
