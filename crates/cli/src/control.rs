//! The command channel: what the command line asks of the running gateway over the owner's socket, and what it
//! does itself, in the same words, when none runs.

mod keeper;
mod known;
mod opening;
mod words;

use crate::{place::Place, say::Say};
use anyhow::{Context as _, anyhow, bail};
use catalog::record::Absent;
use decision::{EventName, ServerName};
use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc, time::Duration};
use store::{LogClaim, Scope, Store, TellError, Telling, ledger::Ledger};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time,
};

pub(crate) use keeper::{decided, of_ledger};
pub(crate) use known::{index, known};
pub(crate) use opening::{OpenLedger, is_elsewhere, is_taken, open_ledger};
pub(crate) use words::{InForce, Looked, Refused, Request, Response, ValueState};

/// Longest answer that is read: a page of entries.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// For a gateway to take the connection and begin to answer.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// For a gateway to say that it is there, where nothing hangs on it: one that starts does not answer yet.
const AT_ONCE: Duration = Duration::from_secs(1);
/// For a gateway to say that it goes by a change: a little more than it waits itself.
const IN_FORCE_TIME: Duration = Duration::from_secs(5);
/// How long a ledger that somebody else holds for a moment is waited for.
pub(crate) const LOCKED_MOST: Duration = Duration::from_secs(30);
pub(crate) const LOCKED_PAUSE: Duration = Duration::from_millis(100);
/// When a gateway says for what it waits: whoever starts it sees nothing else.
pub(crate) const LOCKED_TOLD: Duration = Duration::from_secs(2);

/// The record: through the gateway that writes it, or opened by ourselves when none runs.
#[derive(Debug)]
pub(crate) enum Book {
    Running {
        socket: PathBuf,
    },
    /// `found` is what was in it when it was opened.
    Own {
        ledger: Arc<Ledger>,
        scope: Scope,
        found: Found,
        _claim: LogClaim,
    },
}

