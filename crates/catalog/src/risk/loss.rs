//! What a call deletes, takes away, or puts in the place of what was there.

use super::effect::Deed;
use super::lexicon::Act;
use super::nouns;
use super::stakes::Scale;
use super::words::{singular, split};
use crate::Category;

/// What somebody put on a thing by one call, and can put there again by another.
const SIGNS: &[&str] = &[
    "reaction",
    "star",
    "like",
    "vote",
    "favorite",
    "favourite",
    "follower",
    "watcher",
    "assignee",
    "reviewer",
    "silence",
    "binding",
    "relation",
    "assignment",
];

impl Scale<'_, '_> {
    /// Its own name says so, by a verb that is said of nothing else.
    pub(super) fn deletes_plainly(&self) -> bool {
        const LOOSELY: &[&str] = &[
            "remov",
            "clear",
            "unset",
            "unlink",
            "revok",
            "replac",
            "disconnect",
            "detach",
            "unsubscrib",
            "reset",
        ];
        let plain = |(act, verb): &(Act, String)| {
            matches!(act, Act::Remove | Act::Take) && !LOOSELY.iter().any(|stem| verb.starts_with(stem))
        };
        self.reading.name.acts.iter().any(plain)
    }

    pub(super) fn destruction(&mut self) {
        let removes: Vec<Deed> = self
            .reading
            .deeds
            .iter()
            .filter(|deed| matches!(deed.act, Act::Remove | Act::Take))
            .filter(|deed| self.reading.execution.is_none() || !deed.place.starts_with("/input"))
            .filter(|deed| !parts(deed) && !self.paraphrases(deed))
            .cloned()
            .collect();
        let (spared, lost): (Vec<&Deed>, Vec<&Deed>) =
            removes.iter().partition(|deed| self.shuts_out(deed) || self.unties(deed));
        if let Some(deed) = lost.first() {
            self.found(
                Category::Destructive,
                deed.place.clone(),
                format!("`{}` {}", deed.word, deed.act.does()),
            );
        }
        let soft = self.reading.prose.says_soft;
        if !spared.is_empty() || self.reading.prose.says_undone {
            self.denied.insert(Category::Destructive);
        }
        let for_good = removes
            .iter()
            .find(|deed| deed.act == Act::Remove && !soft && !self.only_relates(deed) && !self.unties(deed));
        if let Some(deed) = for_good {
            let (place, because) = (deed.place.clone(), format!("`{}` deletes for good", deed.word));
            self.critical(place, because);
        }
        let back = self.reading.deeds.iter().find(|deed| turns_back(deed)).cloned();
        let kept = self.reading.prose.says_undone;
        if let Some(deed) = back.filter(|deed| deed.act != Act::Flip && !kept && self.holds_data()) {
            self.found(
                Category::Destructive,
                deed.place.clone(),
                format!("`{}` overwrites what is there", deed.word),
            );
            self.critical(deed.place.clone(), format!("`{}` overwrites what is there", deed.word));
        }
        let prose = &self.reading.prose;
        // what the verb alone does not say: `resets the branch, discarding changes`
        if prose.says_discards {
            self.found(Category::Destructive, "/description", "it says what is lost by it".to_owned());
            self.critical("/description", "it says what is lost by it".to_owned());
        }
        let overwrites =
            (prose.says_overwrites || self.overwrites()) && self.does(&[Act::Add, Act::Change]).is_some();
        let finally = prose.says_final
            && !soft
            && self.does(&[Act::Flip, Act::Change, Act::Take, Act::Remove, Act::Halt]).is_some();
        if overwrites || finally {
            let because =
                if overwrites { "it overwrites what is there" } else { "it says that there is no way back" };
            self.found(Category::Destructive, "/description", because.to_owned());
            self.critical("/description", because.to_owned());
        }
    }

