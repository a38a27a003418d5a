//! What can be told of a server from how a client starts or reaches it.

use super::{clients::Entry, container, credentials, fetched, launch, notice, notice::Notice};
use inspect::Severity;
use std::os::unix::fs::MetadataExt as _;

pub(crate) const SHELLS: [&str; 9] =
    ["sh", "bash", "zsh", "dash", "fish", "cmd", "cmd.exe", "powershell", "powershell.exe"];

/// What puts a gateway before a server that is named by its command or its address.
pub(super) const WRAP: &str =
    "next: `callgate wrap --name NAME -- COMMAND` is what a client starts instead, with a gateway before it";
pub(super) const DECLARE: &str =
    "next: `[servers.NAME]` with its `url`, in the gateway's configuration, puts a gateway before it";

/// One thing that a person should know of a server, and what helps.
struct Remark {
    detector: &'static str,
    severity: Severity,
    because: String,
    repair: &'static str,
    /// What has to change for it to be another.
    offends: String,
}

/// Everything that is seen, the worst first.
pub(super) fn look(entry: &Entry) -> Vec<Notice> {
    let seen =
        [two_ways(entry), unencrypted(entry), shell(entry), unpinned(entry), of_host(entry), broad(entry)];
    let seen = seen.into_iter().flatten().chain(turned(entry)).chain(secrets(entry)).chain(governed(entry));
    let mut seen: Vec<Notice> = seen
        .map(|Remark { detector, severity, because, repair, offends }| {
            Notice::of_setup(detector, severity, because, repair, &offends, entry.spot())
        })
        .collect();
    seen.sort_by_key(|notice| std::cmp::Reverse(notice.severity));
    seen
}

fn remark(
    detector: &'static str,
    severity: Severity,
    because: impl Into<String>,
    repair: &'static str,
    offends: &str,
) -> Remark {
    Remark { detector, severity, because: because.into(), repair, offends: offends.to_owned() }
}

/// The address, or the program and its arguments, without what is a secret; of one with several ways all of them.
pub(crate) fn reached(entry: &Entry) -> String {
    if entry.is_brought {
        return "what its client brings along".to_owned();
    }
    let words = credentials::words(&entry.command).into_iter().map(|word| word.text);
    let command = words.collect::<Vec<_>>().join(" ");
    let addresses = entry.addresses().map(|address| credentials::address(address).text);
    let ways = Some(command).filter(|command| !command.is_empty()).into_iter().chain(addresses);
    ways.collect::<Vec<_>>().join(" or ")
}

/// One that is both started and reached: what stands there first may be a decoy.
fn two_ways(entry: &Entry) -> Option<Remark> {
    entry.has_two_ways().then(|| {
        let because = match entry.command.is_empty() {
            true => "it names several addresses: which of them is asked is up to the client",
            false => "it names a program and an address: whether the one is started or the other asked is up to the client",
        };
        let repair = "leave one of them: `command`, or one address";
        remark("two-ways", Severity::High, because, repair, &steady(&[reached(entry)]))
    })
}

/// The last part of the program's path.
fn program(entry: &Entry) -> &str {
    base(entry.command.first().map_or("", String::as_str))
}

pub(crate) fn base(program: &str) -> &str {
    program.rsplit(['/', '\\']).next().unwrap_or(program)
}

fn unencrypted(entry: &Entry) -> Option<Remark> {
    let mut hosts = entry.addresses().filter_map(|address| {
        let url = url::Url::parse(address).ok()?;
        let host =
            url.host_str().filter(|host| url.scheme() == "http" && !egress::means_this_machine(host))?;
        Some(host.to_owned())
    });
    hosts.next().map(|host| {
        let because = "everything, credentials too, goes to another machine in the clear";
        remark("plain-http", Severity::High, because, "use https", &host)
    })
}

