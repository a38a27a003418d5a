//! What a verb means of its object: to run a search looks, to apply a plan deploys.

use super::effect::Reading;
use super::lexicon::{Act, looking, text_output};
use super::nouns;
use super::words::singular;

impl Reading<'_> {
    pub(super) fn has_destination(&self) -> bool {
        self.arguments.iter().any(|argument| {
            let words = &argument.words;
            let target = words.iter().any(|word| {
                matches!(word.as_str(), "output" | "destination" | "dest" | "target" | "save" | "local")
            });
            let where_to = argument.ends(&[
                "path",
                "file",
                "folder",
                "dir",
                "directory",
                "bucket",
                "filename",
                "destination",
                "folder_id",
            ]);
            (target && where_to)
                || argument.is(&["destination", "output", "folder_id", "save_to", "save_path"])
        })
    }

    /// What a verb means of some objects, and of others not.
    fn by_object(&self, act: Act, verb: &str, object: &[String]) -> Option<Act> {
        let near = || object.iter().take(6).map(|word| singular(word));
        let of = |nouns: &[&str]| near().any(|noun| nouns.contains(&noun.as_str()));
        let is = |one: Act, start: &str| act == one && verb.starts_with(start);
        let first = |nouns: &[&str]| object.iter().take(2).any(|word| nouns.contains(&word.as_str()));
        if is(Act::Send, "send")
            && first(&["prompt", "question"])
            && self.name.acts.is_empty()
            && self.names_a_result()
        {
            // `chat_insights`: `Send a prompt to a model and get back`: an answer is looked up
            Some(Act::Read)
        } else if is(Act::Send, "post") && self.told_otherwise() {
            // after a method of HTTP: `post_pool`: `Create a pool`
            Some(Act::Add)
        } else if is(Act::Add, "track") && of(TRACKED)
            || is(Act::Emit, "captur") && of(PICTURES)
            || is(Act::Deploy, "roll") && of(&["dice", "die"])
            || is(Act::Flip, "open") && of(&["node", "entity", "record", "article"])
            || is(Act::Flip, "map") && of(&["website", "site", "domain", "url"])
            || is(Act::Flip, "accept") && of(INPUTS)
            || is(Act::Flip, "navigat") && self.browses()
        {
            Some(Act::Read)
        } else if is(Act::Read, "receiv")
            && of(&["order", "item", "good", "stock", "shipment", "inventory", "payment"])
        {
            // what comes in is booked
            Some(Act::Flip)
        } else if is(Act::Change, "restor")
            && ["trash", "trashed", "deleted", "archived"].iter().any(|word| self.says(word))
            || (is(Act::Change, "renew") || is(Act::Change, "extend")) && self.lengthens()
        {
            // what was gone is there again, what would have ended goes on
            Some(Act::Flip)
        } else if is(Act::Read, "download") && self.has_destination() {
            Some(Act::Add)
        } else if is(Act::Send, "publish") && !self.publishes_to_people()
            || refillable(act, verb) && of(&["cache", "cached"])
        {
            Some(Act::Flip)
        } else if is(Act::Flip, "appl") && of(APPLIED)
            || is(Act::Change, "sync") && of(&["app", "application"])
            || is(Act::Add, "commit") && of(&["config", "configuration"])
        {
            Some(Act::Deploy)
        } else if is(Act::Deploy, "roll") && nouns::credential_words(near())
            || is(Act::Send, "forward") && of(&["port", "traffic", "tcp"])
        {
            Some(Act::Grant)
        } else if is(Act::Remove, "terminat") && of(ENDED) {
            Some(Act::Halt)
        } else if is(Act::Emit, "format") && of(&["disk", "drive", "volume", "partition"]) {
            Some(Act::Remove)
        } else if is(Act::Emit, "convert")
            && (of(CONVERTED) || self.names_a_record() || self.turns_into_a_record())
        {
            Some(Act::Flip)
        } else if is(Act::Emit, "pull") && (object.is_empty() || of(PULLED)) {
            Some(Act::Change)
        } else if is(Act::Emit, "gzip") || is(Act::Emit, "zip") {
            // an archive is a file beside those that it holds
            Some(Act::Add)
        } else if is(Act::Emit, "export") && !self.has_destination() && !self.goes_into_a_file() {
            Some(Act::Read)
        } else {
            None
        }
    }

    /// A value is chosen in a form, or what later calls are about.
    fn picks(&self) -> bool {
        let given = |names: &[&str]| self.arguments.iter().any(|argument| argument.is(names));
        let in_a_form = given(&["value", "values", "option", "options"])
            && given(&["selector", "element", "ref", "target", "uid"]);
        let later = [
            "for subsequent",
            "for future",
            "for later",
            "as the current",
            "as the active",
            "as current",
            "as active",
            "as the default",
        ];
        in_a_form || later.iter().any(|phrase| self.prose.whole.contains(phrase))
    }

    /// From a port of this machine, as long as it is kept open, and not where a network ends.
    pub(super) fn forwards_here(&self) -> bool {
        let local = |word: &String| word == "local";
        self.says("local")
            || self.says("process")
            || self.arguments.iter().any(|one| one.words.iter().any(local))
    }

    /// `Convert a visitor into a contact`
    fn turns_into_a_record(&self) -> bool {
        let into = self.prose.first.iter().skip_while(|word| !matches!(word.as_str(), "into" | "to")).skip(1);
        into.take(3).any(|word| RECORDS.contains(&singular(word).as_str()))
    }

    /// `Search and navigate the components`: no page is left for another.
    fn browses(&self) -> bool {
        let looks = |(act, _): &(Act, String)| *act == Act::Read;
        self.prose.acts.first().is_some_and(looks) && self.name.acts.iter().all(looks)
    }

    /// `export_tracks_to_file`
    fn goes_into_a_file(&self) -> bool {
        let into = |pair: &[String]| matches!(pair, [to, what] if to == "to" && matches!(what.as_str(), "file" | "files" | "disk" | "folder" | "csv" | "pdf"));
        self.name.words.windows(2).any(into)
    }

    /// The name may have its verb of a method, and the description says that something is made or begun.
    fn told_otherwise(&self) -> bool {
        let acts = &self.prose.acts;
        let made = |(act, word): &(Act, String)| {
            matches!(act, Act::Add | Act::Run | Act::Change) && !word.starts_with("comment")
        };
        !acts.is_empty()
            && acts.iter().all(made)
            && self.name.words.first().is_some_and(|first| first == "post")
            && nouns::message(&self.object().collect::<Vec<_>>()).is_none()
    }

    /// What a verb means where its object is a person, a battery, what somebody owns, chooses or has on his own machine.
    fn by_matter(&self, act: Act, verb: &str, object: &[String]) -> Option<Act> {
        let near = || object.iter().take(6).map(|word| singular(word));
        let of = |nouns: &[&str]| near().any(|noun| nouns.contains(&noun.as_str()));
        let is = |one: Act, start: &str| act == one && verb.starts_with(start);
        if is(Act::Pay, "exercis") && !of(&["option", "contract", "warrant", "position"]) {
            // who trains or tries something out pays nothing
            Some(Act::Run)
        } else if is(Act::Read, "ask") && of(ASKED) {
            // whoever is asked is reached
            Some(Act::Send)
        } else if is(Act::Pay, "charg") && self.fills_a_battery()
            || (self.mingles || of(&["contact", "sender", "caller"]))
                && (is(Act::Grant, "block") || is(Act::Grant, "unblock"))
        {
            // among people, whom one blocks is whom one does not see
            Some(Act::Flip)
        } else if is(Act::Emit, "convert") && of(HELD) && !of(&["rate", "value", "unit", "amount"]) {
            Some(Act::Pay)
        } else if is(Act::Read, "select") && (of(PICKED) || self.picks())
            || is(Act::Send, "forward") && of(&["port"]) && self.forwards_here()
        {
            Some(Act::Flip)
        } else if is(Act::Emit, "pull") && of(&["image", "model"]) {
            // it comes beside those that are there
            Some(Act::Add)
        } else if is(Act::Remove, "clean") && of(CLEANED) {
            Some(Act::Emit)
        } else {
            None
        }
    }

    /// A car or a battery is charged, and nobody's card.
    pub(super) fn fills_a_battery(&self) -> bool {
        let says = |words: &[&str]| words.iter().any(|word| self.says(word));
        says(&["battery", "vehicle", "car", "ev", "charger", "scooter", "powerwall", "plug"])
            && !says(&["card", "customer", "payment", "fee", "invoice", "price"])
    }

    /// `Resolve a display name to an address`
    fn looks_up_a_name(&self) -> bool {
        let to = |at: &usize| self.prose.first.get(*at).is_some_and(|word| word == "to" || word == "into");
        let named = |at: usize| {
            let after = self.prose.first.get(at + 1..).unwrap_or_default();
            after.iter().take(4).any(|word| {
                matches!(
                    singular(word).as_str(),
                    "coordinate"
                        | "location"
                        | "place"
                        | "domain"
                        | "id"
                        | "ids"
                        | "name"
                        | "email"
                        | "url"
                        | "uri"
                        | "address"
                        | "identifier"
                        | "uuid"
                        | "username"
                )
            })
        };
        self.prose.first.first().is_some_and(|word| word.starts_with("resolv"))
            && (0..self.prose.first.len()).filter(to).any(named)
    }

    /// A time that runs out is all that it names.
    fn lengthens(&self) -> bool {
        let time = |words: &[String]| {
            words.iter().any(|word| {
                matches!(
                    singular(word).as_str(),
                    "ttl" | "timeout" | "expiry" | "expiration" | "lease" | "deadline" | "lifetime"
                )
            })
        };
        self.arguments.iter().any(|argument| time(&argument.words))
            || time(&self.name.words)
            || time(&self.prose.object)
    }

    /// What is published is meant for people, who cannot be made to forget it.
    fn publishes_to_people(&self) -> bool {
        const PEOPLE: &[&str] = &[
            "message",
            "channel",
            "topic",
            "post",
            "event",
            "notification",
            "article",
            "newsletter",
            "subscriber",
            "tweet",
            "customer",
            "follower",
        ];
        PEOPLE.iter().any(|word| self.says(word))
    }

    /// It is given something that is kept, by its id, and no file.
    fn names_a_record(&self) -> bool {
        self.arguments.iter().any(|argument| {
            let of_file = argument.words.iter().any(|word| {
                matches!(word.as_str(), "file" | "document" | "doc" | "image" | "node" | "page" | "video")
            });
            argument.ends(&["id"]) && argument.words.len() > 1 && !of_file
        })
    }

    /// What an act that depends on its object does here; `None` where it cannot be told.
    pub(super) fn settle(&self, act: Act, verb: &str, object: &[String]) -> Option<Act> {
        let near = || object.iter().take(6).map(|word| singular(word));
        if let Some(named) = sets_going(act, verb).then(|| head(object, act == Act::Run)).flatten() {
            return Some(named);
        }
        if let Some(settled) = self.by_matter(act, verb, object).or_else(|| self.by_object(act, verb, object))
        {
            return Some(settled);
        }
        match act {
            Act::Emit if nouns::credential_words(near()) => Some(Act::Add),
            Act::Emit if self.has_destination() => Some(Act::Add),
            Act::Emit if verb.starts_with("generat") => {
                Some(if near().any(|noun| text_output(&noun) || looking(&noun)) {
                    Act::Read
                } else {
                    Act::Add
                })
            }
            Act::Emit
                if verb.starts_with("encrypt") || verb.starts_with("load") || verb.starts_with("captur") =>
            {
                Some(Act::Add)
            }
            Act::Emit if verb.starts_with("resolv") => {
                let to_name = near().any(|noun| {
                    matches!(
                        noun.as_str(),
                        "id" | "name" | "dns" | "host" | "url" | "path" | "address" | "reference"
                    )
                });
                Some(
                    if to_name
                        || self.looks_up_a_name()
                        || self.arguments.len() < 2 && !self.name.words.iter().any(|word| word == "resolve")
                    {
                        Act::Read
                    } else {
                        Act::Flip
                    },
                )
            }
            Act::Emit if verb.starts_with("format") => {
                Some(if self.arguments.len() > 3 { Act::Change } else { Act::Read })
            }
            Act::Emit => Some(Act::Read),
            Act::Run if near().any(|noun| looking(&noun)) => Some(Act::Read),
            Act::Run if object.is_empty() => None,
            Act::Umbrella => {
                let mut deeds = self
                    .operations
                    .iter()
                    .map(|operation| operation.act)
                    .chain(self.prose.listed.iter().map(|(act, _)| *act));
                let known = deeds.clone().next().is_some();
                match (known, deeds.all(|act| !act.writes() && act != Act::Run)) {
                    (true, true) => Some(Act::Read),
                    // those that it stands for say themselves how grave they are
                    (true, false) => Some(Act::Flip),
                    (false, _) => Some(Act::Change),
                }
            }
            Act::Run => Some(Act::Run),
            Act::Read | Act::Flip | Act::Add | Act::Send | Act::Change | Act::Pay | Act::Grant => Some(act),
            Act::Deploy | Act::Halt | Act::Take | Act::Remove => Some(act),
        }
    }
}

