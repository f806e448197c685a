//! `/api/openapi.json` and `/api/docs`: the routes, and every built-in event with its schema and an example, from the code itself.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse as _;
use pelton_model::{Builtin, Digest, Incarnation, Json, JsonObject, Offset, Slug, StreamPath, TenantName};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr,
    Required, Response, ResponseBuilder, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::problem::CODES;
use super::read::PAGE_EVENTS_MAX;
use super::secrets::{LIST_MAX, SecretInput};
use super::state::WAIT_SECONDS_MAX;

/// A recorded event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct Event {
    stream_path: StreamPath,
    offset: Offset,
    #[schema(min_length = 1, max_length = 2048)]
    r#type: String,
    payload: JsonObject,
    #[schema(nullable = false)]
    metadata: Option<JsonObject>,
    #[schema(nullable = false, min_length = 1, max_length = 2048)]
    idempotency_key: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(nullable = false)]
    source: Option<Source>,
}

/// Which processor or transformer appended an event, and while handling which.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct Source {
    slug: Slug,
    digest: Digest,
    stream_path: StreamPath,
    offset: Offset,
    depth: u32,
}

/// A proposed event. What is none is kept as `stream/invalid-event-appended`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct NewEvent {
    #[schema(min_length = 1, max_length = 2048, pattern = r"\S")]
    r#type: String,
    #[schema(nullable = false)]
    payload: Option<JsonObject>,
    #[schema(nullable = false)]
    metadata: Option<JsonObject>,
    #[schema(nullable = false, min_length = 1, max_length = 2048, pattern = r"\S")]
    idempotency_key: Option<String>,
    #[schema(nullable = false)]
    offset: Option<Offset>,
}

/// The answer to an append.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Appended {
    /// Where one event was sent.
    #[schema(nullable = false)]
    event: Option<Event>,
    /// Where a batch was sent, in its order.
    #[schema(nullable = false)]
    events: Option<Vec<Event>>,
    /// What became of an uploaded processor.
    #[schema(nullable = false)]
    outcome: Option<Event>,
    #[schema(nullable = false)]
    incarnation: Option<Incarnation>,
}

/// Each of the Server-Sent Events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ServerSentEvent {
    /// Offset or position of the event: where `Last-Event-ID` goes on.
    #[schema(nullable = false)]
    id: Option<String>,
    /// `message`, or `destroyed` when the stream ends.
    event: String,
    /// An `Event` as JSON; of `destroyed`, the path and incarnation.
    data: String,
}

/// A page of a stream.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct Page {
    stream_path: StreamPath,
    #[schema(nullable = false)]
    incarnation: Option<Incarnation>,
    events: Vec<Event>,
    /// Where the next page is; null at the end.
    #[schema(required = true)]
    next: Option<String>,
}

/// A stream below another.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct Child {
    path: StreamPath,
    #[schema(nullable = false, format = DateTime)]
    created_at: Option<String>,
}

/// What went wrong (RFC 9457). Programs decide by `code`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    code: String,
    detail: String,
}

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let text = document().to_pretty_json();
    text.unwrap_or_else(|error| format!("{{\"error\":{}}}", Value::from(error.to_string()))) + "\n"
});

static PAGE: LazyLock<String> = LazyLock::new(|| page(&serde_json::from_str(&DOCUMENT).unwrap_or_default()));

pub fn json() -> axum::response::Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

pub fn html() -> axum::response::Response {
    // Nothing is loaded from anywhere.
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
    (headers, PAGE.as_str()).into_response()
}

