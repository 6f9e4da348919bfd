//! Everything of the demo in one process: the simulators, the service between them, and what a buyer would set up first.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use sl_core::{seal::Secret, time::Timestamp};
use sl_platform::ReconcileSettings;
use sl_sim::{
    ads::{AdsConfig, AdsSim},
    platform::{AccountSetup, PlatformConfig, PlatformSim},
    traffic::book::{ConversionKind, Destination},
};

use super::client::Client;
use crate::{
    cli, clock,
    config::{self, Config, LoadError},
    failure::Failure,
    logs,
    roles::RoleSet,
    service::{Service, creators::Pace},
};

/// How long a person may take from click to subscription. Seconds, so that a run of seconds shows both sides of it.
pub(crate) const WINDOW: Duration = Duration::from_secs(9);
/// Looks and searches are so much sooner than for people.
const FASTER: u32 = 30;
/// Longest wait for stock after the start.
const PATIENCE: Duration = Duration::from_secs(20);
/// What each ad platform calls the demo's pixel.
const PIXELS: [(&str, &str); 4] = [
    ("meta", "1234567890123456"),
    ("tiktok", "CABC1DEF2GHI3JKL4MNO"),
    ("snapchat", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
    ("creatortraffic", ""),
];

/// A creator and what is advertised for them.
pub(crate) struct Creator {
    pub(crate) account: String,
    pub(crate) username: String,
    /// Ids of the Smart Links.
    pub(crate) links: Vec<String>,
}

/// The running demo.
pub(crate) struct Stage {
    pub(crate) platform: PlatformSim,
    pub(crate) ads: AdsSim,
    pub(crate) service: Service,
    /// Where visitors are redirected.
    pub(crate) edge: SocketAddr,
    pub(crate) client: Client,
    pub(crate) key: String,
    pub(crate) creators: Vec<Creator>,
}

impl Stage {
    /// Starts it all; when it returns, visitors get links of their own.
    pub(crate) async fn start(args: &cli::Demo, dir: &Path) -> Result<Self, Failure> {
        let clock = clock::system();
        let ads = AdsSim::bind(AdsConfig::new(Arc::clone(&clock))).await.map_err(Failure::run)?;
        let (api_key, hook_secret) = (random_word(), random_word());
        let accounts = accounts(clock.now());
        let mut setup = PlatformConfig::new(
            Arc::clone(&clock),
            args.seed,
            Secret::new(api_key.clone()),
            Secret::new(hook_secret.clone()),
        );
        setup.accounts.clone_from(&accounts);
        let platform = PlatformSim::bind(setup).await.map_err(Failure::run)?;
        let config = configuration(args, dir, &platform, &ads, [api_key, hook_secret])?;
        // Nothing is traced: no endpoint is configured.
        let _ = logs::start(&config, &tokio::runtime::Handle::current())?;
        let every = Duration::from_secs(60);
        let reconcile = ReconcileSettings {
            every,
            accounts_every: every,
            lists_every: Duration::from_secs(1),
            ..ReconcileSettings::default()
        };
        let service =
            Service::start(&config, &RoleSet::all(), &Pace { faster: FASTER, reconcile }, clock).await?;
        let edge = service.edge.ok_or_else(|| Failure::Run("there is no edge among the roles".to_owned()))?;
        let hooks = format!("http://{}/webhooks/onlyfansapi", service.admin);
        platform.set_webhook(hooks.parse().map_err(Failure::run)?);
        let key = service.new_key("demo").await?;
        let client = Client::new(service.admin, &key)?;
        let creators = advertise(&client, &accounts, &ads).await?;
        Ok(Self { platform, ads, service, edge, client, key, creators })
    }
}

impl Stage {
    /// Who is to be told of what: a pixel of every platform on each creator's first link, the postback of everything.
    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let mut all = Vec::new();
        for creator in &self.creators {
            let first = || creator.links.first().cloned().into_iter().collect();
            // Meta, TikTok, which has no third message, and Snapchat (contract G.2).
            all.extend([true, false, true].map(|third| Destination::usual_pixel(first(), third)));
            all.push(Destination::CreatorTraffic { links: first() });
        }
        let kinds = vec![
            ConversionKind::NewSubscriber,
            ConversionKind::NewTransaction,
            ConversionKind::MessageReceived,
            ConversionKind::FanSent1Message,
            ConversionKind::FanSent3Messages,
        ];
        let links = self.creators.iter().flat_map(|creator| creator.links.clone()).collect();
        all.push(Destination::Postback { links: Some(links), kinds });
        all
    }
}

/// Two creators. Their ids belong to this run: a directory of an earlier one knows other pool links.
fn accounts(now: Timestamp) -> Vec<AccountSetup> {
    let account = |nth: u64, name: &str| {
        AccountSetup::new(&format!("acct_{}_{nth}", now.seconds()), name, 7_000_000 + nth)
    };
    vec![account(1, "nova.example"), account(2, "iris.example")]
}

