//! The verb of a name: where it stands, and what is left to be its object.

use super::lexicon::{Act, act, nounish};
use super::words::{join, singular, split};
use std::collections::BTreeMap;

/// What the tools of one server have in common: a leading word that is only the server's name, and the end of a name at
/// which its verbs stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Siblings {
    prefix: Vec<String>,
    verb_last: bool,
    /// Two tools or more are about money: an `order` or a `subscription` of this server is to be paid.
    bills: bool,
    /// Its tools are about who signs in and what they may do: code that is put there decides that.
    governs: bool,
    /// Its tools are about what a network lets through: each of its rules is such a one.
    guards: bool,
    /// People follow one another there and see what others write.
    mingles: bool,
    /// Stems of the words that several names share.
    common: Vec<String>,
}

impl Siblings {
    pub(super) fn common(&self) -> &[String] {
        &self.common
    }

    pub(super) fn guards(&self) -> bool {
        self.guards
    }

    pub(super) fn mingles(&self) -> bool {
        self.mingles
    }

    pub(super) fn bills(&self) -> bool {
        self.bills
    }

    pub(super) fn governs(&self) -> bool {
        self.governs
    }

    /// From all names of a server, in any order.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<Vec<String>> = names.into_iter().map(|name| join(split(name))).collect();
        let prefix = prefix(&names);
        for words in names.iter_mut().filter(|words| words.starts_with(&prefix)) {
            words.drain(..prefix.len());
        }
        let sure = |word: Option<&String>| word.is_some_and(|word| act(word).is_some() && !nounish(word));
        let last = names.iter().filter(|words| words.len() > 1 && sure(words.last())).count();
        let first = names.iter().filter(|words| sure(words.first()) || leads(words)).count();
        let (bills, governs, guards) = (bills(&names), governs(&names, &prefix), guards(&names));
        let mingles = mingles(&names);
        let common = super::alike::common(&names);
        Self { bills, governs, guards, mingles, common, prefix, verb_last: last > first }
    }
}

/// Named after signing in, or half of its tools speak of that.
fn governs(names: &[Vec<String>], prefix: &[String]) -> bool {
    let named = |word: &String| {
        ["auth", "oauth", "iam", "sso", "okta", "keycloak", "idp", "identity", "entra"]
            .iter()
            .any(|one| word.trim_end_matches(char::is_numeric) == *one)
            || word.starts_with("auth") && !word.starts_with("author")
    };
    let about = |words: &&Vec<String>| {
        words.iter().any(|word| {
            matches!(
                singular(word).as_str(),
                "role"
                    | "permission"
                    | "mfa"
                    | "sso"
                    | "idp"
                    | "realm"
                    | "factor"
                    | "saml"
                    | "oidc"
                    | "login"
            )
        })
    };
    prefix.iter().any(named)
        || names.len() > 3 && names.iter().filter(about).count() * 2 > names.len()
        || is_directory(names)
}

/// Most of its tools are about people, groups and applications, and several about how these sign in.
fn is_directory(names: &[Vec<String>]) -> bool {
    let speaks = |of: fn(&str) -> bool| {
        names.iter().filter(|words| words.iter().any(|word| of(&singular(word)))).count()
    };
    let whom = |word: &str| {
        matches!(
            word,
            "user"
                | "group"
                | "member"
                | "owner"
                | "application"
                | "app"
                | "principal"
                | "role"
                | "policy"
                | "permission"
                | "mfa"
                | "password"
                | "signin"
                | "sign"
                | "login"
                | "factor"
                | "device"
                | "directory"
                | "tenant"
        )
    };
    let how = |word: &str| {
        matches!(
            word,
            "principal"
                | "mfa"
                | "sso"
                | "saml"
                | "oidc"
                | "factor"
                | "authentication"
                | "password"
                | "conditional"
                | "signin"
                | "idp"
                | "realm"
                | "policy"
        )
    };
    let people = |word: &str| matches!(word, "user" | "group");
    names.len() > 7 && speaks(whom) * 2 > names.len() && speaks(how) > 2 && speaks(people) > 3
}

/// At least three tools, and one in twenty, are about a firewall and its like.
fn guards(names: &[Vec<String>]) -> bool {
    let about = |words: &&Vec<String>| {
        words.iter().any(|word| {
            matches!(
                singular(word).as_str(),
                "firewall" | "waf" | "dlp" | "nat" | "vpn" | "acl" | "ips" | "gateway" | "vlan" | "subnet"
            )
        })
    };
    let count = names.iter().filter(about).count();
    count > 2 && count * 20 > names.len()
}

fn mingles(names: &[Vec<String>]) -> bool {
    let speaks = |of: &[&str]| {
        names.iter().any(|words| words.iter().any(|word| of.contains(&singular(word).as_str())))
    };
    speaks(&["follow", "unfollow", "follower"])
        && speaks(&["timeline", "status", "post", "feed", "reblog", "tweet", "boost"])
}

