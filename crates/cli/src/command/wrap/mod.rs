//! `callgate wrap -- COMMAND ARGS…`: put in front of a server in a Host's configuration. It starts or joins the
//! user's one gateway, makes sure that the gateway knows the server, and then copies bytes both ways.

pub(crate) mod declare;

use crate::{
    cli::Given,
    command::{
        self,
        import::PLACEHOLDER,
        init::{self, STARTER},
    },
    control::{self, Request, Response},
    failure::{Failure, Outcome, Verdict},
    place::{self, Place},
    rewrite,
    surroundings::Surroundings,
};
use anyhow::{Context as _, anyhow, bail};
use clap::Args as ClapArgs;
use decision::ServerName;
use declare::Declared;
use gateway::{exchange::Entrance, listen::unix::Greeting, settings::Place as Destination};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::{
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time,
};

/// For a gateway to come up: it reads its whole ledger first.
const START_TIME: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// For a server's first look, before the Host is answered without it.
const FIRST_LOOK: Duration = Duration::from_secs(20);
/// For answers that are under way when the Host closes its end.
const LAST_WORDS: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The name the server gets, instead of one taken from the command; without a command, a server that the configuration has
    #[arg(long)]
    name: Option<ServerName>,
    /// A variable of this environment that the server needs, such as an API key: it is sealed as a secret once and
    /// given to the server only; may be given several times
    #[arg(long = "secret-env", value_name = "VARIABLE")]
    secrets: Vec<String>,
    /// The server's command and its arguments, after `--`
    #[arg(last = true, required_unless_present = "name", value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let config = match &given.config {
        Some(config) => config.clone(),
        None => place::users(&given.surroundings)?,
    };
    // the gateway outlives this folder
    let config = std::path::absolute(&config)?;
    init::write_new(&config, init::CONFIG)?;
    let declared = {
        let _one = lock_of(&config).await?;
        let place = Place::at(&config, true, &given.surroundings)?;
        declare::declare(&place, &args, given)?
    };
    let place = Place::at(&config, true, &given.surroundings)?;
    let mut sealed = Vec::new();
    if let Err(failure) = put_in_force(&place, &declared, &mut sealed, given).await {
        if let Some(block) = &declared.added {
            take_back(&place, &declared.server, block, &sealed, given).await;
        }
        return Err(failure);
    }
    let socket = place.socket_path()?;
    if declared.added.is_some() || place.policies()?.is_empty() || is_awaited(&place, &declared.server) {
        first_policy(&place, &declared.server, given).await?;
    }
    talk(&socket, &declared.server).await
}

/// Has a gateway run that knows the server. What came to the vault is in `sealed`, whatever fails behind it.
async fn put_in_force(
    place: &Place,
    declared: &Declared,
    sealed: &mut Vec<Sealed>,
    given: &Given,
) -> Result<(), Failure> {
    seal(place, &declared.server, sealed, given).await?;
    join(place, given).await?;
    if declared.added.is_some() {
        reload(&place.socket_path()?).await?;
    }
    Ok(())
}

/// Leaves everything as it was before a server was added that the gateway did not take: the next start may try again.
async fn take_back(place: &Place, server: &ServerName, block: &str, sealed: &[Sealed], given: &Given) {
    for one in sealed {
        // what somebody has replaced meanwhile is theirs
        let _ = command::secret::take_out(place, &one.named, one.version, given).await;
    }
    let taken = match lock_of(&place.config).await {
        Ok(_one) => declare::take_out(&place.config, block),
        Err(error) => Err(error),
    };
    let config = place.config.display();
    given.say.aside(match taken {
        Ok(()) => format!("callgate: took `{server}` out of `{config}` again, because no gateway took it"),
        Err(error) => format!("callgate: `{server}` is still in `{config}`: {error:#}"),
    });
}

/// A variable's value that came to the vault.
struct Sealed {
    named: command::secret::Named,
    version: u64,
}

