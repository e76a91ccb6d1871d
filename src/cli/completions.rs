use std::io;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::args::Cli;
use super::failure::Failure;
use super::output;

/// `pillarbox completions SHELL`
pub fn print(shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "pillarbox", &mut text);
    output::print(&String::from_utf8(text).map_err(|error| Failure::Failed(io::Error::other(error).to_string()))?)
}
