//! Learns the tables that are in the program: `learn wording RECORDS… [--real FOLDER]… [--out FILE | --check]` and
//! `learn risk|effect RECORDS… [--real FOLDER]… [--out FILE | --check]`. See `wording.rs` and `risk.rs`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring program may stop at a broken file"
)]

mod descent;
mod risk;
mod wording;

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) files: Vec<String>,
    pub(crate) folders: Vec<String>,
    pub(crate) out: Option<String>,
    pub(crate) checks: bool,
    /// Each single answer as well.
    pub(crate) lists: bool,
}

fn fail(path: &str, error: &std::io::Error) -> ! {
    eprintln!("{path}: {error}");
    std::process::exit(2)
}

pub(crate) fn lines(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| fail(path, &error));
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

pub(crate) fn write(path: &str, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|error| fail(path, &error));
    println!("wrote {path}");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next();
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--real" => options.folders.extend(arguments.next()),
            "--out" => options.out = arguments.next(),
            "--check" => options.checks = true,
            "--list" => options.lists = true,
            _ => options.files.push(argument),
        }
    }
    match what.as_deref() {
        Some("wording") if !options.files.is_empty() => wording::main(&options),
        Some(what @ ("risk" | "effect")) if !options.files.is_empty() => {
            risk::main(&options, what == "effect")
        }
        _ => {
            eprintln!(
                "usage: learn wording RECORDS… [--real FOLDER]… [--out FILE | --check]\n       learn risk|effect RECORDS… [--real FOLDER]… [--out FILE | --check]"
            );
            std::process::exit(2);
        }
    }
}
