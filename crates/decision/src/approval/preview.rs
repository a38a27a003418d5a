//! What people are shown before they decide (requirements A5 to A13, A16, A18).

use crate::{ApprovalId, CallId, Digest, RuleId, ServerName, Timestamp};
use serde::{Deserialize, Serialize};

/// Everything on the page of an approval that comes from the call. No text in it can pretend to be something else:
/// control and direction characters are written out, secrets and personal data are masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Preview {
    /// What will happen, in one plain sentence.
    pub summary: String,
    /// What is asked for without who asks: the item and its first arguments, for a line of a list.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub brief: String,
    /// As the catalogue has it: `read`, `write` or `destructive`.
    pub effect: String,
    pub tier: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// The arguments as JSON, a member a line.
    pub arguments: String,
    /// What was masked: the kinds of values, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<String>,
    /// How many values were masked; 0 also where that was not counted yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hidden: u64,
    /// Warnings about what the arguments hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The same call was approved before and left, and what came of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// What the agent read before it asked, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<Source>,
    /// How it can be undone, as the operator wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Why it is held, in the rules' words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleId>,
}

/// What came of the same call when people said yes to it before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Before {
    pub approval: ApprovalId,
    /// As it was when this was asked for, without a word of the arguments.
    pub said: String,
}

/// One answer that the agent had in hand when it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    pub call: CallId,
    pub at: Timestamp,
    pub server: ServerName,
    pub item: String,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Preview {
    /// How many of the call's values nobody who decides is shown, as the beginning of a sentence; `None` if none.
    pub fn hides(&self) -> Option<String> {
        match self.hidden {
            0 if self.masked.is_empty() => None,
            0 => Some("Some values are hidden from you".to_owned()),
            1 => Some("1 value is hidden from you".to_owned()),
            count => Some(format!("{count} values are hidden from you")),
        }
    }

    /// What whoever decides is warned of, the weightiest first.
    pub fn warnings(&self) -> Vec<String> {
        self.before.iter().map(|before| &before.said).chain(&self.labels).cloned().collect()
    }

    /// What stays when the values of the call may not: what was asked of whom and which rules held it, without a word that
    /// came from the arguments.
    pub(super) fn without_values(&self, why: &str) -> Self {
        let nothing = Self { summary: why.to_owned(), brief: why.to_owned(), ..Self::default() };
        let Self { effect, tier, categories, before, read, undo, because, rules, .. } = self.clone();
        Self { effect, tier, categories, before, read, undo, because, rules, ..nothing }
    }

    /// For the record: what people were shown can be proven.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[b"callgate/preview/v1\0", &serde_json::to_vec(self).unwrap_or_default()])
    }
}
