//! Where credentials stand in how a client starts or reaches a server, and the same without them.

use super::clients::Entry;
use url::Url;

/// What stands in place of a credential.
pub(crate) const DOTS: &str = "••••••";
/// Shortest part of a path that may be a key: in one kind of digits, and in letters of both cases with digits.
const HEX_MIN: usize = 32;
const MIXED_MIN: usize = 24;

/// Flags that take a name and a password in one.
const PAIRS: [&str; 6] = ["-u", "--user", "--auth", "--basic-auth", "--credentials", "--login"];

/// A word of a command, or an address, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    /// What in it is a credential, in words.
    pub(crate) holds: Option<String>,
}

impl Shown {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), holds: None }
    }
}

/// Whether a value looks like a credential, by its name or its form. A reference to one is none.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    without(name, value).is_some()
}

/// The value without what is a credential; `None` if nothing is.
fn without(name: &str, value: &str) -> Option<String> {
    if value.is_empty() || refers(value) {
        return None;
    }
    inspect::shown::without_secrets(name, value).or_else(|| settings(value))
}

/// Whether the client fills it in.
pub(crate) fn refers(value: &str) -> bool {
    value.contains("${") || value.starts_with('$') || value.contains("{env:")
}

/// `Server=db;Password=VALUE` without the values that are credentials by their names; `None` if none is.
fn settings(value: &str) -> Option<String> {
    let parts = || value.split(';').filter(|part| !part.trim().is_empty());
    if parts().count() < 2 || !parts().all(|part| part.contains('=')) {
        return None;
    }
    let shown = parts().map(|part| match part.split_once('=') {
        Some((name, value)) if inspect::shown::without_secrets(name.trim(), value).is_some() => {
            format!("{name}={DOTS}")
        }
        _ => part.to_owned(),
    });
    let shown = shown.collect::<Vec<_>>().join(";");
    shown.contains(DOTS).then_some(shown)
}

/// The words of the command: a credential is known by its form, by the flag in front of it (`--api-key VALUE`,
/// `--api-key=VALUE`), or by the name it is given with (`-e TOKEN=VALUE`, `--header "Authorization: VALUE"`).
pub(crate) fn words(command: &[String]) -> Vec<Shown> {
    let before = std::iter::once("").chain(command.iter().map(String::as_str));
    command.iter().zip(before).map(|(word, before)| self::word(before, word)).collect()
}

/// One word by itself.
pub(crate) fn alone(word: &str) -> Shown {
    self::word("", word)
}

fn word(before: &str, word: &str) -> Shown {
    let flag =
        Some(before).filter(|flag| flag.starts_with('-') && !flag.contains('=') && !word.starts_with('-'));
    // a number that follows a flag counts something
    let is_number = word.len() < 6 && word.bytes().all(|b| b.is_ascii_digit());
    if let Some(flag) = flag.filter(|flag| !is_number && is_secret(flag, word)) {
        let holds = if is_secret("", word) { "an argument".to_owned() } else { format!("`{flag}`") };
        let text = without("", word).unwrap_or_else(|| DOTS.to_owned());
        return Shown { text, holds: Some(holds) };
    }
    if let Some((flag, text)) = flag.and_then(|flag| Some((flag, pair(flag, word)?))) {
        return Shown { text, holds: Some(format!("`{flag}`")) };
    }
    for separator in ['=', ':'] {
        let Some((name, value)) = word.split_once(separator) else { continue };
        let value = value.trim_start();
        if let Some(text) = pair(name, value) {
            return Shown { text: format!("{name}{separator}{text}"), holds: Some(format!("`{name}`")) };
        }
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if is_name && is_secret(name, value) && !is_secret("", word) {
            let gap = word.len() - name.len() - 1 - value.len();
            let text = format!("{name}{separator}{}{DOTS}", " ".repeat(gap));
            return Shown { text, holds: Some(format!("`{name}`")) };
        }
        // `--header=Authorization: VALUE`
        if is_name && name.starts_with('-') {
            let inner = alone(value);
            if inner.holds.is_some() {
                return Shown { text: format!("{name}{separator}{}", inner.text), ..inner };
            }
        }
    }
    if let Some(shown) = line(word) {
        return shown;
    }
    match without("", word) {
        Some(text) => Shown { text, holds: Some("an argument".to_owned()) },
        None => {
            Some(address(word)).filter(|shown| shown.holds.is_some()).unwrap_or_else(|| Shown::plain(word))
        }
    }
}

/// `NAME:PASSWORD` behind a flag that takes both, without the password. Two numbers are a user and a group.
fn pair(flag: &str, value: &str) -> Option<String> {
    let (name, password) = value.split_once(':').filter(|_| PAIRS.contains(&flag))?;
    let counts = password.is_empty() || value.bytes().all(|b| b.is_ascii_digit() || b == b':');
    (!counts && !password.starts_with('/') && !password.contains("${") && !password.starts_with('$'))
        .then(|| format!("{name}:{DOTS}"))
}

