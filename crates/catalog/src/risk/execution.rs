//! Generic execution: tools that run whatever they are given (K14).

use super::effect::Reading;
use super::given;
use super::interface;
use super::lexicon::Act;
use super::schema::{Argument, Operation};
use super::words::{singular, split};
use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Execution {
    pub(super) place: Cow<'static, str>,
    pub(super) because: String,
    /// It says that it runs only what looks.
    pub(super) read_only: bool,
    /// What it runs is a statement of a database: one of those deletes.
    pub(super) statement: bool,
    /// It stands beside what was there: code that is kept, a container.
    pub(super) adds: bool,
    /// It calls whatever an interface offers.
    pub(super) interface: bool,
}

impl Execution {
    pub(super) fn at(place: impl Into<Cow<'static, str>>, because: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            because: because.into(),
            read_only: false,
            statement: false,
            adds: false,
            interface: false,
        }
    }
}

pub(super) fn find(reading: &Reading<'_>) -> Option<Execution> {
    statement(reading)
        .or_else(|| interface::request(reading))
        .or_else(|| program(reading))
        .or_else(|| by_name(reading))
        .or_else(|| chosen(reading))
        .or_else(|| said(reading))
}

/// SQL and its like, which can write unless the tool says that it does not.
fn statement(reading: &Reading<'_>) -> Option<Execution> {
    let in_full = |argument: &Argument<'_>| argument.words.iter().any(|word| given::language(reading, word));
    let body = |argument: &&Argument<'_>| {
        let named = in_full(argument)
            || argument.is(&[
                "query",
                "queries",
                "statement",
                "statements",
                "q",
                "script",
                "command",
                "querystring",
                "query_string",
            ]);
        named && (argument.is_text() || argument.ends(&["statements", "queries"]))
    };
    let argument = reading.arguments.iter().find(body)?;
    let in_full = in_full(argument);
    let speaks = in_full || given::speaks_a_language(reading, argument);
    let relational = argument.ends(&["statement", "statements"]) && reading.says("database");
    let about = |word: &str| matches!(word, "search" | "find" | "list" | "get" | "lookup" | "describe");
    let prepares = |(act, word): &(Act, String)| {
        (about(word) && !in_full)
            || matches!(
                word.as_str(),
                "explain"
                    | "validate"
                    | "format"
                    | "generate"
                    | "lint"
                    | "parse"
                    | "translate"
                    | "convert"
                    | "check"
                    | "analyze"
                    | "estimate"
            )
            || matches!(act, Act::Add | Act::Change | Act::Remove)
    };
    let acts = &reading.name.acts;
    // what is kept was written by somebody else
    let kept = reading.name.words.iter().any(|word| word == "saved");
    let prepares =
        kept || !acts.is_empty() && acts.iter().all(prepares) || given::is_handled(reading, argument);
    if !(speaks || relational) || prepares {
        return None;
    }
    let read_only = given::held_to_reading(reading, argument);
    let because = if read_only {
        "it runs statements, and says only such as look"
    } else {
        "it runs any statement, also one that writes"
    };
    Some(Execution {
        place: Cow::Owned(argument.pointer.clone()),
        because: because.to_owned(),
        read_only,
        statement: true,
        adds: false,
        interface: false,
    })
}

/// Where nobody knows the arguments: a query of a database as such is taken for one that may write.
fn open_database(reading: &Reading<'_>) -> Option<String> {
    let asks = reading.name.acts.iter().any(|(act, word)| word == "query" || *act == Act::Run)
        || reading.name.words.iter().any(|word| word == "sql");
    let last = reading.name.nouns.iter().chain(&reading.prose.object).map(|word| singular(word));
    let database = last
        .into_iter()
        .find(|noun| matches!(noun.as_str(), "sql" | "database" | "db" | "warehouse" | "statement"))?;
    asks.then(|| format!("it asks a {database} what it is told to, and nothing says that it only looks"))
}

/// Its name only looks, and what it looks with is run all the same: it says so, or is given nothing else.
fn said(reading: &Reading<'_>) -> Option<Execution> {
    let (argument, statement) = given::is_run(reading)?;
    let read_only = given::held_to_reading(reading, argument);
    let because = if read_only {
        "it runs what it is given, and says that it only looks"
    } else {
        "it looks by running what it is given"
    };
    Some(Execution { read_only, statement, ..Execution::at(argument.pointer.clone(), because) })
}

