//! The graph under construction, and the values that ONNX's names stand for.
//!
//! Values of f16 and bf16 are computed in f32. Such a value has up to two forms: the stored one, as the model has it, and
//! the computed one. Each is made from the other where something asks for it:
//!
//! ```text
//! x: f16 (an input) ─ cast ─► x as f32 ─ … ─► y as f32 ─ cast ─► y: f16 (an output)
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use half::{bf16, f16};
use tensorlet_plan::{DimExpr, Kernel, SymbolId};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;
use tract_onnx::tract_core::internal::Symbol;

use super::constants;
use super::dims::{numbers, to_expr};
use super::known::Known;
use crate::graph::{Graph, Node, Op, ValueId};

/// A graph under construction.
pub(super) struct Builder<'a> {
    pub(super) known: Known<'a>,
    pub(super) graph: Graph,
    /// Whether only the types of values are asked for.
    dry: bool,
    /// The sizes of each value, by its id; `None` if only the data decides them.
    dims: Vec<Option<Vec<TDim>>>,
    names: HashMap<String, Named>,
    /// What `names` held before each change since the last [`mark`](Self::mark).
    replaced: Vec<(String, Option<Named>)>,
}

/// What a name of the model stands for.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// The datum type that the model says.
    datum_type: DatumType,
    /// The value of that datum type.
    stored: Option<ValueId>,
    /// The value that is computed with, of f32 where the model says f16 or bf16.
    computed: Option<ValueId>,
}

/// A state of a [`Builder`] to go back to.
pub(super) struct Mark {
    values: usize,
    pub(super) nodes: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(known: Known<'a>, dry: bool) -> Self {
        Self {
            known,
            graph: Graph::default(),
            dry,
            dims: vec![],
            names: HashMap::new(),
            replaced: vec![],
        }
    }

    /// Returns the state now.
    pub(super) fn mark(&mut self) -> Mark {
        self.replaced.clear();
        Mark {
            values: self.graph.values.len(),
            nodes: self.graph.nodes.len(),
        }
    }

    /// Goes back to a state; the one that `mark` returned last.
    pub(super) fn go_back(&mut self, mark: &Mark) {
        self.graph.values.truncate(mark.values);
        self.graph.nodes.truncate(mark.nodes);
        self.dims.truncate(mark.values);
        while let Some((name, before)) = self.replaced.pop() {
            match before {
                Some(named) => self.names.insert(name, named),
                None => self.names.remove(&name),
            };
        }
    }

    /// Reports whether the value was made after a state.
    pub(super) fn is_newer(&self, id: ValueId, mark: &Mark) -> bool {
        id.index() >= mark.values
    }

    /// Returns how many values were made after a state.
    pub(super) fn count_since(&self, mark: &Mark) -> usize {
        self.graph.values.len() - mark.values
    }

    /// Returns the dims of a value, if they are known.
    pub(super) fn dims(&self, id: ValueId) -> Option<&[TDim]> {
        self.dims[id.index()].as_deref()
    }

    /// Adds an input of the graph.
    pub(super) fn add_input(&mut self, name: &str) -> Option<ValueId> {
        let dims = self.known.dims(name)?;
        let datum_type = self.known.datum_type(name)?;
        let id = self.add(name.to_owned(), datum_type, dims)?;
        self.graph.inputs.push(id);
        self.define(name, datum_type, id);
        Some(id)
    }

    /// Adds a value of known dims; `None` if a plan cannot say these, or one is negative.
    pub(super) fn add(
        &mut self,
        name: String,
        datum_type: DatumType,
        dims: Vec<TDim>,
    ) -> Option<ValueId> {
        if dims
            .iter()
            .any(|dim| dim.as_i64().is_some_and(|dim| dim < 0))
        {
            return None;
        }
        let exprs = if self.dry {
            None
        } else {
            Some(self.exprs(&dims)?)
        };
        let id = self.graph.add_value(name, datum_type, exprs);
        self.dims.push(Some(dims));
        Some(id)
    }

    /// Adds a value whose dims may be such that only the data decides them.
    pub(super) fn add_any(
        &mut self,
        name: String,
        datum_type: DatumType,
        dims: Option<Vec<TDim>>,
    ) -> ValueId {
        let exprs = dims.as_deref().and_then(|dims| self.exprs(dims));
        self.dims.push(dims.filter(|_| exprs.is_some()));
        self.graph.add_value(name, datum_type, exprs)
    }

    fn exprs(&self, dims: &[TDim]) -> Option<Vec<DimExpr>> {
        let symbols = |symbol: &Symbol| {
            let name = symbol.to_string();
            let mut known = self.graph.symbols.iter();
            let index = known.position(|known| *known == name)?;
            Some(SymbolId(u32::try_from(index).ok()?))
        };
        dims.iter().map(|dim| to_expr(dim, &symbols)).collect()
    }

