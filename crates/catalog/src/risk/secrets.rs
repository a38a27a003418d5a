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
        if self.takes(&["chain", "chain_id", "contract", "token_in", "spender", "mint"])
            && !whole.iter().any(|word| matches!(word.as_str(), "private" | "secret" | "mnemonic"))
            || whole.iter().any(|word| matches!(word.as_str(), "count" | "estimate" | "tokenize"))
        {
            return;
        }
        let named = nouns::credential(&whole).map(|noun| ("/name", noun));
        let found = named
            .or_else(|| self.of_a_vault())
            .or_else(|| self.noun(nouns::credential))
            .or_else(|| self.of_a_pipeline())
            .or_else(|| self.chosen_secret())
            .or_else(|| self.told_secret());
        let set = self.reading.arguments.iter().find(sets);
        let set = set.filter(|_| self.does(&[Act::Add, Act::Change]).is_some());
        if let Some((place, noun)) = found {
            self.found(Category::CredentialAccess, place, format!("`{noun}` names a secret"));
            let kept = self.reading.deeds.iter().all(|deed| {
                matches!(deed.word.as_str(), "save" | "saves" | "export" | "exports" | "store" | "download")
            });
            if self.effect != Effect::None
                && !kept
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

    /// What lies in a vault is kept there because it is secret; what hangs on it or holds it together is not.
    fn of_a_vault(&self) -> Option<(&'static str, String)> {
        let item = ["item", "entry", "login"].iter().any(|word| self.reading.says(word));
        let beside = |word: &String| matches!(word.as_str(), "attachment" | "folder" | "collection");
        (item && self.reading.says("vault") && !self.named.iter().any(beside))
            .then(|| ("/description", "vault item".to_owned()))
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
        let mut pairs = first.iter().zip(first.iter().skip(1).map(String::as_str).chain([""]));
        let told = pairs.find(|(word, next)| {
            // a password manager is a product
            matches!(word.as_str(), "kubeconfig" | "password" | "credential") && *next != "manager"
        });
        let told = told.filter(|_| gives).map(|(word, _)| ("/description", word.clone()));
        let made = self.does(&[Act::Add, Act::Grant]).is_some() && self.reading.prose.returns_secret;
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
        || argument.is(&["secret_value", "secret_string", "seed_phrase", "private_key", "api_key", "new_pin"])
}
