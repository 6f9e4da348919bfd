//! Agents as they really come, each with what it is.

use super::{
    Agent::{Browser, NotChromium, Program},
    How, Shape, Verdict, Why, judge,
};
use crate::verdict::agent::{self, Agent};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";

/// People: browsers and every in-app browser, on both systems.
const PEOPLE: &[(&str, Agent)] = &[
    (CHROME, Browser),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.51",
        Browser,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36 OPR/114.0.0.0",
        Browser,
    ),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", NotChromium),
    ("Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0", NotChromium),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
        Browser,
    ),
    (IPHONE, NotChromium),
    (
        "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/132.0 Mobile/15E148 Safari/605.1.15",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/341.3.698278571 Mobile/15E148 Safari/604.1",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (Linux; U; Android 12; en-US; RMX3085) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.4.0.1306 Mobile Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (Linux; Android 12; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/122.2.10 like Chrome/122.0.6261.125 Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
        Browser,
    ),
    // Android 15: a build number that a public list carries as a crawler.
    (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP3A.241005.015; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.107 Mobile Safari/537.36",
        Browser,
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; SM-S928B Build/AP3A.240905.015.A2; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.102 Mobile Safari/537.36",
        Browser,
    ),
    // Instagram.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 Instagram 356.0.0.29.94 (iPhone15,2; iOS 18_1; en_US; en; scale=3.00; 1179x2556; 660073418; IABMV/1)",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-G991B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 Instagram 355.1.0.44.103 Android (34/14; 420dpi; 1080x2176; samsung; SM-G991B; o1s; exynos2100; en_GB; 655222246; IABMV/1)",
        Browser,
    ),
    // Facebook and Messenger.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21G93 [FBAN/FBIOS;FBAV/487.0.0.52.96;FBBV/648741120;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.6.1;FBSS/3;FBCR/;FBID/phone;FBLC/en_US;FBOP/80]",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-A536B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/489.0.0.67.80;IABMV/1;]",
        Browser,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/MessengerForiOS;FBAV/460.0.0.31.104;FBDV/iPhone13,2]",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 12; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/129.0.6668.81 Mobile Safari/537.36 [FB_IAB/Orca-Android;FBAV/480.0.0.41.110;]",
        Browser,
    ),
    // TikTok: `Channel/googleplay` is what a public list's `google` matches.
    (
        "Mozilla/5.0 (Linux; Android 13; SM-A515F Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/129.0.6668.100 Mobile Safari/537.36 trill_2023607030 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/trill app_version/36.7.3 ByteLocale/en ByteFullLocale/en Region/GB BytedanceWebview/d8a21c6",
        Browser,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; Pixel 7 Build/AP2A.240805.005; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.58 Mobile Safari/537.36 musical_ly_2023608030 JsSdk/1.0 NetType/4G Channel/googleplay AppName/musical_ly app_version/36.8.3 ByteLocale/en-US Region/US",
        Browser,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 musical_ly_36.7.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en Region/US isDarkMode/1 WKWebView/1 RevealType/Dialog BytedanceWebview/d8a21c6 FalconTag/",
        NotChromium,
    ),
    // Snapchat.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Snapchat/13.12.1.45 (like Safari/8619.1.26, panda)",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-S911U Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.73 Mobile Safari/537.36 Snapchat/13.11.0.50 (SM-S911U; Android 14#S911USQS4CXH2#34; gzip)",
        Browser,
    ),
    // X.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Twitter for iPhone/10.63.1",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; Pixel 6 Build/TQ3A.230901.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/129.0.6668.70 Mobile Safari/537.36 TwitterAndroid",
        Browser,
    ),
    // Threads.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 Barcelona 355.0.0.30.112 (iPhone14,5; iOS 18_1; en_US; en; scale=3.00; 1170x2532; 658301922)",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-A546B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 Barcelona 354.0.0.35.109 Android (34/14; 450dpi; 1080x2340; samsung; SM-A546B; a54x; s5e8835; en_GB; 651310217)",
        Browser,
    ),
    // Pinterest.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; SM-G781B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/128.0.6613.127 Mobile Safari/537.36 [Pinterest/Android]",
        Browser,
    ),
    // Line.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari Line/14.15.1",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 12; SO-52B Build/59.1.D.1.193; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/128.0.6613.146 Mobile Safari/537.36 Line/14.14.0/IAB",
        Browser,
    ),
    // WhatsApp's web view, as opposed to its fetcher.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [WhatsApp/24.20.78]",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (Linux; Android 13; moto g54 Build/T1TDS33.1; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/129.0.6668.100 Mobile Safari/537.36 WhatsApp/2.24.20.89",
        Browser,
    ),
    // Others.
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.30.1254",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Reddit/Version 2024.40.0/Build 617670/iOS Version 17.6",
        NotChromium,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50(0x18003231) NetType/WIFI Language/en",
        NotChromium,
    ),
    ("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", Browser),
    ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10", Browser),
];

