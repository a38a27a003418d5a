//! The owner's socket.

use crate::listen_support::{PATIENCE, Script, call, session};
use decision::{AgentName, Transport};
use futures::FutureExt as _;
use gateway::{
    exchange::Entrance,
    listen::{
        pipe::Talk,
        unix::{Command, Greeting, Owner, Socket, SocketError},
    },
    settings::Limits,
};
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/callgate.sock");
    (dir, path)
}

fn owner() -> Owner {
    Owner {
        welcome: Arc::new(|entrance, agent| {
            if entrance == Entrance::Server("nobody".into()) {
                return Err("there is no server `nobody`".to_owned());
            }
            Ok(Talk {
                session: session("unix", entrance.clone(), Transport::Stdio),
                agent: agent.unwrap_or_else(|| AgentName::new("desktop").unwrap()),
                entrance,
                message_bytes_max: 1 << 20,
                calls_in_flight_max: 8,
                drain_timeout: Duration::from_secs(5),
            })
        }),
        obey: Arc::new(|Command { raw, mut writer, .. }| {
            async move {
                let _ = writer.write_all(&[b"did ", raw.as_ref(), b"\n"].concat()).await;
            }
            .boxed()
        }),
        drain_timeout: Duration::from_secs(5),
    }
}

async fn talk(path: &Path, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(UnixStream::connect(path).await.unwrap());
    stream.write_all((lines.join("\n") + "\n").as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    for _ in lines {
        let mut line = String::new();
        if timeout(PATIENCE, stream.read_line(&mut line)).await.unwrap().unwrap() == 0 {
            break;
        }
        heard.push(line.trim_end().to_owned());
    }
    heard
}

#[tokio::test]
async fn the_socket_is_the_owners_alone_and_serves_mcp_and_commands() {
    let (_dir, path) = place();
    let socket = Socket::bind(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    let closing = CancellationToken::new();
    let script = Script::new(Limits::default());
    let serving = tokio::spawn(socket.serve(script.clone(), owner(), closing.clone()));

    let greeting = Greeting::Mcp { entrance: Entrance::Server("crm".into()), agent: None }.line();
    let heard = talk(&path, &[greeting.trim_end(), &call(1, "ping")]).await;
    assert_eq!(heard, ["{\"callgate\":1,\"ok\":true}", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"]);
    assert_eq!(script.seen(), ["message of 40 at crm by desktop"]);
    assert_eq!(
        talk(&path, &["{\"callgate\":1,\"command\":{\"list\":\"agents\"}}"]).await,
        ["did {\"list\":\"agents\"}"]
    );
    for (bad, why) in [
        ("GET / HTTP/1.1", "the first line must be a greeting"),
        ("{\"callgate\":2,\"entrance\":\"mcp\"}", "speaks version 1"),
        ("{\"callgate\":1,\"entrance\":{\"server\":\"nobody\"}}", "there is no server `nobody`"),
    ] {
        let heard = talk(&path, &[bad]).await;
        assert!(heard.len() == 1 && heard.concat().contains(why), "{bad}: {heard:?}");
    }
    closing.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(!path.exists(), "it is cleared away");
}

#[tokio::test]
async fn a_second_gateway_finds_the_first_and_a_dead_ones_socket_is_cleared_away() {
    let (_dir, path) = place();
    let first = Socket::bind(&path).unwrap();
    assert!(matches!(Socket::bind(&path), Err(SocketError::Running { .. })));
    drop(first);
    // what a killed gateway leaves: a socket nobody listens on
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let second = Socket::bind(&path).unwrap();
    assert_eq!(second.path(), path);
}

#[tokio::test]
async fn a_folder_that_others_may_enter_and_a_file_in_the_way_are_refused() {
    let (_dir, path) = place();
    let folder = path.parent().unwrap();
    std::fs::create_dir(folder).unwrap();
    for mode in [0o750, 0o701, 0o777] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::NotPrivate { .. })), "{mode:o}");
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(Socket::bind(&path), Err(SocketError::InTheWay { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine", "and is left alone");
    let long = folder.join("x".repeat(200));
    assert!(matches!(Socket::bind(&long), Err(SocketError::Listen { .. })));
}
