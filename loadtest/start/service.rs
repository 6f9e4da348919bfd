//! What is asked of the service.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use sl_loadtest::service::Service;

use crate::filled::Known;

/// A person's.
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.1 Mobile/15E148 Safari/604.1";
/// Most that attribution may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until attribution has seen this many clicks; `key` is the owner's.
pub(crate) fn until_attributed(service: &Service, clicks: u64, key: &str) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if service.attributed(key)? >= clicks {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err(format!("not attributed after {PATIENCE:?}").into())
}

/// Where a visitor is sent.
pub(crate) fn visit(service: &Service, known: &Known) -> Result<String, Box<dyn Error>> {
    let headers = format!("User-Agent: {PHONE}\r\nAccept: text/html\r\nCookie: sl_v={}\r\n", known.cookie);
    let answer = service.ask_edge(&known.target, &headers)?;
    let place = answer.lines().find_map(|line| line.strip_prefix("location: "));
    Ok(place.ok_or(answer.as_str())?.to_owned())
}
