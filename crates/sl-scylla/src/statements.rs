//! Sets of prepared statements, and conditional writes that several try at once.

use std::time::Duration;

use sl_store::{Result, StoreError};

/// A struct of prepared statements, each with its kind, prepared all at once.
macro_rules! statements {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ident $text:expr;)+ }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $(pub(crate) $field: std::sync::Arc<scylla::statement::prepared::PreparedStatement>,)+
        }

        impl $name {
            pub(crate) async fn prepare(cql: &crate::cql::Cql) -> sl_store::Result<Self> {
                let ($($field,)+) = futures_util::try_join!(
                    $(cql.prepare(crate::profiles::Kind::$kind, $text),)+
                )?;
                Ok(Self { $($field: std::sync::Arc::new($field),)+ })
            }
        }
    };
}
pub(crate) use statements;

/// How often a conditional write is tried: the twentieth pause is the fifth second.
const TRIES: u32 = 20;
/// How often of those after no answer: each has lasted for the whole time of a request.
const UNANSWERED: u32 = 3;

/// Counts the tries of a conditional write that several may attempt at once. Each try begins by reading, at `SERIAL`,
/// and must see by itself when the one before has succeeded without an answer, or may do it twice.
#[derive(Debug)]
pub(crate) struct Tries {
    what: &'static str,
    nth: u32,
}

// === impl Tries ===

impl Tries {
    pub(crate) fn of(what: &'static str) -> Self {
        Self { what, nth: 0 }
    }

    /// Takes what a try said: `None` is "somebody else changed it meanwhile". Hands on what is final, and otherwise
    /// returns `None` after a pause.
    ///
    /// # Errors
    /// What the try said, when it will not get better; `Unavailable` after too many.
    pub(crate) async fn settled<T>(&mut self, said: Result<Option<T>>) -> Result<Option<T>> {
        match said {
            Ok(None) => {}
            Err(error) if error.is_temporary() && self.nth < UNANSWERED => {}
            done => return done,
        }
        self.nth += 1;
        if self.nth == TRIES {
            let what = self.what;
            return Err(StoreError::Unavailable(format!("{what}: too many change it at the same time")));
        }
        // Those who met here part again, since no two take equally long.
        tokio::time::sleep(Duration::from_millis(u64::from(self.nth).pow(2) * 2)).await;
        Ok(None)
    }
}
