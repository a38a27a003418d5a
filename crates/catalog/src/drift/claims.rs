//! What the author claims of a tool, beside what is judged of it.

use super::Kind;
use super::fields::{Site, at, keys, object, texts, told, unknown};
use super::text::Role;
use crate::risk::{self, About, Effect, Judgement, Level, Reach, Siblings, Tool};
use crate::{Category, Claimed};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A hint, and which of its values promises less harm. One that is absent counts as the other one (MCP, *ToolAnnotations*).
const HINTS: [(&str, bool); 4] =
    [("readOnlyHint", true), ("destructiveHint", false), ("idempotentHint", true), ("openWorldHint", false)];

/// The annotations of a tool, of which at least one differs.
pub(super) fn hints(site: &mut Site<'_>, place: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
    let count = site.changes.len();
    for key in keys(old, new) {
        let (before, after) = (old.get(key), new.get(key));
        if before == after {
            continue;
        }
        let here = at(place, key);
        match HINTS.iter().find(|(hint, _)| *hint == key) {
            Some((hint, mild)) => turned(site, &here, hint, *mild, before, after),
            None if key == "title" => texts(site, &here, Role::Label, before, after),
            None => unknown(site, &here, before, after),
        }
    }
    if site.changes.len() == count {
        let because = "given in another form".to_owned();
        site.push(place, Kind::MemberChanged, true, 0.02, because);
    }
}

fn turned(
    site: &mut Site<'_>,
    place: &str,
    hint: &str,
    mild: bool,
    old: Option<&Value>,
    new: Option<&Value>,
) {
    let promises = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(!mild) == mild;
    let grave = grave(hint);
    let because = format!("`{hint}` was {} and is {}", told(old), told(new));
    match (promises(old), promises(new)) {
        (false, true) => {
            // taking back what was said weighs more than saying it for the first time, and most where the definition denies it
            let weight = match (grave, old.is_some()) {
                (true, true) => 0.35,
                (true, false) => 0.1,
                (false, true) => 0.3,
                (false, false) => 0.05,
            };
            site.push(place, Kind::HintWeakened, true, weight, because);
        }
        (true, false) => {
            // how much it weighs depends on what the definition says: see `unexplained`
            site.push(place, Kind::HintStrengthened, false, 0.15, because);
        }
        (true, true) | (false, false) => site.push(place, Kind::MemberChanged, true, 0.02, because),
    }
}

fn grave(hint: &str) -> bool {
    matches!(hint, "readOnlyHint" | "destructiveHint")
}

/// What can be judged of one version, its author's hints aside.
fn judge(value: &Value, siblings: &Siblings) -> Judgement {
    risk::judge(&Tool::of(value, Claimed::default()), siblings)
}

/// What both versions can do, their authors' hints aside.
pub(super) fn judged(was: &Value, is: &Value, siblings: &(Siblings, Siblings)) -> (Judgement, Judgement) {
    // one view of the siblings for both: what they changed is told of them
    (judge(was, &siblings.0), judge(is, &siblings.0))
}

/// What both versions can do, and whether new claims fit it.
pub(super) fn compare(
    site: &mut Site<'_>,
    (was, old): (&Value, &Judgement),
    (is, new): (&Value, &Judgement),
) {
    raised(site, old, new);
    capabilities(site, was, is, (old, new));
    let claims = |value: &Value, hint: &str| value.get("annotations").and_then(|a| a.get(hint)?.as_bool());
    let came = |hint: &str, mild: bool| claims(is, hint) == Some(mild) && claims(was, hint) != Some(mild);
    for (hint, mild) in HINTS {
        if claims(was, hint) == Some(!mild)
            && claims(is, hint) == Some(mild)
            && unannotated(was) == unannotated(is)
        {
            let because = format!("`{hint}` was taken back, and nothing in the definition became safer");
            let weight = if grave(hint) { 0.6 } else { 0.5 };
            site.push(&format!("/annotations/{hint}"), Kind::HintWeakened, true, weight, because);
        }
    }
    unexplained(site, &claims, was, is, new);
    // who begins to annotate gives several hints at once; one that comes by itself to what deletes or pays is no correction
    let alone = was.get("annotations").is_some() || unannotated(was) == unannotated(is);
    let plain = new.level == Level::Critical && alone;
    if came("readOnlyHint", true) && new.effect > Effect::Unknown {
        denies(site, "readOnlyHint", new, claims(was, "readOnlyHint").is_some());
    } else if came("readOnlyHint", true) && new.effect == Effect::Unknown && alone {
        let because = "called read-only, which nothing in the definition bears out".to_owned();
        site.push("/annotations/readOnlyHint", Kind::HintWeakened, true, 0.5, because);
    }
    if came("destructiveHint", false) && new.effect == Effect::Irreversible {
        denies(site, "destructiveHint", new, plain || claims(was, "destructiveHint").is_some());
    }
}

