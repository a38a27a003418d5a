//! Who may do what, what is exposed to whom, and who is reached.

use super::effect::Deed;
use super::lexicon::Act;
use super::nouns;
use super::stakes::Scale;
use super::words::{singular, split};
use crate::Category;

/// Pieces of work, which somebody does.
const WORK: &[&str] =
    &["story", "task", "issue", "ticket", "case", "incident", "card", "bug", "todo", "epic", "work"];

impl Scale<'_, '_> {
    pub(super) fn administration(&mut self) {
        if let Some(because) = self.hands_over() {
            self.found(Category::Administrative, "/name", because.to_owned());
            self.critical("/name", because.to_owned());
            return;
        }
        let grants = self.does(&[Act::Grant]).filter(|deed| !self.renews_a_password(deed)).cloned();
        let writes = !self.reading.deeds.is_empty() || self.effect == super::Effect::Irreversible;
        let strong = |words: &[String]| {
            nouns::administrative(words).filter(|word| {
                !matches!(word.as_str(), "user" | "member" | "group" | "access" | "identity" | "grant")
            })
        };
        let named = nouns::administrative(&self.named).map(|noun| ("/name", noun));
        let noun = named
            .or_else(|| self.lets_through().map(|noun| ("/name", noun)))
            .or_else(|| self.signs_in())
            .or_else(|| self.lets_sign_in())
            .or_else(|| self.in_a_directory())
            .or_else(|| strong(&self.described).map(|noun| ("/description", noun)))
            .or_else(|| self.member().map(|noun| ("/description", noun)))
            .or_else(|| self.locks().map(|noun| ("/name", noun)))
            .or_else(|| self.opens())
            .or_else(|| self.chosen().map(|noun| ("/inputSchema", noun)));
        // who gets mail, and who does not; what is open between this machine and another
        let here = |deed: &Deed| deed.act == Act::Flip && deed.word.starts_with("forward");
        if noun.is_none() && (self.reading.says("suppression") || self.reading.deeds.iter().any(here)) {
            self.denied.insert(Category::Administrative);
        }
        let spoken_of = noun.is_some();
        let noun = noun.filter(|(_, noun)| !self.lets_nobody_in(noun));
        if spoken_of && noun.is_none() {
            self.denied.insert(Category::Administrative);
        }
        if let Some(deed) = grants.filter(|deed| !self.spends(deed)) {
            self.found(
                Category::Administrative,
                deed.place.clone(),
                format!("`{}` {}", deed.word, deed.act.does()),
            );
            self.critical(deed.place.clone(), format!("`{}` {}", deed.word, deed.act.does()));
        } else if self.reading.deeds.iter().any(|deed| deed.act == Act::Remove) && self.revokes() {
            self.found(Category::Administrative, "/description", "it takes away access".to_owned());
            self.critical("/description", "it takes away access".to_owned());
        } else if let Some((place, noun)) = noun.filter(|_| writes) {
            self.found(Category::Administrative, place, format!("`{noun}` is about who may do what"));
            self.critical(place, format!("it changes who may do what: `{noun}`"));
        }
    }

    /// It sounds as if it were about who may do what, and is not.
    fn lets_nobody_in(&self, noun: &str) -> bool {
        match noun {
            "member" => self.subscribes() || self.has_work() || self.hands_work(),
            "user" => self.introduces() || self.hands_work(),
            "dns" => self.only_removes(),
            "identity" => self.reading.name.acts.iter().any(|(_, verb)| verb == "switch"),
            "token" => self.gets_itself_in(),
            "port" => self.reading.forwards_here(),
            noun => noun.starts_with("permission_") && self.subscribes(),
        }
    }

    /// On a server that guards a network: what decides which traffic goes where, and what is let through.
    fn lets_through(&self) -> Option<String> {
        let named = |word: &str| self.named.iter().any(|said| said == word);
        let listed = matches!(self.named.last().map(String::as_str), Some("entry" | "list" | "address"))
            && named("address")
            && self.reading.says("firewall");
        if listed {
            return self.named.last().cloned();
        }
        let last = self.named.last().filter(|_| self.reading.guards)?;
        let decides = match last.as_str() {
            "rule" | "gateway" | "segment" | "route" => true,
            "group" => named("gateway"),
            _ => named("segment") && !named("group") || named("category") && named("url"),
        };
        decides.then(|| last.clone())
    }

