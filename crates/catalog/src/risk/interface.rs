//! Interfaces of which everything can be asked: requests of any method, queries that may change something, calls by name.

use super::effect::Reading;
use super::execution::Execution;
use super::given;
use super::lexicon::Act;
use super::schema::Argument;
use super::words::singular;

/// A request of any method to any address.
pub(super) fn request(reading: &Reading<'_>) -> Option<Execution> {
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
        reading.arguments.iter().find(|argument| argument.is(&["url", "uri", "path", "endpoint", "href"]));
    let verbs = ["POST", "PUT", "PATCH", "DELETE"];
    let method = reading
        .arguments
        .iter()
        .find(|argument| argument.is(&["method", "http_method", "verb", "request_method"]))?;
    let choices =
        method.schema.get("enum").map(ToString::to_string).unwrap_or_else(|| method.description().to_owned());
    // `Fetches an address with the given method and body`
    let told = || reading.says("body") && ["address", "url", "request"].iter().any(|word| reading.says(word));
    let address = address.or_else(|| Some(method).filter(|_| told()))?;
    let free = method.is_text() && choices.is_empty();
    (free || verbs.iter().any(|verb| choices.to_ascii_uppercase().contains(verb))).then(|| {
        Execution::at(address.pointer.clone(), "it sends a request of any method to an address it is given")
    })
}

/// A whole interface behind one tool: what it can do is what the interface can.
pub(super) fn whole(reading: &Reading<'_>) -> Option<Execution> {
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
    let changes = runs_any || given::mutates(reading);
    if let Some(query) = query.filter(|_| graph && changes && !reading.prose.says_read_only) {
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