/// Whose looking up is no record of it.
const TRACKED: &[&str] = &[
    "parcel", "shipment", "package", "order", "delivery", "flight", "status", "progress", "courier",
    "ranking", "rank",
];
/// What a tool accepts as its arguments.
const INPUTS: &[&str] = &[
    "array",
    "string",
    "parameter",
    "argument",
    "input",
    "json",
    "either",
    "optional",
    "url",
    "path",
    "query",
    "option",
    "filter",
    "number",
    "format",
];
/// Who answers as a person.
const ASKED: &[&str] =
    &["human", "person", "people", "worker", "expert", "freelancer", "colleague", "crowd", "annotator"];
/// What somebody owns, so that it is another's or something else once it is converted.
const HELD: &[&str] = &["balance", "holding", "fund", "dust", "position"];
/// What is handed back in a cleaner form.
const CLEANED: &[&str] =
    &["text", "html", "markdown", "string", "transcript", "input", "output", "name", "address"];
/// What is taken to be looked at.
const PICTURES: &[&str] = &["screenshot", "snapshot", "screen", "image", "picture", "frame", "pane"];
/// What changes what is in service when it is applied.
const APPLIED: &[&str] = &[
    "run",
    "plan",
    "manifest",
    "change",
    "config",
    "configuration",
    "stack",
    "migration",
    "patch",
    "infrastructure",
];
/// What is run, and is made to do some deed.
const RUN: &[&str] = &["pipeline", "workflow", "job", "playbook", "process"];
/// What is no longer what it was when it is converted.
const CONVERTED: &[&str] = &["lead", "prospect", "opportunity", "contact", "trial"];
/// What somebody keeps, and has no more as what it was once it is converted.
const RECORDS: &[&str] = &[
    "contact",
    "lead",
    "customer",
    "opportunity",
    "deal",
    "account",
    "user",
    "member",
    "order",
    "invoice",
    "issue",
    "task",
    "ticket",
    "subscription",
];
/// What is chosen in a form.
const PICKED: &[&str] = &["option", "dropdown", "checkbox", "radio", "combobox", "listbox"];
/// What is changed here when it is pulled from elsewhere.
const PULLED: &[&str] = &["branch", "remote", "repository", "change", "commit"];
/// What is over when it is terminated, and not deleted.
const ENDED: &[&str] = &[
    "session",
    "employee",
    "process",
    "query",
    "connection",
    "call",
    "contract",
    "backend",
    "task",
    "job",
    "user",
    "workflow",
    "activity",
    "execution",
    "run",
];