/// Stores what the server needs and nobody stored yet, from the variables of this environment.
async fn seal(
    place: &Place,
    server: &ServerName,
    sealed: &mut Vec<Sealed>,
    given: &Given,
) -> Result<(), Failure> {
    let Some(settings) = place.meant.settings.servers.get(server) else { return Ok(()) };
    let wrapped = settings.credentials.iter().filter_map(|one| match &one.place {
        Destination::Env { name } if one.secret == declare::secret_name(server, name).ok()? => {
            Some((&one.secret, name))
        }
        Destination::Env { .. } | Destination::Header { .. } | Destination::Query { .. } => None,
    });
    let wrapped: Vec<_> = wrapped.collect();
    if wrapped.is_empty() {
        return Ok(());
    }
    let store = place.store().await?;
    for (secret, variable) in wrapped {
        if store.sealed_secret(&place.scope(), secret, server, None).await?.is_some() {
            continue;
        }
        let value = Surroundings::named(variable).ok_or_else(|| {
            Failure::Usage(format!(
                "the variable `{variable}` is not set here: set it, or store `{secret}` yourself"
            ))
        })?;
        let value = vault::Secret::from_input(value).with_context(|| format!("variable `{variable}`"))?;
        let new = command::secret::New { server: Some(server.clone()), ..Default::default() };
        let named = command::secret::Named { name: secret.clone(), user: None };
        let version = command::secret::put(place, &named, new, &value, given).await?;
        sealed.push(Sealed { named, version });
        given.say.aside(format!("callgate: sealed `{variable}` as secret `{secret}`"));
    }
    Ok(())
}

/// Waits until nobody else changes this configuration.
pub(crate) async fn lock_of(config: &Path) -> anyhow::Result<File> {
    if let Some(folder) = config.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    lock(&config.with_extension("toml.lock")).await
}

/// Waits for a lock that lasts as long as the file is open.
async fn lock(path: &Path) -> anyhow::Result<File> {
    let fail = || format!("cannot lock `{}`", path.display());
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = open.with_context(fail)?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?.with_context(fail)
}

/// Starts the user's gateway, unless it runs. Of several at once one starts it, and the others wait.
async fn join(place: &Place, given: &Given) -> anyhow::Result<()> {
    let (state, socket) = (place.state()?.to_owned(), place.socket_path()?);
    if control::ping(&socket).await.is_some() {
        return Ok(());
    }
    let _one = lock(&state.join("start.lock")).await?;
    if control::ping(&socket).await.is_some() {
        return Ok(());
    }
    let log = state.join("gateway.log");
    let mut gateway = spawn(&place.config, &log).context("cannot start the gateway")?;
    let deadline = time::Instant::now() + START_TIME;
    while control::ping(&socket).await.is_none() {
        if let Some(status) = gateway.try_wait()? {
            let (why, log) = (last_lines(&log), log.display());
            if why.is_empty() {
                // a full disk takes no line of a log either
                let config = place.config.display();
                bail!(
                    "the gateway did not start ({status}), and could not write to `{log}` why: `callgate serve --config {config}` tells it here"
                );
            }
            bail!("the gateway did not start ({status}); `{log}` ends so:\n{why}");
        }
        if time::Instant::now() > deadline {
            bail!("the gateway does not answer; see `{}`", log.display());
        }
        time::sleep(PAUSE).await;
    }
    given.say.aside(format!(
        "callgate: started the gateway (process {}), log in `{}`",
        gateway.id(),
        log.display()
    ));
    Ok(())
}

