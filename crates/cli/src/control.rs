//! The command channel: what the command line asks of the running gateway over the owner's socket, and what it
//! does itself, in the same words, when none runs.

mod keeper;
mod known;
mod opening;

use crate::{command::approvals::Word, place::Place, say::Say};
use anyhow::{Context as _, anyhow, bail};
use catalog::record::Absent;
use decision::approval::Part;
use decision::{Approval, ApprovalId, CallId, Digest, EventName, ServerName, Slot, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc, time::Duration};
use store::{
    LogClaim, Scope, Store, TellError, Telling, Writer,
    ledger::{EntryProof, Ledger},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time,
};

pub(crate) use keeper::{decided, of_ledger};
pub(crate) use known::{index, known};
pub(crate) use opening::{OpenLedger, is_elsewhere, is_taken, open_ledger};

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

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub(crate) enum Request {
    /// Who is there.
    Ping,
    /// Write an event into the ledger.
    Record {
        event: EventName,
        #[serde(default)]
        server: Option<ServerName>,
        #[serde(default)]
        detail: BTreeMap<String, String>,
    },
    /// Write into the ledger what was decided through this store.
    Tell { writer: Writer },
    /// Whether what the database had by this revision is in force; waits a moment for it.
    InForce { revision: u64 },
    /// Which servers cannot be looked at.
    Absent,
    /// Which approvals that wait are void by what is in force.
    Void,
    /// Entries from this one on.
    Entries { from: u64, max: usize },
    /// A value beside an entry.
    Value { index: u64, slot: Slot },
    /// Erase a value beside an entry of this call, and have in the record who did.
    Erase { index: u64, slot: Slot, call: CallId, by: String },
    /// Prove that an entry is in the log.
    Prove { index: u64 },
    /// Write the log to a folder.
    Export { to: PathBuf, values: bool },
    /// Sign a checkpoint.
    Checkpoint,
    /// Read the configuration anew.
    Reload,
    /// Which settings are in force.
    Settings,
    /// Whether this server has been looked at; `anew` has it looked at now, where it has not, and not only when it is its turn.
    Ready {
        server: ServerName,
        #[serde(default)]
        anew: bool,
    },
    /// A first policy for what this server offers.
    Starter { server: ServerName },
    /// Somebody's word on an approval.
    Decide {
        approval: ApprovalId,
        by: UserName,
        word: Word,
        #[serde(default)]
        reason: Option<String>,
        /// The account of the machine that said it, for the record.
        #[serde(default)]
        account: Option<String>,
    },
    /// A link into the console, for this person or for an administrator without a name.
    ConsoleLink {
        #[serde(default)]
        person: Option<UserName>,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub(crate) enum Response {
    Here {
        pid: u32,
        version: String,
        listen: String,
        config: PathBuf,
        /// Whose rows of which database it goes by ([`Place::house`]).
        #[serde(default)]
        house: Option<Digest>,
        /// Why the files of its database are not those that others find.
        #[serde(default)]
        replaced: Option<String>,
    },
    Recorded {
        index: u64,
    },
    Told {
        events: usize,
    },
    InForce {
        yes: bool,
    },
    Absent {
        servers: BTreeMap<ServerName, Absent>,
    },
    Void {
        approvals: BTreeMap<ApprovalId, Part>,
    },
    Entries {
        log: String,
        size: u64,
        /// Each exactly as it is in the log.
        entries: Vec<(u64, String)>,
    },
    /// Kept values as text where they are text.
    Value {
        state: ValueState,
        text: Option<String>,
    },
    Erased {
        /// What was there until now.
        was: ValueState,
    },
    Proof {
        proof: EntryProof,
        key: String,
    },
    Exported {
        dir: PathBuf,
        entries: u64,
        checkpoint: String,
    },
    Checkpoint {
        note: String,
        key: String,
    },
    Reloaded {
        problems: Vec<String>,
    },
    Settings(Box<InForce>),
    Ready {
        ready: bool,
        /// Why the last look at it failed, where none has succeeded since.
        #[serde(default)]
        fault: Option<String>,
        /// How many looks have failed so far without one that did not.
        #[serde(default)]
        failed: u32,
    },
    Starter {
        text: String,
    },
    /// How the approval stands now.
    Decided {
        approval: Box<Approval>,
    },
    /// The word does not count; one sentence.
    Unfit {
        why: String,
    },
    ConsoleLink {
        link: String,
    },
    /// It did not work; one sentence.
    Failed {
        why: String,
    },
}

/// The settings in force, as `callgate settings --effective` writes them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InForce {
    pub(crate) pid: u32,
    pub(crate) config: PathBuf,
    /// When they were read.
    pub(crate) since: Timestamp,
    /// Of the text of the configuration.
    pub(crate) digest: Digest,
    /// Newer files, where there are any that do not hold.
    pub(crate) refused: Option<Refused>,
    pub(crate) settings: toml::Table,
}

/// Files that were read and are not in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) at: Timestamp,
    pub(crate) problems: Vec<String>,
}

/// Whether the value beside an entry can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValueState {
    Kept,
    Erased,
    NeverKept,
}

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

/// Asks the gateway at this socket.
pub(crate) async fn ask(socket: &Path, request: &Request) -> anyhow::Result<Response> {
    let fail = || format!("no gateway answers at `{}`", socket.display());
    let stream = UnixStream::connect(socket).await.with_context(fail)?;
    let (reader, mut writer) = stream.into_split();
    let raw = serde_json::to_vec(request)?;
    let greeting = gateway::listen::unix::Greeting::Command { raw: raw.into() };
    writer.write_all(greeting.line().as_bytes()).await.with_context(fail)?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(ANSWER_BYTES_MAX));
    time::timeout(ANSWER_TIME, reader.read_until(b'\n', &mut line))
        .await
        .with_context(fail)?
        .with_context(fail)?;
    serde_json::from_slice(&line).context("the gateway's answer cannot be read: is it of the same version?")
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
