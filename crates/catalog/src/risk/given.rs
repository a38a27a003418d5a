//! What a tool is given to run, though its name only looks: a statement, a command, code; and whether that is run or only
//! looked at itself.

use super::effect::Reading;
use super::execution::stands_for_something;
use super::lexicon::{Act, looking};
use super::schema::Argument;
use super::words::{Gap, Token, singular, tokens};

/// Tokens of a text in which it is looked for what is run.
const TOKENS_MAX: usize = 400;

/// Languages of databases in which something can be written.
const LANGUAGES: &[&str] =
    &["sql", "cypher", "plsql", "tsql", "sparql", "gremlin", "hql", "vql", "n1ql", "ksql", "dml", "ddl"];

/// Names that two languages share, one of a database and one that only searches, and what tells the first.
const SHARED: &[(&str, &[&str])] = &[
    ("cql", &["cassandra", "scylla", "scylladb", "keyspace", "astra"]),
    ("aql", &["arango", "arangodb", "aerospike"]),
];

/// Databases that are asked in such a language.
const DATABASES: &[&str] = &[
    "mysql",
    "mariadb",
    "postgres",
    "postgresql",
    "sqlite",
    "duckdb",
    "snowflake",
    "bigquery",
    "redshift",
    "clickhouse",
    "mssql",
    "oracle",
    "trino",
    "neo4j",
];

/// Interpreters and languages of programs.
const INTERPRETERS: &[&str] = &[
    "shell",
    "bash",
    "python",
    "javascript",
    "js",
    "typescript",
    "powershell",
    "applescript",
    "lua",
    "ruby",
    "perl",
    "cli",
    "kubectl",
    "ssh",
];

/// What is run.
const PROGRAMS: &[&str] = &["command", "code", "script", "statement", "program", "snippet"];

/// Verbs that look at a text itself.
const HANDLES: &[&str] = &[
    "explain",
    "validate",
    "format",
    "lint",
    "parse",
    "translate",
    "convert",
    "check",
    "analyze",
    "analyse",
    "estimate",
    "review",
    "summarize",
    "summarise",
    "detect",
    "highlight",
    "search",
    "find",
    "grep",
    "compare",
    "diff",
    "generate",
    "beautify",
    "prettify",
    "minify",
    "tokenize",
    "transpile",
    "describe",
    "document",
    "suggest",
    "classify",
    "count",
    "hash",
    "inspect",
    "debug",
    "audit",
    "verify",
    "complete",
    "introspect",
];

/// What is told of a program without running it.
const ABOUT: &[&str] = &[
    "plan",
    "syntax",
    "cost",
    "ast",
    "explanation",
    "lineage",
    "help",
    "documentation",
    "doc",
    "manual",
    "man",
    "usage",
    "example",
    "history",
    "definition",
    "signature",
    "reference",
    "dependency",
    "import",
    "schema",
];

/// What an argument can be given, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Statement,
    Program,
    /// A program where something says so.
    Perhaps,
}

fn kind(reading: &Reading<'_>, argument: &Argument<'_>) -> Option<Kind> {
    if !argument.is_text() && !argument.ends(&["commands", "statements", "queries", "scripts"]) {
        return None;
    }
    let last = singular(argument.words.last()?);
    if argument.words.iter().any(|word| language(reading, word)) || last == "statement" {
        return Some(Kind::Statement);
    }
    match last.as_str() {
        "command" | "cmd" | "bash" | "cli" | "script" | "snippet" | "applescript" | "javascript" | "js" => {
            Some(Kind::Program)
        }
        "code" if in_a_language(argument) || argument.is(&["code"]) && !stands_for_something(reading) => {
            Some(Kind::Program)
        }
        "code" | "program" | "expression" | "function" | "shell" | "powershell" | "python" | "lua"
        | "query" | "input" | "arg" | "argument" => Some(Kind::Perhaps),
        _ => None,
    }
}

/// A language of a database, here.
pub(super) fn language(reading: &Reading<'_>, word: &str) -> bool {
    LANGUAGES.contains(&word) || {
        let shared = SHARED.iter().find(|(name, _)| *name == word);
        shared.is_some_and(|(_, of)| {
            of.iter().any(|one| reading.prose.whole.contains(one) || reading.says(one))
        })
    }
}

