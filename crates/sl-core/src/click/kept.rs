//! What is kept of a request's query and cookies. On the hot path the texts are borrowed from the request.

use serde::{Deserialize, Serialize};

/// Texts by name, each of which may be absent: the fields are listed once.
macro_rules! kept {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)+ })+) => {
        $(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct $name<T = String> {
            $($(#[$doc])* pub $field: Option<T>,)+
        }

        impl<T> $name<T> {
            /// The same as other texts: borrowed ones of owned ones, or the other way round.
            pub fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> $name<U> {
                $name { $($field: self.$field.as_ref().map(&text),)+ }
            }

            /// All of them, in the order of the fields, which is that of the journal's schema.
            pub fn values(&self) -> [Option<&T>; [$(stringify!($field)),+].len()] {
                [$(self.$field.as_ref()),+]
            }
        }
        )+
    };
}

kept! {
    /// Query parameters kept from the click, percent-decoded once, otherwise verbatim (ad-platforms 1.2).
    #[expect(
        missing_docs,
        reason = "the field names are the parameter names of contract B.2 and ad-platforms 1.2"
    )]
    Params {
        ecid,
        fbclid,
        gclid,
        gbraid,
        wbraid,
        ttclid,
        sccid,
        twclid,
        rdt_cid,
        epik,
        msclkid,
        fbc,
        fbp,
        aff_s1,
        aff_s2,
        aff_s3,
        aff_s4,
        aff_s5,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        utm_term,
    }
    /// Cookies of ad platforms that came with the click.
    AdCookies {
        /// `_fbc`.
        fbc,
        /// `_fbp`.
        fbp,
        /// `ttclid`.
        ttclid,
        /// `_ttp`.
        ttp,
        /// `_scclid`.
        scclid,
        /// `_scid`.
        scid,
    }
}
