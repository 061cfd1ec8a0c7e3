use std::fs;

use clap::Parser as _;
use tempfile::TempDir;

use super::*;
use crate::args::Cli;
use crate::problem::Exit;

/// A home with a contexts file, and environment variables on top.
struct Home {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn with(contexts: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("tessera/config.toml");
        fs::create_dir(path.parent().expect("folder")).expect("create");
        let parsed: Contexts = toml::from_str(contexts).expect("contexts");
        parsed.save(&path).expect("save");
        Self { folder, variables: Vec::new() }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn resolve(&self, flags: &str) -> Result<Settings, Problem> {
        let line = format!("tessera version {flags}");
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("parses");
        let home = ("XDG_CONFIG_HOME".to_owned(), self.folder.path().display().to_string());
        let environment = self.variables.iter().cloned().chain([home]).collect();
        Settings::resolve(&cli.global, &environment)
    }
}

const TWO: &str = "
current = \"a\"
[contexts.a]
endpoint = \"https://a.example\"
client_id = \"a-client\"
client_secret = \"a-secret\"
[contexts.b]
endpoint = \"http://b.example\"
client_id = \"b-client\"
insecure = true
";

fn issuer(settings: Result<Settings, Problem>) -> String {
    settings.map_or_else(|p| p.reason, |s| s.issuer.to_string())
}

fn who(settings: &Settings, flags: (Option<&str>, Option<&str>)) -> Result<(String, String), String> {
    let flags = Given {
        client_id: flags.0.map(|id| id.parse().expect("id")),
        secret: flags.1.map(|secret| PresentedSecret::new(secret.into()).expect("secret")),
    };
    let credential = settings.credential(&flags, &settings.issuer, Fixture::Admin).map_err(|p| p.reason)?;
    Ok((credential.client_id.to_string(), credential.secret.expose().to_owned()))
}

#[allow(clippy::unnecessary_wraps, reason = "what it is compared with may be an error")]
fn pair(id: &str, secret: &str) -> Result<(String, String), String> {
    Ok((id.into(), secret.into()))
}

#[test]
fn a_flag_goes_before_the_environment_that_before_the_context_that_before_the_default() {
    let home = Home::with(TWO);
    assert_eq!(issuer(home.resolve("")), "https://a.example");
    assert_eq!(issuer(home.resolve("--context b")), "http://b.example");
    let home = home.set("TESSERA_CONTEXT", "b");
    assert_eq!(issuer(home.resolve("")), "http://b.example");
    assert_eq!(issuer(home.resolve("--context a")), "https://a.example");
    let home = home.set("TESSERA_ENDPOINT", "https://env.example");
    assert_eq!(issuer(home.resolve("")), "https://env.example");
    assert_eq!(issuer(home.resolve("--endpoint https://flag.example")), "https://flag.example");
    assert_eq!(issuer(Home::with("").resolve("")), DEFAULT_ENDPOINT);
}

#[test]
fn the_introspector_has_its_own() {
    let shown = |home: &Home, flags| home.resolve(flags).expect("resolves").introspector.to_string();
    let home = Home::with("current = \"c\"\n[contexts.c]\nintrospector = \"https://i.example\"\n");
    assert_eq!(shown(&home, ""), "https://i.example");
    assert_eq!(issuer(home.resolve("")), DEFAULT_ENDPOINT);
    let home = home.set("TESSERA_INTROSPECTOR_ENDPOINT", "https://e.example");
    assert_eq!(shown(&home, ""), "https://e.example");
    assert_eq!(shown(&home, "--introspector https://f.example"), "https://f.example");
}

#[test]
fn an_unknown_context_is_not_found() {
    let problem = Home::with(TWO).resolve("--context nowhere").err().expect("refused");
    assert_eq!(problem.exit, Exit::NotFound);
}

#[test]
fn leave_to_speak_plainly_is_the_contexts_own_endpoints_alone() {
    let home = Home::with(TWO);
    assert_eq!(issuer(home.resolve("--context b")), "http://b.example");
    assert_eq!(issuer(home.resolve("--context b --endpoint http://c.example")), "PLAINTEXT_REFUSED");
    assert_eq!(issuer(home.resolve("--endpoint http://c.example")), "PLAINTEXT_REFUSED");
    assert_eq!(issuer(Home::with(TWO).set("TESSERA_ENDPOINT", "http://10.0.0.1").resolve("")), "PLAINTEXT_REFUSED");
}

#[test]
fn the_fixtures_credential_never_leaves_this_machine() {
    let none = Home::with("");
    assert_eq!(who(&none.resolve("").expect("resolves"), (None, None)), pair("dev-admin", "dev-secret"));
    let far = none.resolve("--endpoint https://issuer.example").expect("resolves");
    assert_eq!(who(&far, (None, None)), Err("NO_CREDENTIAL".into()));
    let insecure = Home::with("current = \"c\"\n[contexts.c]\nendpoint = \"http://c.example\"\ninsecure = true\n");
    assert_eq!(who(&insecure.resolve("").expect("resolves"), (None, None)), Err("NO_CREDENTIAL".into()));
}

#[test]
fn a_secret_goes_only_with_the_client_it_was_given_for() {
    let context = Home::with(TWO);
    let a = context.resolve("").expect("resolves");
    assert_eq!(who(&a, (None, None)), pair("a-client", "a-secret"));
    assert_eq!(who(&a, (Some("a-client"), None)), pair("a-client", "a-secret"));
    assert_eq!(who(&a, (Some("other"), None)), Err("NO_SECRET".into()));
    assert_eq!(who(&a, (Some("other"), Some("s"))), pair("other", "s"));
    assert_eq!(who(&a, (None, Some("s"))), pair("a-client", "s"));

    let both = Home::with(TWO).set("TESSERA_CLIENT_ID", "env").set("TESSERA_CLIENT_SECRET", "env-secret");
    let both = both.resolve("").expect("resolves");
    assert_eq!(who(&both, (None, None)), pair("env", "env-secret"));
    assert_eq!(who(&both, (Some("other"), None)), Err("NO_SECRET".into()));

    let only_id = Home::with(TWO).set("TESSERA_CLIENT_ID", "env").resolve("").expect("resolves");
    assert_eq!(who(&only_id, (None, None)), Err("NO_SECRET".into()));
}

#[test]
fn a_secret_from_the_environment_goes_with_the_contexts_client() {
    let b = Home::with(TWO).set("TESSERA_CLIENT_SECRET", "s").resolve("--context b").expect("resolves");
    assert_eq!(who(&b, (None, None)), pair("b-client", "s"));
    let nobody = Home::with("").set("TESSERA_CLIENT_SECRET", "s").resolve("").expect("resolves");
    assert_eq!(who(&nobody, (None, None)), Err("SECRET_WITHOUT_CLIENT".into()));
}

#[test]
fn a_secret_given_twice_is_an_error_and_an_empty_variable_is_none() {
    let twice = Home::with("").set("TESSERA_CLIENT_SECRET", "s").set("TESSERA_CLIENT_SECRET_FILE", "/nowhere");
    assert_eq!(twice.resolve("").err().expect("refused").reason, "SECRET_GIVEN_TWICE");
    let empty = Home::with("").set("TESSERA_CLIENT_SECRET", "").set("TESSERA_ENDPOINT", "").resolve("");
    assert_eq!(who(&empty.expect("resolves"), (None, None)), pair("dev-admin", "dev-secret"));
}

#[test]
fn a_secret_file_is_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("secret");
    fs::write(&path, "from-file\n").expect("write");
    let home = Home::with("").set("TESSERA_CLIENT_ID", "env");
    let home = home.set("TESSERA_CLIENT_SECRET_FILE", &path.display().to_string());
    assert_eq!(who(&home.resolve("").expect("resolves"), (None, None)), pair("env", "from-file"));
}