fn document() -> OpenApi {
    let mut named = Vec::new();
    fn add<T: ToSchema>(named: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(named);
        named.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    }
    add::<Event>(&mut named);
    add::<NewEvent>(&mut named);
    add::<Appended>(&mut named);
    add::<ServerSentEvent>(&mut named);
    add::<Page>(&mut named);
    add::<Child>(&mut named);
    add::<SecretInput>(&mut named);
    add::<Problem>(&mut named);
    for &builtin in Builtin::ALL {
        let payload = builtin.payload_schema(&mut named);
        named.push((component(builtin), event_schema(builtin, payload)));
    }
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    named.dedup_by(|(one, _), (other, _)| one == other);
    let components = named.into_iter().fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema));

    let stream = || {
        let description = "The stream: `/`, or segments of `[a-z0-9_-]+`. Raw (`team/inbox`) or escaped (`team%2Finbox`).";
        path_parameter("path", description, "^(/|/?[a-z0-9_-]+(/[a-z0-9_-]+)*)$")
    };
    let paths = PathsBuilder::new()
        .path(
            "/api/streams/{path}",
            operations([
                (HttpMethod::Post, append().parameter(stream()).build()),
                (HttpMethod::Get, read().parameter(stream()).build()),
                (HttpMethod::Delete, destroy().parameter(stream()).build()),
            ]),
        )
        .path("/api/streams/__state/{path}", operations([(HttpMethod::Get, state().parameter(stream()).build())]))
        .path("/api/streams/__children/{path}", operations([(HttpMethod::Get, children().parameter(stream()).build())]))
        .path("/api/secrets", operations([(HttpMethod::Post, set_secret().build()), (HttpMethod::Get, list_secrets().build())]))
        .path("/api/secrets/{id}", operations([(HttpMethod::Delete, delete_secret().build())]))
        .path(
            "/healthz",
            operations([(HttpMethod::Get, operation("health", "Whether the process runs").response("200", plain("`ok`")).build())]),
        )
        .path(
            "/readyz",
            operations([(
                HttpMethod::Get,
                problems(operation("ready", "Whether requests are served").response("200", json_response("ready", None))).build(),
            )]),
        )
        .build();
    let description = "Append-only event streams that react. Acknowledged means on disk; what is not a valid event is kept, not refused.";
    let info = InfoBuilder::new().title("Pelton").version(env!("CARGO_PKG_VERSION")).description(Some(description)).build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn operations<const N: usize>(operations: [(HttpMethod, Operation); N]) -> PathItem {
    operations.into_iter().fold(PathItem::default(), |mut item, (method, operation)| {
        item.merge_operations(PathItem::new(method, operation));
        item
    })
}

