//! The main job from end to end, where one can watch it: upload a plugin as an event, append pings, see pongs.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::daemon::{Daemon, LOG};
use crate::{plugins, run};

const PINGS: &[&str] = &["hello", "is anybody there", "good night"];

/// Builds daemon and plugin, runs them, and fails unless every ping got its pong. With `keep` the daemon goes on running.
pub fn demo(keep: bool) -> Result<()> {
    // Before the daemon, which takes the JavaScript runtime along if it is there.
    plugins::build(&["ping-pong".to_owned(), "javascript".to_owned()])?;
    run::step("building the daemon (the first time this compiles wasmtime: some minutes)");
    run::run(Command::new("cargo").args(["build", "--package", "pelton"]).current_dir(run::root()))?;
    let component = run::target().join("plugins/ping-pong.wasm");

    let data = tempfile::Builder::new().prefix("pelton-demo-").tempdir()?;
    run::step(format_args!("starting the daemon, data in {}", data.path().display()));
    let mut daemon = Daemon::start(data.path(), keep)?;
    let url = daemon.url.clone();
    println!("\nlistening on {url}\n");

    let bytes = fs::read(&component)?;
    println!("POST /api/streams/demo   stream/processor/configured, the component ({} bytes) in its payload", bytes.len());
    let payload = json!({ "slug": "ping-pong", "component": base64::engine::general_purpose::STANDARD.encode(&bytes) });
    let answer = post(&url, &json!({ "type": "stream/processor/configured", "payload": payload }))?;
    let outcome = &answer["outcome"];
    ensure!(outcome["type"] == "stream/processor/activated", "the plugin was not activated: {answer}");
    println!("  -> offset {}: {} {}\n", outcome["offset"], outcome["type"], outcome["payload"]["manifest"]["name"]);

    let mut last = 0;
    for message in PINGS {
        let answer = post(&url, &json!({ "type": "ping", "payload": { "message": message } }))?;
        last = answer["event"]["offset"].as_u64().context("an append answers with the recorded event")?;
        println!("POST /api/streams/demo   ping {message:?}  -> offset {last}");
    }

    let state = get(&format!("{url}/api/streams/__state/demo?handled={last}&wait=30"))?;
    let processor = &state["processors"]["ping-pong"];
    println!("\nGET /api/streams/__state/demo");
    println!("  ping-pong is {}, state {}, cursors {}", processor["status"], processor["state"], processor["cursors"]);

    let page = get(&format!("{url}/api/streams/demo?beforeOffset=end"))?;
    let events = page["events"].as_array().context("a page has events")?;
    println!("\nGET /api/streams/demo   the log");
    for event in events {
        println!("  {:>3}  {:<29} {}", event["offset"], event["type"].as_str().unwrap_or_default(), shortened(&event["payload"]));
    }

    check(events, processor)?;
    println!("\nevery ping got its pong");
    if keep { self::keep(daemon, data) } else { daemon.stop() }
}

/// Each ping has exactly one pong, which says whose answer it is.
fn check(events: &[Value], processor: &Value) -> Result<()> {
    let of_type = |name: &'static str| events.iter().filter(move |event| event["type"] == name);
    let pings: Vec<&Value> = of_type("ping").map(|ping| &ping["offset"]).collect();
    let pongs: Vec<&Value> = of_type("pong").map(|pong| &pong["source"]["offset"]).collect();
    ensure!(pings.len() == PINGS.len() && pings == pongs, "expected a pong for each of {pings:?}, found pongs for {pongs:?}");
    ensure!(processor["state"]["count"] == PINGS.len(), "expected a count of {}, found state {}", PINGS.len(), processor["state"]);
    Ok(())
}

/// Lets the daemon and its data outlive this program.
fn keep(daemon: Daemon, data: tempfile::TempDir) -> Result<()> {
    let (url, id) = (&daemon.url, daemon.id());
    let data = data.keep();
    println!("\nThe daemon keeps running. Try next:\n");
    println!("  curl -N {url}/api/streams/demo                                      # history, then live");
    println!("  curl {url}/api/streams/demo --json '{{\"type\":\"ping\"}}'");
    println!("  curl {url}/api/streams/__state/demo");
    println!(
        "  curl '{url}/api/streams/other?slug=ping-pong' -H 'content-type: application/wasm' --data-binary @target/plugins/ping-pong.wasm"
    );
    println!("\nIts log is {}. Stop it with: kill {id} && rm -r {}", data.join(LOG).display(), data.display());
    // Not dropped, for that would end it.
    std::mem::forget(daemon);
    Ok(())
}

fn post(url: &str, event: &Value) -> Result<Value> {
    let mut response = client().post(format!("{url}/api/streams/demo")).send_json(event)?;
    let (status, body) = (response.status(), response.body_mut().read_json::<Value>()?);
    ensure!(status.is_success(), "the append was answered with {status}: {body}");
    Ok(body)
}

fn get(url: &str) -> Result<Value> {
    let mut response = client().get(url).header("accept", "application/json").call()?;
    let (status, body) = (response.status(), response.body_mut().read_json::<Value>()?);
    ensure!(status.is_success(), "{url} was answered with {status}: {body}");
    Ok(body)
}

fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn shortened(payload: &Value) -> String {
    let text = payload.to_string();
    if text.chars().count() <= 100 { text } else { text.chars().take(99).chain(['…']).collect() }
}
