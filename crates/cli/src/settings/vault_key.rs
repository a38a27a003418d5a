//! Where the key is under which secrets are sealed: as it is written and as it is meant.

use super::{file, problem::Crossing};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Spanned, Table, Value};

/// A key of 32 bytes, as they are, in base64 or in hexadecimal digits: exactly one of these.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Key {
    /// A file that only the gateway's user may read.
    file: Option<String>,
    /// A variable, which the gateway takes out of its environment.
    env: Option<String>,
    /// A credential of systemd (`LoadCredential=`), by its name.
    credential: Option<String>,
    /// A passphrase, of which argon2id makes the key.
    passphrase: Option<Passphrase>,
}

/// Where a passphrase comes from: exactly one of these.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Passphrase {
    /// Ask on the terminal.
    #[serde(default)]
    prompt: bool,
    /// A file that only the gateway's user may read.
    file: Option<String>,
    /// A credential of systemd, by its name.
    credential: Option<String>,
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySources {
    pub(crate) key: KeySource,
    pub(crate) old_keys: Vec<KeySource>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// The file in the state directory.
    State,
    File(PathBuf),
    Env(String),
    Credential(String),
    PassphrasePrompt,
    PassphraseFile(PathBuf),
    PassphraseCredential(String),
}

impl KeySources {
    /// The variables that hold a key.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.key).chain(&self.old_keys).filter_map(|source| match source {
            KeySource::Env(name) => Some(name.as_str()),
            KeySource::State
            | KeySource::File(_)
            | KeySource::Credential(_)
            | KeySource::PassphrasePrompt
            | KeySource::PassphraseFile(_)
            | KeySource::PassphraseCredential(_) => None,
        })
    }

    /// Whether a person has to be asked.
    pub(crate) fn asks(&self) -> bool {
        self.key == KeySource::PassphrasePrompt || self.old_keys.contains(&KeySource::PassphrasePrompt)
    }

    /// Whether one of them is made of a passphrase, wherever that comes from: any will do as a key, also a mistyped one.
    pub(crate) fn has_passphrase(&self) -> bool {
        std::iter::once(&self.key).chain(&self.old_keys).any(|source| match source {
            KeySource::PassphrasePrompt
            | KeySource::PassphraseFile(_)
            | KeySource::PassphraseCredential(_) => true,
            KeySource::State | KeySource::File(_) | KeySource::Env(_) | KeySource::Credential(_) => false,
        })
    }

    /// As it is written, with the default filled in.
    pub(super) fn effective(&self, state: &Path) -> Table {
        let one = |source: &KeySource| Value::Table(source.effective(state));
        let old = self.old_keys.iter().map(one).collect();
        Table::from_iter([("key".to_owned(), one(&self.key)), ("old-keys".to_owned(), Value::Array(old))])
    }
}

impl KeySource {
    fn effective(&self, state: &Path) -> Table {
        let text = |key: &str, value: String| Table::from_iter([(key.to_owned(), Value::String(value))]);
        let phrase = |inner: Table| Table::from_iter([("passphrase".to_owned(), Value::Table(inner))]);
        match self {
            Self::State => text("file", state.join(STATE_FILE).display().to_string()),
            Self::File(path) => text("file", path.display().to_string()),
            Self::Env(name) => text("env", name.clone()),
            Self::Credential(name) => text("credential", name.clone()),
            Self::PassphrasePrompt => phrase(Table::from_iter([("prompt".to_owned(), Value::Boolean(true))])),
            Self::PassphraseFile(path) => phrase(text("file", path.display().to_string())),
            Self::PassphraseCredential(name) => phrase(text("credential", name.clone())),
        }
    }
}

/// The key's file in the state directory.
pub(crate) const STATE_FILE: &str = "secrets.key";

pub(super) fn cross(
    crossing: &mut Crossing<'_>,
    written: &file::Vault,
    base: &Path,
    state: &Path,
) -> KeySources {
    let mut source = |given: &Spanned<Key>| {
        let found = source_of(given.get_ref(), base);
        // it is not repeated: somebody may have written the key itself
        found
            .map_err(|help| crossing.hidden(given.span(), "this does not say where the key is", Some(help)))
            .ok()
    };
    let key = written.key.as_ref().and_then(&mut source).unwrap_or(KeySource::State);
    // written out, the default is still the default: it is made where it is missing
    let key = if key == KeySource::File(state.join(STATE_FILE)) { KeySource::State } else { key };
    let old_keys = written.old_keys.iter().filter_map(&mut source).collect();
    let sources = KeySources { key, old_keys };
    if sources.old_keys.contains(&sources.key) {
        let at = written.old_keys.first().map(Spanned::span).unwrap_or_default();
        crossing.problem(at, "the same key is `key` and among `old-keys`", None);
    }
    sources
}

fn source_of(key: &Key, base: &Path) -> Result<KeySource, &'static str> {
    const ONE: &str = "write exactly one of `file`, `env`, `credential` and `passphrase`";
    match (&key.file, &key.env, &key.credential, &key.passphrase) {
        (Some(file), None, None, None) if !file.is_empty() => Ok(KeySource::File(base.join(file))),
        (None, Some(name), None, None) if variable(name) => Ok(KeySource::Env(name.clone())),
        (None, Some(_), None, None) => Err("`env` is the name of a variable, never the key itself"),
        (None, None, Some(name), None) => credential(name).map(KeySource::Credential),
        (None, None, None, Some(phrase)) => match (phrase.prompt, &phrase.file, &phrase.credential) {
            (true, None, None) => Ok(KeySource::PassphrasePrompt),
            (false, Some(file), None) if !file.is_empty() => Ok(KeySource::PassphraseFile(base.join(file))),
            (false, None, Some(name)) => credential(name).map(KeySource::PassphraseCredential),
            (_, _, _) => Err("a passphrase takes exactly one of `prompt = true`, `file` and `credential`"),
        },
        (_, _, _, _) => Err(ONE),
    }
}

/// POSIX, 8.1: what shells take as a name. A key written here by mistake is none.
fn variable(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_lowercase() || byte == b'_';
    name.bytes().next().is_some_and(letters)
        && name.len() < 64
        && name.bytes().all(|b| letters(b) || b.is_ascii_digit())
}

fn credential(name: &str) -> Result<String, &'static str> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if plain {
        Ok(name.to_owned())
    } else {
        Err("`credential` is the name in `LoadCredential=`, and no path")
    }
}
