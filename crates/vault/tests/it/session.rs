//! Logging in, and staying so.

use crate::call::{call, name};
use crate::fake::{Fake, documented};
use crate::kv::{SECRET_ID, TOKEN, app_role, ask, kv, place, settings, write};
use callgate_vault::backend::{BackendError, Bootstrap, KvSettings, Login};
use egress::EgressError;
use std::time::Duration;

#[tokio::test]
async fn every_login_and_what_follows_are_the_documented_exchanges() {
    const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...";
    let folder = tempfile::tempdir().unwrap();
    let jwt = |mount: &str, jwt| Login::Jwt { mount: mount.to_owned(), role: "dev-role".to_owned(), jwt };
    let token = |path| Login::Token { token: Bootstrap::File(path) };
    for (login, exchange, credential, client_token) in [
        (&app_role as &dyn Fn(_) -> _, "approle-login", SECRET_ID, TOKEN),
        (&|path| jwt("kubernetes", path), "kubernetes-login", JWT, "62b858f9-529c-6b26-e0b8-0457b6aacdb4"),
        (&|path| jwt("jwt", path), "jwt-login", JWT, "f33f8c72-924e-11f8-cb43-ac59d697597c"),
        (
            &token,
            "lookup-self",
            "cf64a70f-3a12-3f6c-791d-6cef6d390eed",
            "cf64a70f-3a12-3f6c-791d-6cef6d390eed",
        ),
    ] {
        // Kubernetes and editors end a file with a line end
        let path = write(folder.path(), &format!("{credential}\n"));
        for namespace in [None, Some("ns1/ns2")] {
            let mut known = [documented(exchange), documented("kv-read").with(client_token)];
            if exchange == "lookup-self" {
                known[0] = known[0].clone().with(client_token);
            }
            if let Some(namespace) = namespace {
                known = known.map(|exchange| exchange.in_namespace(namespace));
            }
            let fake = Fake::start(&known).await;
            let namespace = namespace.map(str::to_owned);
            let kv = kv(KvSettings { namespace, ..settings(&fake, login(path.clone())) });
            for _ in 0..2 {
                assert_eq!(ask(&kv).await.unwrap(), "bar", "{exchange}");
            }
            assert_eq!(known.map(|exchange| fake.count(&exchange)), [1, 2], "one login, two reads");
        }
    }
}

#[tokio::test]
async fn a_mount_of_another_name_is_asked_there() {
    let folder = tempfile::tempdir().unwrap();
    let login = documented("approle-login").at("/v1/auth/team-role/login");
    let read = documented("kv-read").with(TOKEN).at("/v1/team/kv/data/my-secret?version=2");
    let fake = Fake::start(&[login, read]).await;
    let Login::AppRole { role_id, secret_id, wrapped, .. } = app_role(write(folder.path(), SECRET_ID)) else {
        unreachable!()
    };
    let login = Login::AppRole { mount: "team-role".to_owned(), role_id, secret_id, wrapped };
    let kv = kv(KvSettings { mount: "team/kv".parse().unwrap(), ..settings(&fake, login) });
    assert_eq!(ask(&kv).await.unwrap(), "bar");
}

#[tokio::test]
async fn a_wrapped_secret_id_is_unwrapped_once_and_a_used_one_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let unwrap = documented("unwrap").with("wrapping-token");
    // good for a second only, so that there is a second login
    let login =
        documented("approle-login").saying("/auth/lease_duration", 1).saying("/auth/renewable", false);
    let read = documented("kv-read").with(TOKEN);
    let fake = Fake::start(&[unwrap.clone(), login.clone(), read.clone()]).await;
    let wrapped = |path| Login::AppRole {
        mount: "approle".to_owned(),
        role_id: "59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8".to_owned(),
        secret_id: Bootstrap::File(path),
        wrapped: true,
    };
    let ours = kv(settings(&fake, wrapped(write(folder.path(), "wrapping-token"))));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while fake.count(&login) < 2 {
        assert_eq!(ask(&ours).await.unwrap(), "bar");
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fake.count(&unwrap), 1);
    fake.knows(&[unwrap.failing(400)]);
    let late = kv(settings(&fake, wrapped(write(folder.path(), "wrapping-token"))));
    let error = ask(&late).await.unwrap_err();
    assert_eq!(error, BackendError::UnwrapRefused(400));
    assert!(error.to_string().contains("treat its secret as stolen"));
}