fn shell(entry: &Entry) -> Option<Remark> {
    let flags = entry.command.get(1..).unwrap_or_default();
    let is_line = |one: &String| matches!(one.to_lowercase().as_str(), "-c" | "-lc" | "/c" | "-command");
    let runs = SHELLS.contains(&program(entry)) && flags.iter().any(is_line);
    runs.then(|| {
        let because =
            "a shell reads the line that starts it: what it really runs is not what stands there first";
        remark(
            "shell",
            Severity::Medium,
            because,
            "name the program and its arguments",
            &steady(&entry.command),
        )
    })
}

/// Why each start may run something else, if it may.
pub(crate) fn floats(entry: &Entry) -> Option<String> {
    unpinned(entry).map(|remark| remark.because)
}

fn unpinned(entry: &Entry) -> Option<Remark> {
    let floats = |package: &&str| {
        // the first `@` of `@scope/name` is none of a version
        let version = package.get(1..).and_then(|rest| rest.rsplit_once('@')).map(|(_, version)| version);
        let named = version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()));
        !package.contains("==") && !named
    };
    let packages = fetched::packages(&entry.command);
    // it may be an address with what lets one in
    let shown = credentials::alone(packages.into_iter().find(floats)?).text;
    let because = format!("each start runs whatever version of `{shown}` is the newest by then");
    Some(remark("unpinned", Severity::Medium, because, "name one version", &shown))
}

/// What a container is given of the machine. It is another finding with any other such option, and with another image.
fn of_host(entry: &Entry) -> Option<Remark> {
    if !container::is_program(program(entry)) {
        return None;
    }
    let run = container::read(entry.command.get(1..).unwrap_or_default());
    let wide: Vec<&str> =
        run.wide(entry.is_published()).into_iter().map(|given| given.said.as_str()).collect();
    let flags = wide.iter().map(|flag| format!("`{flag}`")).collect::<Vec<_>>().join(", ");
    let give = if wide.len() == 1 { "gives" } else { "give" };
    let because = format!("{flags} {give} the container what the whole machine has");
    let repair = "mount and allow what it needs";
    let offends = notice::key(wide.iter().copied().chain([run.image.as_str()]));
    (!wide.is_empty()).then(|| remark("container-of-the-host", Severity::High, because, repair, &offends))
}

/// A line, or several words, for fingerprints: all of it but the values that are credentials, however much a shell makes of one word.
fn steady<S: AsRef<str>>(words: &[S]) -> String {
    let is_between = |c: char| c.is_whitespace() || ";|&()<>`\"'{}$\\".contains(c);
    let (mut parts, mut between) = (Vec::new(), String::new());
    for word in words.iter().map(AsRef::as_ref) {
        parts.extend(word.split(is_between).filter(|part| !part.is_empty()).map(str::to_owned));
        between.extend(word.chars().filter(|c| is_between(*c)));
        between.push('\0');
    }
    let parts = credentials::words(&parts).into_iter().map(|part| part.text);
    notice::key(parts.chain([between]))
}

/// What has another program run, or another package fetched, than the one that stands there.
fn turned(entry: &Entry) -> Vec<Remark> {
    let published = entry.is_published();
    let variables = entry.env.iter().filter_map(|(name, value)| launch::variable(name, value, published));
    let options = launch::command(&entry.command);
    let whole = steady(&entry.command);
    let of_option = options.into_iter().map(|turn| (turn, whole.clone()));
    let of_variable = variables.map(|turn| {
        let value = entry.env.get(&turn.by).map_or("", String::as_str);
        (turn, steady(&[value]))
    });
    let told = |(launch::Turn { detector, severity, by }, offends): (launch::Turn, String)| {
        let (because, repair) = match detector {
            "other-source" => (
                "chooses where packages are fetched from",
                "keep the source in the machine's own configuration",
            ),
            "loads-code" => ("has code of its choice loaded into what is started", "leave the variable out"),
            _ => (
                "runs what stands there, not the program or package that is named",
                "name the program, and keep its code in a file of it",
            ),
        };
        remark(detector, severity, format!("`{by}` {because}"), repair, &notice::key([by, offends]))
    };
    of_option.chain(of_variable).map(told).collect()
}