    /// Where it is decided who may do what, a group is who may; and whoever sets another's password can sign in as they.
    fn in_a_directory(&self) -> Option<(&'static str, String)> {
        let last = self.named.last()?;
        let named = |word: &str| self.named.iter().any(|said| said == word);
        // what stands in a group of machines may do no more
        let machine = |word: &String| {
            matches!(
                word.as_str(),
                "server" | "host" | "device" | "node" | "machine" | "endpoint" | "computer" | "asset"
            )
        };
        let group = last == "group" && self.reading.governs && !self.named.iter().any(machine);
        let somebody = named("user")
            || named("member")
            || self.reading.governs && self.takes(&["user", "user_id", "username"]);
        let password = named("password") && somebody;
        let principal = last == "principal" && named("service");
        (group || password || principal).then(|| ("/name", last.clone()))
    }

    /// An application that others sign in to, or that signs in itself, as its server, arguments or description say.
    fn signs_in(&self) -> Option<(&'static str, String)> {
        const PROTOCOLS: &[&str] = &["oauth", "oauth2", "oidc", "openid", "saml", "sso"];
        let client = |word: &&String| matches!(word.as_str(), "application" | "app" | "client");
        let client = self.named.last().filter(client)?;
        let told = PROTOCOLS.iter().any(|word| self.reading.says(word));
        let asks = self.reading.arguments.iter().any(|argument| {
            argument.is(&["redirect_uri", "redirect_uris", "callback_url", "callbacks", "grant_types"])
                || argument.words.iter().any(|word| word == "auth" || PROTOCOLS.contains(&word.as_str()))
                    && argument.ends(&["config", "configuration", "setting", "settings"])
        });
        (self.reading.governs || told || asks).then(|| ("/name", client.clone()))
    }

    /// A login of somebody's, or how people sign in altogether.
    fn lets_sign_in(&self) -> Option<(&'static str, String)> {
        let last = self.named.last()?;
        let verb =
            |deed: &Deed| matches!(deed.act, Act::Change | Act::Remove) || deed.word.starts_with("creat");
        let counts = match last.as_str() {
            "login" | "authentication" => true,
            // of a payment, it is a hold on a card
            "authorization" => !self.reading.bills && !self.categories.contains(&Category::Financial),
            _ => false,
        };
        (counts && self.reading.deeds.iter().any(verb)).then(|| ("/name", last.clone()))
    }

    /// What is taken away of a directory of names is a loss, and lets nobody in.
    fn only_removes(&self) -> bool {
        !self.reading.deeds.is_empty() && self.reading.deeds.iter().all(|deed| deed.act == Act::Remove)
    }

    /// Whoever is put on a piece of work, or watches it, may do no more than before.
    fn has_work(&self) -> bool {
        let on_work = self.named.iter().any(|word| WORK.contains(&word.as_str()));
        let says = |words: &[&str]| words.iter().any(|word| self.reading.says(word));
        on_work
            && says(&["assignee", "follower", "watcher", "subscriber"])
            && !self.takes(&["role", "role_id", "permission", "permission_level"])
    }