/// Something names the language in which the argument is, or a database whose only one it is.
pub(super) fn speaks_a_language(reading: &Reading<'_>, argument: &Argument<'_>) -> bool {
    let named = LANGUAGES.iter().chain(SHARED.iter().map(|(name, _)| name)).any(|name| {
        language(reading, name) && (reading.says(name) || mentions(argument.description(), name))
    });
    let asks = |(act, word): &(Act, String)| word == "query" || *act == Act::Run;
    let asked = reading.name.acts.iter().chain(&reading.prose.acts).any(asks);
    named || asked && DATABASES.iter().any(|database| reading.says(database))
}

/// It says that only what looks is run.
pub(super) fn held_to_reading(reading: &Reading<'_>, argument: &Argument<'_>) -> bool {
    reading.prose.says_read_only
        || mentions(argument.description(), "read-only")
        || reads_only_by_name(reading)
}

/// `read_query`, `select_rows`; a `read_table` says only what comes back.
pub(super) fn reads_only_by_name(reading: &Reading<'_>) -> bool {
    let words = &reading.name.words;
    let says = |of: &[&str]| words.iter().any(|word| of.contains(&singular(word).as_str()));
    let held = says(&["readonly", "select"])
        || says(&["read"]) && says(&["query", "sql", "statement", "only", "cypher", "graph"]);
    held && !says(&["write"])
}

fn mentions(text: &str, word: &str) -> bool {
    text.to_ascii_lowercase().split(|c: char| !c.is_alphanumeric() && c != '-').any(|said| said == word)
}

/// Nobody knows what it takes: nothing is said, or one object of anything.
pub(super) fn anything(reading: &Reading<'_>) -> bool {
    let open = |argument: &Argument<'_>| {
        argument.has_type("object")
            && argument.schema.get("properties").is_none()
            && argument.is(&["params", "parameters", "args", "arguments", "input", "request", "body", "data"])
    };
    reading.arguments.iter().all(open)
}

/// `Query the interface, mutations too`
pub(super) fn mutates(reading: &Reading<'_>) -> bool {
    let said = tokens(&reading.prose.whole, TOKENS_MAX);
    said.iter().enumerate().any(|(at, token)| {
        let after = said.get(at + 1..).unwrap_or_default().iter().take(4);
        matches!(token.word.as_str(), "mutation" | "mutations")
            && !denied(&said, at)
            && !after.into_iter().any(|token| refuses(&token.word))
    })
}

fn refuses(word: &str) -> bool {
    ["not", "disabled", "rejected", "refused", "blocked", "forbidden", "aren't", "cannot"].contains(&word)
}

/// What it is given to run, and whether that is a statement: its text says that it is run, or it is looked with it and
/// nothing else is named.
pub(super) fn is_run<'r, 'a>(reading: &'r Reading<'a>) -> Option<(&'r Argument<'a>, bool)> {
    // what is written down for later is run by somebody else, and what is kept was written by somebody else
    let kept = reading.name.words.iter().any(|word| word == "saved");
    if kept || reading.name.acts.iter().any(|(act, _)| act.writes()) {
        return None;
    }
    let arguments = &reading.arguments;
    let given: Vec<_> = arguments.iter().filter_map(|one| Some((one, kind(reading, one)?))).collect();
    let speaks = ["run", "execut", "evaluat"].iter().any(|stem| reading.prose.whole.contains(stem));
    if given.is_empty() && !speaks {
        return None;
    }
    let said = tokens(&reading.prose.whole, TOKENS_MAX);
    let run = |(argument, kind): &&(&Argument<'_>, Kind)| {
        let own = tokens(&argument.description().to_lowercase(), TOKENS_MAX);
        if says_that_it_is_run(&said, *kind) || says_that_it_is_run(&own, *kind) {
            return true;
        }
        *kind != Kind::Statement
            && !says_otherwise(&said)
            && !is_handled(reading, argument)
            && (in_a_language(argument) || instrument(&said, *kind))
    };
    let found = given.iter().find(run).map(|(argument, kind)| (*argument, *kind == Kind::Statement));
    let whatever = || {
        let text = arguments.iter().find(|argument| argument.is_text())?;
        says_that_anything_is_run(&said).then_some((text, false))
    };
    found.or_else(|| whatever().filter(|_| speaks))
}

