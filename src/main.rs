//! The `gapmend` binary: reads the command line, composes what the command needs, and turns
//! what came of it into an exit code. Everything else is in the library.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use gapmend::expose::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    commands::run(cli).into()
}
