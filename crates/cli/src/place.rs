//! Where everything is: the configuration, the policies beside it, and the state it names.

pub(crate) mod in_force;

use crate::{
    control,
    failure::Failure,
    indexed,
    keys::Handed,
    say::{self, Say},
    settings::{self, Meant},
    sources::{SystemClock, SystemEntropy},
    surroundings::Surroundings,
};
use anyhow::{Context as _, anyhow};
use decision::{Digest, ServerName};
use gateway::settings::{Reach, ServerSettings};
use std::{
    fs::{self, DirBuilder},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{Opening, Scope, Store, StoreError};
use tokio::time::Duration;

const FILE: &str = "callgate.toml";
/// From when on somebody who waits for the database is told so.
const SILENT: Duration = Duration::from_secs(2);
const WAITING: &str = "waiting for the database: something else writes to it, or it does not answer";
/// Largest configuration or policy file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most policy files.
const POLICIES_MAX: usize = 1_000;
/// The owner's socket, in the folder for state.
const SOCKET: &str = "callgate.sock";

/// A configuration that was read, or the defaults where there is none yet.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) config: PathBuf,
    /// False when there is no file and the defaults stand in.
    pub(crate) written: bool,
    /// Of the very text that was read: two that are alike mean the same.
    pub(crate) digest: Digest,
    text: Arc<str>,
    pub(crate) meant: Meant,
    /// What a gateway goes by, where that is not what the files beside the configuration say.
    policies: Option<Vec<policy::Source>>,
    /// What this process was handed for finding keys.
    pub(crate) handed: Arc<Handed>,
}

/// Which configuration is meant: the one given, else the one here, else the user's own.
///
/// Errors: [`Failure::Usage`] when the one given does not exist, or there is no place for one.
pub(crate) fn config(given: Option<&Path>, surroundings: &Surroundings) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let here = PathBuf::from(FILE);
    if here.is_file() {
        return Ok(here);
    }
    users(surroundings)
}

/// The user's own configuration. A program that is started wherever somebody happens to be, as `wrap` is, looks
/// only here: a folder that came from elsewhere must not say which programs are started.
pub(crate) fn users(surroundings: &Surroundings) -> Result<PathBuf, Failure> {
    let home = surroundings.config_home.as_deref();
    home.map(|home| home.join("callgate").join(FILE)).ok_or_else(|| {
        Failure::Usage("there is no home directory: name the configuration with `--config PATH`".to_owned())
    })
}

impl Place {
    /// Reads and checks the configuration. Without a file the defaults stand in, unless it was asked for by name.
    ///
    /// Errors: [`Failure::Settings`] with every problem; [`Failure::Usage`] when a file asked for is not there.
    pub(crate) fn read(given: Option<&Path>, surroundings: &Surroundings) -> Result<Self, Failure> {
        let config = config(given, surroundings)?;
        Self::at(&config, given.is_some(), surroundings)
    }

