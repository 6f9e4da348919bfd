//! Prometheus and Grafana: nothing is asked for that the binary does not record.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{deploy, files, promql::Recorded, said, set, text, tool, yaml};

/// Alerts with their expressions.
fn alerts() -> Vec<Value> {
    let [rules] = yaml("prometheus/alerts.yml").try_into().unwrap();
    let groups = rules["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/smartlinks.json")).unwrap()
}

/// Expressions of the dashboard's panels, as Prometheus gets them.
fn panels() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let filled = |text: &str| text.replace("$__rate_interval", "1m").replace("$instance", ".*");
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let expressions = targets.into_iter().map(|target| filled(target["expr"].as_str().unwrap()));
        expressions.map(|expression| (title.clone(), expression)).collect::<Vec<_>>()
    };
    dashboard["panels"].as_array().unwrap().iter().flat_map(of_panel).collect()
}

#[test]
fn alerts_and_panels_ask_only_for_what_the_binary_records() {
    let recorded = Recorded::read();
    for alert in alerts() {
        recorded.assert_answers(alert["expr"].as_str().unwrap(), alert["alert"].as_str().unwrap());
    }
    let shown: BTreeSet<String> =
        panels().iter().flat_map(|(title, expression)| recorded.assert_answers(expression, title)).collect();
    // And the dashboard shows everything that is recorded: sums and counts are in the buckets.
    let missing: Vec<_> = recorded
        .names()
        .into_iter()
        .filter(|name| !shown.contains(name) && !name.ends_with("_sum") && !name.ends_with("_count"))
        .collect();
    assert!(missing.is_empty(), "no panel shows {missing:?}");
}

#[test]
fn what_is_never_recorded_is_found() {
    let recorded = Recorded::read();
    for wrong in [
        "smartlinks_clicks",
        "sum by (colour) (smartlinks_clicks_total)",
        "smartlinks_outbox{state=\"asleep\"}",
        "smartlinks_outbox{kind=\"parked\"}",
        "rate(smartlinks_clicks_total)",
    ] {
        assert!(std::panic::catch_unwind(|| recorded.assert_answers(wrong, "a test")).is_err(), "{wrong}");
    }
}

#[test]
fn alerts_say_how_bad_it_is_and_what_it_means_and_each_has_its_tests() {
    let [tests] = yaml("prometheus/alerts.test.yml").try_into().unwrap();
    let mut tested: Vec<&str> =
        tests["tests"].as_array().unwrap().iter().map(|test| test["name"].as_str().unwrap()).collect();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(["page", "warn"].map(Value::from).contains(&alert["labels"]["severity"]), "{name}");
        assert!(alert["annotations"]["summary"].as_str().unwrap().len() > 20, "{name}");
        for case in [format!("{name} speaks"), format!("{name} is quiet")] {
            let at =
                tested.iter().position(|test| *test == case).unwrap_or_else(|| panic!("no test: {case}"));
            tested.remove(at);
        }
        tested.retain(|test| *test != format!("{name} speaks at the first"));
    }
    assert!(tested.is_empty(), "tests of no alert: {tested:?}");
}

#[test]
fn promtool_agrees() {
    for (what, file) in [
        (["check", "rules"], "alerts.yml"),
        (["check", "config"], "prometheus.yml"),
        (["test", "rules"], "alerts.test.yml"),
    ] {
        let path = deploy("prometheus").join(file);
        if let Some(output) = tool("promtool", &[what[0], what[1], path.to_str().unwrap()]) {
            assert!(output.status.success(), "{file}: {}", said(&output));
        }
    }
}

#[test]
fn prometheus_looks_where_the_processes_answer() {
    let [compose] = yaml("compose/cluster.yml").try_into().unwrap();
    let ours = compose["services"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, service)| service["image"] == "smartlinks");
    let (_, admin) = super::default_ports();
    let expected = set(ours.map(|(name, _)| format!("{name}:{admin}")));
    for file in files("prometheus", ".yml").into_iter().filter(|file| !file.contains("alerts")) {
        let [config] = yaml(&file).try_into().unwrap();
        for job in config["scrape_configs"].as_array().unwrap() {
            // Alerts ask for this job.
            assert_eq!(job["job_name"], "smartlinks", "{file}");
            for fixed in job["static_configs"].as_array().into_iter().flatten() {
                assert_eq!(set(super::strings(&fixed["targets"])), expected, "{file}");
            }
        }
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_can_place() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(set(panels.iter().map(|panel| panel["id"].as_u64().unwrap())).len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} lies on another panel", panel["title"]);
        }
    }
    for file in files("grafana/provisioning/dashboards", ".yml") {
        let [provider] = yaml(&file).try_into().unwrap();
        let folder = provider["providers"][0]["options"]["path"].as_str().unwrap();
        assert!(text("compose/cluster.yml").contains(&format!(":{folder}/smartlinks.json")), "{file}");
    }
}
