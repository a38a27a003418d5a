//! What the options of `docker run` and its like give a container of the machine.

/// Options without a value. Any other takes one.
const BARE: [&str; 18] = [
    "detach",
    "help",
    "init",
    "interactive",
    "no-healthcheck",
    "no-hosts",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "replace",
    "rm",
    "rmi",
    "rootfs",
    "sig-proxy",
    "tls-verify",
    "tty",
];
const SHORT: [(char, &str); 16] = [
    ('a', "attach"),
    ('c', "cpu-shares"),
    ('d', "detach"),
    ('e', "env"),
    ('h', "hostname"),
    ('i', "interactive"),
    ('l', "label"),
    ('m', "memory"),
    ('p', "publish"),
    ('P', "publish-all"),
    ('q', "quiet"),
    ('t', "tty"),
    ('u', "user"),
    ('v', "volume"),
    ('w', "workdir"),
    ('?', "help"),
];
/// Folders of the system: with one of them, or one below, a container has the machine or its secrets.
const SYSTEM: [&str; 15] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/kubelet",
];
/// Of these, what many a container needs and nobody's secret is.
const HARMLESS: [&str; 5] = ["/etc/localtime", "/etc/timezone", "/etc/ssl", "/etc/pki", "/usr/share"];
/// What keys are kept in below a home folder.
const KEYS: [&str; 7] = [".ssh", ".aws", ".gnupg", ".kube", ".docker", ".config", ".netrc"];

/// One option of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) value: String,
    /// As it stands there.
    pub(crate) said: String,
}

/// What a container is started with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) options: Vec<Given>,
    pub(super) image: String,
    /// How many words there are up to the image.
    pub(crate) words: usize,
}

pub(crate) fn is_program(program: &str) -> bool {
    matches!(program, "docker" | "podman" | "nerdctl")
}

/// Reads the arguments of the program, up to the image: what follows is the container's own affair.
pub(crate) fn read(words: &[String]) -> Run {
    let start = words.iter().position(|word| word == "run" || word == "create");
    let of_run = start.and_then(|start| words.get(start.saturating_add(1)..)).unwrap_or(words);
    let mut run = Run { words: words.len(), ..Run::default() };
    let all = words.len();
    let mut words = of_run.iter().peekable();
    while let Some(word) = words.next() {
        let Some((name, value)) = option(word) else {
            run.image.clone_from(word);
            run.words = all.saturating_sub(words.len().saturating_add(1));
            break;
        };
        let mut given = Given { name, value: value.unwrap_or_default(), said: word.clone() };
        let open = !BARE.contains(&given.name.as_str()) && given.value.is_empty() && !word.contains('=');
        // nobody's value begins like another option
        if let Some(next) = open.then(|| words.next_if(|next| !next.starts_with('-'))).flatten() {
            given.said = format!("{word} {next}");
            given.value.clone_from(next);
        }
        run.options.push(given);
    }
    run
}

/// The name of an option and its value, if that stands in the same word; `None` for what is no option.
fn option(word: &str) -> Option<(String, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        return Some((name.to_owned(), value));
    }
    let mut letters = word.strip_prefix('-').filter(|rest| !rest.is_empty())?.chars();
    // `-itv /:/host`: those without a value may stand before one with it
    let mut last = String::new();
    while let Some(letter) = letters.next() {
        let known = SHORT.iter().find(|(short, _)| *short == letter);
        last = known.map_or_else(|| letter.to_string(), |(_, long)| (*long).to_owned());
        if !BARE.contains(&last.as_str()) {
            let value = letters.as_str().trim_start_matches('=');
            return Some((last, (!value.is_empty()).then(|| value.to_owned())));
        }
    }
    Some((last, None))
}

impl Run {
    /// The options that hand the machine over. `published`: whoever wrote them does not know the machine, and has no business with
    /// any of its folders.
    pub(super) fn wide(&self, published: bool) -> Vec<&Given> {
        self.options.iter().filter(|given| given.is_wide(published)).collect()
    }
}

impl Given {
    pub(super) fn is_wide(&self, published: bool) -> bool {
        let value = self.value.as_str();
        let of_host = || value == "host" || value.starts_with("host:");
        match self.name.as_str() {
            "privileged" => !matches!(value, "false" | "0"),
            "pid" | "net" | "network" | "ipc" | "uts" | "userns" | "cgroupns" => of_host(),
            "cap-add" | "device" | "device-cgroup-rule" | "volumes-from" => true,
            "security-opt" => !matches!(value, "no-new-privileges" | "no-new-privileges:true"),
            "volume" => value.contains(':') && is_of_machine(source(value), published),
            "mount" => {
                let part = |keys: &[&str]| {
                    let mut parts = value.split(',').filter_map(|part| part.split_once('='));
                    parts.find(|(key, _)| keys.contains(&key.trim())).map(|(_, value)| value.trim())
                };
                let is_bind = part(&["type"]).is_some_and(|kind| kind == "bind");
                part(&["src", "source"])
                    .is_some_and(|from| is_of_machine(from, published) && (is_bind || from.starts_with('/')))
            }
            _ => false,
        }
    }
}

