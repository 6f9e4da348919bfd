//! What a PromQL expression asks for, held against what the sources record.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use promql_parser::{
    label::MatchOp,
    parser::{AggregateExpr, Expr, LabelModifier, VectorSelector, parse},
    util::{ExprVisitor, walk_expr},
};

/// Labels that Prometheus and the scrape configurations here add.
const SCRAPED: [&str; 4] = ["instance", "job", "pod", "role"];

/// Every metric with its labels, and every text of the sources: a label's value is one of those.
pub(super) struct Recorded {
    labels: BTreeMap<String, BTreeSet<String>>,
    sources: String,
}

impl Recorded {
    /// Reads the table of names and every place that records.
    pub(super) fn read() -> Self {
        let table = include_str!("../../../src/metrics.rs");
        let (table, _) = table.split_once("\n];").unwrap();
        let words: Vec<&str> = table.split('"').collect();
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let ours = |name: &str| ["smartlinks_", "process_"].iter().any(|prefix| name.starts_with(prefix));
        for pair in words.windows(2).filter(|pair| ours(pair[0])) {
            let kind = pair[1].trim_start_matches([',', ' ']).trim();
            if kind.starts_with("Histogram") {
                labels.insert(format!("{}_bucket", pair[0]), BTreeSet::from(["le".to_owned()]));
                labels.insert(format!("{}_sum", pair[0]), BTreeSet::new());
                labels.insert(format!("{}_count", pair[0]), BTreeSet::new());
            } else {
                assert!(kind.starts_with("Counter") || kind.starts_with("Gauge"), "{kind}");
                labels.insert(pair[0].to_owned(), BTreeSet::new());
            }
        }
        let mut sources = String::new();
        read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut sources);
        let mut recorded = Self { labels, sources };
        recorded.find_labels();
        recorded
    }

    /// Names of all metrics, as Prometheus has them.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.labels.keys().cloned().collect()
    }

    fn find_labels(&mut self) {
        for (name, labels) in &mut self.labels {
            for (at, _) in self.sources.match_indices(&format!("!(\"{name}\"")) {
                let call = &self.sources[at..];
                let call = &call[..call.find(';').unwrap()];
                labels.extend(call.split('"').skip(3).step_by(2).map(str::to_owned));
                // Labels that are made before: `let labels = [("account", …), …]; gauge!("…", &labels)`.
                if call.contains("&labels") {
                    let before = &self.sources[..at];
                    let made = &before[before.rfind("let labels = [").unwrap()..];
                    let firsts =
                        made.split('(').skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                    labels.extend(firsts.filter(|rest| rest.contains("\",")).map(first_text));
                }
            }
        }
    }

    /// The expression is PromQL, and asks for nothing that is never recorded.
    pub(super) fn assert_answers(&self, expression: &str, whose: &str) -> BTreeSet<String> {
        let parsed = parse(expression).unwrap_or_else(|error| panic!("{whose}: {expression}: {error}"));
        let mut asked = Asked { recorded: self, whose, metrics: BTreeSet::new() };
        let _ = walk_expr(&mut asked, &parsed);
        assert!(!asked.metrics.is_empty(), "{whose}: {expression} asks for nothing");
        asked.metrics
    }

    fn assert_label(&self, metric: &str, label: &str, whose: &str) {
        let known = metric == "up" || self.labels.contains_key(metric);
        assert!(known, "{whose}: nothing records {metric}");
        let own = self.labels.get(metric).is_some_and(|labels| labels.contains(label));
        assert!(own || SCRAPED.contains(&label), "{whose}: {metric} has no label {label}");
    }

    fn assert_value(&self, value: &str, whose: &str) {
        // A status class such as `2..` is no word of the sources.
        if value.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') {
            assert!(self.sources.contains(&format!("\"{value}\"")), "{whose}: nothing is labelled {value:?}");
        }
    }
}

fn first_text(rest: &str) -> String {
    rest.split('"').next().unwrap().to_owned()
}

fn read_sources(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("target") {
            read_sources(&path, all);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

struct Asked<'a> {
    recorded: &'a Recorded,
    whose: &'a str,
    metrics: BTreeSet<String>,
}

impl Asked<'_> {
    fn selector(&mut self, selector: &VectorSelector) {
        let name =
            selector.name.as_deref().unwrap_or_else(|| panic!("{}: a selector without a name", self.whose));
        self.recorded.assert_label(name, "instance", self.whose);
        for matcher in &selector.matchers.matchers {
            self.recorded.assert_label(name, &matcher.name, self.whose);
            let own = !SCRAPED.contains(&matcher.name.as_str());
            match matcher.op {
                MatchOp::Equal | MatchOp::NotEqual if own => {
                    self.recorded.assert_value(&matcher.value, self.whose)
                }
                MatchOp::Re(_) | MatchOp::NotRe(_) if own => {
                    matcher.value.split('|').for_each(|value| self.recorded.assert_value(value, self.whose));
                }
                _ => {}
            }
        }
        self.metrics.insert(name.to_owned());
    }
}

impl ExprVisitor for Asked<'_> {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(AggregateExpr {
                expr, modifier: Some(LabelModifier::Include(labels)), ..
            }) => {
                let mut below =
                    Asked { recorded: self.recorded, whose: self.whose, metrics: BTreeSet::new() };
                walk_expr(&mut below, expr)?;
                for label in &labels.labels {
                    below
                        .metrics
                        .iter()
                        .for_each(|metric| self.recorded.assert_label(metric, label, self.whose));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}
