//! Kubernetes manifests: read into the API's own types, and held against what the binary serves.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{Namespace, Secret, Service},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    serde::{Serialize, de::DeserializeOwned},
};
use serde_json::Value;

use super::{
    assert_every_role_once, assert_known_roles, default_ports, files, set, settings, strings, text, tool,
    yaml,
};

/// What `kubectl apply -k` sends, before kustomize adds names and labels, and the example of a secret.
fn documents() -> Vec<(String, Value)> {
    let named = |file: String| yaml(&file).into_iter().map(move |document| (file.clone(), document));
    files("kubernetes", ".yaml")
        .into_iter()
        .filter(|file| !file.ends_with("/kustomization.yaml"))
        .flat_map(named)
        .collect()
}

fn workloads() -> Vec<(String, Value)> {
    let runs = |document: &Value| document["spec"]["template"].is_object();
    documents()
        .into_iter()
        .filter(|(_, document)| runs(document))
        .map(|(_, document)| (document["metadata"]["name"].as_str().unwrap().to_owned(), document))
        .collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    documents()
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| document["kind"] == kind)
        .collect()
}

fn container(workload: &Value) -> &Value {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

/// Number of a container's port.
fn port(container: &Value, name: &Value) -> u64 {
    let ports = container["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["name"] == *name).unwrap_or_else(|| panic!("no port {name}"));
    port["containerPort"].as_u64().unwrap()
}

/// Every field is one the type has: what a type does not know gets lost on the way through it.
fn assert_is<T: DeserializeOwned + Serialize>(document: &Value, whose: &str) {
    let typed: T =
        serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{whose}: {error}"));
    assert_kept(document, &serde_json::to_value(typed).unwrap(), whose);
}

fn assert_kept(written: &Value, known: &Value, at: &str) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (key, value) in written {
                let there = known.get(key).unwrap_or_else(|| panic!("{at}: there is no field {key}"));
                assert_kept(value, there, &format!("{at}.{key}"));
            }
        }
        (Value::Array(written), Value::Array(known)) => {
            assert_eq!(written.len(), known.len(), "{at}");
            for (index, (written, known)) in written.iter().zip(known).enumerate() {
                assert_kept(written, known, &format!("{at}[{index}]"));
            }
        }
        _ => assert_eq!(written, known, "{at}"),
    }
}

#[test]
fn manifests_are_of_the_kinds_they_say_and_have_no_field_that_the_api_does_not_know() {
    for (file, document) in documents() {
        let whose = format!("{file}: {}", document["metadata"]["name"]);
        match (document["apiVersion"].as_str().unwrap(), document["kind"].as_str().unwrap()) {
            ("apps/v1", "StatefulSet") => assert_is::<StatefulSet>(&document, &whose),
            ("apps/v1", "Deployment") => assert_is::<Deployment>(&document, &whose),
            ("v1", "Service") => assert_is::<Service>(&document, &whose),
            ("v1", "Namespace") => assert_is::<Namespace>(&document, &whose),
            ("v1", "Secret") => assert_eq!(document["stringData"].as_object().unwrap().len(), 3, "{whose}"),
            ("policy/v1", "PodDisruptionBudget") => assert_is::<PodDisruptionBudget>(&document, &whose),
            ("networking.k8s.io/v1", "NetworkPolicy") => assert_is::<NetworkPolicy>(&document, &whose),
            ("networking.k8s.io/v1", "Ingress") => assert_is::<Ingress>(&document, &whose),
            other => panic!("{whose}: {other:?} is not checked"),
        }
    }
    // `stringData` is only written, so the way back does not show it.
    let typed: Secret = serde_json::from_value(of_kind("Secret").remove(0)).unwrap();
    assert!(typed.string_data.is_some());
}

#[test]
fn a_misspelt_field_is_found() {
    let (name, mut edge) = workloads().into_iter().find(|(name, _)| name == "edge").unwrap();
    edge["spec"]["template"]["spec"]["terminationGracePeriod"] = Value::from(30);
    assert!(std::panic::catch_unwind(|| assert_is::<StatefulSet>(&edge, &name)).is_err());
}

#[test]
fn the_kustomization_names_every_manifest_but_the_example() {
    let [kustomization] = yaml("kubernetes/kustomization.yaml").try_into().unwrap();
    let here =
        files("kubernetes", ".yaml").into_iter().map(|file| file.rsplit('/').next().unwrap().to_owned());
    let here = here.filter(|file| file != "kustomization.yaml" && file != "secret.example.yaml");
    assert_eq!(set(strings(&kustomization["resources"])), set(here));
    for config in kustomization["configMapGenerator"].as_array().unwrap() {
        strings(&config["files"]).iter().for_each(|file| drop(text(&format!("kubernetes/{file}"))));
    }
    let directory = super::deploy("kubernetes");
    if let Some(rendered) = tool("kubectl", &["kustomize", directory.to_str().unwrap()]) {
        assert!(rendered.status.success(), "{}", super::said(&rendered));
        let rendered: Vec<Value> = serde_saphyr::from_multiple(&super::said(&rendered)).unwrap();
        let maps = rendered.iter().filter(|document| document["kind"] == "ConfigMap").count();
        assert_eq!(rendered.len(), documents().len() - of_kind("Secret").len() + maps);
    }
}

#[test]
fn the_workloads_run_every_role_once_with_settings_that_the_binary_takes() {
    let workloads = workloads();
    let mut sets = Vec::new();
    for (name, workload) in &workloads {
        let container = container(workload);
        let arguments = strings(&container["args"]);
        let [serve, config, path, flag, roles] = <[String; 5]>::try_from(arguments).unwrap();
        assert_eq!([serve, config, flag], ["serve", "--config", "--roles"], "{name}");
        assert_eq!(path, "/etc/smartlinks/smartlinks.toml");
        assert_known_roles(&roles, name);
        sets.push(roles);
        let variables: Vec<(String, String)> = container["env"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| {
                (pair["name"].as_str().unwrap().to_owned(), pair["value"].as_str().unwrap().to_owned())
            })
            .collect();
        settings::assert_taken(name, Some("kubernetes/smartlinks.toml"), &variables);
        assert_secrets_are_mounted(name, workload, &variables);
    }
    assert_every_role_once(sets.iter().map(String::as_str), "kubernetes");
}

/// Every file that is read is a key of the secret and mounted here.
fn assert_secrets_are_mounted(name: &str, workload: &Value, variables: &[(String, String)]) {
    let keys = of_kind("Secret").remove(0)["stringData"].clone();
    let volumes = workload["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let mounted = volumes.iter().find(|volume| volume["name"] == "secrets").unwrap();
    let config: toml::Table = text("kubernetes/smartlinks.toml").parse().unwrap();
    let of_all = config["secrets"]["key_file"].as_str().unwrap();
    let paths = variables.iter().filter(|(name, _)| name.ends_with("_FILE")).map(|(_, path)| path.as_str());
    for path in paths.chain([of_all]) {
        let key = path.strip_prefix("/run/secrets/smartlinks/").unwrap_or_else(|| panic!("{name}: {path}"));
        assert!(keys[key].is_string(), "{name}: the secret has no {key}");
        if let Some(items) = mounted["secret"]["items"].as_array() {
            assert!(items.iter().any(|item| item["path"] == key), "{name}: {key} is not mounted");
        }
    }
}

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
