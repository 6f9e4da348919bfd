//! Reads user agents, once each: device and browser (woothee) and the verdict's tables. Reading one costs some 20 µs,
//! so every thread keeps the ones it met lately.

use std::rc::Rc;

use hashbrown::HashMap;
use sl_core::{
    click::Device,
    verdict::agent::{self, Agent},
    visitor::AgentDigest,
};
use woothee::parser::Parser;

/// What a `User-Agent` says.
pub(crate) struct Known {
    pub(crate) device: Device,
    pub(crate) agent: Agent,
    /// Its part in fingerprints.
    pub(crate) digest: AgentDigest,
    /// The agent as it is recorded.
    pub(crate) text: String,
}

/// Longest part of a `User-Agent` that is read and recorded, in bytes.
const LONGEST: usize = 1024;
/// Agents per generation: two of them are about 2 × 2,048 × 600 B = 2.4 MB per thread.
const GENERATION: usize = 2048;

/// Agents met lately: two generations, the older one is dropped when the younger is full.
#[derive(Default)]
pub struct Agents {
    young: HashMap<Box<[u8]>, Rc<Known>>,
    old: HashMap<Box<[u8]>, Rc<Known>>,
}

impl Agents {
    /// Reads an agent, or remembers it.
    pub(crate) fn read(&mut self, user_agent: &[u8]) -> Rc<Known> {
        let head = user_agent.get(..LONGEST).unwrap_or(user_agent);
        match self.young.get(head) {
            Some(known) => Rc::clone(known),
            None => self.meet(head),
        }
    }

    #[cold]
    #[inline(never)]
    fn meet(&mut self, head: &[u8]) -> Rc<Known> {
        let known = self.old.remove(head).unwrap_or_else(|| Rc::new(read(head)));
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(head.into(), Rc::clone(&known));
        known
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The reading of an agent, for benches and tools.
    pub fn judge(&mut self, user_agent: &[u8]) -> Agent {
        self.read(user_agent).agent
    }
}

fn read(head: &[u8]) -> Known {
    let text = match str::from_utf8(head) {
        Ok(text) => text,
        // A cut in the middle of a character: what comes before it is whole.
        Err(error) => {
            head.get(..error.valid_up_to()).and_then(|whole| str::from_utf8(whole).ok()).unwrap_or("")
        }
    };
    let parsed = Parser::new().parse(text).unwrap_or_default();
    let agent = agent::read(head, parsed.category == "crawler");
    let text = if text.is_empty() { String::from_utf8_lossy(head).into_owned() } else { text.to_owned() };
    let device = Device {
        kind: kind(&parsed, agent, &text).to_owned(),
        browser: browser(&parsed, &text).to_owned(),
        family: family(&text).to_owned(),
        platform: platform(&parsed, &text).to_owned(),
    };
    Known { device, agent, digest: AgentDigest::of(head), text }
}

fn kind(parsed: &woothee::parser::WootheeResult<'_>, agent: Agent, text: &str) -> &'static str {
    if matches!(agent, Agent::Program(_)) {
        return "Bot";
    }
    let tablet = text.contains("iPad")
        || text.contains("Tablet")
        || text.contains("Silk/")
        || (text.contains("Android") && !text.contains("Mobile"));
    match parsed.category {
        _ if tablet => "Tablet",
        "pc" => "Desktop",
        "smartphone" | "mobilephone" => "Mobile",
        _ if text.contains("Mobile") => "Mobile",
        _ => "Unknown",
    }
}

/// In-app browsers by their app, which woothee doesn't know; then woothee's name.
fn browser<'a>(parsed: &woothee::parser::WootheeResult<'a>, text: &str) -> &'a str {
    const APPS: [(&str, &str); 18] = [
        ("Instagram", "Instagram"),
        ("Barcelona", "Threads"),
        ("MessengerForiOS", "Messenger"),
        ("Orca-Android", "Messenger"),
        ("FBAN/", "Facebook"),
        ("FB_IAB/", "Facebook"),
        ("FBAV/", "Facebook"),
        ("musical_ly", "TikTok"),
        ("trill_", "TikTok"),
        ("BytedanceWebview", "TikTok"),
        ("Snapchat", "Snapchat"),
        ("Twitter for", "X"),
        ("TwitterAndroid", "X"),
        ("[Pinterest/", "Pinterest"),
        (" Line/", "LINE"),
        ("WhatsApp/", "WhatsApp"),
        ("LinkedInApp", "LinkedIn"),
        ("Reddit/", "Reddit"),
    ];
    let app = APPS.iter().find(|(word, _)| text.contains(word)).map(|(_, name)| *name);
    app.unwrap_or(if matches!(parsed.name, UNKNOWN | "") { "Unknown" } else { parsed.name })
}

