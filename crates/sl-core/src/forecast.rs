//! How many pool links a stock needs (architecture 2, decisions 15): the rate from what was handed out, the refill from
//! the rate.

use std::time::Duration;

use crate::time::Timestamp;

/// Time constant of the quick average, in which a rise shows within minutes.
const FAST: Duration = Duration::from_secs(10 * 60);
/// Time constant of the slow average, by which a quiet hour does not empty the stock.
const SLOW: Duration = Duration::from_secs(2 * 3600);
/// A rate over less than that is guessing: the first click after a start is not 3,600 an hour.
const LEAST_AGE: Duration = Duration::from_secs(5 * 60);
/// A stock that is empty hides its demand: the forecast doubles once in this time while it stays empty.
const STARVED: Duration = Duration::from_secs(60);
/// Largest factor by which such a forecast grows.
const BOOST_MAX: f64 = 64.0;

/// What one stock has handed out lately.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    since: Timestamp,
    at: Timestamp,
    given_total: u64,
    fast: f64,
    slow: f64,
    boost: f64,
    starved_at: Option<Timestamp>,
}

// === impl Demand ===

impl Demand {
    /// Starts with the times of known hand-outs of the last `known_for`; `given_total` is the count at `now`.
    #[must_use]
    pub fn new(now: Timestamp, given_total: u64, handed_out: &[Timestamp], known_for: Duration) -> Self {
        let sum = |half_life: Duration| -> f64 {
            let ages = handed_out.iter().filter(|at| **at <= now).map(|at| now.since(*at));
            ages.map(|age| decay(age, half_life)).sum::<f64>() * per_hour_of_one(half_life)
        };
        Self {
            since: now.minus(known_for),
            at: now,
            given_total,
            fast: sum(FAST),
            slow: sum(SLOW),
            boost: 1.0,
            starved_at: None,
        }
    }

    /// Takes over the count at `now`. While the stock is empty it says nothing about demand: the rate stays, and grows.
    pub fn observe(&mut self, now: Timestamp, given_total: u64, empty: bool) {
        self.follow_back(now);
        let span = now.since(self.at);
        let new = given_total.saturating_sub(self.given_total);
        (self.at, self.given_total) = (self.at.max(now), self.given_total.max(given_total));
        if empty && new == 0 {
            // Its clock stands still.
            self.since = self.since.plus(span);
            if self.starved_at.is_none_or(|at| now.since(at) >= STARVED) {
                self.boost = if self.starved_at.is_none() { 1.0 } else { (self.boost * 2.0).min(BOOST_MAX) };
                self.starved_at = Some(now);
            }
            return;
        }
        if !empty && self.starved_at.is_some_and(|at| now.since(at) >= STARVED * 5) {
            (self.boost, self.starved_at) = (1.0, None);
        }
        for (rate, half_life) in [(&mut self.fast, FAST), (&mut self.slow, SLOW)] {
            *rate = *rate * decay(span, half_life) + count(new) * spread(span, half_life);
        }
    }

    /// A clock that was set back takes all times here with it.
    fn follow_back(&mut self, now: Timestamp) {
        let back = self.at.since(now);
        (self.at, self.since) = (self.at.minus(back), self.since.minus(back));
        self.starved_at = self.starved_at.map(|at| at.minus(back));
    }

    /// Links expected to be handed out in the next hour.
    #[must_use]
    pub fn per_hour(&self) -> f64 {
        let age = self.at.since(self.since).max(LEAST_AGE);
        // A young estimate has seen only a part of its kernel.
        let whole = |half_life| 1.0 - decay(age, half_life);
        (self.fast / whole(FAST)).max(self.slow / whole(SLOW)) * self.boost
    }
}

/// The rate that one hand-out adds at its own moment: the kernel's density, per hour.
fn per_hour_of_one(half_life: Duration) -> f64 {
    std::f64::consts::LN_2 * 3600.0 / half_life.as_secs_f64()
}

