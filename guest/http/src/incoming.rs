//! The request as the host has it.
//!
//! Bodies are read by the canonical ABI, as generated code would have the host write every chunk to memory of its own, to be copied from
//! there. Here the host is given the place where the chunk is to stay: the canonical ABI asks `cabi_import_realloc` for
//! memory, and is given the end of the body that is being read.

#![expect(
    unsafe_code,
    reason = "the fence around reading a stream by the canonical ABI"
)]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, InputStream, Method as WitMethod,
};
use crate::bindings::wasi::io::error::Error as IoError;
use crate::request::{Method, Request, Truncated};

/// The request as the host has it. What belongs to another resource goes before it.
pub(crate) struct Incoming {
    stream: Option<InputStream>,
    body: Option<IncomingBody>,
    headers: Fields,
    request: IncomingRequest,
}

impl Incoming {
    pub(crate) fn new(request: IncomingRequest) -> Self {
        Self {
            stream: None,
            body: None,
            headers: request.headers(),
            request,
        }
    }

    /// Returns the body's stream, unless it was taken away.
    fn stream(&mut self) -> Option<&InputStream> {
        if self.stream.is_none() {
            let body = self.request.consume().ok()?;
            self.stream = body.stream().ok();
            self.body = Some(body);
        }
        self.stream.as_ref()
    }
}

impl Request for Incoming {
    fn method(&self) -> Method {
        match self.request.method() {
            WitMethod::Get => Method::Get,
            WitMethod::Head => Method::Head,
            WitMethod::Post => Method::Post,
            _ => Method::Other,
        }
    }

    fn path(&self) -> String {
        self.request.path_with_query().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers.get(name).into_iter().next()
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<bool, Truncated> {
        let stream = self.stream().ok_or(Truncated)?;
        loop {
            match read(stream, buffer) {
                // The next time there may be some.
                Read::Chunk(0) => {}
                Read::Chunk(_) => return Ok(true),
                Read::Closed => return Ok(false),
                Read::Failed => return Err(Truncated),
            }
        }
    }
}

/// What came of reading.
enum Read {
    /// So many bytes.
    Chunk(usize),
    Closed,
    Failed,
}

#[link(wasm_import_module = "wasi:io/streams@0.2.0")]
unsafe extern "C" {
    #[link_name = "[method]input-stream.blocking-read"]
    fn blocking_read(stream: u32, len: u64, result: *mut ReadResult);
}

/// `result<list<u8>, stream-error>` in memory.
#[repr(C)]
struct ReadResult {
    is_error: u8,
    /// The list, or the case of the error in the first byte, and a handle.
    first: usize,
    second: usize,
}

/// `stream-error.last-operation-failed`.
const LAST_OPERATION_FAILED: u8 = 0;

/// Reads what there is, at least one byte, to the end of `buffer`, which does not become larger.
fn read(stream: &InputStream, buffer: &mut Vec<u8>) -> Read {
    let place = buffer.spare_capacity_mut();
    let (begin, room) = (place.as_mut_ptr().cast::<u8>(), place.len());
    let mut result = ReadResult {
        is_error: 1,
        first: 0,
        second: 0,
    };
    PLACE.store(begin, Relaxed);
    ROOM.store(room, Relaxed);
    // SAFETY: the host writes the result where it is told to, and the list to memory that `cabi_import_realloc` gave.
    unsafe { blocking_read(stream.handle(), room as u64, &raw mut result) };
    PLACE.store(ptr::null_mut(), Relaxed);
    if result.is_error != 0 {
        if result.first as u8 != LAST_OPERATION_FAILED {
            return Read::Closed;
        }
        // SAFETY: the host gave the handle away with this error.
        drop(unsafe { IoError::from_handle(result.second as u32) });
        return Read::Failed;
    }
    let (list, len) = (
        ptr::with_exposed_provenance_mut::<u8>(result.first),
        result.second,
    );
    if len == 0 {
        return Read::Chunk(0);
    }
    if list != begin || len > room {
        // More than it was asked for, so it is not where the body goes on.
        return Read::Failed;
    }
    // SAFETY: the host has written so many bytes behind those that were there, and there is room for them.
    unsafe { buffer.set_len(buffer.len() + len) };
    Read::Chunk(len)
}

/// Where the chunk that is being read is to stay; null while none is. The component has one thread.
static PLACE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// How long it may be.
static ROOM: AtomicUsize = AtomicUsize::new(0);

/// What the canonical ABI asks for memory for what an import returns.
///
/// # Safety
/// As for `realloc`; called by the host while it lowers a result.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_import_realloc(
    old: *mut u8,
    old_len: usize,
    align: usize,
    len: usize,
) -> *mut u8 {
    let place = PLACE.load(Relaxed);
    if !place.is_null() && old_len == 0 && len <= ROOM.load(Relaxed) {
        return place;
    }
    // SAFETY: the caller's promise.
    unsafe { wit_bindgen::rt::cabi_realloc(old, old_len, align, len) }
}
