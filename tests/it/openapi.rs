//! The description of the API is the code's own, whole, and readable without a network.

use crate::support::*;

#[test]
fn the_document_is_the_golden_one() {
    let server = Server::start();
    let served = server.get("/api/openapi.json");
    assert_eq!(served.status, 200);
    let golden = repository().join("tests/golden/openapi.json");
    if std::env::var_os("PELTON_UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &served.body).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert!(served.text() == expected, "the API changed; look at it, and set PELTON_UPDATE_GOLDEN=1 to take it over");
}

#[test]
fn every_route_and_every_built_in_event_is_in_it_with_an_example() {
    let document = Server::start().get("/api/openapi.json").ok();
    for (path, verbs) in [
        ("/api/streams/{path}", &["get", "post", "delete"][..]),
        ("/api/streams/__state/{path}", &["get"]),
        ("/api/streams/__children/{path}", &["get"]),
        ("/api/secrets", &["get", "post"]),
        ("/api/secrets/{id}", &["delete"]),
    ] {
        let found: Vec<_> = document["paths"][path].as_object().unwrap().keys().collect();
        assert!(verbs.iter().all(|verb| found.iter().any(|found| found == verb)), "{path}: {found:?}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for event_type in [
        "stream.initialized",
        "stream.schedule.configured",
        "stream.subscription.configured",
        "stream.processor.configured",
        "stream.paused",
    ] {
        let schema = &schemas[event_type];
        assert_eq!(schema["examples"][0]["type"], event_type.replace('.', "/"), "{schema}");
        assert!(schema["properties"]["payload"].is_object(), "{schema}");
    }
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not there");
    }
}

#[test]
fn the_examples_of_the_document_are_accepted() {
    let server = Server::start();
    let document = server.get("/api/openapi.json").ok();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let Some(example) = schema["examples"].get(0) else { continue };
        if schema["description"] != "May be appended by anybody." || name == "stream.processor.configured" {
            continue;
        }
        let stream = format!("/{}", name.replace('.', "_"));
        let recorded = server.append(&stream, example);
        assert_eq!(recorded["type"], example["type"], "{name}: {recorded}");
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let reply = Server::start().get("/api/docs");
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
    let page = reply.text();
    for forbidden in ["<script", "<link", "<img", "src=", "@import"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("stream/processor/configured") && page.contains("/api/streams/__state/{path}"));
}
