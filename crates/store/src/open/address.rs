//! The address of a PostgreSQL database, to the driver's options: what is written counts, and nothing of the environment.

use crate::error::StoreError;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::str::FromStr as _;
use url::Url;

/// Parameters that the driver knows. Of others it logs name and value, which may be a password that was mistyped.
const KNOWN: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// A variable that the driver reads, when an address says the same, and what is told where none does.
struct Variable {
    name: &'static str,
    says: fn(&Said<'_>) -> bool,
    reason: &'static str,
}

/// Variables that the driver takes for what an address does not say, and where the address can say it.
const VARIABLES: [Variable; 11] = [
    Variable {
        name: "PGHOST",
        says: |said| said.host(),
        reason: "PGHOST is set: unset it, or write the host into the address",
    },
    Variable {
        name: "PGHOSTADDR",
        says: |said| said.host(),
        reason: "PGHOSTADDR is set: unset it, or write the host into the address",
    },
    Variable {
        name: "PGPORT",
        says: |said| said.url.port().is_some() || said.has(&["port"]),
        reason: "PGPORT is set: unset it, or write the port into the address",
    },
    Variable {
        name: "PGUSER",
        says: |said| !said.url.username().is_empty() || said.has(&["user"]),
        reason: "PGUSER is set: unset it, or write the user into the address",
    },
    Variable {
        name: "PGPASSWORD",
        says: |said| said.url.password().is_some() || said.has(&["password"]),
        reason: "PGPASSWORD is set, and no secret is taken from a variable that was not named: unset it",
    },
    Variable {
        name: "PGDATABASE",
        says: |said| said.url.path().len() > 1 || said.has(&["dbname"]),
        reason: "PGDATABASE is set: unset it, or write the database into the address",
    },
    Variable {
        name: "PGSSLMODE",
        says: |said| said.has(&["sslmode", "ssl-mode"]),
        reason: "PGSSLMODE is set: unset it, or write `sslmode` into the address",
    },
    Variable {
        name: "PGSSLROOTCERT",
        says: |said| said.has(&["sslrootcert", "ssl-root-cert", "ssl-ca"]),
        reason: "PGSSLROOTCERT is set: unset it, or write `sslrootcert` into the address",
    },
    Variable {
        name: "PGSSLCERT",
        says: |said| said.has(&["sslcert", "ssl-cert"]),
        reason: "PGSSLCERT is set: unset it, or write `sslcert` into the address",
    },
    Variable {
        name: "PGSSLKEY",
        says: |said| said.has(&["sslkey", "ssl-key"]),
        reason: "PGSSLKEY is set: unset it, or write `sslkey` into the address",
    },
    // the address only adds to it
    Variable {
        name: "PGOPTIONS",
        says: |_| false,
        reason: "PGOPTIONS is set: unset it, and write `options` into the address",
    },
];

/// What an address says.
struct Said<'u> {
    url: &'u Url,
}

impl Said<'_> {
    fn has(&self, names: &[&str]) -> bool {
        self.url.query_pairs().any(|(name, _)| names.contains(&name.as_ref()))
    }
    fn host(&self) -> bool {
        self.url.host_str().is_some_and(|host| !host.is_empty()) || self.has(&["host", "hostaddr"])
    }
}

/// The options of an address. Errors: it cannot be read, has a parameter that nobody knows, or leaves to a variable of
/// the environment how the database is reached.
#[expect(
    clippy::disallowed_methods,
    reason = "the driver reads them itself: asked is whether it would find any"
)]
pub(super) fn options(address: &str) -> Result<PgConnectOptions, StoreError> {
    from(address, |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn from(address: &str, is_set: impl Fn(&str) -> bool) -> Result<PgConnectOptions, StoreError> {
    // the driver's own message may quote the address, and the address may hold a password
    let unread = |reason| StoreError::Address { reason };
    let url = Url::parse(address).map_err(|_| unread("it does not parse"))?;
    let known = |name: &str| KNOWN.contains(&name) || name == "options" || name.starts_with("options[");
    if !url.query_pairs().all(|(name, _)| known(&name)) {
        return Err(unread(
            "it has a parameter that is none: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host`, `port`, `dbname`, `user`, `password`, `application_name` and `options` are",
        ));
    }
    let said = Said { url: &url };
    if let Some(one) = VARIABLES.iter().find(|one| is_set(one.name) && !(one.says)(&said)) {
        return Err(unread(one.reason));
    }
    let options = PgConnectOptions::from_str(address).map_err(|_| unread("it does not parse"))?;
    let options = options.application_name("callgate").disable_statement_logging();
    Ok(encrypted(options, said.has(&["sslmode", "ssl-mode"])))
}

/// The driver would fall back to plain text when the server offers no TLS, and take anybody's certificate when it does.
/// Over a network less than a certificate of that very name needs to be said in the address: `sslmode=require` for
/// nobody's, and the loud words `sslmode=disable` for none.
fn encrypted(options: PgConnectOptions, said: bool) -> PgConnectOptions {
    let here = matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
    let local = here || options.get_socket().is_some() || options.get_host().starts_with('/');
    match options.get_ssl_mode() {
        PgSslMode::Allow | PgSslMode::Prefer if local => options,
        PgSslMode::Allow | PgSslMode::Prefer => options.ssl_mode(PgSslMode::VerifyFull),
        PgSslMode::Disable | PgSslMode::Require | PgSslMode::VerifyCa if said => options,
        PgSslMode::Disable | PgSslMode::Require | PgSslMode::VerifyCa => {
            options.ssl_mode(PgSslMode::VerifyFull)
        }
        PgSslMode::VerifyFull => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_across_the_network_has_a_certificate_of_its_name_unless_the_address_says_otherwise() {
        let mode = |url: &str| format!("{:?}", from(url, |_| false).unwrap().get_ssl_mode());
        assert_eq!(mode("postgres://gw@db.example.com/gw"), "VerifyFull");
        assert_eq!(mode("postgres://gw@db.example.com/gw?sslmode=allow"), "VerifyFull");
        assert_eq!(mode("postgres://gw@10.0.0.1/gw?sslmode=verify-full"), "VerifyFull");
        assert_eq!(mode("postgres://gw@db.example.com/gw?sslmode=require"), "Require", "said");
        assert_eq!(mode("postgres://gw@db.example.com/gw?sslmode=disable"), "Disable", "said aloud");
        assert_eq!(mode("postgres://gw@localhost/gw"), "Prefer");
        assert_eq!(mode("postgres://gw@localhost/gw?host=/run/postgresql"), "Prefer");
    }

    #[test]
    fn no_variable_says_how_a_database_is_reached() {
        let with = |set: &'static str, url: &str| from(url, |name| name == set).is_ok();
        let bare = "postgres:///";
        let full = "postgres://gw:p@db:5433/gw?sslmode=require&sslrootcert=a&sslcert=b&sslkey=c";
        assert!(with("", bare) && with("", full));
        for Variable { name: variable, reason, .. } in VARIABLES {
            assert!(!with(variable, bare) && reason.contains(variable), "{variable}");
            assert_eq!(with(variable, full), variable != "PGOPTIONS", "{variable}");
        }
    }

    #[test]
    fn a_parameter_that_nobody_knows_is_refused_and_not_repeated() {
        for wrong in ["pasword=SECRET", "sslmod=verify-full", "sslmode=require&Password=SECRET"] {
            let error = from(&format!("postgres://gw@db/gw?{wrong}"), |_| false).unwrap_err().to_string();
            assert!(error.contains("sslrootcert") && !error.contains("SECRET"), "{error}");
        }
    }
}
