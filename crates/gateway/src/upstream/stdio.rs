//! A server that is a child of ours: one message a line, both eras, requests told apart by id.

use super::connection::{CANCEL_GRACE, INITIALIZE_ID, Means, Opening, Outgoing, until};
use super::fault::{Fault, FaultKind, printable};
use super::handshake;
use super::injected::{Injected, Received};
use super::pending::{Answer, Patience, Pending, Place, Ticket};
use crate::places::Taken;
use bytes::{Buf, Bytes};
use launch::{Child, ChildStdin, EnvValue, Exit, Grace, LineError, Lines};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::Revision;

/// Messages that wait to be written. A server that does not read holds its callers back.
const QUEUE_MAX: usize = 64;
/// For a message without an answer to find a place in that queue.
const SEND_MAX: Duration = Duration::from_secs(10);
/// From the end of a server's output until its end itself is known.
const EXIT_KNOWN_MAX: Duration = Duration::from_secs(1);
/// How much of the end of stderr goes into a fault.
const STDERR_SHOWN: usize = 800;

/// What to start, as the operator declared it.
pub(super) struct Program<'a> {
    pub(super) command: &'a PathBuf,
    pub(super) args: &'a [String],
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) cwd: Option<&'a PathBuf>,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Stdio {
    pending: Arc<Pending>,
    queue: mpsc::Sender<Line>,
    stop: CancellationToken,
    /// Cancelled when the child and all it started are gone.
    gone: CancellationToken,
    /// We asked it to end.
    asked: AtomicBool,
    _stop_when_dropped: DropGuard,
}

/// One line to write, if it still may be when its turn comes.
#[derive(Debug)]
struct Line {
    frame: Bytes,
    ticket: Arc<Ticket>,
}

impl Stdio {
    /// Starts the server, and for the legacy era shakes hands.
    pub(super) async fn open(
        program: Program<'_>,
        means: &Means,
        opening: Opening,
    ) -> Result<(Self, Revision, Option<Received>), Fault> {
        let limits = launch::Limits {
            line_bytes_max: means.bounds().result_bytes,
            start_max: means.bounds().open,
            ..launch::Limits::default()
        };
        let full = || Fault::unsent(FaultKind::Busy, "as many children run as may");
        let place = means.children.take(means.bounds().children).ok_or_else(full)?;
        let command = command(&program, means, &opening.injected);
        let child = Child::spawn(&means.supervisor, command, limits)
            .await
            .map_err(|error| Fault::unsent(FaultKind::Unreachable, error.to_string()))?;
        let own = !opening.revision.is_modern();
        let pending = Pending::new(opening.sink, own, opening.hidden);
        let stdio = Self::drive(child, place, pending, means, Arc::clone(&opening.injected));
        if opening.revision.is_modern() {
            return Ok((stdio, opening.revision, None));
        }
        let shaken = stdio.shake(opening.hello, means.bounds().open).await;
        match shaken {
            Ok((revision, hello)) => Ok((stdio, revision, Some(hello))),
            Err(fault) => {
                stdio.close().await;
                Err(fault)
            }
        }
    }

    fn drive(
        mut child: Child,
        place: Taken,
        pending: Arc<Pending>,
        means: &Means,
        injected: Arc<Injected>,
    ) -> Self {
        let (queue, lines) = mpsc::channel(QUEUE_MAX);
        let stop = CancellationToken::new();
        let gone = CancellationToken::new();
        let writing = stop.child_token();
        if let Some(stdin) = child.stdin.take() {
            tokio::spawn(write(stdin, lines, writing.clone()));
        }
        let run = Run {
            child,
            pending: Arc::clone(&pending),
            limits: means.bounds().scan(),
            injected,
            stop: stop.clone(),
            writing,
            gone: gone.clone(),
            place,
        };
        tokio::spawn(run.follow());
        let asked = AtomicBool::new(false);
        Self { pending, queue, stop: stop.clone(), gone, asked, _stop_when_dropped: stop.drop_guard() }
    }

