//! Looks at servers that somebody asks for: at the command line before a difference is shown, and in the console.

use crate::control::Looked;
use decision::ServerName;
use futures::future::BoxFuture;
use gateway::Offers;
use std::{sync::Arc, time::Duration};

/// So long somebody waits for a look; it goes on without them.
const LOOK_TIME: Duration = Duration::from_secs(30);

/// What looks at servers.
#[derive(Debug, Clone)]
pub(super) struct Looks(Arc<Offers>);

impl Looks {
    pub(super) fn by(offers: &Arc<Offers>) -> Self {
        Self(Arc::clone(offers))
    }

    pub(super) async fn look(&self, server: &ServerName) -> Looked {
        let (offers, server) = (Arc::clone(&self.0), server.clone());
        // whoever goes away meanwhile leaves no look half done
        let look = tokio::spawn(async move { offers.look_now(&server).await });
        match tokio::time::timeout(LOOK_TIME, look).await {
            Ok(Ok(Ok(true))) => Looked::Done,
            Ok(Ok(Ok(false))) => Looked::Shut,
            Ok(Ok(Err(unlooked))) => Looked::Failed { why: unlooked.to_string() },
            Ok(Err(_)) => Looked::Failed { why: "the look ended by itself".to_owned() },
            Err(_) => {
                Looked::Failed { why: format!("it takes longer than {} s, and goes on", LOOK_TIME.as_secs()) }
            }
        }
    }
}

impl console::Looks for Looks {
    fn look<'a>(&'a self, server: &'a ServerName) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            match self.look(server).await {
                Looked::Done | Looked::Shut => Ok(()),
                Looked::Failed { why } => Err(why),
            }
        })
    }
}
