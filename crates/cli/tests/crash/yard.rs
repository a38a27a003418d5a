//! A bed with two upstreams that write down what they do, and what is known of its ledger from outside.

use crate::{
    bed::{Bed, Said, Served, free_port, until},
    books::{Books, executed},
    desk,
    host::Host,
};
use decision::{Clock, Entropy, Timestamp};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};
use store::ledger::{Disk, Ledger, LedgerError, Options, Recovered};

const POLICY: &str = r#"@id("write")
permit (principal, action in [Action::"books__write", Action::"desk__write"], resource);
"#;

pub(crate) struct Yard {
    pub(crate) bed: Bed,
    pub(crate) port: u16,
    /// Where the server over HTTP listens.
    pub(crate) books: u16,
    pub(crate) token: String,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let bed = Bed::new();
        let books = Books::open(&bed.path("executed.books"));
        let (command, args) = desk::command();
        let port = free_port();
        bed.write(
            "callgate.toml",
            &format!(
                "listen = \"127.0.0.1:{port}\"\nstate-dir = \"state\"\n\
                 [servers.books]\nurl = \"http://127.0.0.1:{}/mcp\"\n\
                 [servers.desk]\ncommand = {}\nargs = {}\ncwd = \".\"\n",
                books.port,
                Value::from(command),
                Value::from(args),
            ),
        );
        bed.write("policies/write.cedar", POLICY);
        let token = bed.token("bot");
        Self { bed, port, books: books.port, token }
    }

    pub(crate) fn host(&self, server: &'static str) -> Host {
        Host::new(self.port, &self.token, server)
    }

    /// Starts the gateway and waits until both servers can be called.
    pub(crate) fn serve(&self) -> Served {
        let served = self.bed.serve();
        for server in ["books", "desk"] {
            let mut host = self.host(server);
            until("the server was looked at", || host.greet().is_ok() && host.tools() == 1);
        }
        served
    }

    /// Starts the gateway and does not wait for it.
    pub(crate) fn spawn(&self) -> Child {
        let log = fs::File::create(self.bed.path("serve.log")).unwrap();
        self.bed.command().arg("serve").stderr(log).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Runs a gateway that must not come to serve; returns its exit code and what it said. One that serves all
    /// the same is ended, and its code is -1.
    pub(crate) fn refused(&self, args: &[&str]) -> Said {
        let mut command = self.bed.command();
        let mut gateway = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut waited = 0;
        // longer than the ledger's lock is waited for
        while gateway.try_wait().unwrap().is_none() && waited < 6_000 {
            thread::sleep(Duration::from_millis(10));
            waited += 1;
        }
        let _ = gateway.kill();
        Said::of(&gateway.wait_with_output().unwrap())
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.bed.path("state/ledger")
    }

    /// What either upstream has executed.
    pub(crate) fn executed(&self) -> Vec<String> {
        let of = |name: &str| executed(&self.bed.path(name));
        [of("executed.books"), of("executed.desk")].concat()
    }

    /// A checkpoint of the running gateway, if it is there to sign one.
    pub(crate) fn checkpoint(&self) -> Option<String> {
        checkpoint(&self.bed.path("state/callgate.sock"))
    }

    /// Processes that work in this bed: the gateway, its supervisors, the servers they started.
    pub(crate) fn processes(&self) -> Vec<String> {
        let bed = self.bed.path("");
        let bed = bed.parent().filter(|_| bed.file_name().is_none()).unwrap_or(&bed).to_owned();
        let numbers = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
        let here = |pid: &String| {
            // a dead one that its parent has not looked at has no folder any more
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&bed))
        };
        numbers
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(here)
            .collect()
    }
}

/// Whether the gateway at this port says that it takes calls.
pub(crate) fn is_ready(port: u16) -> bool {
    asked(port, "/readyz").is_some_and(|said| said.starts_with("HTTP/1.1 200"))
}

/// What it says at a path, if it says anything.
pub(crate) fn asked(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    let mut said = String::new();
    let heard = stream.write_all(ask.as_bytes()).and_then(|()| stream.read_to_string(&mut said).map(drop));
    heard.is_ok().then_some(said)
}

/// Asks for a checkpoint as the command line does.
pub(crate) fn checkpoint(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"{\"callgate\":1,\"command\":{\"do\":\"checkpoint\"}}\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    let answer: Value = serde_json::from_str(&line).ok()?;
    answer["note"].as_str().map(str::to_owned)
}

/// Chance with a seed: the same moments each time. (SplitMix64.)
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// A clock that stands and dice that always show the same.
#[derive(Debug)]
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000_000)
    }
}

impl Entropy for Still {
    fn fill(&self, out: &mut [u8]) {
        out.fill(7);
    }
}

/// Opens a ledger that no gateway has open. Nothing of it is changed but an unfinished end.
pub(crate) fn open(dir: &Path) -> Result<(Ledger, Recovered), LedgerError> {
    let quiet = Options {
        checkpoint_entries: u64::MAX,
        checkpoint_us: u64::MAX,
        disk: Disk::Real,
        ..Options::default()
    };
    Ledger::open(dir, Arc::new(Still), &Still, quiet)
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