    /// An argument can say so: a flag, or a deed that it chooses.
    pub(super) fn asked_to_delete(&self) -> bool {
        const PLAINLY: &[&str] = &["delet", "purg", "drop", "eras", "destroy", "wip"];
        let plainly = |deed: &Deed| PLAINLY.iter().any(|verb| deed.word.starts_with(verb));
        let asks = |deed: &Deed| deed.act == Act::Take || deed.act == Act::Remove && plainly(deed);
        self.reading.deeds.iter().any(|deed| deed.place.starts_with("/input") && asks(deed))
    }

    /// What it is given goes where something was, as its arguments have it.
    pub(super) fn overwrites(&self) -> bool {
        let flag = |deed: &Deed| deed.word == "overwrite" && deed.place.starts_with("/input");
        self.reading.deeds.iter().any(flag) || self.may_write_anew() || self.writes_whole()
    }

    /// `write_file`: all that a file holds is given, and what it held is not kept.
    fn writes_whole(&self) -> bool {
        self.writes_a_file()
            && !self.reading.says("append")
            && !self.takes(&["append", "line", "range", "old_text", "position"])
    }

    /// A way of writing that an argument can choose puts what is given in the place of all that was there.
    fn may_write_anew(&self) -> bool {
        let anew = |operation: &super::schema::Operation| {
            ["overwrit", "rewrit", "replace", "truncat"].iter().any(|verb| operation.value.starts_with(verb))
        };
        self.writes_a_file() && self.reading.operations.iter().any(anew)
    }

    fn writes_a_file(&self) -> bool {
        let writes = |(_, verb): &(Act, String)| matches!(verb.as_str(), "write" | "set" | "put");
        writes_all(&self.reading.name.acts, writes)
            && self.takes(&["path", "file", "filename", "file_path", "filepath", "file_name"])
            && self.takes(&["content", "contents", "data", "text", "body"])
    }

    /// What holds two things together comes off, and both are still there: a mark on something, a thing on a list, what one
    /// waits for.
    fn unties(&self, deed: &Deed) -> bool {
        let first = split(&deed.word).into_iter().next().unwrap_or_default();
        let first = first.trim_end_matches('s');
        let last =
            |words: &[String], of: &[&str]| words.last().is_some_and(|last| of.contains(&last.as_str()));
        let between = self.named.iter().any(|word| word == "dependency");
        if matches!(first, "remove" | "delete" | "unlink") && between && self.reading.arguments.len() > 1 {
            return true;
        }
        // what only waits to be done
        let waits =
            last(&self.named, &["event", "job", "task"]) && self.named.iter().any(|word| word == "queued");
        let sign = last(&self.named, SIGNS) || waits;
        if matches!(first, "remove" | "delete") && sign || self.off_a_collection() {
            return true;
        }
        let weak = matches!(first, "remove" | "removing" | "unlink" | "unset");
        if self.reading.prose.says_stays && (weak || first.starts_with("unsubscrib")) {
            return true;
        }
        let off = |word: &String| matches!(word.as_str(), "from" | "on");
        let from = self.reading.prose.first.iter().chain(&self.reading.name.words).any(off);
        // an item of a list may be all there is of it
        let marks = |words: &[String]| {
            nouns::relation(words)
                && !words.iter().any(|word| matches!(word.as_str(), "item" | "element" | "track" | "song"))
        };
        let mark = marks(&self.named) || marks(&self.described);
        let list = self.named.iter().chain(&self.described).chain(&self.reading.prose.first).any(|word| {
            matches!(word.as_str(), "cart" | "basket" | "playlist" | "watchlist" | "wishlist" | "bookmark")
        });
        // a mark, and what it is on
        let both = last(&self.named, &["tag", "label", "bookmark"]) && self.reading.arguments.len() > 1;
        weak && (from && (mark || list) || both)
    }

    /// `Remove an issue from a sprint`: it is in no sprint any more, and still an issue.
    fn off_a_collection(&self) -> bool {
        let mut words = self.reading.prose.first.iter();
        let removes = words.next().is_some_and(|verb| matches!(verb.as_str(), "remove" | "removes"));
        let from = words.skip_while(|word| *word != "from").skip(1);
        let collection = |word: &String| {
            let word = singular(word);
            matches!(
                word.as_str(),
                "module"
                    | "cycle"
                    | "sprint"
                    | "milestone"
                    | "epic"
                    | "album"
                    | "playlist"
                    | "cohort"
                    | "segment"
            )
        };
        removes && from.take(3).any(collection)
    }

