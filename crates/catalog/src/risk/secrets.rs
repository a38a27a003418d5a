//! Secrets that a call returns, makes, changes or hands over.

use super::Effect;
use super::lexicon::Act;
use super::nouns;
use super::schema::Argument;
use super::stakes::Scale;
use super::words::{singular, split};
use crate::Category;

impl Scale<'_, '_> {
    pub(super) fn credentials(&mut self) {
        let whole: Vec<String> = self.reading.name.words.iter().map(|word| singular(word)).collect();
        // Coins are no secrets, and neither are the words of a model that are counted.
        let chain = [
            "chain",
            "chain_id",
            "contract",
            "contract_address",
            "token_address",
            "token_in",
            "spender",
            "mint",
        ];
        if self.takes(&chain)
            && !whole.iter().any(|word| matches!(word.as_str(), "private" | "secret" | "mnemonic"))
            || whole.iter().any(|word| matches!(word.as_str(), "count" | "estimate" | "tokenize"))
            || self.of_coins(&whole)
        {
            return;
        }
        let named = nouns::credential(&whole).map(|noun| ("/name", noun));
        let found = named
            .or_else(|| self.of_a_vault())
            .or_else(|| self.noun(nouns::credential))
            .or_else(|| self.of_a_pipeline())
            .or_else(|| self.chosen_secret())
            .or_else(|| self.told_secret())
            .or_else(|| self.revealed())
            .or_else(|| self.shown())
            .filter(|(_, noun)| !self.only_brings(noun) && !self.tells_of_it())
            .filter(|_| !(self.effect == Effect::None && self.reading.prose.withholds_secret()));
        let gets_in = |argument: &&Argument<'_>| {
            !self.gets_in_somewhere(argument) && !self.signs_with(argument) && !self.asks_for_itself(argument)
        };
        let login = self.named.iter().any(|word| word == "login");
        let sets = |argument: &&Argument<'_>| sets(argument) || login && argument.is(&["login_password"]);
        let set = self.reading.arguments.iter().filter(gets_in).find(sets);
        let set = set.filter(|_| self.does(&[Act::Add, Act::Change]).is_some());
        if let Some((place, noun)) = found {
            self.found(Category::CredentialAccess, place, format!("`{noun}` names a secret"));
            let kept = self.reading.deeds.iter().all(|deed| {
                matches!(deed.word.as_str(), "save" | "saves" | "export" | "exports" | "store" | "download")
            });
            if self.effect != Effect::None
                && !kept
                && !self.only_stores(&noun)
                && !self.gets_itself_in()
                && self.does(&[Act::Add, Act::Change, Act::Remove, Act::Grant, Act::Flip]).is_some()
            {
                self.critical(place, format!("it changes a secret: `{noun}`"));
            }
        } else if let Some(set) = set {
            let whole = set.is(&["seed_phrase", "mnemonic", "private_key", "secret_value", "secret_string"]);
            let place = set.pointer.clone();
            self.found(Category::CredentialAccess, place.clone(), "it sets a secret".to_owned());
            if whole {
                self.critical(place, "it hands over a secret".to_owned());
            }
        }
    }

    /// `set_tokens`, `refresh_access_token`: what the server itself gets in with elsewhere, which is nobody's whom the call could
    /// name. Whoever rotates or revokes one shuts others out.
    pub(super) fn gets_itself_in(&self) -> bool {
        let brings = |(_, verb): &(Act, String)| {
            matches!(verb.as_str(), "set" | "refresh" | "exchange" | "renew" | "save" | "store" | "obtain")
        };
        let acts = &self.reading.name.acts;
        let token =
            self.named.last().is_some_and(|last| matches!(last.as_str(), "token" | "code" | "expiry"))
                || self.named.iter().any(|word| word == "token");
        let names = |argument: &Argument<'_>| {
            argument.ends(&["id", "user", "username", "account", "email", "name", "project", "key"])
                && !argument.words.iter().any(|word| word == "client")
        };
        token && !acts.is_empty() && acts.iter().all(brings) && !self.reading.arguments.iter().any(names)
    }

    /// An amount and an address to which it goes: a token is a coin there, and the key that signs is the caller's own.
    fn of_coins(&self, whole: &[String]) -> bool {
        const TRADED: &[&str] = &[
            "crypto",
            "cryptocurrency",
            "blockchain",
            "onchain",
            "coin",
            "dex",
            "liquidity",
            "airdrop",
            "memecoin",
            "solana",
            "ethereum",
            "erc20",
            "nft",
        ];
        let address = |argument: &Argument<'_>| argument.words.len() > 1 && argument.ends(&["address"]);
        let paid = self.takes(&["amount", "value"]) && self.reading.arguments.iter().any(address);
        let coin = |word: &String| matches!(word.as_str(), "token" | "coin" | "nft" | "erc20");
        let opens = |word: &String| {
            matches!(word.as_str(), "access" | "api" | "auth" | "oauth" | "refresh" | "session")
        };
        let traded = || !whole.iter().any(opens) && TRADED.iter().any(|word| self.reading.says(word));
        whole.iter().any(coin) && (paid || traded())
    }

    /// A key that each call is given to be let in by, where nothing is made that could keep one.
    fn asks_for_itself(&self, key: &Argument<'_>) -> bool {
        const KEEPS: &[&str] = &[
            "provider",
            "integration",
            "connection",
            "connector",
            "model",
            "profile",
            "account",
            "source",
            "datasource",
            "config",
            "configuration",
            "setting",
            "credential",
            "key",
            "secret",
            "server",
            "agent",
            "llm",
            "app",
            "application",
            "service",
            "destination",
            "backend",
            "channel",
            "webhook",
            "variable",
            "project",
        ];
        let keeps = |words: &[String]| words.iter().any(|word| KEEPS.contains(&word.as_str()));
        key.is(&["api_key"]) && !keeps(&self.named) && !keeps(&self.described)
    }

    /// On a chain of blocks each call is signed by the key that it is given, and keeps it not.
    fn signs_with(&self, key: &Argument<'_>) -> bool {
        key.is(&["private_key"]) && self.takes(&["network", "chain", "chain_id", "rpc_url"])
    }

    /// What is looked at has a secret in it, as its description says.
    fn shown(&self) -> Option<(&'static str, String)> {
        let shown = self.effect == Effect::None && self.reading.prose.includes_secret();
        shown.then(|| ("/description", "key among what is shown".to_owned()))
    }

    /// A password beside an address and the name of whom it lets in there: the call signs in with it, and keeps it not.
    fn gets_in_somewhere(&self, password: &Argument<'_>) -> bool {
        let beside = |last: &[&str]| {
            self.reading.arguments.iter().any(|argument| {
                let kin = password.words.len() < 2 || argument.words.first() == password.words.first();
                kin && argument.ends(last)
            })
        };
        password.ends(&["password", "passphrase"])
            && beside(&["user", "username", "login"])
            && beside(&["host", "hostname", "uri", "url", "server"])
    }

    /// Whoever puts a secret of his own somewhere changes none that was there, and opens nothing by it.
    fn only_stores(&self, noun: &str) -> bool {
        let stored =
            noun.split(' ').next_back().is_some_and(|last| matches!(last, "secret" | "password" | "item"));
        // what is put or stored may take the place of another
        let adds = |deed: &super::effect::Deed| {
            let verb = deed.word.trim_end_matches('s');
            deed.act == Act::Read || matches!(verb, "create" | "add" | "generate" | "new")
        };
        stored && self.reading.deeds.iter().all(adds) && !self.reading.deeds.is_empty()
    }

    /// Whoever sets a variable of an environment brings what is in it, and learns nothing.
    fn only_brings(&self, noun: &str) -> bool {
        let variable = noun
            .split(' ')
            .next_back()
            .is_some_and(|last| matches!(last, "env" | "variable" | "var" | "envvar"));
        let brings = |deed: &super::effect::Deed| {
            matches!(deed.act, Act::Add | Act::Change | Act::Flip | Act::Umbrella)
        };
        let build = noun.ends_with("of a build");
        let secret = |argument: &Argument<'_>| {
            let kinds =
                argument.schema.get("enum").and_then(serde_json::Value::as_array).into_iter().flatten();
            let words = argument.words.iter().map(String::as_str);
            words
                .chain(kinds.filter_map(serde_json::Value::as_str))
                .any(|word| matches!(word, "sensitive" | "encrypted" | "secret"))
        };
        if self.reading.arguments.iter().any(secret)
            || ["secret", "encrypt"].iter().any(|word| self.reading.says(word))
        {
            return false;
        }
        variable
            && !build
            && self.effect != Effect::None
            && !self.reading.deeds.is_empty()
            && self.reading.deeds.iter().all(brings)
            && !self.reading.operations.iter().any(|operation| operation.act == Act::Read)
    }

    /// What is hidden comes back where an argument asks for that.
    fn revealed(&self) -> Option<(&'static str, String)> {
        let asks = self.reading.arguments.iter().any(|argument| {
            argument.has_type("boolean")
                && argument.is(&[
                    "reveal",
                    "unmask",
                    "reveal_secrets",
                    "show_secrets",
                    "include_secrets",
                    "reveal_values",
                ])
        });
        asks.then(|| ("/inputSchema", "what is hidden".to_owned()))
    }

    /// What lies in a vault is kept there because it is secret; what hangs on it or holds it together is not.
    fn of_a_vault(&self) -> Option<(&'static str, String)> {
        let item = ["item", "entry", "login"].iter().any(|word| self.reading.says(word));
        let beside = |word: &String| matches!(word.as_str(), "attachment" | "folder" | "collection");
        (item && self.reading.says("vault") && !self.named.iter().any(beside))
            .then(|| ("/description", "vault item".to_owned()))
    }

    /// `get_password_update_events`: what is looked at is what happened to it, of what kind it is, or when it ends.
    fn tells_of_it(&self) -> bool {
        self.effect == Effect::None
            && self.named.len() > 1
            && self.named.last().is_some_and(|last| {
                matches!(
                    last.as_str(),
                    "event" | "policy" | "history" | "type" | "expiry" | "expiration" | "audit"
                )
            })
    }

    /// Variables of a build are where it finds the keys that it deploys with.
    fn of_a_pipeline(&self) -> Option<(&'static str, String)> {
        let variable = self.named.last().is_some_and(|last| last == "variable");
        let build = ["ci", "cd", "pipeline"].iter().any(|word| self.reading.says(word));
        (variable && build).then(|| ("/name", "variable of a build".to_owned()))
    }

    /// One of the deeds that an argument can choose is done to a secret.
    fn chosen_secret(&self) -> Option<(&'static str, String)> {
        let singulars = |value: &str| split(value).iter().map(|word| singular(word)).collect::<Vec<_>>();
        let mut chosen = self.reading.operations.iter().filter(|operation| operation.act != Act::Read);
        chosen.find_map(|operation| Some(("/inputSchema", nouns::credential(&singulars(&operation.value))?)))
    }

    /// The first sentence names a secret, or another says that one comes back.
    fn told_secret(&self) -> Option<(&'static str, String)> {
        let first: Vec<String> = self.reading.prose.first.iter().map(|word| singular(word)).collect();
        let gives = self.effect == Effect::None || self.does(&[Act::Add, Act::Change, Act::Grant]).is_some();
        // by what a call gets in it neither shows nor changes: `Lists gates, with your credentials`
        let by = |at: usize| {
            let before = first.get(at.saturating_sub(3)..at).unwrap_or_default();
            before.iter().any(|word| {
                matches!(
                    word.as_str(),
                    "using" | "with" | "via" | "by" | "requires" | "valid" | "current" | "never"
                )
            })
        };
        // one that is good once is kept nowhere
        let once = |at: usize| {
            let before = at.checked_sub(1).and_then(|at| first.get(at)).map(String::as_str);
            matches!(before, Some("one-time" | "time" | "onetime" | "otp"))
        };
        let mut pairs = first.iter().zip(first.iter().skip(1).map(String::as_str).chain([""])).enumerate();
        let told = pairs.find(|(at, (word, next))| {
            // a password manager is a product
            matches!(word.as_str(), "kubeconfig" | "password" | "credential")
                && !once(*at)
                && !matches!(*next, "manager" | "guard" | "type" | "policy")
                && !by(*at)
        });
        let told = told.map(|(_, told)| told);
        let told = told.filter(|_| gives).map(|(word, _)| ("/description", word.clone()));
        let made =
            self.does(&[Act::Add, Act::Grant, Act::Run]).is_some() && self.reading.prose.returns_secret;
        told.or_else(|| made.then(|| ("/description", "credential".to_owned())))
    }
}

/// An argument whose value is kept as a secret, and not one by which the call itself gets in somewhere.
fn sets(argument: &&Argument<'_>) -> bool {
    let asked = matches!(
        argument.words.first().map(String::as_str),
        Some("require" | "has" | "is" | "use" | "reset" | "auth" | "login" | "registry" | "proxy")
    );
    argument.ends(&["password", "passphrase", "mnemonic"]) && !asked
        || argument.is(&[
            "secret_value",
            "secret_string",
            "seed_phrase",
            "private_key",
            "api_key",
            "new_pin",
            "client_secret",
            "webhook_secret",
            "shared_secret",
            "consumer_secret",
            "signing_secret",
            "secret_access_key",
        ])
}
