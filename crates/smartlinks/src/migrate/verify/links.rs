//! Link by link: sums, and the rows they are made of.

use std::time::Duration;

use sl_core::{
    click::ClickRow,
    conversion::{Conversion, ConversionKind},
    ids::{SmartLinkId, TeamId},
    money::Cents,
    step::{Dimension, FanDay, FanUnderLink, LinkTotals, Rollup},
    time::Timestamp,
};
use sl_store::{
    Reports, Result,
    reports::{ClickFilter, ConversionFilter, Range},
};

use super::{Found, Sides, View};

/// Rows read at once, roughly: ranges of time are cut where that many have come together, and hours that have more.
const ROWS: u64 = 20_000;
const HOUR: Duration = Duration::from_secs(3600);
const SECONDS: u32 = 3600;
/// Dead letters of a page.
const LETTERS: usize = 500;

pub(super) async fn compare(sides: &Sides<'_>, found: &mut Found, view: &mut View) -> Result<()> {
    let links = sides.old.catalog.changes_since(0).await?.links;
    view.begin_comparing("clicks compared");
    for link in &links {
        of_link(sides, link.id, found).await?;
        found.links += 1;
        view.total(found.clicks);
    }
    view.end(found.clicks);
    for team in sides.old.catalog.teams().await? {
        letters(sides, team.id, found).await?;
    }
    let counts = (sides.old.reports.dead_letter_count().await?, sides.new.reports.dead_letter_count().await?);
    found.same("dead letters", (&counts.0, &counts.1), u64::to_string);
    Ok(())
}

async fn of_link(sides: &Sides<'_>, link: SmartLinkId, found: &mut Found) -> Result<()> {
    let (old, new) = (&*sides.old.reports, &*sides.new.reports);
    let name = |what: &str| format!("link {link}, {what}");
    let (was, is) = (old.totals(&[link]).await?, new.totals(&[link]).await?);
    found.same(name("totals"), (&was, &is), |totals| totals.iter().map(in_words).collect());
    let all = Range::default();
    let (was, is) = (old.hours(link, all).await?, new.hours(link, all).await?);
    found.same(name("hourly sums"), (&was, &is), |hours| sums(hours));
    for range in cut(&was) {
        let (was, is) = (clicks(old, link, range).await?, clicks(new, link, range).await?);
        found.same(name("clicks"), (&was, &is), |rows| hits(rows));
        found.clicks += was.len() as u64;
        let (was, is) = (conversions(old, link, range).await?, conversions(new, link, range).await?);
        found.same(name("conversions"), (&was, &is), |rows| money(rows));
        found.conversions += was.len() as u64;
        found.revenue += was.iter().filter(|row| is_money(row)).map(|row| row.gross).sum::<Cents>();
    }
    let (was, is) = (fans(old, link).await?, fans(new, link).await?);
    found.same_rows(name("fans"), &was, &is);
    found.fans += was.len() as u64;
    let (was, is) = (days(old, link).await?, days(new, link).await?);
    found.same_rows(name("daily sums of fans"), &was, &is);
    for dimension in Dimension::ALL {
        let (was, is) =
            (old.dimensions(link, dimension, all).await?, new.dimensions(link, dimension, all).await?);
        found.same_rows(name(&format!("clicks by {dimension:?}")), &was, &is);
    }
    Ok(())
}

/// Ranges that together are all of time, cut at hours, or evenly inside them, each with about [`ROWS`] rows.
fn cut(hours: &[(Timestamp, Rollup)]) -> Vec<Range> {
    let (mut ranges, mut from, mut rows) = (Vec::new(), None, 0);
    let mut at = |to: Timestamp| {
        ranges.push(Range { from, to: Some(to) });
        from = Some(to);
    };
    for (hour, rollup) in hours {
        let of_hour = rollup.clicks + rollup.bots + rollup.duplicates + rollup.conversions;
        if rows >= ROWS || (rows > 0 && of_hour > ROWS) {
            at(*hour);
            rows = 0;
        }
        // A range has to have a second at least.
        let parts = u32::try_from(of_hour.div_ceil(ROWS)).unwrap_or(SECONDS).clamp(1, SECONDS);
        (1..parts).for_each(|part| at(hour.plus(HOUR * part / parts)));
        rows += of_hour / u64::from(parts);
    }
    ranges.push(Range { from, to: None });
    ranges
}

