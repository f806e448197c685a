//! Secrets are kept sealed and never shown again.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::*;

const VALUE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn set(server: &Client, secret: &Value) -> Reply {
    server.send("POST", "/api/secrets", &[("content-type", "application/json")], secret.to_string().as_bytes())
}

fn list(server: &Client, query: &str) -> Value {
    server.get(&format!("/api/secrets{query}")).ok()
}

#[test]
fn a_secret_is_listed_without_its_value_and_can_be_replaced_and_deleted() {
    let mut server = Server::start();
    let reply =
        set(&server, &json!({ "name": "stripe", "value": VALUE, "description": "hooks", "hosts": ["api.stripe.com", "*.example.com"] }));
    assert_eq!(reply.status, 201, "{}", reply.text());
    let secret = reply.json()["secret"].clone();
    assert_eq!(secret["hosts"], json!(["api.stripe.com", "*.example.com"]));
    assert!(!reply.text().contains(VALUE));
    assert_eq!(list(&server, ""), json!({ "secrets": [secret], "total": 1 }));

    let again = set(&server, &json!({ "name": "stripe", "value": "other" })).ok();
    assert_eq!((&again["secret"]["id"], &again["secret"]["createdAt"]), (&secret["id"], &secret["createdAt"]));
    assert_eq!(again["secret"]["hosts"], json!([]));
    server.kill_and_start_again();
    assert_eq!(list(&server, "")["total"], 1);

    let id = secret["id"].as_str().unwrap();
    let delete = |deleted| {
        assert_eq!(server.send("DELETE", &format!("/api/secrets/{id}"), &[], b"").ok(), json!({ "ok": true, "id": id, "deleted": deleted }))
    };
    delete(true);
    delete(false);
    assert_eq!(list(&server, ""), json!({ "secrets": [], "total": 0 }));
}

#[test]
fn no_value_is_on_disk_and_only_the_owner_reads_the_key() {
    let mut server = Server::start();
    set(&server, &json!({ "name": "a", "value": VALUE }));
    assert_eq!(server.terminate().code(), Some(0));
    let key = server.data().join("master.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let file = std::fs::read(server.data().join("tenants/default.redb")).unwrap();
    assert!(!file.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()));
}

#[test]
fn tenants_do_not_see_each_others_secrets() {
    let server = Server::start();
    set(&server.tenant("one"), &json!({ "name": "a", "value": "1" }));
    assert_eq!(list(&server.tenant("two"), "")["total"], 0);
}

#[test]
fn secrets_come_in_pages() {
    let server = Server::start();
    for n in 0..25 {
        assert_eq!(set(&server, &json!({ "name": format!("s{n:02}"), "value": "v" })).status, 201);
    }
    let names = |query: &str| -> Vec<String> {
        let page = list(&server, query);
        assert_eq!(page["total"], 25);
        page["secrets"].as_array().unwrap().iter().map(|secret| secret["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("").len(), 20);
    assert_eq!(names("?limit=3&offset=23"), ["s23", "s24"]);
    for query in ["?limit=0", "?limit=101", "?offset=-1", "?order=name"] {
        server.get(&format!("/api/secrets{query}")).problem(400, "bad-query");
    }
}

#[test]
fn a_bad_secret_is_refused_by_its_field_and_never_repeated() {
    let server = Server::start();
    for (secret, expected) in [
        (json!({ "name": "a" }), "value: expected a string, found nothing"),
        (json!({ "name": "a", "value": { "key": VALUE } }), "value: expected a string"),
        (json!({ "name": "a b", "value": VALUE }), "slug: expected 1 to 128 characters"),
        (json!({ "name": "a", "value": "" }), "value: expected 1 to 65536 bytes, found 0"),
        (json!({ "name": "a", "value": "x".repeat(65_537) }), "value: expected 1 to 65536 bytes, found 65537"),
        (json!({ "name": "a", "value": VALUE, "hosts": ["https://a"] }), "hosts: expected a host name"),
        (json!({ "name": "a", "value": VALUE, "extra": 1 }), "unknown field `extra`"),
    ] {
        let problem = set(&server, &secret).problem(400, "bad-body");
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{problem}");
        assert!(!problem.to_string().contains(VALUE), "{problem}");
    }
    server.send("PUT", "/api/secrets", &[], b"{}").problem(405, "method-not-allowed");
    server.send("POST", "/api/secrets/x", &[], b"{}").problem(405, "method-not-allowed");
    assert_eq!(list(&server, "")["total"], 0);
}
