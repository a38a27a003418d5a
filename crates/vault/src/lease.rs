//! The one way to a plaintext.

use crate::secret;
use crate::signing::{ASSERTION_KEY, SigningKey};
use crate::{Keys, Sealed, Sealer, Secret, SecretRef, VaultError, is_reserved};
use arc_swap::ArcSwap;
use decision::{Call, Permit, SecretName};
use launch::LockedBytes;
use std::fmt;
use std::sync::Arc;

/// The half of the vault that takes secrets out, for a call that may leave.
///
/// Without a permit there is nothing to call:
/// ```compile_fail,E0061
/// fn peek(opener: &callgate_vault::Opener, call: &decision::Call,
///         sealed: &callgate_vault::Sealed, at: &callgate_vault::SecretRef) {
///     opener.lease(call, sealed, at);
/// }
/// ```
/// without a call there is nobody to give it to:
/// ```compile_fail,E0061
/// fn peek(opener: &callgate_vault::Opener, permit: &decision::Permit,
///         sealed: &callgate_vault::Sealed, at: &callgate_vault::SecretRef) {
///     opener.lease(permit, sealed, at);
/// }
/// ```
/// and a sealed value does not open by itself:
/// ```compile_fail,E0624
/// fn peek(kek: &callgate_vault::Kek, sealed: &callgate_vault::Sealed, at: &callgate_vault::SecretRef) {
///     sealed.open(kek, at);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Opener(Arc<ArcSwap<Keys>>);

impl Opener {
    pub fn new(keys: impl Into<Keys>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys.into())))
    }

    /// Puts other keys in force, for every clone of this opener. Leases already given stay open.
    pub fn replace(&self, keys: Keys) {
        self.0.store(Arc::new(keys));
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.0.load_full()
    }

    /// The sealing half, with the key that is in force now.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(Arc::clone(self.0.load().current()))
    }

    fn open(&self, sealed: &Sealed, at: &SecretRef) -> Result<LockedBytes, VaultError> {
        let keys = self.0.load();
        let kek = keys.find(sealed.kek()).unwrap_or_else(|| keys.current());
        sealed.open(kek, at)
    }

    /// Opens the gateway's own key for signing assertions, which comes out as what can only sign. No call is given
    /// it, and no other secret comes out this way.
    ///
    /// Errors: [`VaultError`].
    pub fn signing_key(&self, sealed: &Sealed, at: &SecretRef) -> Result<SigningKey, VaultError> {
        if at.name.as_str() != ASSERTION_KEY || at.user.is_some() {
            return Err(VaultError::NotPermitted);
        }
        SigningKey::from_kept(&self.open(sealed, at)?).ok_or(VaultError::Malformed)
    }

    /// Opens a secret for `call`, which `permit` must be of. A child process that gets it at its start
    /// is started on an errand of the gateway, which has a call and a permit too.
    ///
    /// The permit is borrowed: it must still be there to be spent. Errors: [`VaultError`], among
    /// them `NotTheirs` when the secret is of another tenant, environment or user than the call's principal.
    pub fn lease(
        &self,
        permit: &Permit,
        call: &Call,
        sealed: &Sealed,
        at: &SecretRef,
    ) -> Result<Lease, VaultError> {
        if !permit.covers(call) || is_reserved(&at.name) {
            return Err(VaultError::NotPermitted);
        }
        let principal = call.principal();
        let theirs = at.user.is_none() || at.user.as_ref() == principal.person();
        if principal.tenant != at.tenant || principal.environment != at.environment || !theirs {
            return Err(VaultError::NotTheirs { name: at.name.clone() });
        }
        Ok(Lease { value: self.open(sealed, at)?, name: at.name.clone() })
    }
}

/// An open secret in locked memory, wiped when dropped. Not copied, not printed, not serialised.
///
/// ```compile_fail,E0599
/// fn twice(lease: callgate_vault::Lease) -> (callgate_vault::Lease, callgate_vault::Lease) {
///     (lease.clone(), lease)
/// }
/// ```
pub struct Lease {
    value: LockedBytes,
    name: SecretName,
}

impl Lease {
    /// Of a value that a backend gave, which has checked the permit.
    pub(crate) fn of(secret: Secret, name: &SecretName) -> Self {
        Self { value: secret.into_bytes(), name: name.clone() }
    }

    /// The bytes as they were stored, for the environment of a child process; without a zero byte.
    pub fn bytes(&self) -> &[u8] {
        &self.value
    }

    /// The text for a header or a query. Errors: [`VaultError::NotHeaderSafe`].
    pub fn header(&self) -> Result<&str, VaultError> {
        secret::header(&self.value).ok_or_else(|| VaultError::NotHeaderSafe { name: self.name.clone() })
    }

