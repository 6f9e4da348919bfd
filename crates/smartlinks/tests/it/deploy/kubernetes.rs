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

use super::{assert_every_role_once, assert_known_roles, files, set, settings, strings, text, tool, yaml};

/// What `kubectl apply -k` sends, before kustomize adds names and labels, and the example of a secret.
fn documents() -> Vec<(String, Value)> {
    let named = |file: String| yaml(&file).into_iter().map(move |document| (file.clone(), document));
    files("kubernetes", ".yaml")
        .into_iter()
        .filter(|file| !file.ends_with("/kustomization.yaml"))
        .flat_map(named)
        .collect()
}

pub(super) fn workloads() -> Vec<(String, Value)> {
    let runs = |document: &Value| document["spec"]["template"].is_object();
    documents()
        .into_iter()
        .filter(|(_, document)| runs(document))
        .map(|(_, document)| (document["metadata"]["name"].as_str().unwrap().to_owned(), document))
        .collect()
}

pub(super) fn of_kind(kind: &str) -> Vec<Value> {
    documents()
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| document["kind"] == kind)
        .collect()
}

pub(super) fn container(workload: &Value) -> &Value {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    &containers[0]
}

/// Number of a container's port.
pub(super) fn port(container: &Value, name: &Value) -> u64 {
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

/// Every file that is read is a key of the secret and mounted here, and no other key is.
fn assert_secrets_are_mounted(name: &str, workload: &Value, variables: &[(String, String)]) {
    let keys = of_kind("Secret").remove(0)["stringData"].clone();
    let volumes = workload["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let mounted = volumes.iter().find(|volume| volume["name"] == "secrets").unwrap();
    let config: toml::Table = text("kubernetes/smartlinks.toml").parse().unwrap();
    let of_all = config["secrets"]["key_file"].as_str().unwrap();
    let paths = variables.iter().filter(|(name, _)| name.ends_with("_FILE")).map(|(_, path)| path.as_str());
    let mut read = Vec::new();
    for path in paths.chain([of_all]) {
        let key = path.strip_prefix("/run/secrets/smartlinks/").unwrap_or_else(|| panic!("{name}: {path}"));
        assert!(keys[key].is_string(), "{name}: the secret has no {key}");
        read.push(key);
    }
    let items = mounted["secret"]["items"].as_array().unwrap_or_else(|| panic!("{name} gets every secret"));
    let paths = items.iter().map(|item| item["path"].as_str().unwrap());
    assert_eq!(set(paths), set(read), "{name}: mounted, and read");
}
