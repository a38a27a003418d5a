//! Secrets as they come in and as they are stored: what is taken back is what was stored, nothing prints a value, and
//! what was sealed is taken back.

use decision::{Entropy, Environment, SecretName, TenantId};
use std::sync::{Arc, LazyLock};
use vault::{Kek, SECRET_BYTES_MAX, Sealed, Sealer, Secret, SecretRef};

/// Not random at all: what is sealed here is known.
#[derive(Debug)]
struct Dice;

impl Entropy for Dice {
    fn fill(&self, out: &mut [u8]) {
        out.iter_mut().enumerate().for_each(|(at, byte)| *byte = u8::try_from(at % 251).unwrap());
    }
}

static SEALER: LazyLock<Sealer> = LazyLock::new(|| Sealer::new(Arc::new(Kek::from_bytes(&[3; 32]).unwrap())));

pub(crate) fn run(data: &[u8]) {
    match Sealed::from_bytes(data.to_vec()) {
        Ok(sealed) => {
            assert_eq!(sealed.as_bytes(), data);
            assert_eq!(sealed.kek(), Sealed::from_bytes(data.to_vec()).unwrap().kek());
            assert!(format!("{sealed:?}").len() < 120);
        }
        Err(error) => assert!(error.to_string().len() < 300),
    }
    match Secret::from_input(data.to_vec()) {
        Ok(secret) => {
            assert!(!data.is_empty() && data.len() <= SECRET_BYTES_MAX + 2);
            assert!(format!("{secret:?}").len() < 40, "a secret is not printed");
            let at = SecretRef {
                tenant: TenantId::default(),
                environment: Environment::default(),
                name: SecretName::new("k").unwrap(),
                user: None,
                version: 1,
            };
            let sealed = SEALER.seal(&secret, &at, &Dice);
            let stored = Sealed::from_bytes(sealed.as_bytes().to_vec()).unwrap();
            assert_eq!(stored.kek(), sealed.kek());
            let shows = data.len() >= 24 && sealed.as_bytes().windows(24).any(|window| window == &data[..24]);
            assert!(!shows, "what was sealed is there to be read");
        }
        Err(error) => assert!(error.to_string().len() < 300),
    }
}
