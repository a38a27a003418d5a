//! What rules read of the circumstances, as Cedar takes it.

use crate::{
    answer::{Answer, Reason},
    ask::{Asker, Circumstances, Question},
    facts::{self, Named},
    reply,
    slice::{Parts, Plan, Slice},
};
use cedar_policy::{Context, RestrictedExpression};
use decision::{Era, RuleId, Timestamp, Transport};
use std::sync::Arc;

/// The context of one call. Those who are asked about it mostly have rules that read the same of it.
pub(crate) struct Contexts<'a> {
    question: &'a Question<'a>,
    plan: &'a Plan,
    made: Option<(&'a Named, Arc<Slice>, Result<Context, Answer>)>,
    /// What rules that say the same whoever asks have said to it: which they are, and their permits.
    pub(crate) said: Option<(Vec<RuleId>, Option<Vec<RuleId>>)>,
}

impl<'a> Contexts<'a> {
    pub(crate) fn new(question: &'a Question<'a>, plan: &'a Plan) -> Self {
        Self { question, plan, made: None, said: None }
    }

    /// For the rules of a slice: what they read of it, and of the arguments what is in `named`.
    pub(crate) fn of(
        &mut self,
        slice: &Arc<Slice>,
        named: &'a Named,
        rules: &[crate::rule::Rule],
    ) -> Result<Context, Answer> {
        let reads = &slice.call(rules).reads;
        let same = |made: &Arc<Slice>| Arc::ptr_eq(made, slice) || made.call(rules).reads == *reads;
        match &self.made {
            Some((of, by, made)) if *of == named && same(by) => made.clone(),
            Some(_) | None => {
                let question = self.question;
                let made = arguments(question, self.plan, named)
                    .and_then(|args| context(question.asker, reads, Some((question, args))));
                self.made = Some((named, Arc::clone(slice), made.clone()));
                made
            }
        }
    }
}

/// The arguments, as far as a rule names them.
fn arguments(question: &Question<'_>, plan: &Plan, named: &Named) -> Result<RestrictedExpression, Answer> {
    facts::arguments(&plan.arguments, named, question.arguments).map_err(|unfit| {
        let detail = format!("a rule names the argument `{}`, and {}", unfit.path, unfit.why);
        Answer::refused(Reason::ArgumentUnfit, detail)
    })
}

/// The context, as far as rules read it. For *see* it holds only what is the same for every call: no rule that
/// counts reads more.
pub(crate) fn context(
    asker: Asker<'_>,
    reads: &Parts,
    call: Option<(&Question<'_>, RestrictedExpression)>,
) -> Result<Context, Answer> {
    of_pairs(pairs(asker, reads, call)?)
}

/// The same with what a Host answered. Questions have no arguments that rules could name.
pub(crate) fn answered(question: &Question<'_>, reads: &Parts, raw: &[u8]) -> Result<Context, Answer> {
    let nothing = RestrictedExpression::new_record([]);
    let nothing = nothing.map_err(|error| Answer::refused(Reason::RuleFailed, error.to_string()))?;
    let mut pairs = pairs(question.asker, reads, Some((question, nothing)))?;
    pairs.push((reply::PART.to_owned(), reply::read(raw)?));
    of_pairs(pairs)
}

fn of_pairs(pairs: Pairs) -> Result<Context, Answer> {
    Context::from_pairs(pairs).map_err(|error| Answer::refused(Reason::RuleFailed, error.to_string()))
}

type Pairs = Vec<(String, RestrictedExpression)>;

fn pairs(
    asker: Asker<'_>,
    reads: &Parts,
    call: Option<(&Question<'_>, RestrictedExpression)>,
) -> Result<Pairs, Answer> {
    let mut pairs = Vec::new();
    let mut text = |part: &str, text: Option<&str>| {
        if let Some(text) = text.filter(|_| reads.has(part)) {
            pairs.push((part.to_owned(), RestrictedExpression::new_string(text.to_owned())));
        }
    };
    text("environment", Some(asker.principal.environment.as_str()));
    text("host", asker.host);
    if let Some((question, arguments)) = call {
        let Circumstances { now, transport, era, model, workflow } = question.circumstances;
        let transport = match transport {
            Transport::Http => "http",
            Transport::Stdio => "stdio",
            Transport::Internal => "internal",
        };
        let era = match era {
            Some(Era::Legacy) => "legacy",
            Some(Era::Modern) => "modern",
            None => "none",
        };
        text("transport", Some(transport));
        text("era", Some(era));
        text("model", model);
        text("workflow", workflow);
        if reads.has("now") {
            pairs.push(("now".to_owned(), clock(now)?));
        }
        if reads.has("args") {
            pairs.push(("args".to_owned(), arguments));
        }
    }
    Ok(pairs)
}

/// UTC: seconds, the hour, and the weekday with Monday as 1 (1970-01-01 was a Thursday).
fn clock(now: Timestamp) -> Result<RestrictedExpression, Answer> {
    let epoch = i64::try_from(now.0 / 1_000_000).unwrap_or(i64::MAX);
    let (hour, weekday) = (epoch / 3600 % 24, (epoch / 86_400 + 3) % 7 + 1);
    let long = |name: &str, value| (name.to_owned(), RestrictedExpression::new_long(value));
    RestrictedExpression::new_record([long("epoch", epoch), long("hour", hour), long("weekday", weekday)])
        .map_err(|error| Answer::refused(Reason::RuleFailed, error.to_string()))
}
