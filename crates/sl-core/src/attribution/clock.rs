//! The account's clock, and what ends by it (decisions 51).

use super::{
    Decider,
    key::Key,
    record::{AccountRecord, BadRecord, DueRecord, FanRecord, Kept, Record},
};
use crate::{
    ids::{AccountId, TeamId},
    step::StateBytes,
    time::Timestamp,
};
use std::time::Duration;

/// A record further ahead than this is not believed alone.
const JUMP: Duration = Duration::from_secs(15 * 60);

/// How the clock took an append time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Believed,
    Jump,
}

/// Moves the clock of `state` by a record appended at `at`. `own` is the attribution role's own word.
fn take(state: &mut AccountRecord, at: Timestamp, own: bool) -> Taken {
    let Some(clock) = state.clock.filter(|_| !own) else {
        state.clock = Some(state.clock.map_or(at, |clock| clock.max(at)));
        state.ahead = None;
        return Taken::Believed;
    };
    if at <= clock.plus(JUMP) {
        state.clock = Some(clock.max(at));
        state.ahead = None;
        return Taken::Believed;
    }
    if let Some(ahead) = state.ahead {
        // Two in a row agree that at least so much time has passed.
        let agreed = ahead.min(at);
        let later = ahead.max(at);
        state.clock = Some(if later <= agreed.plus(JUMP) { later } else { agreed });
        state.ahead = (later > agreed.plus(JUMP)).then_some(later);
        if state.ahead.is_none() {
            return Taken::Believed;
        }
    } else {
        state.ahead = Some(at);
    }
    state.jumps += 1;
    Taken::Jump
}

impl Decider<'_> {
    /// Takes the append time of the event at hand.
    pub(super) fn advance(&mut self, at: Timestamp, own: bool) {
        if take(&mut self.state, at, own) == Taken::Jump {
            self.effects.counts.jumps += 1;
            self.lagging.insert((self.team, self.account.clone()));
        } else if !self.lagging.is_empty() {
            self.lagging.remove(&(self.team, self.account.clone()));
        }
        self.now = self.state.clock.unwrap_or(at);
    }

    /// From when a wait counts: the clock, or the record's own time while the clock does not believe it yet. So a hold
    /// that begins with the first record after a quiet time is not over as soon as the clock has caught up.
    pub(super) fn moment(&self) -> Timestamp {
        self.now.max(self.at)
    }

    /// Ends the waits of undated subscribers that are over.
    pub(super) fn end_holds(&mut self) {
        while let Some((until, fan)) = self.state.due.first().cloned() {
            if until > self.now {
                break;
            }
            self.state.due.remove(0);
            let key = Key::Fan(self.account.clone(), fan.clone());
            let mut record: Box<FanRecord> = self.memory.take(&key);
            let (over, waiting): (Vec<_>, Vec<_>) =
                std::mem::take(&mut record.undated).into_iter().partition(|(until, _)| *until <= self.now);
            record.undated = waiting;
            for (_, seen) in over {
                let at = self.date_without_webhook(&seen);
                self.attribute(&mut record, &seen, at);
            }
            self.memory.put(&key, record);
            self.note_due();
        }
    }

    /// Adds a wait that must end by itself.
    pub(super) fn wait_until(&mut self, until: Timestamp, fan: crate::ids::FanId) {
        let place = self.state.due.partition_point(|(other, _)| *other <= until);
        self.state.due.insert(place, (until, fan));
        self.note_due();
    }

    /// Writes the account's earliest wait where a start finds it.
    pub(super) fn note_due(&mut self) {
        let mut record: DueRecord = self.memory.take(&Key::Due);
        record.accounts.retain(|(_, account, _)| *account != self.account);
        if let Some((until, _)) = self.state.due.first() {
            record.accounts.push((self.team, self.account.clone(), *until));
            record.accounts.sort_unstable();
        }
        self.due = Some(record.accounts.clone());
        self.memory.put(&Key::Due, record);
    }
}

pub(super) fn due_accounts(
    value: Option<&StateBytes>,
) -> Result<Vec<(TeamId, AccountId, Timestamp)>, BadRecord> {
    let Some(bytes) = value else { return Ok(Vec::new()) };
    let record = Record::decode(&Key::Due, bytes)?;
    Ok(DueRecord::of(&record).map(|due| due.accounts.clone()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn clock(minutes: &[i64]) -> (i64, u64) {
        let mut state = AccountRecord::default();
        for minute in minutes {
            take(&mut state, Timestamp(minute * MINUTE), false);
        }
        (state.clock.unwrap().0 / MINUTE, state.jumps)
    }

    #[test]
    fn the_clock_is_the_highest_append_time_so_far() {
        assert_eq!(clock(&[0, 10, 5, 20, 12]), (20, 0));
    }

    #[test]
    fn a_single_jump_above_fifteen_minutes_is_ignored_and_counted() {
        assert_eq!(clock(&[0, 15]), (15, 0));
        assert_eq!(clock(&[0, 16, 1]), (1, 1));
        assert_eq!(clock(&[0, 9000, 5, 9000, 6]), (6, 2));
    }

    #[test]
    fn a_quiet_account_catches_up_with_its_second_record() {
        assert_eq!(clock(&[0, 600, 601]), (601, 1));
        assert_eq!(clock(&[0, 600, 1200]), (600, 2));
        assert_eq!(clock(&[0, 600, 1200, 1201]), (1201, 2));
    }

    #[test]
    fn a_tick_is_believed_at_once() {
        let mut state = AccountRecord::default();
        take(&mut state, Timestamp(0), false);
        assert_eq!(take(&mut state, Timestamp(600 * MINUTE), true), Taken::Believed);
        assert_eq!(state.clock, Some(Timestamp(600 * MINUTE)));
        take(&mut state, Timestamp(5), true);
        assert_eq!(state.clock, Some(Timestamp(600 * MINUTE)));
    }
}
