//! What a person sees while the demo runs: addresses, one line of figures, the summary in words.

use std::io::{IsTerminal, Write};

use super::{
    figures::Figures,
    stage::Stage,
    summary::{Credit, Summary},
};
use crate::out::{hint, tell};

/// Prints to stderr, so that stdout is the summary's.
pub(crate) struct View {
    live: bool,
    last: f64,
}

/// Without a terminal a line is worth printing this often, seconds.
const SELDOM: f64 = 5.0;

impl View {
    pub(crate) fn new() -> Self {
        Self { live: std::io::stderr().is_terminal(), last: 0.0 }
    }

    /// The first word, before there is anything to look at.
    pub(crate) fn starting() {
        tell!("smartlinks demo: the creator platform, the ad platforms and the service are starting");
    }

    pub(crate) fn welcome(stage: &Stage, ends: bool) {
        let link =
            stage.creators.first().and_then(|creator| creator.links.first()).map_or("", String::as_str);
        tell!(
            "simulated people click, subscribe and spend; nothing leaves this machine\n\
             \n  redirector      http://{}/go/{link}\n  dashboard, API  http://{}/\n  API key         {}\n  \
             creator platform {}/_sim/state   ad platforms {}/_sim/state\n",
            stage.edge,
            stage.service.admin,
            stage.key,
            stage.platform.url(),
            stage.ads.url(),
        );
        if !ends {
            tell!("  Ctrl-C settles and prints the summary; a second one ends at once\n");
        }
    }

    /// One line of figures, in place of the one before.
    pub(crate) fn line(&mut self, seconds: f64, what: &str, figures: &Figures) {
        if !self.live && seconds - self.last < SELDOM {
            return;
        }
        self.last = seconds;
        let text = text(seconds, what, figures);
        if self.live {
            // A line that is wrapped could not be taken back.
            hint(format_args!("\r\x1b[2K{}", fitting(&text, columns())));
            // A terminal that is gone is not worth a failure.
            let _ = std::io::stderr().flush();
        } else {
            tell!("{text}");
        }
    }

    /// Ends the line of figures.
    pub(crate) fn done(&self) {
        if self.live {
            hint(format_args!("\n"));
        }
    }
}

/// The line of figures; as a rule it fits into 80 columns.
fn text(seconds: f64, what: &str, figures: &Figures) -> String {
    let clicks = &figures.clicks;
    format!(
        "{seconds:>4.0} s {what}: {} clicks +{} again, {} bots; {} fans ${}; told {}/{}",
        clicks.person,
        clicks.repeat,
        clicks.bot,
        figures.subscribers,
        dollars(figures.revenue_cents),
        figures.outbox.delivered,
        figures.outbox.due(),
    )
}

/// Columns of the terminal that stderr is.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(0, |size| usize::from(size.ws_col))
}

/// What of a text goes on one line; of a terminal that does not know its width 80 columns are believed.
fn fitting(text: &str, columns: usize) -> String {
    let columns = if columns == 0 { 80 } else { columns };
    // The last column makes some terminals wrap.
    text.chars().take(columns - 1).collect()
}

/// The summary for people.
pub(crate) fn words(summary: &Summary, off: &[String]) -> String {
    let Summary { clicks, pool, subscribers, revenue_cents, deliveries, redirect_ms, .. } = summary;
    let credit = |credit: &Credit, show: fn(i64) -> String| {
        format!(
            "{} attributed, {} expected, {} simulated in all",
            show(credit.attributed),
            show(credit.expected),
            show(credit.simulated)
        )
    };
    let told: Vec<String> = deliveries.told.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let mut text = format!(
        "\nclicks       {} by people, {} repeats, {} bots, {} speculative; {} late, {} lost\n\
         pool links   {} fresh, {} recycled, {} overflow, {} profile\n\
         subscribers  {}\n\
         revenue      {}\n\
         deliveries   {} due, {} accepted, {} distinct at the receivers, {} parked\n\
         ... told to  {}\n\
         redirects    p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms (simulators and service share this machine)\n",
        clicks.person,
        clicks.repeat,
        clicks.bot,
        clicks.speculative,
        clicks.late,
        clicks.lost,
        pool.fresh,
        pool.recycled,
        pool.overflow,
        pool.profile,
        credit(subscribers, |count| count.to_string()),
        credit(revenue_cents, |cents| format!("${}", dollars(cents))),
        deliveries.due,
        deliveries.accepted_by_receiver,
        deliveries.distinct_at_receiver,
        deliveries.parked,
        told.join(", "),
        redirect_ms.p50,
        redirect_ms.p99,
        redirect_ms.max,
    );
    if off.is_empty() {
        text.push_str("\nbalanced: every number agrees with the simulators' own books");
    } else {
        text.push_str("\nNOT BALANCED\n  ");
        text.push_str(&off.join("\n  "));
    }
    text
}

fn dollars(cents: i64) -> String {
    sl_core::money::Cents(cents).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_figures_fits_into_a_terminal() {
        let mut figures = Figures::default();
        (figures.clicks.person, figures.clicks.repeat, figures.clicks.bot) = (3_412, 812, 640);
        (figures.subscribers, figures.revenue_cents) = (312, 1_234_567);
        let text = text(212.0, "settling", &figures);
        assert!(text.chars().count() < 80, "{text}");
        for columns in [1, 40, 80, 200] {
            assert!(fitting(&text, columns).chars().count() < columns, "{columns}");
        }
        assert_eq!(fitting(&text, 0), text);
    }
}
