//! What is kept of a request's query and cookies. On the hot path the texts are borrowed from the request.

use serde::{Deserialize, Serialize};

/// Query parameters kept from the click, percent-decoded once, otherwise verbatim (ad-platforms 1.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the field names are the parameter names of contract B.2 and ad-platforms 1.2"
)]
pub struct Params<T = String> {
    pub ecid: Option<T>,
    pub fbclid: Option<T>,
    pub gclid: Option<T>,
    pub gbraid: Option<T>,
    pub wbraid: Option<T>,
    pub ttclid: Option<T>,
    pub sccid: Option<T>,
    pub twclid: Option<T>,
    pub rdt_cid: Option<T>,
    pub epik: Option<T>,
    pub msclkid: Option<T>,
    pub fbc: Option<T>,
    pub fbp: Option<T>,
    pub aff_s1: Option<T>,
    pub aff_s2: Option<T>,
    pub aff_s3: Option<T>,
    pub aff_s4: Option<T>,
    pub aff_s5: Option<T>,
    pub utm_source: Option<T>,
    pub utm_medium: Option<T>,
    pub utm_campaign: Option<T>,
    pub utm_content: Option<T>,
    pub utm_term: Option<T>,
}

impl<T> Params<T> {
    /// The same as other texts: borrowed ones of owned ones, or the other way round.
    pub fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Params<U> {
        let of = |value: &'a Option<T>| value.as_ref().map(&text);
        Params {
            ecid: of(&self.ecid),
            fbclid: of(&self.fbclid),
            gclid: of(&self.gclid),
            gbraid: of(&self.gbraid),
            wbraid: of(&self.wbraid),
            ttclid: of(&self.ttclid),
            sccid: of(&self.sccid),
            twclid: of(&self.twclid),
            rdt_cid: of(&self.rdt_cid),
            epik: of(&self.epik),
            msclkid: of(&self.msclkid),
            fbc: of(&self.fbc),
            fbp: of(&self.fbp),
            aff_s1: of(&self.aff_s1),
            aff_s2: of(&self.aff_s2),
            aff_s3: of(&self.aff_s3),
            aff_s4: of(&self.aff_s4),
            aff_s5: of(&self.aff_s5),
            utm_source: of(&self.utm_source),
            utm_medium: of(&self.utm_medium),
            utm_campaign: of(&self.utm_campaign),
            utm_content: of(&self.utm_content),
            utm_term: of(&self.utm_term),
        }
    }
}

/// Cookies of ad platforms that came with the click.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AdCookies<T = String> {
    /// `_fbc`.
    pub fbc: Option<T>,
    /// `_fbp`.
    pub fbp: Option<T>,
    /// `ttclid`.
    pub ttclid: Option<T>,
    /// `_ttp`.
    pub ttp: Option<T>,
    /// `_scclid`.
    pub scclid: Option<T>,
    /// `_scid`.
    pub scid: Option<T>,
}

impl<T> AdCookies<T> {
    /// The same as other texts: borrowed ones of owned ones, or the other way round.
    pub fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> AdCookies<U> {
        let of = |value: &'a Option<T>| value.as_ref().map(&text);
        AdCookies {
            fbc: of(&self.fbc),
            fbp: of(&self.fbp),
            ttclid: of(&self.ttclid),
            ttp: of(&self.ttp),
            scclid: of(&self.scclid),
            scid: of(&self.scid),
        }
    }
}
