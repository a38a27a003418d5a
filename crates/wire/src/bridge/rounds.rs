//! Questions of servers: requests of their own before 2026-07-28, parts of an `input_required` result since.

use bytes::Bytes;

use super::capabilities::Askable;
use crate::json::{self, encode_string};
use crate::scan::Frame;
use crate::splice::{Splice, SpliceError};
use crate::views::Question;

/// Whether a client of these capabilities may be asked that: the modes of an elicitation count too.
pub fn may_be_asked(askable: Askable, method: &str, params_raw: Option<&[u8]>) -> bool {
    match method {
        "roots/list" => askable.roots,
        "sampling/createMessage" => {
            let tools = params_raw.is_some_and(|raw| json::member(raw, "tools").is_some());
            askable.sampling && (!tools || askable.sampling_tools)
        }
        "elicitation/create" => {
            match params_raw.and_then(|raw| json::string_member(raw, "mode")).as_deref() {
                None | Some("form") => askable.form,
                Some("url") => askable.url,
                Some(_) => false,
            }
        }
        _ => false,
    }
}

/// A modern server's question as a request to a legacy client. `fresh` is the id under which a visit to an address
/// is known there (2025-11-25 `client/elicitation`), which modern servers do not give.
///
/// # Errors
/// [`SpliceError`] where the question cannot be one message.
pub fn question_for_legacy(question: &Question<'_>, id: u64, fresh: &str) -> Result<Bytes, SpliceError> {
    let id = id.to_string();
    let bytes = crate::rpc::request(id.as_bytes(), &question.method, question.params_raw);
    let by_address =
        question.params_raw.and_then(|raw| json::string_member(raw, "mode")).as_deref() == Some("url");
    if !by_address {
        return Ok(bytes);
    }
    let frame = Frame::scan(bytes, &crate::scan::Limits::DEFAULT).map_err(SpliceError::Scan)?;
    Splice::new(&frame).set_path(&["params", "elicitationId"], encode_string(fresh)).finish()
}

/// A legacy server's question as a part of a result: a raw object of method and params.
///
/// # Errors
/// [`SpliceError`] where its params are no object.
pub fn question_for_modern(frame: &Frame) -> Result<Bytes, SpliceError> {
    let method = frame.method().unwrap_or_default();
    let mut out = format!("{{\"method\":{}", encode_string(&method)).into_bytes();
    if frame.params_raw().is_some() {
        let mut splice = Splice::new(frame);
        for key in ["elicitationId", "task"] {
            splice = splice.remove_path(&["params", key]);
        }
        let limits = crate::scan::Limits::DEFAULT.with_bytes(u32::MAX as usize);
        let bare = splice.finish_frame(&limits)?;
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(bare.params_raw().unwrap_or(b"{}"));
    }
    out.push(b'}');
    Ok(out.into())
}

