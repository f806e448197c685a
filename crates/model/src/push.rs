//! Push subscriptions and transformers: the payloads of their events and what a stream knows of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::event::EventIssues;
use crate::{JsonObject, Jsonata, Offset, Reason, Slug, TypePatterns};

/// Payload of `stream/subscription/configured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionConfigured {
    #[schema(example = "audit")]
    pub slug: Slug,
    #[serde(rename = "type")]
    pub kind: SubscriptionKind,
    /// `http` or `https` for a webhook, `ws` or `wss` for a WebSocket.
    #[schema(example = "https://example.com/hook")]
    pub callback_url: String,
    /// A JSONata expression on the whole event; what it is truthy for is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonata_filter: Option<Jsonata>,
    /// A JSONata expression on the whole event, whose value is sent in its place. Webhooks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonata_transform: Option<Jsonata>,
    /// Event types, with `*` for any run of characters; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<TypePatterns>,
    /// Where delivery begins. If absent, a slug that was configured before goes on where it was, and a new one begins now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DeliverFrom>,
    /// Sent with every request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Name of the secret that webhooks are signed with (Standard Webhooks).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// How long one delivery may take; 15000 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 120_000)]
    pub timeout_millis: Option<u64>,
    /// Attempts at one event before the subscription is parked; 15 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 50)]
    pub attempts_max: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionKind {
    Webhook,
    Websocket,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeliverFrom {
    /// The event that configures it.
    Now,
    /// The first event of the stream.
    Start,
    /// `{ "offset": n }`
    Offset(Offset),
}

/// Payload of `stream/subscription/parked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionParked {
    pub slug: Slug,
    pub configured_offset: Offset,
    /// The event that could not be delivered.
    pub at_offset: Offset,
    pub attempts: u32,
    pub reason: Reason,
}

/// Payload of `stream/jsonata-transformer-configured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransformerConfigured {
    #[schema(example = "slack-commands")]
    pub slug: Slug,
    /// A JSONata expression on the whole event; where it is truthy the event is transformed.
    pub matcher: Jsonata,
    /// A JSONata expression on the whole event, whose value is an event, or an array of events, to be appended to the stream.
    pub transform: Jsonata,
}

/// What a stream knows of one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionControl {
    pub configured_offset: Offset,
    pub configured: SubscriptionConfigured,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<SubscriptionParked>,
    /// The event that an operator let it skip when it was last resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<Offset>,
    /// How often it was resumed; tells one run of attempts from the next.
    #[serde(default)]
    pub resumes: u64,
}

/// What a stream knows of one transformer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransformerControl {
    pub configured_offset: Offset,
    pub configured: TransformerConfigured,
}

impl SubscriptionConfigured {
    pub const TIMEOUT_MILLIS_DEFAULT: u64 = 15_000;
    pub const ATTEMPTS_MAX_DEFAULT: u32 = 15;

    /// # Errors
    /// The fields that do not fit, or not together.
    pub fn parse(payload: &JsonObject) -> Result<Self, EventIssues> {
        let configured: Self = EventIssues::find_in(payload)?;
        let fault = |field: &str, problem: String| Err(EventIssues::one(&format!("payload.{field}"), problem));
        if let Err(problem) = configured.check_url() {
            return fault("callbackUrl", problem);
        }
        if configured.kind == SubscriptionKind::Websocket && configured.jsonata_transform.is_some() {
            return fault("jsonataTransform", "expected a webhook: a WebSocket gets events as they are".to_owned());
        }
        if let Some(millis) = configured.timeout_millis.filter(|millis| !(100..=120_000).contains(millis)) {
            return fault("timeoutMillis", format!("expected 100 to 120000, found {millis}"));
        }
        if let Some(attempts) = configured.attempts_max.filter(|attempts| !(1..=50).contains(attempts)) {
            return fault("attemptsMax", format!("expected 1 to 50, found {attempts}"));
        }
        for (field, expression) in [("jsonataFilter", &configured.jsonata_filter), ("jsonataTransform", &configured.jsonata_transform)] {
            if let Some(Err(problem)) = expression.as_ref().map(Jsonata::check) {
                return fault(field, problem);
            }
        }
        for (name, value) in &configured.headers {
            if let Err(problem) = check_header(name, value) {
                return fault(&format!("headers.{name}"), problem);
            }
        }
        Ok(configured)
    }

