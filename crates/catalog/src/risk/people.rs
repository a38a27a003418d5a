//! Whom a call reaches: messages, posts, calls, campaigns, work that is asked for.

use super::effect::Deed;
use super::lexicon::Act;
use super::nouns;
use super::stakes::Scale;
use super::words::singular;
use crate::Category;

impl Scale<'_, '_> {
    pub(super) fn communication(&mut self) {
        if self.reading.execution.is_some() {
            self.denied.insert(Category::ExternalCommunication);
            return;
        }
        if self.to_a_queue() {
            self.denied.insert(Category::ExternalCommunication);
            return;
        }
        if self.sorts_only() {
            self.denied.insert(Category::ExternalCommunication);
            return;
        }
        let goes_out = |(_, verb): &(Act, String)| matches!(verb.as_str(), "schedule" | "start" | "launch");
        let drafts =
            self.reading.says("draft") && !self.publishes() && !self.reading.name.acts.iter().any(goes_out);
        let ships = self.does(&[Act::Send]).is_some_and(|deed| self.ships(deed));
        if drafts || ships {
            self.denied.insert(Category::ExternalCommunication);
        }
        let sends = self.does(&[Act::Send]).filter(|deed| !self.ships(deed)).cloned();
        if let Some(deed) = sends {
            let because = format!("`{}` reaches people", deed.word);
            self.found(Category::ExternalCommunication, deed.place.clone(), because);
            return;
        }
        let adds = self.does(&[Act::Add]).is_some();
        let whole: Vec<String> = self.reading.name.words.iter().map(|word| singular(word)).collect();
        let comes_in = |(_, verb): &(Act, String)| {
            matches!(
                verb.as_str(),
                "receive" | "import" | "sync" | "fetch" | "download" | "export" | "archive"
            )
        };
        let comes_in = self.reading.name.acts.iter().any(comes_in);
        if comes_in {
            self.denied.insert(Category::ExternalCommunication);
        }
        let adds = adds && !comes_in;
        let message = nouns::message(&whole).filter(|_| (adds || self.tells_anew()) && !drafts);
        if let Some(message) = message {
            if matches!(
                message.as_str(),
                "message" | "email" | "mail" | "sms" | "dm" | "tweet" | "announcement"
            ) && !self.reading.prose.says_undone
            {
                self.effect = super::Effect::Irreversible;
            }
            self.found(Category::ExternalCommunication, "/name", format!("a `{message}` reaches people"));
        } else if let Some(message) = nouns::message(&self.described).filter(|_| adds && !drafts) {
            let because = format!("a `{message}` reaches people");
            self.found(Category::ExternalCommunication, "/description", because);
        } else if let Some(place) = self.calls_in() {
            self.found(Category::ExternalCommunication, place, "whoever is called in is told".to_owned());
        } else if let Some(place) = self.goes_public().filter(|_| !drafts) {
            let because = "it is published where anybody reads it".to_owned();
            self.found(Category::ExternalCommunication, place, because);
        } else if let Some(because) = self.mailed() {
            self.found(Category::ExternalCommunication, because, "it may be mailed to somebody".to_owned());
        } else if let Some(because) = self.addressed().filter(|_| !drafts) {
            self.found(Category::ExternalCommunication, "/inputSchema", because.to_owned());
        } else if let Some(place) = self.posted().filter(|_| adds && !drafts) {
            self.found(Category::ExternalCommunication, place, "it is posted where others read".to_owned());
        } else if let Some(because) = self.told().filter(|_| !drafts && !self.reading.deeds.is_empty()) {
            self.found(Category::ExternalCommunication, "/description", because);
        }
    }

    /// Labels and filters say where a message is found, and reach nobody.
    fn sorts_only(&self) -> bool {
        let last = self.named.last().map(String::as_str).unwrap_or_default();
        matches!(last, "label" | "tag" | "filter" | "folder" | "category")
            && self.does(&[Act::Send, Act::Pay]).is_none()
            && !self.reading.prose.says_told
    }

