//! Who may be reached.

use crate::AddressClass;
use crate::address::canonical;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Scheme, host and port: what a destination is declared by and what errors name. It carries no
/// path, query or credentials, so it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    https: bool,
    /// A name in lower case, or an address in its one spelling; an IPv6 address without brackets.
    host: String,
    port: u16,
}

/// A URL that this client does not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("the url is not absolute; start it with https:// or http://")]
    NotAbsolute,
    #[error("the url's scheme is neither https nor http")]
    Scheme,
    #[error("the url holds a user name or a password; store it as a secret instead")]
    UserInfo,
    #[error("the url's port is not a number from 1 to 65535")]
    Port,
    #[error(
        "the url's host is neither a name nor an address in its usual spelling; write it like `api.example.com`, `192.0.2.1` or `[2001:db8::1]`"
    )]
    Host,
}

impl Origin {
    /// The origin of an absolute URI. Errors: [`OriginError`].
    pub fn of(uri: &http::Uri) -> Result<Self, OriginError> {
        let https = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            Some(_) => return Err(OriginError::Scheme),
            None => return Err(OriginError::NotAbsolute),
        };
        let authority = uri.authority().ok_or(OriginError::NotAbsolute)?;
        if authority.as_str().contains('@') {
            return Err(OriginError::UserInfo);
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(rest) if !rest.starts_with(':') => return Err(OriginError::Host),
            Some(_) | None => authority.port_u16().filter(|port| *port != 0).ok_or(OriginError::Port)?,
        };
        if bare.is_empty() {
            return Err(OriginError::NotAbsolute);
        }
        let host = host_of(bare, bare.len() != host.len()).ok_or(OriginError::Host)?;
        Ok(Self { https, host, port })
    }

    pub fn host(&self) -> &str {
        &self.host
    }
    pub fn port(&self) -> u16 {
        self.port
    }
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The address, if the host is one and no name.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// A name or an address that means this machine by its very spelling.
    pub fn is_local(&self) -> bool {
        means_this_machine(&self.host)
    }
}

/// Whether a host, in small letters and as a URL has it, is connected to on this machine and nowhere else.
pub fn means_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = bare.strip_suffix('.').unwrap_or(bare);
    let is_loopback = |ip: IpAddr| AddressClass::of(ip) == AddressClass::Loopback;
    name == "localhost" || name.ends_with(".localhost") || bare.parse().is_ok_and(is_loopback)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// A host that everybody reads alike: a plain name, or an address in the spelling of RFC 5952 and
