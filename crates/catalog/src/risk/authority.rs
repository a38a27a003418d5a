//! Who may do what, what is exposed to whom, and who is reached.

use super::effect::Deed;
use super::lexicon::Act;
use super::nouns;
use super::stakes::Scale;
use super::words::{singular, split};
use crate::Category;

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
            .or_else(|| self.in_a_directory())
            .or_else(|| strong(&self.described).map(|noun| ("/description", noun)))
            .or_else(|| self.member().map(|noun| ("/description", noun)))
            .or_else(|| self.locks().map(|noun| ("/name", noun)))
            .or_else(|| self.opens())
            .or_else(|| self.chosen().map(|noun| ("/inputSchema", noun)))
            .filter(|(_, noun)| !(noun == "member" && self.subscribes()))
            .filter(|(_, noun)| !(noun == "user" && self.introduces()))
            .filter(|(_, noun)| !(matches!(noun.as_str(), "user" | "member") && self.hands_work()));
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

    /// On a server that guards a network: what decides which traffic goes where, and what is let through.
    fn lets_through(&self) -> Option<String> {
        let named = |word: &str| self.named.iter().any(|said| said == word);
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
        let group = last == "group" && self.reading.governs;
        let password = named("password") && (named("user") || named("member"));
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
        const WORK: &[&str] = &[
            "story", "task", "issue", "ticket", "case", "incident", "card", "bug", "todo", "epic", "owner",
            "work",
        ];
        let assigns = |(_, verb): &(Act, String)| {
            matches!(verb.as_str(), "assign" | "unassign" | "reassign" | "add" | "set" | "remove")
        };
        let acts = &self.reading.name.acts;
        let words = self.named.iter().chain(&self.described);
        !acts.is_empty()
            && acts.iter().all(assigns)
            && acts.iter().any(|(_, verb)| verb.ends_with("assign"))
            && words.chain(&self.reading.prose.first).any(|word| WORK.contains(&singular(word).as_str()))
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
        ["subscriber", "audience", "contact", "unsubscribe"].iter().any(|word| self.reading.says(word))
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
        let last = self.described.iter().take_while(|word| *word != "of" && *word != "and").last()?;
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
        let mut locked = words.filter(|word| {
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
            || (name("visibility") && (name("set") || name("change") || name("update")));
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
            !(argument.is(&["ip_range", "cidr", "cidr_block"]) && self.takes(&["subnet", "gateway"]))
        };
        let network = network.filter(lets);
        let network =
            network.filter(|_| self.does(&[Act::Add, Act::Change, Act::Grant, Act::Remove]).is_some());
        let given = self.reading.arguments.iter().find(|argument| {
            argument.is(&["permission", "permissions", "acl", "access_level", "is_admin", "is_superuser"])
                || self.reading.says("org") && argument.is(&["groups", "group_ids"])
        });
        let given = given.filter(|_| self.does(&[Act::Add, Act::Change]).is_some());
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

    pub(super) fn communication(&mut self) {
        if self.reading.execution.is_some() {
            return;
        }
        let drafts = self.reading.says("draft") && !self.publishes();
        let sends = self.does(&[Act::Send]).filter(|deed| !self.ships(deed)).cloned();
        if let Some(deed) = sends {
            let because = format!("`{}` reaches people", deed.word);
            self.found(Category::ExternalCommunication, deed.place.clone(), because);
            return;
        }
        let adds = self.does(&[Act::Add]).is_some();
        let whole: Vec<String> = self.reading.name.words.iter().map(|word| singular(word)).collect();
        let message = nouns::message(&whole).filter(|_| adds && !drafts);
        if let Some(message) = message {
            if matches!(
                message.as_str(),
                "message" | "email" | "mail" | "sms" | "dm" | "tweet" | "announcement"
            ) && !self.reading.prose.says_undone
            {
                self.effect = super::Effect::Irreversible;
            }
            self.found(Category::ExternalCommunication, "/name", format!("a `{message}` reaches people"));
        } else if let Some(place) = self.posted().filter(|_| adds && !drafts) {
            self.found(Category::ExternalCommunication, place, "it is posted where others read".to_owned());
        } else if let Some(because) = self.told().filter(|_| !drafts && !self.reading.deeds.is_empty()) {
            self.found(Category::ExternalCommunication, "/description", because);
        }
    }

    /// A post or a thread, with its text and the place where people read it.
    fn posted(&self) -> Option<&'static str> {
        let post = self
            .named
            .last()
            .is_some_and(|last| matches!(last.as_str(), "post" | "topic" | "thread" | "discussion"));
        let text = self.takes(&["raw", "message", "content", "body", "text"]);
        let to = self.takes(&[
            "category",
            "category_id",
            "topic_id",
            "thread_id",
            "channel",
            "channel_id",
            "forum_id",
            "group_id",
        ]);
        (post && text && to).then_some("/name")
    }

    /// What is said or done beside the deed: somebody is called, a campaign begins, an answer is mailed.
    fn told(&self) -> Option<String> {
        let calls =
            self.reading.says("call") && self.takes(&["to", "phone", "phone_number", "to_number", "number"]);
        let begins = self.does(&[Act::Run, Act::Add, Act::Flip, Act::Deploy]).is_some();
        let campaign = ["campaign", "newsletter", "broadcast"]
            .iter()
            .any(|word| self.reading.name.words.iter().any(|said| said == word))
            && self.reading.deeds.iter().any(|deed| {
                matches!(
                    deed.word.trim_end_matches('s'),
                    "schedule" | "start" | "launch" | "resume" | "activate" | "trigger"
                )
            });
        let sequence = self.reading.says("sequence") && self.reading.says("email");
        let answered = |deed: &Deed| {
            matches!(
                deed.word.trim_end_matches('s'),
                "accept" | "decline" | "rsvp" | "respond" | "tentatively-accept"
            )
        };
        let meeting = ["event", "invitation", "invite", "meeting"].iter().any(|word| self.reading.says(word))
            && self.reading.deeds.iter().any(answered);
        if meeting {
            Some("whoever asked is answered".to_owned())
        } else if self.reading.prose.says_told {
            Some("it says that somebody is told".to_owned())
        } else if calls && begins {
            Some("a call reaches people".to_owned())
        } else if campaign || sequence && begins {
            Some("a campaign reaches people".to_owned())
        } else {
            None
        }
    }

    /// What is sent is no message: a transaction, a command to a device, goods.
    fn ships(&self, deed: &Deed) -> bool {
        let verb = deed.word.trim_end_matches('s');
        let goods = self.named.iter().chain(&self.described).any(|word| {
            matches!(
                word.as_str(),
                "transaction"
                    | "payment"
                    | "token"
                    | "eth"
                    | "coin"
                    | "keystroke"
                    | "key"
                    | "signal"
                    | "order"
                    | "parcel"
                    | "crypto"
                    | "sol"
                    | "money"
                    | "packet"
                    | "metric"
                    | "log"
                    | "telemetry"
                    | "instance"
                    | "command"
            )
        });
        let queued = self.reading.says("queue") || self.reading.says("sqs");
        let share = verb == "share" && self.categories.contains(&Category::Administrative);
        let financial =
            self.categories.contains(&Category::Financial) && deed.place == "/description" && verb != "send";
        // `send a list to the archive`, `alert setup`, `delete_send`: no message, or none that goes out
        let aside = verb == "send" && (self.reading.says("archive") || self.reading.says("trash"));
        let setup =
            verb == "alert" && ["setup", "rule", "config", "threshold"].iter().any(|w| self.reading.says(w));
        let taken_back = deed.place == "/name"
            && self.reading.deeds.iter().any(|other| other.act == Act::Remove && other.place == "/name");
        aside
            || setup
            || taken_back
            || (matches!(verb, "send" | "ship" | "broadcast" | "transmit" | "relay") && goods)
            || queued
            || share
            || financial
    }
}
