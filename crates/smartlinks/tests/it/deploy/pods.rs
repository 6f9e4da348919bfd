//! Kubernetes manifests: what runs, who reaches it, how it stops.

use serde_json::Value;

use super::{
    default_ports,
    kubernetes::{container, of_kind, port, workloads},
    set, strings, text,
};

#[test]
fn pods_are_asked_at_addresses_that_exist_and_given_time_to_stop() {
    let (edge, admin) = default_ports();
    for (name, workload) in workloads() {
        let container = container(&workload);
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let asked = &container[probe]["httpGet"];
            let at = port(container, &asked["port"]);
            let path = asked["path"].as_str().unwrap();
            // Surface 2.
            let known = (at == edge && path == "/healthz")
                || (at == admin && ["/healthz", "/readyz"].contains(&path));
            assert!(known, "{name}: {probe}: {at} {path}");
        }
        // A stalled dependency must not make Kubernetes kill what still answers visitors.
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz", "{name}");
        let pod = &workload["spec"]["template"]["spec"];
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > before + super::STOP_SECONDS, "{name}: {grace} s");
    }
}

#[test]
fn pods_are_nobodys_root_bounded_and_write_nowhere_but_to_their_data() {
    for (name, workload) in workloads() {
        let pod = &workload["spec"]["template"]["spec"];
        let container = container(&workload);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let rights = &container["securityContext"];
        assert_eq!(rights["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(rights["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(strings(&rights["capabilities"]["drop"]), ["ALL"], "{name}");
        let resources = &container["resources"];
        assert!(
            resources["requests"]["cpu"].is_string() && resources["limits"]["memory"].is_string(),
            "{name}"
        );
        let config: toml::Table = text("kubernetes/smartlinks.toml").parse().unwrap();
        let data = config["data_dir"].as_str().unwrap();
        let mounts = container["volumeMounts"].as_array().unwrap();
        let writable: Vec<_> = mounts.iter().filter(|mount| mount["readOnly"] != true).collect();
        assert!(writable.len() == 1 && writable[0]["mountPath"] == data, "{name}: {writable:?}");
        // What writes a journal keeps it.
        let roles = strings(&container["args"]).pop().unwrap();
        let journals =
            ["edge", "intake", "matcher"].iter().any(|role| roles.split(',').any(|own| own == *role));
        assert_eq!(workload["spec"]["volumeClaimTemplates"].is_array(), journals, "{name}");
    }
}

/// The only label that tells workloads apart.
const COMPONENT: &str = "app.kubernetes.io/component";

#[test]
fn selectors_find_pods_and_everything_may_be_disrupted_one_by_one() {
    let workloads = workloads();
    let component = |labels: &Value| labels[COMPONENT].as_str().unwrap().to_owned();
    for (name, workload) in &workloads {
        let labels = component(&workload["spec"]["template"]["metadata"]["labels"]);
        assert_eq!(component(&workload["spec"]["selector"]["matchLabels"]), labels, "{name}");
        let budgets = of_kind("PodDisruptionBudget");
        let budget =
            budgets.iter().find(|budget| component(&budget["spec"]["selector"]["matchLabels"]) == labels);
        assert_eq!(budget.unwrap()["spec"]["maxUnavailable"], 1, "{name}");
        assert!(workload["spec"]["replicas"].as_u64().unwrap() > 1, "{name}: one at a time needs two");
        if let Some(governing) = workload["spec"]["serviceName"].as_str() {
            let services = of_kind("Service");
            let service = services.iter().find(|service| service["metadata"]["name"] == governing).unwrap();
            assert_eq!(service["spec"]["clusterIP"], "None", "{governing}");
        }
    }
    for service in of_kind("Service") {
        let target = component(&service["spec"]["selector"]);
        let (_, workload) = workloads.iter().find(|(name, _)| *name == target).unwrap();
        for own in service["spec"]["ports"].as_array().unwrap() {
            port(container(workload), &own["targetPort"]);
        }
    }
    for ingress in of_kind("Ingress") {
        for path in ingress["spec"]["rules"][0]["http"]["paths"].as_array().unwrap() {
            let backend = &path["backend"]["service"];
            let services = of_kind("Service");
            let service =
                services.iter().find(|service| service["metadata"]["name"] == backend["name"]).unwrap();
            let ports = service["spec"]["ports"].as_array().unwrap();
            assert!(ports.iter().any(|port| port["name"] == backend["port"]["name"]), "{path}");
            // Of the admin listener nothing else is for the public.
            if backend["name"] == "api" {
                assert_eq!(
                    (&path["path"], &path["pathType"]),
                    (&"/webhooks/onlyfansapi".into(), &"Exact".into())
                );
            }
        }
    }
}

#[test]
fn policies_close_what_they_do_not_open_and_the_edge_never_reaches_the_internet() {
    let policies = of_kind("NetworkPolicy");
    let all = policies.iter().find(|policy| policy["spec"]["podSelector"] == serde_json::json!({})).unwrap();
    assert_eq!(set(strings(&all["spec"]["policyTypes"])), set(["Egress".to_owned(), "Ingress".to_owned()]));
    assert!(all["spec"]["ingress"].is_null() && all["spec"]["egress"].is_null());
    let (edge, admin) = default_ports();
    for policy in &policies {
        let selector = &policy["spec"]["podSelector"];
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            assert!(rule["from"].is_array(), "{}: from everywhere", policy["metadata"]["name"]);
            for port in rule["ports"].as_array().unwrap() {
                assert!([edge, admin].map(Value::from).contains(&port["port"]), "{port}");
            }
        }
        let rules = policy["spec"]["egress"].as_array().into_iter().flatten();
        for to in rules.flat_map(|rule| rule["to"].as_array().unwrap()).filter(|to| to["ipBlock"].is_object())
        {
            let who = strings(&selector["matchExpressions"][0]["values"]);
            assert!(!who.is_empty() && !who.contains(&"edge".to_owned()), "{who:?} {to}");
            assert!(!strings(&to["ipBlock"]["except"]).is_empty(), "private addresses, too: {to}");
        }
    }
}
