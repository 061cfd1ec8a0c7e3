//! Running other programs.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Runs a command, shown first, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    show(command);
    let status = tidy(command).status().with_context(|| format!("cannot run {}", words(command)))?;
    succeeded(command, status)
}

/// Runs a command and returns what it wrote to its output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        tidy(command).stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {}", words(command)))?;
    succeeded(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote something that is not UTF-8", words(command)))
}

/// Runs a command, shown first; hands every line of its output on and to `each`. Returns whether it succeeded.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    show(command);
    let mut child =
        tidy(command).stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {}", words(command)))?;
    let stdout = child.stdout.take().context("the child's output was asked for and is not there")?;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        // A test may print anything; a byte that is not UTF-8 must not end the run.
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        println!("{text}");
        each(text);
        line.clear();
    }
    Ok(child.wait()?.success())
}

/// A command as one would type it.
pub(crate) fn words(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// How long `work` takes.
#[allow(clippy::disallowed_methods, reason = "a stop-watch for people; no rule depends on it")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// A duration as people read it.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

fn show(command: &Command) {
    println!("$ {}", words(command));
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} failed ({status})", words(command));
    }
    Ok(())
}

/// Takes away what `cargo run` set for this process alone. Build scripts that watch such variables would run again.
fn tidy(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_this_package) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_this_package(name: &str) -> bool {
    const EXACT: &[&str] = &["CARGO", "LD_LIBRARY_PATH", "OUT_DIR", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    const PREFIXES: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    EXACT.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_a_failing_command_is_an_error_that_names_it() {
        let error = output(Command::new("sh").args(["-c", "exit 3"])).expect_err("it exits with 3");
        assert!(error.to_string().contains("sh -c exit 3"), "{error}");
    }

    #[test]
    fn lines_survive_bytes_that_are_not_utf_8() {
        let mut seen = Vec::new();
        let done = lines(Command::new("printf").arg(r"one\n\377two\r\nthree"), |line| seen.push(line.to_owned()));
        assert!(done.expect("printf runs"));
        assert_eq!(seen, ["one", "\u{fffd}two", "three"]);
    }

    #[test]
    fn only_the_variables_of_this_package_are_taken_away() {
        assert!(is_of_this_package("CARGO_PKG_NAME"));
        assert!(is_of_this_package("CARGO_MANIFEST_DIR"));
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE", "PATH", "CI"] {
            assert!(!is_of_this_package(kept), "{kept}");
        }
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(human(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(human(Duration::from_secs(125)), "2 min 05 s");
    }
}