impl Book {
    /// Finds the gateway, or opens the ledger and tells it what others left untold. Do this before changing what must be
    /// recorded.
    ///
    /// Errors: the gateway that runs goes by another database, tenant or environment than the file says by now: what is
    /// changed there would mean nothing to it.
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        let book = Self::find(place, Loss::Refused).await?;
        if let Self::Own { ledger, scope, .. } = &book {
            let store = place.store().await?;
            let told = store.tell(scope, ledger, Telling::all_left()).await;
            store.close().await;
            // a record that cannot be written can still be read; what is to be told stays
            if let Err(error @ (TellError::Store(_) | TellError::Entry(_))) = told {
                return Err(error).context("what was decided before cannot be recorded");
            }
        }
        Ok(book)
    }

    /// The same for whoever only reads: where there is no record, none is begun.
    pub(crate) async fn open_to_read(place: &Place) -> anyhow::Result<Self> {
        place.private()?;
        if !place.has_ledger() {
            bail!(
                "there is no record here: `{}` holds none; `callgate serve` begins it, and `--config` names another place",
                place.ledger_dir().display()
            );
        }
        Self::open(place).await
    }

    /// The same as `open`, for somebody who knows what the ledger has lost and means to go on.
    pub(crate) async fn open_whatever_is_left(place: &Place) -> anyhow::Result<Self> {
        Self::find(place, Loss::Accepted).await
    }

    async fn find(place: &Place, loss: Loss) -> anyhow::Result<Self> {
        place.state()?;
        let socket = place.socket_path()?;
        let (begun, mut taken) = (time::Instant::now(), None);
        while begun.elapsed() < LOCKED_MOST {
            if let Some(here) = ping(&socket).await {
                here.is_of(place)?;
                return Ok(Self::Running { socket });
            }
            let store = place.store().await?;
            let opened = open_ledger(&store, &place.ledger_dir(), loss, &place.scope()).await;
            store.close().await;
            match opened {
                Ok(OpenLedger { ledger, recovered, claim }) => {
                    let found = Found { entries: recovered.size, parted: recovered.parted };
                    let (ledger, scope) = (Arc::new(ledger), place.scope());
                    return Ok(Self::Own { ledger, scope, found, _claim: claim });
                }
                // a gateway that starts or stops, or another command
                Err(error) if is_taken(&error) => {
                    taken = Some(error);
                    time::sleep(LOCKED_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(match taken.filter(is_elsewhere) {
            Some(elsewhere) => elsewhere,
            None => {
                anyhow!("the ledger is in use by a process that does not answer at `{}`", socket.display())
            }
        })
    }

    pub(crate) async fn ask(&self, request: Request) -> anyhow::Result<Response> {
        let response = match self {
            Self::Running { socket } => ask(socket, &request).await?,
            Self::Own { ledger, scope, .. } => of_ledger(ledger, scope, request).await,
        };
        if let Response::Failed { why } = response {
            return Err(anyhow!(why));
        }
        Ok(response)
    }

    /// Writes an event. Errors: it is not in the record.
    pub(crate) async fn record(
        &self,
        event: EventName,
        server: Option<ServerName>,
        detail: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let detail = detail.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.ask(Request::Record { event, server, detail })
            .await
            .map(drop)
            .context("the change was made, but could not be recorded")
    }

    /// Writes what was decided through this store. Errors: it is not in the record yet, and will be.
    pub(crate) async fn tell(&self, store: &Store) -> anyhow::Result<()> {
        let writer = store.writer().clone();
        let told = match self {
            Self::Running { .. } => self.ask(Request::Tell { writer }).await.map(drop),
            Self::Own { ledger, scope, .. } => {
                store.tell(scope, ledger, Telling::Of(writer)).await.map(drop).map_err(Into::into)
            }
        };
        told.context("the change was made, but is not recorded yet: the next change or look at the record does that, or a gateway that starts")
    }

    /// Waits until a running gateway goes by what was changed through this store. False where it does not in time, or
    /// does not say.
    pub(crate) async fn is_in_force(&self, store: &Store) -> bool {
        let Self::Running { .. } = self else { return true };
        let asked = async {
            let revision = store.revision().await?.0;
            self.ask(Request::InForce { revision }).await
        };
        let answered = time::timeout(IN_FORCE_TIME, asked).await;
        matches!(answered, Ok(Ok(Response::InForce { yes: true })))
    }

    /// Has what was changed through this store recorded, and waits until a running gateway goes by it: whoever sees the
    /// command end may call.
    pub(crate) async fn conclude(self, store: &Store, say: Say) -> anyhow::Result<()> {
        self.tell(store).await?;
        let is_in_force = self.is_in_force(store).await;
        self.close().await?;
        if !is_in_force {
            say.aside("the gateway does not go by this yet: it will in a moment, or its log says why");
        }
        Ok(())
    }

    /// What there was before this command wrote anything; a gateway's ledger has lost nothing.
    pub(crate) fn found(&self) -> Option<Found> {
        match self {
            Self::Running { .. } => None,
            Self::Own { found, .. } => Some(*found),
        }
    }

    /// Finishes the ledger, if it is ours.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Running { .. } => Ok(()),
            Self::Own { ledger, .. } => Ok(ledger.close().await?),
        }
    }
}

/// What a ledger had when it was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) entries: u64,
    /// So many first entries are others than were known.
    pub(crate) parted: Option<u64>,
}

/// What to do about a ledger that has lost its end, or went another way than is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Refused,
    Accepted,
}

impl Response {
    fn is_of(&self, place: &Place) -> anyhow::Result<()> {
        if let Self::Here { pid, house: Some(house), .. } = self
            && *house != place.house()
        {
            bail!(
                "the gateway that runs here (process {pid}) goes by another `tenant`, `environment` or `database` than `{}` says \
                 by now, so nothing was done: put those back as they were, or restart it",
                place.config.display()
            );
        }
        Ok(())
    }
}

/// The gateway at this socket, if one answers.
pub(crate) async fn ping(socket: &Path) -> Option<Response> {
    ping_within(socket, Duration::from_secs(5)).await
}

async fn ping_within(socket: &Path, most: Duration) -> Option<Response> {
    let asked = time::timeout(most, ask(socket, &Request::Ping)).await;
    asked.ok()?.ok().filter(|response| matches!(response, Response::Here { .. }))
}

