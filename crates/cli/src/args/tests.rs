use clap::CommandFactory as _;
use clap::Parser as _;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

/// Every command, with its path.
fn every(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let mut all = vec![(path.to_owned(), command.clone())];
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        all.extend(every(sub, &format!("{path} {}", sub.get_name())));
    }
    all
}

/// The examples of a help, each as one line: a backslash at a line's end joins it to the next, as in a shell.
fn examples(command: &clap::Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default().replace(" \\\n    ", " ");
    help.lines().filter(|l| l.starts_with("  tessera ")).map(|l| l.trim().to_owned()).collect()
}

/// The words of a shell line up to a redirection, for the part that begins with `tessera`.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("never empty").push(c),
        }
    }
    words
}

#[test]
fn the_grammar_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_help_has_two_examples_that_parse() {
    for (path, command) in every(&Cli::command(), "tessera") {
        let examples = examples(&command);
        assert!(examples.len() >= 2, "{path} has {} examples", examples.len());
        for part in examples.iter().flat_map(|e| words_of_calls(e)) {
            let parsed = Cli::try_parse_from(&part);
            assert!(parsed.is_ok(), "{path}: {part:?}: {}", parsed.expect_err("failed"));
        }
    }
}

#[test]
fn examples_are_never_wrapped_so_that_they_can_be_pasted() {
    for (path, command) in every(&Cli::command(), "tessera") {
        let written = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let shown = command.term_width(80).render_long_help().to_string();
        for line in written.lines().filter(|line| line.starts_with("  ")) {
            assert!(shown.lines().any(|l| l == line), "{path}: {line}");
        }
    }
}

/// The calls of `tessera` in a pipeline.
fn words_of_calls(example: &str) -> Vec<Vec<String>> {
    let all = words(example);
    let ends = |w: &String| ["|", "<", ">", "&&"].contains(&w.as_str());
    all.split(ends).filter(|part| part.first().is_some_and(|w| w == "tessera")).map(<[String]>::to_vec).collect()
}

#[test]
fn every_flag_and_command_is_explained() {
    for (path, command) in every(&Cli::command(), "tessera") {
        assert!(command.get_about().is_some() || path == "tessera", "{path}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
    }
}

#[test]
fn lists_take_several_values_and_repeated_flags() {
    let line = "tessera client create --name n --grant client_credentials refresh-token --scope a b --scope c \
                --audience x --audience y --redirect-uri http://127.0.0.1/cb https://app.example/cb";
    let shown = format!("{:?}", parse(line).expect("parses"));
    assert!(shown.contains("grant: [ClientCredentials, RefreshToken]"), "{shown}");
    for word in ["\"a\"", "\"b\"", "\"c\"", "\"x\"", "\"y\"", "http://127.0.0.1/cb", "https://app.example/cb"] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
}

#[test]
fn scopes_may_come_space_separated_in_one_value() {
    let line = ["tessera", "token", "get", "client-credentials", "--scope", "orders:read orders:write"];
    let shown = format!("{:?}", Cli::try_parse_from(line).expect("parses"));
    assert!(shown.contains("orders:read") && !shown.contains("orders:read orders:write"), "{shown}");
}

#[test]
fn what_cannot_be_is_refused_with_a_suggestion() {
    let error = |line: &str| parse(line).expect_err(line);
    assert!(error("tessera client creat").to_string().contains("'create'"));
    assert!(error("tessera client list --name-contain x").to_string().contains("'--name-contains'"));
    assert!(
        error("tessera client create --name n --grant client_credential").to_string().contains("client_credentials")
    );
    assert_eq!(error("tessera client get").kind(), ErrorKind::MissingRequiredArgument);
    for line in [
        "tessera client create --name n --scope a\"b",
        "tessera client create --name n --redirect-uri javascript:alert(1)",
        "tessera client create --name n --lifetime soon",
        "tessera introspect t --at-least tomorrow",
    ] {
        assert_eq!(error(line).kind(), ErrorKind::ValueValidation, "{line}");
    }
}

#[test]
fn a_secret_is_never_a_flags_value_and_never_given_twice() {
    let error = |line: &str| parse(line).expect_err(line).kind();
    assert_eq!(error("tessera client create --name n --secret-stdin=s3cret"), ErrorKind::TooManyValues);
    assert_eq!(error("tessera client create --name n --secret s3cret"), ErrorKind::UnknownArgument);
    assert_eq!(error("tessera client create --name n --secret-stdin --secret-file f"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera client create --name n --public --secret-file f"), ErrorKind::ArgumentConflict);
}

#[test]
fn a_password_is_never_a_flags_value_and_never_given_twice() {
    let error = |line: &str| parse(line).expect_err(line).kind();
    for command in ["tessera user create --username a", "tessera user password a"] {
        assert_eq!(error(&format!("{command} --password s3cret")), ErrorKind::UnknownArgument);
        assert_eq!(error(&format!("{command} --password-hash x")), ErrorKind::UnknownArgument);
        assert_eq!(error(&format!("{command} --password-stdin=s3cret")), ErrorKind::TooManyValues);
        for two in ["--password-stdin --password-file f", "--password-file f --password-hash-file g"] {
            assert_eq!(error(&format!("{command} {two}")), ErrorKind::ArgumentConflict, "{two}");
        }
    }
    assert_eq!(error("tessera user create --username a --no-password --password-stdin"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera token get password --username a --password x"), ErrorKind::UnknownArgument);
    assert_eq!(error("tessera token get refresh --refresh-token x"), ErrorKind::UnknownArgument);
    let two = "tessera token get refresh --refresh-token-stdin --refresh-token-file f";
    assert_eq!(error(two), ErrorKind::ArgumentConflict);
}

#[test]
fn what_users_are_called_is_checked_before_anybody_is_asked() {
    for line in [
        "tessera user create --username a@b --no-password",
        "tessera user create --username a --email b --no-password",
        "tessera user update a --email b@",
        "tessera token get auth-code --redirect-port 65536",
        "tessera token get auth-code --wait soon",
    ] {
        assert_eq!(parse(line).expect_err(line).kind(), ErrorKind::ValueValidation, "{line}");
    }
}

#[test]
fn what_excludes_another_is_refused() {
    let error = |line: &str| parse(line).expect_err(line).kind();
    assert_eq!(error("tessera client list --enabled --disabled"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera client update a --scope b --add-scope c"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera token revoke t --client c"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera token revoke t --user u"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera token revoke --client c --user u"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera user list --enabled --disabled"), ErrorKind::ArgumentConflict);
    assert_eq!(error("tessera introspect t --at-least 0-0 --fully-consistent"), ErrorKind::ValueValidation);
}

#[test]
fn a_token_argument_is_not_shown_by_debug() {
    let shown = format!("{:?}", parse("tessera introspect s3cret-token").expect("parses"));
    assert!(!shown.contains("s3cret"), "{shown}");
}
