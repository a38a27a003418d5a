//! What verbs do and which nouns matter. A floor, no more: an unknown verb is no reading verb, and a tool that names none
//! is judged by what it says and what it takes, or is unknown.

use super::words::{Form, stems};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What a verb does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// Looks.
    Read,
    /// Makes something of what is there: where it goes decides.
    Emit,
    /// Does something else's doing: what is run decides.
    Run,
    /// Stands for several deeds.
    Umbrella,
    /// Turns a state that can be turned back.
    Flip,
    /// Adds, and leaves what is there.
    Add,
    /// Reaches somebody.
    Send,
    /// Puts something in the place of what was there.
    Change,
    Pay,
    Grant,
    /// Puts into service.
    Deploy,
    /// Takes out of service.
    Halt,
    /// Takes out of a collection.
    Take,
    Remove,
}

impl Act {
    pub(super) fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::Emit | Self::Run | Self::Umbrella)
    }

    /// It takes away or moves money.
    pub(super) fn is_grave(self) -> bool {
        matches!(self, Self::Pay | Self::Take | Self::Remove)
    }

    /// What was there before is gone, or what happened cannot be called back.
    pub(super) fn irreversible(self) -> bool {
        matches!(
            self,
            Self::Send | Self::Change | Self::Pay | Self::Grant | Self::Halt | Self::Take | Self::Remove
        )
    }

    pub(super) fn does(self) -> &'static str {
        match self {
            Self::Read => "only looks",
            Self::Emit => "makes an output",
            Self::Run => "runs something",
            Self::Umbrella => "stands for several deeds",
            Self::Flip => "turns a state",
            Self::Add => "adds something",
            Self::Send => "reaches somebody, which cannot be called back",
            Self::Change => "puts something in the place of what was there",
            Self::Pay => "moves money",
            Self::Grant => "changes who may do what",
            Self::Deploy => "puts something into service",
            Self::Halt => "takes something out of service",
            Self::Take => "takes something out",
            Self::Remove => "removes something",
        }
    }
}