fn append() -> OperationBuilder {
    let object = || Content::new(Some(<JsonObject as PartialSchema>::schema()));
    let anything = || Content::new(Some(<Json as PartialSchema>::schema()));
    let upload = ObjectBuilder::new().property("event", reference("NewEvent")).property("component", binary());
    let body = RequestBodyBuilder::new()
        .description(Some("An event, bare or as `{ \"event\": … }`; an array, NDJSON or several YAML documents are one atomic batch; anything else is kept as it came."))
        .content("application/json", Content::new(Some(reference("NewEvent"))))
        .content("application/yaml", Content::new(Some(reference("NewEvent"))))
        .content("application/x-ndjson", Content::new(Some(text(None))))
        .content("application/cloudevents+json", object())
        .content("application/cloudevents-batch+json", anything())
        .content("application/x-www-form-urlencoded", object())
        .content("text/plain", Content::new(Some(text(None))))
        .content("application/wasm", Content::new(Some(binary())))
        .content("multipart/form-data", Content::new(Some(upload.required("event").required("component").build())))
        .build();
    let operation = operation("append", "Append one event, a batch, or upload a processor")
        .request_body(Some(body))
        .parameter(header_parameter(
            "Idempotency-Key",
            "The event's idempotency key, bare or in quotes.",
            like(r#"^([^"\s].*|"[^"\\]*[^"\\\s][^"\\]*")$"#),
        ))
        .parameter(header_parameter(
            "If-Match",
            "`\"<incarnation>-<last offset>\"`, `\"<last offset>\"`, or `*`: the stream must exist.",
            like(r#"^(\*|"?([0-9]{1,18}-)?[0-9]{1,18}"?)$"#),
        ))
        .parameter(header_parameter("If-None-Match", "`*`: the stream must not exist.", text(Some(&["*"]))))
        .parameter(header_parameter("X-Pelton-Processor", "With a component: a JSON object of the fields below, and others.", text(None)))
        .parameter(query_parameter("wait", "Seconds to wait for the outcome of an upload.", up_to(WAIT_SECONDS_MAX as usize)))
        .parameter(query_parameter("slug", "With a component: the processor's name.", <Slug as PartialSchema>::schema()))
        .parameter(query_parameter("config", "With a component: its config, a JSON object.", text(None)))
        .parameter(query_parameter("consumes", "With a component: event types separated by commas, instead of its manifest's.", text(None)))
        .parameter(query_parameter("effectsFrom", "With a component: where effects begin.", like("^(configured|start|[0-9]{1,18})$")))
        .parameter(query_parameter("catchUp", "With a component: `all`, `latest`, or seconds.", like("^(all|latest|[0-9]{1,18})$")))
        .parameter(query_parameter("includeChildren", "With a component: also for all streams below.", boolean()))
        .parameter(query_parameter("limits", "With a component: its limits, a JSON object.", text(None)));
    answers(operation, "200", Some("Appended"), "on disk, and visible to every later read")
}

fn read() -> OperationBuilder {
    let after = || like("^(start|end|[0-9]{1,18})$");
    let operation = operation("read", "Read a stream: history, then live, or a page")
        .parameter(query_parameter("afterOffset", "An offset, `start` or `end`; exclusive.", after()))
        .parameter(query_parameter("beforeOffset", "An offset or `end`; exclusive. Sends what there is now and closes.", after()))
        .parameter(query_parameter("afterPosition", "With includeChildren, in place of afterOffset.", after()))
        .parameter(query_parameter("beforePosition", "With includeChildren, in place of beforeOffset.", after()))
        .parameter(query_parameter("limit", "Events of a page.", between(1, PAGE_EVENTS_MAX)))
        .parameter(query_parameter("types", "Event types separated by commas; `*` for any run of characters.", like("^[^,]*[^, ][^,]*$")))
        .parameter(query_parameter("includeChildren", "The stream and all below it, in commit order.", boolean()))
        .parameter(query_parameter("incarnation", "409 if the stream has another one.", <Incarnation as PartialSchema>::schema()))
        .parameter(header_parameter("Last-Event-ID", "Go on after the event of this id.", like("^[0-9]{1,18}$")));
    let content = ResponseBuilder::new()
        .description("the events")
        .content("text/event-stream", Content::new(Some(reference("ServerSentEvent"))))
        .content("application/json", Content::new(Some(reference("Page"))))
        .content("application/x-ndjson", Content::new(Some(text(None))))
        .content("application/yaml", Content::new(Some(text(None))))
        .build();
    of_a_tenant(operation.response("200", content))
}

fn state() -> OperationBuilder {
    let operation = operation("state", "What a stream and its processors, schedules and subscriptions know")
        .parameter(query_parameter(
            "handled",
            "Answer once every active processor has handled this offset.",
            <Offset as PartialSchema>::schema(),
        ))
        .parameter(query_parameter("wait", "Seconds to wait for that.", up_to(WAIT_SECONDS_MAX as usize)));
    let content = ResponseBuilder::new()
        .description("the state")
        .content("application/json", Content::new(Some(<JsonObject as PartialSchema>::schema())))
        .content("application/yaml", Content::new(Some(text(None))))
        .build();
    of_a_tenant(operation.response("200", content))
}

fn children() -> OperationBuilder {
    let children = utoipa::openapi::ArrayBuilder::new().items(reference("Child")).build();
    let content = ResponseBuilder::new()
        .description("the newest first")
        .content("application/json", Content::new(Some(Schema::Array(children))))
        .build();
    of_a_tenant(operation("children", "A stream and all below it").response("200", content))
}

fn destroy() -> OperationBuilder {
    let operation = operation("destroy", "Destroy a stream and all that belongs to it").parameter(query_parameter(
        "destroyChildren",
        "Also all streams below it.",
        boolean(),
    ));
    answers(operation, "200", None, "how many, and what each was in the moment before")
}

fn set_secret() -> OperationBuilder {
    let body = RequestBodyBuilder::new()
        .content("application/json", Content::new(Some(reference("NewSecret"))))
        .required(Some(Required::True))
        .build();
    let operation = operation("setSecret", "Keep a secret, or replace the one of that name").request_body(Some(body));
    answers(operation.response("201", json_response("kept", None)), "200", None, "replaced")
}

fn list_secrets() -> OperationBuilder {
    let operation = operation("listSecrets", "The secrets, without their values")
        .parameter(query_parameter("limit", "20 unless given.", between(1, LIST_MAX)))
        .parameter(query_parameter("offset", "So many are passed over.", up_to(usize::MAX)));
    answers(operation, "200", None, "a page of them")
}

fn delete_secret() -> OperationBuilder {
    answers(
        operation("deleteSecret", "Delete a secret").parameter(path_parameter("id", "Its id or name.", ".")),
        "200",
        None,
        "whether there was one",
    )
}

fn operation(id: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new().operation_id(Some(id)).summary(Some(summary))
}

/// A JSON answer of a tenant's, and what any request to one may come with and meet.
fn answers(operation: OperationBuilder, status: &str, schema: Option<&str>, description: &str) -> OperationBuilder {
    of_a_tenant(operation.response(status, json_response(description, schema)))
}

fn json_response(description: &str, schema: Option<&str>) -> Response {
    let schema = schema.map_or_else(<JsonObject as PartialSchema>::schema, |name| reference(name).into());
    ResponseBuilder::new().description(description).content("application/json", Content::new(Some(schema))).build()
}

fn of_a_tenant(operation: OperationBuilder) -> OperationBuilder {
    let description = "Whose streams and secrets; `default` unless given.";
    problems(operation.parameter(header_parameter("X-Pelton-Tenant", description, <TenantName as PartialSchema>::schema())))
}

fn problems(operation: OperationBuilder) -> OperationBuilder {
    let mut statuses: Vec<(u16, Vec<&str>)> = Vec::new();
    for (code, status, _) in CODES {
        match statuses.iter_mut().find(|(known, _)| *known == status.as_u16()) {
            Some((_, codes)) => codes.push(code),
            None => statuses.push((status.as_u16(), vec![code])),
        }
    }
    statuses.into_iter().fold(operation, |operation, (status, codes)| {
        let description = format!("`code`: {}", codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", "));
        let content = Content::new(Some(reference("Problem")));
        operation.response(
            status.to_string(),
            ResponseBuilder::new().description(description).content("application/problem+json", content).build(),
        )
    })
}

fn plain(description: &str) -> Response {
    ResponseBuilder::new().description(description).content("text/plain", Content::new(Some(text(None)))).build()
}

fn reference(name: &str) -> Ref {
    Ref::from_schema_name(name)
}

fn text(allowed: Option<&[&str]>) -> RefOr<Schema> {
    let builder = ObjectBuilder::new().schema_type(Type::String);
    builder.enum_values(allowed.map(<[&str]>::to_vec)).build().into()
}

fn like(pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build().into()
}

fn boolean() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Boolean).build().into()
}

