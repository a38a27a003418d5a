//! Commands that only read, where nothing was ever kept.

use crate::bed::Bed;

#[test]
fn what_only_reads_begins_no_state_and_says_where_it_looked() {
    let bed = Bed::with_notes();
    let call = "call_01jd8000000000000000000000";
    let lists: [&[&str]; 9] = [
        &["registry", "list"],
        &["registry", "show"],
        &["registry", "diff", "notes"],
        &["approvals", "list"],
        &["approvals", "delegations"],
        &["approvals", "deliveries"],
        &["agent", "list"],
        &["user", "list"],
        &["secret", "list"],
    ];
    for list in lists {
        let said = bed.run(list);
        assert!(said.code == 0 && said.err.contains("there is no state here: `"), "{list:?}: {said:?}");
        assert!(said.err.contains("state/callgate.db` does not exist"), "{list:?}: {said:?}");
        assert!(!bed.path("state").exists(), "{list:?}");
        let programs = bed.run(&[list, &["--json"]].concat());
        assert!(programs.err.contains("there is no state here"), "{programs:?}");
        serde_json::from_str::<serde_json::Value>(&programs.out).unwrap();
    }
    let asked: [&[&str]; 14] = [
        &["audit", "show", call],
        &["audit", "export", "out"],
        &["audit", "prove", "0"],
        &["audit", "checkpoint"],
        &["audit", "erase", call, "result"],
        &["audit", "verify"],
        &["audit", "rebuild-index"],
        &["explain", call],
        &["explain", "notes__read_note", "--agent", "local"],
        &["approvals", "watch"],
        &["registry", "show", "crm"],
        &["registry", "list", "crm"],
        &["policy", "who-can", "notes__read_note"],
        &["policy", "what-can", "bot"],
    ];
    for one in asked {
        let said = bed.run(one);
        assert!(said.code != 0 && said.out.is_empty(), "{one:?}: {said:?}");
        let is_told = said.err.contains("there is no ") || said.err.contains("holds neither a ledger");
        assert!(is_told && said.err.contains("state/"), "{one:?}: {said:?}");
        assert!(!bed.path("state").exists(), "{one:?}");
    }
    let said = bed.run(&["audit", "list"]);
    assert!(said.code == 0 && said.out.contains("state` yet"), "{said:?}");
    // what is asked before anything is kept
    let said = bed.run(&["check"]);
    assert!(said.code == 0 && !said.err.contains("there is no state"), "{said:?}");
    bed.run(&["policy", "explain", "read-notes"]);
    bed.run(&["budgets"]);
    assert!(!bed.path("state").exists());
    // and whoever changes something begins it
    bed.token("bot");
    assert!(bed.path("state/callgate.db").exists());
    assert_eq!(bed.run(&["agent", "list"]).err, "");
}

#[test]
fn a_name_that_nobody_has_is_no_wrong_usage_and_ends_alike_everywhere() {
    let bed = Bed::with_notes();
    assert_eq!(bed.run(&["agent", "add", "bot"]).code, 0);
    let asked: [&[&str]; 15] = [
        &["agent", "disable", "nope"],
        &["agent", "remove", "nope"],
        &["approvals", "show", "appr_01jd8000000000000000000000"],
        &["budgets", "nope"],
        &["explain", "notes__read_note", "--agent", "nope"],
        &["import", "--also", "nope", "--yes"],
        &["import", "--undo", "--yes"],
        &["policy", "test"],
        &["policy", "explain", "nope"],
        &["registry", "show", "nope"],
        &["registry", "review", "nope"],
        &["secret", "remove", "nope"],
        &["unwrap", "nope", "--yes"],
        &["user", "set", "nope", "--group", "x"],
        &["user", "remove", "nope"],
    ];
    for asked in asked {
        let said = bed.run(asked);
        assert!(said.code == 1 && said.err.contains("error: "), "{asked:?}: {said:?}");
    }
    let said = bed.run_with(&["secret", "rotate", "nope"], "x");
    assert!(said.code == 1 && said.err.contains("there is no "), "{said:?}");
    // what is there and is not done as things stand ends so too
    let new = Bed::new();
    assert_eq!(new.run(&["init"]).code, 0);
    let said = new.run(&["init"]);
    assert!(said.code == 1 && said.err.contains("error: "), "{said:?}");
    // and what the words of a command are wrong in does not
    assert_eq!(bed.run(&["secret", "remove"]).code, 2);
}