/// A verb in two rows has the first one's meaning.
const VERBS: &[(Act, &str)] = &[
    (
        Act::Read,
        "get list read search find fetch retrieve show view describe query lookup look check count browse inspect analyze \
         analyse compare calculate compute estimate explain summarize summarise diagnose detect discover validate preview \
         tail head peek ping echo return give provide display print report explore examine identify determine evaluate \
         assess audit trace predict recommend suggest classify extract parse decode encode hash translate match filter \
         enumerate gather obtain scan select access demonstrate lint diff grep ls cat stat whoami poll wait observe measure \
         see learn understand aggregate sum monitor troubleshoot debug review verify infer rank outline visualize visualise \
         plot consult simulate forecast benchmark profile answer ask tell reveal locate download recall highlight sample \
         traverse walk interpret watch think research crawl scrape screenshot consume transcribe geocode tokenize \
         introspect interrogate paginate correlate listen hear autocomplete proofread spellcheck cite unmask unwrap dereference \
         exists receive rollup investigate surface uncover pinpoint reconstruct dissect contrast distinguish figure guess rerank decompile disassemble demangle symbolicate",
    ),
    (
        Act::Emit,
        "export generate convert render compress gzip zip transform format encrypt decrypt resolve test load capture pull",
    ),
    (
        Act::Run,
        "run execute exec eval perform invoke call trigger launch start process do operate dispatch use initiate \
         begin kickoff sudo",
    ),
    (Act::Umbrella, "manage handle control administer maintain orchestrate interact work configure"),
    (
        Act::Flip,
        "mark star dismiss close open toggle enable activate assign archive lock pin follow like vote approve reject accept \
         decline acknowledge ack complete finish snooze mute hide subscribe join leave submit request reserve book checkout \
         switch connect attach link associate register enroll claim wake resume hold flag label tag prioritize prioritise \
         setup authenticate login initialize initialise init onboard snapshot tap click press hover drag type swipe focus \
         stage navigate apply turn power arm disarm pair seal unseal quarantine triage escalate defer postpone confirm check-in \
         checkin rsvp endorse upvote downvote nominate delegate moderate silence ignore acquire adopt mount undo redo park \
         honk beep ring dim brighten shelve conclude discharge admit waitlist relist unread sideline suppress taint untaint \
         fulfill fulfil serve convene unpublish reroute redirect bind unbind map opt tune calibrate transition reorder finalize finalise refresh reload signin signout signup logout respond",
    ),
    (
        Act::Add,
        "create add insert append copy clone duplicate fork import upload push store save put record new make build log \
         commit compose draft schedule ingest backfill prepend populate produce enqueue queue branch backup provision \
         comment track seed prepare remember index propose annotate react bookmark allocate issue mint spawn ensure place wrap hire contribute deliver instantiate \
         embed materialize scaffold bootstrap stash pledge file lodge prescribe recruit train ",
    ),
    (
        Act::Send,
        "send reply publish notify email forward broadcast tweet message announce post invite share remind sms dm text fax \
         dial phone alert mail transmit disclose refer summon nudge ship relay syndicate retweet",
    ),
    (
        Act::Change,
        "update modify edit replace set move rename write patch change resize upgrade downgrade reset restore revert \
         overwrite upsert alter adjust merge rebase amend migrate correct rewrite swap customize \
         customise increment decrement incr decr bump extend renew redact sync synchronize synchronise fill fix repair \
         override shift touch reformat sign exchange reassign relocate reconcile flash rekey reconfigure \
         reclassify relabel recategorize repurpose retarget reprice restock replenish substitute mutate alter realign refactor \
         rebuild combine consolidate split reallocate rebalance refile \
         sanitize anonymize anonymise pseudonymize mask raise lower loosen tighten deprecate revise rectify",
    ),
    (
        Act::Pay,
        "refund charge pay payout transfer settle withdraw deposit buy purchase sell bill reimburse debit credit stake unstake redeem repay invest liquidate remit tip donate disburse bid wager topup \
         fund prepay overpay underwrite tender trade exercise ",
    ),
    (
        Act::Grant,
        "grant authorize authorise permit allow deny entitle elevate impersonate demote ban block whitelist \
         allowlist expose rotate blacklist denylist blocklist kick eject expel trust distrust deauthorize enforce harden \
         isolate contain",
    ),
    (
        Act::Deploy,
        "deploy install scale rollout rollback failover reboot restart redeploy promote drain cordon release undeploy cutover evacuate rollforward roll",
    ),
    (
        Act::Halt,
        "stop pause suspend cancel void kill abort shutdown disable deactivate halt interrupt quit end retire \
         hibernate unschedule poweroff powercycle forceoff mothball discontinue ",
    ),
    (
        Act::Take,
        "pop expire invalidate evict trim prune dequeue detach disconnect discard trash bin recycle unmount strip ",
    ),
    (
        Act::Remove,
        "delete remove destroy drop terminate decommission purge erase wipe truncate flush clear uninstall revoke teardown takedown rm del unlink empty \
         deprovision unpublish deregister delist obliterate deallocate scrub shred nuke expunge forget \
         clean cleanup reap sweep gc dissolve dismantle raze cull dispose scrap annul nullify rescind unprovision zeroize",
    ),
];

/// Verbs that are as often nouns or adjectives in a name: they count where no surer verb does.
const NOUNISH: &str = "report review query access match filter sample trace profile audit watch log comment branch index issue \
    record store backup draft schedule queue track label tag star fork like vote pin lock link book hold flag claim request \
    message email post text alert share reply charge transfer credit bill release scale change patch merge end format load \
    process call trigger start control work use type drag focus stage clone copy import export upload commit build diff count \
    sum list set view search head tail stat touch fix open close complete preview hash monitor contact check block deposit \
    phone sms dm rank answer capture resume benchmark forecast scan switch duplicate empty new debit transition shift walk \
    look join leave trash void do display test connect debug settle research screenshot snapshot setup login press tap seed \
    grant expose permit refund payout pay purchase setup rollback rollout failover drain sync apply find measure estimate print echo turn power arm pair seal \
    place file mail ring park serve map sign exchange stake fund trade tip bid tender wager trust bin strip pull figure guess cite \
    train refer mask split raise lower ship tune dim mount contain opt sweep embed bind recycle relay scrap mint refresh \
    surface hover escalate confirm prescribe hire flash ignore silence roll exercise";

static ACTS: LazyLock<BTreeMap<&str, Act>> = LazyLock::new(|| {
    let mut acts = BTreeMap::new();
    for (act, words) in VERBS {
        for word in words.split_whitespace() {
            acts.entry(word).or_insert(*act);
        }
    }
    acts
});
static NOUNISH_VERBS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| NOUNISH.split_whitespace().collect());

/// What stands before a verb and only says how it is done.
const HOW: &[&str] = &[
    "spell", "cross", "double", "fact", "hard", "soft", "force", "map", "bulk", "batch", "fuzzy", "deep",
    "quick", "type", "health", "safe", "pre",
];

