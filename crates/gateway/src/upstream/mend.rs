//! A page of a list of which an item is no strict JSON: nested too deep, a key twice, half a surrogate. The rest of it is
//! one all the same, and only that item is left out.

use super::fault::Fault;
use super::injected::{Injected, Received};
use super::{Means, http};
use std::fmt;
use wire::json;

/// Most items that are left out of a page; of more, the page is none.
const OUT_MAX: usize = 100;
/// What is open where an item begins: the message, its result and the list.
const ABOVE: usize = 3;
const LISTS: [&str; 4] = ["tools", "prompts", "resources", "resourceTemplates"];

/// An answer that did not scan, as it came: nothing is made of it but a page, and nobody is shown it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Unread(bytes::Bytes);

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unread(..)")
    }
}

impl Fault {
    /// The same, with what did not scan.
    pub(super) fn of(self, unread: bytes::Bytes) -> Self {
        Self { unread: Some(Box::new(Unread(unread))), ..self }
    }
}

/// The page that request `id` is answered with, each item that does not scan replaced by why, as text.
///
/// Errors: the fault, where more is wrong than items of a list.
pub(crate) fn page(fault: Fault, id: u64, injected: &Injected, means: &Means) -> Result<Received, Fault> {
    let limits = means.bounds().scan();
    let Some(mended) = fault.unread.as_ref().and_then(|unread| mended(&unread.0, limits)) else {
        return Err(fault);
    };
    // as strictly as any other: nothing of what was found is trusted
    let heard = http::scan(mended.into(), &limits, injected).and_then(|received| http::for_us(received, id));
    heard.map_err(|_| fault)
}

fn mended(text: &[u8], limits: wire::Limits) -> Option<Vec<u8>> {
    let result = json::member_range(text, "result")?;
    let inner = text.get(result.clone())?;
    let list = LISTS.iter().find_map(|key| json::member_range(inner, key))?;
    let begin = result.start + list.start;
    let within = wire::Limits { depth: limits.depth.saturating_sub(ABOVE), ..limits };
    let (mut out, mut done, mut count) = (Vec::with_capacity(text.len()), 0, 0);
    for item in json::array_elements(inner.get(list)?) {
        let item = begin + item.start..begin + item.end;
        let Err(why) = wire::scan_value(text.get(item.clone())?, &within) else { continue };
        count += 1;
        if count > OUT_MAX {
            return None;
        }
        out.extend_from_slice(text.get(done..item.start)?);
        out.extend_from_slice(json::encode_string(&why.to_string()).as_bytes());
        done = item.end;
    }
    out.extend_from_slice(text.get(done..)?);
    (count > 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(items: &str) -> Option<String> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{items}],"nextCursor":"2"}}}}"#);
        let mended = mended(text.as_bytes(), wire::Limits::DEFAULT)?;
        wire::Frame::scan(mended.clone().into(), &wire::Limits::DEFAULT).ok()?;
        Some(String::from_utf8(mended).unwrap())
    }

    #[test]
    fn an_item_that_does_not_scan_is_left_out_and_the_others_stay_as_they_came() {
        let deep = format!(r#"{{"name":"b","x":{}{}}}"#, "[".repeat(80), "]".repeat(80));
        let half = r#"{"name":"b","description":"\ud800"}"#.to_owned();
        let twice = r#"{"name":"b","name":"c"}"#.to_owned();
        for (bad, why) in [(deep, "nested deeper"), (half, "lone surrogate"), (twice, "duplicate key")] {
            let page = told(&format!(r#" {{"name": "a"}} , {bad},{{"name":"c"}}"#)).unwrap();
            let (before, after) = page.split_once(why).unwrap();
            assert!(before.ends_with(r#"[ {"name": "a"} , ""#), "{page}");
            assert!(after.ends_with(r#"",{"name":"c"}],"nextCursor":"2"}}"#), "{page}");
        }
        // what is deepest in a page that scans is deepest here
        let deepest = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(told(&deepest(62)).is_some() && told(&deepest(61)).is_none());
    }

    #[test]
    fn what_is_no_page_is_not_made_one() {
        let half = r#"{"description":"\ud800"}"#;
        assert!(told(half).is_some());
        for items in [format!("{half},{{"), format!("{half}]],["), format!(r#"{half}],"a":"\udc00","b":["#)] {
            assert_eq!(told(&items), None, "{items}");
        }
        assert_eq!(told(&vec![half; OUT_MAX + 1].join(",")), None, "so much is wrong that nothing is right");
        for text in
            ["", "[", r#"{"result":"#, r#"{"result":{"tools":["#, r#"{"result":{"other":["\ud800"]}}"#]
        {
            assert_eq!(mended(text.as_bytes(), wire::Limits::DEFAULT), None, "{text}");
        }
    }
}