/// Programs, with the reason.
const PROGRAMS: &[(&str, Why)] = &[
    ("", Why::NoAgent),
    ("   ", Why::NoAgent),
    // Previews: the same companies' fetchers.
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", Why::Preview),
    ("facebookexternalhit/1.1;line-poker/1.0", Why::Preview),
    (
        "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
        Why::Preview,
    ),
    ("Twitterbot/1.0", Why::Preview),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
        Why::Preview,
    ),
    ("Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)", Why::Preview),
    ("Pinterest/0.2 (+https://www.pinterest.com/bot.html)", Why::Preview),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/56.0.2924.87 Safari/537.36 Snap URL Preview Service; bot; snapchat; https://developers.snap.com/robots",
        Why::Preview,
    ),
    ("Mozilla/5.0 (compatible; TikTokSpider; ttspider-feedback@tiktok.com)", Why::Preview),
    (
        "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
        Why::Preview,
    ),
    ("WhatsApp/2.23.20.0 A", Why::Preview),
    ("WhatsApp/2.24.6.77 i", Why::Preview),
    ("TelegramBot (like TwitterBot)", Why::Preview),
    ("LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)", Why::Preview),
    (
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Safari/537.36; Snapchat URL Preview",
        Why::Preview,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Zoom.us-linkunfurl",
        Why::Preview,
    ),
    ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", Why::Preview),
    ("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", Why::Preview),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
        Why::Preview,
    ),
    ("Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)", Why::Preview),
    ("Viber/13.3.0.1 CFNetwork/1220.1 Darwin/20.3.0", Why::Preview),
    ("kakaotalk-scrap/1.0; +https://devtalk.kakao.com/t/scrap/33984", Why::Preview),
    // Crawlers.
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Why::Crawler),
    (
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.6723.69 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        Why::Crawler,
    ),
    ("AdsBot-Google (+http://www.google.com/adsbot.html)", Why::Crawler),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 14_7_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/14.1.2 Mobile/15E148 Safari/604.1 (compatible; AdsBot-Google-Mobile; +http://www.google.com/mobile/adsbot.html)",
        Why::Crawler,
    ),
    ("Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)", Why::Crawler),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
        Why::Crawler,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
        Why::Crawler,
    ),
    ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", Why::Crawler),
    ("Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", Why::Crawler),
    ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", Why::Crawler),
    ("Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)", Why::Crawler),
    (
        "Mozilla/5.0 (Linux; Android 7.0;) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; PetalBot;+https://webmaster.petalsearch.com/site/petalbot)",
        Why::Crawler,
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        Why::Crawler,
    ),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        Why::Crawler,
    ),
    ("CCBot/2.0 (https://commoncrawl.org/faq/)", Why::Crawler),
    ("Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)", Why::Crawler),
    ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", Why::Crawler),
    ("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", Why::Crawler),
    ("ia_archiver (+http://www.alexa.com/site/help/webmasters; crawler@alexa.com)", Why::Crawler),
    ("SomeNewCrawler (contact: ops)", Why::Crawler),
    // Tools.
    ("curl/8.5.0", Why::Tool),
    ("Wget/1.21.4", Why::Tool),
    ("python-requests/2.32.3", Why::Tool),
    ("Python/3.12 aiohttp/3.9.5", Why::Tool),
    ("Go-http-client/1.1", Why::Tool),
    ("okhttp/4.12.0", Why::Tool),
    ("Java/17.0.9", Why::Tool),
    ("Apache-HttpClient/4.5.14 (Java/17.0.9)", Why::Tool),
    ("axios/1.7.7", Why::Tool),
    ("node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", Why::Tool),
    ("PostmanRuntime/7.42.0", Why::Tool),
    ("Dalvik/2.1.0 (Linux; U; Android 13; SM-A515F Build/TP1A.220624.014)", Why::Tool),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/130.0.0.0 Safari/537.36",
        Why::Tool,
    ),
    ("MobileSafari/604.1 CFNetwork/1404.0.5 Darwin/22.3.0", Why::Tool),
    (
        "com.zhiliaoapp.musically/2022600030 (Linux; U; Android 10; en; SM-G973F; Build/QP1A.190711.020;tt-ok/3.12.13.1)",
        Why::Tool,
    ),
    (
        "Instagram 356.0.0.29.94 (iPhone15,2; iOS 18_1; en_US; en; scale=3.00; 1179x2556; 660073418)",
        Why::Tool,
    ),
    ("Mozilla/5.0", Why::Tool),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", Why::Tool),
    ("something else entirely", Why::Tool),
];

#[test]
fn people_are_people_in_every_in_app_browser() {
    for (text, wanted) in PEOPLE {
        assert_eq!(agent::read(text.as_bytes(), false), *wanted, "{text}");
    }
}

