//! Who may be reached.

use crate::AddressClass;
use crate::address::canonical;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Scheme, host and port: what a destination is declared by and what errors name. It carries no
/// path, query or credentials, so it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    https: bool,
    /// Lower case; an IPv6 address without brackets.
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
            _ => authority.port_u16().filter(|port| *port != 0).ok_or(OriginError::Port)?,
        };
        if bare.is_empty() {
            return Err(OriginError::NotAbsolute);
        }
        Ok(Self { https, host: bare.to_ascii_lowercase(), port })
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

    /// A name or an address that means this machine by its very spelling.
    pub fn is_local(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        name == "localhost"
            || name.ends_with(".localhost")
            || self.host.parse().is_ok_and(|ip| AddressClass::of(ip) == AddressClass::Loopback)
    }
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

/// One place that may be reached, and the networks beyond the public Internet that it may be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    origin: Origin,
    networks: Vec<IpNet>,
}

impl Destination {
    /// A place that the operator wrote down. Beside public addresses it may have
    ///
    /// - loopback ones, if it is spelt as this machine (`localhost`, `127.0.0.1`, `[::1]`): a name
    ///   like `api.example.com` that suddenly resolves to this machine is refused;
    /// - private ones, if it is a name; if it is an address, that one only.
    ///
    /// Never link-local, metadata, multicast or reserved ones; those take [`Destination::within`].
    pub fn declared(origin: Origin) -> Self {
        let networks = match origin.host.parse::<IpAddr>() {
            _ if origin.is_local() => loopback(),
            Ok(ip) if AddressClass::of(ip) == AddressClass::Private => vec![IpNet::from(canonical(ip))],
            Ok(_) => Vec::new(),
            Err(_) => private(),
        };
        Self { origin, networks }
    }

    /// A place that somebody else wrote down (a document's link, a header): public addresses only.
    pub fn found(origin: Origin) -> Self {
        Self { origin, networks: Vec::new() }
    }

    /// Allows addresses of `network` too, of whatever class.
    #[must_use]
    pub fn within(mut self, network: IpNet) -> Self {
        self.networks.push(network);
        self
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

fn loopback() -> Vec<IpNet> {
    vec![v4([127, 0, 0, 0], 8), IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))]
}

fn private() -> Vec<IpNet> {
    let unique_local = Ipv6Net::new(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7).unwrap_or_default();
    let v4s = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([100, 64, 0, 0], 10)];
    v4s.into_iter().map(|(address, length)| v4(address, length)).chain([IpNet::V6(unique_local)]).collect()
}

fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    let address = Ipv4Addr::new(a, b, c, d);
    IpNet::V4(Ipv4Net::new(address, length).unwrap_or_else(|_| Ipv4Net::from(address)))
}

/// All places that may be reached. What is not in it, is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    destinations: BTreeMap<Origin, Vec<IpNet>>,
}

impl EgressPolicy {
    /// Adds a destination; of one declared twice the networks add up.
    #[must_use]
    pub fn with(mut self, destination: Destination) -> Self {
        self.destinations.entry(destination.origin).or_default().extend(destination.networks);
        self
    }

    pub(crate) fn knows(&self, origin: &Origin) -> bool {
        self.destinations.contains_key(origin)
    }

    /// May `origin` be reached at `address`? The class is the reason why not.
    pub(crate) fn check(&self, origin: &Origin, address: IpAddr) -> Result<(), AddressClass> {
        let address = canonical(address);
        let class = AddressClass::of(address);
        let networks = self.destinations.get(origin).map(Vec::as_slice);
        // a metadata service sits inside a private range; only a network that names it closely opens it
        let covers = |network: &IpNet| {
            network.contains(&address) && (class != AddressClass::Metadata || !private().contains(network))
        };
        match networks {
            Some(_) if class == AddressClass::Public => Ok(()),
            Some(networks) if networks.iter().any(covers) => Ok(()),
            Some(_) | None => Err(class),
        }
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
    fn a_declared_place_may_be_where_its_spelling_says() {
        use AddressClass::{LinkLocal, Loopback, Metadata, Private, Reserved};
        for (declared, address, expected) in [
            ("http://127.0.0.1:3000/mcp", "127.0.0.1", Ok(())),
            ("http://localhost:3000/mcp", "::1", Ok(())),
            ("http://crm.localhost.:80", "127.0.0.1", Ok(())),
            ("http://localhost", "10.0.0.1", Err(Private)),
            ("https://api.example.com", "127.0.0.1", Err(Loopback)),
            ("https://api.example.com", "::ffff:127.0.0.1", Err(Loopback)),
            ("https://api.example.com", "93.184.215.14", Ok(())),
            ("https://crm.corp", "10.1.2.3", Ok(())),
            ("https://crm.corp", "fd12::3", Ok(())),
            ("https://crm.corp", "169.254.169.254", Err(LinkLocal)),
            ("https://crm.corp", "64:ff9b::a9fe:a9fe", Err(LinkLocal)),
            ("https://crm.corp", "100.100.100.200", Err(Metadata)),
            ("https://crm.corp", "fd00:ec2::254", Err(Metadata)),
            ("https://crm.corp", "0.0.0.0", Err(Reserved)),
            ("http://10.1.2.3", "10.1.2.3", Ok(())),
            ("http://10.1.2.3", "10.1.2.4", Err(Private)),
            ("http://169.254.169.254", "169.254.169.254", Err(LinkLocal)),
            ("http://[::ffff:169.254.169.254]", "169.254.169.254", Err(LinkLocal)),
        ] {
            assert_eq!(check(declared, address), expected, "{declared} at {address}");
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
        let opened = policy.with(Destination::found(known.clone()).within("169.254.0.0/16".parse().unwrap()));
        assert!(opened.check(&known, "169.254.7.7".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_origin_names_no_path_and_no_password() {
        assert_eq!(
            origin("HTTPS://Api.Example.com/v1?key=s3cret").to_string(),
            "https://api.example.com:443"
        );
        assert_eq!(origin("http://[::1]:8080/").to_string(), "http://[::1]:8080");
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
}
