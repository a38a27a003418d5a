//! The two questions.

use crate::{
    actions::{self, METHODS, PRINCIPALS, uid},
    address,
    answer::{Answer, Held, Reason},
    context::{Contexts, answered, context},
    load::Policies,
    memo::Key,
    rule::Sway,
    slice::{Parts, Plan, Slice},
};
use cedar_policy::{
    Decision, Entities, Entity, EntityUid, PolicySet, Request, Response, RestrictedExpression,
};
use decision::approval::Cure;
use decision::{
    Actor, Call, Claims, Era, GroupName, ItemKind, Principal, RuleId, ServerName, Timestamp, Transport,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

/// Who asks, as far as it matters for seeing.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub principal: &'a Principal,
    /// The Host's own claim of its name.
    pub host: Option<&'a str>,
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject<'a> {
    pub server: &'a ServerName,
    pub kind: ItemKind,
    /// A tool's or prompt's own name, a resource's URI, a template, a question's method.
    pub name: &'a str,
}

/// How and when a call came.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    pub now: Timestamp,
    pub transport: Transport,
    pub era: Option<Era>,
    pub model: Option<&'a str>,
    pub workflow: Option<&'a str>,
}

/// A call, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub asker: Asker<'a>,
    pub subject: Subject<'a>,
    /// The MCP method, which with the kind of the subject names the action.
    pub method: &'a str,
    /// The arguments as they will be sent: one JSON object, already valid against the pinned schema; or empty.
    pub arguments: &'a [u8],
    pub circumstances: Circumstances<'a>,
}

impl<'a> Question<'a> {
    /// The question a [`Call`] asks now. `arguments` are the call's own ([`Call::arguments`]).
    pub fn of(call: &'a Call, arguments: &'a [u8], now: Timestamp) -> Self {
        let Claims { host, model, workflow, .. } = call.claims();
        let target = call.target();
        Self {
            asker: Asker { principal: call.principal(), host: host.as_deref() },
            subject: Subject { server: &target.server, kind: target.item.kind, name: &target.item.name },
            method: call.method(),
            arguments,
            circumstances: Circumstances {
                now,
                transport: call.channel().transport,
                era: call.channel().era,
                model: model.as_deref(),
                workflow: workflow.as_deref(),
            },
        }
    }
}

/// One principal as Cedar knows it.
pub(crate) struct Requester<'a> {
    /// Index into [`PRINCIPALS`].
    pub(crate) kind: usize,
    name: &'a str,
    groups: &'a BTreeSet<GroupName>,
}

impl Requester<'_> {
    pub(crate) fn uid(&self) -> Option<EntityUid> {
        uid(PRINCIPALS.get(self.kind)?, self.name)
    }
    pub(crate) fn groups(&self) -> Option<Vec<EntityUid>> {
        self.groups.iter().map(|group| uid("Group", group.as_str())).collect()
    }
    pub(crate) fn key(&self, key: &mut Key) {
        key.number(self.kind);
        key.text(self.name);
        key.number(self.groups.len());
        self.groups.iter().for_each(|group| key.text(group.as_str()));
    }
}

/// One principal before one action: both as Cedar knows them, and the rules that can speak of this principal.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) uid: EntityUid,
    /// The principal, the action and the resource with everything they are in.
    pub(crate) entities: Entities,
    pub(crate) slice: Arc<Slice>,
    /// Whether this is asked more than once.
    kept: bool,
    /// The permits among the rules that read nothing of the context; `None` when one of those rules forbids or fails.
    still: OnceLock<Option<Vec<RuleId>>>,
}

