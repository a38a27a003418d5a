//! Everything that a server says of itself, asked for page by page, whoever asks.

use super::meta;
use crate::upstream::{Fault, FaultKind, Injected, Outgoing, Received};
use bytes::Bytes;
use decision::{Digest, ItemKind};
use http::{HeaderName, HeaderValue};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Eras, Revision, json as raw};

/// Most pages of one list that are read.
const PAGES_MAX: usize = 100;
/// Most items of one server.
const ITEMS_MAX: usize = 10_000;
/// Most bytes of all that one server says of itself at one look, whatever of it is kept.
const BYTES_MAX: usize = 64 << 20;
/// Characters that are told of what a server says of an error.
const SAID_CHARS_MAX: usize = 200;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server turned out to be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) eras: Eras,
    pub(crate) revision: Revision,
    pub(crate) capabilities: Bytes,
    pub(crate) info: Option<Bytes>,
    pub(crate) instructions: Option<String>,
    /// Kind and raw definition, as the server sent it.
    pub(crate) items: Vec<(ItemKind, Bytes)>,
    /// Kinds whose list broke off, and how. What came of it before is among the items.
    pub(crate) broken: BTreeMap<ItemKind, Fault>,
    /// Of items that are no strict JSON: how many there are, and what is wrong with the first.
    pub(crate) unread: Option<String>,
}

/// What a server can be asked for.
const KINDS: [ItemKind; 5] =
    [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource, ItemKind::ResourceTemplate, ItemKind::Server];

/// From so many bytes on, what a server offers is worked on by itself: read, it takes a multiple of that.
const HEAVY: usize = 4 << 20;

impl Found {
    pub(crate) fn is_heavy(&self) -> bool {
        self.items.iter().map(|(_, item)| item.len()).sum::<usize>() > HEAVY
    }

    /// All of it. Errors: why a list broke off.
    pub(crate) fn whole(mut self) -> Result<Self, Fault> {
        self.broken.pop_first().map_or(Ok(self), |(_, fault)| Err(fault))
    }

    /// Without what came of lists that broke off. Errors: one of them not by what the server said of it, so that nothing
    /// is known of the others either.
    pub(crate) fn settled(mut self) -> Result<Self, Fault> {
        if let Some(fault) = self.broken.values().find(|fault| !is_of_one_list(fault)) {
            return Err(fault.clone());
        }
        self.items.retain(|(kind, _)| !self.broken.contains_key(kind));
        Ok(self)
    }

    /// Those whose lists were read to their ends.
    pub(crate) fn kinds(&self) -> BTreeSet<ItemKind> {
        KINDS.into_iter().filter(|kind| !self.broken.contains_key(kind)).collect()
    }

    /// Why this is not all that the server offers.
    pub(crate) fn lack(&self) -> Option<String> {
        let broken = self.broken.values().next().map(ToString::to_string);
        broken.or_else(|| self.unread.clone())
    }
}

/// Whether a list broke off by what the server answered, which says nothing of its other lists.
fn is_of_one_list(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Nonsense | FaultKind::Refused)
}

/// Who asks a server questions of a closed list.
pub(crate) trait Asks {
    fn revision(&self) -> Revision;

    /// The answer to one question; a method that the server does not have is a [`FaultKind::Refused`].
    fn ask(
        &self,
        method: &str,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<wire::Frame, Fault>> + Send;
}

/// One question, as it is written in that revision.
pub(crate) fn question(id: u64, method: &str, cursor: Option<&str>, revision: Revision) -> Bytes {
    let mut params = serde_json::Map::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), json!(cursor));
    }
    if revision.is_modern() {
        params.insert("_meta".to_owned(), meta());
    }
    let params = serde_json::Value::Object(params).to_string();
    wire::rpc::request(id.to_string().as_bytes(), method, Some(params.as_bytes()))
}

/// The question, ready to be sent. What the server says beside its answer is not heard.
pub(crate) fn outgoing(
    id: u64,
    method: &str,
    frame: Bytes,
    revision: Revision,
    injected: &Arc<Injected>,
) -> Outgoing {
    let (sink, mut messages) = mpsc::channel(64);
    tokio::spawn(async move { while messages.recv().await.is_some() {} });
    let mut headers = Vec::new();
    if revision.is_modern()
        && let Ok(value) = HeaderValue::from_str(method)
    {
        headers.push((HeaderName::from_static("mcp-method"), value));
    }
    Outgoing {
        id,
        frame,
        headers,
        injected: Arc::clone(injected),
        timeout: Some(PATIENCE),
        cancel: CancellationToken::new(),
        sink,
        beside_calls: false,
    }
}

