//! What kind of place an IP address is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds that matter to a server that makes requests on behalf of others
/// (IANA special-purpose registries, RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    Public,
    /// This machine.
    Loopback,
    /// "This network"; connecting to it reaches this machine.
    Unspecified,
    /// RFC 1918.
    Private,
    /// RFC 6598, between a carrier and its customers; many VPNs use it.
    CarrierNat,
    /// RFC 4193, the private addresses of IPv6.
    UniqueLocal,
    /// RFC 3927, RFC 4291.
    LinkLocal,
    /// Where a cloud tells a machine its credentials.
    Metadata,
    Multicast,
    /// Broadcast, documentation, benchmarking, deprecated or unassigned.
    Reserved,
}

impl AddressClass {
    /// Classifies an address by the host it reaches: an IPv4 address inside an IPv6 one (mapped,
    /// NAT64, 6to4) counts as itself.
    pub fn of(address: IpAddr) -> Self {
        match canonical(address) {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }
}

impl AddressClass {
    /// What an operator who wants such a place does.
    pub(crate) fn cure(self) -> &'static str {
        match self {
            Self::Private | Self::CarrierNat | Self::UniqueLocal | Self::LinkLocal | Self::Reserved => {
                "list its network under `networks`, of the server or of `[egress]`, if this is intended"
            }
            Self::Metadata => {
                "it hands out credentials; list that one address under `networks` if this is intended"
            }
            Self::Loopback => "write `localhost` or the address itself if this machine is meant",
            Self::Public => "a name of this machine must stay on it",
            Self::Unspecified | Self::Multicast => "no server has such an address",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Private => "private",
            Self::CarrierNat => "behind a carrier's NAT",
            Self::UniqueLocal => "unique local",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a cloud metadata service",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        })
    }
}

/// The address as it is looked up in a list of networks.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
    }
}

fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |a: u16, b: u16| {
        let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // unspecified and loopback look like embedded addresses and are not
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => v4(a, b),
        _ => None,
    }
}

fn of_v4(v4: Ipv4Addr) -> AddressClass {
    match v4.octets() {
        // most clouds; containers of AWS; Azure, Alibaba, Oracle
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [168, 63, 129, 16]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192] => AddressClass::Metadata,
        [127, ..] => AddressClass::Loopback,
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::CarrierNat,
        [169, 254, ..] => AddressClass::LinkLocal,
        [224..=239, ..] => AddressClass::Multicast,
        [240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn of_v6(v6: Ipv6Addr) -> AddressClass {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // AWS and its containers, Google
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23 | 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            AddressClass::Metadata
        }
        // ISATAP (RFC 5214): behind any prefix, the last part is an IPv4 address to tunnel to
        [.., 0 | 0x200, 0x5efe, _, _] => AddressClass::Reserved,
        [0xfc00..=0xfdff, ..] => AddressClass::UniqueLocal,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        // Teredo and the other protocol assignments, documentation (two blocks)
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str) -> AddressClass {
        AddressClass::of(address.parse().unwrap())
    }

    #[test]
    fn every_special_range_is_known_at_both_of_its_ends() {
        use AddressClass::{
            CarrierNat, LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, UniqueLocal,
            Unspecified,
        };
        for (first, last, expected) in [
            ("0.0.0.0", "0.255.255.255", Unspecified),
            ("::", "::", Unspecified),
            ("9.255.255.255", "11.0.0.0", Public),
            ("10.0.0.0", "10.255.255.255", Private),
            ("100.63.255.255", "100.128.0.0", Public),
            ("100.64.0.0", "100.127.255.255", CarrierNat),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("169.253.255.255", "169.255.0.0", Public),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("172.15.255.255", "172.32.0.0", Public),
            ("172.16.0.0", "172.31.255.255", Private),
            ("192.168.0.0", "192.168.255.255", Private),
            ("198.18.0.0", "198.19.255.255", Reserved),
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.255", Reserved),
            ("::ffff:0:a00:1", "100::1", Reserved),
            ("::1", "::1", Loopback),
            ("2000::", "2000:ffff::", Public),
            ("2001::1", "2001:1ff::", Reserved),
            ("2001:db8::", "2001:db8:ffff::1", Reserved),
            ("2606:4700::1111", "2a00::", Public),
            ("fc00::", "fdff::1", UniqueLocal),
            ("fe80::", "febf::1", LinkLocal),
            ("fec0::", "feff::", Reserved),
            ("ff02::1", "ffff::", Multicast),
            ("168.63.129.16", "fd00:ec2::254", Metadata),
            ("169.254.169.254", "169.254.170.2", Metadata),
            ("fd20:ce::254", "fd00:ec2::23", Metadata),
            ("2606:4700::5efe:a00:1", "2606:4700::200:5efe:7f00:1", Reserved),
        ] {
            assert_eq!((class(first), class(last)), (expected, expected), "{first} {last}");
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_itself() {
        for clothes in
            ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254"]
        {
            assert_eq!(class(clothes), AddressClass::Metadata, "{clothes}");
        }
        assert_eq!(class("::ffff:127.0.0.1"), AddressClass::Loopback);
        assert_eq!(canonical("::ffff:10.1.2.3".parse().unwrap()), "10.1.2.3".parse::<IpAddr>().unwrap());
        assert_eq!(class("64:ff9b:1::7f00:1"), AddressClass::Reserved);
    }
}