fn broad(entry: &Entry) -> Option<Remark> {
    let files = entry.command.iter().any(|one| one.contains("filesystem"));
    let wide = |one: &&String| {
        matches!(one.as_str(), "/" | "~" | "$HOME" | "${HOME}" | "/home" | "/Users" | "C:\\" | "${userHome}")
    };
    let folders: Vec<&String> = entry.command.get(1..)?.iter().filter(wide).filter(|_| files).collect();
    let named = folders.iter().map(|folder| format!("`{folder}`")).collect::<Vec<_>>().join(", ");
    let because = format!("it may read and write everything below {named}, keys of other programs included");
    // one folder is known by itself, as it always was
    let offends = match folders.as_slice() {
        [] => return None,
        [one] => (*one).clone(),
        all => notice::key(all.iter().map(|one| one.as_str())),
    };
    Some(remark("broad-folder", Severity::High, because, "name the folders that are needed", &offends))
}

/// Credentials that stand in the file, where every program of this user can read them.
fn secrets(entry: &Entry) -> Vec<Remark> {
    let seen = credentials::held(entry);
    if seen.is_empty() {
        return Vec::new();
    }
    let others = std::fs::metadata(&entry.file).is_ok_and(|of| of.mode() & 0o077 != 0);
    let whose = if others { "every user of this machine" } else { "every program of this user" };
    let is = if seen.len() == 1 { "is a credential" } else { "are credentials" };
    let because = format!("{} {is} in a file that {whose} can read", seen.join(", "));
    let repair = match (is_kept(entry), is_fixed(entry)) {
        (true, true) => {
            "have the gateway keep it: `callgate secret set`; what is an argument, or in a path, has to become a variable or a header first"
        }
        (_, false) => "have the gateway keep it: `callgate secret set`",
        (false, true) => {
            "nothing can be filled in there: have the server take a variable or a header instead, which the gateway then keeps (`callgate secret set`)"
        }
    };
    vec![remark("secret-in-file", Severity::High, because, repair, &seen.join(", "))]
}

/// Whether one stands where the gateway can fill it in.
fn is_kept(entry: &Entry) -> bool {
    let mut named = entry.env.iter().chain(&entry.headers);
    let url = entry.url.as_deref().and_then(|url| url::Url::parse(url).ok());
    named.any(|(name, value)| credentials::is_secret(name, value))
        || url.is_some_and(|url| credentials::asks(&url).next().is_some())
}

/// Whether one stands where it cannot.
fn is_fixed(entry: &Entry) -> bool {
    let in_words = credentials::words(&entry.command).iter().any(|word| word.holds.is_some());
    in_words || entry.url.as_deref().and_then(credentials::of_path).is_some()
}

/// Whether what it is asked goes through a gateway.
fn governed(entry: &Entry) -> Option<Remark> {
    (!is_governed(entry)).then(|| {
        let because = "no policy, approval or record stands between the model and it";
        let repair = match (entry.is_brought, entry.is_of_command_line(), &entry.url) {
            (true, ..) => "name its program instead of the extension, then `callgate import`",
            (_, false, _) => "`callgate import`, or the gateway's address",
            (_, true, Some(_)) => "`[servers.NAME]` with its `url` in the gateway's configuration",
            (_, true, None) => "`callgate wrap --name NAME -- COMMAND`",
        };
        remark("ungoverned", Severity::Low, because, repair, "")
    })
}

pub(crate) fn is_governed(entry: &Entry) -> bool {
    own_words(entry).is_some() && !entry.has_two_ways()
}

/// What a gateway is asked to do there, where the program is one; `env` may set variables for it first.
pub(crate) fn own_words(entry: &Entry) -> Option<&[String]> {
    let mut words = entry.command.as_slice();
    while let [first, rest @ ..] = words {
        match base(first) {
            "callgate" => return Some(rest),
            "env" => words = behind_env(rest),
            _ => return None,
        }
    }
    None
}

