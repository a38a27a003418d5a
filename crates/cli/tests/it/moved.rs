//! The database's files, taken away from under a gateway or while none runs, and what commands do then.

use crate::bed::{Bed, until};
use std::fs;

#[test]
fn nothing_is_decided_while_a_file_of_the_database_is_away_and_none_is_begun_in_its_place() {
    let bed = Bed::with_notes();
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    let call = || gateway.call(&token, &session, "read_note").to_string();
    assert!(call().contains("a note"));
    let away = |is: u8| {
        let metrics = gateway.get("/metrics").2;
        metrics.contains(&format!("\ncallgate_database_unavailable {is}\n"))
            && metrics.contains("\ncallgate_ledger_unavailable 0\n")
    };
    for end in ["-wal", "-shm", ""] {
        let (path, aside) = (bed.path(&format!("state/callgate.db{end}")), bed.path("aside"));
        fs::rename(&path, &aside).unwrap();
        assert!(call().contains("database-replaced"), "{end}");
        assert_eq!(gateway.get("/readyz").0, 503, "{end}");
        assert!(away(1), "{end}");
        for command in [&["agent", "revoke", "bot"][..], &["agent", "add", "late"], &["agent", "list"]] {
            let said = bed.run(command);
            assert!(said.code == 1 && said.err.contains("(database-replaced)"), "{command:?}: {said:?}");
        }
        let second = bed.run(&["serve"]);
        assert!(second.code == 1 && !path.exists(), "{end}: {second:?}");
        fs::rename(&aside, &path).unwrap();
        assert!(call().contains("a note"), "{end} is back");
        assert_eq!(gateway.get("/readyz").0, 200);
        assert!(away(0), "{end}");
    }
    assert_eq!(gateway.stop(), 0);

    let (path, aside) = (bed.path("state/callgate.db"), bed.path("aside"));
    fs::rename(&path, &aside).unwrap();
    for command in [&["agent", "revoke", "bot"][..], &["agent", "list"], &["audit", "list"]] {
        let said = bed.run(command);
        assert!(said.code == 1 && said.err.contains("(database-missing)"), "{command:?}: {said:?}");
    }
    let checked = bed.run(&["check"]);
    assert!(checked.code == 3 && checked.out.contains("(database-missing)"), "{checked:?}");
    assert!(!path.exists());
    fs::rename(&aside, &path).unwrap();
    assert_eq!(bed.run(&["agent", "revoke", "bot"]).code, 0);
}