#[test]
fn programs_are_told_from_people_by_their_agent() {
    for (text, why) in PROGRAMS {
        assert_eq!(agent::read(text.as_bytes(), false), Program(*why), "{text}");
    }
    assert!(PEOPLE.len() + PROGRAMS.len() >= 80, "the table is to stay a table");
}

#[test]
fn a_public_list_is_believed_unless_its_mistake_is_known() {
    let phone = "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 Mobile Safari/537.36";
    assert_eq!(agent::read(phone.as_bytes(), true), Browser);
    assert_eq!(agent::read(CHROME.as_bytes(), true), Program(Why::Crawler));
    let app = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/22B83 Instagram 356.0";
    assert_eq!(agent::read(app.as_bytes(), true), NotChromium);
}

#[test]
fn bytes_that_are_no_text_are_read_all_the_same() {
    assert_eq!(agent::read(b"\xff\xfe curl", false), Program(Why::Tool));
}

fn verdict(shape: Shape<'_>, user_agent: &str) -> Verdict {
    judge(&shape, agent::read(user_agent.as_bytes(), false))
}

#[test]
fn what_browsers_fetch_ahead_is_speculative() {
    let shapes = [
        Shape { sec_purpose: b"prefetch", ..Shape::default() },
        Shape { sec_purpose: b"prefetch;prerender", ..Shape::default() },
        Shape { sec_purpose: b"prefetch;anonymous-client-ip", ..Shape::default() },
        Shape { purpose: b"prefetch", ..Shape::default() },
        Shape { purpose: b"preview", ..Shape::default() },
        Shape { x_purpose: b"preview", ..Shape::default() },
        Shape { x_purpose: b"Prefetch", ..Shape::default() },
        Shape { x_moz: b"prefetch", ..Shape::default() },
    ];
    for shape in shapes {
        assert_eq!(verdict(shape, CHROME), Verdict::Speculative(How::Prefetch), "{shape:?}");
    }
    let head = Shape { head: true, sec_purpose: b"prefetch", ..Shape::default() };
    assert_eq!(verdict(head, CHROME), Verdict::Speculative(How::Head));
    let other = Shape { sec_purpose: b"something", x_moz: b"preview", ..Shape::default() };
    assert_eq!(verdict(other, CHROME), Verdict::Person);
}

#[test]
fn a_navigation_as_browsers_send_it_is_a_persons() {
    let shape = Shape {
        fetch_mode: b"navigate",
        fetch_dest: b"document",
        brands: br#""Chromium";v="131", "Google Chrome";v="131""#,
        accept: b"text/html,application/xhtml+xml,*/*;q=0.8",
        requested_with: b"com.instagram.android",
        asn: Some(3320),
        ..Shape::default()
    };
    assert_eq!(verdict(shape, CHROME), Verdict::Person);
    assert_eq!(verdict(Shape { accept: b"*/*", ..Shape::default() }, IPHONE), Verdict::Person);
    assert_eq!(verdict(Shape::default(), IPHONE), Verdict::Person, "a proxy may have removed the rest");
}

#[test]
fn shapes_that_no_browser_has_are_bots() {
    let shapes: [(Shape<'_>, &str, &str); 10] = [
        (Shape { fetch_mode: b"no-cors", ..Shape::default() }, CHROME, "sec-fetch-mode"),
        (Shape { fetch_mode: b"cors", ..Shape::default() }, CHROME, "sec-fetch-mode"),
        (Shape { fetch_dest: b"image", ..Shape::default() }, CHROME, "sec-fetch-dest"),
        (Shape { fetch_dest: b"empty", ..Shape::default() }, CHROME, "sec-fetch-dest"),
        (Shape { brands: br#""Chromium";v="131""#, ..Shape::default() }, IPHONE, "sec-ch-ua"),
        (Shape { brands: br#""HeadlessChrome";v="131""#, ..Shape::default() }, CHROME, "sec-ch-ua"),
        (Shape { requested_with: b"XMLHttpRequest", ..Shape::default() }, CHROME, "x-requested-with"),
        (Shape { accept: b"image/avif,image/webp", ..Shape::default() }, CHROME, "accept"),
        (Shape { range: true, ..Shape::default() }, CHROME, "range"),
        (Shape { from: true, ..Shape::default() }, CHROME, "from"),
    ];
    for (shape, agent, header) in shapes {
        assert_eq!(verdict(shape, agent), Verdict::Bot(Why::Shape(header)), "{shape:?}");
    }
}

#[test]
fn a_crawlers_network_gives_a_disguise_away_and_a_relay_does_not() {
    let from = |asn| verdict(Shape { asn: Some(asn), ..Shape::default() }, IPHONE);
    assert_eq!(from(32_934), Verdict::Bot(Why::Network));
    assert_eq!(from(396_986), Verdict::Bot(Why::Network));
    assert_eq!(from(36_183), Verdict::Person, "Akamai relays people");
    assert_eq!(from(13_335), Verdict::Person, "Cloudflare relays people");
}
