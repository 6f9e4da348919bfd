//! Secrets in what receivers say: whatever echoes ours is blanked before anybody keeps or shows it (ad-platforms 14, rule 6).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use sl_core::{
    catalog::Postback,
    platforms::Answer,
    seal::Secret,
    template::{Encoding, render},
};

use crate::sender::ANSWER_MAX;

/// Shorter ones would blank half of every text.
const SECRET_MIN: usize = 4;

/// Stands for a secret.
const BLANK: &str = "***";

/// Texts that must not be kept, in each way they may be spelled.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// A pixel's token.
    pub(crate) fn of_token(token: &Secret) -> Self {
        Self::of([token.expose()])
    }

    /// Of a postback: headers and parameters of its address that are called like a secret and hold no variable.
    pub(crate) fn of_postback(postback: &Postback) -> Self {
        let is_secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["authorization", "token", "key", "secret", "cookie"].iter().any(|word| name.contains(word))
        };
        let headers = postback.headers.iter().filter(|header| is_secret(&header.name));
        // `Bearer X` may come back as X alone.
        let words = headers.flat_map(|header| header.value.split_whitespace());
        let query = postback.url.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split(['&', '#']).filter_map(|pair| pair.split_once('='));
        let fixed = pairs.filter(|(name, value)| is_secret(name) && !value.contains('{'));
        Self::of(words.chain(fixed.map(|(_, value)| value)))
    }

    fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut spelled: Vec<String> = texts.into_iter().flat_map(spellings).collect();
        spelled.retain(|text| text.len() >= SECRET_MIN);
        // The longest first, so that none is left over around a shorter one.
        spelled.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        spelled.dedup();
        Self(spelled)
    }

    /// The text without them.
    pub(crate) fn blank(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), BLANK))
    }

    /// The answer without them, before anybody cuts it: half of one would not be found any more. Nor is one that it breaks off in kept.
    pub(crate) fn blank_answer<'a>(&self, answer: &'a Answer) -> Cow<'a, Answer> {
        let text = String::from_utf8_lossy(&answer.body);
        let mut blanked = self.blank(&text);
        if !answer.whole || answer.body.len() >= ANSWER_MAX {
            let begun = self.0.iter().filter_map(|secret| begun_at_the_end(&blanked, secret)).min();
            if let Some(at) = begun {
                blanked.replace_range(at.., BLANK);
            }
        }
        if blanked == text {
            return Cow::Borrowed(answer);
        }
        Cow::Owned(Answer { body: blanked.into_bytes(), ..answer.clone() })
    }
}

/// A text as it is, as it stands in an address and as it was meant there, and as it stands in JSON, of which some writers escape slashes.
fn spellings(text: &str) -> [String; 5] {
    let percent = |text: &str| render("{it}", Encoding::Percent, |_| Some(Cow::Borrowed(text)));
    let json = |text: &str| render("{it}", Encoding::Json, |_| Some(Cow::Borrowed(text)));
    let meant = percent_decode_str(text).decode_utf8_lossy().into_owned();
    [text.to_owned(), percent(text), json(text), json(&meant).replace('/', "\\/"), meant]
}

/// Where the text begins to end with the beginning of a secret, as far as that would say something of it.
fn begun_at_the_end(text: &str, secret: &str) -> Option<usize> {
    let starts = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= SECRET_MIN);
    let longest = starts.rev().filter_map(|at| secret.get(..at)).find(|begun| text.ends_with(begun))?;
    Some(text.len() - longest.len())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answer(body: &str, whole: bool) -> Answer {
        Answer { status: 400, headers: HeaderMap::new(), body: body.as_bytes().to_vec(), whole }
    }

    #[test]
    fn a_token_is_blanked_wherever_somebody_else_would_cut_it() {
        let secrets = Secrets::of_token(&Secret::new("EAAB+very/secret"));
        for before in 480..520 {
            let said =
                answer(&format!("{}?access_token=EAAB%2Bvery%2Fsecret and more", "x".repeat(before)), true);
            let words = secrets.blank_answer(&said).words(500);
            assert!(!words.contains("EA"), "{words}");
        }
    }

    #[test]
    fn a_token_in_which_an_answer_breaks_off_is_blanked_as_far_as_it_goes() {
        let secrets = Secrets::of_token(&Secret::new("EAAB+very/secret"));
        let words = |body: &str, whole| secrets.blank_answer(&answer(body, whole)).words(500);
        assert_eq!(words("bad token EAAB+very/sec", false), "bad token ***");
        assert_eq!(words("bad token EAAB+very/secre", false), "bad token ***");
        assert_eq!(words("bad EAB", false), "bad EAB", "says nothing of it");
        assert_eq!(
            words("bad token EAAB+very/sec", true),
            "bad token EAAB+very/sec",
            "its own word, by chance"
        );
    }

    #[test]
    fn a_secret_is_found_however_it_is_spelled() {
        let secrets = Secrets::of(["a%2Fb\"c+d=="]);
        for echoed in [
            "a%2Fb\"c+d==",
            "a/b\"c+d==",
            r#"{"key":"a%2Fb\"c+d=="}"#,
            r#"{"key":"a\/b\"c+d=="}"#,
            "?key=a%252Fb%22c%2Bd%3D%3D",
        ] {
            let said = secrets.blank(echoed);
            assert!(said.contains(BLANK) && !said.contains("c+d") && !said.contains("c%2Bd"), "{said}");
        }
    }
}