    /// Adds a constant; its bytes are asked for only where they are needed.
    pub(super) fn add_constant(
        &mut self,
        name: String,
        datum_type: DatumType,
        dims: &[usize],
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> ValueId {
        let bytes: Arc<[u8]> = if self.dry {
            Arc::from([])
        } else {
            bytes().into()
        };
        self.dims.push(Some(numbers(dims)));
        self.graph.add_constant(name, datum_type, dims, bytes)
    }

    /// Adds a node of one output.
    pub(super) fn add_node(&mut self, name: &str, op: Op, inputs: &[ValueId], output: ValueId) {
        self.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
    }

    /// Makes a name stand for a value.
    pub(super) fn define(&mut self, name: &str, datum_type: DatumType, id: ValueId) {
        let is_stored = self.graph.value(id).datum_type == datum_type;
        let computed = computed_type(datum_type);
        let is_computed = self.graph.value(id).datum_type == computed;
        self.set(
            name,
            Named {
                datum_type,
                stored: is_stored.then_some(id),
                computed: is_computed.then_some(id),
            },
        );
    }

    /// Returns the datum type that the model says a value has.
    pub(super) fn declared(&mut self, name: &str) -> Option<DatumType> {
        self.named(name).map(|named| named.datum_type)
    }

    /// Returns the value of a name, in the form that is computed with.
    pub(super) fn computed(&mut self, name: &str) -> Option<ValueId> {
        let named = self.named(name)?;
        if let Some(id) = named.computed {
            return Some(id);
        }
        let computed = computed_type(named.datum_type);
        let id = match named.stored {
            Some(stored) => self.cast(name, stored, format!("{name} as f32"), computed)?,
            None => self.initializer(name, computed)?,
        };
        let named = self.names.get(name).copied().unwrap_or(named);
        self.set(
            name,
            Named {
                computed: Some(id),
                stored: named
                    .stored
                    .or((computed == named.datum_type).then_some(id)),
                ..named
            },
        );
        Some(id)
    }

    /// Returns the value of a name, in the form that the model says.
    pub(super) fn stored(&mut self, name: &str) -> Option<ValueId> {
        let named = self.named(name)?;
        if let Some(id) = named.stored {
            return Some(id);
        }
        let id = match named.computed {
            Some(computed) if self.graph.value(computed).constant.is_none() => {
                let renamed = format!("{name} as f32");
                self.graph.values[computed.index()].name = renamed;
                self.cast(name, computed, name.to_owned(), named.datum_type)?
            }
            _ => self.initializer(name, named.datum_type)?,
        };
        self.set(
            name,
            Named {
                stored: Some(id),
                computed: named
                    .computed
                    .or((computed_type(named.datum_type) == named.datum_type).then_some(id)),
                ..named
            },
        );
        Some(id)
    }

    /// Returns a constant as the model stores it, any other value as it is computed with.
    pub(super) fn raw(&mut self, name: &str) -> Option<ValueId> {
        let constant = self.known.sources.tensors.contains_key(name);
        if constant {
            self.stored(name)
        } else {
            self.computed(name)
        }
    }

    fn cast(
        &mut self,
        node: &str,
        from: ValueId,
        name: String,
        datum_type: DatumType,
    ) -> Option<ValueId> {
        // Values of data-decided dims stay with tract.
        let dims = self.dims(from)?.to_vec();
        let id = self.add(name, datum_type, dims)?;
        self.add_node(node, Op::Kernel(Kernel::Cast), &[from], id);
        Some(id)
    }

    /// Adds an initializer as a constant, of the datum type that it has or of f32.
    fn initializer(&mut self, name: &str, datum_type: DatumType) -> Option<ValueId> {
        let tensor = *self.known.sources.tensors.get(name)?;
        let (stored, dims) = constants::type_of(tensor)?;
        if stored == datum_type {
            let bytes = constants::bytes(tensor)?;
            return Some(
                self.add_constant(name.to_owned(), datum_type, &dims, || bytes.into_owned()),
            );
        }
        let name = format!("{name} as f32");
        Some(self.add_constant(name, datum_type, &dims, || {
            constants::f32_bytes(&constants::floats(tensor).unwrap_or_default())
        }))
    }

    fn named(&mut self, name: &str) -> Option<Named> {
        if name.is_empty() {
            return None;
        }
        if let Some(named) = self.names.get(name) {
            return Some(*named);
        }
        let (datum_type, stored) = match self.known.sources.tensors.get(name) {
            Some(tensor) => (constants::type_of(tensor)?.0, None),
            // Where only types are asked for, values are taken as they come.
            None if self.dry => {
                let datum_type = self.known.datum_type(name)?;
                let dims = self.known.dims(name)?;
                (datum_type, Some(self.add(name.into(), datum_type, dims)?))
            }
            None => return None,
        };
        let named = Named {
            datum_type,
            stored,
            computed: stored.filter(|_| computed_type(datum_type) == datum_type),
        };
        self.set(name, named);
        Some(named)
    }

    fn set(&mut self, name: &str, named: Named) {
        let before = self.names.insert(name.to_owned(), named);
        self.replaced.push((name.to_owned(), before));
    }
}

/// Returns the datum type in which values of another are computed.
pub(super) fn computed_type(datum_type: DatumType) -> DatumType {
    match datum_type {
        DatumType::F16 | DatumType::Bf16 => DatumType::F32,
        other => other,
    }
}

/// Returns the bytes of one number of a datum type; `None` if it does not hold it.
pub(super) fn number_bytes(number: f64, datum_type: DatumType) -> Option<Vec<u8>> {
    let integer = || Some(number as i64).filter(|&integer| integer as f64 == number);
    Some(match datum_type {
        DatumType::Bool => vec![u8::from(number != 0.0)],
        DatumType::U8 => u8::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::U16 => u16::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::U32 => u32::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::U64 => u64::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::I8 => i8::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::I16 => i16::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::I32 => i32::try_from(integer()?).ok()?.to_le_bytes().to_vec(),
        DatumType::I64 => integer()?.to_le_bytes().to_vec(),
        DatumType::F16 => f16::from_f64(number).to_le_bytes().to_vec(),
        DatumType::Bf16 => bf16::from_f64(number).to_le_bytes().to_vec(),
        DatumType::F32 => (number as f32).to_le_bytes().to_vec(),
        DatumType::F64 => number.to_le_bytes().to_vec(),
    })
}
