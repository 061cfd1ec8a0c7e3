//! A private PostgreSQL for tests: its own cluster in a temporary folder, on a free port of the loopback, gone with the process.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

const USER: &str = "tessera";

/// Another process may take the free port before the server does.
const ATTEMPTS: u32 = 5;

/// Runs the server until its standard input ends: when this process closes it, or dies in whatever way. A static is never
/// dropped, and a killed test runs no destructor, so the end of the pipe is the one signal that always comes.
const KEEPER: &str = r#"
"$@" </dev/null &
server=$!
cat >/dev/null
kill -INT "$server"
# Not where it failed to start: then another attempt follows.
if wait "$server"; then
    cd / && rm -rf -- "$CLUSTER_FOLDER"
fi
"#;

/// A running PostgreSQL. Stopped when dropped, or when this process ends.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    bin: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
    // Last, so that the folder goes after the server.
    folder: TempDir,
}

#[derive(Debug)]
struct Server {
    keeper: Child,
    lifeline: Option<ChildStdin>,
}

impl Cluster {
    /// Starts a cluster. `None` where PostgreSQL is not installed, unless `CI=true`: there a test must not pass by not running.
    pub fn start() -> Result<Option<Self>> {
        let Some(bin) = find_programs() else {
            if env::var_os("CI").is_some_and(|value| value == "true") {
                bail!("PostgreSQL's initdb and postgres are neither in PATH nor under /usr/lib/postgresql");
            }
            return Ok(None);
        };
        let folder = tempfile::Builder::new().prefix("tessera-postgres-").tempdir().context("a temporary folder")?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).context("giving the folder to the server's user")?;
        }
        let password = format!("{:016x}", RandomState::new().build_hasher().finish());
        let data = folder.path().join("data");
        initialise(&bin, folder.path(), &data, &password, owner)?;
        let (server, port) = launch(&bin, &data, owner)?;
        Ok(Some(Self { server, bin, port, password, databases: AtomicU32::new(0), folder }))
    }

    /// The cluster that all tests of this process share, started at the first call.
    pub fn shared() -> Result<Option<&'static Self>> {
        static SHARED: OnceLock<Result<Option<Cluster>>> = OnceLock::new();
        match SHARED.get_or_init(Self::start) {
            Ok(cluster) => Ok(cluster.as_ref()),
            Err(error) => bail!("the shared PostgreSQL did not start: {error:#}"),
        }
    }

    /// Stops the server, as for tests of what happens without it.
    pub fn stop(self) {
        drop(self.server);
        drop(self.folder);
    }

    /// Makes an empty database and returns its URL.
    pub fn create_database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        // A locale whose order is not that of bytes, as most installations have it, so that what relies on it is found out.
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        self.execute("postgres", &format!("{create} LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"))
            // A PostgreSQL before 15, or built without ICU.
            .or_else(|_| self.execute("postgres", &create))?;
        Ok(format!("postgres://{USER}:{}@127.0.0.1:{}/{name}?sslmode=disable", self.password, self.port))
    }

    /// Runs a statement as the superuser, and returns the bare rows it answers.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String> {
        self.psql(database, &format!("--command={sql}"))
    }

    /// Runs a file of statements, such as a [dump](Self::dump), on the database of a URL.
    pub fn load(&self, url: &str, file: &Path) -> Result<()> {
        self.psql(database_of(url)?, &format!("--file={}", file.display())).map(drop)
    }

    /// What the database of a URL holds, as statements.
    pub fn dump(&self, url: &str) -> Result<String> {
        let mut command = self.client("pg_dump", database_of(url)?);
        let dump = output(command.args(["--no-owner", "--no-privileges", "--inserts"]))?;
        // Newer ones speak to psql too, which older ones do not understand.
        let lines = dump.lines().filter(|line| !line.starts_with('\\'));
        Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
    }

    fn psql(&self, database: &str, what: &str) -> Result<String> {
        let mut command = self.client("psql", database);
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", what]);
        Ok(output(&mut command)?.trim().to_owned())
    }

    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .args(["--host=127.0.0.1", &format!("--port={}", self.port), &format!("--username={USER}")])
            .arg(format!("--dbname={database}"))
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null());
        command
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn database_of(url: &str) -> Result<&str> {
    let name = url.rsplit_once('/').and_then(|(_, rest)| rest.split('?').next());
    name.context("a URL without a database")
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // It ends by itself now; what remains to be done if it does not is up to whoever looks.
        let _ = self.keeper.wait();
    }
}