fn up_to(max: usize) -> RefOr<Schema> {
    between(0, max)
}

fn between(min: usize, max: usize) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max)).build().into()
}

fn binary() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).build().into()
}

fn path_parameter(name: &str, description: &str, pattern: &str) -> Parameter {
    parameter(name, ParameterIn::Path, description, like(pattern)).required(Required::True).build()
}

fn query_parameter(name: &str, description: &str, schema: RefOr<Schema>) -> Parameter {
    parameter(name, ParameterIn::Query, description, schema).required(Required::False).build()
}

fn header_parameter(name: &str, description: &str, schema: RefOr<Schema>) -> Parameter {
    parameter(name, ParameterIn::Header, description, schema).required(Required::False).build()
}

fn parameter(name: &str, place: ParameterIn, description: &str, schema: RefOr<Schema>) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).description(Some(description)).schema(Some(schema))
}

/// The name of a built-in event's schema: its type, with dots for what a name of a component cannot have.
fn component(builtin: Builtin) -> String {
    builtin.as_str().replace('/', ".")
}

fn event_schema(builtin: Builtin, payload: RefOr<Schema>) -> RefOr<Schema> {
    let description = if builtin.is_host_only() { "Written by the host only." } else { "May be appended by anybody." };
    let payload_example: Value = serde_json::from_str(builtin.example()).unwrap_or_default();
    let event_type = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([builtin.as_str()])).build();
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .property("type", event_type)
        .required("type")
        .property("payload", payload)
        .examples([json!({ "type": builtin.as_str(), "payload": payload_example })])
        .build()
        .into()
}

