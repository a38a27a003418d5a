//! The folder the demo plays in, what is written there, and the real command line that works on it.

use super::Options;
use super::child::spawn;
use anyhow::{Context as _, anyhow};
use serde_json::Value;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The agent of the story.
pub(super) const AGENT: &str = "support-bot";
const POLICY: &str = include_str!("../../assets/demo.cedar");
const CONFIG: &str = include_str!("../../assets/callgate.toml");
const COMMAND_MAX: Duration = Duration::from_secs(30);

/// A folder of the demo's own. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    binary: PathBuf,
    key: String,
}

/// What a command answered.
#[derive(Debug)]
pub(super) struct Answered {
    /// Whether the answer was yes (exit code 0) or no (3).
    pub(super) yes: bool,
    pub(super) value: Value,
}

impl Place {
    pub(super) fn make(options: &Options) -> anyhow::Result<Self> {
        let random = crate::hex(&*options.entropy);
        let name = random.get(..12).unwrap_or(&random);
        let dir = std::env::temp_dir().join(format!("callgate-demo-{name}"));
        DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot make the folder `{}`", dir.display()))?;
        let key = format!("sk_demo_{}", crate::hex(&*options.entropy));
        Ok(Self { dir, binary: options.binary.clone(), key })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }
    /// What the payments server asks of its callers, and nobody else may ever see.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Writes the configuration and the rules.
    pub(super) fn write(&self, options: &Options, payments: &str, tickets: &str) -> anyhow::Result<()> {
        let binary = self.binary.to_str().context("the path of this program is not text")?;
        let config = CONFIG
            .replace("{binary}", &Value::from(binary).to_string())
            .replace("{payments}", payments)
            .replace("{tickets}", tickets);
        fs::write(self.dir.join("callgate.toml"), config)?;
        let policies = self.dir.join("policies");
        fs::create_dir(&policies)?;
        let rules = match &options.policy {
            None => POLICY.to_owned(),
            Some(path) => {
                fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?
            }
        };
        fs::write(policies.join("demo.cedar"), rules)?;
        Ok(())
    }

    /// Stores the secret, adds the people and the agent; returns its token.
    pub(super) async fn prepare(&self) -> anyhow::Result<String> {
        self.ask(&["secret", "set", "payments-key", "--server", "payments"], Some(&self.key)).await?;
        self.ask(&["user", "add", "fay", "--group", "finance"], None).await?;
        self.ask(&["user", "add", "sue", "--group", "support"], None).await?;
        let added = self.ask(&["agent", "add", AGENT, "--group", "support", "--expires", "1d"], None).await?;
        let token = added.value.get("token").and_then(Value::as_str);
        Ok(token.context("`callgate agent add` showed no token")?.to_owned())
    }

    /// `callgate` without a configuration.
    pub(super) fn plain(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(&self.dir);
        // what is read back must be written whatever the surroundings ask for
        command.env("CALLGATE_LOG", "info").env("NO_COLOR", "1");
        command
    }

    /// `callgate` on this place's configuration.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.plain(args);
        command.arg("--config").arg(self.dir.join("callgate.toml"));
        command
    }

    /// Runs a command to its end and reads its JSON. Errors: it failed, or could not be asked.
    pub(super) async fn ask(&self, args: &[&str], input: Option<&str>) -> anyhow::Result<Answered> {
        let said = args.join(" ");
        let mut command = self.command(args);
        command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command)?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        if let Some(input) = input {
            stdin.write_all(input.as_bytes()).await?;
        }
        drop(stdin);
        let output = tokio::time::timeout(COMMAND_MAX, child.wait_with_output()).await;
        let output = output.map_err(|_| anyhow!("`callgate {said}` takes too long"))??;
        let yes = match output.status.code() {
            Some(0) => true,
            Some(3) => false,
            Some(_) | None => {
                let why = String::from_utf8_lossy(&output.stderr);
                return Err(anyhow!("`callgate {said}` failed: {}", why.trim()));
            }
        };
        let value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`callgate {said} --json` did not answer in JSON"))?;
        Ok(Answered { yes, value })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // what cannot be removed is in the folder for temporary things
        let _ = fs::remove_dir_all(&self.dir);
    }
}
