//! Quiet orders that are told by what they aim at: a check that is called a nuisance, where money goes, what speaks against a
//! thing, and where a package comes from.

use super::super::lexicon::{ASK, INSTALL, NOT, TELL};
use super::super::words::Token;
use super::Said;
use crate::finding::{Detector, Severity, Sighting};
use Severity::{High, Medium};

impl Said<'_> {
    fn says(&self, at: usize, words: &[&str]) -> bool {
        self.sentence.tokens.get(at).is_some_and(|token| words.contains(&&*token.text))
    }

    /// "People find confirmation dialogs tiring", "the host's question … its answer is always yes".
    pub(super) fn belittles_a_check(&self) -> Option<Sighting> {
        const CHECKS: &[&str] = &[
            "question",
            "questions",
            "dialog",
            "dialogs",
            "dialogue",
            "dialogues",
            "confirmation",
            "confirmations",
            "prompts",
            "approval",
            "approvals",
        ];
        const NUISANCE: &[&str] = &[
            "tiring",
            "tiresome",
            "annoying",
            "annoyance",
            "tedious",
            "nuisance",
            "irritating",
            "leftover",
            "relic",
            "bureaucratic",
            "pointless",
            "formality",
        ];
        let s = self.sentence;
        let check = |at: usize| self.says(at, CHECKS) && !s.is_negated(at);
        let checks = || (0..s.tokens.len()).filter(|at| check(*at));
        let nuisance = checks().any(|at| (at + 1..at + 9).any(|behind| self.says(behind, NUISANCE)));
        let yes = checks().any(|at| {
            let answer =
                (at + 1..s.tokens.len()).find(|behind| self.says(*behind, &["answer", "answers", "reply"]));
            answer.is_some_and(|answer| (answer + 1..answer + 5).any(|behind| self.says(behind, &["yes"])))
        });
        let severity = if yes || nuisance && self.of(ASK) { High } else { Medium };
        (nuisance || yes).then(|| {
            self.sees(
                Detector::ConsentBypass,
                severity,
                0.65,
                "a check by people is spoken of as if it did not count",
            )
        })
    }

    /// "its payee account is 4021-77-1190": of a tool that has no business with accounts.
    pub(super) fn lays_down_an_account(&self) -> Option<Sighting> {
        const WHOSE: &[&str] =
            &["payee", "beneficiary", "payout", "settlement", "remittance", "creditor", "iban"];
        let s = self.sentence;
        if !s.text.bytes().any(|b| b.is_ascii_digit()) {
            return None;
        }
        let name = self.about.name.unwrap_or_default();
        let own = ["pay", "bank", "invoice", "transfer", "account", "iban", "bill"]
            .iter()
            .any(|word| name.contains(word));
        let number = |token: &Token<'_>| token.text.chars().filter(char::is_ascii_digit).count() > 3;
        let digits = |at: usize| {
            let behind = s.tokens.get(at + 1..).unwrap_or_default().iter().take(8);
            behind.filter(|token| number(token) || token.text.chars().all(|c| c.is_ascii_digit())).count() > 1
                || s.tokens
                    .get(at + 1..)
                    .unwrap_or_default()
                    .iter()
                    .take(6)
                    .any(|token| token.text.len() > 9 && number(token))
        };
        let laid = (0..s.tokens.len()).any(|at| {
            self.says(at, WHOSE)
                && (at + 1..at + 4).any(|is| self.says(is, &["is", "are", "becomes"]))
                && digits(at)
        });
        (laid && !own && !self.about.value).then(|| {
            self.sees(
                Detector::Conduct,
                High,
                0.65,
                "it lays down where money goes, and has no business with that",
            )
        })
    }

    /// "drawbacks of Acme are not brought up": what people are to be told of a choice is one-sided.
    pub(super) fn leaves_out_what_is_against(&self) -> Option<Sighting> {
        const AGAINST: &[&str] = &[
            "drawbacks",
            "drawback",
            "downsides",
            "weaknesses",
            "shortcomings",
            "disadvantages",
            "criticism",
            "flaws",
        ];
        const LEFT: &[&str] = &["omitted", "downplayed", "skipped", "hidden", "suppressed", "unmentioned"];
        let s = self.sentence;
        let against = |at: usize| {
            let told = |no: usize| {
                s.places(TELL).any(|tell| tell > no && tell - no <= 3)
                    || (no..no + 3).any(|behind| self.says(behind, &["brought", "raised"]))
            };
            let unsaid = s.places(NOT).any(|no| no > at && no - at <= 6 && told(no));
            unsaid || (at + 1..at + 8).any(|behind| self.says(behind, LEFT))
        };
        let aside = (0..s.tokens.len()).any(|at| self.says(at, AGAINST) && against(at));
        aside.then(|| {
            self.sees(Detector::Conduct, High, 0.6, "what speaks against something is to be left out")
        })
    }

    /// An index of packages of its own: where a package comes from is where its code does.
    pub(super) fn installs_from_elsewhere(&self) -> Option<Sighting> {
        const FLAGS: &[&str] =
            &[concat!("--index", "-url"), concat!("--extra", "-index", "-url"), "--trusted-host"];
        const KNOWN: &[&str] = &[
            "pypi.org",
            "pythonhosted.org",
            "pytorch.org",
            "npmjs.org",
            "nvidia.com",
            "npm.pkg.github.com",
            "localhost",
        ];
        let s = self.sentence;
        let flagged =
            FLAGS.iter().any(|flag| s.text.contains(flag)) && !KNOWN.iter().any(|host| s.text.contains(host));
        (flagged && self.of(INSTALL) && !self.about.asks).then(|| {
            self.sees(Detector::SideAction, High, 0.6, "something is to be installed from a place of its own")
        })
    }
}
