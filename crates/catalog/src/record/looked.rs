//! What somebody looked at before a step on a record, in one value: the step is about this and about nothing else.

use super::{Facts, Known, Record, ToolKnown};
use decision::Digest;

/// Of everything that a step grants or takes over: what is recorded and declared, how the server is reached and as whom, and what
/// it offers, as what. What only waits or is counted is not in it, since no step on a record is about that.
///
/// Within one version of the program: by another, somebody looks again.
#[must_use]
pub fn looked_at(record: Option<&Record>, declared: &Facts, known: Option<&Known>) -> Digest {
    let recorded = record.map(|record| (record.state, &record.facts));
    let known = known.map(so).unwrap_or_default();
    Digest::of(format!("callgate/record/v1\n{recorded:?}\n{declared:?}\n{known}").as_bytes())
}

/// Every field by its name, so that whoever adds one says whether it is granted.
fn so(known: &Known) -> String {
    let Known {
        environment,
        regime,
        wiring,
        credentials,
        version,
        calls_itself,
        seen,
        tools,
        withheld,
        unpinned,
        unoffered,
        resources,
        prompts,
        // what others offer is not granted here
        shared: _,
        pending: _,
        gone: _,
        unread: _,
    } = known;
    let tools: Vec<String> = tools.iter().map(tool).collect();
    let reached = (environment, regime, wiring, credentials);
    let offered = (tools, resources, prompts, withheld, unpinned, unoffered);
    format!("{reached:?}\n{:?}\n{offered:?}", (seen, version, calls_itself))
}

/// Of what was observed only what it is, so that a server that is in use can be decided about.
fn tool(tool: &ToolKnown) -> String {
    let ToolKnown { name, owner, effect, tier, documented, reads, approvals, origin, said, judged, observed } =
        tool;
    let observed: Vec<_> = observed.iter().map(|one| (one.did, one.how)).collect();
    let class = (effect, tier, documented, reads, approvals);
    format!("{name:?} {owner:?} {class:?} {origin:?} {said:?} {judged:?} {observed:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fact, State};
    use decision::Timestamp;

    #[test]
    fn whatever_a_step_would_grant_otherwise_is_another_digest() {
        let (nothing, mut owned) = (Facts::default(), Facts::default());
        owned.set(Fact::Owner, "Ada").unwrap();
        let of = |declared: &Facts, known: Known| looked_at(None, declared, Some(&known));
        let known = Known { wiring: "url https://crm.example/mcp".to_owned(), ..Known::default() };
        let base = of(&nothing, known.clone());
        assert_eq!(of(&nothing, Known { pending: 3, ..known.clone() }), base);
        let record = Record {
            state: State::InReview,
            facts: owned.clone(),
            approved: None,
            version: 1,
            changed_at: Timestamp(1),
            changed_by: "ann".to_owned(),
            because: None,
        };
        for other in [
            looked_at(Some(&record), &nothing, Some(&known)),
            looked_at(None, &nothing, None),
            of(&owned, known.clone()),
            of(&nothing, Known { wiring: "command /bin/sh".to_owned(), ..known.clone() }),
            of(&nothing, Known { credentials: vec!["key".to_owned()], ..known.clone() }),
            of(&nothing, Known { version: Some("2".to_owned()), ..known.clone() }),
            of(&nothing, Known { resources: vec!["a:b".to_owned()], ..known.clone() }),
        ] {
            assert_ne!(other, base);
        }
    }
}
