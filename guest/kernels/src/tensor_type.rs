//! What a kernel is told about a tensor.

use tensorlet_plan::Layout;
use tensorlet_tensor::DatumType;

/// How many channels lie side by side in a blocked tensor.
pub const BLOCK: usize = 16;

/// Datum type, dims and layout of a tensor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TensorType {
    /// The type of the elements.
    pub datum_type: DatumType,
    /// Sizes, outermost first, as ONNX sees them whatever the layout.
    pub dims: Vec<usize>,
    /// How the elements lie in memory.
    pub layout: Layout,
}

impl TensorType {
    /// A row-major tensor.
    pub fn plain(datum_type: DatumType, dims: &[usize]) -> Self {
        Self {
            datum_type,
            dims: dims.to_vec(),
            layout: Layout::Plain,
        }
    }

    /// A tensor of f32 with channels in blocks.
    pub fn blocked(dims: &[usize]) -> Self {
        Self {
            datum_type: DatumType::F32,
            dims: dims.to_vec(),
            layout: Layout::Blocked,
        }
    }

    /// Returns the number of elements, without padding.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Reports whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// Returns the number of elements in memory, those of padding lanes included; `None` if it overflows or the layout does not
    /// fit rank or datum type.
    pub fn stored_len(&self) -> Option<usize> {
        let product = |dims: &[usize]| {
            dims.iter()
                .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        };
        match self.layout {
            Layout::Plain => product(&self.dims),
            Layout::Blocked => {
                let [rows, channels, spatial @ ..] = self.dims.as_slice() else {
                    return None;
                };
                if self.datum_type != DatumType::F32 || spatial.is_empty() {
                    return None;
                }
                channels
                    .checked_next_multiple_of(BLOCK)?
                    .checked_mul(product(spatial)?)?
                    .checked_mul(*rows)
            }
        }
    }

    /// Returns the number of bytes in memory; `None` as for [`stored_len`](Self::stored_len).
    pub fn stored_bytes(&self) -> Option<usize> {
        self.stored_len()?
            .checked_mul(self.datum_type.width_bytes())
    }

    /// Returns the number of blocks of channels.
    pub fn blocks(&self) -> usize {
        self.dims.get(1).map_or(0, |dim| dim.div_ceil(BLOCK))
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.datum_type.name(), self.dims)?;
        match self.layout {
            Layout::Plain => Ok(()),
            Layout::Blocked => f.write_str(" blocked"),
        }
    }
}
