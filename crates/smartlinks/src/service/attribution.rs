//! The attribution role: one loop over the process's own journal, or a share of the partitions of a cluster.

use std::sync::Arc;

use sl_attribution::{Attribution, AttributionSettings, Progress, SharedView};
use sl_core::{attribution::Rules, time::Clock};
use sl_journal::Journal;
use tokio::{sync::watch, time::Instant};

use super::{
    Stops, Tasks,
    base::Base,
    cluster::{
        elsewhere::{self, Elsewhere},
        sharing::Sharing,
    },
    supervisor::Supervisor,
};
use crate::{
    config::Config,
    roles::{Role, RoleSet},
};

/// The time of the last look at where attribution stands.
pub(super) type Looked = watch::Receiver<Instant>;

/// Starts it, and says where attribution stands: this process's, or in a cluster everybody's.
pub(super) fn start(
    config: &Config,
    roles: &RoleSet,
    base: &Base,
    clock: &Arc<dyn Clock>,
    supervisor: &Supervisor,
    stops: &Stops,
    tasks: &mut Tasks,
) -> (watch::Receiver<Progress>, Option<Looked>) {
    let stop = &stops.attribution;
    let Some(cluster) = base.cluster() else {
        let stream = Box::new(base.journal.stream("attribution"));
        let journal = Arc::<Journal>::clone(&base.journal);
        let settings = settings(config, AttributionSettings::default());
        let attribution = Attribution::new(stream, base.store.clone(), journal, settings, Arc::clone(clock));
        let progress = attribution.progress();
        tasks.attribution.push(supervisor.start_fallible("attribution", stop, attribution.run(stop.clone())));
        return (progress, None);
    };
    // The matcher must know what attribution has seen, and people look at what the API shows.
    let close =
        [Role::Api, Role::Dashboard, Role::Matcher, Role::Pool].into_iter().any(|role| roles.has(role));
    let elsewhere = Elsewhere::new(cluster.clone(), if close { elsewhere::OFTEN } else { elsewhere::SELDOM });
    let (progress, looked) = (elsewhere.progress(), elsewhere.looked());
    let run = elsewhere.run(stops.helpers.clone());
    tasks.helpers.push(supervisor.start("attribution's progress", &stops.helpers, run));
    if roles.has(Role::Attribution) {
        let sharing = Sharing {
            cluster: cluster.clone(),
            journal: Arc::clone(&base.journal),
            settings: AttributionSettings {
                gather: config.attribution.gather,
                journals_kept: config.kafka.retention + sl_kafka::HELD_LONGER,
                ..settings(config, AttributionSettings::shared())
            },
            clock: Arc::clone(clock),
            view: SharedView::default(),
        };
        tasks.attribution.push(supervisor.start_fallible("attribution", stop, sharing.run(stop.clone())));
    }
    (progress, Some(looked))
}

fn settings(config: &Config, defaults: AttributionSettings) -> AttributionSettings {
    AttributionSettings {
        rules: Rules {
            visitor_window: config.edge.visitor_window,
            erase_prints_after: config.retention.truncate_ip_after,
            ..defaults.rules
        },
        ..defaults
    }
}
