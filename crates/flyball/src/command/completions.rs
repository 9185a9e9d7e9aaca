//! `flyball completions` and `flyball man`, both generated from the command line's definition.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions, Man};
use crate::failure::Failure;
use crate::output::{note, write_out};

/// Prints completions for a shell.
pub(crate) fn completions(options: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut shown(&Cli::command()), "flyball", &mut script);
    write_out(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The command line without what is hidden: some shells would offer that, too.
fn shown(whole: &clap::Command) -> clap::Command {
    let visible = whole.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned();
    clap::Command::new("flyball").args(whole.get_arguments().cloned()).subcommands(visible)
}

/// Prints the manual page, or writes one for each command into a directory.
pub(crate) fn man(options: &Man) -> Result<ExitCode, Failure> {
    let command = Cli::command();
    let Some(dir) = &options.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        write_out(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    let wrong = |error| Failure::new(format!("cannot write to {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(wrong)?;
    let count = write_pages(command, dir).map_err(wrong)?;
    note(&format!("wrote {count} manual pages to {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

fn write_pages(command: clap::Command, dir: &Path) -> std::io::Result<usize> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    let mut pages: Vec<(String, clap::Command)> =
        visible.map(|sub| (format!("flyball-{}", sub.get_name()), sub.clone())).collect();
    pages.push(("flyball".to_owned(), command.clone()));
    for (name, command) in &pages {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page)?;
        std::fs::File::create(dir.join(format!("{name}.1")))?.write_all(&page)?;
    }
    Ok(pages.len())
}
