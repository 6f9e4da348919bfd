//! A creator platform in a few routes (contract E), with the faults a test asks for.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sl_core::time::ManualClock;

pub(crate) const KEY: &str = "upstream-key";

/// The server; stops when the runtime ends.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<Rows>>,
}

/// What the platform knows.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) key: String,
    pub(crate) accounts: Vec<Value>,
    pub(crate) profile: Value,
    /// By account and list, oldest first.
    pub(crate) links: BTreeMap<(String, String), Vec<Row>>,
    pub(crate) transactions: Vec<Value>,
    /// A page of them takes so long.
    pub(crate) reading: Option<(Arc<ManualClock>, Duration)>,
    /// The page at this marker names itself as the next one.
    pub(crate) stuck_at: Option<usize>,
    /// Lists of subscribers say that there are more, whatever they hold.
    pub(crate) endless: bool,
    /// Fans by list.
    pub(crate) lists: BTreeMap<String, Vec<String>>,
    /// Taken by the next calls whose "METHOD path" contains the text.
    pub(crate) faults: VecDeque<(&'static str, Fault)>,
    /// Answers for good to calls whose "METHOD path?query body" contains the text.
    pub(crate) refusals: Vec<(String, u16)>,
    /// "METHOD path" of each call.
    pub(crate) calls: Vec<String>,
    next: u64,
}

/// A link of the platform.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) limit: Option<u64>,
    pub(crate) days: Option<u64>,
    /// Fan and ISO time.
    pub(crate) fans: Vec<(u64, Option<String>)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Status(u16),
    /// 429 with `retry-after`.
    Limit(u64),
    /// The call has its effect; the answer comes too late.
    Mute,
    /// The call has its effect; the answer is a 500.
    Broken,
    /// A link is made, and the answer does not say where it leads.
    Nowhere,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(Rows { key: KEY.to_owned(), next: 1000, ..Rows::default() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state }
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Rows) -> T) -> T {
        change(&mut self.state.lock())
    }

    pub(crate) fn fault(&self, calls: &'static str, fault: Fault) {
        self.change(|rows| rows.faults.push_back((calls, fault)));
    }

    /// From now on these calls are refused.
    pub(crate) fn refuse(&self, calls: impl Into<String>, status: u16) {
        self.change(|rows| rows.refusals.push((calls.into(), status)));
    }

    /// Calls so far whose "METHOD path" contains the text.
    pub(crate) fn count(&self, calls: &str) -> usize {
        self.change(|rows| rows.calls.iter().filter(|call| call.contains(calls)).count())
    }

    pub(crate) fn links(&self, list: &str) -> Vec<Row> {
        self.change(|rows| {
            rows.links.get(&("acct_1".to_owned(), list.to_owned())).cloned().unwrap_or_default()
        })
    }

    /// A fan subscribes through a link; `at` is shown in the subscriber list.
    pub(crate) fn subscribe(&self, list: &str, link: u64, fan: u64, at: Option<String>) {
        self.change(|rows| {
            let links = rows.links.get_mut(&("acct_1".to_owned(), list.to_owned())).unwrap();
            links.iter_mut().find(|row| row.id == link).unwrap().fans.push((fan, at));
        });
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Rows>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = format!("{method} {}", uri.path());
    let (fault, answer) = {
        let mut rows = state.lock();
        rows.calls.push(call.clone());
        let bearer = format!("Bearer {}", rows.key);
        if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&bearer) {
            return refuse(401);
        }
        let whole = format!("{method} {uri} {}", String::from_utf8_lossy(&body));
        if let Some((_, status)) = rows.refusals.iter().find(|(calls, _)| whole.contains(calls)) {
            return refuse(*status);
        }
        let fault = rows.faults.front().filter(|(calls, _)| call.contains(calls)).map(|(_, fault)| *fault);
        if fault.is_some() {
            rows.faults.pop_front();
        }
        match fault {
            Some(Fault::Status(status)) => return refuse(status),
            Some(Fault::Limit(seconds)) => {
                return ([("retry-after", seconds.to_string())], refuse(429)).into_response();
            }
            _ => {}
        }
        (fault, rows.route(&method, &uri, &body))
    };
    match fault {
        Some(Fault::Mute) => std::future::pending().await,
        Some(Fault::Broken) => refuse(500),
        Some(Fault::Nowhere) => axum::Json(answer.map(nowhere).unwrap()).into_response(),
        _ => answer.map_or_else(refuse, |body| axum::Json(body).into_response()),
    }
}

/// The answer to the creation of a tracking link, without its code.
fn nowhere(mut answer: Value) -> Value {
    answer["data"][0].as_object_mut().unwrap().remove("campaignCode").unwrap();
    answer
}

