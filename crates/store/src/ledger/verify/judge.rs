//! Compares the tree with the checkpoints: those in the folder, and the one kept elsewhere. Pure.

use super::{
    Evidence,
    report::{Damage, Finding, Index, Known, Layout, Macs, Place, Report},
};
use crate::ledger::{
    merkle::Tree,
    note::{Checkpoint, NoteError, PublicKey},
};
use decision::{Digest, counted};
use std::collections::BTreeMap;

/// How a signed checkpoint stands to the entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Holds,
    Contradicts,
    /// It covers more than there is.
    Beyond,
}

/// Roots of the tree at some sizes.
pub(super) fn roots(leaves: &[Digest], sizes: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Digest> {
    let mut wanted: Vec<u64> = sizes.into_iter().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (mut tree, mut roots, mut rest) = (Tree::default(), BTreeMap::new(), leaves.iter());
    for size in wanted {
        while tree.size() < size {
            let Some(leaf) = rest.next() else { return roots };
            tree.push(*leaf);
        }
        roots.insert(size, tree.root());
    }
    roots
}

fn standing(roots: &BTreeMap<u64, Digest>, checkpoint: &Checkpoint) -> Standing {
    match roots.get(&checkpoint.size) {
        Some(root) if *root == checkpoint.root => Standing::Holds,
        Some(_) => Standing::Contradicts,
        None => Standing::Beyond,
    }
}

/// Writes the integrity findings into the report, first things first.
pub(super) fn judge(report: &mut Report, evidence: &Evidence, key: &PublicKey, kept: Option<&Checkpoint>) {
    let (mut signed, mut unsigned): (Vec<&Checkpoint>, Vec<Finding>) = (Vec::new(), Vec::new());
    for checkpoint in &evidence.checkpoints {
        match checkpoint.verify(key) {
            Ok(()) => signed.push(checkpoint),
            Err(e) => unsigned.push(Finding::new(
                Damage::BadSignature,
                Place::Checkpoint { size: checkpoint.size },
                e.to_string(),
            )),
        }
    }
    signed.sort_by_key(|checkpoint| (checkpoint.size, checkpoint.root));
    signed.dedup_by_key(|checkpoint| (checkpoint.size, checkpoint.root));
    let sizes = signed.iter().map(|c| c.size).chain(kept.map(|c| c.size));
    let roots = roots(&evidence.leaves, sizes);
    let mut findings = evidence.local.clone();
    findings.extend(own(report, evidence, &signed, &roots));
    if let Some(kept) = kept {
        findings.extend(against_kept(report, evidence, key, kept, &roots, &findings));
    }
    findings.sort_by_key(|f| (f.place.first_entry().unwrap_or(u64::MAX), f.damage == Damage::Disclosure));
    for finding in findings.into_iter().chain(unsigned) {
        report.add(finding);
    }
}

/// Whether something already found lies where a contradiction must have its cause.
fn is_explained(findings: &[Finding], from: u64, to: u64) -> bool {
    let mut places = findings.iter().filter_map(|finding| finding.place.first_entry());
    places.any(|index| (from..to).contains(&index))
}

fn own(
    report: &mut Report,
    evidence: &Evidence,
    signed: &[&Checkpoint],
    roots: &BTreeMap<u64, Digest>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let standing = |checkpoint: &Checkpoint| standing(roots, checkpoint);
    let holding = || signed.iter().filter(|c| standing(c) == Standing::Holds);
    report.checkpoints = holding().count() as u64;
    let first_bad = signed.iter().find(|c| standing(c) == Standing::Contradicts);
    if let Some(bad) = first_bad {
        let from = holding().map(|c| c.size).filter(|size| *size < bad.size).max().unwrap_or_default();
        let place = Place::Entries { from, to: bad.size };
        let forked = holding().any(|c| c.size >= bad.size);
        report.proven = from;
        if forked {
            let what = "the log's key signed these entries and, in another checkpoint, others in their place";
            findings.push(Finding::new(Damage::Forked, place, what));
        } else if !is_explained(&evidence.local, from, bad.size) {
            let what =
                "something here was changed, removed or reordered, and the hashes beside it altered to fit";
            findings.push(Finding::new(Damage::Rewritten, place, what));
        }
    } else {
        report.proven = holding().map(|c| c.size).max().unwrap_or_default();
    }
    let most = signed.last().map_or(0, |c| c.size);
    let told = |f: &Finding| f.damage == Damage::Truncated && covers(f, most);
    if most > evidence.entries && evidence.unread_from.is_none() && !evidence.local.iter().any(told) {
        findings.push(missing(evidence.entries, most, "a checkpoint in the folder"));
    }
    // an export ends at a checkpoint; a log in use goes on behind its newest
    if report.layout == Layout::Exported
        && evidence.entries > most
        && !is_explained(&evidence.local, most, u64::MAX)
    {
        let place = Place::Entries { from: most, to: evidence.entries };
        let what = "no checkpoint covers them: anybody who can write the folder can have written them";
        findings.push(Finding::new(Damage::Unsigned, place, what));
    }
    findings
}

fn missing(from: u64, to: u64, by: &str) -> Finding {
    let what = format!("{} entries that {by} covers are missing at the end", to.saturating_sub(from));
    Finding::new(Damage::Truncated, Place::Entries { from, to }, what)
}

fn against_kept(
    report: &mut Report,
    evidence: &Evidence,
    key: &PublicKey,
    kept: &Checkpoint,
    roots: &BTreeMap<u64, Digest>,
    found: &[Finding],
) -> Vec<Finding> {
    if let Err(e) = kept.verify(key) {
        let damage = match (&e, report.key_trusted) {
            // The kept checkpoint is what is trusted here, and the folder's key is not its key.
            (NoteError::Origin(_) | NoteError::Unsigned(_) | NoteError::BadSignature(_), false) => {
                Damage::OtherKey
            }
            (
                NoteError::Origin(_)
                | NoteError::Unsigned(_)
                | NoteError::BadSignature(_)
                | NoteError::Key
                | NoteError::Signer
                | NoteError::Form(_),
                _,
            ) => Damage::BadSignature,
        };
        return vec![Finding::new(damage, Place::KeptCheckpoint, e.to_string())];
    }
    match standing(roots, kept) {
        Standing::Holds => {
            report.kept = Some(kept.size);
            report.proven = report.proven.max(kept.size);
            Vec::new()
        }
        Standing::Contradicts if is_explained(found, 0, kept.size) => Vec::new(),
        Standing::Contradicts => {
            // Everything in the folder fits, so whoever holds the key signed it anew. Its own
            // checkpoints prove nothing then, not even up to where they might agree.
            report.proven = 0;
            let place = Place::Entries { from: 0, to: kept.size };
            let what = "the log's key signed these entries and, in the checkpoint kept elsewhere, others in their place";
            vec![Finding::new(Damage::Forked, place, what)]
        }
        // What broke off the reading, left a hole, or is missing by other signs too, is told already.
        Standing::Beyond
            if (evidence.unread_from.is_some() || kept.size <= evidence.entries)
                && is_explained(found, 0, kept.size) =>
        {
            Vec::new()
        }
        Standing::Beyond if found.iter().any(|f| f.damage == Damage::Truncated && covers(f, kept.size)) => {
            Vec::new()
        }
        Standing::Beyond => vec![missing(evidence.entries, kept.size, "the checkpoint kept elsewhere")],
    }
}

/// Holds the entries against what the index knows of them. What it tells more comes first.
pub(super) fn beside(report: &mut Report, evidence: &Evidence, index: Index) {
    if let Index::Asked(known) = index {
        if let Some((size, root)) = known.root
            && roots(&evidence.leaves, [size]).get(&size).is_some_and(|found| *found != root)
            && !is_explained(&report.findings, 0, size)
        {
            let what = "the database has others of this log (log-parted): a copy of it went another way,                         or whoever has its key wrote it anew";
            report.add_first(Finding::new(Damage::Parted, Place::of(0, size), what));
        }
        if report.entries < known.entries {
            let (entries, are) = (report.entries, if report.entries == 1 { "is" } else { "are" });
            let what = format!(
                "the end is lost: {} {are} here, and the index knows {} that were recorded",
                counted(entries, "entry"),
                known.entries
            );
            let place = Place::Entries { from: entries, to: known.entries };
            report.add_first(Finding::new(Damage::Truncated, place, what));
        }
    }
    report.index = index;
}

fn covers(finding: &Finding, size: u64) -> bool {
    matches!(finding.place, Place::Entries { to, .. } if to >= size)
}

/// Says what could not have been noticed.
pub(super) fn limits(report: &mut Report, unread_from: Option<u64>, unkeyed: u64) {
    let mut limits = Vec::new();
    if let Some(index) = unread_from {
        limits.push(format!("anything about entries from {index} on: they could not be read"));
    }
    if !report.key_trusted {
        limits.push(
            "that the whole log was replaced, with its key: the key was taken from the same folder"
                .to_owned(),
        );
    }
    match report.kept {
        None => {
            limits.push(format!(
                "that entries were cut off after the newest checkpoint in the folder ({} entries proven), with the \
                 checkpoints over them: none kept elsewhere was given",
                report.proven
            ));
            limits.push("that whoever holds the signing key wrote another history and signed it".to_owned());
        }
        Some(size) => limits.push(format!(
            "that entries after the first {size} were cut off, or replaced by whoever holds the signing key"
        )),
    }
    if !matches!(report.index, Index::Asked(Known { root: Some(_), .. })) {
        limits.push(
            "that the log went another way than the gateway's database knows of it: it did not say"
                .to_owned(),
        );
    }
    // where MACs were checked, only what is before them is under nothing at all
    let anyones = if report.macs == Macs::Checked { unkeyed.min(report.entries) } else { report.entries };
    if anyones > report.proven {
        let unchecked = match report.macs {
            Macs::Unchecked => {
                "; the MACs that say who wrote them were not checked, which takes the signing key"
            }
            Macs::Absent | Macs::Checked => "",
        };
        limits.push(format!(
            "changes to the {} from {} to {}, or more of them: they are under no checkpoint that holds, so whoever can \
             write the disk can have written them without the signing key{unchecked}",
            counted(anyones - report.proven, "entry"),
            report.proven,
            anyones - 1
        ));
    }
    if report.values.erased + report.values.absent > 0 || report.layout == Layout::Exported {
        limits.push(
            "that a value was erased by someone who should not have: erasing changes no entry".to_owned(),
        );
    }
    if report.unreadable > 0 {
        limits.push(format!(
            "calls without an intent or a decision among {} entries that this version cannot read",
            report.unreadable
        ));
    }
    report.cannot_exclude = limits;
}
