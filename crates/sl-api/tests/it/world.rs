//! One service per test: its own directory, its own port, a clock that stands still.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use sl_api::{
    ApiParts, ApiSettings, PixelTester, PoolStatus, ProgressFacts, ProgressSource, StockStatus, TestEvent,
    create_key, ensure_team_and_owner_key,
};
use sl_core::{
    apikey::Role,
    catalog::{Pixel, PlatformKind, Team},
    event::Recorded,
    platforms::TestRefused,
    pool::StockKey,
    retry::Limits,
    seal::{SealKeys, Secret},
    time::{Clock, ManualClock, Timestamp},
};
use sl_journal::{Journal, JournalConfig};
use sl_store::{
    Store,
    suite::sample::{self, HOUR, RULES, STRANGER, TEAM},
};
use tempfile::TempDir;

use crate::routes::documented;

pub(crate) const WEBHOOK_SECRETS: [&str; 2] = ["old-secret", "new-secret"];

pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) journal: Arc<Journal>,
    /// Owner of the first team.
    pub(crate) key: String,
    /// Owner of another team.
    pub(crate) stranger: String,
    chance: AtomicU64,
    _dir: TempDir,
}

/// Bytes that differ with every call and are the same in every run.
fn chance(counter: &AtomicU64, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        let n = counter.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        chunk.copy_from_slice(&n[..chunk.len()]);
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiParts)) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(HOUR));
        let store =
            sl_fjall::open(dir.path().join("store"), sl_fjall::FjallOptions::default()).unwrap().store();
        let config = JournalConfig {
            dir: dir.path().join("journal"),
            segment_bytes: 4 << 20,
            ..JournalConfig::default()
        };
        let journal = Journal::open(config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let counter = AtomicU64::new(1);
        let draw = |bytes: &mut [u8]| chance(&counter, bytes);
        let key =
            ensure_team_and_owner_key(&store, "My team", "my-team", &*clock, &draw).await.unwrap().unwrap();
        let team = Team { id: STRANGER, name: "Other".into(), slug: "other".into(), created_at: HOUR };
        store.catalog.put_team(team).await.unwrap();
        let other =
            create_key(&store, STRANGER, "other", Role::Owner.permissions(), HOUR, &draw).await.unwrap();
        store.catalog.put_account(sample::account_row("acct_sample", TEAM)).await.unwrap();
        store.catalog.put_account(sample::account_row("acct_other", STRANGER)).await.unwrap();
        let mut parts = parts(store.clone(), Arc::clone(&journal), Arc::clone(&clock));
        change(&mut parts);
        let base = serve(sl_api::router(parts, sl_api::Served::ALL)).await;
        Self {
            base,
            client: client(),
            store,
            clock,
            journal,
            key: key.expose().to_owned(),
            stranger: other.secret.expose().to_owned(),
            chance: AtomicU64::new(1_000_000),
            _dir: dir,
        }
    }

    /// A key of the first team with these permissions.
    pub(crate) async fn key_with(&self, permissions: &[&str]) -> String {
        let permissions = permissions.iter().map(|key| (*key).to_owned()).collect();
        let draw = |bytes: &mut [u8]| chance(&self.chance, bytes);
        let now = self.clock.now();
        let made = create_key(&self.store, TEAM, "some", permissions, now, &draw).await.unwrap();
        made.secret.expose().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(key)
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut request = self.request(method.parse().unwrap(), path, &self.key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let (status, answer) = answer(request).await;
        // Whatever a test asks for, the document knows the answer.
        if let Some(responses) = documented(&method.to_lowercase(), path) {
            assert!(responses.get(status.as_str()).is_some(), "{method} {path}: {status} is not documented");
        }
        (status, answer)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, Some(&body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// The fields a 422 names.
    pub(crate) async fn refused(&self, method: &str, path: &str, body: Value) -> Vec<String> {
        let (status, answer) = self.call(method, path, Some(&body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {answer}");
        let mut fields: Vec<String> = answer["errors"].as_object().unwrap().keys().cloned().collect();
        fields.sort();
        fields
    }

    /// Everything in the journal.
    pub(crate) fn journaled(&self) -> Vec<Recorded> {
        let mut records = Vec::new();
        self.journal.recent(Timestamp(0), |record| records.push(record)).unwrap();
        records
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn client() -> Client {
    // Another test may have been first; any provider will do, since nothing here is https.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(crate) async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

pub(crate) fn parts(store: Store, journal: Arc<Journal>, clock: Arc<ManualClock>) -> ApiParts {
    let counter = AtomicU64::new(1 << 32);
    ApiParts {
        store,
        teams: Arc::default(),
        log: journal,
        clock,
        progress: Arc::new(Still),
        pool_status: Arc::new(Still),
        speculative: Arc::new(|id| Some(u64::from(id.to_bytes()[15]))),
        upstream: Arc::new(()),
        process: None,
        pixel_tester: Some(Arc::new(Still)),
        seal_keys: SealKeys::new([7; 32]),
        random: Arc::new(move |bytes| chance(&counter, bytes)),
        settings: ApiSettings {
            platform_notice: Arc::new(|platform| {
                (platform == PlatformKind::Creatortraffic).then_some("ask for the address")
            }),
            acceptance: Arc::new(|_| Limits {
                age: Duration::from_secs(72 * 3600),
                ambiguous: Some(Duration::from_secs(47 * 3600)),
            }),
            edge_public_url: "https://go.example.net".to_owned(),
            webhook_secrets: WEBHOOK_SECRETS.map(Secret::new).to_vec(),
            accept_unsigned: false,
            metrics_token: None,
            pool_rules: RULES,
            attribution_window: Duration::from_secs(6 * 3600),
            body_time: Duration::from_secs(10),
            egress_check: Arc::new(|url| match url.host_str() {
                Some("127.0.0.1") => {
                    Err("127.0.0.1 is a private address; egress.allow can permit it".to_owned())
                }
                _ => Ok(()),
            }),
        },
        metrics_text: Arc::new(|| {
            "# TYPE smartlinks_journal_head gauge\nsmartlinks_journal_head 3\n".to_owned()
        }),
        ready: Arc::new(|| Ok(())),
    }
}

/// The other roles, at rest.
struct Still;

impl ProgressSource for Still {
    fn facts(&self) -> ProgressFacts {
        ProgressFacts::default()
    }
}

impl PoolStatus for Still {
    fn status(&self, _: &StockKey) -> StockStatus {
        StockStatus {
            forecast_per_hour: Some(12.5),
            last_error: Some("401".to_owned()),
            ..StockStatus::default()
        }
    }
}

#[async_trait]
impl PixelTester for Still {
    async fn test(&self, _: &Pixel, event: TestEvent) -> Result<(), TestRefused> {
        match event.test_event_code.as_deref() {
            Some("TEST-BAD") => Err(TestRefused::Event("Invalid parameter (100)".to_owned())),
            Some("TEST-OLD") => Err(TestRefused::Token("Token expired (190)".to_owned())),
            _ => Ok(()),
        }
    }
}
