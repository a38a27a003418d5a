//! What gateway and supervisor say to each other over their socket.
//!
//! Both ends are the same executable, so there is no version. The gateway sends one [`Order`] and
//! at most one [`Grace`]; the supervisor answers with [`Report`]s. Secrets travel here rather than in the
//! supervisor's arguments or environment, which other processes could read.

use crate::{Command, Grace, Limits};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest order: more than the arguments and environment Linux accepts.
pub(crate) const ORDER_BYTES_MAX: u32 = 4 << 20;
pub(crate) const GRACE_BYTES: usize = 8;
pub(crate) const REPORT_BYTES: usize = 9;

/// What the supervisor is to start.
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) memory_bytes_max: Option<u64>,
    pub(crate) open_files_max: Option<u64>,
    pub(crate) orphaned: Grace,
}

/// The order as bytes, its length first. `None` when it is too long.
pub(crate) fn encode(command: &Command, limits: &Limits) -> Option<Zeroizing<Vec<u8>>> {
    let mut fields: Vec<&[u8]> = Vec::new();
    let numbers = [limits.memory_bytes_max, limits.open_files_max].map(|n| n.map(u64::to_le_bytes));
    for number in &numbers {
        fields.push(number.as_ref().map_or(&[], |bytes| bytes.as_slice()));
    }
    let grace = encode_grace(limits.orphaned);
    fields.push(&grace);
    fields.push(command.cwd.as_ref().map_or(&[], |cwd| cwd.as_os_str().as_bytes()));
    fields.push(command.program.as_bytes());
    let args = u32::try_from(command.args.len()).ok()?.to_le_bytes();
    fields.push(&args);
    fields.extend(command.args.iter().map(|arg| arg.as_bytes()));
    for (name, value) in &command.env {
        fields.push(name.as_bytes());
        fields.push(value.as_bytes());
    }
    let total = fields.iter().map(|field| field.len() + 4).sum::<usize>();
    let length = u32::try_from(total).ok().filter(|length| *length <= ORDER_BYTES_MAX)?;
    // the full capacity at once: growing would leave unwiped copies of secrets behind
    let mut out = Zeroizing::new(Vec::with_capacity(total + 4));
    out.extend_from_slice(&length.to_le_bytes());
    for field in fields {
        out.extend_from_slice(&u32::try_from(field.len()).ok()?.to_le_bytes());
        out.extend_from_slice(field);
    }
    Some(out)
}

/// Reads an order without its length. `None` when it is not one.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Order> {
    let rest = &mut bytes;
    let memory_bytes_max = number(field(rest)?)?;
    let open_files_max = number(field(rest)?)?;
    let orphaned = decode_grace(field(rest)?)?;
    let cwd = field(rest)?;
    let program = os(field(rest)?);
    let mut args = Vec::new();
    for _ in 0..u32::from_le_bytes(field(rest)?.try_into().ok()?) {
        args.push(os(field(rest)?));
    }
    let mut env = Vec::new();
    while !rest.is_empty() {
        env.push((os(field(rest)?), os(field(rest)?)));
    }
    let cwd = (!cwd.is_empty()).then(|| PathBuf::from(os(cwd)));
    Some(Order { program, args, env, cwd, memory_bytes_max, open_files_max, orphaned })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (field, behind) = behind.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(field)
}

fn number(field: &[u8]) -> Option<Option<u64>> {
    if field.is_empty() {
        return Some(None);
    }
    Some(Some(u64::from_le_bytes(field.try_into().ok()?)))
}

fn os(field: &[u8]) -> OsString {
    OsString::from_vec(field.to_vec())
}

pub(crate) fn encode_grace(grace: Grace) -> [u8; GRACE_BYTES] {
    let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX).to_le_bytes();
    let [a, b, c, d] = millis(grace.after_close);
    let [e, f, g, h] = millis(grace.after_term);
    [a, b, c, d, e, f, g, h]
}

