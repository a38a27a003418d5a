//! An upstream over HTTP that writes down, durably, every call it executes. It outlives the gateway.

use crate::desk;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

/// Runs until the test's process ends.
pub(crate) struct Books {
    pub(crate) port: u16,
}

impl Books {
    /// `executed` is the file it writes to.
    pub(crate) fn open(executed: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let executed = Arc::new((Mutex::new(()), executed.to_owned()));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let executed = Arc::clone(&executed);
                // whoever was cut off is not missed
                thread::spawn(move || serve(&stream, &executed).unwrap_or_default());
            }
        });
        Self { port }
    }
}

type Executed = (Mutex<()>, PathBuf);

fn serve(stream: &TcpStream, executed: &Executed) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some((get, body)) = request(&mut reader)? {
        let answer =
            if get { None } else { serde_json::from_slice(&body).ok().and_then(|m| answer(&m, executed)) };
        let head = match (&answer, get) {
            (Some(_), _) => "HTTP/1.1 200 OK\r\nContent-Type: application/json",
            (None, true) => "HTTP/1.1 405 Method Not Allowed",
            (None, false) => "HTTP/1.1 202 Accepted",
        };
        let body = answer.map(|answer| answer.to_string()).unwrap_or_default();
        let mut stream = stream;
        stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
    Ok(())
}

/// Whether it is anything but a POST, and its body. `None` when the peer hung up.
fn request(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<(bool, Vec<u8>)>> {
    let (mut line, mut get, mut length) = (String::new(), false, 0);
    loop {
        let first = line.is_empty();
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        get = if first { !line.starts_with("POST ") } else { get };
        let lower = line.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or_default();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((get, body)))
}

fn answer(message: &Value, executed: &Executed) -> Option<Value> {
    desk::answer(message, |what| {
        let _one = executed.0.lock().unwrap();
        desk::write_down(&executed.1, what);
    })
}

/// What an upstream has executed, in its order.
pub(crate) fn executed(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // a last line without its end was not written down yet
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// A well-formed answer to the one tool.
pub(crate) fn done(what: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": format!("done {what}") }] })
}