/// A line for a shell, whose words are looked at one by one; `None` if it is one word or holds nothing.
fn line(text: &str) -> Option<Shown> {
    if !text.contains(char::is_whitespace) {
        return None;
    }
    let (mut shown, mut holds, mut before) = (String::new(), Vec::new(), "");
    for piece in text.split_inclusive(char::is_whitespace) {
        let one = piece.trim_end();
        let seen = word(before, one);
        shown.push_str(&seen.text);
        shown.push_str(piece.get(one.len()..).unwrap_or_default());
        holds.extend(seen.holds);
        before = one;
    }
    (!holds.is_empty()).then(|| Shown { text: shown, holds: Some(holds.join(", ")) })
}

/// An address without its password, without what it asks with, and without a part of its path that is a key.
pub(crate) fn address(text: &str) -> Shown {
    let bare = text.split(['?', '#']).next().unwrap_or_default();
    let Ok(url) = Url::parse(text) else { return Shown::plain(bare) };
    let mut holds = Vec::new();
    let mut shown = bare.to_owned();
    if let Some((scheme, rest)) = bare.split_once("://")
        && let (host, path) =
            rest.split_once('/').map_or((rest, String::new()), |(h, p)| (h, format!("/{p}")))
        && let Some((_, host)) = host.rsplit_once('@')
    {
        shown = format!("{scheme}://{DOTS}@{host}{path}");
        if url.password().is_some() {
            holds.push("the password of the address".to_owned());
        } else if is_key(url.username()) {
            holds.push("the name in the address".to_owned());
        }
    }
    for part in keys(&url) {
        shown = shown.replace(part, DOTS);
    }
    holds.extend(of_path(text));
    let asked = url.query_pairs().filter(|(name, value)| is_secret(name, value));
    holds.extend(asked.map(|(name, _)| format!("`{name}` of the address")));
    // behind the `#` stands what a server is not sent, or a name and a value as in a query
    if let Some(fragment) = url.fragment().filter(|text| !text.is_empty()) {
        let named =
            url::form_urlencoded::parse(fragment.as_bytes()).any(|(name, value)| is_secret(&name, &value));
        holds.extend((named || is_key(fragment)).then(|| "what follows `#` in the address".to_owned()));
    }
    Shown { text: shown, holds: Some(holds.join(", ")).filter(|holds| !holds.is_empty()) }
}

fn keys(url: &Url) -> impl Iterator<Item = &str> {
    url.path_segments().into_iter().flatten().filter(|part| is_key(part))
}

/// What of the path of an address is a credential, in words.
pub(crate) fn of_path(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    keys(&url).next().map(|_| "a part of the address".to_owned())
}

/// Whether part of a path is there because nobody can guess it. A UUID names something as often as not.
fn is_key(part: &str) -> bool {
    if inspect::shown::without_secrets("", part).is_some() {
        return true;
    }
    let part = part.trim_end_matches('=').replace("%3D", "");
    let has = |is: fn(&u8) -> bool| part.bytes().any(|b| is(&b));
    let hex = part.len() >= HEX_MIN && part.bytes().all(|b| b.is_ascii_hexdigit());
    let run = part.split(['-', '_', '.']).map(str::len).max().unwrap_or_default();
    let letters = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let mixed =
        run >= MIXED_MIN && letters && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    (hex || mixed) && has(u8::is_ascii_digit)
}

/// A line of the configuration that an entry became, without the credentials among its words and in its path.
pub(crate) fn hidden(entry: &Entry, line: &str) -> String {
    let toml = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let words = entry.command.iter().zip(words(&entry.command)).filter(|(_, shown)| shown.holds.is_some());
    let line =
        words.fold(line.to_owned(), |line, (word, shown)| line.replace(&toml(word), &toml(&shown.text)));
    let url = entry.url.as_deref().and_then(|url| Url::parse(url).ok());
    url.iter().flat_map(keys).fold(line, |line, part| line.replace(part, DOTS))
}

