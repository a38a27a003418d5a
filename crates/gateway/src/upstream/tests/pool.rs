use super::super::held::{Held, Key, Whose};
use super::super::pool::{HiddenBounds, Pool};
use super::peer::{json, ok, serve, status, welcome};
use super::stdio::{ANSWER, legacy, shell};
use super::*;
use crate::settings::Reach;
use decision::ServerName;

const BOUNDS: HiddenBounds = HiddenBounds { idle: Duration::from_secs(60), max: 16 };

struct Rig {
    pool: Pool,
    reach: Reach,
    /// What the children were started with.
    token: &'static str,
    /// In whose name.
    holder: Option<&'static str>,
}

impl Rig {
    fn new(reach: Reach) -> Self {
        Self::idle_after(reach, Duration::from_secs(60))
    }
    fn idle_after(reach: Reach, idle: Duration) -> Self {
        Self { pool: Pool::with(means(), idle, BOUNDS), reach, token: "t1", holder: None }
    }
    async fn take(&self, session: Option<&str>) -> Result<(Arc<Held>, bool), Fault> {
        let server = ServerName::new("crm").unwrap();
        let injected = Arc::new(Injected {
            env: vec![("TOKEN".to_owned(), Hidden::new(self.token.as_bytes().to_vec()))],
            holder: self.holder.map(|name| name.parse().unwrap()),
            ..Injected::default()
        });
        let whose = session.map_or(Whose::Everybody, |id| Whose::Session(id.to_owned()));
        let key = Key::new(&server, whose, &self.reach, &injected);
        let opening = || {
            let (mut opening, _) =
                opening(if session.is_some() { Revision::V2025_11_25 } else { Revision::V2026_07_28 });
            opening.injected = Arc::clone(&injected);
            Ok(opening)
        };
        self.pool.take(key, &self.reach, opening).await
    }
    async fn ask(&self, held: &Held) -> Result<Received, Fault> {
        held.connection.request(call(held.next_id()).0).await
    }
}

