//! How the outputs of a row are divided into chunks.

use crate::window::Axis;

/// Chunks of equal size that follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Chunk {
    /// The first output.
    pub(super) output: usize,
    /// How many outputs each chunk has: one of [`SIZES`].
    pub(super) size: usize,
    /// How many chunks follow each other.
    pub(super) count: usize,
    /// Which columns, counted from where the first window of a chunk begins, are elements of the input. Several chunks follow
    /// each other only where all are.
    pub(super) first: usize,
    /// The end of these columns.
    pub(super) end: usize,
}

/// How many outputs a chunk may have.
pub(super) const SIZES: [usize; 5] = [8, 7, 4, 2, 1];

/// Of windows that are not unrolled: how many outputs at each end of a chunk of more than 4 may see columns that are not there.
pub(super) const CHECKED: usize = 3;

/// Divides a row, of windows of so many rows.
pub(super) fn chunks(horizontal: &Axis, unrolled: bool, window_rows: usize) -> Vec<Chunk> {
    /// Chunks that follow each other see no more taps of windows together, so that an interruption is noticed soon.
    const TAPS: usize = if cfg!(target_arch = "wasm32") {
        usize::MAX
    } else {
        200_000
    };
    let most = TAPS / horizontal.kernel.saturating_mul(window_rows).max(1);
    let interior = horizontal.interior();
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut output = 0;
    while output < horizontal.output {
        let chunk = next(horizontal, unrolled, output);
        let last_output = output + chunk.size - 1;
        match chunks.last_mut() {
            Some(last)
                if last.size == chunk.size
                    && last.count * last.size < most
                    && interior.contains(&last.output)
                    && interior.contains(&last_output) =>
            {
                last.count += 1;
            }
            _ => chunks.push(chunk),
        }
        output += chunk.size;
    }
    chunks
}

/// Returns the largest chunk that fits.
///
/// Widths are often multiples of 7: those are divided by it, unless 8 divides them too.
fn next(horizontal: &Axis, unrolled: bool, output: usize) -> Chunk {
    let room = horizontal.output - output;
    let most = if room.is_multiple_of(7) && !room.is_multiple_of(8) {
        7
    } else {
        room
    };
    SIZES
        .into_iter()
        .filter(|&size| size <= most)
        .map(|size| chunk(horizontal, output, size))
        .find(|chunk| match unrolled {
            true => is_whole(horizontal, chunk),
            false => is_checked(horizontal, chunk),
        })
        .unwrap_or_else(|| chunk(horizontal, output, 1))
}

/// Reports whether the first window of a chunk begins, and the last one ends, no further outside than all but one column. Only
/// then may unrolled windows have more than one output, so that most columns need no look at whether they are there.
fn is_whole(horizontal: &Axis, chunk: &Chunk) -> bool {
    let last = (chunk.size - 1) * horizontal.stride;
    chunk.first < horizontal.kernel && chunk.end > last
}

/// Reports whether all columns are there of those outputs that are not looked at, of windows that are not unrolled.
fn is_checked(horizontal: &Axis, chunk: &Chunk) -> bool {
    let reach = (horizontal.kernel - 1) * horizontal.dilation + 1;
    let seen_last = chunk.size.saturating_sub(CHECKED + 1) * horizontal.stride + reach;
    chunk.size <= 4 || chunk.first <= CHECKED * horizontal.stride && seen_last <= chunk.end
}

/// Returns one chunk.
fn chunk(horizontal: &Axis, output: usize, size: usize) -> Chunk {
    let begin = horizontal.begin(output);
    let reach = (horizontal.kernel - 1) * horizontal.dilation + 1;
    let columns = (size - 1) * horizontal.stride + reach;
    let first = begin.min(0).unsigned_abs().min(columns);
    let ahead = (horizontal.input as isize - begin).max(0) as usize;
    Chunk {
        output,
        size,
        count: 1,
        first,
        end: ahead.min(columns).max(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every column that the chunks say is there is, and the other way round.
    #[track_caller]
    fn check(axis: &Axis, unrolled: bool) {
        let mut outputs = 0;
        for chunk in chunks(axis, unrolled, 3) {
            assert_eq!(chunk.output, outputs, "{axis:?}");
            assert!(SIZES.contains(&chunk.size), "{chunk:?}");
            for _ in 0..chunk.count {
                let reach = (axis.kernel - 1) * axis.dilation + 1;
                let columns = (chunk.size - 1) * axis.stride + reach;
                for column in 0..columns {
                    let element = axis.begin(outputs) + column as isize;
                    let is_there = (0..axis.input as isize).contains(&element);
                    let is_said = (chunk.first..chunk.end).contains(&column);
                    assert_eq!(is_said, is_there, "{axis:?} {chunk:?} {column}");
                }
                let fits = if unrolled { is_whole } else { is_checked };
                assert!(chunk.size == 1 || fits(axis, &chunk), "{axis:?} {chunk:?}");
                outputs += chunk.size;
            }
        }
        assert_eq!(outputs, axis.output, "{axis:?}");
    }

    #[test]
    fn chunks_divide_a_row_and_know_which_columns_are_there() {
        for input in 0..30 {
            for (kernel, stride, dilation) in
                [(3, 1, 1), (5, 2, 1), (7, 1, 1), (2, 3, 2), (3, 1, 4)]
            {
                for pad_before in [0, 1, 2, 9] {
                    let axis = Axis {
                        input,
                        output: (input + 4) / stride,
                        kernel,
                        stride,
                        dilation,
                        pad_before,
                    };
                    check(&axis, dilation == 1);
                    check(&axis, false);
                }
            }
        }
    }
}