/// The requests to make: the actor's, and that of the user behind it.
pub(crate) fn requesters(principal: &Principal) -> Result<Vec<Requester<'_>>, Answer> {
    let (kind, name) = match &principal.actor {
        Actor::Agent(name) => (0, name.as_str()),
        Actor::User(name) => (1, name.as_str()),
        Actor::Workload(name) => (2, name.as_str()),
        Actor::Server(_) | Actor::Gateway | Actor::Unknown => {
            let whom = principal.describe();
            return Err(Answer::refused(Reason::NoPrincipal, format!("no rule speaks of {whom}")));
        }
    };
    let mut requesters = vec![Requester { kind, name, groups: &principal.groups }];
    if let Some(user) = &principal.user {
        requesters.push(Requester { kind: 1, name: user.name.as_str(), groups: &user.groups });
    }
    Ok(requesters)
}

/// An action with the one thing it is asked of.
pub(crate) struct Aim<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) resource: Cow<'a, Entity>,
}

impl Policies {
    /// May this principal know of the item and use it at all? Reads no arguments and no time. Lists are filtered
    /// by it, and every call asks it first, so what is shown and what may be asked cannot differ.
    pub fn see(&self, asker: Asker<'_>, subject: Subject<'_>) -> Answer {
        let aim = match self.aim(subject, None) {
            Ok(aim) => aim,
            Err(refused) => return refused,
        };
        // addresses are endless, so only what is asked of one fixed thing is kept
        if aim.plan.resource.is_none() {
            return self.ask(asker, &aim, None);
        }
        let requesters = match requesters(asker.principal) {
            Ok(requesters) => requesters,
            Err(refused) => return refused,
        };
        let mut key = Key::of(aim.plan.number);
        key.number(requesters.len());
        requesters.iter().for_each(|requester| requester.key(&mut key));
        key.text(asker.principal.environment.as_str());
        asker.host.into_iter().for_each(|host| key.text(host));
        self.seen.get_or_make(key, || self.ask(asker, &aim, None))
    }

    /// May it happen now, with these arguments? A question of a later message of a deed (`tasks/…`) has none and
    /// is answered as *see*.
    pub fn call(&self, question: &Question<'_>) -> Answer {
        let Question { asker, subject, method, .. } = question;
        if subject.kind == ItemKind::Tool && method.starts_with("tasks/") {
            return self.see(*asker, *subject);
        }
        match self.aim(*subject, Some(method)) {
            Ok(aim) => self.ask(*asker, &aim, Some(question)),
            Err(refused) => refused,
        }
    }

