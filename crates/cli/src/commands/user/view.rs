//! Users, as they are shown.

use serde::Serialize;
use tessera_api::admin::v1 as wire;

use crate::output::{ListedView, Table, View, moment};

/// A user.
#[derive(Debug, Serialize)]
pub struct UserView {
    user_id: String,
    username: String,
    name: String,
    email: String,
    enabled: bool,
    has_password: bool,
    create_time: Option<String>,
    update_time: Option<String>,
    etag: String,
}

impl From<wire::User> for UserView {
    fn from(user: wire::User) -> Self {
        Self {
            create_time: moment(user.create_time.as_ref()),
            update_time: moment(user.update_time.as_ref()),
            user_id: user.user_id,
            username: user.username,
            name: user.name,
            email: user.email,
            enabled: user.enabled,
            has_password: user.has_password,
            etag: user.etag,
        }
    }
}

impl UserView {
    const fn state(&self) -> &'static str {
        if self.enabled { "enabled" } else { "disabled" }
    }

    fn sides(&self) -> Vec<(&'static str, String)> {
        vec![
            ("user id", self.user_id.clone()),
            ("username", self.username.clone()),
            ("name", self.name.clone()),
            ("e-mail", self.email.clone()),
            ("state", self.state().into()),
            ("password", if self.has_password { "set" } else { "none" }.into()),
            ("created", self.create_time.clone().unwrap_or_default()),
            ("updated", self.update_time.clone().unwrap_or_default()),
        ]
    }
}

impl View for UserView {
    fn table(&self) -> Table {
        Table::Record(self.sides())
    }

    fn names(&self) -> Vec<String> {
        vec![self.user_id.clone()]
    }
}

impl ListedView for UserView {
    const HEAD: &'static [&'static str] = &["USER ID", "USERNAME", "NAME", "E-MAIL", "STATE"];

    fn row(&self) -> Vec<String> {
        vec![self.user_id.clone(), self.username.clone(), self.name.clone(), self.email.clone(), self.state().into()]
    }
}

/// A user after a change that took something away.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// The revision at which the change holds everywhere.
    pub revision: String,
}

impl View for Changed {
    fn table(&self) -> Table {
        let mut sides = self.user.sides();
        sides.push(("revision", self.revision.clone()));
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        self.user.names()
    }
}