/// What came, if it is a result.
pub(crate) fn answer(method: &str, frame: wire::Frame) -> Result<wire::Frame, Fault> {
    match frame.kind() {
        wire::Kind::Response => Ok(frame),
        wire::Kind::ErrorResponse | wire::Kind::Request | wire::Kind::Notification => {
            let code = frame.error_raw().and_then(|error| raw::member(error, "code")).unwrap_or_default();
            let unknown = code == wire::rpc::METHOD_NOT_FOUND.to_string().as_bytes();
            let kind = if unknown { FaultKind::Refused } else { FaultKind::Nonsense };
            Err(Fault::sent(kind, format!("`{method}` was answered with an error{}", said(&frame))))
        }
    }
}

/// The code and the text of an error, as far as they are one line for people: `` (-32603): `out of memory` ``.
fn said(frame: &wire::Frame) -> String {
    let error = frame.error_raw().unwrap_or_default();
    let code = raw::member(error, "code")
        .and_then(|code| std::str::from_utf8(code).ok()?.trim().parse::<i64>().ok());
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let text = raw::string_member(error, "message").unwrap_or_default();
    let mut chars = text.trim().chars();
    let cut: String = chars.by_ref().take(SAID_CHARS_MAX).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    match cut.is_empty() {
        true => code,
        false => format!("{code}: `{}{more}`", inspect::shown::visible(&cut)),
    }
}

/// Asks for everything. `hello` is the answer to `initialize`, where there was one.
pub(crate) async fn read(asks: &impl Asks, eras: Eras, hello: Option<Received>) -> Result<Found, Fault> {
    let about = match hello {
        Some(hello) => hello.frame,
        None => asks.ask("server/discover", None).await?,
    };
    let mut gathered = Gathered::default();
    gathered.weigh(&about)?;
    let result = about.result_raw().unwrap_or_default();
    let text = |path: &[&str]| raw::at_path(result, path).map(Bytes::copy_from_slice);
    let capabilities = text(&["capabilities"]).unwrap_or_else(|| Bytes::from_static(b"{}"));
    let info = text(&["serverInfo"]).or_else(|| text(&["_meta", wire::era::META_SERVER_INFO]));
    let instructions = raw::string_member(result, "instructions").map(|text| text.into_owned());
    let found = all_lists(asks, eras, capabilities, gathered).await;
    Ok(Found { info, instructions, ..found })
}

/// Asks for the lists alone, of a server that said before what it can do.
pub(crate) async fn lists(asks: &impl Asks, eras: Eras, capabilities: Bytes) -> Found {
    all_lists(asks, eras, capabilities, Gathered::default()).await
}

async fn all_lists(asks: &impl Asks, eras: Eras, capabilities: Bytes, mut gathered: Gathered) -> Found {
    let mut broken: BTreeMap<ItemKind, Fault> = BTreeMap::new();
    let has = |key: &str| raw::member(&capabilities, key).is_some();
    for (capability, method, key, kind) in [
        ("tools", "tools/list", "tools", ItemKind::Tool),
        ("prompts", "prompts/list", "prompts", ItemKind::Prompt),
        ("resources", "resources/list", "resources", ItemKind::Resource),
        ("resources", "resources/templates/list", "resourceTemplates", ItemKind::ResourceTemplate),
    ] {
        if !has(capability) {
            continue;
        }
        let over = broken.values().find(|fault| !is_of_one_list(fault)).cloned();
        let listed = match over {
            Some(fault) => Err(fault),
            None => list(asks, method, key, kind, &mut gathered).await,
        };
        broken.extend(listed.err().map(|fault| (kind, fault)));
    }
    let (revision, unread, items) = (asks.revision(), gathered.lack(), gathered.items);
    Found { eras, revision, capabilities, info: None, instructions: None, items, broken, unread }
}

