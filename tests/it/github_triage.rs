//! The example github-triage on real input: every payload of `@octokit/webhooks-examples`, posted as GitHub would post it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::*;

#[derive(serde::Deserialize)]
struct Delivery {
    event: String,
    payload: Box<RawValue>,
}

/// What `expected.mjs` says, which shares no code with the processor.
fn ask_node<T: serde::de::DeserializeOwned>(mode: &str) -> T {
    let installed = repository().join("target/webhooks-examples/node_modules/@octokit/webhooks-examples");
    let examples = std::env::var_os("PELTON_WEBHOOK_EXAMPLES").map_or(installed, PathBuf::from);
    assert!(examples.is_dir(), "{} is not there; run `cargo xtask webhook-examples` first", examples.display());
    let script = repository().join("plugins/examples/github-triage/expected.mjs");
    let output = Command::new("node").arg(script).arg(mode).arg(examples).output().expect("node is needed, and not on the PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_payload_of_github_is_kept_counted_and_triaged() {
    let deliveries: Vec<Delivery> = ask_node("--deliveries");
    let expected: Value = ask_node("--expected");
    let labelled = expected["labelled"].as_array().unwrap();
    assert!(deliveries.len() > 300 && labelled.len() > 3, "{} deliveries, {} labelled", deliveries.len(), labelled.len());

    let mut server = Server::start();
    server.deploy("/github/hooks", "triage", "github-triage", json!({}));
    let mut offsets = Vec::new();
    for (nth, delivery) in deliveries.iter().enumerate() {
        let id = format!("00000000-0000-0000-0000-{nth:012}");
        let headers = [
            ("content-type", "application/json"),
            ("user-agent", "GitHub-Hookshot/044aadd"),
            ("x-github-delivery", &*id),
            ("x-github-event", &*delivery.event),
            ("x-hub-signature-256", "sha256=57f10e6e1f3a8d5c"),
        ];
        let recorded = server.send("POST", "/api/streams/github/hooks", &headers, delivery.payload.get().as_bytes()).ok()["event"].take();
        assert_eq!(recorded["type"], "stream/invalid-event-appended");
        assert_eq!(recorded["payload"]["rawInput"], serde_json::from_str::<Value>(delivery.payload.get()).unwrap());
        assert_eq!(recorded["metadata"]["headers"]["x-github-delivery"], id);
        offsets.push(recorded["offset"].clone());
        if nth == deliveries.len() / 2 {
            server.kill_and_start_again();
        }
    }

    let state = server.settled("/github/hooks")["processors"]["triage"]["state"].take();
    assert_eq!(state, expected["state"]);
    let log = server.log_of_type("/github/hooks", "triage/labelled");
    let found: Vec<_> = log.iter().map(|event| &event["payload"]).collect();
    let wanted: Vec<_> = labelled
        .iter()
        .map(|label| {
            let mut label = label.as_object().unwrap().clone();
            let delivery = label.remove("delivery").and_then(|nth| usize::try_from(nth.as_u64()?).ok()).unwrap();
            label.insert("to".to_owned(), offsets[delivery].clone());
            Value::from(label)
        })
        .collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>());
    assert!(!server.get("/api/streams/github/hooks").text().contains("57f10e6e1f3a8d5c"), "signatures are not kept");
}