    /// Somebody loses what they might do, which is no data.
    fn shuts_out(&self, deed: &Deed) -> bool {
        let verb = split(&deed.word).into_iter().next().unwrap_or_default();
        let last = self.named.last().or(self.described.last()).map(String::as_str).unwrap_or_default();
        let is_person =
            |word: &str| matches!(word, "member" | "collaborator" | "participant" | "guest" | "moderator");
        // `remove_board_collaborator`: `Remove a collaborator from a board`
        let person = is_person(last) || self.described.last().is_some_and(|last| is_person(last));
        let right = matches!(
            last,
            "access" | "permission" | "role" | "invitation" | "invite" | "grant" | "privilege"
        );
        match verb.trim_end_matches('s') {
            "revoke" => person || right,
            "remove" => person,
            _ => false,
        }
    }

    /// `detach_x`: `Removes x from y`: the name says that two things come apart, the description says no more.
    fn paraphrases(&self, deed: &Deed) -> bool {
        let apart = |(_, verb): &(Act, String)| {
            matches!(
                verb.as_str(),
                "detach" | "disconnect" | "unassign" | "unlink" | "disassociate" | "unattach"
            )
        };
        // `set_emoji`: `Sets or clears the emoji`
        let sets = |(_, verb): &(Act, String)| verb == "set";
        let acts = &self.reading.name.acts;
        deed.place == "/description"
            && matches!(deed.word.trim_end_matches('s'), "remove" | "clear" | "unset")
            && !acts.is_empty()
            && (acts.iter().all(apart) || acts.iter().all(sets))
    }

    /// Its object keeps data, which going back to an earlier state loses.
    fn holds_data(&self) -> bool {
        let mut words = self.named.iter().chain(&self.described);
        words.any(|word| {
            matches!(
                word.as_str(),
                "database"
                    | "db"
                    | "volume"
                    | "disk"
                    | "backup"
                    | "snapshot"
                    | "table"
                    | "cluster"
                    | "environment"
                    | "instance"
                    | "bucket"
                    | "index"
            )
        }) || self.named.iter().any(|word| word == "branch")
    }

    /// Taking one thing off another deletes neither.
    fn only_relates(&self, deed: &Deed) -> bool {
        let first = split(&deed.word).into_iter().next().unwrap_or_default();
        let weak = matches!(first.as_str(), "remove" | "removes" | "removing" | "clear" | "unlink" | "unset");
        let off = |word: &String| matches!(word.as_str(), "from" | "on");
        let from = self.reading.prose.first.iter().chain(&self.reading.name.words).any(off);
        let own: Vec<String> = split(&deed.word).iter().map(|word| singular(word)).collect();
        let of_property = self.reading.sets_a_property() && deed.place == "/description";
        weak && (of_property
            || nouns::relation(&own)
            || (from && (nouns::relation(&self.named) || nouns::relation(&self.described))))
    }
}

fn writes_all(acts: &[(Act, String)], writes: impl Fn(&(Act, String)) -> bool) -> bool {
    !acts.is_empty() && acts.iter().all(writes)
}

/// Two things come apart, and neither is gone.
fn parts(deed: &Deed) -> bool {
    let first = split(&deed.word).into_iter().next().unwrap_or_default();
    matches!(first.trim_end_matches('s'), "detach" | "disconnect" | "unmount" | "invalidate")
}

/// It puts an earlier state in the place of the present one.
fn turns_back(deed: &Deed) -> bool {
    let first = split(&deed.word).into_iter().next().unwrap_or_default();
    matches!(
        first.trim_end_matches('s'),
        "reset" | "restore" | "revert" | "rollback" | "reinitialize" | "reimage" | "format"
    )
}