    async fn shake(&self, hello: Option<Bytes>, timeout: Duration) -> Result<(Revision, Received), Fault> {
        let (sink, _) = mpsc::channel(1);
        let initialize = Outgoing {
            id: INITIALIZE_ID,
            frame: handshake::initialize(hello)?,
            headers: Vec::new(),
            injected: Arc::default(),
            timeout: Some(timeout),
            // a handshake may not be cancelled (2025-11-25 `basic/utilities/cancellation`)
            cancel: CancellationToken::new(),
            sink,
            beside_calls: false,
        };
        let answer = self.exchange(initialize, false).await?;
        let revision = handshake::chosen(&answer.frame)?;
        self.send(handshake::initialized()).await?;
        Ok((revision, answer))
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(&self, outgoing: Outgoing) -> Result<Received, Fault> {
        self.exchange(outgoing, true).await
    }

    async fn exchange(&self, outgoing: Outgoing, cancellable: bool) -> Result<Received, Fault> {
        let deadline = outgoing.timeout.map(|timeout| Instant::now() + timeout);
        let mut place = self.pending.enter(&outgoing)?;
        let line = Line { frame: one_line(outgoing.frame), ticket: Arc::clone(&place.ticket) };
        tokio::select! {
            biased;
            answer = &mut place.answer => return received(answer.ok()),
            () = outgoing.cancel.cancelled() => return Err(given_up(&place)),
            room = self.queue.reserve() => match room {
                Ok(room) => room.send(line),
                Err(_) => return Err(self.ended().with_sent(false)),
            },
            () = until(deadline) => {
                return Err(Fault::unsent(FaultKind::Timeout, "the server does not read its input"));
            }
        }
        tokio::select! {
            biased;
            answer = &mut place.answer => received(answer.ok()),
            () = outgoing.cancel.cancelled() => {
                self.tell_cancelled(outgoing.id, "the caller gave up");
                match tokio::time::timeout(CANCEL_GRACE, &mut place.answer).await {
                    Ok(answer) => received(answer.ok()),
                    Err(_) => Err(given_up(&place)),
                }
            }
            () = until(deadline) => {
                if cancellable {
                    self.tell_cancelled(outgoing.id, "no answer in time");
                }
                Err(place.overdue())
            }
        }
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, frame: Bytes) -> Result<(), Fault> {
        let line = Line { frame: one_line(frame), ticket: Arc::default() };
        match self.queue.send_timeout(line, SEND_MAX).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(Fault::unsent(FaultKind::Timeout, "the server does not read its input"))
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(self.ended().with_sent(false)),
        }
    }

    /// A courtesy: a server whose queue is full does not hear it.
    fn tell_cancelled(&self, id: u64, reason: &str) {
        let line = Line { frame: handshake::cancelled(id, reason), ticket: Arc::default() };
        self.queue.try_send(line).ok();
    }

    fn ended(&self) -> Fault {
        let unknown = || Fault::unsent(FaultKind::Lost, "the server does not take input any more");
        self.pending.ended().unwrap_or_else(unknown)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.pending.is_open() && !self.stop.is_cancelled()
    }
    /// Requests that wait for an answer.
    pub(super) fn in_flight(&self) -> usize {
        self.pending.len()
    }
    /// Whether nobody waits for an answer or listens.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_idle()
    }
    /// A token cancelled when the child and all it started are gone.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }
    /// Why the server ended, if that was of its own doing.
    pub(super) fn crashed(&self) -> Option<Fault> {
        self.pending.ended().filter(|_| !self.asked.load(Ordering::Acquire))
    }

    /// Ends the server and waits until it and all it started are gone.
    pub(super) async fn close(&self) {
        // one that had ended before is not asked
        if self.pending.is_open() {
            self.asked.store(true, Ordering::Release);
        }
        self.stop.cancel();
        self.gone.cancelled().await;
    }
}

fn received(answer: Option<Answer>) -> Result<Received, Fault> {
    // the sender is dropped unused only by `Pending` itself being dropped
    answer.unwrap_or_else(|| Err(Fault::sent(FaultKind::Lost, "the pipe is gone")))
}

fn given_up(place: &Place) -> Fault {
    Fault::sent(FaultKind::Cancelled, "the caller gave up").with_sent(place.give_up())
}