/// What of an entry is a credential, in words.
pub(crate) fn held(entry: &Entry) -> Vec<String> {
    let named = entry.env.iter().chain(&entry.headers).filter(|(name, value)| is_secret(name, value));
    let mut held: Vec<String> = named.map(|(name, _)| format!("`{name}`")).collect();
    held.extend(words(&entry.command).into_iter().filter_map(|word| word.holds));
    held.extend(entry.url.as_deref().and_then(|url| address(url).holds));
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &[&str]) -> (String, Vec<String>) {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let all = words(&command);
        let text: Vec<&str> = all.iter().map(|word| word.text.as_str()).collect();
        (text.join(" "), all.iter().filter_map(|word| word.holds.clone()).collect())
    }

    #[test]
    fn a_credential_among_arguments_is_known_by_its_form_its_flag_or_its_name() {
        for (command, text, holds) in [
            (
                &["x", "postgresql://app:hunter2@db/prod"][..],
                "x postgresql://app:••••••@db/prod",
                "an argument",
            ),
            (&["x", "--api-key", "abc"], "x --api-key ••••••", "`--api-key`"),
            (&["x", "--api-key=abc"], "x --api-key=••••••", "`--api-key`"),
            (&["docker", "run", "-e", "GH_TOKEN=abc"], "docker run -e GH_TOKEN=••••••", "`GH_TOKEN`"),
            (
                &["mcp-remote", "--header", "Authorization: Bearer a b"],
                "mcp-remote --header Authorization: ••••••",
                "`Authorization`",
            ),
            (
                &["mcp-remote", "--header", "X-Api-Key:abc"],
                "mcp-remote --header X-Api-Key:••••••",
                "`X-Api-Key`",
            ),
            (&["x", "sk-proj-Ab12Cd34Ef56Gh78"], "x ••••••", "an argument"),
            (
                &["mcp-remote", "--header=Authorization: Bearer a b"],
                "mcp-remote --header=Authorization: ••••••",
                "`Authorization`",
            ),
            (
                &["sh", "-c", "export API_KEY=abc123; exec x"],
                "sh -c export API_KEY=•••••• exec x",
                "`API_KEY`",
            ),
            (
                &["npx", "https://Ab0123456789abcdef01234567@git.example/x.git"],
                "npx https://••••••@git.example/x.git",
                "the name in the address",
            ),
            (
                &["x", "Server=db;User=sa;Password=hunter2;Encrypt=yes"],
                "x Server=db;User=sa;Password=••••••;Encrypt=yes",
                "an argument",
            ),
            (
                &["mcp-remote", "https://h.example/x?api_key=abc"],
                "mcp-remote https://h.example/x",
                "`api_key` of the address",
            ),
            (
                &["mcp-remote", "https://h.example/x#access_token=abc"],
                "mcp-remote https://h.example/x",
                "what follows `#` in the address",
            ),
            (&["curl", "-u", "me:hunter2"], "curl -u me:••••••", "`-u`"),
            (&["x", "--auth=me:hunter2"], "x --auth=me:••••••", "`--auth`"),
        ] {
            assert_eq!(shown(command), (text.to_owned(), vec![holds.to_owned()]), "{command:?}");
        }
    }

    #[test]
    fn what_is_filled_in_counted_or_named_is_no_credential() {
        for command in [
            &["x", "--max-token", "100"][..],
            &["x", "--api-key", "${KEY}"],
            &["x", "--api-key", "--verbose"],
            &["x", "--token-file", "/run/token"],
            &["docker", "run", "-e", "GH_TOKEN", "ghcr.io/github/github-mcp-server"],
            &["docker", "run", "-v", "/srv/data:/data", "image"],
            &["docker", "run", "-u", "1000:1000", "image"],
            &["x", "--auth", "https://id.example/token"],
            &["x", "https://h.example/docs#installation"],
            &["x", "postgresql://app@db/prod"],
            &["mcp-remote", "https://h.example/x"],
        ] {
            assert_eq!(shown(command), (command.join(" "), vec![]), "{command:?}");
        }
    }

    #[test]
    fn a_line_of_the_configuration_is_shown_without_them() {
        let command = ["x", "--api-key", "a\"b", "redis://:p@h"].map(str::to_owned).to_vec();
        let line = format!("args = {}", toml::Value::from(command.get(1..).unwrap().to_vec()));
        let entry = Entry { command, ..Entry::default() };
        assert_eq!(hidden(&entry, &line), r#"args = ["--api-key", "••••••", "redis://:••••••@h"]"#);
        let url = "https://h.example/0123456789abcdef0123456789abcdef/mcp";
        let entry = Entry { url: Some(url.to_owned()), ..Entry::default() };
        assert_eq!(hidden(&entry, &format!("url = \"{url}\"")), "url = \"https://h.example/••••••/mcp\"");
    }

    #[test]
    fn an_address_is_shown_without_what_lets_anybody_in() {
        for (url, text, holds) in [
            ("https://h.example/mcp", "https://h.example/mcp", None),
            ("https://h.example/mcp?v=1", "https://h.example/mcp", None),
            ("https://h.example/mcp?api_key=abc", "https://h.example/mcp", Some("`api_key` of the address")),
            (
                "https://me:pw@h.example/mcp",
                "https://••••••@h.example/mcp",
                Some("the password of the address"),
            ),
            (
                "https://h.example/s/NWU3YjQ2ZTAtOWZkYS00MzQ4LWE0/mcp",
                "https://h.example/s/••••••/mcp",
                Some("a part of the address"),
            ),
            (
                "https://h.example/550e8400-e29b-41d4-a716-446655440000/mcp",
                "https://h.example/550e8400-e29b-41d4-a716-446655440000/mcp",
                None,
            ),
            (
                "https://h.example/Quarterly-Reports-Of-2024-And-More",
                "https://h.example/Quarterly-Reports-Of-2024-And-More",
                None,
            ),
        ] {
            assert_eq!(
                address(url),
                Shown { text: text.to_owned(), holds: holds.map(str::to_owned) },
                "{url}"
            );
        }
    }
}
