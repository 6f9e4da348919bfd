//! Networks from which companies crawl, and from which people do not browse.

/// Whether an autonomous system is a crawler's.
///
/// Short on purpose. Left out because people come from there too: clouds and hosters (VPN exits, cloud desktops), Google
/// (15169: the VPN of its phones), Cloudflare, Fastly and Akamai (private relays), Opera and Yandex (data-saving
/// proxies). Their crawlers name themselves.
#[must_use]
pub fn is_crawler(asn: u32) -> bool {
    CRAWLERS.contains(&asn)
}

const CRAWLERS: [u32; 8] = [
    714,     // Apple: Applebot
    13_414,  // X: link cards
    32_934,  // Meta: previews, ad review
    35_995,  // X
    54_888,  // X: link cards
    63_293,  // Meta
    138_699, // TikTok: previews, ad review
    396_986, // ByteDance: Bytespider, ad review
];
