//! Remembers bindings.

use std::sync::{Arc, Mutex, PoisonError};

use super::Binding;
use crate::error::PredictError;
use crate::program::Program;

/// How many bindings are remembered. A model that is called with more sizes than these in turn is bound at every call.
pub(crate) const MAX_BINDINGS: usize = 16;

/// The bindings that were used last, the latest at the end.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Vec<Arc<Binding>>>);

impl Cache {
    /// Returns the binding to these sizes, from memory if it is there.
    pub(crate) fn bind(
        &self,
        program: &Program,
        sizes: &[u32],
    ) -> Result<Arc<Binding>, PredictError> {
        if let Some(binding) = self.find(program, sizes) {
            return Ok(binding);
        }
        // Others may bind the same at the same time; that costs time and nothing else.
        let binding = Arc::new(Binding::new(program, sizes)?);
        let mut bindings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bindings.len() == MAX_BINDINGS {
            bindings.remove(0);
        }
        bindings.push(binding.clone());
        Ok(binding)
    }

    fn find(&self, program: &Program, sizes: &[u32]) -> Option<Arc<Binding>> {
        let mut bindings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = bindings
            .iter()
            .rposition(|binding| binding.is_for(program, sizes))?;
        bindings[index..].rotate_left(1);
        bindings.last().cloned()
    }

    /// Returns about how many bytes the bindings take.
    pub(crate) fn bytes(&self) -> usize {
        let bindings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = bindings.iter().map(|binding| binding.bytes());
        bytes.fold(0, usize::saturating_add)
    }

    /// Forgets all bindings.
    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Returns how many bindings are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use tensorlet_plan::{Description, DimExpr, Layout, Plan, Storage, SymbolId, Value, ValueId};
    use tensorlet_tensor::{DatumType, Signature};

    use super::*;
    use crate::executor::LoadOptions;

    /// A plan of two symbols that returns its input.
    fn program(row_symbol: Option<SymbolId>) -> Program {
        let dims = [SymbolId(0), SymbolId(1)].map(DimExpr::symbol);
        let spec = |name: &str| format!("{name}:u8[N,W]").parse().unwrap();
        let plan = Plan {
            description: Description {
                signature: Signature::new(vec![spec("x")], vec![spec("y")]),
                ..Description::default()
            },
            symbols: vec!["N".into(), "W".into()],
            row_symbol,
            values: vec![Value {
                name: "x".into(),
                datum_type: DatumType::U8,
                dims: Some(dims.to_vec()),
                layout: Layout::Plain,
                storage: Storage::Input,
            }],
            steps: vec![],
            outputs: vec![ValueId(0)],
            tiles: vec![],
            constants: Cow::Borrowed(&[]),
        };
        plan.verify().unwrap();
        Program::load(&plan, LoadOptions::default()).unwrap()
    }

    #[test]
    fn equal_sizes_share_a_binding() {
        let program = program(None);
        let cache = Cache::default();
        let first = cache.bind(&program, &[1, 2]).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.bind(&program, &[1, 2]).unwrap()));
        assert!(!Arc::ptr_eq(
            &first,
            &cache.bind(&program, &[2, 1]).unwrap()
        ));
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn rows_make_no_difference_where_they_run_one_by_one() {
        let program = program(Some(SymbolId(0)));
        let cache = Cache::default();
        let first = cache.bind(&program, &[1, 2]).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.bind(&program, &[7, 2]).unwrap()));
        assert!(!Arc::ptr_eq(
            &first,
            &cache.bind(&program, &[7, 3]).unwrap()
        ));
    }

    #[test]
    fn the_binding_that_was_not_used_for_longest_is_forgotten() {
        let program = program(None);
        let cache = Cache::default();
        let first = cache.bind(&program, &[1, 0]).unwrap();
        let second = cache.bind(&program, &[1, 1]).unwrap();
        for size in 2..MAX_BINDINGS as u32 {
            cache.bind(&program, &[1, size]).unwrap();
        }
        assert!(Arc::ptr_eq(&first, &cache.bind(&program, &[1, 0]).unwrap()));
        cache.bind(&program, &[2, 0]).unwrap();
        assert_eq!(cache.len(), MAX_BINDINGS, "at the limit");
        assert!(Arc::ptr_eq(&first, &cache.bind(&program, &[1, 0]).unwrap()));
        assert!(!Arc::ptr_eq(
            &second,
            &cache.bind(&program, &[1, 1]).unwrap()
        ));
    }
}
