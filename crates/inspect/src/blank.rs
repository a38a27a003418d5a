//! Blanks in addresses, which whoever opens or shows the address fills in: `https://…/in?d={conversation}`.

/// What somebody would put into such a blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blank {
    /// Whatever it may be.
    Any,
    /// Who the user is.
    Person,
    /// A secret.
    Secret,
    /// What was said, or what the model was told.
    Talk,
}

/// The gravest blank of the addresses in a text.
pub fn blank(text: &str) -> Option<Blank> {
    if !text.contains("://") || !text.contains(['{', '<', '[', '$']) {
        return None;
    }
    let schemes = text.match_indices("http").filter_map(|(at, _)| text.get(at..));
    let addresses = schemes.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
    addresses.filter_map(|rest| blanks(rest).map(kind).max()).max()
}

/// What stands in brackets in the address at the start; the address ends at a space outside of them.
fn blanks(address: &str) -> impl Iterator<Item = &str> {
    let mut rest = address.get(..address.len().min(2_000)).or(address.get(..0)).unwrap_or_default();
    std::iter::from_fn(move || {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | ')' | '`' | '<' | '{' | '[');
        let at = rest.find(ends)?;
        let open = rest.get(at..)?;
        let close = match open.as_bytes().first()? {
            b'<' => '>',
            b'{' => '}',
            b'[' => ']',
            _ => return None,
        };
        let inside = open.trim_start_matches(['<', '{', '[']);
        let end = inside.find(close)?;
        rest = inside.get(end..)?.trim_start_matches(close);
        inside.get(..end)
    })
}

fn kind(blank: &str) -> Blank {
    const TALK: &[&str] = &[
        "conversation",
        "transcript",
        "chat",
        "dialogue",
        "asked",
        "said",
        "wrote",
        "typed",
        "reasoning",
        "thoughts",
    ];
    const SECRETS: &[&str] =
        &["password", "passphrase", "secret", "secrets", "cookie", "cookies", "credentials", "apikey", "jwt"];
    const AFTER: &[&str] =
        &["id", "ids", "uuid", "slug", "name", "number", "no", "key", "url", "type", "index"];
    let lower = blank.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let any = |of: &[&str]| words.iter().any(|word| of.contains(word));
    let pair = |first: &str, second: &[&str]| {
        words.windows(2).any(|two| matches!(two, [one, other] if *one == first && second.contains(other)))
    };
    let named = words.last().is_some_and(|last| AFTER.contains(last));
    match () {
        () if pair("user", &["message", "prompt", "request", "question", "input", "query"])
            || pair("system", &["prompt", "message"])
            || pair("context", &["window"])
            || any(TALK) && !named =>
        {
            Blank::Talk
        }
        () if any(SECRETS) && !named
            || pair("api", &["key"])
            || pair("access", &["token", "key"])
            || pair("auth", &["token"])
            || pair("session", &["token"])
            || words == ["token"] =>
        {
            Blank::Secret
        }
        () if pair("user", &["email", "mail", "phone", "address"]) || words == ["email"] => Blank::Person,
        () => Blank::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_in_an_address_is_what_it_is_called() {
        for (text, wanted) in [
            ("https://a.example/in?d={conversation}", Some(Blank::Talk)),
            ("see https://a.example/p?m=<what the user asked> for it", Some(Blank::Talk)),
            ("https://a.example/l.svg?u={{user_email}}&t={{access_token}}", Some(Blank::Secret)),
            ("https://a.example/l.svg?u={{user_email}}", Some(Blank::Person)),
            ("https://a.example/${user_prompt}?q=1", Some(Blank::Talk)),
            ("https://a.example/conversations/{conversation_id}", Some(Blank::Any)),
            ("https://a.example/{owner}/{repo}", Some(Blank::Any)),
            ("https://a.example/secrets/{secret_name}", Some(Blank::Any)),
            ("https://a.example/page and {conversation}", None),
            ("chat://{conversation}", None),
            ("https://a.example/", None),
        ] {
            assert_eq!(blank(text), wanted, "{text}");
        }
    }
}
