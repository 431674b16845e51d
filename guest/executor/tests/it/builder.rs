//! Makes plans, step by step.

use std::borrow::Cow;

use tensorlet_executor::{Executor, LoadOptions};
use tensorlet_plan::{
    Description, DimExpr, Kernel, Layout, Plan, Step, Storage, SymbolId, Value, ValueId,
};
use tensorlet_tensor::{Dim, Element, NamedTensor, Signature, Tensor, TensorSpec};

/// A plan that grows.
pub(crate) struct Builder {
    pub(crate) plan: Plan<'static>,
}

impl Builder {
    /// A plan with inputs such as `x:f32[N,4]`, which are its first values.
    pub(crate) fn new(inputs: &[&str]) -> Self {
        let specs: Vec<TensorSpec> = inputs.iter().map(|text| text.parse().unwrap()).collect();
        let mut builder = Self {
            plan: Plan {
                description: Description {
                    name: "test".into(),
                    ..Description::default()
                },
                symbols: Vec::new(),
                row_symbol: None,
                values: Vec::new(),
                steps: Vec::new(),
                outputs: Vec::new(),
                tiles: Vec::new(),
                constants: Cow::Borrowed(&[]),
            },
        };
        for symbol in specs
            .iter()
            .flat_map(|spec| &spec.dims)
            .filter_map(Dim::symbol)
        {
            if builder.plan.symbols.iter().all(|other| other != symbol) {
                builder.plan.symbols.push(symbol.into());
            }
        }
        for spec in &specs {
            let value = builder.value(&spec.to_string(), Storage::Input);
            builder.add(value);
        }
        builder.plan.description.signature.inputs = specs;
        builder
    }

    /// Adds a constant of f32.
    pub(crate) fn constant<T: Element>(&mut self, spec: &str, elements: &[T]) -> ValueId {
        let bytes = bytemuck::cast_slice(elements);
        let constants = self.plan.constants.to_mut();
        constants.resize(constants.len().next_multiple_of(64), 0);
        let begin = constants.len() as u64;
        constants.extend_from_slice(bytes);
        let value = self.value(spec, Storage::Constant(begin..begin + bytes.len() as u64));
        self.add(value)
    }

    /// Adds another view of a value.
    pub(crate) fn alias(&mut self, spec: &str, of: ValueId) -> ValueId {
        let value = self.value(spec, Storage::Alias(of));
        self.add(value)
    }

    /// Adds a step with one output.
    pub(crate) fn step(&mut self, spec: &str, kernel: Kernel, inputs: &[ValueId]) -> ValueId {
        let value = self.value(spec, Storage::Buffer);
        self.step_to(value, kernel, inputs)
    }

    /// Adds a step that writes a given value.
    pub(crate) fn step_to(&mut self, value: Value, kernel: Kernel, inputs: &[ValueId]) -> ValueId {
        let name = value.name.clone();
        let output = self.add(value);
        self.plan.steps.push(Step {
            name,
            kernel,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        output
    }

    /// Makes a value such as `y:f32[N,4]`.
    pub(crate) fn value(&self, spec: &str, storage: Storage) -> Value {
        let spec: TensorSpec = spec.parse().unwrap();
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(size) => DimExpr::number(i64::from(*size)),
            Dim::Symbol(name) => DimExpr::symbol(self.symbol(name)),
        };
        Value {
            name: spec.name,
            datum_type: spec.datum_type,
            dims: Some(spec.dims.iter().map(dim).collect()),
            layout: Layout::Plain,
            storage,
        }
    }

    pub(crate) fn symbol(&self, name: &str) -> SymbolId {
        let index = self.plan.symbols.iter().position(|symbol| symbol == name);
        SymbolId(index.unwrap() as u32)
    }

    /// Ends the plan with these outputs, named as the values are.
    pub(crate) fn finish(mut self, outputs: &[ValueId]) -> Plan<'static> {
        let specs = outputs.iter().enumerate().map(|(index, id)| {
            let value = &self.plan.values[id.index()];
            let dims = value.dims.iter().flatten();
            TensorSpec {
                name: format!("{index} {}", value.name),
                datum_type: value.datum_type,
                dims: dims
                    .map(|dim| match dim.as_number() {
                        Some(size) => Dim::Fixed(size as u32),
                        None => Dim::Symbol(dim.text(&self.plan.symbols)),
                    })
                    .collect(),
            }
        });
        let inputs = self.plan.description.signature.inputs.clone();
        self.plan.description.signature = Signature::new(inputs, specs.collect());
        self.plan.outputs = outputs.to_vec();
        self.plan
    }

    fn add(&mut self, value: Value) -> ValueId {
        self.plan.values.push(value);
        ValueId(self.plan.values.len() as u32 - 1)
    }
}

pub(crate) fn load(plan: &Plan<'_>) -> Executor {
    Executor::load(plan, LoadOptions::default()).unwrap()
}

pub(crate) fn tensor<T: Element>(name: &str, dims: &[u32], elements: &[T]) -> NamedTensor {
    let tensor = Tensor::from_values(dims.to_vec(), elements).unwrap();
    (name.into(), tensor)
}

pub(crate) fn elements<T: Element>(tensor: &NamedTensor) -> Vec<T> {
    tensor.1.to_values().unwrap()
}

/// Random numbers, the same at every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % end
    }

    pub(crate) fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.below(1000) as f32 - 500.0).collect()
    }
}

/// A slice that begins a given number of bytes after a multiple of 64.
pub(crate) struct Shifted {
    room: Vec<u8>,
    begin: usize,
    len: usize,
}

impl Shifted {
    pub(crate) fn new(bytes: &[u8], shift: usize) -> Self {
        let mut room = vec![0xa5; bytes.len() + 128];
        let begin = room.as_ptr().addr().wrapping_neg() % 64 + shift;
        room[begin..][..bytes.len()].copy_from_slice(bytes);
        Self {
            room,
            begin,
            len: bytes.len(),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.room[self.begin..][..self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.begin..][..self.len]
    }

    /// Reports whether nothing around the slice was written.
    pub(crate) fn is_intact(&self) -> bool {
        let (before, rest) = self.room.split_at(self.begin);
        before
            .iter()
            .chain(&rest[self.len..])
            .all(|&byte| byte == 0xa5)
    }
}
