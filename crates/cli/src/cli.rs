//! The surface: what can be typed, and which file answers it.

use crate::{
    command::{
        agent, approvals, audit, budgets, check, completions, console, demo, explain, import, init, policy,
        registry, scan, secret, settings, user, wrap,
    },
    failure::{self, Failure, Outcome},
    keys::Handed,
    place::Place,
    say::{Say, when},
    serve,
    surroundings::Surroundings,
};
use clap::{Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc};

/// A security gateway for MCP: between a model and the systems it can act on.
///
/// Exit codes: 0 yes, 1 something does not work or is not there, 2 wrong usage, 3 the answer is no, 4 it depends.
#[derive(Debug, Parser)]
#[command(name = "callgate", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// The configuration; else ./callgate.toml, else callgate/callgate.toml in your configuration folder
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway
    Serve(serve::Args),
    /// Stand between a Host and a server that speaks over standard input and output
    Wrap(wrap::Args),
    /// Put the gateway before the servers that the MCP clients of this machine name; shows the changes, and asks
    Import(import::Args),
    /// Take one server out of the configuration again, and give its clients back what they had
    Unwrap(import::unwrap::Args),
    /// Write a first configuration and a first policy
    Init(init::Args),
    /// Check configuration, policies, pins and secrets, without starting anything
    Check(check::Args),
    /// Agents and their tokens
    #[command(subcommand)]
    Agent(agent::Agents),
    /// The people agents act for
    #[command(subcommand)]
    User(user::Users),
    /// A link that lets somebody into the console once
    Console(console::Args),
    /// Credentials that the gateway adds to calls
    #[command(subcommand)]
    Secret(secret::Secrets),
    /// Which definitions of servers are accepted
    #[command(subcommand)]
    Registry(registry::Registry),
    /// Look for poison in the definitions of tools, and say what each tool can do; starts nothing unless told to
    Scan(scan::Args),
    /// Who may do what
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Calls that wait for people, and their yes or no
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// What is used of amounts over time
    Budgets(budgets::Args),
    /// One call: what was asked, why it ended so, what ran
    Explain(explain::Args),
    /// The record: read it, export it, prove it
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The configuration in force
    Settings(settings::Args),
    /// Watch a gateway, three servers and an agent at work, and end with something to try
    Demo(demo::Demo),
    /// One of the servers of the demo
    #[command(hide = true)]
    DemoServer(demo::Server),
    /// A completion script for a shell
    Completions(completions::Args),
    /// Manual pages
    Man(completions::Man),
    /// This reference, in Markdown
    #[command(hide = true)]
    Reference,
}

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) config: Option<PathBuf>,
    pub(crate) say: Say,
    pub(crate) surroundings: Surroundings,
}

impl Given {
    /// The configuration this command works on.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        Place::read(self.config.as_deref(), &self.surroundings)
    }

    /// The same for a command that neither shows, judges nor changes what the files say. Where they do not hold, it goes by
    /// what is in force in the gateway that runs with them, and says so.
    pub(crate) fn place_in_force(&self) -> Result<Place, Failure> {
        let (place, slip) = Place::in_force(self.config.as_deref(), &self.surroundings)?;
        if let Some(slip) = slip {
            self.say.aside(format!(
                "warning: the newest files do not hold, so this goes by what the gateway that runs (process {}) has in force since {}; `{}`: \
                 {} (`callgate check` tells all)",
                slip.pid,
                when(slip.since),
                place.config.display(),
                slip.problem
            ));
        }
        Ok(place)
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(asked(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            // a reader that went away is no fault
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut surroundings = Surroundings::read();
    hand_over(&mut surroundings, &cli);
    let say = Say::new(cli.json, &surroundings);
    let given = Given { config: cli.config, say, surroundings };
    // U13, V9: any command may come to hold a key, a secret or a token
    let private = launch::keep_private().map_err(|error| {
        Failure::Fault(anyhow::anyhow!("cannot keep the memory of this process to itself: {error}"))
    });
    let outcome = private.and_then(|()| runtime(&cli.command)).and_then(|runtime| {
        let outcome = runtime.block_on(run(cli.command, &given));
        // a read of standard input may still wait in a thread of its own, and has nothing more to say
        runtime.shutdown_background();
        outcome
    });
    if let Err(failure) = &outcome {
        say.failure(failure);
    }
    failure::exit_code(&outcome)
}

/// What was typed, with `help COMMAND` as `COMMAND --help`.
fn asked(typed: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = typed.collect();
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// Takes keys out of the environment while there is one thread. What is wrong with the settings, the command says.
fn hand_over(surroundings: &mut Surroundings, cli: &Cli) {
    let mut handed = Handed { credentials: surroundings.credentials.clone(), ..Handed::default() };
    // `wrap` starts a gateway, which needs them in its own environment
    if !matches!(cli.command, Command::Wrap(_)) {
        let config = cli.config.as_deref();
        let read =
            Place::read(config, surroundings).or_else(|_| Ok(Place::in_force(config, surroundings)?.0));
        if let Ok::<_, Failure>(place) = read {
            handed.take(&place.meant.keys);
        }
    }
    surroundings.handed = Arc::new(handed);
}

fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Failure> {
    let many = matches!(command, Command::Serve(_));
    let mut builder = if many {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    Ok(builder.enable_all().build()?)
}

async fn run(command: Command, given: &Given) -> Outcome {
    match command {
        Command::Serve(args) => Box::pin(serve::run(args, given)).await,
        Command::Wrap(args) => wrap::run(args, given).await,
        Command::Check(args) => check::run(args, given).await,
        Command::Agent(agents) => agent::run(agents, given).await,
        Command::User(users) => user::run(users, given).await,
        Command::Console(args) => console::run(args, given).await,
        Command::Secret(secrets) => secret::run(secrets, given).await,
        Command::Import(args) => Box::pin(import::run(args, given)).await,
        Command::Unwrap(args) => import::unwrap::run(args, given).await,
        Command::Init(args) => init::run(args, given).await,
        Command::Registry(registry) => registry::run(registry, given).await,
        Command::Scan(args) => Box::pin(scan::run(&args, given)).await,
        Command::Policy(policy) => policy::run(policy, given).await,
        Command::Approvals(approvals) => approvals::run(approvals, given).await,
        Command::Budgets(args) => budgets::run(args, given).await,
        Command::Explain(args) => explain::run(args, given).await,
        Command::Audit(audit) => audit::run(audit, given).await,
        Command::Settings(args) => settings::run(args, given).await,
        Command::Demo(args) => demo::run(args, given).await.map(|never| match never {}),
        Command::DemoServer(args) => demo::server(args).await,
        Command::Completions(args) => completions::run(&args, given),
        Command::Reference => {
            completions::reference(given);
            Ok(failure::Verdict::Yes)
        }
        Command::Man(args) => completions::man(&args, given),
    }
}
