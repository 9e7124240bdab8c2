//! Lives here: a private server: made, started, stopped, killed, started again, and never left behind.
//! Never here: where its programs are, or what is in its databases.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{Binaries, Error, database::Url};

/// Name of the role that owns everything.
const ROLE: &str = "mnara";

/// Connections the server takes; a test's daemon takes a dozen, and several run at a time.
const CONNECTIONS_MAX: u32 = 200;

/// A server has this long to start, recovery included.
const START_MAX: Duration = Duration::from_secs(60);

/// And this long to stop or to be gone, a checkpoint included.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Ports for a server. Below those that Linux gives to whoever connects: a client that tries again and again while the
/// server is away could otherwise be given the server's own port, be connected to itself, and keep the server out.
const PORTS: std::ops::Range<u16> = 15_000..31_000;

/// Ports tried before giving up.
const PORT_TRIES: usize = 50;

/// Octets of the server's log shown when it fails.
const LOG_TAIL: usize = 2_000;

/// What a commit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// PostgreSQL's own settings: a commit survives the loss of power. For loads.
    Durable,
    /// A commit survives the loss of the server, not of power. For tests.
    Fast,
}

/// How a server is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ends all sessions, writes everything down.
    Fast,
    /// Ends at once; the next start recovers.
    Immediate,
}

/// Whom SIGKILL hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The postmaster alone: its sessions notice and end, after what they are at.
    Postmaster,
    /// It and all of its processes, in the middle of whatever they do.
    Everything,
}

/// A server of its own on 127.0.0.1, in a folder of its own. Dropping it ends it and removes the folder, and so does
/// the end of this process, whatever its kind.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    durability: Durability,
    user: Option<User>,
    folder: PathBuf,
    port: u16,
    password: String,
    running: Option<Child>,
    guard: Child,
    /// The guard acts when this closes.
    leash: Option<ChildStdin>,
}

/// Whom the server runs as where we are root, which it refuses to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

impl Server {
    /// Makes a server in a new folder below the system's temporary one, and starts it.
    ///
    /// # Errors
    /// [`Error::Missing`] without PostgreSQL's programs; otherwise what `initdb` or the server has said.
    pub fn start(durability: Durability) -> Result<Self, Error> {
        Self::start_below(&std::env::temp_dir(), durability)
    }

