//! Codes that programs have: base64, base32, hexadecimal, escapes, lists of character numbers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    pub(crate) name: &'static str,
    /// All of the decoded text was in code; else it is the text around some escapes.
    pub(crate) whole: bool,
    /// Nobody writes so, whatever it says.
    pub(crate) odd: bool,
}

const fn of(name: &'static str) -> Code {
    Code { name, whole: true, odd: false }
}

/// Shortest text in code that can say something.
const SHORTEST: usize = 16;
/// Most of one text that is decoded.
const BYTES_MAX: usize = 64 << 10;

pub(super) fn decode(text: &str) -> Vec<(Code, String)> {
    let mut out = Vec::new();
    for run in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=')))
    {
        // padding is at the end; elsewhere `=` stands between a name and its value
        for part in run.trim_end_matches('=').split('=') {
            if part.len() >= SHORTEST && part.len() < BYTES_MAX {
                out.extend(run_of_letters(part));
            }
        }
    }
    for lines in in_lines(text) {
        out.extend(run_of_letters(lines.trim_end_matches('=')));
    }
    let marks = [
        ("percent-encoding", '%'),
        ("an escape", '\\'),
        ("a character reference", '&'),
        ("quoted-printable", '='),
    ];
    for (name, mark) in marks {
        if text.matches(mark).take(3).count() > 2 {
            escapes(text, name, mark, &mut out);
        }
    }
    if text.bytes().filter(u8::is_ascii_digit).take(SHORTEST).count() == SHORTEST {
        numbers(text, &mut out);
    }
    out
}

/// Letters of a code that stand in several lines with nothing else in them, put together.
fn in_lines(text: &str) -> Vec<String> {
    const LINES: usize = 3;
    let coded = |line: &&str| {
        line.len() > 3 && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b))
    };
    let mut out = Vec::new();
    if !text.contains('\n') {
        return out;
    }
    // the first of them may stand behind a sentence
    let mut run: Vec<&str> = Vec::new();
    for line in text.lines().map(|line| line.rsplit(' ').next().unwrap_or_default()).chain([""]) {
        if coded(&line) {
            run.push(line);
        } else {
            if run.len() >= LINES {
                out.push(run.concat());
            }
            run.clear();
        }
    }
    out
}

/// Text of two bytes a letter, the little end first.
fn wide(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|two| two.iter().rev().fold(0, |unit, b| unit << 8 | u16::from(*b)))
        .collect();
    let plain = units.iter().filter(|unit| (0x20..0x7f).contains(*unit)).count();
    (plain * 4 > units.len() * 3).then(|| String::from_utf16(&units).ok()).flatten()
}

/// Whether bytes are text with words in it.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = match wide(&bytes) {
        Some(text) => text,
        None => String::from_utf8(bytes).ok()?,
    };
    let plain = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'));
    (plain && text.chars().filter(|c| c.is_alphabetic()).count() > 5).then_some(text)
}

