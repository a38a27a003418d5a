//! Who is asking, where a client certificate says it: a service without a token, or the connection that
//! somebody's token came over.

use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::listen::tls::{ClientCertificate, Lapse, Tls};
use crate::settings::Workload;
use decision::{Code, Refusal};
use identity::oauth::Verified;
use std::sync::Arc;

/// The certificate of this connection, if it showed one. One that does not hold any more, and none where one is
/// required by now, refuses whatever else came with the message: two credentials are both right, or the caller is
/// nobody.
pub(crate) fn shown<'a>(
    gate: &Gate,
    arrival: &'a Arrival,
) -> Result<Option<&'a Arc<ClientCertificate>>, Refusal> {
    if let Some(tls) = &arrival.facts.bare {
        may_be_missing(tls)?;
    }
    let Some(certificate) = &arrival.facts.certificate else { return Ok(None) };
    holds(gate, certificate)?;
    Ok(Some(certificate))
}

/// Whether a connection that began without a certificate may still do without.
pub(crate) fn may_be_missing(tls: &Tls) -> Result<(), Refusal> {
    tls.lets_in_without().map_err(|lapse| lapsed(&lapse))
}

fn lapsed(lapse: &Lapse) -> Refusal {
    Refusal::new(Code::CertificateLapsed, lapse.to_string())
}

/// Whether the certificate still is what it was when the connection began.
pub(crate) fn holds(gate: &Gate, certificate: &ClientCertificate) -> Result<(), Refusal> {
    certificate.holder().map_err(|e| Refusal::new(Code::CertificateInvalid, e.to_string()))?;
    certificate.holds(gate.clock.now()).map_err(|lapse| lapsed(&lapse))
}

/// Whether a token that is bound to a certificate came over a connection that showed it (RFC 8705).
pub(crate) fn proved(arrival: &Arrival, token: &Verified) -> Result<(), Refusal> {
    let Some(wanted) = token.bound_to() else { return Ok(()) };
    let shown = arrival.facts.certificate.as_deref().and_then(|certificate| certificate.holder().ok());
    if shown.is_some_and(|holder| holder.thumbprint() == wanted) {
        return Ok(());
    }
    let because = "the token is bound to a certificate that this connection did not show";
    Err(Refusal::new(Code::TokenUnproven, because))
}

/// The service that a certificate names.
pub(crate) fn named<'a>(live: &'a Live, certificate: &ClientCertificate) -> Result<&'a Workload, Refusal> {
    let holder = certificate.holder().map_err(|e| Refusal::new(Code::CertificateInvalid, e.to_string()))?;
    let mut fits = live.settings.workloads.iter().filter(|one| holder.is_called(&one.certificate));
    match (fits.next(), fits.next()) {
        (Some(workload), None) => Ok(workload),
        (Some(one), Some(other)) => {
            let because = format!("the certificate is both `{}`'s and `{}`'s", one.name, other.name);
            Err(Refusal::new(Code::CertificateInvalid, because))
        }
        (None, _) => {
            let because = format!("no workload is known by the certificate of `{}`", holder.label());
            Err(Refusal::new(Code::CertificateUnknown, because))
        }
    }
}

/// For the record: what the certificate says of its holder.
pub(crate) fn label(certificate: &ClientCertificate) -> String {
    certificate.holder().map(identity::Holder::label).unwrap_or_else(|_| "unreadable".to_owned())
}
