//! Between the eras.
//!
//! Crossing eras, a legacy client over a modern server and a modern client over a
//! legacy one, will live here as sans-I/O state machines: synthesised handshakes
//! and discovery, `input_required` rounds against server requests, listen streams
//! against unsolicited notifications. Until then a leg is spoken natively or refused
//! with a reason, which [`native`] decides; nothing is half translated.

use decision::Era;

/// The eras a server is known to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eras {
    /// `initialize` only.
    Legacy,
    /// `server/discover` only.
    Modern,
    /// Both.
    Both,
}

impl Eras {
    /// Whether the server speaks the era.
    pub const fn speaks(self, era: Era) -> bool {
        match (self, era) {
            (Self::Both, Era::Legacy | Era::Modern)
            | (Self::Legacy, Era::Legacy)
            | (Self::Modern, Era::Modern) => true,
            (Self::Legacy, Era::Modern) | (Self::Modern, Era::Legacy) => false,
        }
    }
}

/// Client and server have no era in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server speaks only the {} era of MCP and the client the {} one", name(*server), name(*client))]
pub struct NotNative {
    /// What the client speaks.
    pub client: Era,
    /// The one era the server speaks.
    pub server: Era,
}

/// The era in which a leg can be spoken without translation.
///
/// # Errors
/// [`NotNative`] where the server does not speak the client's era.
pub fn native(client: Era, server_speaks: Eras) -> Result<Era, NotNative> {
    if server_speaks.speaks(client) {
        return Ok(client);
    }
    let server = match client {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    };
    Err(NotNative { client, server })
}

fn name(era: Era) -> &'static str {
    match era {
        Era::Legacy => "legacy",
        Era::Modern => "modern",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_native_only_where_the_server_speaks_the_clients_era() {
        for client in [Era::Legacy, Era::Modern] {
            assert_eq!(native(client, Eras::Both), Ok(client));
        }
        assert_eq!(native(Era::Legacy, Eras::Legacy), Ok(Era::Legacy));
        assert_eq!(native(Era::Modern, Eras::Modern), Ok(Era::Modern));
        let refused = native(Era::Legacy, Eras::Modern).unwrap_err();
        assert_eq!(refused, NotNative { client: Era::Legacy, server: Era::Modern });
        assert!(refused.to_string().contains("only the modern era"));
        assert!(native(Era::Modern, Eras::Legacy).is_err());
    }
}