    /// The same below `parent`, through which the user `postgres` must be able to pass where we are root.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_below(parent: &Path, durability: Durability) -> Result<Self, Error> {
        let binaries = Binaries::find()?;
        let parent = parent.canonicalize().map_err(Error::path(parent))?;
        let folder = parent.join(format!("mnara-pg-{}", random(8)?));
        fs::create_dir(&folder).map_err(Error::path(&folder))?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))
            .map_err(Error::path(&folder))?;
        let user = User::needed(&folder)?;
        if let Some(User { uid, gid }) = user {
            chown(&folder, Some(uid), Some(gid)).map_err(Error::path(&folder))?;
        }
        // From here on the guard removes the folder, whatever happens.
        let mut guard = Command::new("sh");
        guard
            .args(["-c", include_str!("guard.sh"), "mnara-pg-guard"])
            .arg(&folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever kills our process group must not kill the guard.
            .process_group(0);
        let mut guard = User::run(user, &mut guard)
            .spawn()
            .map_err(Error::io("sh"))?;
        let mut server = Self {
            binaries,
            durability,
            user,
            folder,
            port: 0,
            password: random(16)?,
            running: None,
            leash: guard.stdin.take(),
            guard,
        };
        server.make()?;
        server.port = free_port()?;
        server.restart()?;
        Ok(server)
    }

    /// The URL of one of its databases, password included. The server's own is `postgres`.
    pub fn url(&self, database: &str) -> String {
        let (password, port) = (&self.password, self.port);
        format!("postgres://{ROLE}:{password}@127.0.0.1:{port}/{database}")
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// When the server is not running or has a database of this name.
    pub fn create_database(&self, name: &str) -> Result<String, Error> {
        Url::parse(&self.url("postgres"))?.run(&format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// Process id of the postmaster; `None` while the server is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Child::id)
    }

    /// Stops the server and waits for its end. Nothing when it is stopped already.
    ///
    /// # Errors
    /// When it has not ended after a minute.
    pub fn stop(&mut self, how: Stop) -> Result<(), Error> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let signal = match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        };
        send(signal, &[pid])?;
        let deadline = Instant::now() + STOP_MAX;
        while self.runs()? {
            if Instant::now() >= deadline {
                return Err(self.failed(format!("stopping PostgreSQL within {STOP_MAX:?}")));
            }
            sleep(LOOK);
        }
        Ok(())
    }

    /// SIGKILL; returns when none of the server's processes is left. Nothing when it is stopped already.
    ///
    /// # Errors
    /// When they are still there after a minute.
    pub fn kill9(&mut self, blow: Blow) -> Result<(), Error> {
        let Some(postmaster) = self.pid() else {
            return Ok(());
        };
        // Held, so that none is born between the list and the blow.
        send("STOP", &[postmaster])?;
        let children = children(postmaster);
        let mut hit = vec![postmaster];
        match blow {
            Blow::Postmaster => {}
            Blow::Everything => hit.extend(children.iter().map(|child| child.pid)),
        }
        send("KILL", &hit)?;
        let deadline = Instant::now() + STOP_MAX;
        // A next server would refuse to start beside a process of the last one.
        while self.runs()? || children.iter().any(Process::lives) {
            if Instant::now() >= deadline {
                return Err(self.failed(format!("PostgreSQL's end within {STOP_MAX:?}")));
            }
            sleep(LOOK);
        }
        Ok(())
    }

    /// Starts a stopped or killed server again, on the same port, and waits until it lets sessions in. Nothing when it
    /// is running.
    ///
    /// # Errors
    /// What the server has said.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.runs()? {
            return Ok(());
        }
        let path = self.folder.join("server.log");
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(Error::path(&path))?;
        let copy = log.try_clone().map_err(Error::path(&path))?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-c", &format!("port={}", self.port)])
            .stdout(log)
            .stderr(copy)
            // A Ctrl-C is for the one who runs the tests; the guard then ends the server.
            .process_group(0);
        self.running = Some(command.spawn().map_err(Error::io("postgres"))?);
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = self.ended()? {
                return Err(self.failed(format!("PostgreSQL ended with {status}; starting it")));
            }
            if self.lets_in() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.failed(format!("starting PostgreSQL within {START_MAX:?}")));
            }
            sleep(LOOK);
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A program of PostgreSQL, as its user, undisturbed by the environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        User::run(self.user, &mut command);
        command
    }

    /// The data folder with its settings.
    fn make(&self) -> Result<(), Error> {
        let secret = self.folder.join("password");
        fs::write(&secret, &self.password).map_err(Error::path(&secret))?;
        if let Some(User { uid, gid }) = self.user {
            chown(&secret, Some(uid), Some(gid)).map_err(Error::path(&secret))?;
        }
        let mut command = self.command("initdb");
        // What initdb itself writes needs no fsync; the server's first checkpoint sees to what follows.
        command
            .args(["--no-sync", "--encoding=UTF8", "--locale=C"])
            .args(["--auth=scram-sha-256", "--username", ROLE])
            .arg("--pwfile")
            .arg(&secret)
            .arg("-D")
            .arg(self.data());
        let output = command.output().map_err(Error::io("initdb"))?;
        if !output.status.success() {
            return Err(Error::Failed {
                what: format!("initdb in {}", self.folder.display()),
                said: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let path = self.data().join("postgresql.conf");
        let file = File::options().append(true).open(&path);
        file.and_then(|mut file| file.write_all(settings(self.durability).as_bytes()))
            .map_err(Error::path(&path))
    }

    fn runs(&mut self) -> Result<bool, Error> {
        self.ended()?;
        Ok(self.running.is_some())
    }

    /// How the postmaster ended, once; it is waited for, so that it is no zombie.
    fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        let Some(child) = &mut self.running else {
            return Ok(None);
        };
        let status = child
            .try_wait()
            .map_err(Error::io("waiting for postgres"))?;
        if status.is_some() {
            self.running = None;
        }
        Ok(status)
    }

    /// The eighth line of `postmaster.pid` says so; the first, whose it is.
    fn lets_in(&self) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next().and_then(|line| line.parse().ok());
        pid.is_some() && pid == self.pid() && lines.nth(6) == Some("ready")
    }

    fn failed(&self, what: String) -> Error {
        let log = fs::read(self.folder.join("server.log")).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL)..];
        Error::Failed {
            what,
            said: String::from_utf8_lossy(tail).into_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard does all of it, here as after a kill -9.
        self.leash = None;
        if let Some(child) = &mut self.running {
            child.wait().ok();
        }
        self.guard.wait().ok();
        // Where the parent is not writable for the server's user, the empty folder is still there.
        fs::remove_dir_all(&self.folder).ok();
    }
}

