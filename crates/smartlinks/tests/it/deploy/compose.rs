//! Compose files.

use serde_json::Value;

use super::{
    assert_every_role_once, assert_known_roles, default_ports, files, set, settings, strings, text, yaml,
};

fn services(file: &str) -> Vec<(String, Value)> {
    let [compose] = yaml(file).try_into().unwrap();
    let services = compose["services"].as_object().unwrap().clone();
    services.into_iter().collect()
}

fn is_ours(service: &Value) -> bool {
    service["image"] == "smartlinks"
}

/// `environment` and what it sets.
fn variables(service: &Value) -> Vec<(String, String)> {
    let stated = service["environment"].as_object().into_iter().flatten();
    let pairs = stated.map(|(name, value)| (name.clone(), filled(value.as_str().unwrap_or_default())));
    pairs.filter(|(name, _)| name.starts_with("SMARTLINKS_")).collect()
}

/// `${NAME:-default}` is its default.
fn filled(value: &str) -> String {
    let inner = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.map_or(value, |inner| inner.split_once(":-").unwrap().1).to_owned()
}

#[test]
fn compose_files_are_as_their_published_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../../data/compose-spec.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in files("compose", ".yml") {
        for document in yaml(&file) {
            let wrong: Vec<_> = validator
                .iter_errors(&document)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{file}: {wrong:#?}");
        }
    }
    assert!(!validator.is_valid(&serde_json::json!({ "services": { "edge": { "imag": "smartlinks" } } })));
}

#[test]
fn what_a_service_names_is_declared() {
    for file in files("compose", ".yml") {
        let [compose] = yaml(&file).try_into().unwrap();
        let declared =
            |what: &str| set(compose[what].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        for (name, service) in services(&file) {
            for secret in strings(&service["secrets"]) {
                assert!(declared("secrets").contains(&secret), "{file}: {name}: secret {secret}");
            }
            for config in service["configs"].as_array().into_iter().flatten() {
                assert!(
                    declared("configs").contains(config["source"].as_str().unwrap()),
                    "{file}: {name}: {config}"
                );
            }
            for volume in strings(&service["volumes"]) {
                let source = volume.split(':').next().unwrap();
                let there = match source.strip_prefix("../") {
                    Some(path) => super::deploy(path).exists(),
                    None => declared("volumes").contains(source),
                };
                assert!(there, "{file}: {name}: volume {volume}");
            }
            for other in service["depends_on"].as_object().into_iter().flatten().map(|(name, _)| name) {
                let of_other = &compose["services"][other];
                assert!(
                    of_other["healthcheck"]["test"].is_array(),
                    "{file}: {other} says nothing of its health"
                );
            }
        }
        for (name, config) in compose["configs"].as_object().into_iter().flatten() {
            let path = format!("compose/{}", config["file"].as_str().unwrap());
            assert!(super::deploy(&path).exists(), "{file}: config {name}");
        }
    }
}

#[test]
fn services_get_settings_that_the_binary_takes_and_time_to_stop() {
    let (edge, admin) = default_ports();
    for file in files("compose", ".yml") {
        for (name, service) in services(&file).into_iter().filter(|(_, service)| is_ours(service)) {
            let whose = format!("{file}: {name}");
            let variables = variables(&service);
            let config = variables.iter().find(|(name, _)| name == "SMARTLINKS_CONFIG");
            let config = config.map(|(_, path)| format!("compose/{}", path.rsplit('/').next().unwrap()));
            settings::assert_taken(&whose, config.as_deref(), &variables);
            // A secret that is read is one that is there.
            for (_, path) in variables.iter().filter(|(name, _)| name.ends_with("_FILE")) {
                let secret = path.strip_prefix("/run/secrets/").unwrap();
                assert!(strings(&service["secrets"]).contains(&secret.to_owned()), "{whose}: {secret}");
            }
            let grace = service["stop_grace_period"].as_str().unwrap();
            let seconds: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
            assert!(seconds > super::STOP_SECONDS, "{whose}: {grace}");
            for port in strings(&service["ports"]) {
                let inside: u64 = port.rsplit(':').next().unwrap().parse().unwrap();
                assert!(inside == edge || inside == admin, "{whose}: {port}");
                assert!(
                    inside == edge || port.starts_with("127.0.0.1:"),
                    "{whose}: {port} is open to everybody"
                );
            }
            let data = strings(&service["volumes"]);
            assert!(data.iter().any(|volume| volume.ends_with(":/var/lib/smartlinks")), "{whose}: {data:?}");
        }
    }
}

/// More copies than there are servers: no topic could be made, and no row read.
#[test]
fn there_are_as_many_brokers_and_nodes_as_copies() {
    let settings: toml::Table = text("compose/cluster.toml").parse().unwrap();
    for (section, image) in [("kafka", "apache/kafka"), ("scylla", "scylladb/scylla")] {
        let of_image = |(_, service): &(String, Value)| service["image"].as_str().unwrap().starts_with(image);
        let servers = services("compose/cluster.yml").into_iter().filter(of_image).count();
        let copies = settings[section]["replication"].as_integer().unwrap();
        assert!(
            servers >= 1 && copies == i64::try_from(servers).unwrap(),
            "{section}: {copies} of {servers}"
        );
    }
}

#[test]
fn the_services_of_the_cluster_run_every_role_once() {
    let commands: Vec<Vec<String>> = services("compose/cluster.yml")
        .iter()
        .filter(|(_, service)| is_ours(service))
        .map(|(_, service)| strings(&service["command"]))
        .collect();
    let roles: Vec<&str> = commands
        .iter()
        .map(|command| match command.as_slice() {
            [serve, flag, roles] if serve == "serve" && flag == "--roles" => roles.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_every_role_once(roles.iter().copied(), "compose/cluster.yml");
    roles.iter().for_each(|roles| assert_known_roles(roles, "compose/cluster.yml"));
}