    /// May a server's question be answered with this? Only the forbids that read answers are asked: that the question
    /// may be put at all was asked before it was, and what it is answered with makes nothing else of it.
    pub fn answer(&self, question: &Question<'_>, raw: &[u8]) -> Answer {
        let aim = match self.aim(question.subject, Some(question.method)) {
            Ok(aim) => aim,
            Err(refused) => return refused,
        };
        let requesters = match requesters(question.asker.principal) {
            Ok(requesters) => requesters,
            Err(refused) => return refused,
        };
        let one = |requester: &Requester<'_>| {
            self.answered_one(requester, &aim, question, raw).unwrap_or_else(|| {
                Answer::refused(Reason::RuleFailed, "the answer cannot be put to the rules")
            })
        };
        requesters.iter().map(one).fold(Answer::Allowed { basis: Vec::new() }, Answer::and)
    }

    fn answered_one(
        &self,
        requester: &Requester<'_>,
        aim: &Aim<'_>,
        question: &Question<'_>,
        raw: &[u8],
    ) -> Option<Answer> {
        let standing = self.standing(requester, aim)?;
        let (forbids, reads) = standing.slice.answered(&self.rules);
        if forbids.is_empty() {
            return Some(Answer::Allowed { basis: Vec::new() });
        }
        let context = match answered(question, reads, raw) {
            Ok(context) => context,
            Err(refused) => return Some(refused),
        };
        let (who, what) = (standing.uid.clone(), aim.plan.uid.clone());
        let request = Request::new(who, what, aim.resource.uid(), context, None).ok()?;
        let response = self.authorizer.is_authorized(&request, forbids, &standing.entities);
        // without a permit among them, only what they say tells a no from a nothing
        let silent = self.failed(&response).is_none() && self.rules_of(&response).is_empty();
        Some(if silent {
            Answer::Allowed { basis: Vec::new() }
        } else {
            self.answer_of(&response, None, &request)
        })
    }

    pub(crate) fn aim(&self, subject: Subject<'_>, method: Option<&str>) -> Result<Aim<'_>, Answer> {
        let Subject { server, kind, name } = subject;
        let unknown = || {
            Answer::refused(Reason::NoItem, format!("server `{server}` has no accepted {kind:?} `{name}`"))
        };
        if self.closed().contains(server) {
            let detail = format!("server `{server}` is closed: the rules do not fit what it offers now");
            return Err(Answer::refused(Reason::RuleFailed, detail));
        }
        let (Some(entry), Some(plans)) = (self.catalogue.server(server), self.plans.get(server)) else {
            return Err(unknown());
        };
        let action = match kind {
            ItemKind::Tool => match method {
                None | Some("tools/call") => name,
                Some(_) => return Err(unknown()),
            },
            ItemKind::Question if METHODS.iter().any(|m| m.name == name && m.kind == "question") => name,
            ItemKind::Question => return Err(unknown()),
            ItemKind::Server => "server/listen",
            ItemKind::Prompt => match method {
                None | Some("prompts/get") => "prompts/get",
                Some("completion/complete") => "completion/complete",
                Some(_) => return Err(unknown()),
            },
            ItemKind::Resource | ItemKind::ResourceTemplate => match method {
                None | Some("resources/read") => "resources/read",
                Some("resources/subscribe" | "resources/unsubscribe" | "subscriptions/listen") => {
                    "resources/subscribe"
                }
                Some("completion/complete") => "completion/complete",
                Some(_) => return Err(unknown()),
            },
        };
        let plan = match kind {
            ItemKind::Tool => plans.tools.get(action),
            ItemKind::Prompt
            | ItemKind::Resource
            | ItemKind::ResourceTemplate
            | ItemKind::Server
            | ItemKind::Question => plans.methods.get(action),
        };
        let plan = plan.ok_or_else(unknown)?;
        let resource = match (&plan.resource, kind) {
            (Some(resource), _) => Some(Cow::Borrowed(resource)),
            (None, ItemKind::Prompt) => actions::prompt_entity(server, entry, name).map(Cow::Owned),
            (None, ItemKind::Resource | ItemKind::ResourceTemplate) => {
                if !address::is_normal(name) {
                    return Err(Answer::refused(Reason::AddressUnsafe, "the address is not in normal form"));
                }
                actions::resource_entity(server, entry, name).map(Cow::Owned)
            }
            (None, ItemKind::Tool | ItemKind::Server | ItemKind::Question) => None,
        };
        Ok(Aim { plan, resource: resource.ok_or_else(unknown)? })
    }

    /// Asks for everybody who must be allowed. Without a question it is *see*.
    fn ask<'a>(&'a self, asker: Asker<'_>, aim: &Aim<'a>, question: Option<&'a Question<'a>>) -> Answer {
        let requesters = match requesters(asker.principal) {
            Ok(requesters) => requesters,
            Err(refused) => return refused,
        };
        let mut contexts = question.map(|question| Contexts::new(question, aim.plan));
        let one = |requester: &Requester<'_>| {
            self.ask_one(requester, asker, aim, contexts.as_mut()).unwrap_or_else(|| {
                Answer::refused(Reason::RuleFailed, "the question cannot be put to the rules")
            })
        };
        let mut answers = requesters.iter().map(one);
        let first = answers.next().unwrap_or_else(|| Answer::refused(Reason::NoPrincipal, "nobody asks"));
        answers.fold(first, Answer::and)
    }

    fn ask_one<'a>(
        &'a self,
        requester: &Requester<'_>,
        asker: Asker<'_>,
        aim: &Aim<'a>,
        mut contexts: Option<&mut Contexts<'a>>,
    ) -> Option<Answer> {
        let standing = self.standing(requester, aim)?;
        let slice = &standing.slice;
        let context = match &mut contexts {
            None => context(asker, &Parts::All, None),
            Some(contexts) => {
                // what no rule for this principal reads must fit all the same where another's does
                let named = aim.plan.slice(requester.kind)?.named(&self.rules);
                contexts.of(slice, named, &self.rules)
            }
        };
        let context = match context {
            Ok(context) => context,
            Err(refused) => return Some(refused),
        };
        let (who, what) = (standing.uid.clone(), aim.plan.uid.clone());
        let request = Request::new(who, what, aim.resource.uid(), context, None).ok()?;
        let ask = |set: &PolicySet| self.authorizer.is_authorized(&request, set, &standing.entities);
        let Some(contexts) = contexts else {
            return Some(self.answer_of(&ask(slice.see(&self.rules)), None, &request));
        };
        if let Some(allowed) = self.allowed(&standing, &request, contexts) {
            return Some(allowed);
        }
        let calling = slice.call(&self.rules);
        let without = calling.uncurable.as_ref().map(|set| || ask(set));
        let without = without.as_ref().map(|ask| ask as &dyn Fn() -> Response);
        Some(self.answer_of(&ask(&calling.all), without, &request))
    }

    /// The shortcut to a yes. What reads nothing of the context answers a kept standing the same each time; together
    /// with what the other rules say to this call, that is what all of them would say. `None`: all are to be asked.
    fn allowed(&self, standing: &Standing, request: &Request, contexts: &mut Contexts<'_>) -> Option<Answer> {
        if !standing.kept {
            return None;
        }
        let calling = standing.slice.call(&self.rules);
        let permits = |set: &PolicySet| {
            if set.is_empty() {
                return Some(Vec::new());
            }
            let response = self.authorizer.is_authorized(request, set, &standing.entities);
            let fails = response.diagnostics().errors().next().is_some();
            let rules = self.rules_of(&response);
            // of those that deny, the reasons are forbids
            let forbids = response.decision() == Decision::Deny && !rules.is_empty();
            (!fails && !forbids).then_some(rules)
        };
        let mut rules = standing.still.get_or_init(|| permits(&calling.still)).clone()?;
        let moved = match (&calling.shared, contexts.said.take()) {
            // asked for the agent, and the same for the person
            (Some(shared), Some((of, said))) if *shared == of => said,
            _ => permits(&calling.moved),
        };
        contexts.said = calling.shared.clone().map(|of| (of, moved.clone()));
        rules.extend(moved?);
        rules.sort();
        (!rules.is_empty()).then_some(Answer::Allowed { basis: rules })
    }

    /// Kept, because closing the entities over their groups, and choosing the rules, costs more than the decision.
    pub(crate) fn standing(&self, requester: &Requester<'_>, aim: &Aim<'_>) -> Option<Arc<Standing>> {
        let of_kind = aim.plan.slice(requester.kind)?;
        let make = |narrow: bool| {
            let (uid, groups) = (requester.uid()?, requester.groups()?);
            let slice = if narrow {
                let chosen = of_kind.of_principal(&self.rules, &uid, &groups);
                self.slices.get_or_make(chosen.clone(), || Slice::shared(chosen))
            } else {
                Arc::clone(of_kind)
            };
            let name = ("name".to_owned(), RestrictedExpression::new_string(requester.name.to_owned()));
            let principal = Entity::new_with_tags(uid.clone(), [name], groups, []).ok()?;
            let entities = [principal, aim.plan.entity.clone(), aim.resource.clone().into_owned()];
            let entities = Entities::from_entities(entities, None).ok()?;
            Some(Arc::new(Standing { uid, entities, slice, kept: narrow, still: OnceLock::new() }))
        };
        // addresses are endless, so nothing is kept of them and nothing is worth preparing
        if aim.plan.resource.is_none() {
            return make(false);
        }
        let mut key = Key::of(aim.plan.number);
        requester.key(&mut key);
        self.standings.get_or_try(key, || make(true))
    }

    /// Reads Cedar's response. `without` asks the same question without the forbids that people can lift.
    pub(crate) fn answer_of(
        &self,
        response: &Response,
        without: Option<&dyn Fn() -> Response>,
        request: &Request,
    ) -> Answer {
        // Cedar skips a rule that fails, also a forbid; so any failure is a no (DESIGN, "Policy")
        if let Some(failed) = self.failed(response) {
            return failed;
        }
        let rules: Vec<RuleId> = self.rules_of(response);
        if response.decision() == Decision::Allow {
            return Answer::Allowed { basis: rules };
        }
        let texts = |rule: &RuleId| self.rule(rule).and_then(|rule| rule.because.clone()).unwrap_or_default();
        let because: Vec<String> = rules.iter().map(texts).collect();
        if rules.is_empty() {
            return nobody_permits(request);
        }
        let cures: Option<Vec<Cure>> = rules
            .iter()
            .map(|rule| self.rule(rule).filter(|r| r.sway == Sway::Forbid)?.cure.clone())
            .collect();
        let cure = cures.and_then(|cures| cures.into_iter().reduce(Cure::and));
        if let (Some(cure), Some(without)) = (cure, without) {
            let response = without();
            if self.failed(&response).is_none() && response.decision() == Decision::Allow {
                return Answer::Held(Held { cure, rules, because });
            }
        }
        let detail = match rules.as_slice() {
            [one] => format!("rule `{one}` forbids it"),
            several => format!("{} rules forbid it", several.len()),
        };
        Answer::Refused { reason: Reason::Forbidden, rules, because, detail, remedy: None }
    }

    fn failed(&self, response: &Response) -> Option<Answer> {
        let mut errors = response.diagnostics().errors().peekable();
        errors.peek()?;
        let mut rules = Vec::new();
        let mut details = Vec::new();
        for error in errors {
            details.push(error.to_string());
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            rules.extend(RuleId::new(AsRef::<str>::as_ref(error.policy_id())));
        }
        rules.sort();
        let detail = format!("a rule could not be evaluated: {}", details.join("; "));
        Some(Answer::Refused { reason: Reason::RuleFailed, rules, because: Vec::new(), detail, remedy: None })
    }

    fn rules_of(&self, response: &Response) -> Vec<RuleId> {
        let ids = response.diagnostics().reason();
        let mut rules: Vec<_> = ids.filter_map(|id| RuleId::new(AsRef::<str>::as_ref(id)).ok()).collect();
        rules.sort();
        rules
    }
}

