//! The handler.

use tensorlet_heap::{Heap, Spare};

use crate::bindings::exports::wasi::http::incoming_handler::Guest;
use crate::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use crate::imported::Imported;
use crate::incoming::Incoming;
use crate::request::{Method, Request as _};
use crate::{outgoing, service};

/// What an instance has from the beginning: a request of a megabyte and its answer need no more.
const SPARE_BYTES: usize = 4 << 20;

static SPARE: Spare<SPARE_BYTES> = Spare::new();

#[global_allocator]
static HEAP: Heap = Heap::new(&SPARE);

/// What the export is implemented on.
pub(crate) struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let mut incoming = Incoming::new(request);
        let response = service::handle(&mut incoming, &Imported);
        let is_head = incoming.method() == Method::Head;
        // Its resources go before the answer is sent.
        drop(incoming);
        outgoing::send(response, is_head, out);
    }
}