    /// Which secret it is.
    pub fn name(&self) -> &SecretName {
        &self.name
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({}, ..)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::tests::{at, kek, of, seal};
    use decision::{
        Asked, CallId, Channel, Claims, DeedId, Direction, InteractionId, Item, ItemKind, Principal,
        ServerName, Target, Timestamp, Trail, Transport,
    };

    /// An errand of the gateway in this tenant and environment, and its permit.
    fn errand(tenant: &str, environment: &str, id: u8) -> (Call, Permit) {
        let place = at(tenant, environment, "x", 1);
        errand_of(Principal::gateway(place.tenant, place.environment), id)
    }

    fn errand_of(principal: Principal, id: u8) -> (Call, Permit) {
        let call = Call::new(Asked {
            id: CallId::new(Timestamp(1), [id; 10]),
            deed: DeedId::new(Timestamp(1), [id; 10]),
            leg: 0,
            at: Timestamp(1),
            direction: Direction::ToServer,
            interaction: InteractionId::new("test").unwrap(),
            principal: Arc::new(principal),
            channel: Channel {
                transport: Transport::Internal,
                era: None,
                revision: None,
                server_era: None,
                entrance: "mcp".to_owned(),
            },
            claims: Claims::default(),
            method: "initialize".to_owned(),
            target: Target {
                server: ServerName::new("crm").unwrap(),
                item: Item { kind: ItemKind::Server, name: "crm".to_owned() },
                definition: None,
            },
            frame: bytes::Bytes::from_static(b"{}"),
            arguments: None,
        });
        let permit = Trail::open(call.id(), Timestamp(1)).errand(&call).unwrap();
        (call, permit)
    }

    #[test]
    fn a_permit_opens_the_secrets_of_its_principals_tenant_and_environment_only() {
        let opener = Opener::new(kek(1));
        let home = at("acme", "production", "key", 1);
        let sealed = seal(b"s3cret", &home);
        let (call, permit) = errand("acme", "production", 1);
        let lease = opener.lease(&permit, &call, &sealed, &home).unwrap();
        assert_eq!((lease.bytes(), lease.header()), (&b"s3cret"[..], Ok("s3cret")));
        assert_eq!(format!("{lease:?}"), "Lease(key, ..)");
        for (tenant, environment) in [("other", "production"), ("acme", "staging")] {
            let (call, permit) = errand(tenant, environment, 1);
            let refused = opener.lease(&permit, &call, &sealed, &home).unwrap_err();
            assert_eq!(refused, VaultError::NotTheirs { name: home.name.clone() });
        }
    }

    #[test]
    fn a_users_secret_is_given_to_no_other_user_and_to_nobody_without_one() {
        let opener = Opener::new(kek(1));
        let home = at("acme", "production", "key", 1);
        let alices = of("alice", home.clone());
        let sealed = seal(b"s3cret", &alices);
        let asker = |user: Option<&str>| {
            let user =
                user.map(|name| decision::User { name: name.parse().unwrap(), groups: Default::default() });
            let gateway = Principal::gateway(home.tenant.clone(), home.environment.clone());
            errand_of(Principal { user, ..gateway }, 1)
        };
        for user in [Some("bob"), None] {
            let (call, permit) = asker(user);
            let refused = opener.lease(&permit, &call, &sealed, &alices).unwrap_err();
            assert_eq!(refused, VaultError::NotTheirs { name: home.name.clone() });
            // nor under a name that is theirs
            assert!(opener.lease(&permit, &call, &sealed, &of("bob", home.clone())).is_err());
            assert!(opener.lease(&permit, &call, &sealed, &home).is_err());
        }
        let (call, permit) = asker(Some("alice"));
        assert_eq!(opener.lease(&permit, &call, &sealed, &alices).unwrap().bytes(), b"s3cret");
    }

    #[test]
    fn the_gateways_own_key_signs_and_is_never_leased() {
        let opener = Opener::new(kek(1));
        let home = at("acme", "production", ASSERTION_KEY, 1);
        let kept = SigningKey::generate(&crate::sealed::tests::Dice::new(3));
        let sealed = crate::Sealer::new(kek(1)).seal(&kept, &home, &crate::sealed::tests::Dice::new(4));
        let (call, permit) = errand("acme", "production", 1);
        assert_eq!(opener.lease(&permit, &call, &sealed, &home).unwrap_err(), VaultError::NotPermitted);
        assert!(opener.signing_key(&sealed, &home).is_ok());
        let other = at("acme", "production", "key", 1);
        let sealed = seal(b"s3cret", &other);
        assert_eq!(opener.signing_key(&sealed, &other).unwrap_err(), VaultError::NotPermitted);
    }

    #[test]
    fn other_keys_are_in_force_for_every_clone_at_once() {
        let opener = Opener::new(kek(1));
        let clone = opener.clone();
        let home = at("acme", "production", "key", 1);
        let sealed = crate::Sealer::new(kek(2)).seal(
            &crate::Secret::from_input(b"s3cret".to_vec()).unwrap(),
            &home,
            &crate::sealed::tests::Dice::new(4),
        );
        let (call, permit) = errand("acme", "production", 1);
        let refused = clone.lease(&permit, &call, &sealed, &home).unwrap_err();
        assert!(matches!(refused, VaultError::OtherKey { .. }));
        opener.replace(Keys::new(kek(2), vec![kek(1)]));
        assert_eq!(clone.lease(&permit, &call, &sealed, &home).unwrap().bytes(), b"s3cret");
        assert_eq!(clone.lease(&permit, &call, &seal(b"old", &home), &home).unwrap().bytes(), b"old");
    }

    #[test]
    fn a_permit_of_another_call_opens_nothing() {
        let home = at("acme", "production", "key", 1);
        let sealed = seal(b"s3cret", &home);
        let (call, _) = errand("acme", "production", 1);
        let (_, foreign) = errand("acme", "production", 2);
        let refused = Opener::new(kek(1)).lease(&foreign, &call, &sealed, &home).unwrap_err();
        assert_eq!(refused, VaultError::NotPermitted);
    }

    #[test]
    fn a_value_that_could_add_a_header_is_no_header() {
        let home = at("acme", "production", "key", 1);
        let (call, permit) = errand("acme", "production", 1);
        for value in [
            &b"a\r\nX-Admin: 1"[..],
            b"tab\tbed",
            " a".as_bytes(),
            b"a ",
            "schl\u{fc}ssel".as_bytes(),
            b"\x7f",
            b"\xff",
        ] {
            let lease = Opener::new(kek(1)).lease(&permit, &call, &seal(value, &home), &home).unwrap();
            assert_eq!(lease.bytes(), value);
            assert_eq!(lease.header(), Err(VaultError::NotHeaderSafe { name: home.name.clone() }));
        }
    }
}