/// What came so far of one look.
#[derive(Default)]
struct Gathered {
    items: Vec<(ItemKind, Bytes)>,
    known: BTreeSet<(ItemKind, Digest)>,
    /// How many items came, and how many bytes.
    count: usize,
    bytes: usize,
    /// Items that are no strict JSON, and the first of them.
    unread: usize,
    first_unread: Option<String>,
}

impl Gathered {
    fn lack(&self) -> Option<String> {
        let first = self.first_unread.as_ref()?;
        Some(format!(
            "{} withheld, since no strict JSON: the first, {first}",
            decision::counted(self.unread, "item")
        ))
    }

    /// Notes an item in whose place there is why it cannot be read.
    fn miss(&mut self, method: &str, why: &[u8]) {
        self.unread += 1;
        let why: String = raw::decode_string(why).unwrap_or_default().chars().take(SAID_CHARS_MAX).collect();
        let told = || format!("of `{method}`, is {}", inspect::shown::visible(&why));
        self.first_unread.get_or_insert_with(told);
    }

    /// Counts an answer, before anything of it is kept.
    fn weigh(&mut self, answer: &wire::Frame) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(answer.bytes().len());
        if self.bytes > BYTES_MAX {
            let told = format!("what it offers is more than {} MiB", BYTES_MAX >> 20);
            return Err(Fault::sent(FaultKind::TooLarge, told));
        }
        Ok(())
    }

    /// Keeps an element of a list, unless it is the same to the byte as one that came before.
    fn take(&mut self, kind: ItemKind, item: &[u8]) -> Result<(), Fault> {
        self.count += 1;
        if self.count > ITEMS_MAX {
            return Err(Fault::sent(FaultKind::TooLarge, format!("more than {ITEMS_MAX} items")));
        }
        if self.known.insert((kind, Digest::of(item))) {
            // a piece of its page would keep all of it
            self.items.push((kind, Bytes::copy_from_slice(item)));
        }
        Ok(())
    }
}

