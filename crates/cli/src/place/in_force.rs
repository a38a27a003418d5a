//! What is in force, for commands that must work while the files do not hold: an emergency does not wait until somebody
//! has found a slip.

use super::{Place, config, default_state, first_bytes, private};
use crate::{
    control::{self, Request, Response},
    failure::Failure,
    serve::files::sentences,
    settings,
    surroundings::Surroundings,
};
use decision::Timestamp;
use std::{fs, path::Path, time::Duration};

/// For a gateway to say what it goes by.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The newest files, where they do not hold and something older is gone by.
#[derive(Debug)]
pub(crate) struct Slip {
    /// What is wrong with them, the first of it.
    pub(crate) problem: String,
    /// The gateway that goes by the older ones.
    pub(crate) pid: u32,
    /// Since when.
    pub(crate) since: Timestamp,
}

impl Place {
    /// As [`Place::read`]; but where the configuration does not hold, or a policy cannot be read, what the gateway that was
    /// started with this very file goes by, with what is wrong.
    ///
    /// Errors: those of [`Place::read`], where no such gateway answers.
    pub(crate) fn in_force(
        given: Option<&Path>,
        surroundings: &Surroundings,
    ) -> Result<(Self, Option<Slip>), Failure> {
        let config = config(given, surroundings)?;
        let read = Self::at(&config, given.is_some(), surroundings);
        let problem = match &read {
            Ok(place) => match place.policies() {
                Ok(_) => return read.map(|place| (place, None)),
                Err(error) => format!("{error:#}"),
            },
            Err(failure) => sentences(failure).into_iter().next().unwrap_or_default(),
        };
        match of_gateway(&config, surroundings) {
            Some((place, pid, since)) => Ok((place, Some(Slip { problem, pid, since }))),
            None => read.map(|place| (place, None)),
        }
    }
}

/// What the gateway goes by that was started with this file. Nobody is asked but one in a folder of this user's own: in the
/// one that the file names, whatever else is wrong with it, or in the usual one.
pub(crate) fn of_gateway(config: &Path, surroundings: &Surroundings) -> Option<(Place, u32, Timestamp)> {
    let bytes = first_bytes(config).unwrap_or_default();
    let (named, usual) = (settings::state_dirs(config, &bytes), default_state(surroundings));
    named.into_iter().chain([usual]).find_map(|state| asked(&state, config, surroundings))
}

fn asked(state: &Path, config: &Path, surroundings: &Surroundings) -> Option<(Place, u32, Timestamp)> {
    private(state).ok()?;
    let socket = state.join(super::SOCKET);
    let answer = control::ask_blocking(&socket, &Request::Written, ANSWER_TIME).ok()?;
    let Response::Written { pid, config: of, since, text, policies } = answer else { return None };
    // a file that came from elsewhere can name the folder of a gateway with which it has nothing to do
    if !is_same(&of, config) {
        return None;
    }
    // what it says of other files counts from where the gateway has it
    let place = Place::of_text(&of, Some(&text), surroundings).ok()?;
    let policies = policies.into_iter().map(|(path, text)| policy::Source { path, text }).collect();
    let is_there = is_same(&place.meant.state_dir, state);
    is_there.then(|| (Place { policies: Some(policies), ..place }, pid, since))
}

/// Whether both name one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let alike = |of: fn(&Path) -> std::io::Result<std::path::PathBuf>| matches!((of(one), of(other)), (Ok(one), Ok(other)) if one == other);
    alike(|path| std::path::absolute(path)) || alike(|path| fs::canonicalize(path))
}
