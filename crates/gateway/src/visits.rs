//! Where a server sends people: the address of a question in `url` mode (2025-11-25 and 2026-07-28, client/elicitation).
//! Hosts open it in a browser, so it leads to a page and to nothing else.

use decision::{Code, Refusal};
use url::Url;

/// Whether a question leads people to a page, if it leads anywhere. Errors: it is no address of a page, or says more
/// than where that is.
pub(crate) fn lead_to_pages(method: &str, params_raw: Option<&[u8]>) -> Result<(), Refusal> {
    let member = |key: &str| params_raw.and_then(|raw| wire::json::string_member(raw, key));
    if method != "elicitation/create" || member("mode").as_deref() != Some("url") {
        return Ok(());
    }
    // what it is stays out of the refusal: it may hold a password, or characters that nobody sees
    let no = |why: &str| Refusal::new(Code::UpstreamNonsense, format!("the question's address {why}"));
    let written = member("url").ok_or_else(|| no("is missing"))?;
    if !written.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(no("holds characters that no address has"));
    }
    let url = Url::parse(&written).map_err(|_| no("is none"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(no("is not that of a page (http or https)"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(no("has a name or a password in front of its host"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_to_pages_and_nowhere_else() {
        let asked = |mode: &str, url: &str| {
            let params = serde_json::json!({ "mode": mode, "message": "m", "url": url }).to_string();
            lead_to_pages("elicitation/create", Some(params.as_bytes()))
        };
        for good in
            ["https://bank.example/pay?x=1#y", "http://127.0.0.1:3000/in", "https://xn--bcher-kva.example/"]
        {
            assert_eq!(asked("url", good), Ok(()), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html,x",
            "not a url",
            "",
            "https://user:pw@bank.example/",
            "https://bank.example@evil.example/",
            "https://ok.example/\u{1b}[2J",
            "https://ok.example/\u{202e}x",
            "https://b\u{fc}cher.example/",
        ] {
            let refused = asked("url", bad).unwrap_err();
            assert_eq!(refused.code, Code::UpstreamNonsense, "{bad}");
            assert!(!refused.because.contains("pw"), "{}", refused.because);
            assert_eq!(asked("form", bad), Ok(()), "a form has no address");
        }
        assert!(lead_to_pages("elicitation/create", Some(br#"{"mode":"url"}"#)).is_err());
        assert_eq!(lead_to_pages("sampling/createMessage", Some(br#"{"mode":"url","url":"x"}"#)), Ok(()));
        assert_eq!(lead_to_pages("elicitation/create", None), Ok(()));
    }
}
