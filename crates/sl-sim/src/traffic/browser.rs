//! A device and what it sends.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::time::Instant;

use super::{Inner, addresses, agents::Source, plan::DevicePlan};

/// One device: its address, its headers, its cookies.
pub(super) struct Device {
    /// Different for every device there is.
    pub(super) number: u64,
    pub(super) plan: DevicePlan,
    jar: BTreeMap<String, String>,
}

/// Why a browser asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Visit,
    Prefetch,
}

/// What the edge answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    cookies: Vec<(String, String)>,
}

// === impl Device ===

impl Device {
    pub(super) fn new(number: u64, plan: DevicePlan) -> Self {
        Self { number, plan, jar: BTreeMap::new() }
    }

    /// Asks the edge, with everything such a browser sends.
    pub(super) async fn ask(&self, inner: &Inner, why: Why, path: &str) -> Option<Answer> {
        let mut headers = self.headers();
        if why == Why::Prefetch {
            put(&mut headers, "sec-purpose", "prefetch;prerender");
        }
        ask(inner, Method::GET, path, headers).await
    }

    /// Keeps the cookies of an answer, if it is one that keeps cookies.
    pub(super) fn remember(&mut self, answer: &Answer) {
        if self.plan.keeps_cookies {
            self.jar.extend(answer.cookies.iter().cloned());
        }
    }

    fn headers(&self) -> HeaderMap {
        let browser = self.plan.browser;
        let mut headers = visitor(self.number, browser.user_agent);
        put(&mut headers, "accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
        put(&mut headers, "accept-language", self.plan.language);
        put(&mut headers, "sec-fetch-mode", "navigate");
        put(&mut headers, "sec-fetch-dest", "document");
        if let Some(brands) = browser.brands {
            put(&mut headers, "sec-ch-ua", brands);
            put(&mut headers, "sec-ch-ua-mobile", if browser.mobile { "?1" } else { "?0" });
            put(&mut headers, "sec-ch-ua-platform", browser.platform);
        }
        let referrer = match browser.from {
            Source::Meta => "https://l.instagram.com/",
            Source::TikTok => "https://www.tiktok.com/",
            Source::X => "https://t.co/",
            Source::Snapchat | Source::Web => "",
        };
        if !referrer.is_empty() {
            put(&mut headers, "referer", referrer);
        }
        if !self.jar.is_empty() {
            let cookies: Vec<String> =
                self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            put(&mut headers, "cookie", &cookies.join("; "));
        }
        headers
    }
}

/// Headers that every visitor has: who it is and where it sits.
pub(super) fn visitor(device: u64, user_agent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put(&mut headers, "user-agent", user_agent);
    put(&mut headers, "x-forwarded-for", &addresses::of(device).to_string());
    headers
}

/// One request to the edge; `None` when nobody answered. Redirects of people are timed.
pub(super) async fn ask(inner: &Inner, method: Method, path: &str, headers: HeaderMap) -> Option<Answer> {
    let url = inner.config.edge_url.join(path).ok()?;
    let began = Instant::now();
    let response = inner.http.request(method, url).headers(headers).send().await.ok()?;
    let took = began.elapsed();
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let cookies = response.headers().get_all(header::SET_COOKIE).iter().filter_map(|line| {
        let pair = line.to_str().ok()?.split(';').next()?;
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    let answer = Answer {
        status: response.status().as_u16(),
        location: response.headers().get(header::LOCATION).and_then(text),
        cookies: cookies.collect(),
    };
    if answer.status == 302 {
        inner.redirects.lock().saturating_record(micros(took));
    }
    Some(answer)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