#[tokio::test]
async fn a_token_is_renewed_in_good_time_though_nobody_calls() {
    let folder = tempfile::tempdir().unwrap();
    let login = documented("approle-login").saying("/auth/lease_duration", 1);
    let renew = documented("renew-self").with(TOKEN);
    let again = documented("renew-self").with("ABCD");
    let read = documented("kv-read").with("ABCD");
    let first = documented("kv-read").with(TOKEN);
    let fake = Fake::start(&[login.clone(), renew.clone(), first, read]).await;
    let kv = kv(settings(&fake, app_role(write(folder.path(), SECRET_ID))));
    assert_eq!(ask(&kv).await.unwrap(), "bar");
    fake.until(&renew, 1).await;
    // with the token that the renewal gave
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while fake.count(&documented("kv-read").with("ABCD")) == 0 {
        assert_eq!(ask(&kv).await.unwrap(), "bar");
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert_eq!((fake.count(&login), fake.count(&renew), fake.count(&again)), (1, 1, 0));
}

#[tokio::test]
async fn where_renewal_ends_or_fails_the_next_call_logs_in_anew() {
    // near the end of all renewals, refused, and answered by nobody
    let short = documented("renew-self").with(TOKEN).saying("/auth/lease_duration", 0);
    for renew in [
        short.clone().saying("/auth/lease_duration", 1).saying("/auth/renewable", false),
        short.failing(403),
        documented("renew-self").with(TOKEN).failing(503),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let login = documented("approle-login").saying("/auth/lease_duration", 1);
        let reads = [documented("kv-read").with(TOKEN), documented("kv-read").with("ABCD")];
        let fake = Fake::start(&[&[login.clone(), renew.clone()][..], &reads].concat()).await;
        let kv = kv(settings(&fake, app_role(write(folder.path(), SECRET_ID))));
        assert_eq!(ask(&kv).await.unwrap(), "bar");
        fake.until(&renew, 1).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while fake.count(&login) < 2 {
            assert_eq!(ask(&kv).await.unwrap(), "bar", "no call is lost");
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_and_the_read_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(&[documented("approle-login"), documented("kv-read").with(TOKEN)]).await;
    let kv = kv(settings(&fake, app_role(write(folder.path(), SECRET_ID))));
    assert_eq!(ask(&kv).await.unwrap(), "bar");
    let login = documented("approle-login").saying("/auth/client_token", "new-token");
    fake.knows(&[
        documented("kv-read").with(TOKEN).failing(403),
        documented("lookup-self").with(TOKEN).failing(403),
        login.clone(),
        documented("kv-read").with("new-token"),
    ]);
    assert_eq!(ask(&kv).await.unwrap(), "bar");
    assert_eq!(fake.count(&login), 2);
}

#[tokio::test]
async fn a_storm_of_calls_is_one_login_also_where_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    for (login, fails) in
        [(documented("approle-login"), false), (documented("approle-login").failing(400), true)]
    {
        let login = login.after(Duration::from_millis(100));
        let fake = Fake::start(&[login.clone(), documented("kv-read").with(TOKEN)]).await;
        let kv = kv(settings(&fake, app_role(write(folder.path(), SECRET_ID))));
        let storm = (0..20).map(|_| {
            let kv = kv.clone();
            tokio::spawn(async move { ask(&kv).await })
        });
        for outcome in storm.collect::<Vec<_>>() {
            let outcome = outcome.await.unwrap();
            assert_eq!(
                outcome,
                if fails { Err(BackendError::LoginRefused(400)) } else { Ok("bar".to_owned()) }
            );
        }
        assert_eq!(fake.count(&login), 1);
    }
}

#[tokio::test]
async fn a_service_account_token_is_read_anew_at_every_login() {
    let folder = tempfile::tempdir().unwrap();
    let login = |jwt: &str, token: &str| {
        let login = documented("kubernetes-login").asking("jwt", jwt).saying("/auth/client_token", token);
        login.saying("/auth/lease_duration", 1).saying("/auth/renewable", false)
    };
    let reads = ["one", "two"].map(|token| documented("kv-read").with(token));
    let fake =
        Fake::start(&[&[login("first.jwt", "one"), login("second.jwt", "two")][..], &reads].concat()).await;
    let jwt = write(folder.path(), "first.jwt\n");
    let login = Login::Jwt { mount: "kubernetes".to_owned(), role: "dev-role".to_owned(), jwt: jwt.clone() };
    let kv = kv(settings(&fake, login));
    assert_eq!(ask(&kv).await.unwrap(), "bar");
    write(folder.path(), "second.jwt\n");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while fake.count(&reads[1]) == 0 {
        assert_eq!(ask(&kv).await.unwrap(), "bar");
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stored_credential_is_asked_for_only_when_a_login_needs_it() {
    let fake = Fake::start(&[documented("approle-login"), documented("kv-read").with(TOKEN)]).await;
    let login = Login::AppRole {
        mount: "approle".to_owned(),
        role_id: "59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8".to_owned(),
        secret_id: Bootstrap::Stored("vault-id".parse().unwrap()),
        wrapped: false,
    };
    let ours = kv(settings(&fake, login));
    let needed = ask(&ours).await.unwrap_err();
    assert_eq!(needed, BackendError::NeedsCredential("vault-id".parse().unwrap()));
    assert_eq!(fake.seen().len(), 0, "before anything was sent");
    // opened for this call, here from a file
    let folder = tempfile::tempdir().unwrap();
    let (call, permit) = call(None);
    let local = callgate_vault::backend::Local::new(crate::call::owner(), Default::default());
    let stored = local.file(&permit, &call, &name(), &write(folder.path(), SECRET_ID)).unwrap();
    let lease = ours.lease(&permit, &call, &name(), &place(), Some(&stored)).await.unwrap();
    assert_eq!(lease.header().unwrap(), "bar");
    assert_eq!(ask(&ours).await.unwrap(), "bar", "logged in by now");
}

#[tokio::test]
async fn a_backend_nobody_declared_or_that_is_not_there_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(&[]).await;
    let mut gone = settings(&fake, app_role(write(folder.path(), SECRET_ID)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    gone.address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = ask(&kv(gone)).await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable(EgressError::ConnectRefused { .. })), "{error:?}");
}
