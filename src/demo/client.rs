//! Lives here: one request to the demo's own API.
//! Never here: anything for real clients.

use std::net::SocketAddr;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client of the REST API.
pub(super) struct Api {
    http: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    key: String,
}

impl Api {
    pub(super) fn new(address: SocketAddr, key: String) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            address,
            key,
        }
    }

    /// Sends a message; gives its id.
    pub(super) async fn send(&self, body: &Value) -> anyhow::Result<String> {
        let answer = self
            .call(Method::POST, "/v1/sms/send", body.to_string())
            .await?;
        let id = answer["data"]["id"].as_str();
        id.map(str::to_owned)
            .with_context(|| format!("the API refused: {}", answer["message"]))
    }

    /// Where a message stands.
    pub(super) async fn status(&self, id: &str) -> anyhow::Result<String> {
        let answer = self
            .call(Method::GET, &format!("/v1/messages/{id}"), String::new())
            .await?;
        Ok(answer["data"]["status"].as_str().unwrap_or("?").to_owned())
    }

    async fn call(&self, method: Method, path: &str, body: String) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = self
            .http
            .request(request)
            .await
            .context("the API does not answer")?;
        let body = answer.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&body).context("the API answered something other than JSON")
    }
}
