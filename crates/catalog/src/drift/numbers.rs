//! Addresses of numbers, as programs read them: four bytes may be written in one, two, three or four numbers, each decimal,
//! octal or hexadecimal (WHATWG URL, *IPv4 parser*).

use std::net::{Ipv4Addr, Ipv6Addr};

/// The address that a host of numbers is, in four decimal numbers.
pub(super) fn four(host: &str) -> Option<String> {
    let parts: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    // at most three before the last
    let open = 4_usize.checked_sub(first.len()).filter(|open| *open > 0)?;
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

/// So far at most is looked for the bracket that ends an address: the longest has 45 characters.
const BRACKETED_MAX: usize = 64;

/// The address in brackets that a text begins with.
pub(super) fn six(text: &str) -> Option<String> {
    let inside = text.strip_prefix('[')?;
    let end = inside.bytes().take(BRACKETED_MAX).position(|byte| byte == b']')?;
    inside.get(..end)?.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_four_numbers_at_most_and_ends_soon() {
        assert_eq!(four("1.2.3.4").as_deref(), Some("1.2.3.4"));
        assert_eq!(four("1.2.772").as_deref(), Some("1.2.3.4"));
        for none in ["1.2.3.4.0", "1.2.3.4.5", "1.2.3.256", ""] {
            assert_eq!(four(none), None, "{none}");
        }
        assert_eq!(six("[::1]/x").as_deref(), Some("[::1]"));
        assert_eq!(six("[2A00:1450::2]:80").as_deref(), Some("[2a00:1450::2]"));
        assert_eq!(six(&format!("[::1{}]", " ".repeat(BRACKETED_MAX))), None);
        assert_eq!(six("[é"), None);
    }
}
