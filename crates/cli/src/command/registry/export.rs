//! `callgate registry export`: what makes clients come through the gateway.

use crate::{
    cli::Given,
    failure::{Outcome, Verdict},
};
use clap::ValueEnum;
use serde_json::{Value, json};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Export {
    /// `managed-settings.json`, with which an administrator lets Claude Code and GitHub Copilot reach this gateway and no
    /// other server
    ManagedSettings,
}

pub(super) fn run(export: Export, given: &Given) -> Outcome {
    let place = given.place()?;
    let base = place.meant.settings.issuer.trim_end_matches('/');
    match export {
        // it is JSON for whoever reads it
        Export::ManagedSettings => given.say.as_json(true).json(&managed(base)),
    }
    Ok(Verdict::Yes)
}

/// Only servers whose address begins with the gateway's; one that is started by a command is none of them. Without the
/// first member people could add to the list in settings of their own.
fn managed(base: &str) -> Value {
    json!({
        "allowManagedMcpServersOnly": true,
        "allowedMcpServers": [{ "serverUrl": format!("{base}/*") }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_gateway_is_let_in() {
        let managed = managed("https://gate.example.com");
        assert_eq!(managed["allowedMcpServers"], json!([{ "serverUrl": "https://gate.example.com/*" }]));
        assert_eq!(managed["allowManagedMcpServersOnly"], true);
    }
}
