//! The console of a running gateway.

use crate::bed::Bed;
use std::{fs, path::Path};

fn bed() -> Bed {
    let bed = Bed::with_notes();
    let config = fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}[console]\napprovers = [\"finance\"]\n"));
    bed
}

/// All that is written in a folder.
fn everything(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        text += &match path.is_dir() {
            true => everything(&path),
            false => String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
        };
    }
    text
}

#[test]
fn a_link_for_a_person_lets_them_in_once_and_both_are_in_the_record() {
    let bed = bed();
    let gateway = bed.serve();
    let nobody = bed.run(&["console", "--as", "bob"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("there is no user `bob`"), "{}", nobody.err);
    bed.run(&["user", "add", "erin", "--group", "support"]);
    let roleless = bed.run(&["console", "--as", "erin"]);
    assert!(roleless.err.contains("none of the groups of `erin` has a role"), "{}", roleless.err);
    bed.run(&["user", "add", "bob", "--group", "finance"]);
    let said = bed.run(&["console", "--as", "bob"]);
    let base = format!("http://callgate.localhost:{}", gateway.port);
    let code = said.out.trim().strip_prefix(&format!("{base}/console/sign-in#")).expect("a link").to_owned();
    let sign_in = || {
        let body = format!("code={code}");
        gateway.http(&format!(
            "POST /console/sign-in HTTP/1.1\r\nHost: callgate.localhost:{}\r\nOrigin: {base}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            gateway.port,
            body.len()
        ))
    };
    let (status, head, _) = sign_in();
    assert_eq!(status, 303, "{head}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let (_, _, home) = gateway.http(&format!(
        "GET /console HTTP/1.1\r\nHost: callgate.localhost:{}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        gateway.port,
        cookie.split(';').next().unwrap()
    ));
    assert!(home.contains("bob<small>approver</small>"), "{home}");
    assert_eq!(sign_in().0, 403, "once");
    assert_eq!(bed.run(&["audit", "export", "out"]).code, 0);
    let events = everything(&bed.path("out"));
    for name in ["console-link-made", "console-entered"] {
        assert!(events.contains(name), "{name} is not in the record");
    }
    assert!(!events.contains(&code) && !bed.log().contains(&code), "a link is in no log");
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn the_console_can_be_off_and_needs_a_gateway() {
    let bed = bed();
    assert!(bed.run(&["console"]).err.contains("this needs a running gateway"));
    let config = fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &format!("{config}enabled = false\n"));
    let gateway = bed.serve();
    assert!(bed.run(&["console"]).err.contains("the console is off"));
    assert_eq!(gateway.get("/console").0, 404);
    assert_eq!(gateway.get("/console/sign-in").0, 404);
    gateway.stop();
}
