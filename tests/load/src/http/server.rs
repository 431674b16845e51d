//! Where a server is, from its URL.

use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, Result, ensure};
use hyper::Uri;

/// A server, found.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// The header `Host`.
    pub(super) host: String,
    pub(super) addresses: Vec<SocketAddr>,
    /// What paths begin with, without a `/` at its end.
    prefix: String,
}

impl Server {
    /// Finds a server, such as `http://127.0.0.1:8000` or `http://example.com/prefix`.
    ///
    /// # Errors
    /// If it is no such URL, or the name cannot be resolved.
    pub(super) fn find(url: &str) -> Result<Self> {
        let uri: Uri = url
            .parse()
            .with_context(|| format!("expected a URL, found `{url}`"))?;
        ensure!(
            uri.scheme_str() == Some("http"),
            "expected a URL that begins with http://, found `{url}`"
        );
        let host = uri.host().context("expected a URL with a host")?;
        let port = uri.port_u16().unwrap_or(80);
        let addresses = (host.trim_matches(['[', ']']), port)
            .to_socket_addrs()
            .with_context(|| format!("resolve `{host}`"))?;
        Ok(Self {
            host: uri.authority().map(ToString::to_string).unwrap_or_default(),
            addresses: addresses.collect(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Returns the path of a model, to which `/infer` may be added.
    pub(super) fn model_path(&self, model: &str, version: Option<&str>) -> String {
        let version = version.map(|version| format!("/versions/{version}"));
        format!(
            "{}/v2/models/{model}{}",
            self.prefix,
            version.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_servers() {
        let server = Server::find("http://127.0.0.1:8000").unwrap();
        assert_eq!(server.host, "127.0.0.1:8000");
        assert_eq!(server.addresses, ["127.0.0.1:8000".parse().unwrap()]);
        assert_eq!(server.model_path("mlp", None), "/v2/models/mlp");

        let server = Server::find("http://[::1]/triton/").unwrap();
        assert_eq!(server.addresses, ["[::1]:80".parse().unwrap()]);
        let path = server.model_path("mlp", Some("3"));
        assert_eq!(path, "/triton/v2/models/mlp/versions/3");
    }

    #[test]
    fn refuses_what_it_cannot_speak_to() {
        for url in ["127.0.0.1:8000", "https://127.0.0.1", "/v2", "http://"] {
            assert!(Server::find(url).is_err(), "{url}");
        }
    }
}
