//! Tables of user agents. Our own, because public lists take people for crawlers: one carries the build number of an
//! Android release, another's `google` matches `Channel/googleplay` in TikTok's web view.
//!
//! Order: previews first (some borrow a browser's words), then the apps whose web views are people, then crawlers and
//! tools, then words that only programs have in their names.

use super::Why;

/// What a `User-Agent` says of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// A browser built on Chromium, or one that may be.
    Browser,
    /// A browser of another engine (Firefox, anything on iOS): it never sends `Sec-CH-UA`.
    NotChromium,
    /// Not a browser in a person's hands.
    Program(Why),
}

/// Reads a `User-Agent`. `listed` is the opinion of a public list (woothee's "crawler"), heard last. About 300 searches:
/// callers keep the answer per agent.
#[must_use]
pub fn read(user_agent: &[u8], listed: bool) -> Agent {
    let lower = String::from_utf8_lossy(user_agent).trim().to_ascii_lowercase();
    let text = lower.as_str();
    if text.is_empty() {
        return Agent::Program(Why::NoAgent);
    }
    let any = |table: &[&str]| table.iter().any(|word| text.contains(word));
    let starts = |table: &[&str]| table.iter().any(|word| text.starts_with(word));
    if any(PREVIEWS) || starts(PREVIEW_HEADS) {
        return Agent::Program(Why::Preview);
    }
    if any(DRIVEN) || starts(TOOL_HEADS) {
        return Agent::Program(Why::Tool);
    }
    if any(CRAWLERS) {
        return Agent::Program(Why::Crawler);
    }
    let browser = starts(BROWSER_HEADS);
    if browser && any(APPS) {
        return engine(text);
    }
    // A crawler leaves the address of its page; no browser does.
    if any(&["http://", "https://"]) || names_a_robot(text) {
        return Agent::Program(Why::Crawler);
    }
    if !browser || !any(ENGINES) {
        return Agent::Program(Why::Tool);
    }
    if listed && !any(LISTED_BY_MISTAKE) {
        return Agent::Program(Why::Crawler);
    }
    engine(text)
}

fn engine(text: &str) -> Agent {
    let other = ["iphone", "ipad", "ipod", "firefox/"].iter().any(|word| text.contains(word));
    if other { Agent::NotChromium } else { Agent::Browser }
}

/// `bot`, `crawler`, `spider` and the like at the end of a word. Phones called CUBOT are people's.
fn names_a_robot(text: &str) -> bool {
    ["bot", "crawler", "spider", "scraper", "crawl", "archiver"].iter().any(|word| {
        text.match_indices(word).any(|(at, found)| {
            let (before, rest) = text.split_at(at);
            let after = rest.get(found.len()..).and_then(|rest| rest.chars().next());
            after.is_none_or(|next| !next.is_ascii_alphabetic()) && !before.ends_with("cu")
        })
    })
}

/// Fetch a page to show its title and picture. Anywhere in the agent: iMessage hides behind Safari's.
const PREVIEWS: &[&str] = &[
    "facebookexternalhit",
    "facebot",
    "facebookcatalog",
    "meta-externalagent",
    "meta-externalfetcher",
    "meta-externalads",
    "twitterbot",
    "pinterestbot",
    "pinterest/0.",
    "pinterest.com/bot",
    "url preview",
    "linkunfurl",
    "snapchatads",
    "tiktokspider",
    "bytespider",
    "telegrambot",
    "linkedinbot",
    "slackbot",
    "slack-imgproxy",
    "discordbot",
    "skypeuripreview",
    "microsoftpreview",
    "teamsbot",
    "line-poker",
    "linespider",
    "kakaotalk-scrap",
    "viberbot",
    "redditbot",
    "vkshare",
    "whatsappbot",
    "google-pagerenderer",
    "google web preview",
    "google (+https://developers.google.com/+/web/snippet",
    "bingpreview",
    "mastodon/",
    "bluesky cardyb",
    "embedly",
    "iframely",
    "nuzzel",
    "flipboardproxy",
    "outbrain",
    "bitlybot",
    "link preview",
    "linkpreview",
];