/// Errors: the gateway that runs has a database whose files were moved or replaced: whoever opens what is there now reads and
/// writes another one, and may spoil both.
pub(crate) async fn is_in_place(place: &Place) -> anyhow::Result<()> {
    let Ok(socket) = place.socket_path() else { return Ok(()) };
    match ping_within(&socket, AT_ONCE).await {
        Some(Response::Here { pid, replaced: Some(why), .. }) => {
            bail!("the gateway that runs here (process {pid}) takes no calls, so nothing was done: {why}")
        }
        Some(_) | None => Ok(()),
    }
}

/// Errors: the gateway that runs goes by another database, tenant or environment.
pub(crate) async fn goes_by(place: &Place) -> anyhow::Result<()> {
    let Ok(socket) = place.socket_path() else { return Ok(()) };
    ping_within(&socket, AT_ONCE).await.map_or(Ok(()), |here| here.is_of(place))
}

/// The servers that the gateway that runs cannot look at. Where none runs, or it does not say, nobody knows of any.
pub(crate) async fn absent(place: &Place) -> BTreeMap<ServerName, Absent> {
    let Ok(socket) = place.socket_path() else { return BTreeMap::new() };
    let asked = time::timeout(IN_FORCE_TIME, ask(&socket, &Request::Absent)).await;
    match asked {
        Ok(Ok(Response::Absent { servers })) => servers,
        Ok(Ok(_) | Err(_)) | Err(_) => BTreeMap::new(),
    }
}

/// Has the gateway that runs look at a server now. `None` where none runs that goes by this place, or it does not say.
pub(crate) async fn look(place: &Place, server: &ServerName) -> Option<Looked> {
    let socket = place.socket_path().ok()?;
    ping_within(&socket, AT_ONCE).await?.is_of(place).ok()?;
    match ask(&socket, &Request::Look { server: server.clone() }).await {
        Ok(Response::Looked(looked)) => Some(looked),
        Ok(_) | Err(_) => None,
    }
}

/// Asks the gateway at this socket.
pub(crate) async fn ask(socket: &Path, request: &Request) -> anyhow::Result<Response> {
    let fail = || format!("no gateway answers at `{}`", socket.display());
    let stream = UnixStream::connect(socket).await.with_context(fail)?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(greeting(request)?.as_bytes()).await.with_context(fail)?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(ANSWER_BYTES_MAX));
    time::timeout(ANSWER_TIME, reader.read_until(b'\n', &mut line))
        .await
        .with_context(fail)?
        .with_context(fail)?;
    serde_json::from_slice(&line).context("the gateway's answer cannot be read: is it of the same version?")
}

/// The same for whoever has no runtime yet. `most` is for each piece of the answer.
pub(crate) fn ask_blocking(socket: &Path, request: &Request, most: Duration) -> anyhow::Result<Response> {
    use std::io::{BufRead as _, Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(most))?;
    stream.set_write_timeout(Some(most))?;
    stream.write_all(greeting(request)?.as_bytes())?;
    let mut line = Vec::new();
    std::io::BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

fn greeting(request: &Request) -> anyhow::Result<String> {
    let raw = serde_json::to_vec(request)?;
    Ok(gateway::listen::unix::Greeting::Command { raw: raw.into() }.line())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{SystemClock, SystemEntropy};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn a_change_counts_as_in_force_only_where_the_gateway_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("store.db").display());
        let store = Store::open(&url, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.unwrap();
        let socket = dir.path().join("gateway.sock");
        let book = Book::Running { socket: socket.clone() };
        assert!(!book.is_in_force(&store).await, "nobody is there any more");
        let listener = UnixListener::bind(&socket).unwrap();
        let older = Response::Failed { why: "this gateway does not know the command".to_owned() };
        let answers = [
            (Response::InForce { yes: true }, true),
            (Response::InForce { yes: false }, false),
            (Response::Erased { was: ValueState::Kept }, false),
            (older, false),
        ];
        for (answer, expected) in answers {
            let say = async {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut asked = String::new();
                stream.read_line(&mut asked).await.unwrap();
                assert!(asked.contains(r#""do":"in-force","revision":0"#), "{asked}");
                let line = serde_json::to_string(&answer).unwrap() + "\n";
                stream.get_mut().write_all(line.as_bytes()).await.unwrap();
            };
            let ((), told) = tokio::join!(say, book.is_in_force(&store));
            assert_eq!(told, expected, "{answer:?}");
        }
        store.close().await;
    }
}
