//! Values that are kept beside an entry, and the entry where they are not.

use super::record;
use decision::{Decision, Disclosure, Entry, Refusal};
use store::ledger::{Record, VALUE_BYTES_MAX};

/// What is larger is committed to all the same.
pub(super) fn can_keep(value: &Disclosure) -> bool {
    value.value.len() <= VALUE_BYTES_MAX
}

/// How a call ended, with the values to be kept; and without them, for a disk that has no room for them.
pub(super) fn ended(decision: Decision, values: Vec<Disclosure>) -> Result<Record, Refusal> {
    if values.is_empty() {
        return record(Entry::Decision(Box::new(decision)), values);
    }
    let mut without = decision.clone();
    if let Some(last) = without.evidence.last_mut() {
        let not_kept = |value: &Disclosure| {
            format!(
                "not kept: {}, {} bytes, for want of room on the disk",
                value.slot.as_str(),
                value.value.len()
            )
        };
        last.basis.extend(values.iter().map(not_kept));
    }
    let without = record(Entry::Decision(Box::new(without)), Vec::new())?;
    Ok(record(Entry::Decision(Box::new(decision)), values)?.or_bare(without))
}