/// Previews, when the agent begins with one of these: the app's fetcher, not its web view.
const PREVIEW_HEADS: &[&str] =
    &["whatsapp/", "viber/", "instagram/", "threads/", "snapchat/", "telegram/", "tumblr/"];

/// Browsers that a program drives.
const DRIVEN: &[&str] = &[
    "headlesschrome",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "chrome-lighthouse",
    "pagespeed",
    "gtmetrix",
    "webpagetest",
    "ptst/",
];

/// HTTP libraries and command-line clients.
const TOOL_HEADS: &[&str] = &[
    "curl/",
    "wget",
    "python",
    "aiohttp",
    "httpx",
    "go-http-client",
    "okhttp",
    "java/",
    "apache-httpclient",
    "axios",
    "node",
    "undici",
    "got ",
    "postmanruntime",
    "insomnia",
    "libwww-perl",
    "lwp",
    "ruby",
    "faraday",
    "php",
    "guzzlehttp",
    "scrapy",
    "dalvik/",
    "dart/",
    "reqwest",
    "hyper/",
    "wordpress/",
    "httpie",
    "winhttp",
    "mobilesafari/",
];

/// Search engines, archives, audits, monitoring, language models. (What ends in `bot` needs no line of its own.)
const CRAWLERS: &[&str] = &[
    "googlebot",
    "adsbot-google",
    "mediapartners-google",
    "apis-google",
    "feedfetcher-google",
    "google-inspectiontool",
    "google-read-aloud",
    "google-safety",
    "google-site-verification",
    "google-adwords",
    "googleother",
    "google-extended",
    "google favicon",
    "storebot-google",
    "bingbot",
    "adidxbot",
    "yandexbot",
    "yandexmobilebot",
    "yandex.com/bots",
    "baiduspider",
    "yahoo! slurp",
    "duckduckbot",
    "duckassistbot",
    "ia_archiver",
    "archive.org_bot",
    "heritrix",
    "chatgpt-user",
    "oai-searchbot",
    "perplexity-user",
    "claude-user",
    "claude-web",
    "anthropic-ai",
    "cohere-ai",
    "pingdom",
    "statuscake",
    "hetrixtools",
    "site24x7",
    "uptime",
    "datadog",
    "newrelicpinger",
    "checkly",
    "screaming frog",
    "nmap",
    "masscan",
    "zgrab",
    "nuclei",
    "sqlmap",
    "censysinspect",
    "netcraft",
    "expanse",
    "virustotal",
    "proofpoint",
    "mimecast",
    "barracuda",
    "trendmicro",
    "safelinks",
    "yahoo link preview",
    "moatbot",
    "adbeat",
    "the trade desk",
    "integralads",
    "ias_crawler",
    "doubleverify",
    "geoedge",
    "confiant",
];

/// Apps whose web views are people, whatever words they carry.
const APPS: &[&str] = &[
    "instagram ",
    "[fban/",
    "[fb_iab",
    "fban/",
    "fb_iab/",
    "fbav/",
    "messengerforios",
    "musical_ly",
    "bytedancewebview",
    "bytelocale/",
    "trill_",
    "tiktok",
    "snapchat ",
    "snapchat/",
    "twitter for ",
    "twitterandroid",
    "barcelona ",
    "[pinterest/",
    "pinterest for ",
    " line/",
    "whatsapp/",
    "linkedinapp",
    "telegram-android",
    "reddit/",
    "discord/",
    "gsa/",
    "micromessenger",
    "kakaotalk",
];

/// How agents of browsers begin.
const BROWSER_HEADS: &[&str] = &["mozilla/", "opera/", "ucweb/", "nokia", "samsung", "blackberry"];

/// What browsers name besides: without any of them, `Mozilla/5.0` is a disguise.
const ENGINES: &[&str] =
    &["applewebkit", "gecko/", "trident/", "msie ", "presto/", "opera", "ucbrowser", "series40"];

/// What public lists take for crawlers, and isn't.
const LISTED_BY_MISTAKE: &[&str] = &["cubot"];