    /// Something gets another owner, or others are let in.
    fn hands_over(&self) -> Option<&'static str> {
        if self.categories.contains(&Category::Financial) {
            return None;
        }
        let does = |verb: &str| self.reading.deeds.iter().any(|deed| deed.word.starts_with(verb));
        let owner = self.takes(&["recipient", "new_owner", "owner_id", "new_owner_id"])
            || self.reading.says("ownership")
            || self.reading.says("owner");
        let with = self.takes(&[
            "role",
            "permission",
            "permissions",
            "access_level",
            "user",
            "user_id",
            "principal",
            "grantee",
            "account",
            "account_id",
            "share_with",
            "with",
            "group",
        ]);
        let shares =
            self.named.last().is_some_and(|last| last == "share") && self.does(&[Act::Add]).is_some();
        if does("transfer") && owner {
            Some("it changes who owns something")
        } else if (does("shar") || shares) && with {
            Some("it lets somebody else in")
        } else {
            None
        }
    }

    /// What one of the deeds that an argument can choose is done to.
    fn chosen(&self) -> Option<String> {
        let writes = self.reading.operations.iter().filter(|operation| operation.act.writes());
        writes
            .filter_map(|operation| {
                let words: Vec<String> = split(&operation.value).iter().map(|word| singular(word)).collect();
                nouns::administrative(&words).filter(|noun| {
                    matches!(
                        noun.as_str(),
                        "role" | "permission" | "policy" | "access" | "firewall" | "acl" | "sso" | "mfa"
                    )
                })
            })
            .next()
    }

    /// `assign_user_to_task`: who is to do a piece of work may do no more than before.
    fn hands_work(&self) -> bool {
        let assigns = |(_, verb): &(Act, String)| {
            matches!(verb.as_str(), "assign" | "unassign" | "reassign" | "add" | "set" | "remove")
        };
        let acts = &self.reading.name.acts;
        let words = self.named.iter().chain(&self.described);
        !acts.is_empty()
            && acts.iter().all(assigns)
            && acts.iter().any(|(_, verb)| verb.ends_with("assign"))
            && words
                .chain(&self.reading.prose.first)
                .any(|word| word == "owner" || WORK.contains(&singular(word).as_str()))
            && !self.takes(&["role", "role_id", "permission"])
    }

    /// Of a person is changed what others read, and nothing by which the person signs in or is let in.
    fn introduces(&self) -> bool {
        let changes = self.reading.deeds.iter().all(|deed| matches!(deed.act, Act::Change | Act::Flip));
        let profile = self.takes(&["bio", "biography", "about", "website", "avatar", "headline", "bio_raw"]);
        let standing = self.reading.arguments.iter().any(|argument| {
            argument.words.iter().any(|word| {
                matches!(
                    singular(word).as_str(),
                    "role"
                        | "permission"
                        | "group"
                        | "email"
                        | "phone"
                        | "password"
                        | "active"
                        | "enabled"
                        | "disabled"
                        | "suspended"
                        | "blocked"
                        | "admin"
                        | "superuser"
                        | "moderator"
                        | "status"
                        | "property"
                        | "attribute"
                        | "metadata"
                )
            })
        });
        changes && profile && !standing
    }

    /// Who is on a mailing list may do nothing for it.
    fn subscribes(&self) -> bool {
        ["subscriber", "audience", "contact", "unsubscribe", "segment", "suppression", "suppress"]
            .iter()
            .any(|word| self.reading.says(word))
            || self.takes(&["audience_id", "merge_fields", "subscriber_hash", "email_list_id"])
    }

    /// `Remove a team and revoke access of its members`
    fn revokes(&self) -> bool {
        let first = &self.reading.prose.first;
        first.iter().any(|word| word.starts_with("revok")) && self.reading.says("access")
    }

    /// A password that is rotated is a secret that changes, and nobody may do more for it.
    fn renews_a_password(&self, deed: &Deed) -> bool {
        deed.word.starts_with("rotat") && self.reading.object().any(|word| word == "password")
    }

    /// What is shown and hidden there nobody else sees: a layer of a picture, a column of a table; or a message of a queue.
    fn on_a_screen(&self) -> bool {
        const SHOWN: &[&str] = &[
            "message", "timeout", "item", "layer", "scene", "element", "object", "source", "column", "row",
            "panel", "widget", "field", "shape", "marker", "window", "toolbar", "sidebar", "sheet", "axis",
            "track",
        ];
        self.named.iter().any(|word| SHOWN.contains(&word.as_str()))
    }

    /// What is granted is money to spend, which is told of as such.
    fn spends(&self, deed: &Deed) -> bool {
        self.categories.contains(&Category::Financial)
            && matches!(
                deed.word.trim_end_matches('s'),
                "authorize" | "authorise" | "allow" | "approve" | "permit"
            )
    }

    /// People who come in, go or are stopped, as the description's object says: `Removes a user`.
    fn member(&self) -> Option<String> {
        let acts = [Act::Add, Act::Remove, Act::Take, Act::Halt, Act::Grant];
        let moves = |deed: &Deed| {
            deed.place == "/description"
                && (acts.contains(&deed.act)
                    || matches!(
                        deed.word.trim_end_matches('s'),
                        "invite" | "unlock" | "lock" | "suspend" | "enroll"
                    ))
        };
        let last = self
            .described
            .iter()
            .take_while(|word| !matches!(word.as_str(), "of" | "and" | "about"))
            .last()?;
        let person = matches!(
            last.as_str(),
            "user" | "member" | "collaborator" | "guest" | "admin" | "administrator" | "moderator" | "owner"
        );
        // a sorted set has members too
        let person = person && !self.reading.says("set");
        (person && self.reading.deeds.iter().any(moves)).then(|| last.clone())
    }

    /// Doors, devices and accounts that are locked or unlocked.
    fn locks(&self) -> Option<String> {
        let locks = |deed: &Deed| {
            let verb = split(&deed.word).into_iter().next().unwrap_or_default();
            matches!(verb.trim_end_matches('s'), "lock" | "unlock" | "arm" | "disarm" | "seal" | "unseal")
        };
        let words = self.named.iter().chain(&self.described);
        // what is shut keeps people out who never had a right to come in
        let opened = self.reading.deeds.iter().any(|deed| {
            ["unlock", "disarm", "seal", "unseal"].iter().any(|verb| deed.word.starts_with(verb))
        });
        let mut locked = words
            .filter(|word| {
                let thing = matches!(
                    word.as_str(),
                    "door" | "gate" | "garage" | "alarm" | "vault" | "vehicle" | "car" | "house" | "lock"
                );
                opened || !thing
            })
            .filter(|word| {
                matches!(
                    word.as_str(),
                    "door"
                        | "device"
                        | "account"
                        | "user"
                        | "gate"
                        | "garage"
                        | "alarm"
                        | "vault"
                        | "domain"
                        | "computer"
                        | "phone"
                        | "vehicle"
                        | "car"
                        | "house"
                        | "lock"
                )
            });
        locked.next().filter(|_| self.reading.deeds.iter().any(locks)).cloned()
    }

    /// Something is made reachable that was not.
    fn opens(&self) -> Option<(&'static str, String)> {
        let name = |word: &str| self.reading.name.words.iter().any(|said| said == word);
        let exposed = (name("public") && (name("make") || name("set") || name("enable") || name("access")))
            || (name("visibility")
                && !self.on_a_screen()
                && (name("set") || name("change") || name("update")));
        let sessions = (name("session") || name("sessions"))
            && ["user", "sign", "login", "signed"].iter().any(|word| self.reading.says(word))
            && self.does(&[Act::Halt, Act::Remove, Act::Take]).is_some();
        let assigned = ["app", "application", "license", "licence"].iter().any(|word| name(word))
            && (name("group") || name("user") || name("users"))
            && self.does(&[Act::Flip, Act::Add, Act::Take, Act::Remove, Act::Change]).is_some();
        let network = self.reading.arguments.iter().find(|argument| {
            argument.is(&[
                "cidr",
                "cidr_block",
                "cidr_blocks",
                "source_ip",
                "ip_range",
                "allowed_ips",
                "public_port",
                "src_ip",
            ])
        });
        // the addresses of a network that is made let nobody in
        let lets = |argument: &&super::schema::Argument<'_>| {
            !(argument.is(&["ip_range", "cidr", "cidr_block"])
                && (self.takes(&["subnet", "gateway"]) || self.reading.says("subnet")))
        };
        let network = network.filter(lets);
        let network =
            network.filter(|_| self.does(&[Act::Add, Act::Change, Act::Grant, Act::Remove]).is_some());
        let given = self.reading.arguments.iter().find(|argument| {
            argument.is(&["access_level", "is_admin", "is_superuser"])
                || argument.words.iter().any(|word| decides(word))
                || argument.has_type("boolean") && argument.words.iter().any(|word| word == "admin")
                || self.reading.says("org") && argument.is(&["groups", "group_ids"])
        });
        // where it is decided who may do what, scopes are what may be done
        let scopes = self.reading.arguments.iter().find(|argument| argument.is(&["scope", "scopes"]));
        let given = given.or(scopes.filter(|_| self.reading.governs));
        let given = given.filter(|_| self.does(&[Act::Add, Act::Change, Act::Send]).is_some());
        let private = self
            .reading
            .arguments
            .iter()
            .find(|argument| argument.is(&["private", "privacy", "is_private", "is_public", "public"]));
        let private = private.filter(|_| self.reading.says("privacy") && self.does(&[Act::Change]).is_some());
        let given = given.or(private);
        let network = given.or(network);
        if exposed {
            Some(("/name", "public".to_owned()))
        } else if sessions {
            Some(("/name", "session".to_owned()))
        } else if assigned {
            Some(("/name", "user".to_owned()))
        } else {
            network.map(|argument| ("/inputSchema", argument.words.join("_")))
        }
    }
}

/// What an argument is called that says who may do what, or how people sign in.
fn decides(word: &str) -> bool {
    matches!(singular(word).as_str(), "permission" | "acl" | "saml" | "sso" | "scim" | "oidc" | "mfa" | "2fa")
}