/// A message as one line. Raw line breaks can only be insignificant white space in a scanned message,
/// as strings may not have them (RFC 8259 §7); on a pipe they would end the message, and let a Host
/// write a second one that nobody judged.
fn one_line(frame: Bytes) -> Bytes {
    if !frame.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        return frame;
    }
    frame.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }).collect()
}

fn command(program: &Program<'_>, means: &Means, injected: &Arc<Injected>) -> launch::Command {
    let mut command = launch::Command::new(program.command.clone());
    command.args = program.args.iter().map(Into::into).collect();
    command.cwd = program.cwd.cloned();
    for (name, value) in means.environment.iter().chain(program.env) {
        command.env.insert(name.clone(), EnvValue::Plain(value.clone()));
    }
    for (name, secret) in &injected.env {
        command.env.insert(name.clone(), EnvValue::secret(secret.expose()));
    }
    command.stderr = Some(Arc::clone(injected).stream());
    command
}

/// Writes lines until told to stop, or the server stops reading. Dropping stdin tells the server.
async fn write(mut stdin: ChildStdin, mut lines: mpsc::Receiver<Line>, writing: CancellationToken) {
    let work = async {
        while let Some(line) = lines.recv().await {
            if !line.ticket.begin() {
                continue;
            }
            let mut bytes = line.frame.chain(&b"\n"[..]);
            if stdin.write_all_buf(&mut bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = work => {}, () = writing.cancelled() => {} }
    writing.cancel();
}

/// What keeps a child: reads it, and sees it to its end.
struct Run {
    child: Child,
    pending: Arc<Pending>,
    limits: wire::Limits,
    injected: Arc<Injected>,
    stop: CancellationToken,
    /// Cancelled when nothing more is written: by us, or because the server does not read.
    writing: CancellationToken,
    gone: CancellationToken,
    /// Among the children that may run.
    place: Taken,
}

/// Why reading ended.
enum Ended {
    Stopped,
    Output,
    Input,
    Noise,
}

impl Run {
    async fn follow(mut self) {
        let ended = match self.child.stdout.take() {
            Some(mut lines) => self.read(&mut lines).await,
            None => Ended::Output,
        };
        let fault = self.why(ended).await;
        self.pending.end(&fault);
        self.pending.report();
        self.writing.cancel();
        self.child.shutdown(Grace::default()).await;
        drop(self.place);
        self.gone.cancel();
    }

    async fn read(&self, lines: &mut Lines) -> Ended {
        let mut patience = Patience::default();
        let work = async {
            loop {
                let read = match lines.next().await {
                    Ok(Some(line)) => self.pending.line(line, &self.limits, &self.injected).await,
                    Err(LineError::TooLong { max }) => self.pending.oversize(max),
                    Ok(None) | Err(LineError::Io(_)) => return Ended::Output,
                };
                if !patience.note(read) {
                    return Ended::Noise;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ended::Stopped,
            ended = work => ended,
            () = self.input_ended() => Ended::Input,
        }
    }

    /// The server reads no more. One that is ending says its last words first.
    async fn input_ended(&self) {
        self.writing.cancelled().await;
        tokio::time::sleep(EXIT_KNOWN_MAX).await;
    }

    async fn why(&self, ended: Ended) -> Fault {
        let (kind, what) = match ended {
            Ended::Stopped => (FaultKind::Lost, "was stopped".to_owned()),
            Ended::Noise => (FaultKind::Nonsense, "writes to its output what is no message".to_owned()),
            Ended::Input => (FaultKind::Lost, "closed its input".to_owned()),
            Ended::Output => {
                let exit: Option<Exit> = tokio::time::timeout(EXIT_KNOWN_MAX, self.child.wait()).await.ok();
                let what = exit.map_or_else(|| "closed its output".to_owned(), |exit| exit.to_string());
                (FaultKind::Lost, what)
            }
        };
        let said = self.child.stderr_tail();
        let said = said.trim_end();
        let from = said.char_indices().rev().nth(STDERR_SHOWN).map_or(0, |(at, _)| at);
        let last = printable(said.get(from..).unwrap_or_default(), STDERR_SHOWN);
        let detail = if last.is_empty() {
            format!("the server {what}")
        } else {
            format!("the server {what}; its last words: {last}")
        };
        Fault::sent(kind, detail)
    }
}