/// Verbs that set a deed going which their object names.
fn sets_going(act: Act, verb: &str) -> bool {
    let base = verb.trim_end_matches('s');
    act == Act::Run
        || matches!(
            base,
            "create"
                | "submit"
                | "request"
                | "approve"
                | "confirm"
                | "accept"
                | "schedule"
                | "queue"
                | "make"
                | "complete"
                | "provision"
                | "build"
        )
}

/// The deed that an object names, as its last noun before `of`.
fn head(object: &[String], runs: bool) -> Option<Act> {
    let (mut before, mut last) = (None, None);
    for word in object.iter().take_while(|word| *word != "of") {
        before = last.replace(word);
    }
    let last = singular(last?);
    // `run a rollback pipeline`: what is run does what it is called after
    if runs && RUN.contains(&last.as_str()) {
        return super::lexicon::deed_named(&singular(before?));
    }
    super::lexicon::deed_named(&last)
}

/// What a cache lost comes back by itself; the cache itself may be a service.
fn refillable(act: Act, verb: &str) -> bool {
    let verb = verb.trim_end_matches('s');
    matches!(act, Act::Remove | Act::Take)
        && ["purg", "clear", "flush", "invalidat", "empty", "evict", "bust"]
            .iter()
            .any(|stem| verb.starts_with(stem))
}
