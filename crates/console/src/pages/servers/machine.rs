//! What nobody typed of a server: how it is reached, and what it offers.

use super::quoted;
use crate::view::{Shown, When, day, when};
use catalog::record::Known;
use decision::{Timestamp, counted};

/// What nobody typed.
pub(super) struct Machine {
    pub(super) rows: Vec<(&'static str, Shown)>,
    pub(super) looked: Option<When>,
    pub(super) wiring: Vec<Shown>,
    pub(super) tools: Vec<ToolView>,
    pub(super) resources: Vec<Shown>,
    pub(super) prompts: Vec<Shown>,
    pub(super) risk: &'static str,
}

pub(super) struct ToolView {
    pub(super) name: Shown,
    /// Who answers for it, where that is not the server's team.
    pub(super) owner: Option<Shown>,
    pub(super) effect: &'static str,
    pub(super) tier: &'static str,
    pub(super) reads: bool,
    pub(super) documented: bool,
    pub(super) approvals: Shown,
    /// On whose word it is that, and what its definition says; words of it are set apart.
    pub(super) whose: Vec<Shown>,
    pub(super) judged: Vec<(bool, Shown)>,
}

/// What is so of a server, by what was accepted of it.
pub(super) fn machine(known: &Known, looked: Option<Timestamp>) -> Machine {
    let seen = |text: String| if known.seen { text } else { "not looked at yet".to_owned() };
    let undocumented = known.undocumented().count();
    // between backticks are words of the definition, which is its author's
    let shown = |(is_word, part): (bool, String)| (is_word, Shown::of(&part));
    Machine {
        rows: vec![
            ("Environment", Shown::of(&known.environment)),
            ("Version", Shown::of(known.version.as_deref().unwrap_or("it does not say"))),
            (
                "Credentials",
                Shown::of(&match known.credentials.is_empty() {
                    true => "none".to_owned(),
                    false => known.credentials.join(", "),
                }),
            ),
            (
                "Descriptions",
                Shown::of(&seen(match undocumented {
                    0 => "every tool has one".to_owned(),
                    1 => format!("1 of {} tools has none", known.tools.len()),
                    count => format!("{count} of {} tools have none", known.tools.len()),
                })),
            ),
            (
                "Read by a person",
                Shown::of(&seen(match known.unread {
                    0 => "every item".to_owned(),
                    1 => "all but 1 item, which was there at first sight".to_owned(),
                    count => format!("all but {count} items, which were there at first sight"),
                })),
            ),
            (
                "Waiting",
                Shown::of(&match (known.pending, known.gone) {
                    (0, 0) => "nothing".to_owned(),
                    (pending, 0) => format!("new or changed: {}", counted(pending, "item")),
                    (0, gone) => format!("gone: {}", counted(gone, "item")),
                    (pending, gone) => format!("new or changed: {}; gone: {gone}", counted(pending, "item")),
                }),
            ),
        ],
        looked: looked.map(when),
        wiring: known.wiring.lines().map(Shown::of).collect(),
        tools: known
            .tools
            .iter()
            .map(|tool| ToolView {
                name: Shown::of(&tool.name),
                owner: tool.owner.as_deref().map(Shown::of),
                effect: tool.effect.as_str(),
                tier: tool.tier.as_str(),
                reads: tool.reads,
                documented: tool.documented,
                approvals: Shown::of(&tool.approvals.join("; ")),
                whose: match tool.said.is_empty() {
                    true => vec![Shown::of(tool.origin.whose())],
                    false => tool.said.iter().map(|said| Shown::of(&said.sentence(day))).collect(),
                },
                judged: quoted(tool.by_definition()).into_iter().map(shown).collect(),
            })
            .collect(),
        resources: Shown::many(&known.resources),
        prompts: Shown::many(&known.prompts),
        risk: known.rating().map_or("", |tier| tier.as_str()),
    }
}