/// A server that says its process id.
fn pid() -> Reach {
    legacy(r#"echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"pid\":$$,\"token\":\"$TOKEN\"}}""#)
}

async fn process(rig: &Rig, held: &Held) -> String {
    let received = rig.ask(held).await.unwrap();
    String::from_utf8(received.frame.at(&["result", "pid"]).unwrap().to_vec()).unwrap()
}

fn alive(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

// R22: also where a connection is open already
#[tokio::test]
async fn nobody_is_given_a_connection_to_a_server_that_is_shut() {
    let rig = Rig::new(pid());
    let (held, _) = rig.take(Some("s1")).await.unwrap();
    let server = ServerName::new("crm").unwrap();
    let injected = Injected {
        env: vec![("TOKEN".to_owned(), Hidden::new(rig.token.as_bytes().to_vec()))],
        ..Injected::default()
    };
    let key = Key::new(&server, Whose::Session("s1".to_owned()), &rig.reach, &injected);
    assert!(rig.pool.at_hand(&key).is_some_and(|at_hand| Arc::ptr_eq(&at_hand, &held)));
    rig.pool.bar([server].into());
    assert!(rig.pool.at_hand(&key).is_none());
    assert_eq!(rig.take(Some("s1")).await.unwrap_err().kind, FaultKind::Unreachable);
    rig.pool.bar([].into());
    assert!(rig.pool.at_hand(&key).is_some());
    rig.pool.shut_down().await;
    assert!(rig.pool.at_hand(&key).is_none());
}

#[tokio::test]
async fn each_session_has_its_own_child_and_keeps_it() {
    let rig = Rig::new(pid());
    let (one, first) = rig.take(Some("s1")).await.unwrap();
    let (again, second) = rig.take(Some("s1")).await.unwrap();
    let (two, third) = rig.take(Some("s2")).await.unwrap();
    assert_eq!((first, second, third), (true, false, true));
    assert_eq!(process(&rig, &one).await, process(&rig, &again).await);
    assert_ne!(process(&rig, &one).await, process(&rig, &two).await);
    let (gone, stays) = (process(&rig, &one).await, process(&rig, &two).await);
    rig.pool.end_session("s1").await;
    assert!(!alive(&gone) && alive(&stays));
    assert_eq!(rig.pool.len(), 1);
    rig.pool.shut_down().await;
    assert!(!alive(&stays));
    assert_eq!(rig.take(Some("s2")).await.unwrap_err().kind, FaultKind::Unreachable);
}

#[tokio::test]
async fn a_child_with_a_replaced_credential_finishes_and_the_next_call_has_one_with_the_new() {
    let mut rig = Rig::new(pid());
    let (old, _) = rig.take(None).await.unwrap();
    let (other, _) = rig.take(Some("s1")).await.unwrap();
    let (was, kept) = (process(&rig, &old).await, process(&rig, &other).await);
    rig.pool.retire_credentials(|_| false, |_| false);
    assert!(!rig.take(None).await.unwrap().1, "nothing was replaced");
    rig.token = "t2";
    let (new, opened) = rig.take(None).await.unwrap();
    assert!(opened);
    let now = process(&rig, &new).await;
    let stale = |injected: &Injected| injected.env.iter().any(|(_, secret)| secret.expose() == b"t1");
    rig.pool.retire_credentials(stale, |_| false);
    while alive(&was) || alive(&kept) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(alive(&now), "the one with the new value works on");
    assert!(!rig.take(None).await.unwrap().1);
    // a removed one takes its child along
    rig.pool.retire_credentials(|_| false, |_| true);
    while alive(&now) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rig.pool.len(), 0);
}

#[tokio::test]
async fn two_users_have_a_child_each_also_with_the_same_credential() {
    let mut rig = Rig::new(pid());
    let mut processes = std::collections::BTreeSet::new();
    for (session, holder) in [(None, "alice"), (None, "bob"), (Some("s1"), "alice"), (Some("s2"), "bob")] {
        rig.holder = Some(holder);
        let (held, opened) = rig.take(session).await.unwrap();
        assert!(opened, "{session:?} of {holder}");
        processes.insert(process(&rig, &held).await);
        assert!(!rig.take(session).await.unwrap().1, "{holder} keeps it");
    }
    assert_eq!(processes.len(), 4);
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_modern_child_is_shared_by_those_with_the_same_credential_alone() {
    let mut rig = Rig::new(pid());
    let (one, _) = rig.take(None).await.unwrap();
    let (two, opened) = rig.take(None).await.unwrap();
    assert!(!opened);
    assert_eq!(process(&rig, &one).await, process(&rig, &two).await);
    rig.token = "t2";
    let (other, opened) = rig.take(None).await.unwrap();
    assert!(opened);
    let received = rig.ask(&other).await.unwrap();
    assert_eq!(received.frame.at(&["result", "token"]), Some(&b"\"t2\""[..]));
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_rotated_credential_restarts_the_sessions_child() {
    let mut rig = Rig::new(pid());
    let (old, _) = rig.take(Some("s1")).await.unwrap();
    let process_before = process(&rig, &old).await;
    rig.token = "t2";
    let (new, opened) = rig.take(Some("s1")).await.unwrap();
    assert!(opened && rig.pool.len() == 1);
    until_true(|| !alive(&process_before)).await;
    rig.ask(&new).await.unwrap();
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn those_who_come_together_open_once() {
    let rig = Rig::new(legacy(ANSWER));
    let all = futures::future::join_all((0..20).map(|_| rig.take(Some("s1")))).await;
    assert_eq!(all.iter().filter(|taken| taken.as_ref().unwrap().1).count(), 1);
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_child_nobody_uses_is_stopped_and_one_that_works_is_not() {
    let rig = Rig::idle_after(
        legacy(&format!(r#"case "$id" in 1) ;; *) sleep 1;; esac; {ANSWER}"#)),
        Duration::from_millis(200),
    );
    let (held, _) = rig.take(Some("s1")).await.unwrap();
    held.next_id();
    // longer than it may be idle
    rig.ask(&held).await.unwrap();
    let gone = held.connection.gone().unwrap();
    tokio::time::timeout(Duration::from_secs(5), gone.cancelled()).await.unwrap();
    assert_eq!(rig.pool.len(), 0);
    let (_, opened) = rig.take(Some("s1")).await.unwrap();
    assert!(opened, "no failure is held against a server we stopped");
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn there_is_a_cap_on_children_and_room_once_one_is_gone() {
    let rig = Rig::new(legacy(ANSWER));
    for n in 0..8 {
        rig.take(Some(&format!("s{n}"))).await.unwrap();
    }
    let fault = rig.take(Some("s9")).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Busy, false));
    assert_eq!(rig.pool.len(), 8);
    rig.pool.end_session("s0").await;
    rig.take(Some("s9")).await.unwrap();
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_crash_is_forgiven_once_and_a_crash_loop_is_left_alone() {
    let rig = Rig::new(legacy(r#"echo "out of luck" >&2; exit 1"#));
    for _ in 0..2 {
        let (held, opened) = rig.take(Some("s1")).await.unwrap();
        assert!(opened);
        assert_eq!(rig.ask(&held).await.unwrap_err().kind, FaultKind::Lost);
        held.connection.gone().unwrap().cancelled().await;
        until_true(|| rig.pool.len() == 0).await;
    }
    let fault = rig.take(Some("s1")).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Unreachable, false));
    assert!(fault.detail.contains("out of luck"), "{fault}");
    // nobody else's child did that
    assert!(rig.take(Some("s2")).await.is_ok());
    assert_eq!(rig.take(Some("s1")).await.unwrap_err().kind, FaultKind::Unreachable);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(rig.take(Some("s1")).await.is_ok(), "and tried again after a while");
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_child_that_never_starts_leaves_nothing_and_is_left_alone_too() {
    let rig = Rig::new(shell("exit 7"));
    for _ in 0..2 {
        assert_eq!(rig.take(Some("s1")).await.unwrap_err().kind, FaultKind::Lost);
    }
    assert_eq!(rig.take(Some("s1")).await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(rig.pool.len(), 0);
    assert_eq!(rig.pool.means().children.taken(), 0);
}

#[tokio::test]
async fn rounds_of_sessions_leave_no_child_and_no_descriptor() {
    let rig = Rig::new(legacy(ANSWER));
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = 0;
    for round in 0..20 {
        let session = format!("s{round}");
        let (held, _) = rig.take(Some(&session)).await.unwrap();
        rig.ask(&held).await.unwrap();
        rig.pool.end_session(&session).await;
        if round == 0 {
            before = descriptors();
        }
    }
    assert_eq!(rig.pool.len(), 0);
    assert!(descriptors() <= before, "{} after {before}", descriptors());
    assert_eq!(rig.pool.means().children.taken(), 0);
}

#[tokio::test]
async fn http_sessions_are_given_up_and_a_modern_address_is_shared_whatever_the_credential() {
    let peer = serve(|seen| match seen.rpc().as_str() {
        "initialize" => welcome(),
        "tools/call" => json(ok(seen.id())),
        _ => status(202),
    })
    .await;
    let mut rig = Rig {
        pool: Pool::with(means_to(&peer.url), Duration::from_secs(60), BOUNDS),
        reach: peer.reach(),
        token: "t1",
        holder: None,
    };
    let (held, _) = rig.take(Some("s1")).await.unwrap();
    rig.ask(&held).await.unwrap();
    rig.take(None).await.unwrap();
    rig.token = "t2";
    assert!(!rig.take(None).await.unwrap().1);
    rig.pool.shut_down().await;
    assert_eq!(peer.saw().iter().filter(|seen| seen.method == "DELETE").count(), 1);
}

#[tokio::test]
async fn a_server_that_is_reconfigured_finishes_its_calls_and_takes_no_new_ones() {
    let rig = Rig::new(legacy(&format!("sleep 1; {ANSWER}")));
    let (old, _) = rig.take(Some("s1")).await.unwrap();
    let server = ServerName::new("crm").unwrap();
    let (answer, opened) = tokio::join!(rig.ask(&old), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        rig.pool.end_server(&server);
        rig.take(Some("s1")).await.unwrap().1
    });
    answer.unwrap();
    assert!(opened);
    let ends = async {
        while old.connection.is_alive() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ends).await.unwrap();
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_call_that_began_before_its_server_was_another_leaves_no_connection_to_those_that_begin_later() {
    let mut rig = Rig::new(legacy(ANSWER));
    rig.take(Some("s1")).await.unwrap();
    let server = ServerName::new("crm").unwrap();
    let before = std::mem::replace(&mut rig.reach, legacy("true"));
    rig.pool.end_server(&server);
    // under the settings from before, as they are held by whoever began by them
    let now = std::mem::replace(&mut rig.reach, before);
    assert!(rig.take(Some("s1")).await.unwrap().1);
    rig.reach = now;
    assert!(rig.take(Some("s1")).await.unwrap().1, "the one that was opened for the other is not taken");
    rig.pool.shut_down().await;
}

/// A rig of hidden sessions over HTTP, and what the server heard.
fn hidden_key(rig: &Rig, principal: u8, roots: bool) -> Key {
    let principal = decision::Digest::of(&[principal]);
    let askable = wire::bridge::capabilities::Askable { roots, ..Default::default() };
    let whose = Whose::Hidden { principal, askable };
    Key::new(&ServerName::new("crm").unwrap(), whose, &rig.reach, &Injected::default())
}

async fn take_hidden(rig: &Rig, key: Key) -> Result<(Arc<Held>, bool), Fault> {
    rig.pool.take(key, &rig.reach, || Ok(opening(Revision::V2025_11_25).0)).await
}

#[tokio::test]
async fn hidden_sessions_are_bounded_and_one_that_nobody_uses_gives_way_the_same_principals_first() {
    let peer = serve(shakes).await;
    let bounds = HiddenBounds { idle: Duration::from_secs(60), max: 2 };
    let reach = Reach::Http { url: peer.url.clone() };
    let pool = Pool::with(means_to(&peer.url), Duration::from_secs(60), bounds);
    let rig = Rig { pool, reach, token: "t1", holder: None };
    let (first, opened) = take_hidden(&rig, hidden_key(&rig, 1, false)).await.unwrap();
    assert!(opened);
    assert!(!take_hidden(&rig, hidden_key(&rig, 1, false)).await.unwrap().1, "shared");
    let (second, _) = take_hidden(&rig, hidden_key(&rig, 2, false)).await.unwrap();
    let none = take_hidden(&rig, hidden_key(&rig, 3, false)).await.unwrap_err();
    assert_eq!(none.kind, FaultKind::Busy, "somebody holds each: a call, or a stream");
    assert!(none.detail.contains("`max-sessions`"), "{none}");
    let is_open = |principal, roots| rig.pool.running(&hidden_key(&rig, principal, roots)).is_some();
    drop((first, second));
    tokio::time::sleep(Duration::from_millis(5)).await;
    // the other is unused for as long, or longer
    take_hidden(&rig, hidden_key(&rig, 2, true)).await.unwrap();
    assert_eq!(rig.pool.len(), 2);
    assert!(is_open(1, false) && !is_open(2, false) && is_open(2, true), "its own unused one made room");
    tokio::time::sleep(Duration::from_millis(5)).await;
    take_hidden(&rig, hidden_key(&rig, 3, false)).await.unwrap();
    assert!(!is_open(1, false) && is_open(2, true) && is_open(3, false), "else the longest unused");
    assert_eq!(rig.pool.len(), 2);
    rig.pool.shut_down().await;
}

#[tokio::test]
async fn a_hidden_session_that_nobody_uses_is_given_up() {
    let peer = serve(shakes).await;
    let bounds = HiddenBounds { idle: Duration::from_millis(150), max: 2 };
    let reach = Reach::Http { url: peer.url.clone() };
    let pool = Pool::with(means_to(&peer.url), Duration::from_secs(60), bounds);
    let rig = Rig { pool, reach, token: "t1", holder: None };
    let (held, _) = take_hidden(&rig, hidden_key(&rig, 1, false)).await.unwrap();
    until_true(|| rig.pool.len() == 0).await;
    assert!(!held.connection.is_alive());
}

#[expect(clippy::needless_pass_by_value, reason = "as `serve` has it")]
fn shakes(seen: super::peer::Seen) -> super::peer::Answer {
    if seen.rpc() == "initialize" { welcome() } else { status(202) }
}