/// The part of `SOURCE:TARGET` before the first colon.
fn source(volume: &str) -> &str {
    volume.split_once(':').map_or(volume, |(from, _)| from)
}

/// Whether it is a folder that gives the machine away. What the user fills in is the user's.
fn is_of_machine(folder: &str, published: bool) -> bool {
    if folder.contains("docker.sock") || folder.contains("podman.sock") {
        return true;
    }
    if folder.starts_with('{') {
        return false;
    }
    if published {
        // a volume has a name
        return !folder.starts_with(|c: char| c.is_ascii_alphanumeric()) || folder.contains(['/', '\\']);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let plain = format!("/{}", parts.join("/"));
    let below = |of: &str| plain == of || plain.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'));
    let is_home = matches!(parts.as_slice(), ["home" | "Users"] | ["home" | "Users", _]);
    let is_system = SYSTEM.iter().any(|one| below(one)) && !HARMLESS.iter().any(|one| below(one));
    let is_wide = parts.is_empty() || matches!(plain.as_str(), "/var" | "/var/lib") || is_home || is_system;
    let own =
        matches!(folder.trim_end_matches('/'), "~" | "$HOME" | "${HOME}" | "${userHome}" | "C:" | "C:\\");
    folder.starts_with('/') && is_wide || own || parts.iter().any(|part| KEYS.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(words: &[&str], published: bool) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        read(&words).wide(published).into_iter().map(|given| given.said.clone()).collect()
    }

    #[test]
    fn an_option_hands_the_machine_over_however_it_is_written() {
        for words in [
            &["--privileged"][..],
            &["--privileged=true"],
            &["--pid", "host"],
            &["--pid=host"],
            &["--network", "host"],
            &["--net=host"],
            &["--ipc", "host"],
            &["--userns=host"],
            &["--cap-add", "ALL"],
            &["--cap-add=SYS_ADMIN"],
            &["-v", "/:/host"],
            &["-v/:/host"],
            &["-v=/:/host"],
            &["-itv", "/:/host"],
            &["--volume", "/root:/h:ro"],
            &["-v", "//etc:/h"],
            &["-v", "/./home/../root:/h"],
            &["-v", "/home/me:/h"],
            &["-v", "~:/h"],
            &["-v", "~/.ssh:/h"],
            &["-v", "/var/run/docker.sock:/x"],
            &["--mount", "type=bind,src=/,dst=/h"],
            &["--mount=source=/etc,type=bind,target=/h"],
            &["--device", "/dev/kmsg"],
            &["--security-opt", "seccomp=unconfined"],
            &["--volumes-from", "other"],
        ] {
            let all = [&["run", "--rm"], words, &["image"]].concat();
            assert_eq!(wide(&all, false).len(), 1, "{words:?}");
            assert_eq!(wide(&all, true).len(), 1, "{words:?}, published");
        }
    }

    #[test]
    fn what_is_needed_and_what_is_the_container_s_own_is_not_flagged() {
        for words in [
            &["-v", "/srv/data:/data"][..],
            &["-v", "/etc/ssl/certs:/etc/ssl/certs:ro"],
            &["-v", "notes:/data"],
            &["--mount", "type=volume,src=notes,dst=/data"],
            &["--network", "none"],
            &["-e", "MODE=--privileged"],
            &["--security-opt", "no-new-privileges"],
        ] {
            let all = [&["run", "-i", "--rm"], words, &["image", "--privileged", "-v", "/:/x"]].concat();
            assert_eq!(wide(&all, false), [""; 0], "{words:?}");
        }
        // a stranger has no business with any folder of this machine, but with one that the user names
        assert_eq!(wide(&["run", "-v", "/srv/data:/data", "image"], true), ["-v /srv/data:/data"]);
        assert_eq!(wide(&["run", "-v", "{folder}:/data", "-v", "notes:/d", "image"], true), [""; 0]);
    }

    #[test]
    fn the_image_is_what_follows_the_options() {
        let words = ["run", "-i", "--name", "x", "-e", "A=b", "--rm", "ghcr.io/a/b:1", "serve"];
        let run = read(&words.map(str::to_owned));
        assert_eq!((run.image.as_str(), run.options.len()), ("ghcr.io/a/b:1", 4));
    }
}