/// What one of the hand-outs of `span`, spread evenly, adds to the rate at its end.
fn spread(span: Duration, half_life: Duration) -> f64 {
    if span.is_zero() {
        return per_hour_of_one(half_life);
    }
    (1.0 - decay(span, half_life)) * 3600.0 / span.as_secs_f64()
}

fn decay(age: Duration, half_life: Duration) -> f64 {
    (-age.as_secs_f64() / half_life.as_secs_f64()).exp2()
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Configured bounds of one stock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// `pool.cover`.
    pub cover: Duration,
    /// `pool.min`.
    pub min: u32,
    /// `pool.max`.
    pub max: u32,
    /// Links that can be made in an hour (decisions 15).
    pub pace_per_hour: f64,
    /// There may be several edges.
    pub many_edges: bool,
}

// === impl Plan ===

impl Plan {
    /// Links that should be in stock: `cover` at the forecast rate, within the bounds.
    #[must_use]
    pub fn target(&self, per_hour: f64) -> u64 {
        let cover = (per_hour * self.cover.as_secs_f64() / 3600.0).ceil();
        whole(cover).clamp(u64::from(self.min), u64::from(self.max.max(self.min)))
    }

    /// Links to make in the next `span`: what is missing, and no more than the pace allows in that time.
    #[must_use]
    pub fn to_make(&self, per_hour: f64, free: u64, leased: u64, span: Duration) -> u64 {
        let reach = whole((self.pace_per_hour * span.as_secs_f64() / 3600.0).ceil());
        self.missing(per_hour, free, leased).min(reach)
    }

    /// Links that are missing when so many may be leased and so many are. What one edge has leased no other can hand out, and an edge
    /// that finds nothing is no demand that anybody sees: where there may be several, leased links count for half of the target at
    /// most, and as many as that are free for whoever comes next. Never more than `max` altogether.
    #[must_use]
    pub fn missing(&self, per_hour: f64, free: u64, leased: u64) -> u64 {
        let target = self.target(per_hour);
        let counted = if self.many_edges { leased.min(target / 2) } else { leased };
        let room = u64::from(self.max.max(self.min)).saturating_sub(free + leased);
        target.saturating_sub(free + counted).min(room)
    }

    /// Whether refill can follow this rate for long; above it the rest of the visitors get the overflow link.
    #[must_use]
    pub fn can_follow(&self, per_hour: f64) -> bool {
        per_hour <= self.pace_per_hour
    }
}

