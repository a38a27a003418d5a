//! Between the eras.
//!
//! A leg is spoken as the client speaks where its server can do that, and crossed where it cannot:
//! [`Way`] says which, once, and everybody else asks it. Crossing is a handful of named splices
//! ([`request`], [`answer`], [`definition`]): what a message says for one era only is taken out or put
//! in, and every other byte goes on as it came. Nothing here reads a socket or a clock.

pub mod answer;
pub mod capabilities;
pub mod definition;
pub mod level;
pub mod request;
pub mod rounds;

use decision::Era;

use crate::era::Revision;

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

/// A leg whose two ends speak different eras.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crossing {
    /// A legacy client over a modern server.
    LegacyToModern,
    /// A modern client over a legacy server.
    ModernToLegacy,
}

/// How one leg to a server is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// The revision to ask the server in.
    pub revision: Revision,
    /// `None` where client and server speak the same era.
    pub crossing: Option<Crossing>,
}

impl Way {
    /// The client's own revision where the server speaks its era, else the newest of the server's one era.
    pub const fn new(client: Revision, server: Eras) -> Self {
        match (client.era(), server) {
            (Era::Legacy, Eras::Modern) => {
                Self { revision: Revision::LATEST_MODERN, crossing: Some(Crossing::LegacyToModern) }
            }
            (Era::Modern, Eras::Legacy) => {
                Self { revision: Revision::LATEST_LEGACY, crossing: Some(Crossing::ModernToLegacy) }
            }
            (Era::Legacy, Eras::Legacy | Eras::Both) | (Era::Modern, Eras::Modern | Eras::Both) => {
                Self::native(client)
            }
        }
    }

    /// A leg between two that speak the same revision.
    pub const fn native(revision: Revision) -> Self {
        Self { revision, crossing: None }
    }

    /// The era the server is asked in.
    pub const fn era(self) -> Era {
        self.revision.era()
    }

    /// The server's era, where it is not the client's.
    pub fn crossed(self) -> Option<Era> {
        self.crossing.map(|_| self.era())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_crossed_only_where_the_server_does_not_speak_the_clients_era() {
        for client in Revision::ALL {
            assert_eq!(Way::new(client, Eras::Both), Way::native(client));
            for (server, era) in [(Eras::Legacy, Era::Legacy), (Eras::Modern, Era::Modern)] {
                let way = Way::new(client, server);
                assert_eq!(way.era(), era, "a server is only asked what it speaks");
                assert_eq!(way.crossing.is_none(), client.era() == era);
                assert_eq!(way.crossed(), (client.era() != era).then_some(era));
                assert!(way.crossing.is_some() || way.revision == client);
            }
        }
        let up = Way::new(Revision::V2025_03_26, Eras::Modern);
        assert_eq!(up.crossing, Some(Crossing::LegacyToModern));
        let down = Way::new(Revision::V2026_07_28, Eras::Legacy);
        assert_eq!(down.crossing, Some(Crossing::ModernToLegacy));
    }
}
