//! The commands (surface 1).

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Self-hosted Smart Links: know which ad brought which subscriber, to the cent.
#[derive(Debug, Parser)]
#[command(name = "smartlinks", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Configuration file (TOML); without one the defaults of `print-config` are used.
    #[arg(long, global = true, value_name = "FILE", env = "SMARTLINKS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Answers for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service.
    Serve {
        /// Roles of this process, separated by commas; embedded storage knows "all" only.
        #[arg(long, default_value = "all")]
        roles: String,
    },
    /// Name every problem of the configuration; exit 2 if one is an error.
    CheckConfig,
    /// Print the default configuration, which is also its documentation.
    PrintConfig,
    /// API keys; works while the service runs, too.
    #[command(subcommand)]
    Keys(Keys),
    /// Look at the write-ahead journal.
    #[command(subcommand)]
    Journal(Journal),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key; its secret is shown once.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// owner, admin, manager, … : whose permissions it gets.
        #[arg(long, default_value = "owner")]
        role: String,
    },
    /// Show all keys, without their secrets.
    List,
    /// Make a key useless.
    Revoke {
        /// The number `keys list` shows.
        id: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Journal {
    /// Check every record; exit 1 if one is damaged.
    Verify {
        /// The data directory.
        dir: PathBuf,
    },
    /// Print the records as JSON lines.
    Dump {
        /// The data directory.
        dir: PathBuf,
        /// First sequence number.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
}
