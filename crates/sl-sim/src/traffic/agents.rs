//! Browsers of people, in-app ones included, and the programs that follow links.

use rand::{Rng, RngExt};

/// A browser in somebody's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Browser {
    pub(super) user_agent: &'static str,
    /// `Sec-CH-UA`, for browsers built on Chromium.
    pub(super) brands: Option<&'static str>,
    /// `Sec-CH-UA-Mobile`.
    pub(super) mobile: bool,
    /// `Sec-CH-UA-Platform`.
    pub(super) platform: &'static str,
    /// The ad platform whose app it is, or whose ads lead there: what it puts on the address.
    pub(super) from: Source,
}

/// Where an ad was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Meta,
    TikTok,
    Snapchat,
    X,
    Web,
}

const CHROME: &str = "\"Google Chrome\";v=\"131\", \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\"";
const EDGE: &str = "\"Microsoft Edge\";v=\"131\", \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\"";
const WEBVIEW: &str = "\"Android WebView\";v=\"130\", \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"";

const fn ios(user_agent: &'static str, from: Source) -> Browser {
    Browser { user_agent, brands: None, mobile: true, platform: "", from }
}

const fn android(user_agent: &'static str, from: Source) -> Browser {
    Browser { user_agent, brands: Some(WEBVIEW), mobile: true, platform: "\"Android\"", from }
}

/// People's browsers.
pub(super) const PEOPLE: [Browser; 16] = [
    ios(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 Instagram 356.0.0.29.94 (iPhone15,2; iOS 18_1; en_US; en; scale=3.00; 1179x2556; 660073418; IABMV/1)",
        Source::Meta,
    ),
    android(
        "Mozilla/5.0 (Linux; Android 14; SM-G991B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 Instagram 355.1.0.44.103 Android (34/14; 420dpi; 1080x2176; samsung; SM-G991B; o1s; exynos2100; en_GB; 655222246; IABMV/1)",
        Source::Meta,
    ),
    ios(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21G93 [FBAN/FBIOS;FBAV/487.0.0.52.96;FBBV/648741120;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.6.1;FBSS/3;FBCR/;FBID/phone;FBLC/en_US;FBOP/80]",
        Source::Meta,
    ),
    android(
        "Mozilla/5.0 (Linux; Android 13; SM-A536B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/489.0.0.67.80;IABMV/1;]",
        Source::Meta,
    ),
    android(
        "Mozilla/5.0 (Linux; Android 14; Pixel 7 Build/AP2A.240805.005; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.58 Mobile Safari/537.36 musical_ly_2023608030 JsSdk/1.0 NetType/4G Channel/googleplay AppName/musical_ly app_version/36.8.3 ByteLocale/en-US Region/US",
        Source::TikTok,
    ),
    ios(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 musical_ly_36.7.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en Region/US isDarkMode/1 WKWebView/1 RevealType/Dialog BytedanceWebview/d8a21c6 FalconTag/",
        Source::TikTok,
    ),
    ios(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Snapchat/13.12.1.45 (like Safari/8619.1.26, panda)",
        Source::Snapchat,
    ),
    ios(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Twitter for iPhone/10.63.1",
        Source::X,
    ),
    ios(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        Source::Meta,
    ),
    ios(
        "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        Source::Web,
    ),
    Browser {
        user_agent: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
        brands: Some(CHROME),
        mobile: true,
        platform: "\"Android\"",
        from: Source::TikTok,
    },
    Browser {
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        brands: Some(CHROME),
        mobile: false,
        platform: "\"Windows\"",
        from: Source::Web,
    },
    Browser {
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        brands: Some(CHROME),
        mobile: false,
        platform: "\"macOS\"",
        from: Source::Web,
    },
    Browser {
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.51",
        brands: Some(EDGE),
        mobile: false,
        platform: "\"Windows\"",
        from: Source::Web,
    },
    Browser {
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
        brands: None,
        mobile: false,
        platform: "",
        from: Source::Web,
    },
    Browser {
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
        brands: None,
        mobile: false,
        platform: "",
        from: Source::X,
    },
];

/// What somebody has who has nothing else.
pub(super) const FIRST: Browser = ios(
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    Source::Web,
);

/// Crawlers, previews, tools.
pub(super) const BOTS: [&str; 11] = [
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Twitterbot/1.0",
    "WhatsApp/2.24.20.89 A",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.10.1",
    "python-requests/2.32.3",
];

const LANGUAGES: [&str; 8] = [
    "en-US,en;q=0.9",
    "en-GB,en;q=0.9",
    "de-DE,de;q=0.9,en;q=0.8",
    "fr-FR,fr;q=0.9",
    "es-ES,es;q=0.9",
    "it-IT,it;q=0.9",
    "ja-JP,ja;q=0.9",
    "pt-BR,pt;q=0.9",
];

/// One of a list, by the dice.
pub(super) fn pick<'a, T>(dice: &mut impl Rng, list: &'a [T]) -> Option<&'a T> {
    if list.is_empty() { None } else { list.get(dice.random_range(0..list.len())) }
}

/// A language, as browsers send it.
pub(super) fn language(dice: &mut impl Rng) -> &'static str {
    pick(dice, &LANGUAGES).copied().unwrap_or("en-US,en;q=0.9")
}

#[cfg(test)]
mod tests {
    use sl_core::verdict::{Shape, Verdict, agent, judge};

    use super::*;

    fn verdict(user_agent: &str, brands: Option<&str>) -> Verdict {
        let shape = Shape {
            brands: brands.unwrap_or_default().as_bytes(),
            accept: b"text/html,*/*",
            ..Shape::default()
        };
        judge(&shape, agent::read(user_agent.as_bytes(), false))
    }

    #[test]
    fn the_edge_takes_people_for_people_and_bots_for_bots() {
        for browser in PEOPLE {
            assert_eq!(
                verdict(browser.user_agent, browser.brands),
                Verdict::Person,
                "{}",
                browser.user_agent
            );
        }
        for bot in BOTS {
            assert!(matches!(verdict(bot, None), Verdict::Bot(_)), "{bot}");
        }
    }
}
