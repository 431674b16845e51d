//! What the protocol calls the datum types.

use tensorlet_tensor::DatumType;

/// Returns the protocol's name of a datum type, such as `FP32`.
pub const fn name(datum_type: DatumType) -> &'static str {
    match datum_type {
        DatumType::Bool => "BOOL",
        DatumType::U8 => "UINT8",
        DatumType::U16 => "UINT16",
        DatumType::U32 => "UINT32",
        DatumType::U64 => "UINT64",
        DatumType::I8 => "INT8",
        DatumType::I16 => "INT16",
        DatumType::I32 => "INT32",
        DatumType::I64 => "INT64",
        DatumType::F16 => "FP16",
        DatumType::Bf16 => "BF16",
        DatumType::F32 => "FP32",
        DatumType::F64 => "FP64",
    }
}

/// Returns the datum type with this name in the protocol, if there is one.
///
/// `BYTES`, the protocol's strings, is none.
pub fn from_name(text: &str) -> Option<DatumType> {
    DatumType::ALL
        .into_iter()
        .find(|&datum_type| name(datum_type) == text)
}

/// Returns datum type and dims in the protocol's words, such as `FP32[1, 3]`.
pub(super) fn type_text(datum_type: DatumType, dims: &[u32]) -> String {
    let dims: Vec<String> = dims.iter().map(u32::to_string).collect();
    format!("{}[{}]", name(datum_type), dims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for datum_type in DatumType::ALL {
            assert_eq!(from_name(name(datum_type)), Some(datum_type));
        }
        assert_eq!(from_name("BYTES"), None);
        assert_eq!(from_name("fp32"), None, "names are in capitals");
    }
}
