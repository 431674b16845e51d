//! Models that do what a test says.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ThreadId};
use std::time::Instant;

use tensorlet_batch::{CallOptions, Fault, Handle, Join, Predict, Scheduler, SchedulerConfig};
use tensorlet_tensor::{NamedTensor, Signature, Tensor};

/// A model `x: f32[N, W]` to `y: f32[N, W]`, which is `x + 1`.
///
/// It fails if a number is -1, panics if one is -2, gives too few rows if one is -3 and there are others, and fails
/// as a broken host if one is -4.
pub(crate) struct Double {
    signature: Signature,
    executions: Option<Mutex<Sender<Execution>>>,
}

/// An execution that has started.
pub(crate) struct Execution {
    pub(crate) rows: usize,
    pub(crate) deadline: Option<Instant>,
    pub(crate) thread: ThreadId,
    end: Sender<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("{fault:?} is broken")]
pub(crate) struct Broken {
    pub(crate) fault: Fault,
}

impl Double {
    /// A model that answers at once.
    pub(crate) fn immediate() -> Self {
        Self {
            signature: signature("y:f32[N,W]"),
            executions: None,
        }
    }

    /// A model whose executions end when the test says so.
    pub(crate) fn stepwise() -> (Self, Receiver<Execution>) {
        let (sender, executions) = mpsc::channel();
        let double = Self {
            executions: Some(Mutex::new(sender)),
            ..Self::immediate()
        };
        (double, executions)
    }

    /// The same model, whose calls cannot be joined.
    pub(crate) fn unbatched(self) -> Self {
        let signature = signature("y:f32[2,W]");
        Self { signature, ..self }
    }
}

impl Execution {
    pub(crate) fn end(self) {
        self.end.send(()).unwrap();
    }
}

impl Predict for Double {
    type Error = Broken;

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(
        &self,
        inputs: &[NamedTensor],
        deadline: Option<Instant>,
    ) -> Result<Vec<NamedTensor>, Broken> {
        let [(_, x)] = inputs else {
            panic!("expected one input");
        };
        let mut values = x.to_values::<f32>().unwrap();
        if let Some(executions) = &self.executions {
            let (end, ended) = mpsc::channel();
            let execution = Execution {
                rows: usize::try_from(x.dims()[0]).unwrap(),
                deadline,
                thread: thread::current().id(),
                end,
            };
            executions.lock().unwrap().send(execution).unwrap();
            ended.recv().unwrap();
        }
        let fail = |fault| Err(Broken { fault });
        let mut dims = x.dims().to_vec();
        if values.contains(&-1.0) {
            return fail(Fault::Caller);
        } else if values.contains(&-2.0) {
            panic!("it is -2");
        } else if values.contains(&-3.0) && dims[0] > 1 {
            dims[0] = 1;
            values.truncate(usize::try_from(dims[1]).unwrap());
        } else if values.contains(&-4.0) {
            return fail(Fault::Host);
        }
        values.iter_mut().for_each(|value| *value += 1.0);
        Ok(vec![(
            "y".into(),
            Tensor::from_values(dims, &values).unwrap(),
        )])
    }

    fn fault(&self, error: &Broken) -> Fault {
        error.fault
    }
}

fn signature(output: &str) -> Signature {
    Signature::new(
        vec!["x:f32[N,W]".parse().unwrap()],
        vec![output.parse().unwrap()],
    )
}

pub(crate) fn start(
    double: Double,
    change: impl FnOnce(&mut SchedulerConfig),
) -> Scheduler<Double> {
    let mut config = SchedulerConfig::default();
    // What is joined is not to depend on what was measured.
    config.batch.join = Join::Always;
    max_batch_size(&mut config, 4);
    change(&mut config);
    Scheduler::start(double, config).unwrap()
}

pub(crate) fn workers(config: &mut SchedulerConfig, workers: usize) {
    config.workers = NonZeroUsize::new(workers).unwrap();
}

pub(crate) fn max_batch_size(config: &mut SchedulerConfig, rows: u32) {
    config.batch.max_batch_size = NonZeroU32::new(rows).unwrap();
}

/// A call of one row of one number.
pub(crate) fn row(value: f32) -> Vec<NamedTensor> {
    named("x", value)
}

/// The outputs of that call.
pub(crate) fn answer(value: f32) -> Vec<NamedTensor> {
    named("y", value + 1.0)
}

fn named(name: &str, value: f32) -> Vec<NamedTensor> {
    vec![(
        name.into(),
        Tensor::from_values(vec![1, 1], &[value]).unwrap(),
    )]
}

pub(crate) fn submit(scheduler: &Scheduler<Double>, value: f32) -> Handle<Double> {
    let handle = scheduler.submit(row(value), CallOptions::default());
    handle.expect("the call is let in")
}