/// What a verb in its base form does. `re-` does it again, `un-`, `de-` and `dis-` turn it back: a change like the first.
pub(super) fn act(word: &str) -> Option<Act> {
    if let Some(act) = ACTS.get(word) {
        return Some(*act);
    }
    // `spell-check`, `hard-delete`: the second says what is done
    if let Some((how, act)) = word.split_once('-').and_then(|(how, verb)| Some((how, ACTS.get(verb)?)))
        && HOW.contains(&how)
    {
        return Some(*act);
    }
    // no `sign` in it
    if word == "design" {
        return None;
    }
    let stem = ["re", "un", "de", "dis", "auto", "bulk", "batch", "over"].iter().find_map(|prefix| {
        let stem = word.strip_prefix(prefix)?;
        ACTS.get(stem.strip_prefix('-').unwrap_or(stem)).copied()
    });
    match (stem?, word.starts_with("un")) {
        (Act::Emit, true) => Some(Act::Flip),
        (Act::Add, true) => Some(Act::Change),
        // what was deleted is there again
        (Act::Remove | Act::Take, true) => Some(Act::Flip),
        (Act::Read | Act::Umbrella, _) | (Act::Emit, false) => None,
        (act, _) => Some(act),
    }
}

/// What a verb in any form of the present does.
pub(super) fn inflected(word: &str) -> Option<(Act, Form)> {
    stems(word).find_map(|(stem, form)| Some((act(&stem)?, form)))
}

pub(super) fn nounish(word: &str) -> bool {
    NOUNISH_VERBS.contains(word)
}

/// Nouns for what a look brings back: a name that is only nouns and ends in one of them tells of a look.
pub(super) fn result(word: &str) -> bool {
    const RESULTS: &str = "status info information detail stat statistic summary tree schema history metric size usage \
        overview top health version help result catalog catalogue logs content contents structure graph insight \
        suggestion recommendation analysis lookup reader viewer list count quota balance inventory timeline event trace \
        documentation docs guide definition activity finding analytics dashboard preview snapshot rate rule data reading score \
        ranking leaderboard position performance forecast transcript trail statement availability feed news weather vital \
        metadata state trend pattern telemetry reference price fare route direction capability diagnostic diagnostics";
    RESULTS.split_whitespace().any(|result| result == word)
}

/// Deeds named by a noun, as in "performs a search": those that only look.
pub(super) fn looking(noun: &str) -> bool {
    const LOOKS: &str = "search query lookup analysis aggregation check scan comparison calculation count find validation \
        inspection diagnosis diagnostic audit simulation estimate estimation select explain health ping traceroute \
        test-run dry-run inference prediction traceroute speedtest preview discovery review report whois research benchmark listing list";
    LOOKS.split_whitespace().any(|look| look == noun)
}

/// Deeds named by a noun, as in "approves a deployment": what the verb before them sets going.
pub(super) fn deed_named(noun: &str) -> Option<Act> {
    const DEEDS: &[(Act, &str)] = &[
        (Act::Remove, "deletion removal erasure purge wipe termination teardown destruction decommissioning"),
        (
            Act::Deploy,
            "deployment redeployment rollout failover rollback reboot restart cutover infrastructure",
        ),
        (Act::Halt, "shutdown cancellation"),
        (Act::Pay, "refund payout withdrawal purchase remittance disbursement"),
    ];
    DEEDS.iter().find(|(_, nouns)| nouns.split(' ').any(|one| one == noun)).map(|(act, _)| *act)
}

/// What is said of a record rather than in it: to set it anew is to turn a state, which can be turned back.
pub(super) fn property(noun: &str) -> bool {
    const PROPERTIES: &str = "title state status label tag assignee milestone type priority style position color \
        colour field flag category due sort layout preference setting theme visibility star pin format";
    PROPERTIES.split_whitespace().any(|property| property == noun)
}

/// Outputs that are only text handed back, whoever asked for them.
pub(super) fn text_output(noun: &str) -> bool {
    const OUTPUTS: &str = "code query url uri link preview template snippet command example suggestion summary text prompt \
        plan diff diagram map schema description explanation answer response documentation guide recommendation time timezone \
        screenshot deeplink thumbnail typescript type report statement analysis chart graph unit currency number string date value coordinate markdown html list insight uuid random hash";
    OUTPUTS.split_whitespace().any(|output| output == noun)
}