/// Where `initdb`, `postgres` and `psql` are: one folder of `PATH`, else the newest version that Debian's packages installed.
fn find_programs() -> Option<PathBuf> {
    let complete = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    let in_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).find(complete);
    in_path.or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(complete);
        folders.max_by_key(|folder| version(folder))
    })
}

fn version(bin: &Path) -> u32 {
    bin.parent().and_then(Path::file_name).and_then(OsStr::to_str).and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// PostgreSQL refuses to run as root: then the user it is packaged with, or nobody. `None`: as whoever we are.
fn owner() -> Result<Option<(u32, u32)>> {
    let ours = fs::metadata("/proc/self").map(|process| std::os::unix::fs::MetadataExt::uid(&process));
    if ours.context("reading our user id")? != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    let found = find("postgres").or_else(|| find("nobody"));
    found.map(Some).context("PostgreSQL cannot run as root, and there is neither a user postgres nor nobody")
}

/// A command that runs as the server's user, without our supplementary groups, and speaks English.
fn command(program: impl AsRef<OsStr>, folder: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn initialise(bin: &Path, folder: &Path, data: &Path, password: &str, owner: Option<(u32, u32)>) -> Result<()> {
    let file = folder.join("password");
    let mut written = fs::File::create_new(&file)?;
    written.set_permissions(fs::Permissions::from_mode(0o600))?;
    writeln!(written, "{password}")?;
    if let Some((user, group)) = owner {
        chown(&file, Some(user), Some(group))?;
    }
    let output = command(bin.join("initdb"), folder, owner)
        .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=password"])
        .args([&format!("--username={USER}"), &format!("--pwfile={}", file.display())])
        .arg(format!("--pgdata={}", data.display()))
        .stdin(Stdio::null())
        .output()
        .context("initdb")?;
    if !output.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn launch(bin: &Path, data: &Path, owner: Option<(u32, u32)>) -> Result<(Server, u16)> {
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr())?.port();
        match serve(bin, data, owner, port)? {
            Ok(server) => return Ok((server, port)),
            Err(last) => said = last,
        }
    }
    bail!("PostgreSQL does not start: {said}")
}

/// Starts the server and waits until it says that it is ready, or ends; then what it said is the error.
fn serve(bin: &Path, data: &Path, owner: Option<(u32, u32)>, port: u16) -> Result<Result<Server, String>> {
    let folder = data.parent().context("the data's folder has a parent")?;
    let mut keeper = command("/bin/sh", data, owner)
        .env("CLUSTER_FOLDER", folder)
        // Apart from our group: what ends the tests from a terminal must not end the keeper before it has cleaned up.
        .process_group(0)
        .args(["-c", KEEPER, "keeper"])
        .arg(bin.join("postgres"))
        .args([OsStr::new("-D"), data.as_os_str()])
        .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}"), "-c", "unix_socket_directories="])
        // Nothing here outlives a crash, so nothing needs to reach the disk. (The store's own settings are tested apart.)
        .args(["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300"])
        .args(["-c", "log_destination=stderr", "-c", "logging_collector=off"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting PostgreSQL")?;
    let lifeline = keeper.stdin.take();
    let mut log = BufReader::new(keeper.stderr.take().context("the server's log")?);
    let server = Server { keeper, lifeline };
    let mut said = String::new();
    loop {
        let before = said.len();
        log.read_line(&mut said)?;
        let line = &said[before..];
        if line.contains("database system is ready to accept connections") {
            break;
        }
        if line.is_empty() || line.contains("database system is shut down") || line.contains("FATAL") {
            return Ok(Err(said));
        }
    }
    // Read to the end, lest the pipe fill and the server stand still.
    thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Ok(Ok(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_apart_and_the_server_goes_with_its_cluster() -> Result<()> {
        let Some(cluster) = Cluster::start()? else { return Ok(()) };
        let (one, two) = (cluster.create_database()?, cluster.create_database()?);
        assert_ne!(one, two);
        cluster.execute("test_0", "CREATE TABLE t (n INT)")?;
        assert!(cluster.execute("test_1", "SELECT * FROM t").is_err());
        let port = cluster.port;
        let folder = cluster.folder.path().to_owned();
        cluster.stop();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "the server still listens");
        assert!(!folder.exists());
        Ok(())
    }
}
