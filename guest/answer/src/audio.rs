//! Makes the inputs of a model that listens to a recording, chunk after chunk.

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec};
use tensorlet_tensor::{DatumType, NamedTensor, Tensor};

use crate::model_toml::AudioInput;
use crate::outputs::find_f32;
use crate::{InvalidFile, InvalidOutput};

/// The most samples of a recording: 256 MiB, 70 minutes at 16 kHz.
const MAX_SAMPLES: u32 = 1 << 26;

/// The most chunks of a recording.
const MAX_CHUNKS: usize = 1 << 20;

/// The samples of a recording.
pub(crate) struct Recording {
    sample_rate: u32,
    chunk: usize,
    context: usize,
    /// `context` zeros, then the samples, then zeros up to a whole number of chunks.
    padded: Vec<f32>,
    /// The number of samples alone.
    len: usize,
}

impl AudioInput {
    /// Reads a WAV file.
    ///
    /// # Errors
    /// If it is another file, not mono, of another sample rate, empty or too long.
    pub(crate) fn decode(&self, file: &[u8]) -> Result<Recording, InvalidFile> {
        let invalid = |error: hound::Error| {
            let found = match &error {
                hound::Error::Unsupported => "a WAV file of another encoding",
                hound::Error::FormatError(_) => "another format, or a damaged one",
                _ => "a damaged or cut one",
            };
            InvalidFile::new("a WAV file, PCM or 32-bit float", found).because(error)
        };
        let reader = WavReader::new(Cursor::new(file)).map_err(invalid)?;
        self.check(reader.spec(), reader.len())?;

        let (chunk, context) = (self.chunk as usize, self.context as usize);
        let mut padded = vec![0.0; context];
        match reader.spec().sample_format {
            SampleFormat::Float => {
                for sample in reader.into_samples::<f32>() {
                    padded.push(sample.map_err(invalid)?);
                }
            }
            SampleFormat::Int => {
                let full_scale = f64::from(reader.spec().bits_per_sample - 1).exp2();
                for sample in reader.into_samples::<i32>() {
                    let sample = f64::from(sample.map_err(invalid)?);
                    padded.push((sample / full_scale) as f32);
                }
            }
        }
        let len = padded.len() - context;
        padded.resize(context + len.next_multiple_of(chunk), 0.0);
        Ok(Recording {
            sample_rate: self.sample_rate,
            chunk,
            context,
            padded,
            len,
        })
    }

    fn check(&self, spec: WavSpec, samples: u32) -> Result<(), InvalidFile> {
        let sample_rate = self.sample_rate;
        if spec.channels != 1 || spec.sample_rate != sample_rate {
            let found = match spec.channels {
                1 => "a mono one".into(),
                channels => format!("one with {channels} channels"),
            };
            return Err(InvalidFile::new(
                format!("a mono recording at {sample_rate} Hz"),
                format!("{found} at {} Hz", spec.sample_rate),
            ));
        }
        if !matches!(spec.bits_per_sample, 8 | 16 | 24 | 32) {
            return Err(InvalidFile::new(
                "samples of 8, 16, 24 or 32 bits",
                format!("{} bits", spec.bits_per_sample),
            ));
        }
        let most = usize::try_from(self.chunk).map_or(usize::MAX, |n| n.saturating_mul(MAX_CHUNKS));
        let most = u32::try_from(most).map_or(MAX_SAMPLES, |most| most.min(MAX_SAMPLES));
        if samples == 0 || samples > most {
            return Err(InvalidFile::new(
                format!("a recording of 1 to {most} samples"),
                format!("{samples}"),
            ));
        }
        Ok(())
    }

    /// Returns the inputs of one call.
    ///
    /// # Panics
    /// If the window is not one of [`Recording::windows`].
    pub(crate) fn inputs(&self, window: &[f32], state: Vec<NamedTensor>) -> Vec<NamedTensor> {
        let tensor = Tensor::from_values(vec![1, self.context + self.chunk], window)
            .expect("a window is context and chunk");
        let mut inputs = vec![(self.input.clone(), tensor)];
        inputs.extend(state);
        inputs
    }

    /// Returns the state before the first call: zeros.
    pub(crate) fn first_state(&self) -> Vec<NamedTensor> {
        let zeros = |dims: &Vec<u32>| {
            Tensor::zeros(DatumType::F32, dims.clone()).expect("model.toml's dims are limited")
        };
        self.state
            .iter()
            .map(|state| (state.input.clone(), zeros(&state.dims)))
            .collect()
    }

    /// Returns the state that a call leaves to the next one.
    ///
    /// # Errors
    /// If an output is missing or of another type.
    pub(crate) fn next_state(
        &self,
        outputs: &[NamedTensor],
    ) -> Result<Vec<NamedTensor>, InvalidOutput> {
        self.state
            .iter()
            .map(|state| {
                let has_dims = |tensor: &Tensor| tensor.dims() == state.dims;
                let tensor = find_f32(
                    outputs,
                    &state.output,
                    &format!("{:?}", state.dims),
                    has_dims,
                )?;
                Ok((state.input.clone(), tensor.clone()))
            })
            .collect()
    }
}

impl Recording {
    /// Returns each chunk with the context before it.
    pub(crate) fn windows(&self) -> impl Iterator<Item = &[f32]> {
        self.padded
            .windows(self.context + self.chunk)
            .step_by(self.chunk)
    }

    /// Returns start and end of each chunk in seconds, without the zeros after the end.
    pub(crate) fn chunk_spans_s(&self) -> impl Iterator<Item = (f64, f64)> {
        let seconds = |sample: usize| sample as f64 / f64::from(self.sample_rate);
        (0..self.len).step_by(self.chunk).map(move |start| {
            let end = self.len.min(start + self.chunk);
            (seconds(start), seconds(end))
        })
    }
}

#[cfg(test)]
mod tests;
