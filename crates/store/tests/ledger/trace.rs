//! What a program asked of the kernel, in order, as `strace` saw it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Set it to `1` to leave out what needs strace where it is not installed.
const SKIP: &str = "CALLGATE_TEST_SKIP_STRACE";

/// What can change a file, a name or what a peer has heard.
const CALLS: &str = "openat,open,creat,close,read,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,\
    sendmsg,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,lseek";

/// The start of the command that traces another one into `log`, or `None` when that is left out on purpose.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
#[expect(clippy::disallowed_methods, reason = "whoever has no strace says so in the environment")]
pub(crate) fn strace(log: &Path) -> Option<Command> {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        let why = format!(
            "strace is not installed (on Debian: `apt-get install strace`); {SKIP}=1 leaves this out"
        );
        assert!(std::env::var(SKIP).is_ok_and(|value| value == "1"), "{why}");
        println!("{why}");
        return None;
    }
    let mut command = Command::new("strace");
    // signals of children are of no interest; `-I 2` lets us end the tracer and what it traces
    command.args(["-f", "-yy", "-xx", "-s", "33554432", "-e", "signal=none", "-e"]);
    command.arg(format!("trace={CALLS}")).arg("-o").arg(log);
    Some(command)
}

/// One system call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The lines at which it began and ended: another call may have happened in between.
    pub(crate) begin: usize,
    pub(crate) end: usize,
    pub(crate) name: String,
    /// The descriptor it was made on, and what that was open on.
    pub(crate) fd: Option<i64>,
    pub(crate) on: String,
    /// The texts among its arguments: paths, or bytes.
    pub(crate) texts: Vec<Vec<u8>>,
    /// The numbers that follow the texts: a length and an offset.
    pub(crate) numbers: Vec<u64>,
    pub(crate) words: String,
    /// What it returned; `None` when the program ended in the middle of it.
    pub(crate) returned: Option<i64>,
    /// What a descriptor that it returned is open on.
    pub(crate) opened: String,
}

impl Call {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.texts.concat()
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.returned.is_some_and(|returned| returned >= 0)
    }

    pub(crate) fn writes(&self) -> bool {
        ["write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg"].contains(&&*self.name)
    }

    pub(crate) fn reads(&self) -> bool {
        ["read", "recvfrom", "recvmsg"].contains(&&*self.name)
    }

    pub(crate) fn syncs(&self) -> bool {
        self.name == "fsync" || self.name == "fdatasync"
    }

    pub(crate) fn holds(&self, needle: &str) -> bool {
        self.bytes().windows(needle.len()).any(|window| window == needle.as_bytes())
    }
}

/// Reads a trace. Calls of several threads overlap: each is put together from its two halves.
pub(crate) fn read(log: &Path) -> Vec<Call> {
    let text = fs::read_to_string(log).unwrap();
    let mut open: Vec<(String, usize, String)> = Vec::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(half) = rest.strip_suffix(" <unfinished ...>") {
            open.push((pid.to_owned(), number, half.to_owned()));
        } else if let Some(later) = rest.strip_prefix("<... ") {
            let Some(at) = open.iter().position(|(of, _, _)| of == pid) else { continue };
            let (_, begin, half) = open.remove(at);
            let tail = later.split_once(" resumed>").map_or("", |(_, tail)| tail);
            calls.extend(call(begin, number, &(half + tail)));
        } else {
            calls.extend(call(number, number, rest));
        }
    }
    // what the program was in the middle of when it ended
    calls.extend(open.into_iter().filter_map(|(_, begin, half)| call(begin, usize::MAX, &half)));
    calls.sort_by_key(|call| call.begin);
    calls
}

/// The calls by when they count: what is written may be there from the beginning of a write on, and everything
/// else, a sync above all, only when it has returned.
pub(crate) fn by_effect(calls: &[Call]) -> Vec<&Call> {
    let mut sorted: Vec<&Call> = calls.iter().collect();
    sorted.sort_by_key(|call| if call.writes() { call.begin } else { call.end });
    sorted
}

fn call(begin: usize, end: usize, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ").map_or((rest, None), |(a, r)| (a, Some(r)));
    let digits = |text: &str| -> Option<i64> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
        text.get(..end)?.parse().ok()
    };
    let fd = digits(arguments);
    let on = fd.map(|_| annotation(arguments)).unwrap_or_default();
    let (texts, words) = split(arguments);
    let numbers = words.split(',').filter_map(|word| word.trim_matches([' ', ')']).parse().ok()).collect();
    let returned = result.and_then(digits);
    let opened = result.map(annotation).unwrap_or_default();
    Some(Call { begin, end, name: name.to_owned(), fd, on, texts, numbers, words, returned, opened })
}

/// What stands in `<…>` behind the first number. A socket's own `->` is not its end.
fn annotation(text: &str) -> String {
    let start = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let Some(inside) = text.get(start..).and_then(|rest| rest.strip_prefix('<')) else {
        return String::new();
    };
    let end = inside
        .match_indices('>')
        .map(|(at, _)| at)
        .find(|at| inside.get(..*at).is_some_and(|before| !before.ends_with('-')));
    String::from_utf8_lossy(&unescape(end.and_then(|end| inside.get(..end)).unwrap_or_default())).into_owned()
}

/// The quoted texts, and what is left without them.
fn split(arguments: &str) -> (Vec<Vec<u8>>, String) {
    let (mut texts, mut words) = (Vec::new(), String::new());
    for (number, part) in arguments.split('"').enumerate() {
        // every byte of a text is written as `\xNN`, so that no quote is inside
        if number % 2 == 1 {
            texts.push(unescape(part));
        } else {
            assert!(number == 0 || !part.starts_with("..."), "the tracer cut a text off");
            words.push_str(part);
        }
    }
    (texts, words)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = rest.strip_prefix(b"\\x").and_then(|hex| std::str::from_utf8(hex.get(..2)?).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}
