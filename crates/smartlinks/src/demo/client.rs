//! The demo asks the service as its users do: over HTTP, with a key.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use crate::failure::Failure;

/// Nothing on this machine takes so long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One listener of the service and its key.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Client {
    pub(crate) fn new(admin: SocketAddr, key: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(Failure::run)?;
        Ok(Self { http, base: format!("http://{admin}"), key: key.to_owned() })
    }

    /// GET; the answer as JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(path, self.http.get(format!("{}{path}", self.base))).await
    }

    /// POST; the answer as JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(path, self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<Metrics, Failure> {
        let answer = self.http.get(format!("{}/metrics", self.base)).send().await.map_err(Failure::run)?;
        Ok(Metrics(answer.text().await.map_err(Failure::run)?))
    }

    async fn send(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let answer = request.bearer_auth(&self.key).send().await.map_err(Failure::run)?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() { Ok(body) } else { Err(Failure::Run(format!("{path}: {status}: {body}"))) }
    }
}

/// The Prometheus text.
pub(crate) struct Metrics(String);

impl Metrics {
    /// Sum of a counter's series whose labels contain all of `labels`, written `name="value"`.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let rest = series.strip_prefix(name)?;
            let is_it = rest.is_empty() || rest.starts_with('{');
            (is_it && wanted.iter().all(|label| rest.contains(label)))
                .then(|| value.parse::<u64>().ok())
                .flatten()
        });
        series.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up_by_label() {
        let text = "# TYPE a counter\na{class=\"person\",rung=\"fresh\"} 3\na{class=\"person\",rung=\"profile\"} 4\na{class=\"bot\",rung=\"overflow\"} 5\nab 100\nb 9\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.sum("a", &[("class", "person")]), 7);
        assert_eq!(metrics.sum("a", &[]), 12);
        assert_eq!(metrics.sum("b", &[]), 9);
    }
}
