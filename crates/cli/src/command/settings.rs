//! `callgate settings`: what the configuration means, with every default filled in.

use crate::{
    cli::Given,
    command::running,
    failure::{Failure, Outcome, Verdict},
    settings,
};
use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Every setting with its value, defaults included: what is in force in the running gateway, else what the file says
    #[arg(long)]
    effective: bool,
    /// The JSON Schema of the configuration, for editors
    #[arg(long, conflicts_with = "effective")]
    schema: bool,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    if args.schema {
        given.say.raw(&settings::schema()?);
        return Ok(Verdict::Yes);
    }
    let place = if args.effective { given.place_in_force()? } else { given.place()? };
    if !args.effective {
        let (config, written) = (place.config.display(), place.written);
        given.say.json(&serde_json::json!({ "config": place.config, "written": written }));
        given.say.line(format!(
            "{config}{}",
            if written { "" } else { " (does not exist; defaults are in force)" }
        ));
        return Ok(Verdict::Yes);
    }
    let running = running::ask(&place).await;
    for difference in running.iter().flat_map(|in_force| running::differences(in_force, &place)) {
        given.say.aside(format!("{} {difference}", given.say.paint(33, "!")));
    }
    let table = running.map_or_else(|| settings::effective(&place.meant), |in_force| in_force.settings);
    given.say.json(&table);
    let text = toml::to_string(&table).map_err(|error| Failure::Fault(error.into()))?;
    given.say.line(text.trim_end());
    Ok(Verdict::Yes)
}
