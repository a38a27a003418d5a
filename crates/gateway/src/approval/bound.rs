//! What a yes that is asked for would be worth, before anybody says it.

use crate::gate::Live;
use crate::resolve;
use decision::ItemKind;
use decision::approval::{Approval, Part, Terms};
use std::collections::BTreeMap;

/// What of the terms is another thing by what is in force: no yes to them counts for a call any more, though nobody has made
/// that call again. Errors: why the call would be refused as things are, whatever people say.
///
/// What the rules want of a call with these arguments is not asked. A resource that was found by its template is taken to
/// be there.
pub fn still_bound(live: &Live, terms: &Terms) -> Result<Option<Part>, String> {
    if terms.policy != live.policies.digest() {
        return Ok(Some(Part::Policy));
    }
    let target = &terms.target;
    let Some(definition) = target.definition else { return Ok(None) };
    let (server, kind, name) = (&target.server, target.item.kind, target.item.name.as_str());
    match live.catalogue.item(server, kind, name) {
        Some(item) if item.definition.digest() == definition => Ok(None),
        Some(_) => Ok(Some(Part::Definition)),
        None => match (resolve::withdrawn(live, server, kind, name), kind) {
            (Some(withdrawn), _) => Err(withdrawn.because().to_owned()),
            (None, ItemKind::Tool | ItemKind::Prompt) => {
                Err(format!("`{name}` is not offered by `{server}` now"))
            }
            (None, _) => Ok(None),
        },
    }
}

/// Of these, those that are void by what is in force, and what changed. A gateway beside this one may go by other rules, by
/// which they count.
pub fn void_of<'a>(
    live: &Live,
    all: impl IntoIterator<Item = &'a Approval>,
) -> BTreeMap<decision::ApprovalId, Part> {
    let void = all.into_iter().map(|one| (one.id, still_bound(live, &one.terms).ok().flatten()));
    void.filter_map(|(id, changed)| Some((id, changed?))).collect()
}
