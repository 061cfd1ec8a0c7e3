//! What every command is handed: where to write, what was asked, whom to talk to.

use std::sync::Arc;
use std::time::Duration;

use tessera_types::Clock;
use tonic::transport::Channel;

use crate::args::Global;
use crate::connect::{self, Access, Administrator};
use crate::console::Console;
use crate::environment::Environment;
use crate::output::{Format, View, render};
use crate::problem::{Exit, Problem};
use crate::settings::{Fixture, Given, Settings};

/// One run of the command line.
pub struct App<'a> {
    /// The flags every command has.
    pub global: Global,
    /// The environment variables.
    pub environment: Environment,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The streams.
    pub console: &'a mut Console,
}

impl<'a> App<'a> {
    /// Puts a run together.
    #[must_use]
    pub const fn new(
        global: Global,
        environment: Environment,
        clock: Arc<dyn Clock>,
        console: &'a mut Console,
    ) -> Self {
        Self { global, environment, clock, console }
    }

    /// The form asked for.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.global.output
    }

    /// Settles flags, environment and context. Only for commands that talk to a server: a broken contexts file must not stop
    /// `tessera version`.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub fn settings(&self) -> Result<Settings, Problem> {
        Settings::resolve(&self.global, &self.environment)
    }

    /// How long a call may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.global.timeout
    }

    /// Connects to the issuer.
    ///
    /// # Errors
    /// Unavailable, where nobody answers.
    pub async fn issuer(&self, settings: &Settings) -> Result<Channel, Problem> {
        connect::connect(&settings.issuer, settings).await
    }

    /// Connects to the issuer as an administrator.
    ///
    /// # Errors
    /// As [`Settings::credential`] and [`Administrator::sign_in`].
    pub async fn administrator(&self, access: Access) -> Result<Administrator, Problem> {
        self.administrator_with(&self.settings()?, access).await
    }

    /// As [`administrator`](Self::administrator), where the settings are there.
    ///
    /// # Errors
    /// As [`Settings::credential`] and [`Administrator::sign_in`].
    pub async fn administrator_with(&self, settings: &Settings, access: Access) -> Result<Administrator, Problem> {
        let nobody = Given::default();
        if settings.is_by_certificate(&nobody, &settings.issuer) {
            return Ok(Administrator::by_certificate(self.issuer(settings).await?, self.timeout()));
        }
        let credential = settings.credential(&nobody, &settings.issuer, Fixture::Admin)?;
        Administrator::sign_in(self.issuer(settings).await?, &credential, access, self.timeout()).await
    }

    /// Writes the answer.
    ///
    /// # Errors
    /// Internal, where stdout refuses it.
    pub fn show(&mut self, view: &impl View) -> Result<Exit, Problem> {
        let text = zeroize::Zeroizing::new(render(view, self.format())?);
        self.console.out(&text)?;
        Ok(Exit::Ok)
    }

    /// Says a line where a person reads along; programs that asked for JSON, YAML or names get no talk.
    pub fn say(&mut self, text: &str) {
        if self.format() == Format::Table {
            self.console.note(text);
        }
    }
}
