//! One function for all datum types of the same width.

/// Evaluates an expression with a type name standing for an unsigned integer of so many bytes: 1, 2, 4 or 8, the widths of datum
/// types.
macro_rules! by_width {
    ($width:expr, $element:ident => $body:expr) => {
        match $width {
            1 => {
                type $element = u8;
                $body
            }
            2 => {
                type $element = u16;
                $body
            }
            4 => {
                type $element = u32;
                $body
            }
            _ => {
                type $element = u64;
                $body
            }
        }
    };
}

pub(crate) use by_width;