/// Running a program is one of the deeds that an argument chooses.
fn chosen(reading: &Reading<'_>) -> Option<Execution> {
    let acts = &reading.name.acts;
    // of a tool that only looks, such as on a log, it is a filter
    if !acts.is_empty() && acts.iter().all(|(act, _)| *act == Act::Read) {
        return None;
    }
    let runs = |operation: &&Operation| {
        let words = split(&operation.value);
        let program = || words.iter().any(|word| PROGRAMS.contains(&singular(word).as_str()));
        words.iter().any(|word| opens_a_shell(word))
            || program() && (operation.act == Act::Run || words.iter().any(|word| word == "evaluate"))
    };
    let operation = reading.operations.iter().find(runs)?;
    let because = format!("it can be told to `{}`", operation.value);
    Some(Execution::at(operation.pointer.clone(), because))
}

/// Code, a script or a command line as an argument, run or stored to be run.
fn program(reading: &Reading<'_>) -> Option<Execution> {
    let acts = &reading.name.acts;
    let only_looks = !acts.is_empty()
        && acts
            .iter()
            .all(|(act, word)| matches!(act, Act::Read | Act::Emit) && word != "evaluate" && word != "test");
    let runs = runs(reading);
    let body = |argument: &&Argument<'_>| {
        let surely =
            argument.is(&[
                "javascript",
                "bash",
                "shell_command",
                "source_code",
                "python_code",
                "shell",
                "cmd",
                "command_line",
                "bash_command",
                "powershell",
                "applescript",
                "lua",
                "js_code",
                "code_file",
                "script_file",
                "source_file",
            ]) || argument.words.first().is_some_and(|word| matches!(word.as_str(), "script" | "code"))
                && argument.ends(&["body", "content", "source"]);
        let maybe = argument.is(&[
            "code",
            "script",
            "command",
            "commands",
            "expression",
            "function",
            "program",
            "snippet",
            "js",
        ]);
        let about =
            ["script", "code to", "javascript", "python", "execut", "source", "shell", "run", "function"];
        let body_of_run = runs
            && ["command", "code", "script"].iter().any(|word| {
                argument.words.last().is_some_and(|last| singular(last) == *word) && reading.says(word)
            });
        let kept =
            ["code", "script", "function", "plugin", "macro", "hook"].iter().any(|word| reading.says(word))
                && acts.iter().any(|(act, _)| act.writes())
                && !(argument.is(&["code"]) && stands_for_something(reading));
        let text = argument.description().to_ascii_lowercase();
        (argument.is_text() || argument.ends(&["command", "commands", "cmd", "args"]))
            && (surely
                || handed_over(reading, argument, runs)
                || body_of_run
                || maybe && (runs || kept || about.iter().any(|about| text.contains(about))))
    };
    let argument = reading.arguments.iter().find(body).filter(|_| !only_looks)?;
    let because = "it takes a program or a command and runs it, or keeps it to be run";
    let adds = !runs && !acts.is_empty() && acts.iter().all(|(act, _)| *act == Act::Add);
    Some(Execution { adds, ..Execution::at(argument.pointer.clone(), because) })
}

/// What goes into something that runs it: keys into a terminal, a command into a console, a script into what starts it.
fn handed_over(reading: &Reading<'_>, argument: &Argument<'_>, runs: bool) -> bool {
    let acts = &reading.name.acts;
    let writes = acts.iter().any(|(act, _)| act.writes());
    let names =
        |nouns: &[&str]| reading.name.nouns.iter().any(|word| nouns.contains(&singular(word).as_str()));
    let typed = argument.is(&["input", "keys", "stdin", "text", "data", "keystrokes"])
        && (runs
            || acts.iter().chain(&reading.prose.acts).any(|(_, word)| {
                matches!(word.trim_end_matches('s'), "send" | "write" | "interact" | "type" | "paste")
            }))
        && ["process", "terminal", "shell", "repl", "console", "tmux"].iter().any(|word| reading.says(word));
    // what is sent to a server's console is done there
    let sent = argument.is(&["command", "commands"])
        && acts.iter().any(|(_, word)| matches!(word.as_str(), "send" | "issue" | "dispatch"))
        && ["server", "console", "rcon", "host", "router", "switch"].iter().any(|word| reading.says(word));
    // a script that a machine runs by itself, at its installation or start
    let by_itself = ["install", "startup", "boot", "init", "hook"].iter().any(|word| reading.says(word))
        && names(&["script", "hook"])
        && argument.is(&["content", "contents", "body", "source"])
        && writes;
    let source = argument.is(&["source", "new_source"])
        && writes
        && names(&["script", "function", "module", "plugin", "macro", "code"]);
    typed || sent || source || by_itself
}

