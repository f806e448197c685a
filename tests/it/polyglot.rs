//! A plugin is a plugin, whatever it is written in.

use serde_json::json;

use crate::support::*;

/// Uploads the example in one language, sees it answer, and sees it go on where it was after a kill.
fn check(plugin: &str) {
    let mut server = Server::start();
    server.deploy("/room", "answers", plugin, json!({}));
    server.append("/room", &json!({ "type": "ping", "payload": { "message": "hé 🦀" } }));
    server.settled("/room");
    server.kill_and_start_again();
    server.append("/room", &event("ping"));
    let state = server.settled("/room");

    assert_eq!(state["processors"]["answers"]["state"], json!({ "count": 2, "last": null }), "{state:#}");
    let pings: Vec<_> = server.log_of_type("/room", "ping").iter().map(|ping| ping["offset"].clone()).collect();
    let pongs: Vec<_> = server.log_of_type("/room", "pong").iter().map(|pong| pong["payload"].clone()).collect();
    assert_eq!(pongs, [json!({ "to": pings[0], "count": 1, "message": "hé 🦀" }), json!({ "to": pings[1], "count": 2 })]);
}

#[test]
fn a_plugin_in_rust_reacts_and_goes_on_after_a_kill() {
    check("ping-pong");
}

#[test]
fn a_plugin_in_javascript_reacts_and_goes_on_after_a_kill() {
    check("ping-pong-js");
}

#[test]
fn a_plugin_in_typescript_reacts_and_goes_on_after_a_kill() {
    check("ping-pong-ts");
}

#[test]
fn a_plugin_in_python_reacts_and_goes_on_after_a_kill() {
    check("ping-pong-python");
}

#[test]
fn a_plugin_in_go_reacts_and_goes_on_after_a_kill() {
    check("ping-pong-go");
}

#[test]
fn a_plugin_in_c_reacts_and_goes_on_after_a_kill() {
    check("ping-pong-c");
}