impl User {
    /// Nobody where we are not root; else `postgres`, whom Debian's package brings, or `nobody`.
    fn needed(own: &Path) -> Result<Option<Self>, Error> {
        if fs::metadata(own).map_err(Error::path(own))?.uid() != 0 {
            return Ok(None);
        }
        let text = fs::read_to_string("/etc/passwd").map_err(Error::io("/etc/passwd"))?;
        let found = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Self::of(name, &text));
        found.map(Some).ok_or_else(|| Error::Failed {
            what: "starting PostgreSQL as root".to_owned(),
            said: "it refuses that, and /etc/passwd has neither postgres nor nobody".to_owned(),
        })
    }

    fn of(name: &str, passwd: &str) -> Option<Self> {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    }

    /// With the uid, the standard library gives up root's other groups too.
    fn run(user: Option<Self>, command: &mut Command) -> &mut Command {
        match user {
            Some(Self { uid, gid }) => command.uid(uid).gid(gid),
            None => command,
        }
    }
}

/// A process by its number and the time of its birth: numbers come again.
struct Process {
    pid: u32,
    born: u64,
}

impl Process {
    /// `None` for one that is gone or only waits to be waited for. The second value is its parent.
    fn look(pid: u32) -> Option<(Self, u32)> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may itself hold blanks and parentheses.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let parent = fields.get(1)?.parse().ok()?;
        let born = fields.get(19)?.parse().ok()?;
        Some((Self { pid, born }, parent))
    }

    fn lives(&self) -> bool {
        Self::look(self.pid).is_some_and(|(now, _)| now.born == self.born)
    }
}

fn children(parent: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Process::look(entry.file_name().to_str()?.parse().ok()?))
        .filter_map(|(process, its)| (its == parent).then_some(process))
        .collect()
}

/// The standard library sends SIGKILL only, and to children only. A process that is gone is not an error.
fn send(signal: &str, pids: &[u32]) -> Result<(), Error> {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    Command::new("sh")
        .args(["-c", &format!("kill -{signal} {}", pids.join(" "))])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(Error::io("sh"))?;
    Ok(())
}

fn settings(durability: Durability) -> String {
    let mut text = format!(
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
         max_connections = {CONNECTIONS_MAX}\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
    );
    match durability {
        // After a kill one sync of the file system, not one of each of a thousand files.
        Durability::Durable => text.push_str("recovery_init_sync_method = syncfs\n"),
        // Commits are still written before they are answered, so that kill -9 loses none.
        Durability::Fast => text.push_str("fsync = off\nfull_page_writes = off\n"),
    }
    text
}

fn free_port() -> Result<u16, Error> {
    for _ in 0..PORT_TRIES {
        let number = u16::from_be_bytes(octets()?);
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::Io {
        what: format!("a port of 127.0.0.1 within {PORTS:?}"),
        source: io::ErrorKind::AddrInUse.into(),
    })
}

/// So many random octets in hexadecimal.
fn random(octets_wanted: usize) -> Result<String, Error> {
    let octets: [u8; 16] = octets()?;
    let octets = octets.iter().take(octets_wanted);
    Ok(octets.map(|octet| format!("{octet:02x}")).collect())
}

