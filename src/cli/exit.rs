//! How a command ends: its exit code, and the words on standard error when it failed.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use crate::admin::ClientError;

/// The exit codes, for scripts to rely on. They stand in `--help` and in the README.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done, or yes.
    Ok = 0,
    /// What was asked for is not so, or could not be done: a check failed, a wait ran out, a file is there already.
    No = 1,
    /// The command line or the configuration is wrong. Nothing was done. Also clap's own code.
    Usage = 2,
    /// No daemon answers on the control socket.
    Unreachable = 3,
    /// The daemon declined.
    Refused = 4,
    /// An edit is stored on this node, but fewer members than asked for were seen to have it in time.
    Pending = 5,
    /// A fault of the program (`EX_SOFTWARE` of sysexits.h).
    Internal = 70,
}

impl Exit {
    /// The table for `--help`.
    pub(super) const HELP: &str = "\
Exit codes:
   0  done, or yes
   1  what was asked for is not so or could not be done (check failed, not converged in time)
   2  wrong usage or configuration
   3  no daemon answers on the control socket
   4  the daemon refused
   5  the edit is stored here, but the wait for other members was in vain
  70  a fault of the program";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    pub(super) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { exit, error: error.into() }
    }

    /// A failure that its message explains in full.
    pub(super) fn say(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure { exit, error: anyhow::Error::msg(message.to_string()) }
    }

    /// Tells the person and hands out the exit code.
    pub(super) fn report(&self) -> Exit {
        // With standard error closed there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "grapevine: {self}");
        self.exit
    }
}

impl fmt::Display for Failure {
    /// The error, and each cause that the one before it does not quote already, on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.error.to_string();
        f.write_str(&last)?;
        for cause in self.error.chain().skip(1) {
            let text = cause.to_string();
            if !last.contains(&text) {
                write!(f, "\n  cause: {text}")?;
                last = text;
            }
        }
        Ok(())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let exit = match &error {
            ClientError::Absent { .. } | ClientError::Closed { .. } | ClientError::Broken { .. } => Exit::Unreachable,
            ClientError::Refused { .. } => Exit::Refused,
        };
        Failure::new(exit, error)
    }
}

/// Turns an error into a failure with a code.
pub(super) trait OrExit<T> {
    /// The value, or a failure that ends with `exit`.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Error + Send + Sync + 'static> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Outer {
        words: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_cause_is_told_once() {
        let text =
            |words| Failure::new(Exit::No, Outer { words, source: io::Error::other("disk on fire") }).to_string();
        assert_eq!(text("cannot write"), "cannot write\n  cause: disk on fire");
        assert_eq!(text("cannot write: disk on fire"), "cannot write: disk on fire");
    }

    #[test]
    fn the_help_lists_every_code() {
        for exit in [Exit::Ok, Exit::No, Exit::Usage, Exit::Unreachable, Exit::Refused, Exit::Pending, Exit::Internal] {
            let code = format!("{:>4}  ", exit as u8);
            assert!(Exit::HELP.lines().any(|line| line.starts_with(&code)), "{exit:?}");
        }
    }
}
