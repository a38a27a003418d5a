use super::*;
use std::net::Ipv4Addr;

const SECOND: u64 = 1_000_000;

fn v4(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n))
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_800_000_000_000_000 + seconds * SECOND)
}

/// How many of so many refusals are recorded by themselves.
fn recorded(strangers: &Strangers, times: u32, from: impl Fn(u32) -> IpAddr, now: Timestamp) -> u32 {
    (0..times)
        .map(|n| u32::from(strangers.refused(Some(from(n)), Code::CredentialMissing, now).is_ok()))
        .sum()
}

#[test]
fn an_address_has_twenty_at_once_and_then_one_each_ten_seconds() {
    let strangers = Strangers::default();
    assert_eq!(recorded(&strangers, 1_000, |_| v4(1), at(0)), 20);
    assert_eq!(recorded(&strangers, 10, |_| v4(1), at(9)), 0);
    assert_eq!(recorded(&strangers, 10, |_| v4(1), at(10)), 1);
    assert_eq!(recorded(&strangers, 10, |_| v4(2), at(10)), 10, "another is not kept from it");
    assert_eq!(recorded(&strangers, 100, |_| v4(1), at(1_000)), 20, "and no more is saved up");
    // a clock that is set back takes no longer than an empty bucket does
    assert_eq!(recorded(&strangers, 100, |_| v4(1), at(200)), 0);
    assert_eq!(recorded(&strangers, 100, |_| v4(1), at(210)), 1);
}

#[test]
fn many_addresses_are_no_more_than_one_hundred_at_once_and_one_a_second() {
    let strangers = Strangers::default();
    assert_eq!(recorded(&strangers, 50_000, v4, at(0)), 100);
    assert_eq!(recorded(&strangers, 50_000, |n| v4(50_000 + n), at(30)), 30);
    let known = strangers.0.lock();
    assert!(known.peers.len() <= PEERS_MAX && known.counted.peers.len() <= COUNTED_MAX);
    drop(known);
    let filled = Strangers::default();
    for second in 0..20_000_u32 {
        recorded(&filled, 1, |_| v4(second), at(u64::from(second)));
    }
    assert!(filled.0.lock().peers.len() <= PEERS_MAX, "who is quiet is forgotten");
}

#[test]
fn a_network_of_ipv6_is_one_address_and_so_is_an_address_in_two_forms() {
    let strangers = Strangers::default();
    let in_one = |n: u32| format!("2001:db8:1:2:{n:x}::1").parse().unwrap();
    assert_eq!(recorded(&strangers, 1_000, in_one, at(0)), 20);
    let another = |_| "2001:db8:1:3::1".parse().unwrap();
    assert_eq!(recorded(&strangers, 1_000, another, at(0)), 20);
    assert_eq!(recorded(&strangers, 15, |_| v4(1), at(0)), 15);
    let mapped = |_| "::ffff:10.0.0.1".parse().unwrap();
    assert_eq!(recorded(&strangers, 15, mapped, at(0)), 5);
}

#[test]
fn what_is_counted_says_how_many_when_from_where_and_why() {
    let strangers = Strangers::default();
    for n in 0..30 {
        let begins = strangers.refused(Some(v4(1)), Code::CredentialMissing, at(n / 10)).err();
        assert_eq!(begins, (n >= 20).then_some(n == 20), "{n}: one tells what is counted");
    }
    for n in 0..30 {
        let _ = strangers.refused(Some(v4(2)), Code::TokenInactive, at(3 + n / 10));
    }
    strangers.asked(at(9));
    let counted = std::mem::take(&mut strangers.0.lock().counted);
    let detail = counted.detail();
    let of = |key: &str| detail.get(key).map(String::as_str);
    assert_eq!((of("refused"), of("addresses"), of("questions")), (Some("20"), Some("2"), Some("1")));
    assert_eq!(of("codes"), Some("credential-missing 10, token-inactive 10"));
    assert_eq!((of("from"), of("to")), (Some(&*at(2).0.to_string()), Some(&*at(9).0.to_string())));
    // what could not be written is with what came later
    let _ = strangers.refused(Some(v4(3)), Code::JsonMalformed, at(1));
    for _ in 0..25 {
        let _ = strangers.refused(Some(v4(3)), Code::JsonMalformed, at(12));
    }
    strangers.0.lock().counted.take_in(counted);
    let detail = strangers.0.lock().counted.detail();
    assert_eq!((&*detail["refused"], &*detail["addresses"]), ("25", "3"));
    assert_eq!((&*detail["from"], &*detail["to"]), (&*at(2).0.to_string(), &*at(12).0.to_string()));
}

#[test]
fn an_entry_is_bounded_whatever_was_counted() {
    let mut counted = Counted::default();
    for (n, code) in Code::ALL.iter().enumerate() {
        counted.at(at(n as u64));
        counted.add(*code, u64::MAX / 2);
    }
    (0..5_000).for_each(|n| counted.of(peer(Some(v4(n)))));
    let detail = counted.detail();
    assert_eq!(detail["refused"], u64::MAX.to_string());
    assert_eq!(detail["addresses"], "1024 or more");
    assert!(detail["codes"].contains(", others ") && detail["codes"].len() < 1_024, "{}", detail["codes"]);
}
