//! Whose a message is that names no request, on a pipe that calls share.

use super::super::injected::Injected;
use super::super::pending::Pending;
use super::*;

const QUESTION: Bytes = Bytes::from_static(br#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#);

async fn asks(pending: &Pending) {
    pending.said(&QUESTION, |message| Injected::default().hear(message, &wire::Limits::DEFAULT)).await;
}

#[tokio::test]
async fn a_question_in_a_shared_session_is_the_only_calls_whatever_the_gateway_itself_asks_meanwhile() {
    let (sink, mut nobodys) = mpsc::channel(4);
    let pending = Pending::new(sink, true, true);
    let ((first, mut heard), (own, mut beside), (second, mut also)) = (call(1), call(2), call(3));
    let _first = pending.enter(&first).unwrap();
    let _own = pending.enter(&Outgoing { beside_calls: true, ..own }).unwrap();
    asks(&pending).await;
    assert!(heard.try_recv().is_ok(), "the gateway's own is no call that it could be about");
    let _second = pending.enter(&second).unwrap();
    asks(&pending).await;
    assert!(nobodys.try_recv().is_ok(), "of two calls it is nobody's");
    assert!([&mut heard, &mut beside, &mut also].into_iter().all(|messages| messages.try_recv().is_err()));
}
