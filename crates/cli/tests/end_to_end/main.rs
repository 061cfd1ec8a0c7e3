//! The command line against servers that answer from a script: what is sent, what is shown, how it ends.

mod browser;
mod clients;
mod contexts;
mod host;
mod server;
mod tokens;
mod users;

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tessera_cli::console::Console;
use tessera_cli::environment::Environment;
use tessera_cli::problem::Exit;

use crate::server::Server;

/// A command line with its own home, environment and servers.
struct Shell {
    home: TempDir,
    variables: Vec<(String, String)>,
    input: String,
}

/// What a command left behind.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("utf-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shell {
    /// A shell that knows no server.
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("home"), variables: Vec::new(), input: String::new() }
    }

    /// A shell whose issuer and introspector are this server.
    fn at(server: &Server) -> Self {
        Self::new().set("TESSERA_ENDPOINT", &server.url()).set("TESSERA_INTROSPECTOR_ENDPOINT", &server.url())
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn input(mut self, text: &str) -> Self {
        self.input = text.into();
        self
    }

    /// Runs a line; words are separated by spaces.
    async fn run(&self, line: &str) -> Ran {
        self.run_heard(line, Captured::default()).await
    }

    /// As [`Self::run`], where somebody listens to what it says meanwhile.
    async fn run_heard(&self, line: &str, err: Captured) -> Ran {
        let out = Captured::default();
        let mut console = Console::with_streams(Cursor::new(self.input.clone().into_bytes()), out.clone(), err.clone());
        let home = ("XDG_CONFIG_HOME".to_owned(), self.home.path().display().to_string());
        let environment: Environment = self.variables.iter().cloned().chain([home]).collect();
        let words = std::iter::once("tessera").chain(line.split_whitespace()).map(Into::into);
        let exit = tessera_cli::run(words, environment, &mut console).await;
        Ran { exit, out: out.text(), err: err.text() }
    }
}

impl Ran {
    /// The answer, where it is JSON.
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {:?} ({})", self.out, self.err))
    }

    /// The error, where it is JSON.
    fn error(&self) -> serde_json::Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error} in {:?}", self.err))
    }
}
