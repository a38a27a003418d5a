//! Reading: what is asked, what an answer means, what is kept.

use crate::call::{call, call_at, name, owner};
use crate::fake::{Exchange, Fake, documented};
use callgate_vault::backend::{BackendError, Bootstrap, Kv, KvPlace, KvSettings, Login, Owner, PathError};
use callgate_vault::{Lease, VaultError};
use egress::{Client, Destination, EgressPolicy, Origin, Settings};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const SECRET_ID: &str = "84896a0c-1347-aa90-a4f6-aca8b7558780";
pub(crate) const TOKEN: &str = "5b1a0318-679c-9c45-e5c6-d1b9a9035d49";

/// A file with a credential in it.
pub(crate) fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("credential");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

pub(crate) fn app_role(credential: PathBuf) -> Login {
    Login::AppRole {
        mount: "approle".to_owned(),
        role_id: "59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8".to_owned(),
        secret_id: Bootstrap::File(credential),
        wrapped: false,
    }
}

pub(crate) fn settings(fake: &Fake, login: Login) -> KvSettings {
    KvSettings {
        address: fake.uri.clone(),
        namespace: None,
        mount: "secret".parse().unwrap(),
        login,
        cache: Duration::ZERO,
    }
}

pub(crate) fn kv(settings: KvSettings) -> Kv {
    let origin = Origin::of(&settings.address.parse().unwrap()).unwrap();
    let policy = EgressPolicy::default().with(Destination::declared(origin));
    Kv::new(settings, owner(), Client::new(policy, Settings::default())).unwrap()
}

pub(crate) fn place() -> KvPlace {
    KvPlace { path: "my-secret".parse().unwrap(), field: "foo".to_owned(), version: Some(2) }
}

pub(crate) async fn ask(kv: &Kv) -> Result<String, BackendError> {
    ask_at(kv, &place(), None).await
}

pub(crate) async fn ask_at(kv: &Kv, place: &KvPlace, user: Option<&str>) -> Result<String, BackendError> {
    let (call, permit) = call(user);
    let lease = kv.lease(&permit, &call, &name(), place, None).await;
    lease.map(|lease: Lease| lease.header().unwrap().to_owned())
}

/// Logged in by AppRole, before a server that also knows these.
async fn ready(more: &[Exchange]) -> (tempfile::TempDir, Fake, KvSettings) {
    let folder = tempfile::tempdir().unwrap();
    let known = [&[documented("approle-login")][..], more].concat();
    let fake = Fake::start(&known).await;
    let settings = settings(&fake, app_role(write(folder.path(), SECRET_ID)));
    (folder, fake, settings)
}