/// Whatever it calls itself, a browser on an Apple phone is Safari's engine.
fn family(text: &str) -> &'static str {
    const ENGINES: [(&str, &str); 10] = [
        ("iPhone", "Safari"),
        ("iPad", "Safari"),
        ("iPod", "Safari"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("AppleWebKit", "Safari"),
        ("MSIE ", "Internet Explorer"),
        ("Trident/", "Internet Explorer"),
        ("Opera", "Opera"),
    ];
    ENGINES.iter().find(|(word, _)| text.contains(word)).map_or("Unknown", |(_, name)| name)
}

fn platform<'a>(parsed: &woothee::parser::WootheeResult<'a>, text: &str) -> &'a str {
    match parsed.os {
        "iPhone" | "iPad" | "iPod" | "iOS" => "iOS",
        "Mac OSX" | "Mac OS Classic" => "macOS",
        _ if text.contains("Android") => "Android",
        os if os.starts_with("Windows") => "Windows",
        UNKNOWN | "" => "Unknown",
        os => os,
    }
}

const UNKNOWN: &str = woothee::woothee::VALUE_UNKNOWN;

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> (String, String, String, String) {
        let device = Agents::default().read(text.as_bytes()).device.clone();
        (device.kind, device.browser, device.family, device.platform)
    }

    fn four(kind: &str, browser: &str, family: &str, platform: &str) -> (String, String, String, String) {
        (kind.to_owned(), browser.to_owned(), family.to_owned(), platform.to_owned())
    }

    #[test]
    fn devices_are_named_as_the_contract_shows_them() {
        let cases = [
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                four("Desktop", "Chrome", "Chrome", "macOS"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
                four("Desktop", "Firefox", "Firefox", "Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                four("Mobile", "Safari", "Safari", "iOS"),
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
                four("Tablet", "Safari", "Safari", "iOS"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 Instagram 356.0.0.29.94 (iPhone15,2; iOS 18_1)",
                four("Mobile", "Instagram", "Safari", "iOS"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-A515F Build/TP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/129.0.6668.100 Mobile Safari/537.36 trill_2023607030 Channel/googleplay",
                four("Mobile", "TikTok", "Chrome", "Android"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                four("Tablet", "Chrome", "Chrome", "Android"),
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(device(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_bot_is_a_bot_device_and_nothing_is_unknown() {
        assert_eq!(device("curl/8.5.0").0, "Bot");
        assert_eq!(device("").0, "Bot");
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_in_use() {
        let mut agents = Agents::default();
        for number in 0..3 * GENERATION {
            agents.read(format!("agent {number}").as_bytes());
            agents.read(b"in use");
        }
        assert!(agents.len() <= 2 * GENERATION);
        assert!(agents.young.contains_key(&b"in use"[..]));
    }

    #[test]
    fn a_long_agent_is_cut_at_a_character() {
        let long = format!("{}é tail", "a".repeat(LONGEST - 1));
        let known = Agents::default().read(long.as_bytes());
        assert_eq!(known.text.len(), LONGEST - 1);
    }
}
