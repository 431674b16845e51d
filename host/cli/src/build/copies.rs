//! What each request costs on a host that makes a fresh instance for it, such as Spin.

use std::io::Write;

use anyhow::Result;
use tensorlet_compile::image;

use crate::exit::Failure;
use crate::table::printable;
use crate::units::size;

/// Warns if hosts copy the component's memory into every instance, rather than mapping it.
///
/// # Errors
/// If the bytes are no component.
pub(crate) fn warn(name: &str, component: &[u8]) -> Result<()> {
    let copied = image::copied_bytes(component).map_err(Failure::model)?;
    if copied > 0 {
        // Without standard error there is nobody left to tell.
        let _ = writeln!(
            std::io::stderr(),
            "warning: {}: a host that makes an instance for each request copies {} for it, as the component leaves most zeros of its memory out; \
             build it again with this version of tensorlet",
            printable(name),
            size(copied)
        );
    }
    Ok(())
}
