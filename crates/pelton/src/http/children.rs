//! `GET /api/streams/__children/{path}`: the stream and all below it.

use std::sync::Arc;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use pelton_engine::Tenant;
use pelton_model::StreamPath;
use serde::Serialize;

use super::problem::Problem;
use super::{NoQuery, json, query, wire};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Child<'a> {
    path: &'a StreamPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

/// The newest first, and of those begun together the deepest; the root is listed also before anything was appended to the tenant.
pub async fn get(tenant: &Arc<Tenant>, path: &StreamPath, uri: &Uri) -> Result<Response, Problem> {
    let NoQuery {} = query(uri)?;
    let (reader, root) = (Arc::clone(tenant), path.clone());
    let mut found = tokio::task::spawn_blocking(move || reader.descendants(&root)).await??;
    found.sort_by(|(path, created_at), (other, other_created_at)| (other_created_at, other).cmp(&(created_at, path)));
    let mut children: Vec<_> = found.iter().map(|(path, created_at)| Child { path, created_at: Some(wire::time(*created_at)) }).collect();
    if children.is_empty() && *path == StreamPath::root() {
        children.push(Child { path, created_at: None });
    }
    let body = serde_json::to_string(&children).map_err(|error| Problem::new("internal", error.to_string()))?;
    Ok(json(StatusCode::OK, body + "\n"))
}