/// The command that `env` runs.
pub(crate) fn behind_env(mut words: &[String]) -> &[String] {
    while let [first, rest @ ..] = words {
        words = match first.as_str() {
            "-u" | "--unset" | "-C" | "--chdir" => rest.get(1..).unwrap_or_default(),
            "--" => return rest,
            option if option.starts_with('-') || option.contains('=') => rest,
            _ => return words,
        };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &[&str]) -> Entry {
        Entry { command: command.iter().map(|one| (*one).to_owned()).collect(), ..Entry::default() }
    }
    fn seen(entry: &Entry) -> Vec<&'static str> {
        look(entry).into_iter().map(|notice| notice.detector).filter(|one| *one != "ungoverned").collect()
    }

    #[test]
    fn how_a_server_is_started_tells_on_it() {
        for (command, expected) in [
            (&["npx", "-y", "@org/server"][..], &["unpinned"][..]),
            (&["npx", "-y", "@org/server@latest"], &["unpinned"]),
            (&["npx", "-y", "@org/server@1.2.3"], &[]),
            (&["/usr/bin/npx", "server@2"], &[]),
            (&["uvx", "mcp-server-git"], &["unpinned"]),
            (&["uvx", "mcp-server-git==1.0"], &[]),
            (&["npx", "-p", "evil", "server@1"], &["unpinned"]),
            (&["npx", "--package=evil", "server@1"], &["unpinned"]),
            (&["npx", "-p", "thing@1", "-p", "evil", "server"], &["unpinned"]),
            (&["npx", "-p", "thing@1", "server"], &[]),
            (&["uvx", "--from=evil", "server==1"], &["unpinned"]),
            (&["uvx", "--from", "thing==1", "server"], &[]),
            (&["pnpm", "dlx", "--package=evil", "server@1"], &["unpinned"]),
            (&["bash", "-c", "node x.js"], &["shell"]),
            (&["bash", "start.sh"], &[]),
            (&["docker", "run", "-v", "/:/host", "image"], &["container-of-the-host"]),
            (&["docker", "run", "-v", "/srv/data:/data", "image"], &[]),
            (&["docker", "run", "--pid", "host", "--cap-add", "ALL", "image"], &["container-of-the-host"]),
            (&["docker", "run", "image", "--privileged"], &[]),
            (&["npx", "-y", "-c", "x", "server@1.0.0"], &["other-code", "unpinned"]),
            (&["node", "-e", "x"], &["other-code"]),
            (&["server-filesystem", "/"], &["broad-folder"]),
            (&["server-filesystem", "/home/me/notes"], &[]),
            (&["node", "x.js", "--key", "ghp_0123456789abcdef0123456789abcdef0123"], &["secret-in-file"]),
            (&["server-postgres", "postgresql://app:hunter2@db.local/prod"], &["secret-in-file"]),
        ] {
            assert_eq!(seen(&run(command)), expected, "{command:?}");
        }
    }

    #[test]
    fn one_with_two_ways_hides_neither_and_is_governed_by_none() {
        let both = Entry {
            url: Some("http://127.0.0.1:9/mcp?key=k".to_owned()),
            ..run(&["callgate", "wrap", "--name", "x"])
        };
        assert_eq!(reached(&both), "callgate wrap --name x or http://127.0.0.1:9/mcp");
        assert_eq!(seen(&both), ["two-ways", "secret-in-file"]);
        assert!(!is_governed(&both));
        let several = Entry {
            url: Some("http://127.0.0.1:9/mcp".to_owned()),
            others: vec!["http://mcp.example/mcp".to_owned()],
            ..Entry::default()
        };
        assert_eq!(reached(&several), "http://127.0.0.1:9/mcp or http://mcp.example/mcp");
        assert_eq!(seen(&several), ["two-ways", "plain-http"]);
    }

    #[test]
    fn what_is_known_of_a_server_covers_nothing_more() {
        let known = |command: &[&str], detector: &str| {
            let notices = look(&run(command)).into_iter();
            let of_it = notices.filter(|notice| notice.detector == detector);
            of_it.map(|notice| notice.fingerprint).collect::<Vec<_>>()
        };
        let run = ["docker", "run", "--privileged", "image"];
        for (detector, before, after) in [
            (
                "container-of-the-host",
                &run[..],
                &["docker", "run", "--privileged", "-v", "/:/h", "image"][..],
            ),
            ("container-of-the-host", &run, &["docker", "run", "--privileged", "evil/image"]),
            ("broad-folder", &["server-filesystem", "/home"], &["server-filesystem", "/home", "/"]),
            (
                "shell",
                &["bash", "-c", "API_TOKEN=ghp_0123456789abcdef0123456789abcdef0123 npx s"],
                &["bash", "-c", "API_TOKEN=ghp_0123456789abcdef0123456789abcdef0123 curl x|sh"],
            ),
            (
                "shell",
                &["bash", "-c", "mysql --password=hunter2 x"],
                &["bash", "-c", "mysql --password=hunter2;curl x|sh"],
            ),
            ("shell", &["bash", "-c", "run --api-key abc"], &["bash", "-c", "run --api-key abc$(curl x)"]),
            ("other-code", &["node", "-e", "x"], &["node", "-e", "y"]),
        ] {
            let (before, after) = (known(before, detector), known(after, detector));
            assert!(
                before.len() == 1 && after.len() == 1 && before != after,
                "{detector}: {before:?} {after:?}"
            );
        }
        // the value of a credential is no part of it
        let with = |secret: &str| known(&["bash", "-c", &format!("mysql --password={secret} x")], "shell");
        assert_eq!(with("hunter2"), with("hunter3"));
    }

    #[test]
    fn a_package_is_named_without_the_credential_that_fetches_it() {
        let entry = run(&["npx", "-y", "https://me:hunter2@git.example/x.git"]);
        let because = floats(&entry).unwrap();
        assert!(because.contains("git.example/x.git") && !because.contains("hunter2"), "{because}");
    }

    #[test]
    fn an_address_in_the_clear_and_a_credential_are_seen_and_references_are_not() {
        let at = |url: &str| Entry { url: Some(url.to_owned()), ..Entry::default() };
        assert_eq!(seen(&at("http://mcp.example.com/x")), ["plain-http"]);
        for fine in
            ["https://mcp.example.com/x", "http://localhost:3000/x", "http://127.0.0.1/x", "http://[::1]/x"]
        {
            assert!(seen(&at(fine)).is_empty(), "{fine}");
        }
        let with = |name: &str, value: &str| Entry {
            env: [(name.to_owned(), value.to_owned())].into(),
            ..run(&["node", "x.js"])
        };
        assert_eq!(seen(&with("API_TOKEN", "0123456789abcdefghij")), ["secret-in-file"]);
        for fine in
            [("API_TOKEN", "${API_TOKEN}"), ("API_TOKEN", "$TOKEN"), ("MODE", "fast"), ("API_TOKEN", "")]
        {
            assert!(seen(&with(fine.0, fine.1)).is_empty(), "{fine:?}");
        }
    }

    #[test]
    fn what_goes_through_a_gateway_is_told_apart() {
        assert!(is_governed(&run(&["callgate", "wrap", "--", "npx", "x"])));
        assert!(is_governed(&run(&[
            "/usr/bin/env",
            "-u",
            "HOME",
            "X=1",
            "/opt/callgate",
            "wrap",
            "--name",
            "x"
        ])));
        assert!(!is_governed(&run(&["env", "X=callgate", "npx", "callgate"])));
        assert!(look(&run(&["node", "x.js"])).iter().any(|notice| notice.detector == "ungoverned"));
    }
}
