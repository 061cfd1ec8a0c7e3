//! Server processes: pinned to a core, killed with their handle, and their CPU time read.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The core servers run on.
pub const SERVER_CORE: u32 = 0;
/// The core load comes from.
pub const LOAD_CORE: u32 = 1;

/// A running process. It ends with this handle.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program on a core; what it says goes to a file.
    pub fn start<A: AsRef<OsStr>>(core: u32, program: &Path, arguments: &[A], log: &Path) -> Result<Self> {
        let log = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = pinned(core, program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self(child))
    }

    /// The CPU time the process has used, all its threads together.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).context("the server is gone")?;
        let ticks = cpu_ticks(&stat).context("/proc/<pid>/stat has a shape of its own here")?;
        // USER_HZ is 100 on every Linux there is.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Fails if the process has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("a server ended by itself ({status})"),
            None => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command on one core. Where `taskset` is missing the kernel places it; ratios by CPU time still hold then.
#[must_use]
pub fn pinned(core: u32, program: &Path) -> Command {
    if !has_taskset() {
        return Command::new(program);
    }
    // taskset executes the program in its own place, so the process id is the program's.
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// Whether processes can be pinned here.
#[must_use]
pub fn has_taskset() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores > 1 && is_installed("taskset")
}

/// Whether a program answers to `--version`.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Ports that are free now.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held at once, so that they differ.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// `utime` + `stime`: the fields 14 and 15, counted after the name in parentheses, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let tick = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(tick(14)? + tick(15)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 17 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(cpu_ticks(stat), Some(22));
        assert_eq!(cpu_ticks("nothing"), None);
    }

    #[test]
    fn a_process_has_cpu_time_and_ends_with_its_handle() {
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut process = Process::start(SERVER_CORE, Path::new("sleep"), &["60"], log.path()).expect("it starts");
        process.check().expect("it runs");
        assert!(process.cpu().expect("it has a time") < Duration::from_secs(1));
        let id = process.0.id();
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn free_ports_differ() {
        let [a, b, c] = free_ports().expect("there are free ports");
        assert!(a != b && b != c && a != c);
    }
}