#[tokio::test]
async fn nothing_is_asked_without_the_permit_of_this_call_nor_for_another_tenant() {
    let (_folder, fake, settings) = ready(&[]).await;
    let kv = kv(settings);
    let (ours, _) = call(None);
    let (_, foreign) = call_at(owner(), None, 2);
    let refused = kv.lease(&foreign, &ours, &name(), &place(), None).await.unwrap_err();
    assert_eq!(refused, BackendError::Vault(VaultError::NotPermitted));
    let elsewhere = [
        Owner { tenant: "other".parse().unwrap(), ..owner() },
        Owner { environment: "staging".parse().unwrap(), ..owner() },
    ];
    for elsewhere in elsewhere {
        let (call, permit) = call_at(elsewhere, None, 1);
        let refused = kv.lease(&permit, &call, &name(), &place(), None).await.unwrap_err();
        assert_eq!(refused, BackendError::Vault(VaultError::NotTheirs { name: name() }));
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn each_user_has_a_path_of_their_own_and_nobody_gets_another() {
    let read = |user: &str, value: &str| {
        let read = documented("kv-read").with(TOKEN).saying("/data/data/foo", value);
        read.at(&format!("/v1/secret/data/users/{user}/github"))
    };
    let (_folder, fake, mut settings) = ready(&[read("alice", "of alice"), read("bob", "of bob")]).await;
    settings.cache = Duration::from_secs(60);
    let kv = kv(settings);
    let place = KvPlace { path: "users/{user}/github".parse().unwrap(), version: None, ..place() };
    for bad in ["..", "alice/../bob", "a/b", ".", "alice/", "alice."] {
        let error = ask_at(&kv, &place, Some(bad)).await.unwrap_err();
        assert!(matches!(error, BackendError::Path(PathError::User(_))), "{bad}: {error:?}");
    }
    let nobody = ask_at(&kv, &place, None).await.unwrap_err();
    assert_eq!(nobody, BackendError::Path(PathError::NoUser));
    assert_eq!(fake.seen().len(), 0, "nothing was asked so far");
    for _ in 0..2 {
        assert_eq!(ask_at(&kv, &place, Some("alice")).await.unwrap(), "of alice");
        assert_eq!(ask_at(&kv, &place, Some("bob")).await.unwrap(), "of bob");
    }
    // a user without a secret has none, though others and everybody have
    let missing = documented("kv-read").with(TOKEN).at("/v1/secret/data/users/carol/github").failing(404);
    fake.knows(&[documented("approle-login"), missing]);
    let error = ask_at(&kv, &place, Some("carol")).await.unwrap_err();
    assert_eq!(error, BackendError::Missing("users/carol/github".to_owned()));
}

#[tokio::test]
async fn every_status_has_one_meaning() {
    let (_folder, fake, settings) = ready(&[]).await;
    let kv = kv(settings);
    let path = || "my-secret".to_owned();
    for (status, expected) in [
        (404, BackendError::Missing(path())),
        (412, BackendError::Busy(412)),
        (429, BackendError::Busy(429)),
        (472, BackendError::Busy(472)),
        (473, BackendError::Busy(473)),
        (503, BackendError::Sealed),
        (500, BackendError::Failed(500)),
        (502, BackendError::Failed(502)),
        (400, BackendError::Failed(400)),
        (307, BackendError::Failed(307)),
        (201, BackendError::Failed(201)),
    ] {
        let read = documented("kv-read").with(TOKEN).failing(status);
        fake.knows(&[documented("approle-login"), read]);
        assert_eq!(ask(&kv).await.unwrap_err(), expected, "{status}");
    }
    let lookup = documented("lookup-self").with(TOKEN);
    fake.knows(&[documented("approle-login"), documented("kv-read").with(TOKEN).failing(403), lookup]);
    assert_eq!(ask(&kv).await.unwrap_err(), BackendError::Denied(path()));
    assert_eq!(fake.count(&documented("approle-login")), 1, "a policy that says no is no reason to log in");
    // what is deleted, and what is not what was asked for
    let read = documented("kv-read").with(TOKEN);
    let field = BackendError::Field { path: path(), field: "foo".to_owned() };
    for (read, expected) in [
        (read.clone().saying("/data/data", json!(null)), BackendError::Missing(path())),
        (read.clone().saying("/data/data", json!({"other": "x"})), field.clone()),
        (read.clone().saying("/data/data/foo", 1), field.clone()),
        (read.clone().saying("/data/data/foo", json!({"a": "b"})), field.clone()),
        (read.clone().saying("/data/data/foo", json!(null)), field.clone()),
        (read.clone().saying("/data/data/foo", ""), field.clone()),
        (read.clone().saying("/data/data/foo", "a\0b"), field),
        (
            read.clone().saying("/data/metadata/version", 3),
            BackendError::Malformed("another version than was asked for"),
        ),
        (
            read.answering(json!({"data": 1})),
            BackendError::Malformed("the body has another form, or says something twice"),
        ),
    ] {
        fake.knows(&[read]);
        assert_eq!(ask(&kv).await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn a_value_is_kept_as_long_as_the_settings_say_and_never_longer() {
    let read = documented("kv-read").with(TOKEN);
    let (_folder, fake, settings) = ready(std::slice::from_ref(&read)).await;
    let never = kv(settings.clone());
    let once = kv(KvSettings { cache: Duration::from_millis(400), ..settings });
    for kv in [&never, &never, &once, &once] {
        assert_eq!(ask(kv).await.unwrap(), "bar");
    }
    assert_eq!(fake.count(&read), 3);
    // down: what is kept still serves, for its time
    fake.die();
    assert_eq!(ask(&once).await.unwrap(), "bar");
    assert!(matches!(ask(&never).await.unwrap_err(), BackendError::Unreachable(_)));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let error = loop {
        match ask(&once).await {
            Err(error) => break error,
            Ok(_) => assert!(tokio::time::Instant::now() < deadline, "kept too long"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(matches!(error, BackendError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn neither_errors_nor_debug_show_a_secret() {
    let read = documented("kv-read").with(TOKEN).saying("/data/data/foo", "c4n4ry");
    let (_folder, fake, mut settings) = ready(std::slice::from_ref(&read)).await;
    settings.cache = Duration::from_secs(60);
    let kv = kv(settings);
    assert_eq!(ask(&kv).await.unwrap(), "c4n4ry");
    let mut shown = format!("{kv:?}");
    fake.knows(&[
        documented("kv-read").at("/v1/secret/data/other").with(TOKEN).failing(403),
        documented("lookup-self").with(TOKEN).failing(403),
        documented("approle-login").failing(400),
    ]);
    let other = KvPlace { path: "other".parse().unwrap(), version: None, ..place() };
    let error = ask_at(&kv, &other, None).await.unwrap_err();
    assert_eq!(error, BackendError::LoginRefused(400));
    shown.push_str(&format!("{error} {error:?} {kv:?}"));
    for secret in ["c4n4ry", TOKEN, SECRET_ID] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
