//! A step of a server's record, taken on its page.

use super::review::OUTDATED;
use super::{configured, href, named, server};
use crate::pages::Frame;
use crate::web::{self, Body, Stop};
use crate::{Configured, Console, Fields, Route, Signed};
use catalog::record::{Fact, Facts, Missing, Record, Step};
use decision::{Digest, ServerName, Timestamp};
use http::{Response, StatusCode};
use store::{StoreError, Taking};

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Ten years, as at the command line.
const AHEAD_US_MAX: u64 = 3_653 * 24 * 3_600 * 1_000_000;

/// Takes the step that the form names. What is decided is the record that was on the page, and no later one.
pub(crate) async fn step(
    console: &Console,
    signed: &Signed,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let name = named(fields, "server")?;
    let text = |field: &str| fields.get(field).map(String::as_str).unwrap_or_default();
    let Some(step) = Step::parse(text("step")).filter(|step| *step != Step::Forget) else {
        return Err(Stop::malformed("This is no step of a record."));
    };
    let Ok(seen) = text("seen").parse() else {
        return Err(Stop::malformed("This form does not say which record it is about."));
    };
    let because = reason(text("because"));
    let record = console.store().record(&console.parts.scope, &name).await?;
    if record.is_none() && step != Step::Add && !is_known(console, &name).await? {
        return Err(Stop::nowhere());
    }
    let known = configured(console, &name).await?;
    let grants = match step {
        // a review has the gateway reach it
        Step::Approve | Step::Review => true,
        Step::Set => fields.contains_key("declared"),
        // who proposes one by its name has seen nothing of it
        Step::Add => fields.contains_key("shown"),
        Step::Suspend | Step::Retire | Step::Forget => false,
    };
    if grants {
        let Some(shown) = Digest::parse(text("shown")) else {
            return Err(Stop::malformed("This form does not say what it is about."));
        };
        // that another record is in the way is for the store to say
        let is_of_this = record.as_ref().map_or(0, |record| record.version) == seen;
        if is_of_this && looked_at(record.as_ref(), known.as_ref()) != shown {
            let why = format!(
                "Nothing was decided: how it is reached, what is declared of it or what it offers is not what the page showed. \
                 This is what is so now. `{OUTDATED}`"
            );
            return again(console, signed, &name, why).await;
        }
    }
    let asked = Asked { name: &name, step, seen, because: because.as_deref(), known };
    match take(console, signed, &asked, record.as_ref(), fields).await? {
        Ok(()) => {
            console.tell_decided().await?;
            Ok(web::see(&href(&name)))
        }
        Err(why) => again(console, signed, &name, why).await,
    }
}

/// What whoever looks at its page now decides about.
pub(super) fn looked_at(record: Option<&Record>, configured: Option<&Configured>) -> Digest {
    let declared = configured.map(|one| one.declared.clone()).unwrap_or_default();
    catalog::record::looked_at(record, &declared, configured.map(|one| &one.known))
}

/// Whether it is configured, or was seen once.
async fn is_known(console: &Console, name: &ServerName) -> Result<bool, Stop> {
    let is_configured = !console.parts.servers.configured(Some(name)).is_empty();
    Ok(is_configured || console.store().server(&console.parts.scope, name).await?.is_some())
}

struct Asked<'a> {
    name: &'a ServerName,
    step: Step,
    seen: u64,
    because: Option<&'a str>,
    /// What is so, of which a grant is made: what was compared with the page.
    known: Option<Configured>,
}

/// The inner error is for whoever asked.
async fn take(
    console: &Console,
    signed: &Signed,
    asked: &Asked<'_>,
    record: Option<&Record>,
    fields: &Fields,
) -> Result<Result<(), String>, Stop> {
    let known = &asked.known;
    let before = record.map(|record| record.facts.clone()).unwrap_or_default();
    let facts = match (asked.step, known, record) {
        (Step::Set, ..) if fields.contains_key("declared") => {
            let mut facts = before.clone();
            facts.take(&known.as_ref().map(|one| one.declared.clone()).unwrap_or_default());
            Some(facts)
        }
        (Step::Set, ..) => match filled(before.clone(), fields) {
            Ok(facts) => Some(facts),
            Err(why) => return Ok(Err(why)),
        },
        // a first record has what the file says: there is nothing yet that it could overwrite
        (Step::Add, Some(one), _) | (_, Some(one), None) => {
            let mut facts = one.declared.clone();
            facts.take(&before);
            Some(facts)
        }
        (_, Some(_), Some(_)) | (_, None, _) => None,
    };
    let grant = match (asked.step, known) {
        (Step::Approve, Some(one)) => {
            let Some(until) = date(fields.get("until").map(String::as_str).unwrap_or_default()) else {
                return Ok(Err("Say until which day it is approved, as in 2027-05-31.".to_owned()));
            };
            if until.since(console.parts.clock.now()) > AHEAD_US_MAX {
                return Ok(
                    Err("Nothing is approved for more than ten years: say an earlier day.".to_owned()),
                );
            }
            match one.known.grant(&before, until, asked.because) {
                Ok(grant) => Some(grant),
                Err(missing) => return Ok(Err(lacking(&missing))),
            }
        }
        (Step::Approve, None) => {
            return Ok(Err("It is not in the configuration, so there is nothing to approve.".to_owned()));
        }
        (Step::Add | Step::Set | Step::Review | Step::Suspend | Step::Retire | Step::Forget, _) => None,
    };
    let by = signed.visitor.to_string();
    let taking = Taking {
        step: asked.step,
        by: &by,
        because: asked.because,
        facts: facts.as_ref(),
        grant: grant.as_ref(),
        seen: Some(asked.seen),
    };
    match console.store().take_step(&console.parts.scope, asked.name, &taking).await {
        Ok(_) => Ok(Ok(())),
        Err(StoreError::Moved { .. }) => Ok(Err(
            "Somebody was faster: this is the record as it is now. Look again, then decide.".to_owned(),
        )),
        Err(StoreError::Step { why, .. }) => Ok(Err(format!("Not from here: {why}."))),
        Err(error) => Err(error.into()),
    }
}

fn lacking(missing: &[Missing]) -> String {
    let names: Vec<_> = missing.iter().map(|one| one.label().to_lowercase()).collect();
    format!("Missing for an approval: {}.", names.join(", "))
}

/// The facts as the form has them.
fn filled(mut facts: Facts, fields: &Fields) -> Result<Facts, String> {
    for fact in Fact::ALL {
        if let Some(text) = fields.get(&format!("fact-{}", fact.key())) {
            let text = inspect::shown::visible(text.trim());
            facts.set(*fact, &text).map_err(|error| error.to_string())?;
        }
    }
    Ok(facts)
}

/// The beginning of a day in UTC.
fn date(text: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = text.trim().parse().ok()?;
    let at = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond();
    u64::try_from(at).ok().map(Timestamp)
}

fn reason(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = text.chars().take(REASON_CHARS_MAX).collect();
    (!cut.is_empty()).then(|| inspect::shown::visible(&cut))
}

/// The page once more, with why nothing was done.
pub(super) async fn again(
    console: &Console,
    signed: &Signed,
    name: &ServerName,
    why: String,
) -> Result<Response<Body>, Stop> {
    let frame = Frame::of(console, signed, Route::Server).await?;
    let fields = Fields::from([("name".to_owned(), name.to_string())]);
    let mut response = server(console, signed, frame, &fields, Some(why)).await?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}