fn bills(names: &[Vec<String>]) -> bool {
    // whoever subscribes to a topic pays nothing for it
    let speaks = |of: &[&str]| names.iter().flatten().any(|word| of.contains(&singular(word).as_str()));
    let told = speaks(&["topic", "queue", "publish", "feed"]);
    let about = |words: &&Vec<String>| {
        words.iter().any(|word| {
            matches!(
                singular(word).as_str(),
                "payment"
                    | "invoice"
                    | "refund"
                    | "payout"
                    | "price"
                    | "billing"
                    | "charge"
                    | "coupon"
                    | "portfolio"
                    | "wallet"
                    | "salary"
                    | "payroll"
                    | "payslip"
                    | "fare"
                    | "loan"
                    | "currency"
                    | "bill"
                    | "gas"
                    | "nft"
                    | "stake"
                    | "checkout"
                    | "balance"
            ) || !told && singular(word) == "subscription"
        })
    };
    // who can place an order can commit to paying for it
    let orders = |words: &Vec<String>| {
        words.iter().any(|word| word == "place") && words.iter().any(|word| singular(word) == "order")
    };
    names.iter().filter(about).count() > 1 || names.iter().any(orders)
}

/// Leading words that three in five of at least three names share, none of them a verb.
fn prefix(names: &[Vec<String>]) -> Vec<String> {
    let mut shared: Vec<String> = Vec::new();
    while names.len() >= 3 && shared.len() < 4 {
        let mut following: BTreeMap<&str, usize> = BTreeMap::new();
        for words in names.iter().filter(|words| words.starts_with(&shared) && words.len() > shared.len() + 1)
        {
            if let Some(word) = words.get(shared.len()) {
                *following.entry(word).or_default() += 1;
            }
        }
        match following.iter().max_by_key(|(_, count)| **count) {
            Some((word, count)) if count * 5 >= names.len() * 3 && act(word).is_none() => {
                shared.push((*word).to_owned())
            }
            Some(_) | None => break,
        }
    }
    shared
}

/// A name, taken apart.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// Its verbs, with the word each was: several where `or`, `and` or nothing joins them.
    pub(super) acts: Vec<(Act, String)>,
    /// The verb could as well be a noun.
    pub(super) unsure: bool,
    /// What is no verb and no prefix.
    pub(super) nouns: Vec<String>,
    pub(super) words: Vec<String>,
}

impl Name {
    pub(super) fn of(name: &str, siblings: &Siblings) -> Self {
        let mut words = join(split(name));
        if words.starts_with(&siblings.prefix) && words.len() > siblings.prefix.len() {
            words.drain(..siblings.prefix.len());
        }
        let at = if state_of_a_deed(&words) { Vec::new() } else { heads(&words, siblings.verb_last) };
        let word = |at: &usize| words.get(*at).cloned().unwrap_or_default();
        let acts: Vec<(Act, String)> =
            at.iter().filter_map(|at| Some((act(words.get(*at)?)?, word(at)))).collect();
        let unsure = acts.iter().all(|(_, verb)| nounish(verb)) && !(leads(&words) && at.contains(&0));
        let others = words.iter().enumerate().filter(|(index, _)| !at.contains(index));
        let nouns = others.map(|(_, word)| word.clone()).collect();
        Self { acts, unsure, nouns, words }
    }
}

/// `deploy_status`: how a deed goes, which nobody can do.
fn state_of_a_deed(words: &[String]) -> bool {
    let [before @ .., deed, state] = words else {
        return false;
    };
    // `policy_run_results`: with what it is a result of in front, nothing is done
    let outcome = !before.is_empty()
        && nounish(deed)
        && matches!(
            state.as_str(),
            "results"
                | "candidates"
                | "outcomes"
                | "statistics"
                | "stats"
                | "metrics"
                | "errors"
                | "failures"
        )
        || matches!(deed.as_str(), "cleanup" | "deletion" | "removal") && state == "candidates";
    let done = matches!(state.as_str(), "status" | "progress" | "history")
        && matches!(
            deed.as_str(),
            "deploy"
                | "build"
                | "sync"
                | "backup"
                | "import"
                | "export"
                | "install"
                | "upgrade"
                | "migrate"
                | "run"
                | "restore"
                | "rollout"
                | "release"
                | "upload"
                | "publish"
                | "scan"
                | "render"
                | "crawl"
                | "train"
        );
    // `stat_site_load`
    let told = matches!(words.first().map(String::as_str), Some("stat" | "stats" | "statistics" | "metrics"))
        && words.iter().all(|word| act(word).is_none() || nounish(word));
    told || before.iter().all(|word| act(word).is_none()) && (outcome || done)
}

