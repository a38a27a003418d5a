//! What people see on a real terminal: colours are colours, and what is to be copied is whole.

use crate::bed::Bed;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{
    fs::{File, OpenOptions},
    io::Read as _,
};

/// What a command writes to a terminal that is this wide.
fn on_a_terminal(bed: &Bed, columns: u16, args: &[&str]) -> String {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    tcsetwinsize(&keyboard, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let screen = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = bed.command();
    child.args(args).stdout(screen.try_clone().unwrap()).stderr(screen);
    let mut running = child.spawn().unwrap();
    // its copies of the screen end with it
    drop(child);
    let mut shown = Vec::new();
    // a terminal whose last writer has gone answers with an error
    let _ = File::from(keyboard).read_to_end(&mut shown);
    running.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

/// How wide each line is without what colours it.
fn widest(shown: &str) -> usize {
    let plain = shown.split("\x1b[").enumerate().map(|(at, part)| match at {
        0 => part,
        _ => part.split_once('m').unwrap().1,
    });
    plain.collect::<String>().lines().map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn cells_are_coloured_and_ids_are_whole() {
    let bed = Bed::with_notes();
    let token = bed.token("a-robot-with-a-name-of-some-length");
    let gateway = bed.serve();
    let session = gateway.session(&token);
    crate::bed::until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
    gateway.call(&token, &session, "read_note");
    gateway.call(&token, &session, "drop_note");
    gateway.stop();

    let calls = bed.json(&["audit", "list"]);
    let tokens = bed.json(&["agent", "list"]);
    let token = tokens[0]["tokens"][0]["id"].as_str().unwrap();
    for columns in [80, 140] {
        let shown = on_a_terminal(&bed, columns, &["audit", "list"]);
        for call in calls.as_array().unwrap() {
            let id = call["call"].as_str().unwrap();
            assert!(shown.contains(id), "{columns}: {id} in {shown}");
        }
        assert!(shown.contains("\x1b[31mrefused"), "{shown}");
        assert!(!shown.contains("\\u{1b}"), "{shown}");
        assert!(widest(&shown) <= usize::from(columns), "{columns}: {shown}");

        let shown = on_a_terminal(&bed, columns, &["agent", "list"]);
        assert!(shown.contains(token) && widest(&shown) <= usize::from(columns), "{columns}: {shown}");
    }
    // where nobody looks, a row is a line without colours
    let piped = bed.run(&["audit", "list"]).out;
    assert_eq!(piped.lines().count(), 1 + calls.as_array().unwrap().len(), "{piped}");
    assert!(!piped.contains('\x1b') && !piped.contains('…'), "{piped}");
}
