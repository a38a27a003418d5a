//! What is appended.

use super::{
    error::LedgerError,
    frame::{ENTRY_BYTES_MAX, VALUE_BYTES_MAX},
    writer::GROUP_BYTES_MAX,
};
use decision::{Disclosure, Entry};
use std::sync::Arc;

/// More than stands around an entry or a value in the files.
pub(super) const AROUND_BYTES: usize = 64;

/// One entry and the openings of its commitments that are to be kept.
#[derive(Debug, Clone)]
pub struct Record {
    pub(super) entry: Vec<u8>,
    /// The entry that the bytes were made of, for whoever follows the ledger, without what only the bytes keep.
    pub(super) said: Option<Arc<Entry>>,
    pub(super) disclosures: Vec<Disclosure>,
    /// What is written where there is no room for the values.
    pub(super) bare: Option<Box<Self>>,
}

impl Record {
    /// An entry, and at most one opening per slot, each value at most [`VALUE_BYTES_MAX`].
    /// Errors: the entry does not serialise.
    pub fn new(mut entry: Entry, disclosures: Vec<Disclosure>) -> Result<Self, serde_json::Error> {
        let bytes = decision::json::to_vec(&entry)?;
        // freed here, while it is warm and by who made it: a follower comes half a second and megabytes later
        entry.shed();
        Ok(Self { entry: bytes, said: Some(Arc::new(entry)), disclosures, bare: None })
    }

    /// An [`Entry`] that is JSON already; at most [`ENTRY_BYTES_MAX`]. It is kept as it is.
    pub fn raw(entry: Vec<u8>, disclosures: Vec<Disclosure>) -> Self {
        Self { entry, said: None, disclosures, bare: None }
    }

    /// What [`super::Ledger::append_end`] writes in its place where there is no room for its values: the same without them,
    /// whose entry says so.
    pub fn or_bare(self, bare: Self) -> Self {
        Self { bare: Some(Box::new(bare)), ..self }
    }

    /// What is written where there is no room for the values; itself where that was not said.
    pub fn bare(self) -> Self {
        match self.bare {
            Some(bare) => *bare,
            None => self,
        }
    }

    /// Bytes of the entry and of the values beside it.
    pub fn bytes(&self) -> usize {
        let values = self.disclosures.iter().map(|disclosure| disclosure.value.len());
        values.fold(self.entry.len(), usize::saturating_add)
    }

    /// The bytes of the entry.
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }
}

/// Bytes of the records, if each is within its bounds.
pub(super) fn check(records: &[Record]) -> Result<usize, LedgerError> {
    if records.is_empty() {
        return Err(LedgerError::Empty);
    }
    let mut total = 0_usize;
    for record in records {
        let bytes = record.entry.len();
        if bytes == 0 || bytes > ENTRY_BYTES_MAX {
            return Err(LedgerError::EntrySize { bytes, max: ENTRY_BYTES_MAX });
        }
        if record.bare.as_ref().is_some_and(|bare| bare.entry.len() > ENTRY_BYTES_MAX) {
            return Err(LedgerError::EntrySize { bytes, max: ENTRY_BYTES_MAX });
        }
        total = total.saturating_add(bytes + AROUND_BYTES);
        let mut slots = Vec::new();
        for disclosure in &record.disclosures {
            let bytes = disclosure.value.len();
            if bytes > VALUE_BYTES_MAX {
                return Err(LedgerError::ValueSize { bytes, max: VALUE_BYTES_MAX });
            }
            if slots.contains(&disclosure.slot) {
                return Err(LedgerError::SlotTwice { slot: disclosure.slot });
            }
            slots.push(disclosure.slot);
            total = total.saturating_add(bytes + AROUND_BYTES);
        }
    }
    if total > GROUP_BYTES_MAX {
        return Err(LedgerError::AppendSize { bytes: total, max: GROUP_BYTES_MAX });
    }
    Ok(total)
}