fn refuse(status: u16) -> Response {
    let body = axum::Json(json!({"error": "No.", "message": "No."}));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

impl Rows {
    fn route(&mut self, method: &Method, uri: &Uri, body: &[u8]) -> Result<Value, u16> {
        let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match (method.as_str(), path.as_slice()) {
            ("GET", ["api", "accounts"]) => Ok(Value::Array(self.accounts.clone())),
            ("GET", ["api", _, "me"]) => Ok(json!({"data": self.profile})),
            ("POST", ["api", account, list @ ("tracking-links" | "trial-links")]) => {
                Ok(self.create(account, list, &body))
            }
            ("GET", ["api", account, list @ ("tracking-links" | "trial-links")]) => {
                Ok(self.list(account, list, uri))
            }
            ("GET", ["api", account, list, link, "subscribers"]) => {
                self.subscribers(account, list, link, uri)
            }
            ("GET", ["api", _, "transactions"]) => Ok(self.money(uri)),
            ("POST", ["api", _, "user-lists", list, "users"]) => {
                match *list {
                    "bad" => return Err(400),
                    "unpaid" => return Err(402),
                    "down" => return Err(503),
                    status if status.len() == 3 => return Err(status.parse().unwrap()),
                    _ => {}
                }
                let ids = body["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
                self.lists.entry((*list).to_owned()).or_default().extend(ids);
                Ok(json!({"data": {"added": [], "failed": {}}}))
            }
            _ => Err(404),
        }
    }

    fn create(&mut self, account: &str, list: &str, body: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let row = Row {
            id,
            name: body["name"].as_str().unwrap().to_owned(),
            limit: body["offerLimit"].as_u64(),
            days: body["duration"].as_u64(),
            fans: Vec::new(),
        };
        assert!(row.name.len() <= 64, "{}", row.name);
        let answer = match list {
            "tracking-links" => json!([{"id": id, "campaignCode": id * 2, "campaignName": row.name,
                "countSubscribers": 0, "createdAt": "2026-03-04T12:00:00+00:00", "endDate": null}]),
            _ => {
                json!({"id": id, "trialLinkName": row.name, "url": format!("https://onlyfans.com/action/trial/{id}"),
                "subscribeDays": row.days, "claimCounts": 0, "createdAt": "2026-03-04T12:00:00+00:00"})
            }
        };
        self.links.entry((account.to_owned(), list.to_owned())).or_default().push(row);
        json!({"data": answer})
    }

    fn list(&self, account: &str, list: &str, uri: &Uri) -> Value {
        let mut rows = self.links.get(&(account.to_owned(), list.to_owned())).cloned().unwrap_or_default();
        if query(uri, "sort").as_deref() != Some("asc") {
            rows.reverse();
        }
        let (shown, has_more) = slice(rows, uri, 100);
        let shown = shown.iter().map(|row| match list {
            "tracking-links" => json!({"id": row.id, "campaignCode": row.id * 2, "campaignName": row.name,
                "campaignUrl": format!("https://onlyfans.com/creator/c{}", row.id * 2),
                "subscribersCount": row.fans.len()}),
            _ => json!({"id": row.id, "trialLinkName": row.name, "claimCounts": row.fans.len(),
                "url": format!("https://onlyfans.com/action/trial/{}", row.id), "subscribeDays": row.days}),
        });
        json!({"data": {"list": shown.collect::<Vec<_>>(), "hasMore": has_more}})
    }

    fn subscribers(&self, account: &str, list: &str, link: &str, uri: &Uri) -> Result<Value, u16> {
        let id: u64 = link.parse().map_err(|_| 404_u16)?;
        let rows = self.links.get(&(account.to_owned(), list.to_owned())).ok_or(404_u16)?;
        let row = rows.iter().find(|row| row.id == id).ok_or(404_u16)?;
        let newest_first: Vec<_> = row.fans.iter().rev().cloned().collect();
        let (shown, has_more) = slice(newest_first, uri, 100);
        let shown: Vec<Value> = shown
            .into_iter()
            .map(|(fan, at)| match at {
                Some(at) => json!({"id": fan, "username": format!("u{fan}"), "name": "Sam",
                    "subscribedOnData": {"subscribeAt": at, "price": 4.99}}),
                None => json!({"id": fan, "username": format!("u{fan}"), "name": "Sam"}),
            })
            .collect();
        Ok(json!({"data": {"list": shown, "hasMore": has_more || self.endless}}))
    }

    /// Two rows a page; the marker is the number of rows given.
    fn money(&self, uri: &Uri) -> Value {
        if let Some((clock, span)) = &self.reading {
            clock.advance(*span);
        }
        let from: usize = query(uri, "marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
        let rows: Vec<Value> = self.transactions.iter().skip(from).take(2).cloned().collect();
        let next = if self.stuck_at == Some(from) { from } else { from + rows.len() };
        json!({"data": {"list": rows, "hasMore": next < self.transactions.len(), "nextMarker": next}})
    }
}

fn slice<T>(rows: Vec<T>, uri: &Uri, most: usize) -> (Vec<T>, bool) {
    let limit: usize = query(uri, "limit").unwrap().parse().unwrap();
    let offset: usize = query(uri, "offset").unwrap().parse().unwrap();
    assert!((1..=most).contains(&limit));
    let has_more = rows.len() > offset + limit;
    (rows.into_iter().skip(offset).take(limit).collect(), has_more)
}

fn query(uri: &Uri, key: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
}

/// Waits for something to become true.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "it never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
