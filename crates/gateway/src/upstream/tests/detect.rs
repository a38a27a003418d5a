use super::peer::{Answer, Seen, answer, json, say, serve, status, welcome};
use super::stdio::shell;
use super::*;
use wire::Eras;

const DISCOVERED: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{}}}"#;
const UNKNOWN: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#;

async fn over_http(script: impl Fn(Seen) -> Answer + Clone + Send + Sync + 'static) -> Result<Eras, Fault> {
    let peer = serve(script).await;
    let means = bounded(means_to(&peer.url), |bounds| bounds.open = Duration::from_millis(500));
    detect(&peer.reach(), &means, &Arc::default()).await
}

/// A server whose answers to the two questions are these.
async fn both(discover: fn() -> Answer, initialize: fn() -> Answer) -> Result<Eras, Fault> {
    over_http(move |seen| match seen.rpc().as_str() {
        "server/discover" => {
            assert_eq!(seen.header("mcp-method"), "server/discover");
            discover()
        }
        "initialize" => initialize(),
        _ => status(202),
    })
    .await
}

#[tokio::test]
async fn the_eras_of_an_http_server_are_those_it_answers_in() {
    assert_eq!(both(|| json(DISCOVERED), || status(400)).await, Ok(Eras::Modern));
    assert_eq!(both(|| json(DISCOVERED), welcome).await, Ok(Eras::Both));
    assert_eq!(both(|| status(400), welcome).await, Ok(Eras::Legacy));
    assert_eq!(both(|| status(404), welcome).await, Ok(Eras::Legacy));
    assert_eq!(both(|| json(UNKNOWN), welcome).await, Ok(Eras::Legacy));
    let uninitialized = || {
        answer(
            400,
            "application/json",
            vec![say(
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Server not initialized"}}"#,
            )],
        )
    };
    assert_eq!(both(uninitialized, welcome).await, Ok(Eras::Legacy));
}

#[tokio::test]
async fn a_modern_server_of_another_revision_is_not_ours() {
    let future = || {
        json(r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2030-01-01"],"capabilities":{}}}"#)
    };
    assert_eq!(both(future, welcome).await, Ok(Eras::Legacy));
    assert_eq!(both(future, || status(400)).await.unwrap_err().kind, FaultKind::NotThisEra);
}

#[tokio::test]
async fn a_server_that_answers_everything_is_not_taken_for_modern() {
    let echo = || json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(both(echo, welcome).await, Ok(Eras::Legacy));
}

#[tokio::test]
async fn refused_credentials_failures_and_silence_decide_nothing() {
    for code in [401, 403, 429, 500, 502, 503] {
        let fault = over_http(move |_| status(code)).await.unwrap_err();
        assert_ne!(fault.kind, FaultKind::NotThisEra, "{code}");
        // also where the other question has an answer
        let fault =
            over_http(move |seen| if seen.rpc() == "initialize" { welcome() } else { status(code) }).await;
        if fault != Ok(Eras::Legacy) {
            continue;
        }
        panic!("{code} was taken for a legacy server's answer");
    }
    let silent = over_http(|_| answer(200, "text/event-stream", vec![super::peer::Step::Hang])).await;
    assert_eq!(silent.unwrap_err().kind, FaultKind::Timeout);
}

async fn over_stdio(script: &str) -> Result<Eras, Fault> {
    let means = bounded(means(), |bounds| bounds.open = Duration::from_secs(1));
    detect(&shell(script), &means, &Arc::default()).await
}

const WELCOME: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"p","version":"1"}}}"#;

#[tokio::test]
async fn the_eras_of_a_child_are_found_in_processes_of_their_own() {
    let answers = |discover: &str, initialize: &str| {
        format!(
            r#"while read -r l; do case "$l" in *server/discover*) {discover};; *'"initialize"'*) {initialize};; esac; done"#
        )
    };
    let modern = format!("echo '{DISCOVERED}'");
    let legacy = format!("echo '{WELCOME}'");
    let unknown = format!("echo '{UNKNOWN}'");
    let refused = r#"echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32022,"message":"no"}}'"#;
    assert_eq!(over_stdio(&answers(&modern, refused)).await, Ok(Eras::Modern));
    assert_eq!(over_stdio(&answers(&unknown, &legacy)).await, Ok(Eras::Legacy));
    // it ends at a first message it does not know
    assert_eq!(over_stdio(&answers("exit 1", &legacy)).await, Ok(Eras::Legacy));
    // it keeps silent to it
    assert_eq!(over_stdio(&answers(":", &legacy)).await, Ok(Eras::Legacy));
    // it is bound to the era of its first message
    let bound = format!(
        r#"read -r l; case "$l" in *server/discover*) {modern}; read -r l; {refused};; *) {legacy};; esac; cat >/dev/null"#
    );
    assert_eq!(over_stdio(&bound).await, Ok(Eras::Both));
}

#[tokio::test]
async fn a_child_that_cannot_be_asked_has_no_era() {
    assert_eq!(over_stdio("exit 1").await.unwrap_err().kind, FaultKind::Lost);
    assert_eq!(over_stdio("cat >/dev/null").await.unwrap_err().kind, FaultKind::Timeout);
}
