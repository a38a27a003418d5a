//! Mistakes of a whole set-up, as `callgate check` tells them.

use crate::bed::{Bed, POLICY, free_port, until};
use std::collections::BTreeSet;

fn mistakes(bed: &Bed) -> BTreeSet<String> {
    let checked = bed.json(&["check"]);
    let all = checked["architecture"].as_array().unwrap().iter();
    for one in all.clone() {
        assert!(!one["because"].as_str().unwrap().is_empty() && !one["repair"].as_str().unwrap().is_empty());
    }
    all.map(|one| one["mistake"].as_str().unwrap().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_mistake_is_told_where_it_is_made_and_not_once_it_is_repaired() {
    let bed = Bed::new();
    let port = free_port();
    let wrong = "trust-annotations = true\n[[servers.notes.credentials]]\nsecret = \"key\"\nenv = \"KEY\"\n\
        [servers.notes.tools.drop_note]\neffect = \"write\"\ncategories = [\"execution\"]\n";
    bed.write("callgate.toml", &format!("{}{wrong}", bed.notes_config(port)));
    bed.write("policies/rules.cedar", "@id(\"all\") permit (principal, action, resource);\n");
    assert_eq!(bed.run_with(&["secret", "set", "key"], "k-1").code, 0);
    let token = bed.token("bot");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    gateway.stop();
    let all = [
        "generic-execution",
        "service-account-for-all",
        "protocol-as-security-model",
        "no-server-side-authorization",
    ];
    assert_eq!(mistakes(&bed), set(&all));
    let said = bed.run(&["check"]);
    assert!(
        said.code == 0 && said.out.contains("whatever is given is run by `notes__drop_note`"),
        "{}",
        said.out
    );

    // one after the other is repaired
    let read = "[servers.notes.tools.\"*\"]\neffect = \"read\"\ntier = \"low\"\n";
    bed.write("callgate.toml", &format!("{}{read}", bed.notes_config(port)));
    bed.write("policies/rules.cedar", POLICY);
    assert_eq!(mistakes(&bed), set(&[]));
}

#[test]
fn a_package_without_a_version_is_told_of_where_the_environment_has_a_name() {
    let bed = Bed::new();
    let config = |more: &str| {
        format!("listen = \"127.0.0.1:{}\"\nstate-dir = \"state\"\n[servers.files]\n{more}", free_port())
    };
    let newest = "command = \"npx\"\nargs = [\"-y\", \"@example/files\"]\n";
    bed.write("callgate.toml", &config(newest));
    assert_eq!(mistakes(&bed), set(&[]), "on a laptop of one's own");
    bed.write("callgate.toml", &config(&format!("{newest}environment = \"staging\"\n")));
    assert_eq!(mistakes(&bed), set(&["arbitrary-server"]));
    let one = newest.replace("@example/files", "@example/files@1.2.3");
    bed.write("callgate.toml", &config(&format!("{one}environment = \"staging\"\n")));
    assert_eq!(mistakes(&bed), set(&[]));
}

#[test]
fn what_init_writes_is_not_scolded_until_somebody_has_made_it_theirs() {
    let bed = Bed::looked_at();
    std::fs::remove_file(bed.path("policies/notes.cedar")).unwrap();
    assert_eq!(bed.run(&["init"]).code, 0);
    assert_eq!(mistakes(&bed), set(&[]));
    let starter = std::fs::read_to_string(bed.path("policies/starter.cedar")).unwrap();
    assert!(starter.contains("@id(\"notes-reads\")"), "{starter}");
    bed.write("policies/starter.cedar", &format!("{starter}// mine\n"));
    assert_eq!(mistakes(&bed), set(&["no-server-side-authorization"]));
}