/// Where the verbs stand: at the first sure one from the end at which this server's verbs stand, else at an unsure one;
/// with those that are joined to it.
fn heads(words: &[String], verb_last: bool) -> Vec<usize> {
    let is = |at: usize| words.get(at).and_then(|word| act(word)).is_some() && !onward(words, at);
    let sure = |at: &usize| is(*at) && words.get(*at).is_some_and(|word| !nounish(word));
    let ends =
        if verb_last { [words.len().saturating_sub(1), 0] } else { [0, words.len().saturating_sub(1)] };
    let anywhere = || (0..words.len()).find(sure);
    let unsure = || ends.into_iter().chain(0..words.len()).find(|at| is(*at));
    // `mail_forward_list` beside `mail_box_delete`
    let lists = words
        .len()
        .checked_sub(1)
        .filter(|last| verb_last && *last > 0 && words.get(*last).is_some_and(|word| word == "list"));
    let Some(head) = lists.or_else(|| ends.into_iter().find(sure)).or_else(anywhere).or_else(unsure) else {
        return Vec::new();
    };
    // `list` and `set` lead a name as verbs even if a surer verb follows: `list_delete_markers`, `set_read_only`.
    let head = if head != 0 && !verb_last && leads(words) { 0 } else { head };
    // After a verb of reading another verb is what is read about: `get_update_status`.
    let looks = words.get(head).and_then(|word| act(word)) == Some(Act::Read);
    let mut found = vec![head];
    found.extend(joined(words, head, looks));
    found
}

/// `go_forward`, `forward_geocode`: a direction.
fn onward(words: &[String], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| words.get(at)).map(String::as_str).unwrap_or_default();
    let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
    let sought = matches!(next, "search" | "lookup" | "query" | "history" | "analysis" | "analytics");
    // `text_search`: what is looked for
    let looked_for = sought
        && words.get(at).is_some_and(|word| {
            matches!(
                word.as_str(),
                "text" | "email" | "mail" | "message" | "post" | "sms" | "share" | "trade"
            )
        });
    looked_for
        // `check_to_register`: what it is looked at for
        || before == "to"
        || words.get(at).is_some_and(|word| word == "forward")
            && (matches!(before, "go" | "step" | "seek" | "skip" | "fast" | "navigate")
                || next.starts_with("geocod"))
}

fn leads(words: &[String]) -> bool {
    let verb = words.first().map(String::as_str).unwrap_or_default();
    matches!(
        verb,
        "list" | "set" | "search" | "find" | "check" | "count" | "query" | "view" | "monitor" | "preview"
    )
}

/// Verbs after `or` and `and`, and directly beside the head: `create_or_update_x`, `pause_resume_x`, `x_add_remove`.
fn joined(words: &[String], head: usize, looks: bool) -> impl Iterator<Item = usize> {
    let verb = |at: usize| words.get(at).filter(|word| act(word).is_some());
    let conjunction =
        |at: usize| words.get(at).is_some_and(|word| matches!(word.as_str(), "or" | "and" | "then"));
    let after = (1..words.len()).filter(move |at| verb(*at).is_some() && conjunction(at - 1));
    let before = (0..words.len()).filter(move |at| verb(*at).is_some() && conjunction(at + 1));
    // What `and` joins to may stand at the beginning: `call_api_and_create`.
    let joins = (1..words.len()).any(conjunction);
    let first = Some(0).filter(|at| joins && verb(*at).is_some());
    let beside = [head.wrapping_sub(1), head + 1];
    let beside = beside.into_iter().filter(move |at| !looks && verb(*at).is_some_and(|word| !nounish(word)));
    let mut all: Vec<usize> =
        after.chain(before).chain(first).chain(beside).filter(|at| *at != head).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(name: &str, siblings: &Siblings) -> Vec<Act> {
        let mut acts: Vec<Act> = Name::of(name, siblings).acts.into_iter().map(|(act, _)| act).collect();
        acts.sort();
        acts
    }

    #[test]
    fn the_verb_is_found_at_either_end_and_in_between() {
        let alone = Siblings::default();
        for (name, act) in [
            ("purgeCache", Act::Remove),
            ("cache_purge", Act::Remove),
            ("region-evict-all", Act::Take),
            ("list_delete_markers", Act::Read),
            ("shelf_list", Act::Read),
            ("unarchive_board", Act::Flip),
        ] {
            assert_eq!(acts(name, &alone), [act], "{name}");
        }
        assert_eq!(acts("mint_or_burnish_coin", &alone), [Act::Add]);
        assert_eq!(acts("add_and_erase_rows", &alone), [Act::Add, Act::Remove]);
        assert!(acts("weather", &alone).is_empty());
    }

    #[test]
    fn a_server_s_own_name_is_no_part_of_a_tool_s() {
        let siblings = Siblings::of(["orchard_tree_list", "orchard_pick", "orchard_prune_row", "health"]);
        assert_eq!(siblings.prefix, ["orchard"]);
        assert_eq!(Name::of("orchard_prune_row", &siblings).nouns, ["row"]);
        let verbs = Siblings::of(["get_a", "get_b", "get_c"]);
        assert!(verbs.prefix.is_empty(), "a verb is never a server's name");
    }

    #[test]
    fn the_end_at_which_siblings_have_their_verbs_decides_between_two() {
        let last = Siblings::of(["queue_delete", "queue_describe", "export_cancel"]);
        assert_eq!(acts("describe_delete", &last), [Act::Read, Act::Remove]);
        assert_eq!(acts("validate_rule_remove", &last), [Act::Remove]);
        assert_eq!(acts("validate_rule_remove", &Siblings::default()), [Act::Read]);
    }
}
