//! The two ends of a measurement: a server that costs next to nothing, and a load that checks every answer.
//!
//! `cargo xtask bench` starts both in programs of their own, so that what they cost is not counted with what stands between them.

mod calls;
mod flush;
mod http;
mod load;
mod many;
mod options;
mod provider;
mod upstream;

use anyhow::{Result, bail};
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(said) => {
            say(&said);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            say(&format!("callgate-bench: {fault:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let mut words = std::env::args().skip(1);
    let task = words.next().unwrap_or_default();
    let options = Options::read(words)?;
    match task.as_str() {
        "upstream" => upstream::serve(&options),
        "provider" => provider::serve(&options),
        "load" => load::run(&options),
        "first" => load::first(&options),
        "flush" => flush::run(&options),
        "catalogue" => many::catalogue(&options),
        "list" => many::list(&options),
        _ => bail!("the tasks are upstream, provider, load, first, flush, catalogue and list, not `{task}`"),
    }
}

#[expect(clippy::print_stdout, reason = "what it measured goes to whoever started it")]
fn say(line: &str) {
    println!("{line}");
}
