//! A certificate for `localhost`, new in every run, so that no key is in the repository.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::LazyLock;

/// Self-signed: its own root. And its key.
pub(crate) static LOCALHOST: LazyLock<(CertificateDer<'static>, PrivateKeyDer<'static>)> =
    LazyLock::new(|| {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        let body = to_be_signed(pair.public_key().as_der().unwrap().as_ref());
        let signature = pair.sign(&random, &body).unwrap();
        let certificate = der(0x30, &[&body, &algorithm(), &der(0x03, &[&[0], signature.as_ref()])]);
        (CertificateDer::from(certificate), PrivateKeyDer::try_from(pkcs8.as_ref().to_vec()).unwrap())
    });

/// RFC 5280, section 4.1.
fn to_be_signed(public_key: &[u8]) -> Vec<u8> {
    let common_name = der(0x30, &[&der(0x06, &[&[0x55, 4, 3]]), &der(0x0c, &[b"localhost"])]);
    let name = der(0x30, &[&der(0x31, &[&common_name])]);
    let validity = der(0x30, &[&der(0x17, &[b"200101000000Z"]), &der(0x18, &[b"21200101000000Z"])]);
    let names = der(0x30, &[&der(0x82, &[b"localhost"])]);
    let subject_alt_name = der(0x30, &[&der(0x06, &[&[0x55, 0x1d, 0x11]]), &der(0x04, &[&names])]);
    let extensions = der(0xa3, &[&der(0x30, &[&subject_alt_name])]);
    let version = der(0xa0, &[&der(0x02, &[&[2]])]);
    let serial = der(0x02, &[&[1]]);
    der(0x30, &[&version, &serial, &algorithm(), &name, &validity, &name, public_key, &extensions])
}

/// ECDSA with SHA-256.
fn algorithm() -> Vec<u8> {
    der(0x30, &[&der(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match u16::try_from(content.len()).unwrap().to_be_bytes() {
        [0, low @ ..=0x7f] => out.push(low),
        [0, low] => out.extend([0x81, low]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend(content);
    out
}
