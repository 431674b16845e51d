//! The response as the host wants it.

use crate::bindings::wasi::http::types::{
    Fields, OutgoingBody, OutgoingResponse, OutputStream, ResponseOutparam,
};
use crate::response::Response;

/// Sends a response, or what of it the client takes.
pub(crate) fn send(response: Response, is_head: bool, out: ResponseOutparam) {
    let len = response.body.len().to_string();
    let mut headers = Vec::with_capacity(response.headers.len() + 1);
    for (name, value) in &response.headers {
        headers.push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    headers.push(("content-length".to_owned(), len.into_bytes()));
    let headers = Fields::from_list(&headers).expect("our own headers are valid");
    let outgoing = OutgoingResponse::new(headers);
    outgoing
        .set_status_code(response.status)
        .expect("our own statuses are valid");
    if is_head {
        // Without a body, but with its length.
        ResponseOutparam::set(out, Ok(outgoing));
        return;
    }
    let body = outgoing.body().expect("nobody has taken the body");
    let stream = body.write().expect("nobody has taken the stream");
    // What the host takes at once is there when it sends the head, so that both go together.
    let rest = write(&stream, &response.body);
    match rest {
        Some([]) => {
            finish(stream, body);
            ResponseOutparam::set(out, Ok(outgoing));
        }
        rest => {
            ResponseOutparam::set(out, Ok(outgoing));
            write_all(&stream, rest);
            finish(stream, body);
        }
    }
}

fn finish(stream: OutputStream, body: OutgoingBody) {
    drop(stream);
    // It fails if the client has gone, and there is nobody to be told.
    let _ = OutgoingBody::finish(body, None);
}

/// Writes what is left, until it is written or the client has gone.
fn write_all(stream: &OutputStream, mut rest: Option<&[u8]>) {
    while let Some(bytes @ [_, ..]) = rest {
        rest = write(stream, bytes);
        if rest.is_some_and(|rest| rest.len() == bytes.len()) {
            stream.subscribe().block();
        }
    }
}

/// Writes as much as the stream takes at once, and returns what is left; `None` if the stream takes nothing any more.
fn write<'a>(stream: &OutputStream, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let permit = usize::try_from(stream.check_write().ok()?).unwrap_or(usize::MAX);
    let (first, rest) = bytes.split_at(permit.min(bytes.len()));
    if !first.is_empty() {
        stream.write(first).ok()?;
    }
    Some(rest)
}