fn run_of_letters(run: &str) -> Option<(Code, String)> {
    let bare = run.trim_end_matches('=');
    if bare.bytes().all(|b| b.is_ascii_hexdigit()) && bare.len().is_multiple_of(2) {
        return readable(hex(bare)?).map(|text| (of("hexadecimal"), text));
    }
    if let Some(hexadecimal) =
        bare.strip_prefix("0x").filter(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return readable(hex(hexadecimal)?).map(|text| (of("hexadecimal"), text));
    }
    let upper = bare.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b));
    if upper && bare.len() > 23 {
        return readable(base32(bare)).map(|text| (of("base32"), text));
    }
    // words joined by slashes and hyphens are paths; code has small and large letters within a word
    let mixed = bare.bytes().any(|b| b.is_ascii_lowercase()) && bare.bytes().any(|b| b.is_ascii_uppercase());
    if !mixed {
        return None;
    }
    let bytes = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?;
    // the first bytes of what gzip compressed
    if bytes.starts_with(&[0x1f, 0x8b, 8]) && bytes.len() > SHORTEST {
        let code = Code { name: "base64", whole: true, odd: true };
        return Some((code, "something compressed, which nobody can read here".to_owned()));
    }
    readable(bytes).map(|text| (of("base64"), text))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn base32(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for b in text.bytes() {
        let value = if b.is_ascii_uppercase() { b - b'A' } else { b.wrapping_sub(b'2') + 26 };
        held = (held << 5 | u32::from(value)) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    out
}

/// The text with its escapes undone, and each long run of them by itself.
fn escapes(text: &str, name: &'static str, mark: char, out: &mut Vec<(Code, String)>) {
    let (mut all, mut run, mut undone) = (Vec::new(), Vec::new(), 0);
    let mut rest = text;
    let close = |run: &mut Vec<u8>, out: &mut Vec<(Code, String)>| {
        let run = std::mem::take(run);
        if run.len() > 7 {
            out.extend(readable(run).map(|inner| (of(name), inner)));
        }
    };
    while let Some(c) = rest.chars().next() {
        let (bytes, length) = match (c == mark).then(|| escape(rest, mark)).flatten() {
            Some((character, length)) => {
                undone += 1;
                (character, length)
            }
            None => (c.to_string().into_bytes(), c.len_utf8()),
        };
        // `\163 \145`: a space between two escapes parts them
        let parts = c == ' ' && !run.is_empty() && rest.get(1..).is_some_and(|next| next.starts_with(mark));
        if c == mark && length > 1 {
            run.extend_from_slice(&bytes);
        } else if !parts {
            close(&mut run, out);
        }
        all.extend(bytes);
        rest = rest.get(length..).unwrap_or_default();
    }
    close(&mut run, out);
    if undone > 2 {
        let code = Code { name, whole: false, odd: false };
        out.extend(readable(all).map(|inner| (code, inner)));
    }
}

/// The bytes that an escape at the start of the text stands for, and its length.
fn escape(text: &str, mark: char) -> Option<(Vec<u8>, usize)> {
    let number = |from: usize, to: usize, radix: u32| {
        let digits = text.get(from..to)?;
        Some((u32::from_str_radix(digits, radix).ok()?, to))
    };
    let second = text.get(1..2)?;
    let (code, length) = match (mark, second) {
        ('%', _) => {
            return number(1, 3, 16)
                .and_then(|(byte, length)| Some((vec![u8::try_from(byte).ok()?], length)));
        }
        ('\\', "x") => number(2, 4, 16)?,
        ('\\', "u") if text.get(2..3) == Some("{") => {
            let end = text.bytes().take(12).position(|b| b == b'}')?;
            let (code, _) = number(3, end, 16)?;
            (code, end + 1)
        }
        ('\\', "u") => number(2, 6, 16)?,
        ('\\', "U") => number(2, 10, 16)?,
        // `\65 ` in a style: hexadecimal digits and a space
        ('\\', _) => match number(1, 4, 8) {
            Some(octal) => octal,
            None => {
                let end = text.bytes().take(8).position(|b| b == b' ').filter(|end| *end > 2)?;
                let (code, _) = number(1, end, 16)?;
                (code, end + 1)
            }
        },
        // two digits in large letters, or it is the value of something
        ('=', _) => {
            let large = text.get(1..3)?.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
            let (byte, length) = number(1, 3, 16).filter(|_| large)?;
            return Some((vec![u8::try_from(byte).ok()?], length));
        }
        _ => {
            let end = text.bytes().take(10).position(|b| b == b';')?;
            let (from, radix) = match text.get(1..3)? {
                "#x" | "#X" => (3, 16),
                _ if second == "#" => (2, 10),
                _ => return None,
            };
            let (code, _) = number(from, end, radix)?;
            (code, end + 1)
        }
    };
    Some((char::from_u32(code)?.to_string().into_bytes(), length))
}

/// Lists of numbers that are characters: `73 103`, `0x49,0x67`, `49 67`, `01001001 01100111`.
fn numbers(text: &str, out: &mut Vec<(Code, String)>) {
    for (name, radix) in [("a list of character numbers", 10), ("hexadecimal", 16), ("a list of bits", 2)] {
        let mut run = Vec::new();
        let pieces =
            text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '[' | ']' | '(' | ')'));
        for piece in pieces.filter(|piece| !piece.is_empty()).chain(["end"]) {
            let digits = piece.strip_prefix("0x").unwrap_or(piece);
            let fits = match radix {
                2 => digits.len() == 8,
                16 => digits.len() == 2,
                _ => (2..4).contains(&digits.len()),
            };
            match u8::from_str_radix(digits, radix).ok().filter(|byte| fits && (*byte >= 32 || *byte == 10)) {
                Some(byte) => run.push(byte),
                None if run.len() > 9 => {
                    out.extend(readable(std::mem::take(&mut run)).map(|inner| (of(name), inner)))
                }
                None => run.clear(),
            }
        }
    }
}
