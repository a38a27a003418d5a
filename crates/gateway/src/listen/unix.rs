//! The owner's socket: `callgate wrap` and the command line find the one running gateway here.
//!
//! Whoever can connect may speak as the configured agent and may give commands, so only the owner can:
//! the socket has mode 0600 in a folder of mode 0700, and the kernel's word on the peer is asked for
//! every connection.

use super::{
    Path,
    pipe::{self, Talk},
};
use crate::exchange::Entrance;
use bytes::Bytes;
use decision::{AgentName, ServerName};
use futures::future::BoxFuture;
use serde::Deserialize;
use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The version of the greeting. A `wrap` of another version is told to be restarted.
const GREETING: u32 = 1;
/// Longest greeting, commands included.
const GREETING_BYTES_MAX: u64 = 1 << 20;
const GREETING_TIME: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: usize = 256;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often, and how long in between, a lock is tried that nobody who answers has.
const LEFT_TRIES: u32 = 50;
const LEFT_PAUSE: Duration = Duration::from_millis(20);

/// The socket, ours alone.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
    /// Held as long as we listen, so that two gateways cannot both find the socket stale.
    _lock: File,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("a gateway of yours is running already at `{path}`")]
    Running { path: PathBuf },
    #[error("the folder `{path}` must be yours alone: see that it belongs to you, and set its mode to 0700")]
    NotPrivate { path: PathBuf },
    #[error("`{path}` is in the way and is not a socket: move it")]
    InTheWay { path: PathBuf },
    #[error("the socket path `{path}` is too long or cannot be listened on")]
    Listen { path: PathBuf, source: io::Error },
    #[error("cannot use `{path}`")]
    Files { path: PathBuf, source: io::Error },
}

/// What a connection is for; its first line says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// `{"callgate":1,"entrance":"mcp"}` or `{"callgate":1,"entrance":{"server":"crm"},"agent":"desktop"}`:
    /// MCP follows, line by line. `agent` is a wish; who it is, the configuration says.
    Mcp { entrance: Entrance, agent: Option<AgentName> },
    /// `{"callgate":1,"command":{…}}`: the raw object, for the command line's own half.
    Command { raw: Bytes },
}

/// Why a first line is no greeting.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    #[error("the first line must be a greeting such as {{\"callgate\":1,\"entrance\":\"mcp\"}}")]
    Form,
    #[error(
        "this gateway speaks version {GREETING} of the greeting and not `{0}`: restart the older program"
    )]
    Version(u32),
    #[error("`{0}` cannot be the name of a server")]
    Server(String),
    #[error("`{0}` cannot be the name of an agent")]
    Agent(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "callgate")]
    _version: serde::de::IgnoredAny,
    entrance: Option<Door>,
    agent: Option<String>,
    #[serde(borrow)]
    command: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Door {
    Mcp,
    Server(String),
}

impl Greeting {
    /// Reads a connection's first line.
    ///
    /// # Errors
    /// See [`GreetingError`].
    pub fn parse(line: &[u8]) -> Result<Self, GreetingError> {
        #[derive(Deserialize)]
        struct Version {
            callgate: u32,
        }
        let Version { callgate } = serde_json::from_slice(line).map_err(|_| GreetingError::Form)?;
        if callgate != GREETING {
            return Err(GreetingError::Version(callgate));
        }
        let line: Line<'_> = serde_json::from_slice(line).map_err(|_| GreetingError::Form)?;
        let agent = match line.agent {
            Some(name) => Some(AgentName::new(name.clone()).map_err(|_| GreetingError::Agent(name))?),
            None => None,
        };
        match (line.entrance, line.command) {
            (Some(Door::Mcp), None) => Ok(Self::Mcp { entrance: Entrance::Federated, agent }),
            (Some(Door::Server(name)), None) => match ServerName::new(name.clone()) {
                Ok(_) => Ok(Self::Mcp { entrance: Entrance::Server(name), agent }),
                Err(_) => Err(GreetingError::Server(name)),
            },
            (None, Some(command)) if agent.is_none() && command.get().starts_with('{') => {
                Ok(Self::Command { raw: Bytes::copy_from_slice(command.get().as_bytes()) })
            }
            (Some(_), Some(_)) | (None, _) => Err(GreetingError::Form),
        }
    }

