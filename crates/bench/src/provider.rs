//! An identity provider: a key, and one access token made with it.

use crate::{http::Peer, options::Options};
use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const KEY: &str = "2026-11";
/// How long the token is good.
const GOOD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a token for `--audience` to `--token-file`, then serves its key until it is ended.
pub(crate) fn serve(options: &Options) -> Result<String> {
    let port: u16 = options.need("port")?;
    let audience: String = options.need("audience")?;
    let file: String = options.need("token-file")?;
    let issuer = format!("http://127.0.0.1:{port}");
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| anyhow!("no key"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("port {port} is taken"))?;
    std::fs::write(&file, token(&key, &issuer, &audience)?).with_context(|| file.clone())?;
    let jwks = jwks(&key)?;
    let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/jwks"}}"#);
    loop {
        let (stream, _) = listener.accept().context("cannot accept")?;
        // whoever goes away meanwhile loses this connection and nothing else
        drop(Peer::of(stream).and_then(|peer| converse(peer, &jwks, &metadata)));
    }
}

/// One exchange: the gateway asks rarely.
fn converse(mut peer: Peer, jwks: &str, metadata: &str) -> Result<()> {
    let Some(message) = peer.receive()? else { return Ok(()) };
    let body = if message.head.starts_with("GET /jwks ") { jwks } else { metadata };
    let response = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    peer.send(response.as_bytes())
}

#[expect(clippy::disallowed_methods, reason = "a token has dates, and the gateway looks at its own clock")]
fn token(key: &EcdsaKeyPair, issuer: &str, audience: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let until = now + GOOD_FOR.as_secs();
    let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{KEY}"}}"#);
    let claims = format!(
        r#"{{"iss":"{issuer}","aud":"{audience}","sub":"ann","client_id":"bench","groups":["staff"],"scope":"openid","iat":{now},"exp":{until}}}"#
    );
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| anyhow!("cannot sign"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
}

/// The public key as a set of one (RFC 7517). The point is a byte that says it is whole, and two coordinates.
fn jwks(key: &EcdsaKeyPair) -> Result<String> {
    let point = key.public_key().as_ref();
    let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(32)).context("the point is short")?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Ok(format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"{KEY}","x":"{x}","y":"{y}"}}]}}"#
    ))
}
