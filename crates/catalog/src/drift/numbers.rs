//! Addresses of numbers, as programs read them: four bytes may be written in one, two, three or four numbers, each decimal,
//! octal or hexadecimal (WHATWG URL, *IPv4 parser*).

use std::net::{Ipv4Addr, Ipv6Addr};

/// The address that a host of numbers is, in four decimal numbers.
pub(super) fn four(host: &str) -> Option<String> {
    let parts: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let open = 4_usize.checked_sub(first.len())?;
    let room = 1_u64.checked_shl(8 * u32::try_from(open).ok()?)?;
    if *last >= room || first.iter().any(|byte| *byte > 255) {
        return None;
    }
    let head = first.iter().enumerate().fold(0, |all, (i, byte)| all | (byte << (24 - 8 * i)));
    u32::try_from(head | last).ok().map(|all| Ipv4Addr::from(all).to_string())
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text.get(1..)?, 8),
        None => (text, 10),
    };
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    plain.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

/// Whether it is written as people do not write a number that is none of an address: all four bytes in hexadecimal, or in
/// four numbers of which one is octal or hexadecimal.
pub(super) fn is_odd(host: &str) -> bool {
    let hex = |one: &str| one.starts_with("0x") || one.starts_with("0X");
    let parts: Vec<&str> = host.split('.').collect();
    match parts.as_slice() {
        [one] => hex(one) && one.len() == 10,
        [_, _, _, _] => parts.iter().any(|one| hex(one) || (one.len() > 1 && one.starts_with('0'))),
        _ => false,
    }
}

/// The address in brackets that a text begins with.
pub(super) fn six(text: &str) -> Option<String> {
    let (inner, _) = text.strip_prefix('[')?.split_once(']')?;
    inner.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"))
}
