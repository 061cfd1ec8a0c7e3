//! `tessera config …`: the services' configuration files, before they meet a service.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::Value;
use tessera_kit::config::{self, ConfigErrors, Loaded, Setting};

use crate::app::App;
use crate::local::config_problem;
use crate::output::{Format, ListedView, Table, View};
use crate::problem::{Exit, Problem};

/// Writes, checks and shows the configuration of a service.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera config init --out issuer.toml
  tessera config check --service introspector --config introspector.toml")]
pub struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a file with every key, what it means, and its default.
    Init(Init),
    /// Tell every mistake in a configuration, with its place; nothing is started.
    Check(Check),
    /// Show every value and where it came from. Secrets are not shown.
    Dump(Dump),
    /// Write the JSON Schema of the file, for editors.
    Schema(Schema),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera config init > issuer.toml
  tessera config init --service introspector --out introspector.toml")]
struct Init {
    #[command(flatten)]
    of: Of,

    /// The file to write, readable by you alone; never over one that is there [default: stdout].
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera config check --config /etc/tessera/issuer.toml
  tessera config check --service introspector \\
    --config /etc/tessera/introspector.toml")]
struct Check {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    read: Read,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera config dump --config /etc/tessera/issuer.toml
  tessera config dump --service introspector -o json \\
    | jq '.[] | select(.origin != \"default\")'")]
struct Dump {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    read: Read,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera config schema > issuer.schema.json
  tessera config schema --service introspector")]
struct Schema {
    #[command(flatten)]
    of: Of,
}

/// Whose configuration.
#[derive(Args, Debug)]
struct Of {
    /// The service.
    #[arg(long, value_enum, default_value_t)]
    service: Service,
}

/// Where it is read from.
#[derive(Args, Debug)]
struct Read {
    /// The configuration file; environment variables TESSERA_… go over it.
    #[arg(long, value_name = "FILE", env = "TESSERA_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Service {
    #[default]
    Issuer,
    Introspector,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "tessera-issuer",
            Self::Introspector => "tessera-introspector",
        }
    }

    fn schema(self) -> Value {
        match self {
            Self::Issuer => config::schema::<tessera_issuer::Config>(self.name()),
            Self::Introspector => config::schema::<tessera_introspector::Config>(self.name()),
        }
    }

    /// Every value, read as the service itself reads it.
    fn settings(self, file: Option<PathBuf>) -> Result<Vec<Setting>, Problem> {
        match self {
            Self::Issuer => settings(tessera_issuer::config::load_with_origins(file)),
            Self::Introspector => settings(tessera_introspector::config::load_with_origins(file)),
        }
    }
}

fn settings<T: Serialize>(loaded: Result<Loaded<T>, ConfigErrors>) -> Result<Vec<Setting>, Problem> {
    let Loaded { value, origins } = loaded.map_err(|errors| config_problem(&errors))?;
    config::settings(&value, &origins).map_err(|error| Problem::internal("OUTPUT", error.to_string()))
}

/// A configuration without mistakes.
#[derive(Debug, Serialize)]
struct Valid {
    service: &'static str,
    /// How many keys are set.
    set: usize,
}

impl View for Valid {
    fn table(&self) -> Table {
        Table::Text(format!("The configuration of {} is valid; {} of its keys are set.", self.service, self.set))
    }

    fn names(&self) -> Vec<String> {
        vec![self.service.to_owned()]
    }
}

/// A line of `config dump`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Line(Setting);

impl View for Line {
    fn table(&self) -> Table {
        Table::List(Self::HEAD.to_vec(), vec![self.row()])
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.key.clone()]
    }
}

impl ListedView for Line {
    const HEAD: &'static [&'static str] = &["KEY", "VALUE", "ORIGIN"];

    fn row(&self) -> Vec<String> {
        vec![self.0.key.clone(), self.0.value.clone(), self.0.origin.clone()]
    }
}

impl Config {
    /// Runs the verb.
    ///
    /// # Errors
    /// Usage: every mistake in a configuration; conflict, where a file is in the way.
    pub fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Init(Init { of, out }) => {
                let text = config::example(&of.service.schema());
                match out {
                    None => app.console.out(&text)?,
                    Some(path) => {
                        write_new(&path, &text)?;
                        app.say(&format!("Wrote {}. Check it with: tessera config check", path.display()));
                    }
                }
                Ok(Exit::Ok)
            }
            Verb::Check(Check { of, read }) => {
                let settings = of.service.settings(read.config)?;
                let set = settings.iter().filter(|setting| setting.origin != "default").count();
                app.show(&Valid { service: of.service.name(), set })
            }
            Verb::Dump(Dump { of, read }) => {
                let lines: Vec<Line> = of.service.settings(read.config)?.into_iter().map(Line).collect();
                app.show(&lines)
            }
            Verb::Schema(Schema { of }) => {
                // A schema is JSON in any form of output but YAML.
                let schema = of.service.schema();
                let text = match app.format() {
                    Format::Yaml => serde_saphyr::to_string(&schema).map_err(|error| unwritable(&error))?,
                    _ => format!("{schema:#}\n"),
                };
                app.console.out(&text)?;
                Ok(Exit::Ok)
            }
        }
    }
}

fn unwritable(error: &dyn std::fmt::Display) -> Problem {
    Problem::internal("OUTPUT", format!("cannot write: {error}"))
}

fn write_new(path: &Path, text: &str) -> Result<(), Problem> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Problem::conflict("FILE_EXISTS", format!("{} is there already", path.display()))
                .hint("choose another name with --out, or move the file away")
        }
        _ => Problem::internal("OUTPUT", format!("cannot write {}: {error}", path.display()))
            .hint("choose a folder that exists and that you may write to"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files people start from are what the programs say: `tessera config init --service … > deploy/config/….toml` renews them.
    #[test]
    fn the_files_in_deploy_are_what_config_init_writes() {
        for (service, file) in [
            (Service::Issuer, include_str!("../../../../deploy/config/issuer.toml")),
            (Service::Introspector, include_str!("../../../../deploy/config/introspector.toml")),
        ] {
            let text = config::example(&service.schema());
            assert!(text == file, "renew deploy/config with `tessera config init --service …`:\n{text}");
        }
    }
}