    /// Reads the configuration in this very file, which is not empty.
    pub(crate) fn at(config: &Path, must_exist: bool, surroundings: &Surroundings) -> Result<Self, Failure> {
        let text = match bounded(config) {
            // mostly an accident, or in the middle of being written: by defaults, another folder would be meant for the state
            Ok(text) if text.trim().is_empty() => {
                return Err(Failure::refused(format!(
                    "`{}` is empty, and defaults do not stand in for what it said: put it back or remove it (a line such as \
                     `# defaults` says that they are meant)",
                    config.display()
                )));
            }
            Ok(text) => Some(text),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !must_exist => None,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let path = config.display();
                return Err(Failure::Usage(format!(
                    "there is no file `{path}`: write it with `callgate init`"
                )));
            }
            Err(e) => {
                return Err(anyhow!(e).context(format!("cannot read `{}`", config.display())).into());
            }
        };
        Self::of_text(config, text.as_deref(), surroundings)
    }

    /// What this text means in this file. Without one, what the defaults mean.
    fn of_text(config: &Path, text: Option<&str>, surroundings: &Surroundings) -> Result<Self, Failure> {
        let (written, text) = (text.is_some(), text.unwrap_or_default());
        let meant = settings::read(config, text, &default_state(surroundings)).map_err(Failure::Settings)?;
        Ok(Self {
            config: config.to_owned(),
            written,
            digest: Digest::of(text.as_bytes()),
            text: text.into(),
            meant,
            policies: None,
            handed: Arc::clone(&surroundings.handed),
        })
    }

    /// The very text that was read. It may hold the password of a database.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whose rows the commands work on.
    pub(crate) fn scope(&self) -> Scope {
        self.meant.settings.scope()
    }

    /// Whose rows of which database: two are alike where a command and a gateway mean the same, however they spell it.
    pub(crate) fn house(&self) -> Digest {
        let database = match self.meant.database.strip_prefix("sqlite:") {
            Some(path) => {
                let path = Path::new(path);
                let absolute = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
                absolute.unwrap_or_else(|_| path.to_owned()).into_os_string().into_encoded_bytes()
            }
            None => settings::without_password(&self.meant.database).into_bytes(),
        };
        let scope = self.scope();
        let (tenant, environment) = (scope.tenant.as_str().as_bytes(), scope.environment.as_str().as_bytes());
        Digest::of_parts(&[tenant, b"\0", environment, b"\0", &database])
    }

    pub(crate) fn policies_dir(&self) -> PathBuf {
        self.config.parent().unwrap_or(Path::new(".")).join("policies")
    }

    /// The policy files beside the configuration, by name. No folder is no policies.
    pub(crate) fn policies(&self) -> anyhow::Result<Vec<policy::Source>> {
        if let Some(policies) = &self.policies {
            return Ok(policies.clone());
        }
        let dir = self.policies_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(anyhow!(e).context(format!("cannot read `{}`", dir.display()))),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read `{}`", dir.display()))?.path();
            // an editor's leftovers begin with a dot
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !hidden && path.extension().is_some_and(|end| end == "cedar") {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.len() > POLICIES_MAX {
            return Err(anyhow!("`{}` holds more than {POLICIES_MAX} policy files", dir.display()));
        }
        let read = |path: &PathBuf| {
            let text = bounded(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            Ok(policy::Source { path: path.display().to_string(), text })
        };
        paths.iter().map(read).collect()
    }

    /// What is beside the policies, looks like some, and is not read.
    pub(crate) fn overlooked(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.policies_dir()).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
            .filter(|path| {
                let end = path.extension().unwrap_or_default();
                path.is_dir() || (end != "cedar" && end.eq_ignore_ascii_case("cedar"))
            })
            .collect();
        found.sort();
        found
    }

    /// Files that say who may do what, or that sign the record, and that others can write: whoever does decides.
    pub(crate) fn loose(&self) -> Vec<(PathBuf, u32)> {
        let entries = fs::read_dir(self.policies_dir()).into_iter().flatten().flatten();
        let rules = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "cedar"));
        let mut files: Vec<(PathBuf, u32)> = rules.map(|path| (path, 0o002)).collect();
        files.push((self.policies_dir(), 0o002));
        files.push((self.config.clone(), 0o002));
        files.push((self.ledger_dir().join("log.key"), 0o077));
        files.sort();
        let mode = |path: &PathBuf| fs::metadata(path).ok().map(|of| of.permissions().mode());
        let too_much = |(path, bits): (PathBuf, u32)| {
            mode(&path).filter(|mode| mode & bits != 0).map(|mode| (path, mode & 0o777))
        };
        files.into_iter().filter_map(too_much).collect()
    }

    /// Servers on other machines that are sent a secret without TLS, and addresses there that are told of approvals:
    /// whoever is on the way reads it.
    pub(crate) fn in_the_clear(&self) -> Vec<String> {
        let servers = self.meant.settings.servers.iter();
        let of = |(name, server): (&ServerName, &ServerSettings)| {
            let (Reach::Http { url } | Reach::Sse { url }) = &server.reach else {
                return None;
            };
            let is_here = egress::means_this_machine(url.host_str()?);
            let is_secret = !server.credentials.is_empty() || server.assertion.is_some();
            (url.scheme() == "http" && !is_here && is_secret).then(|| {
                format!(
                    "server `{name}` is sent a credential over plain HTTP: whoever is on the way to {} reads it; write `https://`",
                    url.host_str().unwrap_or_default()
                )
            })
        };
        let hooks = self.meant.console.hooks.iter().filter(|hook| settings::is_in_the_clear(&hook.url)).map(|hook| {
            format!(
                "webhook `{}` is told of approvals over plain HTTP: whoever is on the way to {} reads them, with arguments and who asks; write `https://`",
                hook.name,
                hook.url.host().unwrap_or_default()
            )
        });
        servers.filter_map(of).chain(hooks).collect()
    }

    /// All of these as sentences for an operator.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let overlooked = self.overlooked();
        let unread = overlooked.iter().map(|path| {
            format!(
                "`{}` is not read: rules are in files that end in `.cedar`, in `policies` itself",
                path.display()
            )
        });
        let loose = self.loose();
        let open = loose.iter().map(|(path, mode)| {
            let path = path.display();
            format!("others can change or read `{path}` (mode {mode:03o}), and with it what is allowed or recorded: run `chmod go-w {path}`, for a key `chmod 600`")
        });
        unread.chain(open).chain(self.in_the_clear()).collect()
    }

    /// The folder for state, made if need be. It holds keys and must be the owner's alone.
    pub(crate) fn state(&self) -> anyhow::Result<&Path> {
        // before anything is made in it
        self.private()?;
        let dir = self.meant.state_dir.as_path();
        let fail = || format!("cannot use the state directory `{}`", dir.display());
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(fail)?;
        // a record whose folder's name is lost with the power is lost whole
        for made in missing {
            let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(above).and_then(|above| above.sync_all()).with_context(fail)?;
        }
        self.private()?;
        Ok(dir)
    }

    /// Errors: there is a folder for state, and others can read or change what is in it: keys, the record, and the socket
    /// that commands are given over.
    pub(crate) fn private(&self) -> anyhow::Result<()> {
        private(&self.meant.state_dir)
    }

    /// Whether there is a record or a database yet: what only reads does not make them.
    pub(crate) fn is_begun(&self) -> bool {
        self.has_ledger() || self.nothing_kept().is_none()
    }

    pub(crate) fn has_ledger(&self) -> bool {
        store::ledger::is_begun(&self.ledger_dir())
    }

    pub(crate) fn ledger_dir(&self) -> PathBuf {
        self.meant.state_dir.join("ledger")
    }
    pub(crate) fn kek_path(&self) -> PathBuf {
        self.meant.state_dir.join(settings::STATE_FILE)
    }
    /// How a passphrase becomes a key.
    pub(crate) fn kdf_path(&self) -> PathBuf {
        self.meant.state_dir.join("secrets.kdf")
    }
    /// Errors: somebody else could be listening there.
    pub(crate) fn socket_path(&self) -> anyhow::Result<PathBuf> {
        self.private()?;
        Ok(self.meant.state_dir.join(SOCKET))
    }

    /// What is said where nothing is kept yet. Whoever only reads begins nothing.
    pub(crate) fn nothing_kept(&self) -> Option<String> {
        let file = self.meant.database.strip_prefix("sqlite:").filter(|path| !Path::new(path).exists())?;
        Some(format!(
            "there is no state here: `{file}` does not exist; `callgate serve` begins it, and `--config` names another place"
        ))
    }

    /// What is told where the database is not there, beside a record that was begun with one.
    fn away(&self) -> Option<StoreError> {
        let file = self.meant.database.strip_prefix("sqlite:").filter(|path| !Path::new(path).exists())?;
        self.has_ledger().then(|| StoreError::Away {
            place: format!("`{file}`").into(),
            left: format!("the record `{}`", self.ledger_dir().display()),
            cure: "put it back; or begin another with `callgate audit rebuild-index --accept-older-database`, which says what is lost with it",
        })
    }

    /// Opens the store for whoever only reads. Where there is none, a remark says where it was looked for.
    pub(crate) async fn store_to_read(&self, say: Say) -> anyhow::Result<Store> {
        if let Some(nothing) = self.nothing_kept() {
            say.aside(nothing);
        }
        match self.looked_at().await? {
            Ok(store) => Ok(store),
            Err(nothing) => {
                say.aside(nothing.to_string());
                self.empty().await
            }
        }
    }

    /// The same for what is asked before anything is kept.
    pub(crate) async fn store_or_empty(&self) -> anyhow::Result<Store> {
        match self.looked_at().await? {
            Ok(store) => Ok(store),
            Err(_) => self.empty().await,
        }
    }

    /// The store as it is. Errors: also that there is none.
    pub(crate) async fn store_as_it_is(&self) -> anyhow::Result<Store> {
        match self.nothing_kept() {
            Some(nothing) if self.away().is_none() => Err(anyhow!(nothing)),
            Some(_) | None => Ok(self.looked_at().await??),
        }
    }

    /// The store as it is, or what says that there is none.
    pub(crate) async fn looked_at(&self) -> anyhow::Result<Result<Store, StoreError>> {
        if self.meant.state_dir.exists() {
            self.state()?;
        }
        self.is_whole().await?;
        if self.nothing_kept().is_some() {
            return Ok(Ok(self.empty().await?));
        }
        match self.opened(Opening::Look).await {
            Err(nothing @ StoreError::Nothing { .. }) => Ok(Err(nothing)),
            opened => Ok(Ok(opened?)),
        }
    }

    /// A store with nothing in it.
    pub(crate) async fn empty(&self) -> anyhow::Result<Store> {
        Ok(Store::empty(Arc::new(SystemClock), Arc::new(SystemEntropy)).await?)
    }

    /// Errors: the database is away, or a gateway that runs has another than the one whose files are there.
    async fn is_whole(&self) -> anyhow::Result<()> {
        control::is_in_place(self).await?;
        let Some(away) = self.away() else { return Ok(()) };
        // a gateway that goes by another database than the file says by now is the better reason
        control::goes_by(self).await?;
        Err(away.into())
    }

    /// Opens the store, and makes it if need be: not beside a record, which was begun with one.
    pub(crate) async fn store(&self) -> anyhow::Result<Store> {
        self.state()?;
        self.is_whole().await?;
        Ok(self.opened(Opening::Use).await?)
    }

    /// Opens the store, makes it if need be, and brings it up to date. For a gateway.
    pub(crate) async fn store_to_serve(&self) -> anyhow::Result<Store> {
        self.state()?;
        // one that is begun here would be refused, and would be there from then on
        if let Some(away) = self.away()
            && indexed::had(&self.ledger_dir()).is_some()
        {
            return Err(away.into());
        }
        Ok(self.opened(Opening::Move).await?)
    }

    /// Begins a database in the place of one that is away. For somebody who knows what is lost with that.
    pub(crate) async fn begin_another(&self) -> anyhow::Result<()> {
        control::is_in_place(self).await?;
        if self.away().is_some() {
            self.state()?;
            self.opened(Opening::Use).await?.close().await;
        }
        Ok(())
    }

    async fn opened(&self, opening: Opening) -> Result<Store, StoreError> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let mut opened = Box::pin(Store::open_as(&self.meant.database, opening, clock, entropy));
        match tokio::time::timeout(SILENT, &mut opened).await {
            Ok(opened) => opened,
            Err(_) => {
                say::aside(WAITING);
                opened.await
            }
        }
    }
}

/// Where state is kept unless the file names a folder.
fn default_state(surroundings: &Surroundings) -> PathBuf {
    let home = surroundings.state_home.as_deref();
    home.map_or_else(|| PathBuf::from(".callgate"), |home| home.join("callgate"))
}

/// Errors: there is a folder for state here, and it is not this user's alone.
fn private(dir: &Path) -> anyhow::Result<()> {
    let path = dir.display();
    let found = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| format!("cannot use the state directory `{path}`"))?,
    };
    let owner = found.uid();
    if owner != launch::own_user() {
        return Err(anyhow!(
            "the state directory `{path}` belongs to another user (number {owner}), who can read and change what is in it: \
             run callgate as that user, or name a folder of your own as `state-dir`"
        ));
    }
    if found.mode() & 0o077 != 0 {
        return Err(anyhow!("the state directory `{path}` is open to others: run `chmod 700 {path}`"));
    }
    Ok(())
}

/// As much of a file as may be one of ours, whatever it is.
fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    launch::open_plain(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bounded(path: &Path) -> io::Result<String> {
    let file = launch::open_plain(path)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
