//! Load by h2load (nghttp2), which a server of ours cannot outrun.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::call::{Call, PATH, PREFIX};
use crate::process::{LOAD_CORE, is_installed, pinned};

/// What h2load says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Calls answered.
    pub requests: u32,
    /// How long they took.
    pub took: Duration,
}

/// Whether h2load is here.
#[must_use]
pub fn is_here() -> bool {
    is_installed("h2load")
}

/// Makes `requests` calls over 4 connections with 64 calls at a time on each. Every answer must have `response` bytes: an
/// error of gRPC has none, and HTTP would call it a success.
pub fn run(port: u16, call: &Call, body: &Path, response: usize, requests: u32) -> Result<Run> {
    let mut h2load = pinned(LOAD_CORE, Path::new("h2load"));
    h2load.args(["--threads=1", "--clients=4", "--max-concurrent-streams=64", &format!("--requests={requests}")]);
    h2load.args(["--header", "content-type: application/grpc", "--header", "te: trailers"]);
    h2load.args(["--header", &format!("authorization: {}", call.authorization)]);
    h2load.arg("--data").arg(body).arg(format!("http://127.0.0.1:{port}{PATH}"));
    let output = h2load.output().context("cannot run h2load")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "h2load failed: {}", String::from_utf8_lossy(&output.stderr));
    let run = parse(&said, PREFIX + response).with_context(|| format!("h2load says:\n{said}"))?;
    ensure!(run.requests == requests, "{} of {requests} calls were answered", run.requests);
    Ok(run)
}

fn parse(said: &str, answer: usize) -> Result<Run> {
    let line = |start: &str| {
        said.lines().find_map(|line| line.strip_prefix(start)).with_context(|| format!("it has no line `{start}`"))
    };
    let took = line("finished in ")?.split_once(',').context("no time")?.0;
    let succeeded = counted(line("requests: ")?, " succeeded").context("no count of successes")?;
    let data = line("traffic: ")?.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).context("no traffic")?.0;
    let expected = u64::from(succeeded) * u64::try_from(answer)?;
    ensure!(data.parse::<u64>()? == expected, "answers came to {data} bytes and not to {expected}: some were errors");
    Ok(Run { requests: succeeded, took: seconds(took).context("no time")? })
}

fn counted(line: &str, word: &str) -> Option<u32> {
    line.split(", ").find_map(|part| part.strip_suffix(word))?.parse().ok()
}

/// h2load writes `5.25s`, `1.02ms`, `700us` and, past a minute, `1m5.20s`.
fn seconds(text: &str) -> Option<Duration> {
    const UNITS: &[(&str, f64)] = &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (minutes, rest) = match text.split_once('m') {
        Some((minutes, rest)) if rest != "s" => (minutes.parse::<u32>().ok()?, rest),
        _ => (0, text),
    };
    let (number, unit) = UNITS.iter().find_map(|(unit, size)| Some((rest.strip_suffix(unit)?, size)))?;
    Some(Duration::from_secs(u64::from(minutes) * 60) + Duration::from_secs_f64(number.parse::<f64>().ok()? * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "starting benchmark...\n\
        progress: 100% done\n\n\
        finished in 2.50s, 40000.00 req/s, 5.10MB/s\n\
        requests: 100000 total, 100000 started, 100000 done, 100000 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 100000 2xx, 0 3xx, 0 4xx, 0 5xx\n\
        traffic: 6.10MB (6400000) total, 1.00MB (1048576) headers (space savings 90.00%), 4.77MB (5000000) data\n";

    #[test]
    fn a_run_is_read() {
        let run = parse(SAID, 50).expect("it is well formed");
        assert_eq!(run, Run { requests: 100_000, took: Duration::from_millis(2_500) });
    }

    #[test]
    fn answers_of_another_size_are_errors_in_disguise() {
        assert!(parse(SAID, 51).is_err());
    }

    #[test]
    fn times_are_read_in_every_unit() {
        assert_eq!(seconds("5.25s"), Some(Duration::from_millis(5_250)));
        assert_eq!(seconds("1.50ms"), Some(Duration::from_micros(1_500)));
        assert_eq!(seconds("700us"), Some(Duration::from_micros(700)));
        assert_eq!(seconds("1m5.50s"), Some(Duration::from_millis(65_500)));
        assert_eq!(seconds("soon"), None);
    }
}