/// dotted decimal. The system's resolver also takes `0x7f.1` and `2130706433` for addresses, and a
/// zone after `%`; other parsers take them for names.
fn host_of(bare: &str, in_brackets: bool) -> Option<String> {
    if in_brackets {
        return bare.parse::<Ipv6Addr>().ok().map(|v6| v6.to_string());
    }
    let lower = bare.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return None;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").unwrap_or(last);
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || (digits.len() < last.len() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_number {
        // it takes four decimal numbers without leading zeros, which is how they are written
        return lower.parse::<Ipv4Addr>().is_ok().then_some(lower);
    }
    Some(lower)
}

/// One place that may be reached, and the networks beyond the public Internet that it may be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    origin: Origin,
    place: Place,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Place {
    /// Spelt as this machine by somebody who may say so.
    local: bool,
    networks: Vec<IpNet>,
}

impl Destination {
    /// A place that the operator wrote down. It may be on this machine if it is spelt so (`localhost`,
    /// `127.0.0.1`, `[::1]`), and then nowhere else. If it is a private address, it may be that one.
    /// Otherwise it has public addresses only: a name like `api.example.com` that suddenly resolves to
    /// a private network is refused, unless that network is listed with [`Destination::within`].
    pub fn declared(origin: Origin) -> Self {
        let private = |ip: &IpAddr| {
            use AddressClass::{CarrierNat, Private, UniqueLocal};
            matches!(AddressClass::of(*ip), Private | CarrierNat | UniqueLocal)
        };
        let networks = origin.literal().filter(private).map(|ip| IpNet::from(canonical(ip)));
        let place = Place { local: origin.is_local(), networks: networks.into_iter().collect() };
        Self { origin, place }
    }

    /// A place that somebody else wrote down (a document's link, a header): public addresses only.
    pub fn found(origin: Origin) -> Self {
        Self { origin, place: Place::default() }
    }

    /// Allows the private, link-local and reserved addresses of `network` too. A metadata service only
    /// if that is the whole network; this machine never: that is what `localhost` is for.
    #[must_use]
    pub fn within(mut self, network: IpNet) -> Self {
        self.place.networks.push(network);
        self
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// All places that may be reached. What is not in it, is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    places: BTreeMap<Origin, Place>,
}

impl EgressPolicy {
    /// Adds a destination; of one declared twice the networks add up.
    #[must_use]
    pub fn with(self, destination: Destination) -> Self {
        self.with_place(destination.origin, destination.place)
    }

    /// What either allows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        other.places.into_iter().fold(self, |policy, (origin, place)| policy.with_place(origin, place))
    }

    fn with_place(mut self, origin: Origin, place: Place) -> Self {
        let known = self.places.entry(origin).or_default();
        known.local |= place.local;
        for network in place.networks {
            if !known.networks.contains(&network) {
                known.networks.push(network);
            }
        }
        self
    }

    pub(crate) fn knows(&self, origin: &Origin) -> bool {
        self.places.contains_key(origin)
    }

    /// May `origin` be reached at `address`? The class is the reason why not.
    pub(crate) fn check(&self, origin: &Origin, address: IpAddr) -> Result<(), AddressClass> {
        let address = canonical(address);
        let class = AddressClass::of(address);
        let place = self.places.get(origin).ok_or(class)?;
        let mut networks = place.networks.iter().filter(|network| network.contains(&address));
        let allowed = match class {
            AddressClass::Public => !place.local,
            AddressClass::Loopback => place.local,
            AddressClass::Unspecified | AddressClass::Multicast => false,
            AddressClass::Metadata => {
                networks.any(|network| network.prefix_len() == network.max_prefix_len())
            }
            AddressClass::Private
            | AddressClass::CarrierNat
            | AddressClass::UniqueLocal
            | AddressClass::LinkLocal
            | AddressClass::Reserved => networks.next().is_some(),
        };
        if allowed { Ok(()) } else { Err(class) }
    }
}

impl FromIterator<Destination> for EgressPolicy {
    fn from_iter<I: IntoIterator<Item = Destination>>(destinations: I) -> Self {
        destinations.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str) -> Origin {
        Origin::of(&uri.parse().unwrap()).unwrap()
    }

    fn check(declared: &str, address: &str) -> Result<(), AddressClass> {
        let origin = origin(declared);
        EgressPolicy::default()
            .with(Destination::declared(origin.clone()))
            .check(&origin, address.parse().unwrap())
    }

    #[test]
    fn a_declared_place_may_be_where_its_spelling_says_and_nowhere_private() {
        use AddressClass::{
            CarrierNat, LinkLocal, Loopback, Metadata, Private, Public, UniqueLocal, Unspecified,
        };
        for (declared, address, expected) in [
            ("https://crm.corp", "10.1.2.3", Err(Private)),
            ("https://crm.corp", "172.16.0.1", Err(Private)),
            ("https://crm.corp", "100.64.0.1", Err(CarrierNat)),
            ("https://crm.corp", "fd12::3", Err(UniqueLocal)),
            ("https://crm.corp", "169.254.7.7", Err(LinkLocal)),
            ("https://crm.corp", "fe80::1", Err(LinkLocal)),
            ("https://crm.corp", "64:ff9b::a9fe:a9fe", Err(Metadata)),
            ("https://crm.corp", "100.100.100.200", Err(Metadata)),
            ("https://crm.corp", "fd00:ec2::254", Err(Metadata)),
            ("https://crm.corp", "0.0.0.0", Err(Unspecified)),
            ("https://api.example.com", "127.0.0.1", Err(Loopback)),
            ("https://api.example.com", "::ffff:127.0.0.1", Err(Loopback)),
            ("https://api.example.com", "93.184.215.14", Ok(())),
            ("http://127.0.0.1:3000/mcp", "127.0.0.1", Ok(())),
            ("http://localhost:3000/mcp", "::1", Ok(())),
            ("http://crm.localhost.:80", "127.0.0.1", Ok(())),
            ("http://localhost", "10.0.0.1", Err(Private)),
            ("http://localhost", "93.184.215.14", Err(Public)),
            ("http://10.1.2.3", "10.1.2.3", Ok(())),
            ("http://10.1.2.3", "10.1.2.4", Err(Private)),
            ("http://[fd12::3]", "fd12::3", Ok(())),
            ("http://169.254.7.7", "169.254.7.7", Err(LinkLocal)),
            ("http://169.254.169.254", "169.254.169.254", Err(Metadata)),
            ("http://[::ffff:169.254.169.254]", "169.254.169.254", Err(Metadata)),
        ] {
            assert_eq!(check(declared, address), expected, "{declared} at {address}");
        }
    }

    #[test]
    fn a_listed_network_opens_what_is_in_it_but_never_this_machine_nor_a_metadata_service_unnamed() {
        let place = origin("https://crm.corp");
        let within = |network: &str, address: &str| {
            let listed = Destination::declared(place.clone()).within(network.parse().unwrap());
            EgressPolicy::default().with(listed).check(&place, address.parse().unwrap()).is_ok()
        };
        for (network, address, expected) in [
            ("0.0.0.0/0", "127.0.0.1", false),
            ("127.0.0.0/8", "127.0.0.1", false),
            ("::/0", "::1", false),
            ("0.0.0.0/0", "0.0.0.0", false),
            ("0.0.0.0/0", "169.254.169.254", false),
            ("169.254.0.0/16", "169.254.169.254", false),
            ("100.64.0.0/10", "100.100.100.200", false),
            ("fd00::/8", "fd00:ec2::254", false),
            ("0.0.0.0/0", "224.0.0.1", false),
            ("10.0.0.0/8", "11.0.0.1", true),
            ("10.0.0.0/8", "192.168.0.1", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("169.254.0.0/16", "169.254.7.7", true),
            ("169.254.169.254/32", "169.254.169.254", true),
            ("fd12::/16", "fd12::3", true),
            ("198.18.0.0/15", "198.18.0.1", true),
        ] {
            assert_eq!(within(network, address), expected, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_not_declared_is_not_reached_and_what_is_found_is_public_only() {
        let (known, other) = (origin("https://a.example"), origin("https://a.example:8443"));
        let policy = EgressPolicy::default().with(Destination::found(known.clone()));
        assert!(!policy.knows(&other));
        assert!(policy.check(&other, "93.184.215.14".parse().unwrap()).is_err());
        assert!(policy.check(&known, "10.0.0.1".parse().unwrap()).is_err());
        assert!(policy.check(&known, "93.184.215.14".parse().unwrap()).is_ok());
        let local = origin("http://127.0.0.1:80");
        let policy = policy.with(Destination::found(local.clone()));
        assert_eq!(policy.check(&local, "127.0.0.1".parse().unwrap()), Err(AddressClass::Loopback));
        let more = Destination::found(known.clone()).within("10.0.0.0/8".parse().unwrap());
        let both = policy.or(EgressPolicy::default().with(more));
        assert!(both.check(&known, "10.0.0.1".parse().unwrap()).is_ok());
        assert!(both.knows(&local));
    }

    #[test]
    fn an_origin_names_no_path_and_no_password() {
        assert_eq!(
            origin("HTTPS://Api.Example.com/v1?key=s3cret").to_string(),
            "https://api.example.com:443"
        );
        assert_eq!(origin("http://[0:0:0:0:0:0:0:1]:8080/").to_string(), "http://[::1]:8080");
        for (uri, error) in [
            ("/mcp", OriginError::NotAbsolute),
            ("ftp://a.example/", OriginError::Scheme),
            ("https://user:pass@a.example/", OriginError::UserInfo),
            ("https://a.example:0/", OriginError::Port),
            ("https://a.example:70000/", OriginError::Port),
        ] {
            assert_eq!(Origin::of(&uri.parse().unwrap()), Err(error), "{uri}");
        }
    }

    #[test]
    fn a_host_that_two_parsers_read_differently_is_none() {
        let long = format!("{}.example", "a".repeat(64));
        for host in [
            "2130706433",
            "017700000001",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "0",
            "127.0.0.1.",
            "127.0.0.01",
            "256.1.1.1",
            "1.2.3.4.5",
            "a.1",
            "0x",
            "a..b",
            ".",
            "..",
            "a!b",
            "a'b",
            "a,b",
            "a;b",
            &long,
            "[v1.a]",
            "[127.0.0.1]",
            "[::1%25lo]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "127.0.0.1%00",
            "%31%32%37.0.0.1",
            "loc%61lhost",
            "１２７.0.0.1",
            "127。0。0。1",
            "ⓛocalhost",
            "[::1].",
            "[::1",
            "::1",
        ] {
            let judged = format!("http://{host}:8080/").parse::<http::Uri>().map(|uri| Origin::of(&uri));
            assert!(!matches!(judged, Ok(Ok(_))), "{host}: {judged:?}");
        }
        for (host, meant) in [
            ("LOCALHOST", "localhost"),
            ("a_b.Example-1.com.", "a_b.example-1.com."),
            ("127.0.0.1", "127.0.0.1"),
            ("[0::FFFF:7F00:1]", "::ffff:127.0.0.1"),
            ("1.example", "1.example"),
            ("0x7f.example", "0x7f.example"),
        ] {
            assert_eq!(origin(&format!("http://{host}/")).host(), meant);
        }
    }
}
