//! What it costs to look for three secrets in a 64 KiB result, and in a small one.
//!
//! `cargo run --release -p callgate-inspect --example mask_speed`; with words of a line, that line alone. With a number
//! after them it does that so many times and measures nothing: for `valgrind --tool=callgrind`, where the difference of
//! two numbers is what one costs in instructions.

#![expect(clippy::print_stdout, reason = "an example prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use callgate_inspect::Mask;
use std::hint::black_box;
use std::time::Instant;

const SECRETS: [(&str, &[u8]); 3] = [
    ("crm-key", b"Bearer sk-live-2f1c9a77d0e84b6f93aa"),
    ("query-key", b"AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
    ("db", b"postgres://app:Tr0ub4dor%263@db.internal:5432/app"),
];

fn time(what: &str, rounds: u32, mut work: impl FnMut()) {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.first().is_some_and(|words| !what.contains(words.as_str())) {
        return;
    }
    if let Some(times) = given.get(1).and_then(|times| times.parse::<u32>().ok()) {
        (0..times).for_each(|_| work());
        return;
    }
    let mut best = f64::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        for _ in 0..rounds {
            work();
        }
        best = best.min(began.elapsed().as_secs_f64() / f64::from(rounds));
    }
    println!("{what:44} {:9.2} µs", best * 1e6);
}

fn result(text: &str) -> Vec<u8> {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}")
        .into_bytes()
}

fn filled(line: &str, bytes: usize) -> String {
    line.chars().cycle().take(bytes).collect()
}

fn main() {
    let mask = Mask::new(SECRETS);
    let texts = [
        ("64 bytes", result("the ticket was closed by the customer herself")),
        (
            "64 KiB of prose without an escape",
            result(&filled("the quick brown fox jumps over a dog. ", 65_000)),
        ),
        (
            "64 KiB of lines",
            result(&filled("2026-11-25 12:00:01 INFO a request was served in 12 ms\n", 65_000)),
        ),
        (
            "64 KiB of JSON in a string",
            result(&filled("{\n  \"id\": 1234,\n  \"name\": \"Ada\"\n},", 60_000)),
        ),
        ("64 KiB of HTML with 40% & more", result(&filled("<a href=\"/x?y=%20z&amp;u=v\">x</a>\n", 62_000))),
        (
            "64 KiB of HTML full of escapes",
            result(&filled("&lt;a href=&quot;/x?y=%20z%2Fu&amp;amp;v=%252Fw&quot;&gt;\\", 60_000)),
        ),
        ("64 KiB of one base64", result(&filled("QWxhZGRpbjpvcGVuIHNlc2FtZQ", 65_000))),
    ];
    let one = || SECRETS.into_iter().take(1);
    time("made from one secret", 2_000, || drop(black_box(Mask::new(one()))));
    time("made from three secrets", 2_000, || drop(black_box(Mask::new(SECRETS))));
    for (what, text) in &texts {
        let rounds = if text.len() > 1_000 { 200 } else { 20_000 };
        time(&format!("all looked for in {what}"), rounds, || {
            assert!(mask.json(black_box(text)).is_ok_and(|masked| masked.is_none()));
        });
    }
    // which no escape can be part of
    let token = Mask::new(one());
    for (what, text) in texts.iter().filter(|(what, _)| what.contains("HTML")) {
        time(&format!("a token looked for in {what}"), 200, || {
            assert!(token.json(black_box(text)).is_ok_and(|masked| masked.is_none()));
        });
    }
    let quoting = result(&filled("Authorization: Bearer sk-live-2f1c9a77d0e84b6f93aa\n", 65_000));
    time("taken out of 64 KiB, 1,274 times", 50, || {
        assert!(mask.json(black_box(&quoting)).is_ok_and(|masked| masked.is_some()));
    });
}
