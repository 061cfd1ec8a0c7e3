//! The command line's grammar: the flags every command has, and the nouns.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use tessera_types::{ClaimsProfile, GrantType};

use crate::commands::{
    audit, client, completion, config, context, db, dev, health, init, introspect, key, org, scope, token, try_pair,
    user, version,
};
use crate::output::Format;
use crate::seconds;

/// Issue, check and revoke OAuth 2.0 tokens.
#[derive(Debug, Parser)]
#[command(
    name = "tessera",
    bin_name = "tessera",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  tessera try
  tessera client create --name billing --grant client_credentials \\
    --scope orders:read

Environment: TESSERA_CONTEXT, TESSERA_ENDPOINT, TESSERA_INTROSPECTOR_ENDPOINT, TESSERA_CLIENT_ID,
TESSERA_CLIENT_SECRET or TESSERA_CLIENT_SECRET_FILE, TESSERA_CA_FILE, TESSERA_CERT_FILE and TESSERA_KEY_FILE, NO_COLOR.
A flag goes before the environment, that before the context, that before the default.

Exit codes: 0 done, 1 internal, 2 usage, 3 not allowed, 4 not found, 5 conflict, 6 unavailable, 10 the answer is no."
)]
pub struct Cli {
    /// The flags every command has.
    #[command(flatten)]
    pub global: Global,

    /// The noun.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags every command has.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How to write the answer.
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORM", hide_default_value = true)]
    pub output: Format,

    /// The context to use (see `tessera context list`).
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// The issuer's gRPC endpoint.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The issuer's gRPC endpoint [default: http://127.0.0.1:6401]"
    )]
    pub endpoint: Option<String>,

    /// The introspector's gRPC endpoint.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The introspector's gRPC endpoint [default: http://127.0.0.1:6501]"
    )]
    pub introspector: Option<String>,

    /// A PEM file with the authority that signs the servers' certificates [default: the system's].
    #[arg(long, global = true, value_name = "PATH")]
    pub ca_file: Option<PathBuf>,

    /// A PEM file with a certificate of your own, for servers that ask for one; with --key-file.
    #[arg(long, global = true, value_name = "PATH")]
    pub cert_file: Option<PathBuf>,

    /// A PEM file with the key of --cert-file.
    #[arg(long, global = true, value_name = "PATH")]
    pub key_file: Option<PathBuf>,

    /// How long a call may take.
    #[arg(long, global = true, value_parser = seconds::parse, default_value = "30s", value_name = "SPAN")]
    pub timeout: Duration,
}

/// The nouns, and the verbs that need none.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run issuer and introspector in one process, for development.
    Dev(dev::Dev),
    /// Run token, introspect, revoke, introspect against a pair and show the measured times.
    Try(try_pair::Try),
    /// Set up an issuer: migrate, make keys and one administrator.
    Init(init::Init),
    /// See and migrate the issuer's database.
    Db(db::Db),
    /// Register, change and remove clients.
    Client(client::Client),
    /// Register, change and remove users.
    User(user::User),
    /// Register, change and remove organizations and their members.
    Org(org::Org),
    /// Register, change and remove scopes.
    Scope(scope::Scope),
    /// See the signing keys.
    Key(key::Key),
    /// See who changed, revoked or signed in, or failed to.
    Audit(audit::Audit),
    /// Get, decode and revoke tokens.
    Token(token::Token),
    /// Ask the introspector whether a token is active.
    Introspect(introspect::Introspect),
    /// See whether both servers are ready.
    Health(health::Health),
    /// Write, check and show the services' configuration.
    Config(config::Config),
    /// Keep the servers you work with.
    Context(context::Context),
    /// Write a completion script.
    Completion(completion::Completion),
    /// Show the version.
    Version(version::Version),
}

/// Accepts the grant types, with `-` for `_` too.
#[must_use]
pub fn grant_parser() -> impl clap::builder::TypedValueParser<Value = GrantType> {
    let words = GrantType::ALL
        .iter()
        .map(|grant| clap::builder::PossibleValue::new(grant.as_str()).alias(grant.as_str().replace('_', "-")));
    PossibleValuesParser::new(words).try_map(|word| word.replace('-', "_").parse::<GrantType>())
}

/// A claims profile; none leaves it to the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile(pub Option<ClaimsProfile>);

/// The word for the profile that the endpoint decides.
pub const AUTO: &str = "auto";

/// Accepts the claims profiles, and `auto`.
#[must_use]
pub fn profile_parser() -> impl clap::builder::TypedValueParser<Value = Profile> {
    let words = std::iter::once(AUTO).chain(ClaimsProfile::ALL.iter().map(|profile| profile.as_str()));
    PossibleValuesParser::new(words.collect::<Vec<_>>()).try_map(|word| {
        if word == AUTO { Ok(Profile(None)) } else { word.parse::<ClaimsProfile>().map(|one| Profile(Some(one))) }
    })
}

#[cfg(test)]
mod tests;
