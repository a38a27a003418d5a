//! One entry with everything that proves it, to be handed to somebody. Pure.

use super::{
    merkle::{self, InclusionProof, verify_inclusion},
    note::{Checkpoint, NoteError, PublicKey},
};
use decision::CallId;
use serde::{Deserialize, Serialize};

/// An entry, its inclusion proof (RFC 6962) and the signed checkpoint the proof leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryProof {
    /// The entry exactly as it is in the log.
    pub entry: String,
    pub inclusion: InclusionProof,
    /// The whole note.
    pub checkpoint: String,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("the proof is over {proof} entries and the checkpoint over {checkpoint}")]
    Size { proof: u64, checkpoint: u64 },
    #[error("the entry is not the one that the log has at index {index}")]
    Entry { index: u64 },
}

impl EntryProof {
    pub(super) fn new(entry: &[u8], inclusion: InclusionProof, checkpoint: &Checkpoint) -> Self {
        let entry = String::from_utf8_lossy(entry).into_owned();
        Self { entry, inclusion, checkpoint: checkpoint.note().to_owned() }
    }

    /// The call that the entry is of, if it is of one.
    pub fn call(&self) -> Option<CallId> {
        #[derive(Deserialize)]
        struct Of {
            #[serde(default)]
            call: Option<CallId>,
        }
        serde_json::from_str::<Of>(&self.entry).ok()?.call
    }

    /// Checks signature, sizes and hashes with nothing but the log's key.
    /// Errors: [`ProofError`], which says what does not hold.
    pub fn check(&self, key: &PublicKey) -> Result<(), ProofError> {
        let checkpoint = Checkpoint::parse(&self.checkpoint)?;
        checkpoint.verify(key)?;
        if checkpoint.size != self.inclusion.size {
            return Err(ProofError::Size { proof: self.inclusion.size, checkpoint: checkpoint.size });
        }
        if verify_inclusion(&self.inclusion, &merkle::leaf(self.entry.as_bytes()), &checkpoint.root) {
            Ok(())
        } else {
            Err(ProofError::Entry { index: self.inclusion.index })
        }
    }
}