/// When `available` links will be gone; `None` when nothing is handed out.
#[must_use]
pub fn time_to_empty(available: u64, per_hour: f64) -> Option<Duration> {
    // A link in a thousand hours is no demand.
    if per_hour < 0.001 {
        return None;
    }
    Duration::try_from_secs_f64(count(available) * 3600.0 / per_hour).ok()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn whole(number: f64) -> u64 {
    number.clamp(0.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn plan() -> Plan {
        let cover = Duration::from_secs(7200);
        Plan { cover, min: 20, max: 1000, pace_per_hour: 43_200.0, many_edges: false }
    }

    fn near(value: f64, want: f64, tolerance: f64) {
        assert!((value - want).abs() <= want * tolerance, "{value} is not near {want}");
    }

    #[test]
    fn a_steady_rate_is_forecast_as_it_is_from_counts_and_from_times() {
        let mut demand = Demand::new(Timestamp(0), 0, &[], Duration::ZERO);
        for minute in 1..=180 {
            demand.observe(Timestamp(minute * MINUTE), 7 * minute.unsigned_abs(), false);
        }
        near(demand.per_hour(), 420.0, 0.01);
        let now = Timestamp(360 * MINUTE);
        let times: Vec<_> = (0..360 * 7).map(|n| Timestamp(n * MINUTE / 7)).collect();
        near(Demand::new(now, 2520, &times, Duration::from_secs(6 * 3600)).per_hour(), 420.0, 0.05);
    }

    #[test]
    fn a_rise_shows_within_minutes_and_a_pause_does_not_empty_the_stock() {
        let mut demand = Demand::new(Timestamp(0), 0, &[], Duration::ZERO);
        for minute in 1..=120 {
            demand.observe(Timestamp(minute * MINUTE), minute.unsigned_abs(), false);
        }
        let mut total = 120;
        for minute in 121..=140 {
            total += 100;
            demand.observe(Timestamp(minute * MINUTE), total, false);
        }
        assert!(demand.per_hour() > 4000.0, "{}", demand.per_hour());
        let busy = demand.per_hour();
        for minute in 141..=200 {
            demand.observe(Timestamp(minute * MINUTE), total, false);
        }
        assert!(demand.per_hour() < busy && demand.per_hour() > 200.0, "{}", demand.per_hour());
    }

    #[test]
    fn one_click_after_a_start_is_no_rush() {
        let mut demand = Demand::new(Timestamp(0), 0, &[], Duration::ZERO);
        demand.observe(Timestamp(1000), 1, false);
        assert!(demand.per_hour() < 20.0, "{}", demand.per_hour());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_rush() {
        let mut demand = Demand::new(Timestamp(0), 0, &[], Duration::ZERO);
        for minute in 1..=60_i64 {
            let step_back = if minute > 30 { 500 } else { 0 };
            demand.observe(Timestamp((minute - step_back) * MINUTE), 10 * minute.unsigned_abs(), false);
        }
        // The step itself hides one minute of sixty.
        near(demand.per_hour(), 600.0, 0.05);
    }

    #[test]
    fn an_empty_stock_does_not_hide_its_demand() {
        let mut demand = Demand::new(Timestamp(0), 0, &[], Duration::ZERO);
        for minute in 1..=60 {
            demand.observe(Timestamp(minute * MINUTE), 10 * minute.unsigned_abs(), false);
        }
        let before = demand.per_hour();
        for minute in 61..=63 {
            demand.observe(Timestamp(minute * MINUTE), 600, true);
        }
        assert!(demand.per_hour() >= before * 4.0 * 0.99, "{} after {before}", demand.per_hour());
    }

    #[test]
    fn refill_keeps_its_bounds_and_the_pace() {
        let plan = plan();
        let hour = Duration::from_secs(3600);
        assert_eq!(plan.to_make(0.0, 0, 0, hour), 20);
        assert_eq!(plan.to_make(0.0, 5, 15, hour), 0);
        assert_eq!(plan.to_make(100.0, 20, 30, hour), 150);
        assert_eq!(plan.to_make(1e9, 0, 0, hour), 1000);
        assert_eq!(plan.to_make(1e9, 0, 0, Duration::from_secs(10)), 120);
        assert!(plan.can_follow(43_200.0) && !plan.can_follow(43_201.0));
    }

    #[test]
    fn what_edges_have_leased_leaves_half_a_target_to_the_next_one() {
        let plan = Plan { many_edges: true, ..plan() };
        let missing = |free, leased| plan.missing(0.0, free, leased);
        // The first edge takes its half of 20, the second one the other, a third one finds as much again.
        assert_eq!([missing(20, 0), missing(10, 10), missing(0, 20), missing(10, 20)], [0, 0, 10, 0]);
        assert_eq!(missing(3, 500), 7, "however many they hold");
        assert_eq!([missing(0, 995), missing(0, 2000)], [5, 0], "within pool.max");
        // 100 an hour: 200, of which edges have leased what they need.
        assert_eq!(plan.missing(100.0, 120, 80), 0);
        assert_eq!(Plan { many_edges: false, ..plan }.missing(0.0, 0, 20), 0, "one edge has them all");
    }

    #[test]
    fn time_to_empty_is_unknown_without_demand() {
        assert_eq!(time_to_empty(100, 0.0), None);
        assert_eq!(time_to_empty(100, 50.0), Some(Duration::from_secs(7200)));
        assert_eq!(time_to_empty(0, 50.0), Some(Duration::ZERO));
    }
}