fn octets<const N: usize>() -> Result<[u8; N], Error> {
    let mut octets = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut octets))
        .map_err(Error::io("/dev/urandom"))?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;
    use crate::Database;

    #[test]
    fn a_commit_survives_both_blows_and_both_ways_to_stop() {
        let mut server = Server::start(Durability::Fast).unwrap();
        let url = server.create_database("kept").unwrap();
        let run = |sql| Url::parse(&url).unwrap().run(sql);
        run("CREATE TABLE t (n int)").unwrap();
        for round in 0..4 {
            run("INSERT INTO t SELECT count(*) FROM t").unwrap();
            match round {
                0 => server.kill9(Blow::Everything),
                1 => server.kill9(Blow::Postmaster),
                2 => server.stop(Stop::Immediate),
                _ => server.stop(Stop::Fast),
            }
            .unwrap();
            assert_eq!(server.pid(), None);
            assert!(run("SELECT 1").is_err(), "round {round}");
            server.restart().unwrap();
        }
        assert_eq!(run("SELECT n FROM t ORDER BY n").unwrap(), "0\n1\n2\n3\n");
    }

    #[test]
    fn a_dropped_server_leaves_no_process_and_no_folder() {
        for killed in [false, true] {
            let mut server = Server::start(Durability::Fast).unwrap();
            let (folder, pid) = (server.folder.clone(), server.pid().unwrap());
            let database = Database::on(&server.url("postgres")).unwrap();
            assert_eq!(database.run("SHOW fsync").unwrap(), "off\n");
            assert_eq!(database.run("SHOW synchronous_commit").unwrap(), "on\n");
            drop(database);
            if killed {
                server.kill9(Blow::Everything).unwrap();
            }
            drop(server);
            assert!(!folder.exists());
            assert!(Process::look(pid).is_none());
        }
    }

    /// The owner is this very test in a process of its own, which the variable tells it to be.
    #[test]
    fn a_server_ends_with_its_owner_even_by_kill_9() {
        const VARIABLE: &str = "MNARA_PG_OWNER";
        if std::env::var_os(VARIABLE).is_some() {
            let server = Server::start(Durability::Fast).unwrap();
            println!("\nserver {}", server.folder.display());
            sleep(STOP_MAX);
            return;
        }
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["a_server_ends_with_its_owner_even_by_kill_9", "--nocapture"])
            .env(VARIABLE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = io::BufReader::new(owner.stdout.take().unwrap()).lines();
        let line = lines
            .map(Result::unwrap)
            .find(|line| line.starts_with("server "));
        let folder = PathBuf::from(line.unwrap().trim_start_matches("server "));
        let pid = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().parse().unwrap();
        assert!(Process::look(pid).is_some());
        owner.kill().unwrap();
        owner.wait().unwrap();
        let deadline = Instant::now() + STOP_MAX;
        while folder.exists() || Process::look(pid).is_some() {
            assert!(Instant::now() < deadline, "{} is left", folder.display());
            sleep(LOOK);
        }
    }

    #[test]
    fn a_dropped_database_is_gone() {
        let server = Server::start(Durability::Durable).unwrap();
        let database = Database::on(&server.url("postgres")).unwrap();
        let url = Url::parse(&server.url("postgres")).unwrap();
        let count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'mnara%'";
        assert_eq!(url.run(count).unwrap(), "1\n");
        drop(database);
        assert_eq!(url.run(count).unwrap(), "0\n");
        assert_eq!(url.run("SHOW fsync").unwrap(), "on\n");
    }

    #[test]
    fn a_user_is_read_from_its_own_line() {
        let text = "postgresx:x:1:2:::\npostgres:x:108:116:PG:/var/lib/postgresql:/bin/bash\n";
        let expected = User { uid: 108, gid: 116 };
        assert_eq!(User::of("postgres", text), Some(expected));
        assert_eq!(User::of("nobody", text), None);
    }
}
