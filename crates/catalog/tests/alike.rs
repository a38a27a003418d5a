//! What tools do that are worded alike, beside what the rules find.

use callgate_catalog::Category::{
    self, Administrative, CredentialAccess, Destructive, Execution, ExternalCommunication, Financial,
};
use callgate_catalog::Claimed;
use callgate_catalog::risk::{Effect, Judgement, Level, Siblings, Tool, judge};
use serde_json::{Value, json};
use std::path::Path;

fn definition(name: &str, description: &str, arguments: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        arguments.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "name": name, "description": description, "inputSchema": { "type": "object", "properties": properties } })
}

fn judged(name: &str, description: &str, arguments: &[&str]) -> Judgement {
    let definition = definition(name, description, arguments);
    judge(&Tool::of(&definition, Claimed::default()), &Siblings::default())
}

fn because(judged: &Judgement, words: &str) -> bool {
    judged.evidence.iter().any(|evidence| evidence.because.contains(words))
}

/// None of these is among what was learnt from, and no rule knows them.
#[test]
fn what_no_rule_knows_is_told_by_its_words() {
    let cases: &[(&str, &str, &[&str], Category)] = &[
        (
            "open_pull_request",
            "Open a pull request from a branch, with a title, a text and reviewers",
            &["repo", "head", "base", "title", "body", "reviewers"],
            ExternalCommunication,
        ),
        (
            "ticket_answer",
            "Writes a public answer on a ticket, which its requester gets by mail",
            &["ticket_id", "text"],
            ExternalCommunication,
        ),
        (
            "container_up",
            "Starts a container from an image with the given ports and environment",
            &["image", "ports", "env"],
            Execution,
        ),
        (
            "let_vendor_in",
            "Lets a vendor's staff into the workspace with the standing of an editor",
            &["vendor", "email"],
            Administrative,
        ),
        (
            "enroll_device",
            "Enroll a device with the company's management so that it may use the network",
            &["serial", "owner_email"],
            Administrative,
        ),
        (
            "renew_contract",
            "Renew a supplier's contract for another year at the agreed price",
            &["contract_id", "price", "term"],
            Financial,
        ),
        (
            "merge_contacts",
            "Merge two contacts into one; the second is deleted",
            &["keep_id", "drop_id"],
            Destructive,
        ),
    ];
    for (name, description, arguments, category) in cases {
        let judged = judged(name, description, arguments);
        let told = because(&judged, "in 100 that are worded so");
        assert!(judged.categories.contains(category) && told, "{name}: {judged:#?}");
    }
}

#[test]
fn the_words_that_weigh_most_are_named_as_they_are_written() {
    let merged = judged(
        "merge_contacts",
        "Merge two contacts into one; the second is deleted",
        &["keep_id", "drop_id"],
    );
    assert!(because(&merged, "that are worded so delete for good, by `deleted`, "), "{merged:#?}");
}

#[test]
fn what_is_taken_off_something_is_no_loss_though_its_verb_removes() {
    let taken = judged(
        "remove_product_from_deal",
        "Remove a product from a deal. The deal's value is calculated anew.",
        &["deal_id", "product_id"],
    );
    assert!(!taken.categories.contains(&Destructive) && taken.level != Level::Critical, "{taken:#?}");
    assert!(because(&taken, "only "), "it says why: {taken:#?}");
    assert!(!because(&taken, "`remove` deletes for good"), "and not the opposite too: {taken:#?}");
}

#[test]
fn what_is_said_in_plain_words_is_no_matter_of_opinion() {
    for (name, description, arguments) in [
        ("delete_product_of_deal", "Delete a product of a deal", &["deal_id", "product_id"][..]),
        ("uninstall_chart", "Uninstall a chart", &["release"]),
        ("pop", "Remove and return the first element of a list", &["key"]),
        ("remove_label", "Remove a label permanently", &["label_id"]),
    ] {
        let judged = judged(name, description, arguments);
        assert!(judged.categories.contains(&Destructive), "{name}: {judged:#?}");
    }
    // what its author says around it takes nothing back
    let padded = judged(
        "remove_directory",
        "Removes a directory and returns a report about it as soon as it is open.",
        &["path"],
    );
    assert!(padded.categories.contains(&Destructive) && padded.level == Level::Critical, "{padded:#?}");
    let all = judged("remove_users", "Removes all users and their data, preserving nothing.", &["group"]);
    assert!(all.categories.contains(&Destructive), "{all:#?}");
    let flag = json!({ "name": "copy_album", "description": "Copies an album", "inputSchema": { "properties": {
        "source": { "type": "string" }, "delete_source": { "type": "boolean" } } } });
    let copied = judge(&Tool::of(&flag, Claimed::default()), &Siblings::default());
    assert!(copied.categories.contains(&Destructive), "{copied:#?}");
}

