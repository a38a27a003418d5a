//! Who a client's certificate is for. Its chain was verified when the connection began; this reads what
//! it says, and refuses what two readers could read differently.

use crate::spiffe::{SpiffeError, SpiffeId};
use aws_lc_rs::digest::{SHA256, digest};
use decision::Timestamp;
use std::{collections::BTreeSet, fmt};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the certificate has {found} URI names; one workload has one")]
    ManyUris { found: usize },
    #[error("the certificate's SPIFFE id is not one: {0}")]
    Spiffe(SpiffeError),
    #[error("the certificate may sign others; a workload's may not")]
    MaySign,
}

/// By what a certificate is known: what an operator writes down for a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateName {
    /// The one URI name, where it is a SPIFFE id.
    Spiffe(SpiffeId),
    /// One of the DNS names, as it is: a wildcard names no workload.
    Dns(String),
    /// The subject's one common name.
    CommonName(String),
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiffe(id) => write!(f, "{id}"),
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::CommonName(name) => write!(f, "cn:{name}"),
        }
    }
}

/// What a certificate says of whoever holds its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    names: BTreeSet<CertificateName>,
    not_after: Timestamp,
    thumbprint: [u8; 32],
}

impl Holder {
    /// Reads a certificate in DER. SPIFFE's rules hold for every certificate with a URI name: there is
    /// one, and its key signs nothing but its own connections. One with a SPIFFE id has no other name: who
    /// may ask for a certificate with an id of theirs often chooses the rest of it.
    ///
    /// # Errors
    /// See [`HolderError`].
    pub fn read(der: &[u8]) -> Result<Self, HolderError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| HolderError::Unreadable)?;
        if !rest.is_empty() {
            return Err(HolderError::Unreadable);
        }
        let mut names = BTreeSet::new();
        let mut uris = Vec::new();
        // an extension that is there twice is an error, not a choice
        let alternative = certificate.subject_alternative_name().map_err(|_| HolderError::Unreadable)?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            if let GeneralName::URI(uri) = name {
                uris.push(*uri);
            } else if let GeneralName::DNSName(dns) = name {
                names.insert(CertificateName::Dns(dns.to_ascii_lowercase()));
            }
        }
        if uris.len() > 1 {
            return Err(HolderError::ManyUris { found: uris.len() });
        }
        if !uris.is_empty() {
            let usage = certificate.key_usage().map_err(|_| HolderError::Unreadable)?;
            if certificate.is_ca() || usage.is_some_and(|u| u.value.key_cert_sign() || u.value.crl_sign()) {
                return Err(HolderError::MaySign);
            }
        }
        // without regard to case, so that a misspelt id is an error and not another kind of name
        let spiffe = |uri: &&&str| uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
        let mut common = certificate.subject().iter_common_name();
        if let Some(uri) = uris.first().filter(spiffe) {
            names = [CertificateName::Spiffe(uri.parse().map_err(HolderError::Spiffe)?)].into();
        } else if let (Some(name), None) = (common.next(), common.next())
            && let Ok(name) = name.as_str()
        {
            names.insert(CertificateName::CommonName(name.to_owned()));
        }
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, der).as_ref());
        Ok(Self { names, not_after: at(certificate.validity().not_after.timestamp()), thumbprint })
    }

    pub fn is_called(&self, name: &CertificateName) -> bool {
        self.names.contains(name)
    }
    /// For the record: the SPIFFE id where there is one, else another name, else the thumbprint.
    pub fn label(&self) -> String {
        match self.names.first() {
            Some(name) => name.to_string(),
            None => self.thumbprint.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
    /// The last moment at which it is good.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
    /// SHA-256 of the certificate: `x5t#S256` of a token that is bound to it (RFC 8705).
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }
}

