use std::io::{self, IsTerminal};
use std::time::Duration;

use super::args::Output;
use super::failure::Failure;
use super::output;

/// How often what is watched is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Goes to the upper left corner and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Prints something again and again, until it is interrupted or nobody reads it any more: on a terminal in the same place,
/// else one below the other.
pub fn watch(output: Output, mut print: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let in_place = output == Output::Table && io::stdout().is_terminal();
    loop {
        if in_place {
            output::print(CLEAR)?;
        }
        print()?;
        std::thread::sleep(LOOK);
        if !in_place && output == Output::Table {
            output::print("\n")?;
        }
    }
}