async fn clicks(reports: &dyn Reports, link: SmartLinkId, range: Range) -> Result<Vec<ClickRow>> {
    let filter = ClickFilter::all(range);
    reports.clicks(link, filter).await
}

async fn conversions(reports: &dyn Reports, link: SmartLinkId, range: Range) -> Result<Vec<Conversion>> {
    let filter = ConversionFilter::all(range);
    reports.conversions(link, filter).await
}

async fn fans(reports: &dyn Reports, link: SmartLinkId) -> Result<Vec<FanUnderLink>> {
    let mut fans = reports.fans(link).await?;
    fans.sort_unstable_by(|a, b| a.fan.cmp(&b.fan));
    Ok(fans)
}

async fn days(reports: &dyn Reports, link: SmartLinkId) -> Result<Vec<FanDay>> {
    let mut days = reports.fan_days(link, Range::default()).await?;
    days.sort_unstable_by(|a, b| (a.day, &a.fan).cmp(&(b.day, &b.fan)));
    Ok(days)
}

async fn letters(sides: &Sides<'_>, team: TeamId, found: &mut Found) -> Result<()> {
    let mut after = None;
    loop {
        let was = sides.old.reports.dead_letters(team, LETTERS, after).await?;
        let is = sides.new.reports.dead_letters(team, LETTERS, after).await?;
        found.same_rows(format!("dead letters of team {}", team.0), &was, &is);
        after = was.last().map(|letter| letter.id);
        if was.len() < LETTERS || was != is {
            return Ok(());
        }
    }
}

fn is_money(row: &Conversion) -> bool {
    row.kind == ConversionKind::NewTransaction
}

fn in_words(totals: &LinkTotals) -> String {
    let LinkTotals { clicks, conversions, subscribers, spenders, revenue } = totals;
    let revenue = revenue.map_or_else(|| "no".to_owned(), |cents| cents.0.to_string());
    format!(
        "{clicks} clicks, {conversions} conversions, {subscribers} subscribers, {spenders} spenders, {revenue} cents"
    )
}

fn sums(hours: &[(Timestamp, Rollup)]) -> String {
    let mut sum = Rollup::default();
    for (_, hour) in hours {
        sum.clicks += hour.clicks;
        sum.bots += hour.bots;
        sum.duplicates += hour.duplicates;
        sum.conversions += hour.conversions;
        sum.gross += hour.gross;
    }
    let Rollup { clicks, bots, duplicates, conversions, gross, .. } = sum;
    format!(
        "{} hours with {clicks} clicks, {bots} bots, {duplicates} duplicates, {conversions} conversions, {} cents",
        hours.len(),
        gross.0
    )
}

fn hits(rows: &[ClickRow]) -> String {
    let hits: u64 = rows.iter().map(|row| u64::from(row.gross_clicks)).sum();
    format!("{} rows with {hits} hits", rows.len())
}

fn money(rows: &[Conversion]) -> String {
    let (gross, net): (Cents, Cents) =
        (rows.iter().map(|row| row.gross).sum(), rows.iter().map(|row| row.net).sum());
    format!("{} rows with {} cents gross, {} net", rows.len(), gross.0, net.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_no_moment_out_and_none_has_far_too_many_rows() {
        let hour =
            |number: i64, clicks| (Timestamp(number * 3_600_000), Rollup { clicks, ..Rollup::default() });
        assert_eq!(cut(&[]), [Range::default()]);
        let ranges = cut(&[hour(0, 15_000), hour(1, 6_000), hour(5, 1), hour(6, 50_000), hour(9, 4_000)]);
        let at = |minutes: i64| Some(Timestamp(minutes * 60_000));
        let expected =
            [(None, at(300)), (at(300), at(360)), (at(360), at(380)), (at(380), at(400)), (at(400), None)];
        assert_eq!(ranges, expected.map(|(from, to)| Range { from, to }));
        let ranges = cut(&[hour(0, u64::MAX / 2), hour(1, 1)]);
        assert_eq!(ranges.len(), 3601, "no range is shorter than a second");
    }
}