async fn list(
    asks: &impl Asks,
    method: &str,
    key: &str,
    kind: ItemKind,
    gathered: &mut Gathered,
) -> Result<(), Fault> {
    let mut asked = BTreeSet::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = match asks.ask(method, cursor.as_deref()).await {
            Ok(page) => page,
            // a server may declare `resources` and have no templates; one that is busy has not come to the end of its list
            Err(fault) if fault.kind == FaultKind::Refused && cursor.is_none() => return Ok(()),
            Err(fault) => return Err(fault),
        };
        gathered.weigh(&page)?;
        let result = page.result_raw().unwrap_or_default();
        // an object in its place would pass for an empty list
        let list = raw::member(result, key)
            .filter(|list| list.starts_with(b"["))
            .ok_or_else(|| Fault::sent(FaultKind::Nonsense, format!("`{method}` has no list of `{key}`")))?;
        for range in raw::array_elements(list) {
            let item = list.get(range).unwrap_or_default();
            match raw::Value::of(item) {
                Some(raw::Value::String) => gathered.miss(method, item),
                _ => gathered.take(kind, item)?,
            }
        }
        // an empty one is none: what the official SDKs take it for
        cursor = raw::string_member(result, "nextCursor")
            .filter(|next| !next.is_empty())
            .map(|text| text.into_owned());
        let Some(next) = &cursor else { return Ok(()) };
        // the same page would come again, and lead to itself
        if !asked.insert(Digest::of(next.as_bytes())) {
            return Err(Fault::sent(FaultKind::TooLarge, format!("`{method}` goes round in a circle")));
        }
    }
    Err(Fault::sent(FaultKind::TooLarge, format!("`{method}` has more than {PAGES_MAX} pages")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers every list with the same page, which leads to another or to itself.
    struct Endless {
        page: String,
        circle: bool,
        asked: AtomicUsize,
    }

    impl Asks for Endless {
        fn revision(&self) -> Revision {
            Revision::LATEST_MODERN
        }

        async fn ask(&self, _: &str, _: Option<&str>) -> Result<wire::Frame, Fault> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let next = if self.circle { 0 } else { asked };
            let all =
                format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{},"nextCursor":"{next}"}}}}"#, self.page);
            Ok(wire::Frame::scan(all.into(), &wire::Limits { bytes: 32 << 20, depth: 64 }).unwrap())
        }
    }

    async fn refused(page: String, circle: bool) -> (usize, String) {
        let server = Endless { page, circle, asked: AtomicUsize::new(0) };
        let capabilities = Bytes::from_static(br#"{"tools":{},"prompts":{}}"#);
        let fault = lists(&server, Eras::Modern, capabilities).await.settled().unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        (server.asked.into_inner(), fault.detail)
    }

    #[tokio::test]
    async fn a_look_ends_at_so_many_bytes_whatever_becomes_of_them() {
        let large = "x".repeat(8 << 20);
        for page in [format!(r#""tools":[{{"name":"{large}"}}]"#), format!(r#""tools":[],"other":"{large}""#)]
        {
            let (asked, told) = refused(page, false).await;
            assert_eq!((asked, told.as_str()), (8, "what it offers is more than 64 MiB"));
        }
    }

    #[tokio::test]
    async fn pages_that_lead_to_themselves_are_not_asked_for_a_hundred_times() {
        let (asked, told) = refused(r#""tools":[]"#.to_owned(), true).await;
        assert_eq!((asked, told.as_str()), (2, "`tools/list` goes round in a circle"));
        let (asked, told) = refused(r#""tools":[]"#.to_owned(), false).await;
        assert_eq!((asked, told.as_str()), (PAGES_MAX, "`tools/list` has more than 100 pages"));
    }

    #[test]
    fn what_a_server_says_of_an_error_is_told_in_one_line_and_cut() {
        let told = |error: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
            let frame = wire::Frame::scan(text.into(), &wire::Limits { bytes: 1 << 20, depth: 64 }).unwrap();
            answer("resources/list", frame).unwrap_err().detail
        };
        let head = "`resources/list` was answered with an error";
        assert_eq!(
            told(r#"{"code":-32603,"message":"no\nspace\u202e left"}"#),
            format!("{head} (-32603): `no⟨U+000A⟩space⟨U+202E⟩ left`")
        );
        assert_eq!(told(r#"{"code":1,"message":""}"#), format!("{head} (1)"));
        let long = told(&format!(r#"{{"code":1,"message":"{}"}}"#, "x".repeat(10_000)));
        assert_eq!(long.chars().count(), head.len() + " (1): ``".len() + 201);
    }

    /// Has one page, and then an error of that code.
    struct Breaks(i64);

    impl Asks for Breaks {
        fn revision(&self) -> Revision {
            Revision::LATEST_MODERN
        }

        async fn ask(&self, method: &str, cursor: Option<&str>) -> Result<wire::Frame, Fault> {
            let text = match (method, cursor) {
                ("tools/list", None) => {
                    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"2"}}"#
                        .to_owned()
                }
                ("tools/list", Some("2")) if self.0 == 0 => {
                    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"b"}]}}"#.to_owned()
                }
                (_, _) => {
                    let code = if self.0 == 0 { wire::rpc::METHOD_NOT_FOUND } else { self.0 };
                    format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"no"}}}}"#)
                }
            };
            let limits = wire::Limits { bytes: 1 << 20, depth: 64 };
            answer(method, wire::Frame::scan(text.into(), &limits).unwrap())
        }
    }

    #[tokio::test]
    async fn a_list_that_breaks_off_is_not_whole_and_one_that_a_server_does_not_have_is_empty() {
        let all = Bytes::from_static(br#"{"tools":{},"prompts":{},"resources":{}}"#);
        let look = async |code| lists(&Breaks(code), Eras::Modern, all.clone()).await.whole();
        assert_eq!(look(0).await.unwrap().items.len(), 2, "two tools, and no prompts or resources at all");
        for code in [wire::rpc::METHOD_NOT_FOUND, wire::rpc::INTERNAL_ERROR, -32_000] {
            let fault = look(code).await.expect_err("the second page of tools is missing");
            assert_eq!(fault.detail, format!("`tools/list` was answered with an error ({code}): `no`"));
            let found = lists(&Breaks(code), Eras::Modern, all.clone()).await;
            assert_eq!(found.items.len(), 1, "the page that came is there for whoever compares");
            let settled = found.settled().unwrap();
            assert!(settled.items.is_empty() && !settled.kinds().contains(&ItemKind::Tool));
            assert!(settled.kinds().contains(&ItemKind::Server));
        }
    }
}
