//! A PostgreSQL cluster of our own, for as long as this process lives.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Set it to `1` to leave PostgreSQL out where it is not installed.
const SKIP: &str = "CALLGATE_TEST_SKIP_POSTGRES";

/// Starts a cluster, says `ready`, and waits until its input closes: however this process ends, the
/// cluster is stopped and its folder removed. The server listens on a Unix socket in that folder only.
const SUPERVISOR: &str = r#"
bin=$1 dir=$2
exec 2>"$dir/supervisor.log"
trap '' INT HUP TERM PIPE
run() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    run() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
    chown -R postgres "$dir"
fi
settings="-k $dir -c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=300"
run "$bin/initdb" -D "$dir/data" -U gw --auth=trust --no-sync --locale=C.UTF-8 -E UTF8 >&2 </dev/null &&
    run "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/server.log" -o "$settings" start >&2 </dev/null &&
    echo ready &&
    exec >/dev/null &&
    cat
run "$bin/pg_ctl" -D "$dir/data" -m immediate stop >&2 </dev/null
rm -rf "$dir"
"#;

struct Cluster {
    dir: PathBuf,
    _supervisor: Child,
}

/// The address of the shared cluster, or `None` when PostgreSQL is left out on purpose.
pub(crate) fn address() -> Option<String> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(start).as_ref()?;
    Some(format!("postgres://gw@localhost/postgres?host={}", cluster.dir.display()))
}

#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn start() -> Option<Cluster> {
    let Some(bin) = binaries() else {
        #[expect(clippy::disallowed_methods, reason = "a test's own switch; the product never reads it")]
        let skip = std::env::var(SKIP).is_ok_and(|value| value == "1");
        assert!(skip, "PostgreSQL's `initdb` was not found: install it, or set {SKIP}=1 to leave it out");
        println!("skipped: PostgreSQL's `initdb` was not found and {SKIP} is 1");
        return None;
    };
    let dir = tempfile::Builder::new().prefix("cg-pg-").tempdir().unwrap().keep();
    let mut command = Command::new("sh");
    command.arg("-c").arg(SUPERVISOR).arg("supervisor").arg(bin).arg(&dir);
    let mut supervisor = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let log = || std::fs::read_to_string(dir.join("supervisor.log")).unwrap_or_default();
    assert_eq!(line.trim(), "ready", "the cluster did not start:\n{}", log());
    Some(Cluster { dir, _supervisor: supervisor })
}

/// The folder with the server's programs: the first on PATH, else the newest that Debian's packages installed.
fn binaries() -> Option<PathBuf> {
    let output = Command::new("sh").args(["-c", "command -v initdb && command -v pg_ctl"]).output().ok()?;
    let on_path = String::from_utf8(output.stdout).ok().filter(|_| output.status.success());
    let on_path = on_path.and_then(|text| Some(PathBuf::from(text.lines().next()?).parent()?.to_owned()));
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file() && bin.join("pg_ctl").is_file())
        .collect();
    found.sort();
    on_path.or_else(|| found.pop())
}
