//! Many requests, one after the other and at once: all are answered, and memory stays as it is.

use std::thread;

use super::calls::Call;
use super::host::on_each;

/// How many requests follow each other.
const IN_A_ROW: usize = 1000;

/// After so many, memory has what it needs.
const WARM: usize = 200;

/// How many are under way at once, and how many each client sends.
const AT_ONCE: usize = 16;
const EACH: usize = 10;

/// How much more memory the process may take in the end: a fraction of what one leaked instance a request would.
const MORE_BYTES: u64 = 16 << 20;

#[test]
fn a_thousand_requests_leave_nothing_behind() {
    on_each("models/magika", |host| {
        let call = Call::magika("batch-1");
        let mut warm_bytes = 0;
        for count in 0..IN_A_ROW {
            if count == WARM {
                warm_bytes = host.resident_bytes();
            }
            call.by_binary(host);
        }
        let bytes = host.resident_bytes();
        assert!(
            bytes < warm_bytes + MORE_BYTES,
            "{:?}: {warm_bytes} bytes after {WARM} requests, {bytes} after {IN_A_ROW}",
            host.kind
        );
    });
}

#[test]
fn sixteen_at_once_are_all_answered() {
    on_each("models/magika", |host| {
        thread::scope(|scope| {
            for client in 0..AT_ONCE {
                scope.spawn(move || {
                    let case = ["batch-1", "batch-3"][client % 2];
                    let call = Call::magika(case);
                    for _ in 0..EACH {
                        call.by_binary(host);
                    }
                });
            }
        });
    });
}