/// It is given a statement, a command or code, and nothing says that this is not run or only looks.
pub(super) fn may_be_run(reading: &Reading<'_>) -> bool {
    let graph = reading.says("graphql") || reading.says("gql");
    let free = |argument: &&Argument<'_>| {
        let asks = argument.is_text() && argument.is(&["query", "gql", "mutation"]);
        matches!(kind(reading, argument), Some(Kind::Statement | Kind::Program))
            || asks && (graph || speaks_a_language(reading, argument))
    };
    let mut given = reading.arguments.iter().filter(free).peekable();
    if given.peek().is_none() {
        return false;
    }
    let otherwise = says_otherwise(&tokens(&reading.prose.whole, TOKENS_MAX));
    given.any(|argument| {
        !otherwise
            && !is_handled(reading, argument)
            && !held_to_reading(reading, argument)
            && !names_what_it_gets(reading, argument)
    })
}

/// `get_script` with `script`: which one it gets.
fn names_what_it_gets(reading: &Reading<'_>, argument: &Argument<'_>) -> bool {
    let gets =
        |(_, word): &(Act, String)| matches!(word.as_str(), "get" | "read" | "fetch" | "show" | "describe");
    let [word] = argument.words.as_slice() else {
        return false;
    };
    reading.name.acts.iter().all(gets)
        && reading.name.nouns.last().is_some_and(|last| last == word)
        && !language(reading, word)
}

/// It is looked at itself: formatted, validated, explained, searched.
pub(super) fn is_handled(reading: &Reading<'_>, argument: &Argument<'_>) -> bool {
    let last = reading.name.nouns.last().map(|noun| singular(noun)).unwrap_or_default();
    if ABOUT.contains(&last.as_str()) {
        return true;
    }
    let acts = if reading.name.acts.is_empty() { &reading.prose.acts } else { &reading.name.acts };
    let handles = |(_, word): &(Act, String)| {
        let stem = word.trim_end_matches('s');
        HANDLES.contains(&word.as_str()) || HANDLES.contains(&stem)
    };
    let own = |word: &str| {
        let word = singular(word);
        PROGRAMS.contains(&word.as_str())
            || LANGUAGES.contains(&word.as_str())
            || matches!(word.as_str(), "query" | "syntax" | "expression" | "function" | "source")
            || argument.words.iter().any(|said| singular(said) == word)
    };
    let itself = own(&last) || reading.prose.object.iter().any(|word| own(word));
    !acts.is_empty() && acts.iter().all(handles) && itself
}

/// `python_code`, `cli_command`, `bash`: in what language it is written is said with it.
fn in_a_language(argument: &Argument<'_>) -> bool {
    match argument.words.as_slice() {
        [word] => matches!(word.as_str(), "bash" | "cmd" | "applescript" | "javascript"),
        [.., before, last] => {
            INTERPRETERS.contains(&before.as_str()) && PROGRAMS.contains(&singular(last).as_str())
        }
        [] => false,
    }
}

/// `with a shell command`, `using Python`: what it looks with.
fn instrument(said: &[Token], kind: Kind) -> bool {
    let with =
        |token: &Token| matches!(token.word.as_str(), "with" | "using" | "via" | "through" | "by" | "means");
    said.iter().enumerate().filter(|(_, token)| with(token)).any(|(at, _)| {
        let after = said.get(at + 1..).unwrap_or_default().iter().take(4);
        let mut after = after.take_while(|token| token.gap == Gap::Space);
        after.any(|token| {
            let word = singular(&token.word);
            INTERPRETERS.contains(&word.as_str())
                || kind == Kind::Program && matches!(word.as_str(), "command" | "script")
        })
    })
}

