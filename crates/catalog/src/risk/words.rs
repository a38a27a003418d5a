//! Words: names taken apart in any casing, prose as tokens that remember what separates them, and the little English
//! grammar that finding a verb takes.

/// What stands before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    Space,
    Comma,
    Colon,
    /// A bracket, a dash, a slash between words.
    Aside,
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) gap: Gap,
    pub(super) word: String,
}

/// How a verb was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `delete`
    Base,
    /// `deletes`
    Third,
    /// `deleting`
    Gerund,
}

/// The lower-case words of a name: `getHTTPStatus`, `get_http-status` and `get.http.status` are the same three.
pub(super) fn split(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().take(256).collect();
    let mut words = vec![String::new()];
    for (at, &this) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied().unwrap_or('_');
        let after = chars.get(at + 1).copied().unwrap_or('_');
        let hump = this.is_uppercase()
            && (before.is_lowercase() || (before.is_uppercase() && after.is_lowercase() && after != 's'));
        if hump || !this.is_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (this.is_alphanumeric(), words.last_mut()) {
            word.extend(this.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The first tokens of a text, each with what separates it from the one before. An apostrophe, a hyphen and an underscore
/// belong to the word; a full stop ends a sentence only before white space, so that `v1.2` and `db.find` are one token.
pub(super) fn tokens(text: &str, most: usize) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut gap, mut word) = (Gap::Stop, String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_space = chars.peek().is_none_or(|next| next.is_whitespace());
        let inside = matches!(c, '-' | '_' | '\'' | '’' | '.') && !next_is_space && !word.is_empty();
        if c.is_alphanumeric() || inside {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            found.push(Token { gap, word: std::mem::take(&mut word).replace("e-mail", "email") });
            gap = Gap::Space;
            if found.len() == most {
                return found;
            }
        }
        gap = wider(gap, separation(c, chars.peek().copied()));
    }
    if !word.is_empty() {
        found.push(Token { gap, word });
    }
    found
}

fn separation(c: char, next: Option<char>) -> Gap {
    match c {
        '.' | '!' | '?' | ';' => Gap::Stop,
        '\n' if next.is_none_or(|next| !next.is_alphanumeric() && next != ' ') => Gap::Stop,
        ':' => Gap::Colon,
        ',' => Gap::Comma,
        '(' | ')' | '[' | ']' | '/' | '—' | '–' | '-' | '→' | '|' => Gap::Aside,
        _ => Gap::Space,
    }
}

fn wider(one: Gap, other: Gap) -> Gap {
    let rank = |gap| match gap {
        Gap::Space => 0,
        Gap::Aside => 1,
        Gap::Comma => 2,
        Gap::Colon => 3,
        Gap::Stop => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// `shut down`, `roll back`, `check in` as the one verb that they are, where that is one.
pub(super) fn phrasal(first: &str, second: &str) -> Option<String> {
    if !matches!(second, "in" | "out" | "up" | "down" | "off" | "over" | "back" | "cycle") {
        return None;
    }
    let base = format!("{first}{second}");
    let third = || first.strip_suffix('s').map(|stem| format!("{stem}{second}"));
    if super::lexicon::act(&base).is_some() {
        return Some(base);
    }
    third().filter(|stem| super::lexicon::act(stem).is_some()).map(|stem| format!("{stem}s"))
}

/// Words with their phrasal verbs joined.
pub(super) fn join(words: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        match joined.last().and_then(|last| phrasal(last, &word)) {
            Some(verb) => {
                joined.pop();
                joined.push(verb);
            }
            None => joined.push(word),
        }
    }
    joined
}

/// The sentences of a run of tokens.
pub(super) fn sentences(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.chunk_by(|_, next| next.gap != Gap::Stop)
}

/// What a word may be the inflection of, likeliest first: `tries` of `try`, `stopping` of `stop`, `moving` of `move`.
pub(super) fn stems(word: &str) -> impl Iterator<Item = (String, Form)> {
    let mut found: Vec<(String, Form)> = vec![(word.to_owned(), Form::Base)];
    let mut add = |stem: String, form| found.push((stem, form));
    if let Some(stem) = word.strip_suffix("ies") {
        add(format!("{stem}y"), Form::Third);
    } else if let Some(stem) = word.strip_suffix('s').filter(|stem| !stem.ends_with('s')) {
        add(stem.to_owned(), Form::Third);
        if let Some(stem) = stem.strip_suffix('e') {
            add(stem.to_owned(), Form::Third);
        }
    } else if let Some(stem) = word.strip_suffix("ing").filter(|stem| stem.len() > 1) {
        add(stem.to_owned(), Form::Gerund);
        add(format!("{stem}e"), Form::Gerund);
        let mut ends = stem.chars().rev();
        if let (Some(last), Some(previous)) = (ends.next(), ends.next())
            && last == previous
        {
            add(stem.strip_suffix(last).unwrap_or(stem).to_owned(), Form::Gerund);
        }
    }
    found.into_iter()
}

/// A noun's singular, near enough to compare with: `policies`, `keys`, `addresses`.
pub(super) fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    for sibilant in ["sses", "xes", "ches", "shes"] {
        if word.ends_with(sibilant) {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    let plural = word.strip_suffix('s').filter(|stem| stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']));
    plural.unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_words_in_any_casing() {
        for name in
            ["purgeHTTPCache", "purge_http_cache", "PURGE-HTTP-CACHE", "Purge.Http.Cache", "purge http/cache"]
        {
            assert_eq!(split(name), ["purge", "http", "cache"], "{name}");
        }
        assert_eq!(split("listVMs"), ["list", "vms"]);
        assert_eq!(split("s3_put"), ["s3", "put"]);
        assert!(split("__--").is_empty());
    }

    #[test]
    fn a_sentence_ends_at_a_stop_before_space_only() {
        let tokens = tokens("Reads v1.2 of db.find, then stops. Second one!", 64);
        let sentences: Vec<usize> = sentences(&tokens).map(<[Token]>::len).collect();
        assert_eq!(sentences, [6, 2]);
    }

    #[test]
    fn an_inflected_verb_comes_back_to_its_stem() {
        let back = |word: &str, stem: &str| stems(word).any(|(found, _)| found == stem);
        for (word, stem) in [
            ("tries", "try"),
            ("purges", "purge"),
            ("stopping", "stop"),
            ("moving", "move"),
            ("pushes", "push"),
        ] {
            assert!(back(word, stem), "{word}");
        }
    }

    #[test]
    fn a_plural_comes_back_to_its_singular() {
        for (word, one) in
            [("policies", "policy"), ("keys", "key"), ("addresses", "address"), ("status", "status")]
        {
            assert_eq!(singular(word), one);
        }
    }
}
