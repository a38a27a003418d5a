//! The errand of asking an identity provider about an opaque token: with a permit, so that there is a secret to ask
//! with, and with a record of its own. What the answer is worth is [`identity::oauth`]'s to say.

use crate::errands;
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::{authenticate, secrets, strangers};
use bytes::Bytes;
use decision::{Class, Code, Outcome, Passed, Refusal, ServerName, Stage};
use futures::future::BoxFuture;
use identity::oauth::{Question, Reply};
use std::sync::Arc;

/// The name of every provider where the name of a server stands: in the record, and for a secret that no server may
/// be given. No server is called so.
pub const PROVIDER: &str = "identity-provider";
const METHOD: &str = "oauth/introspect";

/// [`PROVIDER`], as the name it is.
#[expect(clippy::expect_used, reason = "a constant of the right form; every test of introspection holds it")]
pub fn provider() -> ServerName {
    ServerName::new(PROVIDER).expect("`identity-provider` is a server name")
}

/// What puts a question to a provider, on an errand of this gateway.
pub(crate) fn errand(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
) -> impl FnOnce(Question) -> BoxFuture<'static, Result<Reply, Refusal>> + use<> {
    let (gate, live) = (Arc::clone(gate), Arc::clone(live));
    move |question| Box::pin(async move { ask(&gate, &live, &question).await })
}

async fn ask(gate: &Arc<Gate>, live: &Live, question: &Question) -> Result<Reply, Refusal> {
    let mut leg = Leg::errand(gate, live, &provider(), METHOD);
    if let Some(target) = &mut leg.target {
        target.item.name = question.issuer().to_owned();
    }
    // whoever makes tokens up does not fill the record with questions about them
    let aside = question.is_strange() && !gate.strangers.may_ask(gate.clock.now());
    let answer = put(gate, live, question, aside, &mut leg).await;
    let end = answer.as_ref().map(|_| ()).map_err(Clone::clone);
    if aside && !answer.as_ref().is_ok_and(Reply::is_active) {
        leg.forgo(gate, &end);
        strangers::count_question(gate, live);
        return answer;
    }
    // an answer that could not be recorded is none
    leg.close(gate, live, &end).await?;
    answer
}

/// `aside`: nothing is recorded before it is put, and afterwards only what turned out to be somebody's token.
async fn put(
    gate: &Arc<Gate>,
    live: &Live,
    question: &Question,
    aside: bool,
    leg: &mut Leg,
) -> Result<Reply, Refusal> {
    // the token is in no entry and in no call: the digest in the evidence names it
    let call = errands::call(&provider(), leg, METHOD, Bytes::new());
    let permit = leg.permit(&call)?;
    if aside {
        authenticate::claimed(gate)?;
    } else {
        leg.intend(gate, live, &permit).await?;
    }
    let lease = secrets::of_our_own(gate, live, &permit, &call, question.secret()).await;
    let lease = leg.pass(Stage::Secrets, lease.map_err(without_secret))?;
    drop(permit);
    leg.dispatched = true;
    let began = gate.clock.now();
    let answer = question.put(lease.bytes()).await;
    drop(lease);
    if let Ok(reply) = &answer {
        let upstream_us = gate.clock.now().since(began);
        leg.outcome = Some(Outcome { bytes: reply.size(), is_error: false, result: None, upstream_us });
    }
    leg.pass(Stage::Upstream, answer.map(|reply| Passed::new(reply, vec![question.describe()])))
}

/// Whoever shows a token is told that it could not be asked about, and the record why.
fn without_secret(refusal: Refusal) -> Refusal {
    match refusal.code.class() {
        Class::Gateway => {
            let because = format!("{}: {}", refusal.code.as_str(), refusal.because);
            Refusal::new(Code::ProviderRefused, because)
        }
        Class::Authentication
        | Class::PolicyDenial
        | Class::ApprovalNeeded
        | Class::Validation
        | Class::Outage
        | Class::ServerError
        | Class::Cancelled => Refusal::new(Code::StageFailed, refusal.because),
    }
}
