//! Asking a person before something large is done.

use std::io::{self, BufRead, IsTerminal, Write};

use super::exit::{Exit, Failure, OrExit};

#[derive(clap::Args, Debug)]
pub(super) struct ConfirmArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl ConfirmArgs {
    /// Whether there is somebody to ask.
    pub(super) fn asks(&self) -> bool {
        !self.yes && io::stdin().is_terminal()
    }

    /// Asks on the terminal; whoever says no has this for an answer.
    pub(super) fn ask(&self, question: &str, no: &str) -> Result<(), Failure> {
        write!(io::stderr(), "{question} [y/N] ").or_exit(Exit::Internal)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).or_exit(Exit::Internal)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::say(Exit::No, no)) }
    }
}