/// `an OTP code`, `the account's code`: a word that stands for something, and no program. Of a program more is said, or nothing
/// else is named.
pub(super) fn stands_for_something(reading: &Reading<'_>) -> bool {
    const PROGRAM: &[&str] = &[
        "script",
        "function",
        "plugin",
        "macro",
        "hook",
        "source",
        "program",
        "snippet",
        "javascript",
        "python",
        "typescript",
        "worker",
        "lambda",
        "sandbox",
        "cell",
        "notebook",
    ];
    const KINDS: &[&str] = &[
        "authorization",
        "auth",
        "verification",
        "confirmation",
        "otp",
        "account",
        "postal",
        "zip",
        "country",
        "currency",
        "coupon",
        "promo",
        "discount",
        "gift",
        "referral",
        "invite",
        "access",
        "qr",
        "bar",
        "error",
        "status",
    ];
    let written = match reading.name.nouns.as_slice() {
        [.., kind, code] => code == "code" && !KINDS.contains(&kind.as_str()),
        [code] => code == "code",
        [] => false,
    };
    !written && !PROGRAM.iter().any(|word| reading.says(word))
}

fn runs(reading: &Reading<'_>) -> bool {
    let acts = reading.name.acts.iter().chain(reading.prose.acts.iter());
    acts.into_iter().any(|(act, word)| *act == Act::Run && !word.starts_with("use") || word == "evaluate")
        || reading.name.words.iter().any(|word| opens_a_shell(word))
}

fn opens_a_shell(word: &str) -> bool {
    matches!(word, "exec" | "shell" | "eval" | "bash" | "terminal" | "ssh" | "repl")
}

const PROGRAMS: &[&str] = &[
    "function",
    "script",
    "command",
    "code",
    "shell",
    "snippet",
    "program",
    "notebook",
    "lambda",
    "macro",
    "binary",
    "javascript",
    "python",
    "procedure",
    "playbook",
    "powershell",
    "applescript",
    "lua",
    "luau",
];

/// Running named as such: a function, a script, a container of any image.
fn by_name(reading: &Reading<'_>) -> Option<Execution> {
    let acts = reading.name.acts.iter().map(|(act, word)| (act, word.as_str()));
    let running =
        acts.clone().any(|(act, word)| *act == Act::Run && !matches!(word, "use" | "start" | "launch"));
    let program = || {
        reading.name.nouns.iter().map(|noun| singular(noun)).find(|noun| PROGRAMS.contains(&noun.as_str()))
    };
    // `Test a script by running it`
    let tested = reading.name.acts.iter().any(|(_, word)| word == "test")
        && reading
            .prose
            .first
            .iter()
            .any(|word| matches!(word.as_str(), "executing" | "running" | "invoking" | "evaluating"));
    if (running || tested)
        && let Some(program) = program()
    {
        return Some(Execution::at("/name", format!("it runs a {program} that somebody else wrote")));
    }
    if given::anything(reading)
        && let Some(because) = open_database(reading)
    {
        let read_only = reading.prose.says_read_only || given::reads_only_by_name(reading);
        return Some(Execution {
            place: Cow::Borrowed("/name"),
            because,
            read_only,
            statement: true,
            adds: false,
            interface: false,
        });
    }
    deployed(reading).or_else(|| interface::whole(reading)).or_else(|| container(reading))
}

fn deployed(reading: &Reading<'_>) -> Option<Execution> {
    let deploys =
        reading.name.acts.iter().any(|(_, word)| matches!(word.as_str(), "deploy" | "redeploy" | "rollout"));
    if deploys
        && reading.object().take(4).any(|noun| {
            matches!(noun.as_str(), "function" | "worker" | "script" | "lambda" | "code" | "action")
        })
    {
        return Some(Execution::at("/name", "it puts code into service"));
    }
    None
}

fn container(reading: &Reading<'_>) -> Option<Execution> {
    let running = reading
        .name
        .acts
        .iter()
        .any(|(act, word)| *act == Act::Run && !matches!(word.as_str(), "use" | "start" | "launch"));
    let image =
        reading.arguments.iter().find(|argument| argument.is(&["image", "container_image", "docker_image"]));
    let shell = reading.name.words.iter().any(|word| matches!(word.as_str(), "exec" | "shell" | "eval"));
    let entry = |argument: &Argument<'_>| argument.is(&["entrypoint", "command", "cmd", "args"]);
    let starts =
        reading.name.acts.iter().any(|(_, word)| word == "create") && reading.arguments.iter().any(entry);
    let last = reading.name.nouns.last().map(|word| singular(word)).unwrap_or_default();
    let from_image = matches!(last.as_str(), "image" | "container" | "pod")
        && reading.name.words.iter().any(|word| word == "from" || word == "run" || word == "container")
        && reading.name.acts.iter().any(|(act, _)| *act == Act::Add);
    match image.filter(|_| running || starts || from_image) {
        Some(image) => Some(Execution {
            adds: true,
            ..Execution::at(image.pointer.clone(), "it runs a container of any image")
        }),
        None if shell && reading.name.acts.iter().all(|(act, _)| *act == Act::Run) => {
            Some(Execution::at("/name", "it opens a shell"))
        }
        None => None,
    }
}
