//! `dag init`: a pipeline to start from, the schema beside it for editors.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::workspace::registry;
use super::{CommandResult, Failure};
use crate::render::{Output, Tone};
use crate::{exit_codes, places};

/// Write a new pipeline to start from.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Which recipe
    #[arg(value_enum, default_value_t = Template::Quickstart)]
    template: Template,
    /// The file to write
    #[arg(short, long, default_value = "dag.toml", value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Template {
    /// The whole loop on two CPU cores in minutes, with models trained from scratch
    Quickstart,
    /// The Sky-T1 recipe: `QwQ` traces, rejection sampling, Qwen2.5-32B
    SkyT1,
    /// The ablations of Sky-T1: data mix, epochs, filter
    Ablations,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Quickstart => include_str!("../../pipelines/quickstart.toml"),
            Self::SkyT1 => include_str!("../../pipelines/sky-t1.toml"),
            Self::Ablations => include_str!("../../pipelines/ablations.toml"),
        }
    }
}

pub(crate) fn run(args: &InitArgs, output: &Output) -> CommandResult {
    if args.output.exists() {
        return Err(Failure::new(
            exit_codes::USAGE,
            format!(
                "`{}` is there already; nothing was written",
                args.output.display()
            ),
        )
        .hint("name another file: dag init --output FILE"));
    }
    let write = |path: &Path, text: &str| {
        path.parent()
            .map_or(Ok(()), fs_err::create_dir_all)
            .and_then(|()| fs_err::write(path, text))
            .map_err(|error| Failure::new(exit_codes::ENVIRONMENT, error.to_string()))
    };
    write(&args.output, args.template.text())?;
    let schema = places::beside(&args.output).join("schema.json");
    write(&schema, &super::schema::text(&registry()))?;
    let ignore = schema.with_file_name(".gitignore");
    write(&ignore, "*\n")?;
    output.say(Tone::Good, "Wrote", &args.output.display().to_string());
    output.say(
        Tone::Good,
        "Wrote",
        &format!("{} (for your editor)", schema.display()),
    );
    output.say(
        Tone::Good,
        "Next",
        &format!("dag plan {0}, then dag run {0}", args.output.display()),
    );
    Ok(exit_codes::OK)
}
