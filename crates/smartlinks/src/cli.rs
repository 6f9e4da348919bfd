//! The commands (surface 1).

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser as _},
    parser::ValueSource,
};
use sl_core::{
    apikey::Role,
    ids::{BadId, SmartLinkId},
    time::parse_duration,
};
use url::Url;

/// Self-hosted Smart Links: know which ad brought which subscriber, to the cent.
#[derive(Debug, Parser)]
#[command(name = "smartlinks", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Configuration file (TOML); without one the defaults of `print-config` are used.
    #[arg(long, global = true, value_name = "FILE", env = "SMARTLINKS_CONFIG", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) config: Option<PathBuf>,
    /// Answers for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Cli {
    /// What this process was given; ends it when that is no command.
    pub(crate) fn given() -> Self {
        let matches = Self::command().get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        // The variable is meant for the commands that take a file, and says nothing where it is empty.
        let is_empty = cli.config.as_ref().is_some_and(|file| file.as_os_str().is_empty());
        if (is_empty || matches!(cli.command, Command::Demo(_)))
            && matches.value_source("config") == Some(ValueSource::EnvVariable)
        {
            cli.config = None;
        }
        cli
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole system at work on simulated people, with nothing configured; exit 1 if its numbers do not balance.
    Demo(Demo),
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
    /// Move everything of an embedded store into a cluster; the service is stopped meanwhile.
    ///
    /// Give the configuration that the cluster is going to run with; its data_dir is the directory that is moved. It is only
    /// read. Keyspace and topics must be empty. Killed or broken off, the same command goes on where it was. At the end both
    /// sides are read back and compared, link by link; exit 1 names every difference, and the cluster does not serve before
    /// that has succeeded. Pixels' tokens are sealed anew with secrets.key. secrets.visitors_key must be what
    /// data_dir/secrets/visitors.key holds, so that visitors stay who they are.
    Migrate(Migrate),
    /// Look at the write-ahead journal.
    #[command(subcommand)]
    Journal(Journal),
    /// One simulator on its own, until Ctrl-C.
    #[command(subcommand)]
    Sim(Sim),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Stop after this time (`30s`, `2m`), settle, and print the summary; without it, run until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) run_for: Option<Duration>,
    /// New visitors per second.
    #[arg(long, default_value_t = 20.0, value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// The same seed gives the same people.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep the data here instead of in a temporary directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Address of the redirector; a free port by default.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) edge: SocketAddr,
    /// Address of API and dashboard; a free port by default.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) admin: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Where everything is: embedded.
    #[arg(long, value_name = "STORAGE")]
    pub(crate) from: String,
    /// Where it goes: cluster.
    #[arg(long, value_name = "STORAGE")]
    pub(crate) to: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sim {
    /// A creator platform with its API: links, subscribers, money, signed webhooks. `GET /_sim/state` shows its figures.
    Platform {
        /// Address to listen on.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
        listen: SocketAddr,
        /// Where webhooks go, such as http://127.0.0.1:8081/webhooks/onlyfansapi.
        #[arg(long, value_name = "URL")]
        webhook: Option<Url>,
        /// Signing secret of the webhooks (`platform.webhook_secrets`).
        #[arg(long, default_value = "simulated-secret")]
        webhook_secret: String,
        /// The key it accepts (`platform.api_key`).
        #[arg(long, default_value = "simulated-key")]
        api_key: String,
        /// Handles of its creators; their accounts are `acct_{handle}`.
        #[arg(long = "creator", value_name = "HANDLE", default_value = "nova.example")]
        creators: Vec<String>,
        /// The same seed makes the same choices.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Each webhook once, in order, at once.
        #[arg(long)]
        well_behaved: bool,
    },
    /// Ad platforms and a postback receiver that validate what they get. `GET /_sim/state` shows their figures.
    Ads {
        /// Address to listen on.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8091")]
        listen: SocketAddr,
    },
    /// People, bots and browsers that follow Smart Links and subscribe at `sim platform`. Ctrl-C prints their book.
    Traffic {
        /// Origin of the redirector. It must list this machine in edge.trusted_proxies, or everybody is one visitor.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        edge: Url,
        /// Origin of the simulated creator platform.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
        platform: Url,
        /// A Smart Link with its creator, as `ID,ACCOUNT,HANDLE`; may be given several times.
        #[arg(long = "link", value_name = "ID,ACCOUNT,HANDLE", required = true, value_parser = parse_target)]
        links: Vec<(SmartLinkId, String, String)>,
        /// Attribution window of the links.
        #[arg(long, value_name = "TIME", default_value = "6h", value_parser = parse_duration)]
        window: Duration,
        /// Visitors per second.
        #[arg(long, default_value_t = 20.0, value_parser = parse_rate)]
        rate: f64,
        /// The same seed gives the same people.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Stop after this time; without it, run until Ctrl-C.
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        run_for: Option<Duration>,
    },
}

fn parse_target(text: &str) -> Result<(SmartLinkId, String, String), String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    match parts.as_slice() {
        [id, account, handle] if !id.is_empty() && !account.is_empty() && !handle.is_empty() => {
            let id = id.parse().map_err(|error: BadId| error.to_string())?;
            Ok((id, (*account).to_owned(), (*handle).to_owned()))
        }
        _ => Err(
            "write the id of the Smart Link, its account_id and the creator's handle, separated by commas"
                .to_owned(),
        ),
    }
}

fn parse_key_name(text: &str) -> Result<String, String> {
    sl_api::key_name(text).map(str::to_owned).map_err(|error| error.to_string())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it is a number of visitors per second".to_owned())?;
    if rate > 0.0 && rate <= 2000.0 { Ok(rate) } else { Err("it is above 0 and at most 2000".to_owned()) }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key; its secret is shown once.
    Create {
        /// What it is for, in 1 to 100 characters.
        #[arg(long, value_parser = parse_key_name)]
        name: String,
        /// Whose permissions it gets.
        #[arg(long, default_value = Role::Owner.as_str(), value_parser = PossibleValuesParser::new(Role::ALL.map(Role::as_str)))]
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
    /// Print the records as JSON lines: a webhook's body as text in `body`, in `body_hex` if it is not UTF-8.
    Dump {
        /// The data directory.
        dir: PathBuf,
        /// First sequence number.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
}
