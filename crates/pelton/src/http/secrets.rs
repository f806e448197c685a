//! `/api/secrets`: values that the host uses and never shows again.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use pelton_engine::{NewSecret, Secret, SecretError, Tenant};
use pelton_model::{Json, Slug};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Type};

use super::problem::Problem;
use super::{NoQuery, append, json, method_not_allowed, query, wire};

const VALUE_BYTES_MAX: usize = 64 << 10;
const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
const HOSTS_MAX: usize = 100;
pub const LIST_MAX: usize = 100;
const LIST_DEFAULT: usize = 20;
/// A secret with everything at its longest, as JSON.
const BODY_BYTES_MAX: usize = 1 << 20;

/// `rest` is what follows `/api/secrets`: nothing, or a slash and an id.
pub async fn route(tenant: &Arc<Tenant>, rest: &str, request: Request) -> Result<Response, Problem> {
    let id = rest.strip_prefix('/').filter(|id| !id.is_empty());
    if request.method() != Method::GET {
        let NoQuery {} = query(request.uri())?;
    }
    match (id, request.method().clone()) {
        (None, Method::POST) => set(tenant, request).await,
        (None, Method::GET) => list(tenant, request.uri()).await,
        (None, method) => Err(method_not_allowed(&method, "GET, POST")),
        (Some(id), Method::DELETE) => delete(tenant, id).await,
        (Some(_), method) => Err(method_not_allowed(&method, "DELETE")),
    }
}

/// A secret to be kept.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSecret)]
pub struct SecretInput {
    name: Slug,
    /// At most 65,536 bytes.
    #[schema(min_length = 1, max_length = 65_536)]
    value: String,
    /// At most 4096 bytes.
    #[schema(max_length = 4_096)]
    description: Option<String>,
    /// Where the value may be sent: host names in lower case without a port, `*.` for all below one; at most 100.
    #[serde(default)]
    #[schema(schema_with = hosts_schema)]
    hosts: Vec<String>,
}

fn hosts_schema() -> utoipa::openapi::Array {
    let label = "[a-z0-9_-]{1,63}";
    let host = ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!(r"^(\*\.)?{label}(\.{label}){{0,3}}$")));
    ArrayBuilder::new().items(host).max_items(Some(HOSTS_MAX)).build()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretBody {
    id: String,
    name: Slug,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    hosts: Vec<String>,
    created_at: String,
    updated_at: String,
}

impl From<Secret> for SecretBody {
    fn from(secret: Secret) -> Self {
        let Secret { id, name, description, hosts, created_at, updated_at } = secret;
        Self { id, name, description, hosts, created_at: wire::time(created_at), updated_at: wire::time(updated_at) }
    }
}

async fn set(tenant: &Tenant, request: Request) -> Result<Response, Problem> {
    let body = append::read(request.into_body(), BODY_BYTES_MAX).await?;
    // What serde says of a value would repeat it, so only its place and kind are told.
    let checked = Json::from_slice(&body).map_err(|error| Problem::new("bad-body", error.to_string()))?;
    let input: SecretInput = checked.to().map_err(|error| Problem::new("bad-body", told_apart(&checked, &error)))?;
    check(&input)?;
    let SecretInput { name, value, description, hosts } = input;
    let (secret, is_new) = tenant.set_secret(NewSecret { name, value, description, hosts }).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    answer(status, &serde_json::json!({ "secret": SecretBody::from(secret) }))
}

/// serde quotes a field of the wrong kind, and the field may be the value.
fn told_apart(body: &Json, error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct OnlyValue {
        value: Option<serde_json::Value>,
    }
    match body.to::<OnlyValue>() {
        Ok(OnlyValue { value: Some(value) }) if !value.is_string() => "value: expected a string".to_owned(),
        Ok(OnlyValue { value: None }) => "value: expected a string, found nothing".to_owned(),
        _ => error.to_string(),
    }
}

fn check(input: &SecretInput) -> Result<(), Problem> {
    let fault = |problem: String| Err(Problem::new("bad-body", problem));
    if input.value.is_empty() || input.value.len() > VALUE_BYTES_MAX {
        return fault(format!("value: expected 1 to {VALUE_BYTES_MAX} bytes, found {}", input.value.len()));
    }
    if let Some(description) = input.description.as_ref().filter(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        return fault(format!("description: expected at most {DESCRIPTION_BYTES_MAX} bytes, found {}", description.len()));
    }
    if input.hosts.len() > HOSTS_MAX {
        return fault(format!("hosts: expected at most {HOSTS_MAX}, found {}", input.hosts.len()));
    }
    match input.hosts.iter().find(|host| !is_host(host)) {
        Some(host) => fault(format!("hosts: expected a host name, or one after `*.`, in lower case and without a port, found {host:?}")),
        None => Ok(()),
    }
}

fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    offset: Option<usize>,
}

async fn list(tenant: &Arc<Tenant>, uri: &Uri) -> Result<Response, Problem> {
    let ListQuery { limit, offset } = query(uri)?;
    let limit = limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Problem::new("bad-query", format!("limit: expected 1 to {LIST_MAX}, found {limit}")));
    }
    let reader = Arc::clone(tenant);
    let secrets = tokio::task::spawn_blocking(move || reader.secrets()).await??;
    let total = secrets.len();
    let page: Vec<_> = secrets.into_iter().skip(offset.unwrap_or(0)).take(limit).map(SecretBody::from).collect();
    answer(StatusCode::OK, &serde_json::json!({ "secrets": page, "total": total }))
}

async fn delete(tenant: &Tenant, id: &str) -> Result<Response, Problem> {
    let id = percent_encoding::percent_decode_str(id).decode_utf8().map_err(|_| Problem::new("bad-path", "secret id: not UTF-8"))?;
    let deleted = tenant.delete_secret(&id).await?;
    answer(StatusCode::OK, &serde_json::json!({ "ok": true, "id": id, "deleted": deleted }))
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Result<Response, Problem> {
    Ok(json(status, format!("{body}\n")))
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Append(error) => error.into(),
            SecretError::Store(error) => error.into(),
            SecretError::TooMany { max } => Self::new("too-many-secrets", error.to_string()).with("max", max),
            SecretError::Unsealable { .. } | SecretError::Random(_) => Self::internal(&error),
        }
    }
}