/// The gateway in the background: its own process group, so that what ends this program does not end it.
fn spawn(config: &Path, log: &Path) -> std::io::Result<std::process::Child> {
    let errors = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    std::process::Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--config")
        .arg(config)
        .current_dir(config.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .process_group(0)
        .spawn()
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
}

async fn reload(socket: &Path) -> anyhow::Result<()> {
    match control::ask(socket, &Request::Reload).await? {
        Response::Reloaded { problems } if problems.is_empty() => Ok(()),
        Response::Reloaded { problems } => {
            bail!(
                "the gateway did not take the configuration: {}; mend that and start this again",
                problems.join("; ")
            )
        }
        other @ (Response::Here { .. }
        | Response::Recorded { .. }
        | Response::Told { .. }
        | Response::InForce { .. }
        | Response::Absent { .. }
        | Response::Looked(_)
        | Response::Void { .. }
        | Response::Entries { .. }
        | Response::Value { .. }
        | Response::Erased { .. }
        | Response::Proof { .. }
        | Response::Exported { .. }
        | Response::Checkpoint { .. }
        | Response::Settings(_)
        | Response::Written { .. }
        | Response::Ready { .. }
        | Response::Starter { .. }
        | Response::Decided { .. }
        | Response::Unfit { .. }
        | Response::ConsoleLink { .. }
        | Response::Failed { .. }) => bail!("the gateway did not read its files anew: {other:?}"),
    }
}

/// Whether every policy there is was written by a `wrap`: then a new server gets one too. As soon as somebody has
/// written rules of their own, what a new server may do is theirs to say.
pub(crate) fn only_starters(place: &Place) -> anyhow::Result<bool> {
    let is_starter = |source: &policy::Source| {
        Path::new(&source.path).file_name().is_some_and(|name| name.to_string_lossy().starts_with(STARTER))
    };
    Ok(place.policies()?.iter().all(is_starter))
}

fn starter_path(place: &Place, server: &ServerName) -> PathBuf {
    place.policies_dir().join(format!("{STARTER}-{server}.cedar"))
}

/// Whether an import, or a start without an answer, left the first policy to whoever sees the server first.
fn is_awaited(place: &Place, server: &ServerName) -> bool {
    fs::read_to_string(starter_path(place, server)).is_ok_and(|text| text == PLACEHOLDER)
}

/// Writes the server's first policy, from what it offers, as soon as that is known.
async fn first_policy(place: &Place, server: &ServerName, given: &Given) -> Result<(), Failure> {
    let socket = place.socket_path()?;
    if !only_starters(place)? {
        given.say.aside(format!(
            "callgate: you have rules of your own, so nothing of `{server}` is permitted before one of them does; \
             `callgate registry list {server}` shows what it offers"
        ));
        return Ok(());
    }
    let deadline = time::Instant::now() + FIRST_LOOK;
    // one that did not answer before may wait a minute for its next turn
    let mut anew = is_awaited(place, server);
    // a look that failed before this one was asked for says nothing of it
    let mut old = None;
    loop {
        let asked = control::ask(&socket, &Request::Ready { server: server.clone(), anew }).await?;
        let Response::Ready { ready, fault, failed } = asked else {
            return Err(anyhow!("the gateway does not say how `{server}` is").into());
        };
        if ready {
            break;
        }
        let old = *old.get_or_insert(if anew { failed } else { 0 });
        anew = false;
        // it is asked anew ever later, and its client waits meanwhile
        let fault = fault.filter(|_| failed > old);
        if fault.is_some() || time::Instant::now() > deadline {
            // so that the next start knows that it is awaited
            init::write_new(&starter_path(place, server), PLACEHOLDER)?;
            let why = fault
                .map_or_else(|| "does not answer yet".to_owned(), |why| format!("cannot be used: {why}"));
            given.say.aside(format!(
                "callgate: `{server}` {}, so nothing of it is permitted; see `{}`. The next start of this command writes its \
                 first policy, as soon as it answers",
                crate::say::one_line(&why),
                place.meant.state_dir.join("gateway.log").display(),
            ));
            return Ok(());
        }
        time::sleep(PAUSE).await;
    }
    let starter = Request::Starter { server: server.clone() };
    let Response::Starter { text } = control::ask(&socket, &starter).await? else {
        return Err(anyhow!("the gateway wrote no first policy").into());
    };
    let path = starter_path(place, server);
    let written = if is_awaited(place, server) {
        rewrite::replace(&path, text.as_bytes(), 0o600).map(|()| true)
    } else {
        init::write_new(&path, &text)
    };
    if written? {
        given.say.aside(format!(
            "callgate: wrote a first policy, `{}`: it permits what the author says only reads",
            path.display()
        ));
    }
    Ok(reload(&socket).await?)
}

/// Greets, and copies until either side has nothing more to say.
async fn talk(socket: &Path, server: &ServerName) -> Outcome {
    let stream = UnixStream::connect(socket).await.context("the gateway went away")?;
    let (reader, mut writer) = stream.into_split();
    let greeting = Greeting::Mcp { entrance: Entrance::Server(server.to_string()), agent: None };
    writer.write_all(greeting.line().as_bytes()).await.context("the gateway went away")?;
    let mut reader = BufReader::new(reader);
    let mut answer = Vec::new();
    (&mut reader)
        .take(ANSWER_BYTES_MAX)
        .read_until(b'\n', &mut answer)
        .await
        .context("the gateway went away")?;
    let answer: serde_json::Value =
        serde_json::from_slice(&answer).context("the gateway did not greet back")?;
    if let Some(why) = answer.get("error").and_then(|why| why.as_str()) {
        return Err(anyhow!("the gateway does not let this in: {why}").into());
    }
    let up = async {
        let copied = tokio::io::copy(&mut tokio::io::stdin(), &mut writer).await;
        // the gateway reads the end and finishes what is under way
        let _ = writer.shutdown().await;
        copied
    };
    let down = async {
        let mut out = tokio::io::stdout();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = reader.read(&mut buffer).await?;
            if read == 0 {
                return Ok::<(), std::io::Error>(());
            }
            out.write_all(buffer.get(..read).unwrap_or_default()).await?;
            // a Host waits for every line
            out.flush().await?;
        }
    };
    tokio::pin!(down);
    tokio::select! {
        _ = up => {
            // what is still being said may be finished
            let _ = time::timeout(LAST_WORDS, down).await;
            Ok(Verdict::Yes)
        }
        ended = &mut down => {
            ended.context("the gateway went away")?;
            Err(anyhow!("the gateway ended the conversation").into())
        }
    }
}