    /// Somebody is asked to come: to an incident, to a meeting.
    fn calls_in(&self) -> Option<&'static str> {
        let whom = |words: &[String]| {
            words.last().is_some_and(|last| matches!(last.as_str(), "responder" | "attendee" | "invitee"))
        };
        let adds = self.does(&[Act::Add, Act::Flip, Act::Run]).is_some();
        (adds && whom(&self.named)).then_some("/name")
    }

    /// What is told already is told otherwise, to people whom an argument names.
    fn tells_anew(&self) -> bool {
        let whom = |word: &String| matches!(singular(word).as_str(), "role" | "recipient" | "audience");
        self.does(&[Act::Change]).is_some()
            && self.reading.arguments.iter().any(|argument| argument.words.iter().any(whom))
    }

    /// What people read is put before them: an article that is published, a post that is given its state.
    fn goes_public(&self) -> Option<&'static str> {
        const READ: &[&str] = &[
            "post",
            "page",
            "article",
            "entry",
            "story",
            "blog",
            "site",
            "website",
            "video",
            "episode",
            "newsletter",
            "listing",
            "asset",
            "update",
        ];
        let read = self.named.last().is_some_and(|last| READ.contains(&last.as_str()));
        let publishes = self.reading.name.acts.iter().any(|(_, verb)| verb == "publish");
        let written = matches!(self.named.last().map(String::as_str), Some("post" | "page" | "article"))
            && self.takes(&["status", "published", "publish", "visibility", "post_status"])
            && self.takes(&["content", "body", "html", "text", "title"])
            && self.does(&[Act::Add, Act::Change]).is_some();
        let uploads =
            self.reading.name.acts.iter().any(|(_, verb)| matches!(verb.as_str(), "upload" | "schedule"))
                && matches!(
                    self.named.last().map(String::as_str),
                    Some("video" | "short" | "reel" | "story")
                )
                && ["youtube", "tiktok", "instagram", "facebook", "linkedin"]
                    .iter()
                    .any(|word| self.reading.says(word));
        (publishes && read || written || uploads).then_some("/name")
    }

    /// An argument says whether somebody gets a mail about it.
    fn mailed(&self) -> Option<String> {
        let mails = self.reading.arguments.iter().find(|argument| {
            argument.is(&[
                "send_email",
                "send_mail",
                "send_notification",
                "send_notifications",
                "notify",
                "notify_user",
                "notify_users",
                "notify_customer",
                "send_invite",
                "send_invitation",
                "send_receipt",
                "email_template_id",
                "send_welcome_email",
            ])
        })?;
        self.does(&[Act::Add, Act::Change, Act::Flip]).map(|_| mails.pointer.clone())
    }

    /// Somebody is spoken to, or many are asked, whom an argument names.
    fn addressed(&self) -> Option<&'static str> {
        const PEOPLE: &[&str] =
            &["human", "user", "recipient", "contact", "lead", "customer", "person", "worker", "member"];
        let last = self.named.last().map(String::as_str).unwrap_or_default();
        let names = |words: &[String]| words.iter().any(|word| PEOPLE.contains(&singular(word).as_str()));
        let whom = self.reading.arguments.iter().any(|argument| names(&argument.words));
        let begins = self.does(&[Act::Add, Act::Run, Act::Flip]).is_some();
        let speaks = matches!(last, "conversation" | "chat" | "dialogue" | "dm")
            && self.takes(&["message", "text", "body", "content", "first_message", "initial_message"]);
        let asks = matches!(last, "survey" | "poll" | "questionnaire")
            && self.takes(&[
                "schedule",
                "audience",
                "targeting",
                "conditions",
                "recipients",
                "channel",
                "channel_id",
            ])
            && self.takes(&["question", "questions", "options"]);
        if speaks && whom && begins {
            Some("somebody is spoken to")
        } else if asks && begins {
            Some("people are asked")
        } else {
            None
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
        let mails = self.reading.says("email") && self.reading.says("automation");
        let campaign = ["campaign", "newsletter", "broadcast"]
            .into_iter()
            .chain(mails.then_some("automation"))
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

    /// A broker of messages between programs takes it, and no person reads it.
    fn to_a_queue(&self) -> bool {
        const BROKERS: &[&str] = &[
            "kafka",
            "amqp",
            "rabbitmq",
            "mqtt",
            "sqs",
            "kinesis",
            "exchange",
            "fanout",
            "broker",
            "partition",
        ];
        let takes =
            self.takes(&["routing_key", "vhost", "partition", "exchange_name", "queue_url", "queue_name"]);
        (takes || BROKERS.iter().any(|word| self.reading.says(word)))
            && self.named.iter().chain(&self.described).any(|word| {
                matches!(
                    word.as_str(),
                    "message" | "record" | "event" | "batch" | "queue" | "topic" | "fanout" | "enqueue"
                )
            })
    }

    /// A model is spoken to, and nobody else.
    fn to_a_machine(&self) -> bool {
        let says = |words: &[&str]| words.iter().any(|word| self.reading.says(word));
        self.named
            .last()
            .is_some_and(|last| matches!(last.as_str(), "message" | "prompt" | "agent" | "model"))
            && says(&["agent", "assistant", "llm", "chatbot"])
            && !says(&[
                "user",
                "customer",
                "human",
                "person",
                "recipient",
                "channel",
                "email",
                "slack",
                "group",
                "topic",
                "thread",
                "room",
            ])
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
            || self.to_a_machine()
            || taken_back
            || (matches!(verb, "send" | "ship" | "broadcast" | "transmit" | "relay") && goods)
            || queued
            || share
            || financial
    }
}