fn says_otherwise(said: &[Token]) -> bool {
    said.iter().enumerate().any(|(at, token)| is_running(&token.word) && denied(said, at))
}

fn is_running(word: &str) -> bool {
    const FORMS: &[&str] = &[
        "run",
        "runs",
        "running",
        "execute",
        "executes",
        "executed",
        "executing",
        "evaluate",
        "evaluates",
        "evaluated",
        "evaluating",
    ];
    FORMS.contains(&word)
}

/// What stands before takes it back, or speaks of it as of something else.
fn denied(said: &[Token], at: usize) -> bool {
    const BEFORE: &[&str] = &[
        "not", "nothing", "never", "without", "no", "don't", "doesn't", "isn't", "aren't", "cannot",
        "before", "how", "whether", "would", "instead", "than", "neither", "nor", "won't",
    ];
    clause_before(said, at).any(|token| BEFORE.contains(&token.word.as_str()))
}

/// The nearest words before, back to where the sentence begins.
fn clause_before(said: &[Token], at: usize) -> impl Iterator<Item = &Token> {
    let to = said.get(..=at).unwrap_or_default();
    let begins = to.iter().rposition(|token| token.gap == Gap::Stop).unwrap_or_default();
    to.iter().rev().skip(1).take(6.min(at - begins))
}

/// `by running a command`, `the script is run`, `code to execute`
fn says_that_it_is_run(said: &[Token], kind: Kind) -> bool {
    let runs = |(at, token): (usize, &Token)| {
        if !is_running(&token.word) || denied(said, at) {
            return false;
        }
        let last = clause_before(said, at).next().map(|token| token.word.as_str()).unwrap_or_default();
        let after = said.get(at + 1..).unwrap_or_default().iter().take(5);
        let after: Vec<&Token> = after.take_while(|token| token.gap != Gap::Stop).collect();
        let about = after.iter().take(3).any(|token| looking(&singular(&token.word)));
        let object = after.iter().any(|token| is_program(token));
        match token.word.as_str() {
            // `running scripts` may be those that run
            "running" | "executing" | "evaluating" if matches!(last, "by" | "through") => {
                object || kind != Kind::Perhaps && !about
            }
            "running" | "executing" | "evaluating" => {
                object && after.first().is_some_and(|first| any_of(&first.word))
            }
            "run" | "runs" | "execute" | "executes" | "evaluate" | "evaluates" | "executed" | "evaluated" => {
                let passive = matches!(last, "is" | "are" | "be" | "gets" | "being");
                let to = last == "to" && !object;
                let near = clause_before(said, at).take(4).any(is_program);
                (passive || to) && near
                    || !passive && !token.word.ends_with('d') && object && !after_a_noun(last)
            }
            _ => false,
        }
    };
    said.iter().enumerate().any(runs)
}

/// `executes the given shell command`: whatever the argument is called.
fn says_that_anything_is_run(said: &[Token]) -> bool {
    let whatever = |word: &str| {
        matches!(word, "given" | "any" | "arbitrary" | "supplied" | "provided" | "your" | "custom")
    };
    let runs = |(at, token): (usize, &Token)| {
        let after = said.get(at + 1..).unwrap_or_default().iter().take(5);
        let mut after = after.take_while(|token| token.gap != Gap::Stop);
        is_running(&token.word)
            && !denied(said, at)
            && after.any(|token| whatever(&token.word))
            && after.any(is_program)
    };
    said.iter().enumerate().any(runs)
}

/// A word for what is run, or for what runs it.
fn is_program(token: &Token) -> bool {
    let word = singular(&token.word);
    [PROGRAMS, INTERPRETERS, LANGUAGES].iter().any(|words| words.contains(&word.as_str()))
}

fn any_of(word: &str) -> bool {
    matches!(word, "a" | "an" | "the" | "any" | "arbitrary" | "given" | "your" | "custom")
}

/// `the last run`, `a run of the script`: no verb.
fn after_a_noun(word: &str) -> bool {
    matches!(word, "the" | "a" | "an" | "last" | "each" | "every" | "this" | "that" | "of" | "test" | "dry")
}
