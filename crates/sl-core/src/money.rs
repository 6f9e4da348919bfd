//! Money: integer cents, end to end.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub},
    str::FromStr,
};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

/// US dollars in cents. May be negative (reversals).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub i64);

/// A text or number is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an amount in dollars, such as 12.50")]
pub struct BadAmount(pub String);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Dollars as a decimal text, rounded half away from zero to the cent (ad-platforms 1.5). A leading `$` is dropped
    /// (contract D.3.1 `{PRICE}`).
    ///
    /// # Errors
    /// [`BadAmount`] with the text.
    pub fn parse(text: &str) -> Result<Self, BadAmount> {
        let bad = || BadAmount(text.chars().take(64).collect());
        let digits = text.trim().trim_start_matches('$').replace(',', "");
        let dollars =
            Decimal::from_str(&digits).or_else(|_| Decimal::from_scientific(&digits)).map_err(|_| bad())?;
        dollars
            .checked_mul(Decimal::ONE_HUNDRED)
            .map(|cents| cents.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero))
            .and_then(|cents| cents.to_i64())
            .map(Self)
            .ok_or_else(bad)
    }

    /// Dollars as a JSON number or string, read from its text and never through a float sum.
    ///
    /// # Errors
    /// [`BadAmount`] when it is neither.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, BadAmount> {
        match value {
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            serde_json::Value::String(text) => Self::parse(text),
            other => Err(BadAmount(other.to_string())),
        }
    }

    /// Net of the platform's 20 %, rounded half up to the cent (decisions 41).
    #[must_use]
    pub fn net_of_platform_fee(self) -> Self {
        Self((self.0 * 8 + 5).div_euclid(10))
    }

    /// Whether it can be one payment, of either sign: ten million dollars at most. Sums of them stay far inside 64 bits.
    #[must_use]
    pub fn is_believable(self) -> bool {
        self.0.unsigned_abs() <= 1_000_000_000
    }

    /// A JSON number in dollars; exact for every amount below 90 trillion.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        if self.0 % 100 == 0 {
            return serde_json::Value::from(self.0 / 100);
        }
        // The shortest decimal that reads back as this double is the amount itself: two decimals are far inside the
        // 15 digits a double keeps.
        #[expect(clippy::cast_precision_loss, reason = "amounts stay below 2^53 cents")]
        let dollars = self.0 as f64 / 100.0;
        serde_json::Value::from(dollars)
    }
}

/// Two decimals with a dot, as in `{amount_gross}` (contract C.1).
impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl fmt::Debug for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

impl Add for Cents {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Cents {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Cents {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Cents {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_as_decimals_not_as_floats() {
        for (text, want) in [
            ("9.99", 999),
            ("12.345", 1235),
            ("1.005", 101),
            ("4.675", 468),
            ("0.375", 38),
            ("8.884999", 888),
            ("100", 10000),
            ("$4.00", 400),
            ("-3.5", -350),
            ("1e2", 10000),
        ] {
            assert_eq!(Cents::parse(text), Ok(Cents(want)), "{text}");
        }
        assert!(Cents::parse("free").is_err());
        assert!(Cents::parse("").is_err());
    }

    #[test]
    fn json_numbers_keep_their_cents() {
        for cents in [0, 1, 10, 99, 100, 40_250, 12_345_678_901, -350] {
            let json = Cents(cents).to_json();
            assert_eq!(Cents::from_json(&json), Ok(Cents(cents)));
        }
        assert_eq!(Cents(2000).to_json().to_string(), "20");
        assert_eq!(Cents(40_250).to_json().to_string(), "402.5");
        assert_eq!(Cents(1600).to_string(), "16.00");
        assert_eq!(Cents(-5).to_string(), "-0.05");
    }

    #[test]
    fn net_is_eighty_percent_rounded_half_up() {
        assert_eq!(Cents(1000).net_of_platform_fee(), Cents(800));
        assert_eq!(Cents(999).net_of_platform_fee(), Cents(799));
        assert_eq!(Cents(3).net_of_platform_fee(), Cents(2));
    }
}
