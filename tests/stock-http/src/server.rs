//! Connections, each with requests one after the other.

use std::convert::Infallible;
use std::io::Write as _;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use wasmtime::Result;
use wasmtime::error::Context as _;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::instances::Instances;

/// Serves until the process is ended.
///
/// # Errors
/// If the address cannot be listened at.
pub(crate) async fn serve(listen: &str, instances: Instances) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("a listener has an address")?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;
    loop {
        // A connection that ended before it was accepted is no reason to stop.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, instances.clone()));
        }
    }
}

async fn connection(stream: TcpStream, instances: Instances) {
    // Small responses leave at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| respond(&instances, request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        eprintln!("connection: {error}");
    }
}

/// Answers 500, and tells why, where the component does not answer.
async fn respond(
    instances: &Instances,
    request: Request<Incoming>,
) -> Result<Response<HyperOutgoingBody>, Infallible> {
    let error = match instances.handle(request).await {
        Ok(response) => return Ok(response),
        Err(error) => format!("{error:#}"),
    };
    eprintln!("request: {error}");
    let body = Full::new(error.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    Ok(response)
}
