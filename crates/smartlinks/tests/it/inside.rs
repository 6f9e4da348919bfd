//! The service inside the test, so that the test can set its wall clock.

use std::{
    ops::Deref,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use sl_core::time::{Clock, Timestamp};
use smartlinks::Embedded;
use tokio::runtime::Runtime;

use crate::{
    process::{Reach, named, settings},
    world::WallClock,
};

/// The machine's clock, wrong by as much as the test says.
#[derive(Default)]
pub(crate) struct Wrong(AtomicI64);

impl Wrong {
    /// From now on so much earlier than the truth.
    pub(crate) fn behind_by(&self, span: Duration) {
        self.0.store(-i64::try_from(span.as_millis()).unwrap(), SeqCst);
    }

    /// From now on so much later than the truth.
    pub(crate) fn ahead_by(&self, span: Duration) {
        self.0.store(i64::try_from(span.as_millis()).unwrap(), SeqCst);
    }
}

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        Timestamp(WallClock.now().0 + self.0.load(SeqCst))
    }
}

/// A running service.
pub(crate) struct Inside {
    reach: Reach,
    runtime: Runtime,
    service: Option<Embedded>,
    /// Of the first start only.
    pub(crate) owner_key: Option<String>,
}

impl Deref for Inside {
    type Target = Reach;

    fn deref(&self) -> &Reach {
        &self.reach
    }
}

impl Inside {
    pub(crate) fn start(dir: &Path, own: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        Self::start_roles("all", dir, own, clock)
    }

    /// One of several processes, with some of the roles.
    pub(crate) fn start_roles(roles: &str, dir: &Path, own: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let settings = settings(dir).into_iter().chain(named(own));
        let service = runtime.block_on(Embedded::start(settings, roles, clock)).unwrap();
        Self {
            reach: Reach { edge: service.edge(), admin: service.admin() },
            owner_key: service.owner_key().map(str::to_owned),
            service: Some(service),
            runtime,
        }
    }

    /// In order.
    pub(crate) fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            self.runtime.block_on(service.stop()).unwrap();
        }
    }
}
