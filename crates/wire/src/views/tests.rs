use bytes::Bytes;

use super::*;
use crate::era::Revision;
use crate::method::{METHODS, lookup};
use crate::scan::{Frame, Id, Limits};

fn frame(text: &str) -> Frame {
    Frame::scan(Bytes::copy_from_slice(text.as_bytes()), &Limits::DEFAULT).unwrap()
}

fn call(method: &str, params: &str) -> Frame {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#))
}

#[test]
fn a_tools_call_is_read_and_half_a_one_is_not() {
    let good = call("tools/call", r#"{"n\u0061me":"a\"b","arguments":{ "x" : 1 },"extra":[]}"#);
    let view = ToolsCall::read(&good).unwrap();
    assert_eq!(view.name, "a\"b");
    assert_eq!(view.arguments_raw, Some(&br#"{ "x" : 1 }"#[..]));
    let read = |params| ToolsCall::read(&call("tools/call", params)).map(drop);
    assert_eq!(read("{}"), Err(ViewError::Missing("params.name")));
    assert_eq!(read(r#"{"name":1}"#), Err(ViewError::WrongType("params.name")));
    assert_eq!(read(r#"{"name":null}"#), Err(ViewError::WrongType("params.name")));
    assert_eq!(read(r#"{"name":"a","arguments":[]}"#), Err(ViewError::WrongType("params.arguments")));
    assert_eq!(read(r#"{"name":"a","arguments":null}"#), Err(ViewError::WrongType("params.arguments")));
    assert_eq!(read(r#"{"name":"a"}"#), Ok(()));
    let bare = frame(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#);
    assert!(ToolsCall::read(&bare).is_err());
}

#[test]
fn what_a_message_is_about_stands_where_the_table_says() {
    let about = |method: &str, params: &str| {
        let row = METHODS.iter().find(|row| row.name == method).unwrap();
        named(&call(method, params), row).map(Cow::into_owned)
    };
    assert_eq!(about("tools/call", r#"{"name":"t"}"#).as_deref(), Some("t"));
    assert_eq!(about("resources/read", r#"{"uri":"file:\/\/\/a"}"#).as_deref(), Some("file:///a"));
    assert_eq!(about("tasks/get", r#"{"taskId":"7"}"#).as_deref(), Some("7"));
    let prompt = r#"{"ref":{"type":"ref/prompt","name":"p"}}"#;
    assert_eq!(about("completion/complete", prompt).as_deref(), Some("p"));
    let resource = r#"{"ref":{"type":"ref/resource","uri":"a:{b}"}}"#;
    assert_eq!(about("completion/complete", resource).as_deref(), Some("a:{b}"));
    assert_eq!(about("completion/complete", r#"{"ref":{"type":"ref/other","name":"p"}}"#), None);
    assert_eq!(about("completion/complete", r#"{"ref":{"type":"ref/prompt","uri":"p"}}"#), None);
    assert_eq!(about("tools/list", r#"{"name":"t"}"#), None);
    assert_eq!(about("resources/read", r#"{"uri":["a"]}"#), None);
    assert_eq!(lookup("resources/read", Revision::V2026_07_28).unwrap().name_field, Some("uri"));
}

#[test]
fn the_handshake_is_read_in_both_eras() {
    let hello = call(
        "initialize",
        r#"{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}"#,
    );
    let view = InitializeParams::read(&hello).unwrap();
    assert_eq!(
        (view.protocol_version.as_ref(), view.capabilities_raw),
        ("2025-06-18", &br#"{"roots":{}}"#[..])
    );
    assert_eq!(view.client_info.unwrap().name, "c");
    assert!(InitializeParams::read(&call("initialize", r#"{"protocolVersion":"x"}"#)).is_err());
    let mistyped = r#"{"protocolVersion":"x","capabilities":{},"clientInfo":"me"}"#;
    assert!(InitializeParams::read(&call("initialize", mistyped)).is_err());

    let answer = br#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"2"},"instructions":"hi"}"#;
    let view = InitializeResult::read(answer).unwrap();
    assert_eq!(view.server_info.unwrap().version, "2");
    assert_eq!(view.instructions.as_deref(), Some("hi"));

    let found = br#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#;
    let view = DiscoverResult::read(found).unwrap();
    assert_eq!(view.supported_versions, ["2026-07-28"]);
    assert_eq!(view.server_info.unwrap().name, "s");
    assert!(DiscoverResult::read(br#"{"supportedVersions":[1],"capabilities":{}}"#).is_err());
}

#[test]
fn a_list_is_sliced_and_its_definitions_read() {
    let raw = br#"{"tools":[ {"name":"a","inputSchema":{"type":"object"},"vendor":1.0} ,{"name":"b","inputSchema":{},"outputSchema":{},"description":"d","annotations":{"readOnlyHint":true,"openWorldHint":false,"x":1}}],"nextCursor":"n"}"#;
    let list = ListResult::read(raw, "tools").unwrap();
    assert_eq!(list.items.first().unwrap(), br#"{"name":"a","inputSchema":{"type":"object"},"vendor":1.0}"#);
    assert_eq!(list.next_cursor.as_deref(), Some("n"));
    let tool = ToolDefinition::read(list.items.get(1).unwrap()).unwrap();
    assert_eq!(tool.description.as_deref(), Some("d"));
    assert_eq!(tool.annotations.read_only_hint, Some(true));
    assert_eq!(tool.annotations.open_world_hint, Some(false));
    assert_eq!(tool.annotations.destructive_hint, None);

    assert!(ListResult::read(br#"{"tools":{}}"#, "tools").is_err());
    assert!(ListResult::read(br#"{"tools":[1]}"#, "tools").is_err());
    assert!(ListResult::read(b"{}", "tools").is_err());
    assert!(ListResult::read(br#"{"tools":[],"nextCursor":7}"#, "tools").is_err());
    for none in ["null", "\"\""] {
        let raw = format!(r#"{{"tools":[],"nextCursor":{none}}}"#);
        assert!(ListResult::read(raw.as_bytes(), "tools").unwrap().next_cursor.is_none(), "{none}");
    }
    for bad in [
        r#"{"inputSchema":{}}"#,
        r#"{"name":"a"}"#,
        r#"{"name":"a","inputSchema":true}"#,
        r#"{"name":"a","inputSchema":{},"description":5}"#,
        r#"{"name":"a","inputSchema":{},"annotations":{"readOnlyHint":"true"}}"#,
    ] {
        assert!(ToolDefinition::read(bad.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(ResourceDefinition::read(br#"{"uri":"a:b","name":"n"}"#).unwrap().uri, "a:b");
    assert_eq!(TemplateDefinition::read(br#"{"uriTemplate":"a:{b}"}"#).unwrap().uri_template, "a:{b}");
    assert_eq!(PromptDefinition::read(br#"{"name":"p","arguments":[]}"#).unwrap().name, "p");
    assert!(PromptDefinition::read(br#"{"name":"p","arguments":{}}"#).is_err());
}

#[test]
fn questions_inside_a_result_are_listed_with_their_state_untouched() {
    let raw = br#"{"resultType":"input_required","inputRequests":{"q1":{"method":"elicitation/create","params":{"message":"m"}},"q2":{"method":"roots/list"}},"requestState":"s\u0041"}"#;
    let view = InputRequests::read(raw).unwrap();
    assert_eq!(view.questions.len(), 2);
    assert_eq!(view.questions.first().unwrap().method, "elicitation/create");
    assert_eq!(view.request_state_raw, Some(&br#""s\u0041""#[..]));
    assert!(InputRequests::read(br#"{"inputRequests":{"q":{}}}"#).is_err());
    assert!(InputRequests::read(br#"{"inputRequests":{"q":1}}"#).is_err());
    assert!(InputRequests::read(br#"{"requestState":{}}"#).is_err());
    assert!(InputRequests::read(br#"{"resultType":"input_required"}"#).is_err());
    let retry = call("tools/call", r#"{"inputResponses":{"q1":{"action":"accept"}},"requestState":"s"}"#);
    let answer = Answer { key: "q1".into(), result_raw: br#"{"action":"accept"}"# };
    assert_eq!(input_responses(&retry).unwrap(), [answer]);
    assert_eq!(request_state(&retry).unwrap(), Some(&br#""s""#[..]));
    assert!(input_responses(&call("tools/call", r#"{"inputResponses":{"q1":"yes"}}"#)).is_err());
    assert!(input_responses(&call("tools/call", r#"{"inputResponses":[]}"#)).is_err());
    assert!(input_responses(&call("tools/call", "{}")).unwrap().is_empty());
    let answered = frame(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(result_type(&answered).unwrap(), "complete");
}

#[test]
fn notifications_that_belong_to_a_call_name_it() {
    let progress = frame(
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"7","progress":1}}"#,
    );
    assert_eq!(Progress::read(&progress).unwrap().token_raw, b"\"7\"");
    let cancelled =
        frame(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":12}}"#);
    assert_eq!(Cancelled::read(&cancelled).unwrap().request_id_raw, b"12");
    assert_eq!(Cancelled::read(&cancelled).unwrap().request_id, Id::Integer(12));
    assert!(Progress::read(&cancelled).is_err());
    let odd = frame(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}"#);
    assert!(Cancelled::read(&odd).is_err());
}

#[test]
fn a_listen_filter_is_read() {
    let listen = call(
        "subscriptions/listen",
        r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"]}}"#,
    );
    let view = Listen::read(&listen).unwrap();
    assert_eq!(view, Listen { tools: true, uris: vec!["a:b".into()], ..Listen::default() });
    assert!(Listen::read(&call("subscriptions/listen", "{}")).is_err());
    assert!(
        Listen::read(&call("subscriptions/listen", r#"{"notifications":{"toolsListChanged":1}}"#)).is_err()
    );
}

#[test]
fn errors_of_a_peer_are_read_with_their_data() {
    let view = RpcError::read(br#"{"code":-32602,"message":"no","data":{"a":1}}"#).unwrap();
    assert_eq!((view.code, view.message.as_ref(), view.data_raw), (-32602, "no", Some(&br#"{"a":1}"#[..])));
    assert!(RpcError::read(br#"{"code":"x"}"#).is_err());
    assert!(RpcError::read(br#"{"code":1.5}"#).is_err());
    assert!(RpcError::read(b"{}").is_err());
}