fn configuration(
    args: &cli::Demo,
    dir: &Path,
    platform: &PlatformSim,
    ads: &AdsSim,
    [api_key, hook_secret]: [String; 2],
) -> Result<Config, Failure> {
    let edge = free(args.edge)?;
    let seconds = WINDOW.as_secs();
    let settings = [
        ("DATA_DIR", dir.display().to_string()),
        ("EDGE__LISTEN", edge.to_string()),
        ("EDGE__PUBLIC_URL", format!("http://{edge}")),
        ("EDGE__TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
        ("EDGE__WINDOW_ENTRIES", "200000".to_owned()),
        ("ADMIN__LISTEN", args.admin.to_string()),
        ("PLATFORM__BASE_URL", platform.url()),
        ("PLATFORM__API_KEY", api_key),
        ("PLATFORM__WEBHOOK_SECRETS", hook_secret),
        ("PLATFORM__DEBOUNCE", "300ms".to_owned()),
        ("PLATFORM__POLL", "1s".to_owned()),
        ("PLATFORM__REQUESTS_PER_MINUTE", "60000".to_owned()),
        ("POOL__COVER", "1m".to_owned()),
        ("POOL__MIN", "300".to_owned()),
        ("ATTRIBUTION__WINDOW", format!("{seconds}s")),
        ("EGRESS__ALLOW", ads.addr().to_string()),
        ("AD_PLATFORMS__META__BASE_URL", ads.url()),
        ("AD_PLATFORMS__TIKTOK__BASE_URL", ads.url()),
        ("AD_PLATFORMS__SNAPCHAT__BASE_URL", ads.url()),
        ("AD_PLATFORMS__CREATORTRAFFIC__BASE_URL", format!("{}/creatortraffic/conversion", ads.url())),
        ("LOG__LEVEL", "error".to_owned()),
    ];
    let environment = settings.into_iter().map(|(key, value)| (format!("SMARTLINKS_{key}"), value));
    let (config, _) = config::load(None, environment).map_err(|LoadError(problems)| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::Usage(lines.join("\n"))
    })?;
    Ok(config)
}

/// The address itself, or one with a free port in place of 0: links must carry it before the edge listens.
fn free(address: SocketAddr) -> Result<SocketAddr, Failure> {
    if address.port() != 0 {
        return Ok(address);
    }
    let free = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    free.map_err(|error| Failure::Run(format!("{address}: {error}; choose another address")))
}

fn random_word() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// What a media buyer does first: two Smart Links for each creator, a pixel of every platform on one of them, a postback
/// for all.
async fn advertise(
    client: &Client,
    accounts: &[AccountSetup],
    ads: &AdsSim,
) -> Result<Vec<Creator>, Failure> {
    for account in accounts {
        until(client, "/api/accounts", |shown| {
            let rows = shown.as_array().into_iter().flatten();
            rows.into_iter()
                .any(|row| row["id"] == account.id.as_str() && row["onlyfans_username"].is_string())
        })
        .await?;
    }
    let mut creators = Vec::new();
    for account in accounts {
        let mut links = Vec::new();
        for name in ["Instagram / hook 1", "TikTok / hook 2"] {
            let body = json!({ "account_id": account.id, "name": name, "link_type": "tracking_link" });
            let made = client.post("/api/smart-links", &body).await?;
            let id = made.pointer("/data/id").and_then(Value::as_str);
            links.push(id.map(str::to_owned).ok_or_else(|| Failure::Run(format!("no id in {made}")))?);
        }
        if let Some(first) = links.first() {
            for (platform, id) in PIXELS {
                let pixel = json!({ "platform": platform, "pixel_id": id, "pixel_access_token": "DEMO-TOKEN", "label": "Demo" });
                client.post(&format!("/api/smart-links/{first}/pixels"), &pixel).await?;
            }
        }
        creators.push(Creator { account: account.id.clone(), username: account.username.clone(), links });
    }
    let variables =
        "event={event_id}&click={click_id}&type={conversion_type}&gross={amount_gross}&net={amount_net}";
    let postback = json!({
        "url": format!("{}/postback?{variables}&ecid={{external_click_id}}", ads.url()),
        "smart_link_scope": "campaign_specific",
        "smart_link_ids": creators.iter().flat_map(|creator| &creator.links).collect::<Vec<_>>(),
        "conversion_types":
            ["new_subscriber", "new_transaction", "message_received", "fan_sent_1_message", "fan_sent_3_messages"],
    });
    client.post("/api/smart-link-postbacks", &postback).await?;
    let stocked = |row: &Value| row["leased"].as_u64() > Some(0) && row["fresh"].as_u64() > Some(0);
    until(client, "/api/x/pool", |shown| {
        let rows: Vec<_> = shown["data"].as_array().into_iter().flatten().collect();
        let own = |account: &AccountSetup| {
            rows.iter().any(|row| row["account_id"] == account.id.as_str() && stocked(row))
        };
        accounts.iter().all(own)
    })
    .await?;
    Ok(creators)
}

/// Asks until the answer is as wanted.
async fn until(client: &Client, path: &str, ready: impl Fn(&Value) -> bool) -> Result<(), Failure> {
    let asking = async {
        while !ready(&client.get(path).await?) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| Err(Failure::Run(format!("{path} is not ready after {PATIENCE:?}"))))
}