#[test]
fn who_only_looks_deletes_pays_and_tells_nothing_however_it_is_worded() {
    for name in ["list_deleted_invoices", "get_refund_payout_transfer", "search_sent_messages"] {
        let description = "Lists what was deleted, refunded, paid out and sent to customers by email";
        let judged = judged(name, description, &["amount", "recipient", "delete", "payment_id"]);
        assert_eq!(judged.level, Level::ReadOnly, "{judged:#?}");
        let categories = judged.categories.iter().all(|category| *category == CredentialAccess);
        assert!(categories, "{name}: {judged:#?}");
    }
}

/// A draft reaches nobody, whatever it sounds like.
#[test]
fn where_a_rule_says_why_not_words_alone_do_not_say_that_it_is() {
    let draft = judged(
        "draft_mail_message",
        "Creates a draft of an email with subject, body and recipients, which may be sent later",
        &["to", "cc", "subject", "body"],
    );
    assert!(!draft.categories.contains(&ExternalCommunication), "{draft:#?}");
}

/// The records that the table of risks was learnt from; those that came later were learnt from for the other alone.
const FIRST: [&str; 8] =
    ["access", "consumers", "data", "money", "offices", "operations", "people", "running"];

/// Each record whose label is not in doubt, judged.
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at a broken record")]
fn recorded(mut each: impl FnMut(&str, &str, &Judgement)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("judged");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let (stem, text) =
            (path.file_stem().unwrap().to_str().unwrap(), std::fs::read_to_string(&path).unwrap());
        for server in text.split("## server ").skip(1) {
            let tools: Vec<Vec<&str>> =
                server.lines().skip(1).map(|line| line.split('\t').collect()).collect();
            let siblings = Siblings::of(tools.iter().map(|fields| fields[0]));
            for fields in tools.iter().filter(|fields| !fields[3].ends_with('?')) {
                let arguments: Vec<&str> =
                    fields[2].split(',').map(str::trim).filter(|a| !a.is_empty()).collect();
                let definition = definition(fields[0], fields[1], &arguments);
                each(stem, fields[3], &judge(&Tool::of(&definition, Claimed::default()), &siblings));
            }
        }
    }
}

/// The tables were made from these tools, of risks among others, as they are taken apart: whoever changes how that is done
/// learns anew (`cargo xtask learn risk` and `effect`). It says nothing of tools that were not learnt from.
#[test]
fn the_tables_belong_to_how_tools_are_taken_apart() {
    let (mut found, mut all, mut wrong, mut honest) = (0, 0, 0, 0);
    let (mut right, mut told) = (0, 0);
    recorded(|file, label, judged| {
        right += u32::from((judged.effect != Effect::None) != label.starts_with('r'));
        told += 1;
        if FIRST.contains(&file) {
            let reaches = label.contains('x');
            let said = judged.categories.contains(&ExternalCommunication);
            found += u32::from(reaches && said);
            all += u32::from(reaches);
            wrong += u32::from(!reaches && said);
            honest += u32::from(!reaches);
        }
    });
    println!(
        "{found} of {all} that reach people, and {wrong} of {honest} others; {right} of {told} read or write"
    );
    assert!(found * 100 >= all * 75 && wrong * 100 <= honest * 3, "{found} of {all}, {wrong} of {honest}");
    // by the rules alone it is 83 in 100
    assert!(right * 100 >= told * 91, "{right} of {told}");
}

/// What the rules take for a write, and a careful reader does not; and what neither rules nor siblings tell.
#[test]
fn how_it_is_worded_decides_what_the_rules_are_unsure_of() {
    let turned = judged(
        "fold_histogram",
        "Folds the samples of a sensor into a histogram and returns counts per bin.",
        &["sensor", "bins"],
    );
    assert!(turned.turned && turned.effect == Effect::None, "{turned:#?}");
    assert!(because(&turned, "in 100 that are worded so change nothing"), "{turned:#?}");
}

/// How it is worded is its author's word: it makes no read of what deletes, pays or opens a door, of what an argument can choose, nor
/// of what runs what it is given.
#[test]
fn no_wording_makes_a_read_of_what_is_grave() {
    let soft = "Returns the list of what was found, with counts and a summary of each, read-only statistics";
    for (name, description, arguments) in [
        ("delete_customer", soft.to_owned(), &["id"][..]),
        ("get_letter", format!("Gets a letter and deletes it from the box. {soft}"), &["id"]),
        ("refund_stats", format!("Refund the payment. {soft}"), &["payment_id"]),
        ("run_command", soft.to_owned(), &["command"]),
    ] {
        let judged = judged(name, &description, arguments);
        assert_ne!(judged.effect, Effect::None, "{name}: {judged:#?}");
    }
}
