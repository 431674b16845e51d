//! The seam to what executes a model.

use std::error::Error;
use std::time::Instant;

use tensorlet_tensor::{NamedTensor, Signature};

/// Executes one model, for several workers at a time.
pub trait Predict: Send + Sync + 'static {
    /// Why there are no outputs.
    type Error: Error + Send + Sync + 'static;

    /// Returns what the model takes and gives; the same each time.
    ///
    /// Without a batch symbol, calls are not joined.
    fn signature(&self) -> &Signature;

    /// Computes the outputs of inputs that fit the signature, on the thread that asks.
    ///
    /// Takes no longer than until `deadline`, as nobody waits for the outputs then. May panic: that is a failure of
    /// these inputs and ends nothing else.
    ///
    /// # Errors
    /// If there are no outputs.
    fn predict(
        &self,
        inputs: &[NamedTensor],
        deadline: Option<Instant>,
    ) -> Result<Vec<NamedTensor>, Self::Error>;

    /// Says whose fault an error is.
    fn fault(&self, error: &Self::Error) -> Fault;

    /// Reports whether calls that were joined may succeed apart, after this error of their batch.
    ///
    /// Default: if it is the fault of caller or model, as it may be that of one call. Worth a yes too is a limit of
    /// time or memory per execution that a single call may keep.
    fn is_worth_retrying_apart(&self, error: &Self::Error) -> bool {
        matches!(self.fault(error), Fault::Caller | Fault::Model)
    }
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// The call is wrong; it will be wrong again.
    Caller,
    /// The model cannot do it.
    Model,
    /// The host or the worker is broken.
    Host,
    /// There is too much to do; later it may succeed.
    Load,
}
