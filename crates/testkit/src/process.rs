//! Real processes, as operators run them: started, killed, stopped and awaited.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a process may take until it is ready, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where the binaries are: `TEST_TESSERA_BIN_DIR`, or beside the test's own.
///
/// # Errors
/// Where they have not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = if let Some(folder) = std::env::var_os("TEST_TESSERA_BIN_DIR") {
        PathBuf::from(folder)
    } else {
        let test = std::env::current_exe()?;
        test.ancestors().nth(2).context("the test is not in a target folder")?.to_owned()
    };
    let path = folder.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        bail!("{} is missing: run the tests with `cargo xtask test`, which builds it first", path.display())
    }
}

/// A command that sees nothing of this process's own environment but where programs are.
#[must_use]
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Where free ports are looked for: below those that the system gives to outgoing connections, which would take one between its
/// being found and its being used, or while a process that listens there is being restarted.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// Free ports on loopback, no two alike in this process. Processes begin in different places.
///
/// # Errors
/// Where there are none.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(u16::try_from(std::process::id() % 600).unwrap_or_default() * 32));
    let mut ports = [0; N];
    for port in &mut ports {
        *port = (0..PORTS.len())
            .map(|_| PORTS.start + next.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start))
            .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
            .context("no port is free")?;
    }
    Ok(ports)
}

/// A running service. Killed when dropped.
pub struct Service {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    ops: SocketAddr,
    child: Child,
}

impl Service {
    /// Starts a program whose ops port is known, and waits until it is live; `log` gets what it says.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(program: PathBuf, arguments: Vec<String>, log: PathBuf, ops: SocketAddr) -> Result<Self> {
        let child = spawn(&program, &arguments, &log)?;
        let mut service = Self { program, arguments, log, ops, child };
        service.wait_for("/livez").await?;
        Ok(service)
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// Where it exits or takes too long; with what it said.
    pub async fn ready(&mut self) -> Result<()> {
        self.wait_for("/readyz").await
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        status(self.ops, "/readyz").await.is_ok_and(|status| status == 200)
    }

    /// Its metrics.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        get(self.ops, "/metrics").await.map(|(_, body)| body)
    }

    /// What it has said so far.
    ///
    /// # Errors
    /// Where its log cannot be read.
    pub fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it holds its connections and says nothing.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGHUP: it reads its configuration and its certificates again.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn hangup(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// SIGTERM, and waits; returns its exit code.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn terminate(&mut self) -> Result<Option<i32>> {
        self.ask_to_stop()?;
        self.ended().await
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn ask_to_stop(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits until it has ended; its exit code, where no signal ended it.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn ended(&mut self) -> Result<Option<i32>> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let ended = async {
            loop {
                looks.tick().await;
                if let Some(status) = self.child.try_wait()? {
                    return Ok::<_, anyhow::Error>(status.code());
                }
            }
        };
        tokio::time::timeout(READY_WITHIN, ended).await.context("it does not end")?
    }

    /// Starts it again, after it was killed or terminated.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, &self.arguments, &self.log)?;
        self.wait_for("/livez").await
    }

    /// Takes away its right to more open files than this; the ones it has stay open.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn limit_descriptors(&self, most: u64) -> Result<()> {
        prlimit(Some(self.id()?), Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?;
        Ok(())
    }

    /// How many files it has open.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Ends it and starts another program in its place, with the same arguments: an update, or its undoing.
    ///
    /// # Errors
    /// Where the one does not end or the other does not start.
    pub async fn replace(&mut self, program: PathBuf) -> Result<()> {
        self.terminate().await?;
        self.program = program;
        self.restart().await?;
        self.ready().await
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.id()?, signal)?)
    }

    fn id(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no such process id")
    }

    async fn wait_for(&mut self, path: &str) -> Result<()> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            looks.tick().await;
            if status(self.ops, path).await.is_ok_and(|status| status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.program.display(), self.said()?);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} does not answer {path}:\n{}", self.program.display(), self.said()?);
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, arguments: &[String], log: &Path) -> Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    clean_command(program)
        .args(arguments)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} does not start", program.display()))
}

/// The status of a GET.
///
/// # Errors
/// Where nobody answers.
pub async fn status(address: SocketAddr, path: &str) -> Result<u16> {
    get(address, path).await.map(|(status, _)| status)
}

/// A GET, as status and body.
///
/// # Errors
/// Where nobody answers.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")).await
}

/// Sends bytes as they are and reads to the end: status, and what follows the head.
///
/// # Errors
/// Where nobody answers, or not in HTTP/1.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Result<(u16, String)> {
    let (status, _, body) = exchange_all(address, request).await?;
    Ok((status, body))
}

/// As [`exchange`], with the head.
///
/// # Errors
/// Where nobody answers, or not in HTTP/1.
pub async fn exchange_all(address: SocketAddr, request: impl AsRef<[u8]>) -> Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    // A server that has heard enough may close while more is being sent.
    let _ = stream.write_all(request.as_ref()).await;
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(READY_WITHIN, stream.read_to_end(&mut bytes)).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    Ok((status, head.to_owned(), body.to_owned()))
}
