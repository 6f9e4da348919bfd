use proptest::prelude::*;

use super::*;
use crate::{
    event::{Event, EventBody},
    ids::{AccountId, TeamId},
    pack,
};

const KEEP: Duration = Duration::from_secs(24 * 15 * 3600);
const BEGAN: Timestamp = Timestamp(1_800_000_000_000);

fn days(days: u64) -> Timestamp {
    BEGAN.plus(Duration::from_secs(24 * days * 3600))
}

fn record(journal: u64, sequence: u64, at: Timestamp) -> Recorded {
    let event = Event { team: TeamId(1), account: AccountId::from("acct"), at, body: EventBody::Tick };
    Recorded { journal: JournalId(journal), sequence, event }
}

fn apply(applied: &mut Applied, record: &Recorded, now: Timestamp) {
    applied.note(record, now);
    applied.forget(now, record.event.at, KEEP);
}

#[test]
fn a_journal_that_is_heard_of_is_known_for_ever_and_one_that_is_not_is_forgotten() {
    let mut applied = Applied::default();
    apply(&mut applied, &record(1, 7, days(0)), days(0));
    for day in 1..=40 {
        apply(&mut applied, &record(2, day, days(day)), days(day));
    }
    assert_eq!(applied.iter().collect::<Vec<_>>(), [(JournalId(2), 40)]);
    assert_eq!(applied.verdict(&record(2, 1, days(1))), Verdict::Known);
    assert_eq!(applied.verdict(&record(1, 7, days(0))), Verdict::TooOld, "it was applied");
    assert_eq!(applied.verdict(&record(1, 8, days(40))), Verdict::Fresh, "its disk is back");
    assert_eq!(applied.verdict(&record(3, 0, days(30))), Verdict::Fresh, "it had waited on its edge");
}

#[test]
fn a_copy_of_what_was_applied_keeps_its_journal_known_for_as_long_as_the_stream_holds_the_copy() {
    let mut applied = Applied::default();
    apply(&mut applied, &record(1, 7, days(0)), days(0));
    applied.hear(&record(1, 7, days(0)), days(14));
    apply(&mut applied, &record(2, 0, days(28)), days(28));
    assert_eq!(applied.verdict(&record(1, 7, days(0))), Verdict::Known);
    apply(&mut applied, &record(2, 1, days(30)), days(30));
    assert_eq!(applied.verdict(&record(1, 7, days(0))), Verdict::TooOld);
}

#[test]
fn what_could_not_be_decoded_is_not_taken_for_what_never_came_once_it_can_be() {
    let mut applied = Applied::default();
    applied.leave_out(JournalId(1), 5, days(1));
    apply(&mut applied, &record(2, 7, days(1)), days(1));
    applied.leave_out(JournalId(2), 6, days(2));
    for (journal, sequence, verdict) in
        [(1, 5, Verdict::Known), (1, 6, Verdict::Fresh), (2, 7, Verdict::Known), (2, 8, Verdict::Fresh)]
    {
        assert_eq!(applied.verdict(&record(journal, sequence, days(1))), verdict, "{journal} {sequence}");
    }
}

#[test]
fn one_clock_that_leaps_forgets_nothing() {
    let mut applied = Applied::default();
    apply(&mut applied, &record(1, 7, days(0)), days(0));
    apply(&mut applied, &record(2, 0, days(0)), days(400));
    apply(&mut applied, &record(3, 0, days(400)), days(0));
    assert_eq!(applied.iter().count(), 3);
    // Set back, and right again: the record's own time stands in for the clock's.
    let mut applied = Applied::default();
    apply(&mut applied, &record(1, 7, days(100)), days(0));
    apply(&mut applied, &record(2, 0, days(101)), days(101));
    assert_eq!(applied.verdict(&record(1, 7, days(100))), Verdict::Known);
}

#[test]
fn too_many_journals_go_sooner_but_never_one_of_these_days() {
    let mut applied = Applied::default();
    let most = u64::try_from(MOST).unwrap();
    for journal in 0..most {
        applied.note(&record(journal, 0, days(0)), days(0));
    }
    for journal in most..2 * most {
        applied.note(&record(journal, 0, days(2)), days(2));
    }
    assert_eq!(applied.forget(days(2), days(2), KEEP), 0);
    assert_eq!(applied.forget(days(4), days(4), KEEP), MOST);
    assert_eq!(applied.verdict(&record(0, 0, days(0))), Verdict::TooOld);
}

#[test]
fn a_row_of_an_earlier_version_is_read_and_an_earlier_version_reads_ours() {
    let position = Position { epoch: 3, offset: 9 };
    let old = vec![(JournalId(1), 7), (JournalId(2), 0)];
    let mut row = Vec::new();
    pack::append(&(position, &old), &mut row).unwrap();
    let (read_position, mut applied) = read(&row).unwrap();
    assert_eq!((read_position, applied.iter().collect::<Vec<_>>()), (position, old.clone()));
    // Known from now on, whenever that was.
    assert_eq!(applied.forget(days(900), days(900), KEEP), 0);
    let mut row = Vec::new();
    pack::append(&(position, &applied), &mut row).unwrap();
    assert_eq!(read(&row).unwrap(), (position, applied.clone()));
    assert_eq!(postcard::from_bytes(&row), Ok((position, old)), "as an earlier version reads it");
    assert!(read(&row[..row.len() - 1]).is_err());
    assert_eq!(applied.forget(days(916), days(916), KEEP), 2);
}

/// A stream that holds a record for `HELD` days at most, and edges that send again what it holds, or what they have.
#[derive(Debug, Clone)]
enum Happening {
    /// A journal writes a record, which is read at once.
    Write(u64),
    /// A journal's disk comes back after however long, and everything it ever wrote is sent once more.
    SendAgain(u64),
    /// Time passes.
    Days(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0_u64..6).prop_map(Happening::Write),
        1 => (0_u64..6).prop_map(Happening::SendAgain),
        2 => (1_u64..20).prop_map(Happening::Days),
    ]
}

proptest! {
    #[test]
    fn nothing_is_applied_twice_and_nothing_new_is_left_out(happenings in prop::collection::vec(happening(), 1..200)) {
        let (mut applied, mut now) = (Applied::default(), BEGAN);
        let mut written: BTreeMap<u64, Vec<Recorded>> = BTreeMap::new();
        for happening in happenings {
            match happening {
                Happening::Days(days) => now = now.plus(Duration::from_secs(24 * days * 3600)),
                Happening::Write(journal) => {
                    let own = written.entry(journal).or_default();
                    now = now.plus(Duration::from_millis(1));
                    let record = record(journal, own.len() as u64, now);
                    prop_assert_eq!(applied.verdict(&record), Verdict::Fresh);
                    apply(&mut applied, &record, now);
                    own.push(record);
                }
                Happening::SendAgain(journal) => {
                    for record in written.get(&journal).into_iter().flatten() {
                        prop_assert_ne!(applied.verdict(record), Verdict::Fresh);
                        applied.hear(record, now);
                        applied.forget(now, record.event.at, KEEP);
                    }
                }
            }
            let again = read(&postcard::to_allocvec(&(Position::default(), &applied)).unwrap()).unwrap().1;
            prop_assert_eq!(&again, &applied);
        }
    }
}
