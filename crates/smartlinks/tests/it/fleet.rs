//! One service in as many processes as a test wants.

use crate::{cluster::Machine, process::Service};

/// Everything in one process.
pub(crate) const WHOLE: &[&str] = &["edge,attribution,pool,matcher,postback,intake,api,dashboard"];
/// A process, or two, for what has its own deployment.
pub(crate) const APART: &[&str] =
    &["api,intake,dashboard", "pool,matcher", "attribution", "attribution", "postback", "postback", "edge"];

/// Its processes: the first has the API and takes webhooks in, the last is the edge.
pub(crate) struct Fleet {
    services: Vec<Service>,
    _machines: Vec<Machine>,
}

impl Fleet {
    /// One process for each of `roles`.
    pub(crate) fn start(roles: &[&'static str], settings: &[(&str, &str)]) -> Self {
        let machines: Vec<_> = roles.iter().copied().map(Machine::of).collect();
        let services = machines.iter().map(|machine| machine.start(settings)).collect();
        Self { services, _machines: machines }
    }

    pub(crate) fn api(&self) -> &Service {
        &self.services[0]
    }

    pub(crate) fn edge(&self) -> &Service {
        &self.services[self.services.len() - 1]
    }

    /// All of them end in order.
    pub(crate) fn terminate(&mut self) {
        for service in &mut self.services {
            assert_eq!(service.terminate().code(), Some(0));
        }
    }
}