/// A promise that is no longer made. Where the definition says the same, its author put it right; where it says that the tool
/// only looks as before, what the tool does changed and nothing tells.
fn unexplained(
    site: &mut Site<'_>,
    claims: &impl Fn(&Value, &str) -> Option<bool>,
    was: &Value,
    is: &Value,
    new: &Judgement,
) {
    let gone = |hint: &str, mild: bool| claims(was, hint) == Some(mild) && claims(is, hint) != Some(mild);
    let because = "the promise is no longer made, and nothing in the definition tells why".to_owned();
    if gone("readOnlyHint", true) && new.effect == Effect::None {
        let weight = if unannotated(was) == unannotated(is) { 0.55 } else { 0.32 };
        site.push("/annotations/readOnlyHint", Kind::HintStrengthened, false, weight, because);
    } else if gone("destructiveHint", false) && new.effect != Effect::Irreversible {
        site.push("/annotations/destructiveHint", Kind::HintStrengthened, false, 0.32, because);
    }
}

/// All but the author's hints.
fn unannotated(tool: &Value) -> Vec<(&String, &Value)> {
    let mut rest: Vec<_> = object(Some(tool)).iter().filter(|(key, _)| *key != "annotations").collect();
    rest.sort_by_key(|(key, _)| *key);
    rest
}

/// What a new argument lets a call do, judged without the tool: the name of a tool that only looks excuses nothing that was
/// added to it. It weighs more where the tool as a whole is one that runs things by it.
fn capabilities(site: &mut Site<'_>, was: &Value, is: &Value, (old, new): (&Judgement, &Judgement)) {
    let properties = |tool: &Value| object(object(tool.get("inputSchema")).get("properties")).clone();
    let (before, after) = (properties(was), properties(is));
    for (name, schema) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        let alone = json!({ "properties": { name: schema } });
        let tool = Tool {
            description: schema["description"].as_str(),
            input_schema: Some(&alone),
            ..Tool::default()
        };
        let judged = risk::judge(&tool, &Siblings::default());
        let runs = |judged: &Judgement| judged.categories.contains(&Category::Execution);
        if runs(&judged) && !runs(old) {
            let because = format!("`{name}` is new, and something is run by it{}", reason(&judged));
            let place = format!("/inputSchema{}", at("/properties", name));
            let weight = if runs(new) { 0.65 } else { 0.4 };
            site.push(&place, Kind::RiskRaised, true, weight, because);
        }
    }
}

fn reason(judged: &Judgement) -> String {
    let of = |about: About| judged.evidence.iter().find(|one| one.about == about);
    of(About::Category)
        .or_else(|| judged.evidence.first())
        .map(|one| format!(": {}", one.because))
        .unwrap_or_default()
}

fn denies(site: &mut Site<'_>, hint: &str, judged: &Judgement, before: bool) {
    // whether a tool writes can be told; what counts as destructive is a matter of opinion among authors
    let weight = match (before, hint) {
        (true, _) => 0.75,
        (false, "readOnlyHint") => 0.65,
        (false, _) => 0.4,
    };
    let because = format!("the new `{hint}` denies what the definition says{}", reason(judged));
    site.push(&format!("/annotations/{hint}"), Kind::HintWeakened, true, weight, because);
}

/// A tool that nobody saw before.
pub(super) fn first(site: &mut Site<'_>, is: &Value, siblings: &Siblings) {
    let judged = judge(is, siblings);
    if judged.level == Level::Critical {
        let because = format!("a new tool whose calls can be critical{}", reason(&judged));
        site.push("", Kind::RiskRaised, true, 0.35, because);
    }
}

fn raised(site: &mut Site<'_>, old: &Judgement, new: &Judgement) {
    let known: BTreeSet<&str> = old.evidence.iter().map(|one| one.because.as_str()).collect();
    let news = || new.evidence.iter().find(|one| !known.contains(one.because.as_str()));
    let place = || news().map(|one| one.place.to_string()).unwrap_or_default();
    let why = || news().map(|one| format!(": {}", one.because)).unwrap_or_default();
    let categories: Vec<&str> =
        new.categories.difference(&old.categories).map(|category| category.as_str()).collect();
    let mut worst: Option<(f64, bool, String)> = None;
    let mut offer = |weight: f64, compatible: bool, what: String| {
        if worst.as_ref().is_none_or(|(so_far, _, _)| weight > *so_far) {
            worst = Some((weight, compatible, what));
        }
    };
    if new.level > old.level {
        let weight = if new.level == Level::Critical { 0.65 } else { 0.5 };
        offer(weight, false, format!("judged {} before, and {} now", level(old.level), level(new.level)));
    }
    if new.effect > old.effect {
        let weight = if old.effect == Effect::None { 0.5 } else { 0.3 };
        offer(weight, old.effect != Effect::None, "a call can change more than before".to_owned());
    }
    if !categories.is_empty() {
        offer(0.4, true, format!("a call now falls under {}", categories.join(", ")));
    }
    if new.over_broad && !old.over_broad {
        offer(0.4, true, "it mixes reading with writing or execution now".to_owned());
    }
    if new.reach == Reach::Open && old.reach == Reach::Closed {
        offer(0.3, true, "it reaches outside now".to_owned());
    }
    if let Some((weight, compatible, what)) = worst {
        let because = format!("{what}{}", why());
        site.push(&place(), Kind::RiskRaised, compatible, weight, because);
    } else if new.level < old.level {
        let because = format!("judged {} before, and {} now", level(old.level), level(new.level));
        site.push("", Kind::RiskLowered, true, 0.1, because);
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ReadOnly => "reading",
        Level::SideEffect => "a side effect",
        Level::Critical => "critical",
    }
}
