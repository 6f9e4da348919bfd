//! How many files and connections the system lets this process open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The store, the journal, outbound requests, and room.
const OTHERS: u64 = 512;

/// Takes as many as the system gives, since shells start with 1,024, and says so when that is not enough for
/// `edge.max_connections`.
pub(crate) fn allow(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Without a limit there is nothing to raise.
    let Some(before) = current else { return };
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { Some(before) };
    if let Some(enough) = files.and_then(|files| short(files, connections)) {
        tracing::warn!(
            "edge.max_connections = {connections}, but the system lets this process open {} files only: visitors \
             beyond about {enough} are not accepted; raise the limit (ulimit -n, LimitNOFILE) or lower the setting",
            files.unwrap_or_default()
        );
    }
}

/// How many connections fit, when they do not all.
fn short(files: u64, connections: usize) -> Option<u64> {
    let room = files.saturating_sub(OTHERS);
    (room < connections as u64).then_some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_holds_the_connections_and_the_rest_is_enough() {
        assert_eq!(short(65_536, 20_000), None);
        assert_eq!(short(20_512, 20_000), None);
        assert_eq!(short(20_000, 20_000), Some(19_488));
        assert_eq!(short(100, 20_000), Some(0));
    }
}
