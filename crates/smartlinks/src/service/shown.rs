//! What the API is made of: the stores, and what it shows of the running roles.

use std::{sync::Arc, time::Duration};

use sl_api::{ApiParts, ApiSettings, Teams};
use sl_core::time::Clock;
use sl_edge::LinkTable;
use sl_journal::Journal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{base::Base, deliveries, pool_rules, progress::Queues, standing::Standing};
use crate::{config::Config, failure::Failure};

/// Longest time for a body of the API or a webhook.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What the API shows of the running roles.
pub(super) struct Shown {
    pub(super) queues: Queues,
    pub(super) standing: Standing,
    pub(super) tester: sl_postback::Tester,
    pub(super) metrics: metrics_exporter_prometheus::PrometheusHandle,
    pub(super) teams: Teams,
    /// Where this process answers ads.
    pub(super) links: Option<LinkTable>,
}

/// What `/readyz` goes by.
pub(super) struct Ready {
    pub(super) unready: CancellationToken,
    /// Kafka has been reached since the start; later it may be away, and everything is written down meanwhile.
    pub(super) has_topics: watch::Receiver<bool>,
    /// The process answers people, ads or the platform, which it can do without Kafka: it has its journal.
    pub(super) answers: bool,
}

impl Ready {
    fn check(&self) -> Result<(), String> {
        if self.unready.is_cancelled() {
            return Err("the service is stopping".to_owned());
        }
        if !self.answers && !*self.has_topics.borrow() {
            return Err("kafka.brokers: not reached since the start, and tried again".to_owned());
        }
        Ok(())
    }
}

/// Whose accounts are: a webhook that comes while the store is away is kept by it.
pub(super) async fn teams(base: &Base) -> Teams {
    let teams = Teams::default();
    if let Err(error) = teams.read(&*base.store.catalog).await {
        tracing::warn!(%error, "whose accounts are can't be read; webhooks wait for the store until it answers");
    }
    teams
}

/// The parts of the router.
///
/// # Errors
/// [`Failure::Usage`] when a setting of destinations is wrong.
pub(super) fn api(
    config: &Config,
    base: &Base,
    clock: &Arc<dyn Clock>,
    shown: Shown,
    ready: Ready,
) -> Result<ApiParts, Failure> {
    let Shown { queues, standing, tester, metrics, teams, links } = shown;
    let standing = Arc::new(standing);
    Ok(ApiParts {
        store: base.store.clone(),
        teams: Arc::new(teams),
        log: Arc::<Journal>::clone(&base.journal),
        clock: Arc::clone(clock),
        progress: Arc::new(queues),
        pool_status: standing.clone(),
        speculative: Arc::new(move |id| Some(links.as_ref()?.speculative(id))),
        upstream: standing,
        process: base.cluster().map(|cluster| cluster.me.clone()),
        pixel_tester: Some(Arc::new(deliveries::TestEvents(tester))),
        seal_keys: base.secrets.seal.clone(),
        random: Arc::new(|bytes: &mut [u8]| rand::fill(bytes)),
        settings: ApiSettings {
            platform_notice: deliveries::notice(config),
            acceptance: deliveries::acceptance(config),
            edge_public_url: config.edge.public_url.as_str().trim_end_matches('/').to_owned(),
            webhook_secrets: config.platform.webhook_secrets.clone(),
            accept_unsigned: config.platform.accept_unsigned,
            metrics_token: config.admin.metrics_token.0.clone(),
            pool_rules: pool_rules(config),
            attribution_window: config.attribution.window,
            body_time: BODY_TIME,
            egress_check: deliveries::check(config)?,
        },
        metrics_text: Arc::new(move || metrics.render()),
        ready: Arc::new(move || ready.check()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_ready_without_kafka_and_who_reads_from_it_is_not() {
        let topics = watch::Sender::new(false);
        let ready =
            |answers| Ready { unready: CancellationToken::new(), has_topics: topics.subscribe(), answers };
        let (api, worker) = (ready(true), ready(false));
        assert_eq!(api.check(), Ok(()));
        assert!(worker.check().unwrap_err().contains("kafka.brokers"));
        topics.send_replace(true);
        assert_eq!(worker.check(), Ok(()));
        api.unready.cancel();
        assert!(api.check().unwrap_err().contains("stopping"));
    }
}
