//! What is being asked, by whom, of which pinned item.

use crate::{CallId, DeedId, Digest, InteractionId, Principal, ServerName, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The two families of MCP revisions: 2025-11-25 and earlier, 2026-07-28 and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    Legacy,
    Modern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Http,
    Stdio,
    /// The gateway's own errand, which no peer sent.
    Internal,
}

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A Host asks a server.
    ToServer,
    /// A server asks the Host: sampling, elicitation, roots.
    ToHost,
}

/// How a message reached the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub transport: Transport,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub era: Option<Era>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The era spoken to the server, where it is not the asker's.
    #[serde(default, rename = "server-era", skip_serializing_if = "Option::is_none")]
    pub server_era: Option<Era>,
    /// `mcp` for the federation, else the one server's name.
    pub entrance: String,
}

/// What the peer says of itself. Display only: no rule may trust it more than its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
}

/// The kinds of things a server offers, and the two that are not pinned items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    Tool,
    Prompt,
    Resource,
    ResourceTemplate,
    /// The server as a whole: its instructions, its log, its change notifications.
    Server,
    /// What the Host offers a server: sampling, elicitation, roots.
    Question,
}

impl ItemKind {
    pub const ALL: [Self; 6] =
        [Self::Tool, Self::Prompt, Self::Resource, Self::ResourceTemplate, Self::Server, Self::Question];

    /// For the record and for programs, wherever a kind is written: the same word as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::ResourceTemplate => "resource-template",
            Self::Server => "server",
            Self::Question => "question",
        }
    }
}

/// One thing a server offers, under the name its author chose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    pub kind: ItemKind,
    /// A tool's or prompt's name, a resource's URI, a template, a question's method.
    pub name: String,
}

impl Item {
    /// `KIND:NAME`, as a command line takes it: in quotes where a shell would read it as something else.
    pub fn typed(&self) -> String {
        let text = format!("{}:{}", self.kind.as_str(), self.name);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
        if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    }
}

/// A pinned item of one server. A changed definition is a different target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    pub server: ServerName,
    pub item: Item,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
}

/// Everything a [`Call`] is built from, once.
#[derive(Debug)]
pub struct Asked {
    pub id: CallId,
    pub deed: DeedId,
    /// 0 for the first message of a deed.
    pub leg: u32,
    pub at: Timestamp,
    pub direction: Direction,
    pub interaction: InteractionId,
    pub principal: Arc<Principal>,
    pub channel: Channel,
    pub claims: Claims,
    pub method: String,
    pub target: Target,
    /// The whole message, exactly as judged.
    pub frame: Bytes,
    /// Where in `frame` the arguments are, if there are any.
    pub arguments: Option<Range<usize>>,
}

/// One governed call. Built once and never edited: stages add evidence about a
/// call, they do not change it, so what was judged is what is sent.
#[derive(Debug)]
pub struct Call {
    asked: Asked,
    serial: u64,
    digest: OnceLock<Digest>,
}

/// Calls that were built in this process: no two have the same number, so that a permit is for one of them.
static BUILT: AtomicU64 = AtomicU64::new(0);

impl Call {
    /// Fixes what is asked.
    pub fn new(asked: Asked) -> Self {
        Self { asked, serial: BUILT.fetch_add(1, Ordering::Relaxed), digest: OnceLock::new() }
    }

    pub fn id(&self) -> CallId {
        self.asked.id
    }
    pub fn deed(&self) -> DeedId {
        self.asked.deed
    }
    pub fn leg(&self) -> u32 {
        self.asked.leg
    }
    pub fn at(&self) -> Timestamp {
        self.asked.at
    }
    pub fn direction(&self) -> Direction {
        self.asked.direction
    }
    pub fn interaction(&self) -> &InteractionId {
        &self.asked.interaction
    }
    pub fn principal(&self) -> &Arc<Principal> {
        &self.asked.principal
    }
    pub fn channel(&self) -> &Channel {
        &self.asked.channel
    }
    pub fn claims(&self) -> &Claims {
        &self.asked.claims
    }
    pub fn method(&self) -> &str {
        &self.asked.method
    }
    pub fn target(&self) -> &Target {
        &self.asked.target
    }
    pub fn frame(&self) -> &Bytes {
        &self.asked.frame
    }
    /// The arguments as they arrived, or nothing.
    pub fn arguments(&self) -> Option<Bytes> {
        let range = self.asked.arguments.clone()?;
        (range.start <= range.end && range.end <= self.asked.frame.len())
            .then(|| self.asked.frame.slice(range))
    }
    /// Covers who, which pinned definition and with what, but neither ids nor time: the same deed asked again has
    /// the same digest. Made when first asked for.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| digest(&self.asked))
    }
    /// What no other call of this process has.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }
}

fn digest(asked: &Asked) -> Digest {
    let arguments = asked.arguments.clone().and_then(|range| asked.frame.get(range)).unwrap_or_default();
    let canonical = crate::canonical::bytes(arguments).unwrap_or_else(|_| arguments.to_vec());
    let who = serde_json::to_vec(&asked.principal).unwrap_or_default();
    let what = serde_json::to_vec(&(asked.direction, &asked.method, &asked.target)).unwrap_or_default();
    let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
    Digest::of_parts(&[
        b"callgate/call/v1\0",
        &length(&who),
        &who,
        &length(&what),
        &what,
        &length(&canonical),
        &canonical,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_written_as_a_shell_reads_it() {
        let typed = |kind, name: &str| Item { kind, name: name.to_owned() }.typed();
        assert_eq!(typed(ItemKind::Tool, "refund"), "tool:refund");
        assert_eq!(typed(ItemKind::Resource, "file:///a?b"), "'resource:file:///a?b'");
        assert_eq!(typed(ItemKind::Prompt, "it's; rm -r $HOME"), "'prompt:it'\\''s; rm -r $HOME'");
    }
}