pub(crate) fn decode_grace(bytes: &[u8]) -> Option<Grace> {
    let (close, term) = bytes.split_first_chunk::<4>()?;
    let millis = |bytes: [u8; 4]| Duration::from_millis(u64::from(u32::from_le_bytes(bytes)));
    Some(Grace { after_close: millis(*close), after_term: millis(term.try_into().ok()?) })
}

/// Which step of starting failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Order,
    Limits,
    Directory,
    Program,
}

/// How far an ending had got when the server went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    Closing,
    Terminating,
    Killing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    Started {
        pid: i32,
    },
    Failed {
        errno: i32,
        step: Step,
    },
    Exited {
        code: i32,
        phase: Phase,
    },
    Signaled {
        signal: i32,
        phase: Phase,
    },
    /// The supervisor has no children any more.
    Gone,
}

impl Report {
    pub(crate) fn encode(self) -> [u8; REPORT_BYTES] {
        let (tag, a, b) = match self {
            Self::Started { pid } => (1, pid, 0),
            Self::Failed { errno, step } => (2, errno, step as i32),
            Self::Exited { code, phase } => (3, code, phase as i32),
            Self::Signaled { signal, phase } => (4, signal, phase as i32),
            Self::Gone => (5, 0, 0),
        };
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a.to_le_bytes(), b.to_le_bytes());
        [tag, a0, a1, a2, a3, b0, b1, b2, b3]
    }

    pub(crate) fn decode(bytes: [u8; REPORT_BYTES]) -> Option<Self> {
        let [tag, a0, a1, a2, a3, b0, b1, b2, b3] = bytes;
        let (a, b) = (i32::from_le_bytes([a0, a1, a2, a3]), i32::from_le_bytes([b0, b1, b2, b3]));
        Some(match tag {
            1 => Self::Started { pid: a },
            2 => Self::Failed { errno: a, step: step(b)? },
            3 => Self::Exited { code: a, phase: phase(b)? },
            4 => Self::Signaled { signal: a, phase: phase(b)? },
            5 => Self::Gone,
            _ => return None,
        })
    }
}

fn step(n: i32) -> Option<Step> {
    [Step::Order, Step::Limits, Step::Directory, Step::Program].into_iter().find(|step| *step as i32 == n)
}

fn phase(n: i32) -> Option<Phase> {
    [Phase::Running, Phase::Closing, Phase::Terminating, Phase::Killing]
        .into_iter()
        .find(|phase| *phase as i32 == n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvValue;

    #[test]
    fn an_order_arrives_as_it_was_given_and_half_of_it_does_not() {
        let mut command =
            Command::new("npx").arg("-y").arg("").env("A", "1").env("B", EnvValue::secret(b"s\xff"));
        command.cwd = Some("/tmp".into());
        let limits = Limits { open_files_max: Some(64), ..Limits::default() };
        let bytes = encode(&command, &limits).unwrap();
        let order = decode(&bytes[4..]).unwrap();
        assert_eq!((order.program, order.args), (command.program, command.args));
        assert_eq!(order.env[1], ("B".into(), OsString::from_vec(b"s\xff".to_vec())));
        assert_eq!((order.cwd, order.orphaned), (command.cwd, limits.orphaned));
        assert_eq!((order.memory_bytes_max, order.open_files_max), (None, Some(64)));
        // cutting off whole variables at the end leaves an order; the length in front guards that
        for end in 4..bytes.len() - 22 {
            assert!(decode(&bytes[4..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn an_order_that_is_too_long_is_not_sent() {
        let command = Command::new("x").arg("y".repeat(ORDER_BYTES_MAX as usize));
        assert!(encode(&command, &Limits::default()).is_none());
    }

    #[test]
    fn every_report_reads_back() {
        for report in [
            Report::Started { pid: 77 },
            Report::Failed { errno: 2, step: Step::Program },
            Report::Exited { code: -1, phase: Phase::Running },
            Report::Signaled { signal: 9, phase: Phase::Killing },
            Report::Gone,
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode([9; REPORT_BYTES]), None);
    }
}