    /// The line a `wrap` sends first, its line break included.
    pub fn line(&self) -> String {
        let mut line = match self {
            Self::Mcp { entrance, agent } => {
                let entrance = match entrance {
                    Entrance::Federated => serde_json::json!("mcp"),
                    Entrance::Server(name) => serde_json::json!({ "server": name }),
                };
                let mut said = serde_json::json!({ "callgate": GREETING, "entrance": entrance });
                if let (Some(agent), Some(said)) = (agent, said.as_object_mut()) {
                    said.insert("agent".to_owned(), agent.to_string().into());
                }
                said.to_string()
            }
            Self::Command { raw } => {
                format!(
                    "{{\"callgate\":{GREETING},\"command\":{}}}",
                    String::from_utf8_lossy(raw).replace(['\n', '\r'], " ")
                )
            }
        };
        line.push('\n');
        line
    }
}

/// A command line's connection, its greeting read: its owner answers as it likes and then drops it.
#[derive(Debug)]
pub struct Command {
    /// The `command` object as it came.
    pub raw: Bytes,
    pub reader: BufReader<OwnedReadHalf>,
    pub writer: OwnedWriteHalf,
}

/// Makes the session of a connection, or says in one sentence why there is none.
pub type Welcome = dyn Fn(Entrance, Option<AgentName>) -> Result<Talk, String> + Send + Sync;
/// Takes a command.
pub type Obey = dyn Fn(Command) -> BoxFuture<'static, ()> + Send + Sync;

/// What the socket's listener is told.
#[derive(Clone)]
pub struct Owner {
    pub welcome: Arc<Welcome>,
    pub obey: Arc<Obey>,
    /// For connections to finish when asked to stop.
    pub drain_timeout: Duration,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("drain_timeout", &self.drain_timeout).finish_non_exhaustive()
    }
}

/// Takes the lock. A child that a gateway was about to start when it was killed has it for a moment more: then nobody answers.
fn lock_when_left(lock: &File, socket: &FilePath) -> Result<(), TryLockError> {
    for _ in 0..LEFT_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if std::os::unix::net::UnixStream::connect(socket).is_err() => {
                std::thread::sleep(LEFT_PAUSE);
            }
            taken => return taken,
        }
    }
    lock.try_lock()
}

impl Socket {
    /// Takes the socket: makes its folder where there is none, clears away one that a dead gateway left.
    ///
    /// # Errors
    /// See [`SocketError`]. [`SocketError::Running`] is the one to join instead.
    pub fn bind(path: &FilePath) -> Result<Self, SocketError> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => FilePath::new("."),
        };
        let fail = |path: &FilePath| {
            let path = path.to_owned();
            move |source| SocketError::Files { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail(folder))?;
        let (owner, of_folder) = (us().map_err(fail(folder))?, fs::metadata(folder).map_err(fail(folder))?);
        if of_folder.uid() != owner || of_folder.permissions().mode() & 0o077 != 0 {
            return Err(SocketError::NotPrivate { path: folder.to_owned() });
        }
        let lock_path = path.with_extension("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(fail(&lock_path))?;
        match lock_when_left(&lock, path) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SocketError::Running { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(SocketError::Files { path: lock_path, source }),
        }
        clear(path)?;
        let listener = UnixListener::bind(path)
            .map_err(|source| SocketError::Listen { path: path.to_owned(), source })?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fail(path))?;
        Ok(Self { listener, path: path.to_owned(), owner, _lock: lock })
    }

    pub fn path(&self) -> &FilePath {
        &self.path
    }

    /// Serves until `closing` is cancelled, then lets what is open finish.
    pub async fn serve<P: Path>(self, path: P, owner: Owner, closing: CancellationToken) {
        let tasks = TaskTracker::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = closing.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the owner's socket");
                    time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if !stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner) {
                tracing::warn!("somebody else connected to the owner's socket and was turned away");
                continue;
            }
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                tracing::warn!("as many connections to the owner's socket as there may be");
                continue;
            };
            tasks.spawn(connection(path.clone(), stream, owner.clone(), closing.clone(), permit));
        }
        tasks.close();
        let _ = time::timeout(owner.drain_timeout, tasks.wait()).await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // a leftover is cleared away by the next gateway
        let _ = fs::remove_file(&self.path);
    }
}