/// From when until when a certificate in DER is good.
///
/// # Errors
/// [`HolderError::Unreadable`].
pub fn validity(der: &[u8]) -> Result<(Timestamp, Timestamp), HolderError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| HolderError::Unreadable)?;
    let validity = certificate.validity();
    Ok((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
}

/// Until when an authority's certificate in DER is good; `None` for one that may not sign others.
///
/// # Errors
/// [`HolderError::Unreadable`].
pub fn authority(der: &[u8]) -> Result<Option<Timestamp>, HolderError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| HolderError::Unreadable)?;
    let usage = certificate.key_usage().map_err(|_| HolderError::Unreadable)?;
    let signs = certificate.is_ca() && usage.is_none_or(|usage| usage.value.key_cert_sign());
    Ok(signs.then(|| at(certificate.validity().not_after.timestamp())))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }
    fn certificate(names: &[SanType], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = names.to_vec();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_that_two_readers_could_read_differently_names_nobody() {
        let two = certificate(&[uri("spiffe://acme/a"), uri("spiffe://acme/b")], |_| {});
        assert_eq!(Holder::read(&two), Err(HolderError::ManyUris { found: 2 }));
        let mixed = certificate(&[uri("https://acme.example"), uri("spiffe://acme/b")], |_| {});
        assert_eq!(Holder::read(&mixed), Err(HolderError::ManyUris { found: 2 }));
        for (text, why) in [
            ("spiffe://acme", SpiffeError::Path),
            ("spiffe://acme/../b", SpiffeError::Path),
            ("SPIFFE://acme/a", SpiffeError::Scheme),
        ] {
            assert_eq!(
                Holder::read(&certificate(&[uri(text)], |_| {})),
                Err(HolderError::Spiffe(why)),
                "{text}"
            );
        }
        let mut longer = certificate(&[], |_| {});
        longer.push(0);
        assert_eq!(Holder::read(&longer), Err(HolderError::Unreadable));
        assert_eq!(Holder::read(b"nonsense"), Err(HolderError::Unreadable));
    }

    #[test]
    fn a_workloads_certificate_may_not_sign_others() {
        for id in [[uri("spiffe://acme/a")], [uri("https://acme.example/a")]] {
            let ca =
                certificate(&id, |params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
            assert_eq!(Holder::read(&ca), Err(HolderError::MaySign));
            for purpose in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
                let signs = certificate(&id, |params| params.key_usages = vec![purpose]);
                assert_eq!(Holder::read(&signs), Err(HolderError::MaySign));
            }
        }
    }

    #[test]
    fn an_authority_is_what_may_sign_others() {
        let ca = |usages: &[KeyUsagePurpose]| {
            certificate(&[], |params| {
                params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                params.key_usages = usages.to_vec();
                params.not_after = rcgen::date_time_ymd(2030, 1, 2);
            })
        };
        let until = Ok(Some(Timestamp(1_893_542_400_000_000)));
        assert_eq!(authority(&ca(&[])), until);
        assert_eq!(authority(&ca(&[KeyUsagePurpose::KeyCertSign])), until);
        assert_eq!(authority(&ca(&[KeyUsagePurpose::DigitalSignature])), Ok(None));
        assert_eq!(authority(&certificate(&[], |_| {})), Ok(None));
        assert_eq!(authority(b"nonsense"), Err(HolderError::Unreadable));
    }

    #[test]
    fn a_certificate_is_called_what_it_says_and_nothing_else() {
        let dns = SanType::DnsName("Bot.acme.example".try_into().unwrap());
        let named = |names: &[SanType]| {
            certificate(names, |params| {
                params.distinguished_name.push(DnType::CommonName, "bot");
                params.not_after = rcgen::date_time_ymd(2030, 1, 2);
            })
        };
        let der = named(&[uri("spiffe://acme/a"), dns.clone()]);
        let holder = Holder::read(&der).unwrap();
        let spiffe = |text: &str| CertificateName::Spiffe(text.parse().unwrap());
        assert!(
            holder.is_called(&spiffe("spiffe://acme/a")) && !holder.is_called(&spiffe("spiffe://acme/b"))
        );
        // whoever has an id is nobody else by a name beside it
        let beside =
            [CertificateName::Dns("bot.acme.example".into()), CertificateName::CommonName("bot".into())];
        assert!(beside.iter().all(|name| !holder.is_called(name)));
        for names in [vec![dns.clone()], vec![dns, uri("https://acme.example/a")]] {
            let without = Holder::read(&named(&names)).unwrap();
            assert!(beside.iter().all(|name| without.is_called(name)), "{names:?}");
        }
        assert!(!holder.is_called(&CertificateName::CommonName("spiffe://acme/a".into())));
        assert_eq!(holder.label(), "spiffe://acme/a");
        assert_eq!(holder.not_after(), Timestamp(1_893_542_400_000_000));
        assert_eq!(holder.thumbprint().as_slice(), digest(&SHA256, &der).as_ref());
        assert_eq!(Holder::read(&certificate(&[], |_| {})).unwrap().label().len(), 64);
    }
}