    fn check_url(&self) -> Result<(), String> {
        let url = Url::parse(&self.callback_url).map_err(|error| format!("expected a URL, found {:?}: {error}", self.callback_url))?;
        let schemes = match self.kind {
            SubscriptionKind::Webhook => ["http", "https"],
            SubscriptionKind::Websocket => ["ws", "wss"],
        };
        if !schemes.contains(&url.scheme()) {
            return Err(format!("expected a URL with {} or {}, found {}", schemes[0], schemes[1], url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("expected a URL without a user name and password: the log is no place for credentials".to_owned());
        }
        Ok(())
    }
}

impl TransformerConfigured {
    /// # Errors
    /// The fields that do not fit.
    pub fn parse(payload: &JsonObject) -> Result<Self, EventIssues> {
        let configured: Self = EventIssues::find_in(payload)?;
        for (field, expression) in [("matcher", &configured.matcher), ("transform", &configured.transform)] {
            expression.check().map_err(|problem| EventIssues::one(&format!("payload.{field}"), problem))?;
        }
        Ok(configured)
    }
}

/// A header that a subscription may send: RFC 9110 field name and value, and none that the host sets itself.
fn check_header(name: &str, value: &str) -> Result<(), String> {
    const TOKEN: &str = "!#$%&'*+-.^_`|~";
    const HOST_ONLY: &[&str] =
        &["host", "content-length", "content-type", "connection", "transfer-encoding", "upgrade", "te", "trailer", "user-agent"];
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || TOKEN.as_bytes().contains(&b)) {
        return Err("expected a header name (RFC 9110 token)".to_owned());
    }
    if HOST_ONLY.contains(&lower.as_str()) || lower.starts_with("webhook-") || lower.starts_with("sec-websocket-") {
        return Err("the host sets this header itself".to_owned());
    }
    if !value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b)) {
        return Err("expected visible ASCII characters".to_owned());
    }
    Ok(())
}

impl SubscriptionControl {
    pub(crate) fn new(configured_offset: Offset, configured: SubscriptionConfigured) -> Self {
        Self { configured_offset, configured, parked: None, skip: None, resumes: 0 }
    }

    pub(crate) fn resume(&mut self, skip: bool) {
        if let Some(parked) = self.parked.take() {
            self.resumes += 1;
            self.skip = skip.then_some(parked.at_offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issues(fields: &str) -> String {
        let text = format!(r#"{{"slug":"a","type":"webhook","callbackUrl":"https://example.com/"{fields}}}"#);
        SubscriptionConfigured::parse(&JsonObject::parse(&text).unwrap())
            .map(|_| "fits".to_owned())
            .unwrap_or_else(|issues| issues.to_string())
    }

    #[test]
    fn every_field_of_a_subscription_that_does_not_fit_is_named() {
        assert_eq!(issues(""), "fits");
        assert_eq!(issues(r#","from":{"offset":7},"headers":{"X-Team":"a"},"types":["order-*"]"#), "fits");
        for (fields, expected) in [
            (r#","callbackURL":"""#, "payload.callbackURL: unknown field `callbackURL`"),
            (r#","timeoutMillis":5"#, "payload.timeoutMillis: expected 100 to 120000, found 5"),
            (r#","attemptsMax":0"#, "payload.attemptsMax: expected 1 to 50, found 0"),
            (r#","headers":{"Host":"x"}"#, "payload.headers.Host: the host sets this header itself"),
            (r#","headers":{"a b":"x"}"#, "payload.headers.a b: expected a header name"),
            (r#","headers":{"a":"x\ny"}"#, "payload.headers.a: expected visible ASCII"),
        ] {
            assert!(issues(fields).starts_with(expected), "{fields}: {}", issues(fields));
        }
    }

    #[test]
    fn a_callback_fits_its_kind_and_holds_no_credentials() {
        for (kind, url, expected) in [
            ("webhook", "ws://a/", "expected a URL with http or https, found ws"),
            ("websocket", "https://a/", "expected a URL with ws or wss, found https"),
            ("webhook", "https://u:p@a/", "expected a URL without a user name"),
            ("webhook", "no url", "expected a URL, found \"no url\""),
        ] {
            let text = format!(r#"{{"slug":"a","type":"{kind}","callbackUrl":"{url}"}}"#);
            let error = SubscriptionConfigured::parse(&JsonObject::parse(&text).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("payload.callbackUrl: {expected}")), "{error}");
        }
    }
}