/// The document as a page that a browser shows without loading anything else.
fn page(document: &Value) -> String {
    let mut out = String::from(HEAD);
    write_html(&mut out, document);
    out.push_str("</main></html>\n");
    out
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Pelton: HTTP</title><style>\
body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1b2430;background:#fff}main{max-width:60rem;margin:auto;padding:1rem}\
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f5f8;border-radius:4px}code{padding:.1em .3em}pre{padding:.7rem;overflow:auto}\
h2{border-bottom:1px solid #d8dee6;margin-top:2.5rem}summary{cursor:pointer;padding:.3rem 0}.verb{display:inline-block;min-width:4.5rem;font-weight:700;color:#0b62a4}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #eceff3}\
@media(prefers-color-scheme:dark){body{color:#dfe6ee;background:#12171d}code,pre{background:#1e2630}h2,td,th{border-color:#2c3742}.verb{color:#6cb8f0}}</style><main><h1>Pelton: HTTP</h1>";

fn write_html(out: &mut String, document: &Value) {
    let mut put = |text: std::fmt::Arguments<'_>| out.push_str(&text.to_string());
    put(format_args!("<p>{} <a href=openapi.json>openapi.json</a></p><h2>Routes</h2>", escape(&document["info"]["description"])));
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (verb, operation) in item.as_object().into_iter().flatten() {
            put(format_args!(
                "<details><summary><span class=verb>{}</span> <code>{}</code> {}</summary>",
                verb.to_uppercase(),
                escape_text(path),
                escape(&operation["summary"])
            ));
            put(format_args!("<table><tr><th>parameter<th>in<th>meaning</tr>"));
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                put(format_args!(
                    "<tr><td><code>{}</code><td>{}<td>{}</tr>",
                    escape(&parameter["name"]),
                    escape(&parameter["in"]),
                    escape(&parameter["description"])
                ));
            }
            put(format_args!("</table>"));
            let types: Vec<_> = operation["requestBody"]["content"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| format!("<code>{}</code>", escape_text(name)))
                .collect();
            if !types.is_empty() {
                put(format_args!("<p>Body: {} {}</p>", types.join(", "), escape(&operation["requestBody"]["description"])));
            }
            put(format_args!("<table><tr><th>status<th>meaning</tr>"));
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                put(format_args!("<tr><td>{}<td>{}</tr>", escape_text(status), escape(&response["description"])));
            }
            put(format_args!("</table></details>"));
        }
    }
    put(format_args!("<h2>Built-in events and other schemas</h2>"));
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let event_type = schema["properties"]["type"]["enum"][0].as_str();
        put(format_args!(
            "<details id='{0}'><summary><code>{1}</code> {2}</summary>",
            escape_text(name),
            escape_text(event_type.unwrap_or(name)),
            escape(&schema["description"])
        ));
        if let Some(example) = schema["examples"].get(0) {
            put(format_args!("<p>Example</p><pre>{}</pre>", escape_text(&serde_json::to_string_pretty(example).unwrap_or_default())));
        }
        put(format_args!("<p>Schema</p><pre>{}</pre></details>", escape_text(&serde_json::to_string_pretty(schema).unwrap_or_default())));
    }
}

fn escape(text: &Value) -> String {
    escape_text(text.as_str().unwrap_or_default())
}

fn escape_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}
