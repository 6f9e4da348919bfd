//! Requests as browsers send them after an ad, each from another address: a visitor of its own.

/// An endless row of different people.
pub struct Visitors {
    templates: Vec<Template>,
    number: u64,
    body: bool,
}

struct Template {
    bytes: Vec<u8>,
    address: usize,
    click: usize,
}

const ADDRESS: &str = "AAA.AAA.AAA.AAA";
const CLICK: &str = "CCCCCCCCCCCCCCCC";
/// Agents in circulation; the edge keeps some thousands of them.
const AGENTS: usize = 64;

impl Visitors {
    /// They follow these Smart Links, one after the other.
    #[must_use]
    pub fn of(method: &str, links: &[String]) -> Self {
        let of_agent = |agent| links.iter().map(move |link| Template::new(method, link, agent));
        let templates = (0..AGENTS).flat_map(of_agent).collect();
        Self { templates, number: 0, body: method != "HEAD" }
    }

    /// Whether answers have a body.
    #[must_use]
    pub fn get_body(&self) -> bool {
        self.body
    }

    /// The next visitor's request.
    #[expect(clippy::should_implement_trait, reason = "it lends")]
    pub fn next(&mut self) -> &[u8] {
        let number = self.number;
        self.number += 1;
        let count = self.templates.len() as u64;
        let which = usize::try_from(number % count).unwrap_or(0);
        let Some(template) = self.templates.get_mut(which) else { return &[] };
        template.fill(number);
        &template.bytes
    }
}

impl Template {
    fn new(method: &str, link: &str, agent: usize) -> Self {
        let text = format!(
            "{method} /go/{link}?fbclid=IwAR0aBcDeFgHiJkLmNoPqRsTuVwXyZ012345_{CLICK}&utm_source=meta&utm_campaign=spring \
             HTTP/1.1\r\nHost: go.example.com\r\nX-Forwarded-For: {ADDRESS}\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU \
             iPhone OS 18_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram \
             {}.0.0.29.94 (iPhone15,2; iOS 18_1; en_US; en; scale=3.00; 1179x2556; 651234567)\r\nAccept: \
             text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nSec-Fetch-Site: cross-site\r\n\
             Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept-Language: en-US,en;q=0.9\r\nReferer: \
             https://l.instagram.com/\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n",
            agent % 8,
            350 + agent / 8
        );
        let place = |mark: &str| text.find(mark).unwrap_or(0);
        Self { address: place(ADDRESS), click: place(CLICK), bytes: text.into_bytes() }
    }

    fn fill(&mut self, number: u64) {
        // 96 × 156³ addresses of three digits each, none of them a loopback address.
        let octets = [
            128 + number / 3_796_416 % 96,
            100 + number / 24_336 % 156,
            100 + number / 156 % 156,
            100 + number % 156,
        ];
        for (place, octet) in octets.into_iter().enumerate() {
            self.digits(self.address + 4 * place, 3, octet);
        }
        self.digits(self.click, 16, number);
    }

    fn digits(&mut self, at: usize, width: usize, mut number: u64) {
        let Some(place) = self.bytes.get_mut(at..at + width) else { return };
        for digit in place.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }
}
