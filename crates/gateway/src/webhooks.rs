//! The errand of opening the key that an address outside is told under: with a permit and a record of its own, as every
//! secret is opened. Who is told what is the console's to say.

use crate::errands;
use crate::gate::Gate;
use crate::record::Leg;
use crate::secrets;
use bytes::Bytes;
use decision::{Refusal, SecretName, ServerName, Stage};
use std::sync::Arc;
use vault::Lease;

/// The name of every address where the name of a server stands: in the record, and for a secret that no server may be
/// given. No server is called so.
pub const WEBHOOK: &str = "webhook";
const METHOD: &str = "webhook/key";

/// Changes with every change of stored secrets, within a second: what was opened before is another key, or none, by then.
pub fn secrets_revision(gate: &Gate) -> store::Revision {
    gate.secrets.revision()
}

/// Opens the key of that name. Errors: as for any secret of a call.
pub async fn webhook_key(gate: &Arc<Gate>, name: &SecretName) -> Result<Lease, Refusal> {
    let live = gate.live();
    let addresses =
        ServerName::new(WEBHOOK).map_err(|e| Refusal::new(decision::Code::StageFailed, e.to_string()))?;
    let mut leg = Leg::errand(gate, &live, &addresses, METHOD);
    if let Some(target) = &mut leg.target {
        target.item.name = name.to_string();
    }
    let call = errands::call(&addresses, &leg, METHOD, Bytes::new());
    let permit = leg.permit(&call);
    let lease = match permit {
        Ok(permit) => {
            leg.intend(gate, &live, &permit).await?;
            let lease = secrets::of_our_own(gate, &live, &permit, &call, name).await;
            leg.pass(Stage::Secrets, lease)
        }
        Err(refusal) => Err(refusal),
    };
    let end = lease.as_ref().map(|_| ()).map_err(Clone::clone);
    // what could not be recorded was not opened
    leg.close(gate, &live, &end).await?;
    lease
}