fn nobody_permits(request: &Request) -> Answer {
    let part = |uid: Option<&EntityUid>| uid.map(ToString::to_string).unwrap_or_default();
    let (who, what) = (part(request.principal()), part(request.action()));
    let tool = request
        .resource()
        .is_some_and(|uid| matches!(uid.type_name().to_string().as_str(), "Tool" | "Server"));
    let resource =
        if tool { "resource".to_owned() } else { format!("resource == {}", part(request.resource())) };
    let id: String = [request.principal(), request.action()]
        .into_iter()
        .flatten()
        .map(|uid| AsRef::<str>::as_ref(uid.id()).to_owned())
        .collect::<Vec<_>>()
        .join("-");
    let fits = |c: char| if c.is_ascii_alphanumeric() || "-_.@+:/".contains(c) { c } else { '-' };
    let id: String = id.chars().map(fits).take(128).collect();
    Answer::Refused {
        reason: Reason::NoRule,
        rules: Vec::new(),
        because: Vec::new(),
        detail: "no rule permits it".to_owned(),
        remedy: Some(format!("@id(\"{id}\") permit(principal == {who}, action == {what}, {resource});")),
    }
}

/// The plans of one server.
#[derive(Debug, Default)]
pub(crate) struct ServerPlans {
    /// By the author's name.
    pub(crate) tools: BTreeMap<String, Plan>,
    pub(crate) methods: BTreeMap<&'static str, Plan>,
}