/// Our own user id, as the kernel tells it to peers.
fn us() -> io::Result<u32> {
    Ok(UnixStream::pair()?.0.peer_cred()?.uid())
}

/// Removes what a dead gateway left. The lock says that none is alive.
fn clear(path: &FilePath) -> Result<(), SocketError> {
    use std::os::unix::fs::FileTypeExt as _;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(path).map_err(|source| SocketError::Files { path: path.to_owned(), source })
        }
        Ok(_) => Err(SocketError::InTheWay { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SocketError::Files { path: path.to_owned(), source }),
    }
}

async fn connection<P: Path>(
    path: P,
    stream: UnixStream,
    owner: Owner,
    closing: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    let mut bounded = (&mut reader).take(GREETING_BYTES_MAX);
    let greeted = time::timeout(GREETING_TIME, bounded.read_until(b'\n', &mut line));
    let whole = matches!(greeted.await, Ok(Ok(_))) && line.last() == Some(&b'\n');
    if line.is_empty() {
        // somebody only looked whether we are here
        return;
    }
    let greeting = if whole { Greeting::parse(&line) } else { Err(GreetingError::Form) };
    let welcomed = match greeting {
        Ok(Greeting::Command { raw }) => return (owner.obey)(Command { raw, reader, writer }).await,
        Ok(Greeting::Mcp { entrance, agent }) => (owner.welcome)(entrance, agent),
        Err(error) => Err(error.to_string()),
    };
    let (answer, talk) = match welcomed {
        Ok(talk) => (serde_json::json!({ "callgate": GREETING, "ok": true }), Some(talk)),
        Err(why) => (serde_json::json!({ "callgate": GREETING, "error": why }), None),
    };
    let said = writer.write_all(format!("{answer}\n").as_bytes()).await;
    if let (Ok(()), Some(talk)) = (said, talk)
        && let Err(error) = pipe::converse(path, reader, writer, talk, closing).await
    {
        tracing::debug!(%error, "a pipe broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_reads_back_and_nothing_else_is_one() {
        let agent = AgentName::new("desktop").unwrap();
        for greeting in [
            Greeting::Mcp { entrance: Entrance::Federated, agent: None },
            Greeting::Mcp { entrance: Entrance::Server("crm".into()), agent: Some(agent) },
            Greeting::Command { raw: Bytes::from_static(b"{\"list\":\"agents\"}") },
        ] {
            let line = greeting.line();
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            assert_eq!(Greeting::parse(line.as_bytes()).unwrap(), greeting);
        }
        for bad in [
            "",
            "{}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}",
            "{\"callgate\":2,\"entrance\":\"mcp\"}",
            "{\"callgate\":1}",
            "{\"callgate\":1,\"entrance\":\"mcp\",\"command\":{}}",
            "{\"callgate\":1,\"entrance\":{\"server\":\"a__b\"}}",
            "{\"callgate\":1,\"entrance\":\"mcp\",\"agent\":\"a b\"}",
            "{\"callgate\":1,\"entrance\":\"mcp\",\"uid\":0}",
            "{\"callgate\":1,\"command\":\"rm\"}",
        ] {
            assert!(Greeting::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
