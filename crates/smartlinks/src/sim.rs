//! `smartlinks sim`: one simulator on its own.

use sl_core::seal::Secret;
use sl_sim::{
    ads::{AdsConfig, AdsSim},
    platform::{AccountSetup, Faults, PlatformConfig, PlatformSim},
    traffic::{Target, Traffic, TrafficConfig, TrafficError},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Sim,
    clock,
    demo::until,
    failure::Failure,
    out::{say, tell},
    serve::Signals,
};

/// Number of the first simulated creator at the platform.
const FIRST_CREATOR: u64 = 120_000_001;

/// Runs it until SIGINT or SIGTERM.
///
/// # Errors
/// [`Failure::Run`] when the address can't be taken, or when nobody answered any of the simulated people.
pub(crate) async fn run(sim: Sim) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    match sim {
        Sim::Platform { listen, webhook, webhook_secret, api_key, creators, seed, well_behaved } => {
            let clock = clock::system();
            let mut config =
                PlatformConfig::new(clock, seed, Secret::new(api_key), Secret::new(webhook_secret));
            config.listen = listen;
            config.webhook_url = webhook;
            let account =
                |(number, name): (u64, &String)| AccountSetup::new(&format!("acct_{name}"), name, number);
            config.accounts = (FIRST_CREATOR..).zip(&creators).map(account).collect();
            if well_behaved {
                config.faults = Faults::none();
            }
            let platform = PlatformSim::bind(config).await.map_err(taken)?;
            say!(
                "creator platform at {} (platform.base_url); state: {}/_sim/state",
                platform.url(),
                platform.url()
            );
            signals.next().await;
            platform.shutdown().await;
        }
        Sim::Ads { listen } => {
            let mut config = AdsConfig::new(clock::system());
            config.listen = listen;
            let ads = AdsSim::bind(config).await.map_err(taken)?;
            say!(
                "ad platforms at {} (ad_platforms.*.base_url; CreatorTraffic's is the whole address, /creatortraffic/conversion); \
                 state: {}/_sim/state",
                ads.url(),
                ads.url()
            );
            signals.next().await;
            ads.shutdown().await;
        }
        Sim::Traffic { edge, platform, links, window, rate, seed, run_for } => {
            let target = |(id, account, username)| Target { id, account, username, window };
            let targets = links.into_iter().map(target).collect();
            let nobody =
                Failure::Run(format!("error: --edge: nobody at {edge} answered; is the redirector there?"));
            let mut config = TrafficConfig::new(clock::system(), edge, platform, targets);
            (config.rate, config.seed) = (rate, seed);
            let traffic = Traffic::new(config).map_err(|error| match error {
                TrafficError::Window { .. } => Failure::Usage(format!("error: --window: {error}")),
                _ => Failure::run(error),
            })?;
            tell!("people come at {rate} a second; Ctrl-C ends and prints the book");
            let stop = CancellationToken::new();
            let end = async {
                tokio::select! {
                    () = signals.next() => {}
                    () = until(run_for) => {}
                }
                stop.cancel();
            };
            tokio::join!(traffic.run(stop.clone()), end);
            let book =
                serde_json::json!({ "book": traffic.book().figures(), "redirect_ms": traffic.latency() });
            say!("{}", serde_json::to_string_pretty(&book).map_err(Failure::run)?);
            if traffic.latency().count == 0 {
                return Err(nobody);
            }
        }
    }
    Ok(())
}

fn taken(error: std::io::Error) -> Failure {
    Failure::Run(format!("--listen {error}; free the address or choose another"))
}
