//! Generic execution: tools that run whatever they are given (K14).

use super::effect::Reading;
use super::lexicon::Act;
use super::schema::Argument;
use super::words::singular;
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
    fn at(place: impl Into<Cow<'static, str>>, because: impl Into<String>) -> Self {
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
    statement(reading).or_else(|| request(reading)).or_else(|| program(reading)).or_else(|| by_name(reading))
}

/// SQL and its like, which can write unless the tool says that it does not.
fn statement(reading: &Reading<'_>) -> Option<Execution> {
    const LANGUAGES: &[&str] =
        &["sql", "cypher", "plsql", "tsql", "sparql", "gremlin", "hql", "vql", "cql", "aql", "n1ql", "ksql"];
    let body = |argument: &&Argument<'_>| {
        let named = argument.words.iter().any(|word| LANGUAGES.contains(&word.as_str()))
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
    let speaks =
        LANGUAGES.iter().any(|language| reading.says(language) || mentions(argument.description(), language));
    let relational = argument.ends(&["statement", "statements"]) && reading.says("database");
    let in_full = argument.words.iter().any(|word| LANGUAGES.contains(&word.as_str()));
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
    let prepares = kept || !acts.is_empty() && acts.iter().all(prepares);
    if !(speaks || relational) || prepares {
        return None;
    }
    let read_only = reading.prose.says_read_only
        || mentions(argument.description(), "read-only")
        || reads_only_by_name(reading);
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

fn reads_only_by_name(reading: &Reading<'_>) -> bool {
    let words = &reading.name.words;
    words.iter().any(|word| matches!(word.as_str(), "read" | "readonly" | "select"))
        && !words.iter().any(|word| word == "write")
}

fn mentions(text: &str, word: &str) -> bool {
    text.to_ascii_lowercase().split(|c: char| !c.is_alphanumeric() && c != '-').any(|said| said == word)
}

/// A request of any method to any address.
fn request(reading: &Reading<'_>) -> Option<Execution> {
    // what is written down for later is sent by somebody else
    let written = |(act, _): &(Act, String)| matches!(act, Act::Add | Act::Change);
    let kept = reading.name.nouns.iter().any(|noun| {
        matches!(
            singular(noun).as_str(),
            "collection" | "monitor" | "mock" | "example" | "documentation" | "spec"
        )
    });
    if kept && !reading.name.acts.is_empty() && reading.name.acts.iter().all(written) {
        return None;
    }
    let address =
        reading.arguments.iter().find(|argument| argument.is(&["url", "uri", "path", "endpoint", "href"]))?;
    let verbs = ["POST", "PUT", "PATCH", "DELETE"];
    let method = reading
        .arguments
        .iter()
        .find(|argument| argument.is(&["method", "http_method", "verb", "request_method"]))?;
    let choices =
        method.schema.get("enum").map(ToString::to_string).unwrap_or_else(|| method.description().to_owned());
    let free = method.is_text() && choices.is_empty();
    (free || verbs.iter().any(|verb| choices.to_ascii_uppercase().contains(verb))).then(|| {
        Execution::at(address.pointer.clone(), "it sends a request of any method to an address it is given")
    })
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
fn stands_for_something(reading: &Reading<'_>) -> bool {
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
        || reading.name.words.iter().any(|word| {
            matches!(word.as_str(), "exec" | "shell" | "eval" | "bash" | "terminal" | "ssh" | "repl")
        })
}

/// Running named as such: a function, a script, a container of any image.
fn by_name(reading: &Reading<'_>) -> Option<Execution> {
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
    if reading.arguments.is_empty()
        && let Some(because) = open_database(reading)
    {
        let read_only = reading.prose.says_read_only || reads_only_by_name(reading);
        return Some(Execution {
            place: Cow::Borrowed("/name"),
            because,
            read_only,
            statement: true,
            adds: false,
            interface: false,
        });
    }
    deployed(reading).or_else(|| interface(reading)).or_else(|| container(reading))
}

/// A whole interface behind one tool: what it can do is what the interface can.
fn interface(reading: &Reading<'_>) -> Option<Execution> {
    let runs = reading
        .name
        .acts
        .iter()
        .any(|(act, word)| *act == Act::Run && !matches!(word.as_str(), "use" | "start" | "launch"));
    let operation = |argument: &&Argument<'_>| {
        argument.is(&["api_operation", "api_call", "api_method", "api_action", "rpc_method"])
            && argument.is_text()
    };
    if let Some(argument) = reading.arguments.iter().find(operation)
        && !reading.prose.says_read_only
    {
        return Some(Execution::at(argument.pointer.clone(), "it calls whatever the interface offers"));
    }
    // a query of such an interface may be a mutation
    let graph = reading.says("graphql") || reading.says("gql");
    let runs_any = reading.name.acts.iter().chain(&reading.prose.acts).any(|(act, _)| *act == Act::Run);
    let query = reading
        .arguments
        .iter()
        .find(|argument| argument.is(&["query", "mutation", "gql"]) && argument.is_text());
    if let Some(query) = query.filter(|_| graph && runs_any && !reading.prose.says_read_only) {
        let at = Execution::at(
            query.pointer.clone(),
            "it runs any query of the interface, also one that changes something",
        );
        return Some(Execution { interface: true, ..at });
    }
    let dispatches = |argument: &&Argument<'_>| {
        argument.is(&["endpoint", "endpoint_name", "api_path"]) && argument.is_text()
    };
    if let Some(endpoint) = reading.arguments.iter().find(dispatches)
        && reading
            .arguments
            .iter()
            .any(|argument| argument.is(&["body", "payload", "request_body", "json_body"]))
        && !reading.prose.says_read_only
    {
        let at = Execution::at(endpoint.pointer.clone(), "it calls whatever the interface offers");
        return Some(Execution { interface: true, ..at });
    }
    let asks = reading.name.acts.iter().any(|(_, word)| matches!(word.as_str(), "make" | "send" | "request"));
    let names = |word: &str| reading.name.words.iter().any(|said| said == word);
    let runs = runs || asks && (names("request") || names("call"));
    let whole = reading.name.words.iter().find(|word| {
        matches!(word.as_str(), "api" | "cli" | "graphql" | "rpc") || calls_by_name(reading, word)
    })?;
    (runs && !reading.prose.says_read_only).then(|| Execution {
        interface: true,
        ..Execution::at("/name", format!("it calls whatever the {whole} offers"))
    })
}

/// `call_service`, with the service's name and whatever it is to be given: any of them can be called.
fn calls_by_name(reading: &Reading<'_>, what: &str) -> bool {
    let given = |names: &[&str]| reading.arguments.iter().find(|argument| argument.is(names));
    let whatever =
        given(&["args", "kwargs", "params", "parameters", "arguments", "data", "payload", "input"]).is_some();
    let by_name = reading.arguments.iter().any(|argument| {
        argument.is_text()
            && argument.words.first().is_some_and(|first| first == what)
            && (argument.words.len() == 1 || argument.ends(&["name", "slug"]))
    });
    matches!(what, "method" | "tool" | "service" | "operation") && by_name && whatever
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