/// A raw object of raw values: the answers of a round, or its questions.
pub fn keyed<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Bytes {
    let mut out = vec![b'{'];
    for (key, value) in members {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(encode_string(key).as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out.into()
}

/// The result that puts questions to a modern client, for a server that put them one by one. Without a state the call
/// is over, and what comes with the answers is another.
pub fn input_required(questions: &Bytes, state: Option<&str>) -> Bytes {
    let mut out = br#"{"resultType":"input_required","inputRequests":"#.to_vec();
    out.extend_from_slice(questions);
    if let Some(state) = state {
        out.extend_from_slice(format!(",\"requestState\":{}", encode_string(state)).as_bytes());
    }
    out.push(b'}');
    out.into()
}

/// Most addresses that are read of one error.
const VISITS_MAX: usize = 16;

/// The addresses that a legacy server wants visited before it is asked again (error -32042, 2025-11-25
/// `client/elicitation`), each as a question to a modern client, with its key. Empty where the answer is no such error.
pub fn visits(frame: &Frame) -> Vec<(String, Bytes)> {
    let code = frame.at(&["error", "code"]).and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok());
    if code != Some(crate::rpc::URL_ELICITATION_REQUIRED) {
        return Vec::new();
    }
    let data = frame.error_raw().and_then(|error| json::member(error, "data")).unwrap_or_default();
    let all = json::member(data, "elicitations").unwrap_or_default();
    let visit = |range: std::ops::Range<usize>| {
        let one = all.get(range)?;
        let (url, message) = (json::string_member(one, "url")?, json::string_member(one, "message")?);
        Some(format!(
            r#"{{"method":"elicitation/create","params":{{"mode":"url","message":{},"url":{}}}}}"#,
            encode_string(&message),
            encode_string(&url)
        ))
    };
    let visits = json::array_elements(all).filter_map(visit).take(VISITS_MAX);
    visits.enumerate().map(|(n, part)| (format!("u{}", n + 1), part.into())).collect()
}

/// Puts the answers of a round into the request that is sent again, and the server's state as it came.
pub fn again<'f>(splice: Splice<'f>, answers: Option<&Bytes>, state_raw: Option<&Bytes>) -> Splice<'f> {
    let mut splice = splice;
    for (key, value) in [("inputResponses", answers), ("requestState", state_raw)] {
        if let Some(value) = value {
            splice = splice.set_path(&["params", key], value.clone());
        }
    }
    splice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Kind, Limits};
    use crate::views::InputRequests;

    fn scan(bytes: impl Into<Bytes>) -> Frame {
        Frame::scan(bytes.into(), &Limits::DEFAULT).unwrap()
    }

    #[test]
    fn addresses_to_visit_are_questions_of_a_modern_server() {
        let scan =
            |text: &str| Frame::scan(Bytes::copy_from_slice(text.as_bytes()), &Limits::DEFAULT).unwrap();
        let one = r#"{"mode":"url","elicitationId":"e","url":"https://a.example/?q=\u0022","message":"go"}"#;
        let error = |code: i64, data: &str| {
            scan(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m","data":{data}}}}}"#
            ))
        };
        let found = visits(&error(-32042, &format!(r#"{{"elicitations":[{one},{{"url":7}},{one}]}}"#)));
        assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["u1", "u2"]);
        let part =
            scan(&format!(r#"{{"jsonrpc":"2.0","id":1,{}"#, std::str::from_utf8(&found[0].1[1..]).unwrap()));
        assert_eq!(part.string_at(&["params", "url"]).unwrap(), "https://a.example/?q=\"");
        assert_eq!(part.string_at(&["params", "mode"]).unwrap(), "url");
        assert!(part.at(&["params", "elicitationId"]).is_none());
        for other in [
            error(-32000, &format!(r#"{{"elicitations":[{one}]}}"#)),
            error(-32042, "[]"),
            error(-32042, "{}"),
        ] {
            assert!(visits(&other).is_empty());
        }
        let many = vec![one; 40].join(",");
        assert_eq!(visits(&error(-32042, &format!(r#"{{"elicitations":[{many}]}}"#))).len(), 16);
    }

    #[test]
    fn a_question_goes_there_and_back_with_the_same_bytes() {
        let asked = r#"{"id":7,"jsonrpc":"2.0","method":"elicitation/create","params":{"message":"a\u0020b","n":1.0}}"#;
        let part = question_for_modern(&scan(asked)).unwrap();
        let result = input_required(&keyed([("q1", part.as_ref())]), Some("state"));
        let read = InputRequests::read(&result).unwrap();
        assert_eq!(read.request_state_raw, Some(&b"\"state\""[..]));
        let back = scan(question_for_legacy(&read.questions[0], 9, "e").unwrap());
        assert_eq!((back.kind(), back.id_raw()), (Kind::Request, Some(&b"9"[..])));
        assert_eq!(back.params_raw(), Some(&br#"{"message":"a\u0020b","n":1.0}"#[..]));
    }

    #[test]
    fn a_visit_to_an_address_has_an_id_in_one_era_only() {
        let asked = r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"elicitationId":"x","mode":"url","url":"https://a.example"}}"#;
        let part = question_for_modern(&scan(asked)).unwrap();
        assert!(!part.windows(13).any(|w| w == b"elicitationId"));
        let result = input_required(&keyed([("q", part.as_ref())]), Some("s"));
        let read = InputRequests::read(&result).unwrap();
        let back = scan(question_for_legacy(&read.questions[0], 1, "fresh").unwrap());
        assert_eq!(back.string_at(&["params", "elicitationId"]).as_deref(), Some("fresh"));
    }

    #[test]
    fn only_what_was_declared_may_be_asked_mode_by_mode() {
        let form = Askable { form: true, ..Askable::NOTHING };
        assert!(may_be_asked(form, "elicitation/create", Some(br#"{"message":"m"}"#)));
        assert!(!may_be_asked(form, "elicitation/create", Some(br#"{"mode":"url"}"#)));
        assert!(!may_be_asked(form, "elicitation/create", Some(br#"{"mode":"other"}"#)));
        assert!(!may_be_asked(form, "roots/list", None));
        let sampling = Askable { sampling: true, ..Askable::NOTHING };
        assert!(may_be_asked(sampling, "sampling/createMessage", Some(b"{}")));
        assert!(!may_be_asked(sampling, "sampling/createMessage", Some(br#"{"tools":[]}"#)));
        assert!(!may_be_asked(sampling, "tools/call", None));
    }

    #[test]
    fn a_call_that_is_sent_again_has_the_servers_own_state_byte_for_byte() {
        let frame = scan(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#);
        let state = Bytes::from_static(br#""s\u0041\/""#);
        let answers = keyed([("q", &b"{\"action\":\"accept\"}"[..])]);
        let sent = scan(again(Splice::new(&frame), Some(&answers), Some(&state)).finish().unwrap());
        assert_eq!(crate::views::request_state(&sent).unwrap(), Some(state.as_ref()));
        assert_eq!(sent.at(&["params", "inputResponses", "q"]), Some(&b"{\"action\":\"accept\"}"[..]));
    }
}
