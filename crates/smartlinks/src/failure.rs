//! How a command ends when it does not end well.

use std::{fmt, process::ExitCode};

/// Why, and with which exit status (surface 1).
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage or configuration: 2. One line per problem.
    Usage(String),
    /// It failed while running: exit status 1.
    Run(String),
    /// The store must be opened anew, in this process: 1 where nobody does.
    Reopen(String),
}

impl Failure {
    /// Failed while running.
    pub(crate) fn run(error: impl fmt::Display) -> Self {
        Self::Run(error.to_string())
    }

    /// The exit status.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Run(_) | Self::Reopen(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Run(text) | Self::Reopen(text) => f.write_str(text),
        }
    }
}
