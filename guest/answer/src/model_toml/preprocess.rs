//! The `[preprocess]` table: how a file becomes inputs.

use super::InvalidModelToml;
use super::reader::{Table, Value};

/// The longest side of a picture that a model may ask for, in pixels.
const MAX_SIDE: u32 = 4096;

/// The most elements that one input of a model of bytes or audio, or one state, may have.
const MAX_ELEMENTS: u32 = 1 << 24;

/// The highest sample rate, in hertz.
const MAX_SAMPLE_RATE: u32 = 1_000_000;

/// How a file becomes inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Preprocess {
    /// `kind = "picture"`.
    Picture(PictureInput),
    /// `kind = "bytes"`.
    Bytes(BytesInput),
    /// `kind = "audio"`.
    Audio(AudioInput),
}

impl Preprocess {
    /// Returns the `kind` in `model.toml`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Picture(_) => "picture",
            Self::Bytes(_) => "bytes",
            Self::Audio(_) => "audio",
        }
    }
}

/// How a picture becomes an input: decode, turn as its Exif orientation says, drop alpha, crop, resize,
/// subtract the mean, scale.
///
/// PNG, JPEG, WebP, BMP and GIF (its first frame) are read; grey pictures become coloured ones.
///
/// # Shapes
/// The input is `f32[1, 3, height, width]`, or `f32[1, height, width, 3]` with [`Layout::Nhwc`].
#[derive(Clone, Debug, PartialEq)]
pub struct PictureInput {
    /// The name of the input.
    pub input: String,
    /// The width to resize to, 1 to 4096 pixels.
    pub width: u32,
    /// The height to resize to, 1 to 4096 pixels.
    pub height: u32,
    /// Take the central square whose side is this share of the shorter side, rounded to whole pixels. Above
    /// 0, at most 1. Without it the whole picture is stretched.
    pub crop: Option<f64>,
    /// How to resize. The default is [`Filter::Bilinear`].
    pub filter: Filter,
    /// The order of the channels. The default is [`Channels::Rgb`].
    pub channels: Channels,
    /// The order of the axes. The default is [`Layout::Nchw`].
    pub layout: Layout,
    /// What is subtracted from the values 0 to 255, by channel in the order of `channels`. The default is 0.
    pub mean: [f32; 3],
    /// What the differences are multiplied by, likewise. The default is 1.
    pub scale: [f32; 3],
}

/// How a picture is resized. The filters widen when a picture shrinks, so that every pixel counts (except
/// with [`Filter::Nearest`]), and each channel is rounded to whole values.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A triangle over the pixels around.
    #[default]
    Bilinear,
    /// Catmull and Rom's cubic spline.
    Bicubic,
}

/// The order of a picture's channels.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// The order of a picture's axes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Layout {
    /// Channels outside: all of the first, then all of the second.
    #[default]
    Nchw,
    /// Channels inside: pixel after pixel.
    Nhwc,
}

/// How the two ends of any file become an input: of the first `block` bytes without leading ASCII white
/// space the first `begin`, and of the last `block` bytes without trailing white space the last `end`.
///
/// White space is space, tab, line feed, vertical tab, form feed and carriage return. Padding comes after
/// the bytes of the beginning and before those of the end.
///
/// # Shapes
/// The input is `i32[1, begin + end]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BytesInput {
    /// The name of the input.
    pub input: String,
    /// How many values are from the beginning. At most `block`, and not 0 if `end` is.
    pub begin: u32,
    /// How many values are from the end. At most `block`.
    pub end: u32,
    /// How many bytes are looked at, at each end: 1 to 8 388 608.
    pub block: u32,
    /// The value where bytes are missing.
    pub padding: i32,
}

/// How a recording becomes one input after another, one a chunk, with state carried from call to call.
///
/// WAV is read: PCM with 8, 16, 24 or 32 bits, scaled to -1 to 1, or 32-bit floats as they are. It must be mono
/// and of the sample rate that the model asks for.
///
/// # Shapes
/// The input is `f32[1, context + chunk]`: the `context` samples before the chunk (zeros before the first),
/// then the chunk (zeros after the last sample).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AudioInput {
    /// The name of the input.
    pub input: String,
    /// The number of samples a second, 1 to 1 000 000.
    pub sample_rate: u32,
    /// The number of samples that each call adds, 1 to 16 777 216 with `context`.
    pub chunk: u32,
    /// The number of samples repeated from before the chunk. The default is 0.
    pub context: u32,
    /// The state, empty by default.
    pub state: Vec<State>,
}

/// An output that the next call gets as an input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// The name of the input. Zeros of type f32 at first.
    pub input: String,
    /// The name of the output that it is taken from.
    pub output: String,
    /// The sizes of both.
    pub dims: Vec<u32>,
}

#[derive(Clone, Copy)]
enum Kind {
    Picture,
    Bytes,
    Audio,
}

pub(super) fn read(value: &Value<'_>) -> Result<Preprocess, InvalidModelToml> {
    let table = value.table()?;
    let kind = table.field("kind").one_of(&[
        ("picture", Kind::Picture),
        ("bytes", Kind::Bytes),
        ("audio", Kind::Audio),
    ])?;
    match kind {
        Kind::Picture => read_picture(&table).map(Preprocess::Picture),
        Kind::Bytes => read_bytes(&table).map(Preprocess::Bytes),
        Kind::Audio => read_audio(&table).map(Preprocess::Audio),
    }
}

fn read_picture(table: &Table<'_>) -> Result<PictureInput, InvalidModelToml> {
    table.only(&[
        "kind", "input", "width", "height", "crop", "filter", "channels", "layout", "mean", "scale",
    ])?;
    let crop = |value: &Value<'_>| {
        value.number("a number above 0 and at most 1", |crop| {
            crop > 0.0 && crop <= 1.0
        })
    };
    let filters = [
        ("nearest", Filter::Nearest),
        ("bilinear", Filter::Bilinear),
        ("bicubic", Filter::Bicubic),
    ];
    let channels = [("rgb", Channels::Rgb), ("bgr", Channels::Bgr)];
    let layouts = [("nchw", Layout::Nchw), ("nhwc", Layout::Nhwc)];
    Ok(PictureInput {
        input: table.field("input").text()?,
        width: table.field("width").integer(1..=MAX_SIDE)?,
        height: table.field("height").integer(1..=MAX_SIDE)?,
        crop: table.optional("crop", crop)?,
        filter: table
            .optional("filter", |value| value.one_of(&filters))?
            .unwrap_or_default(),
        channels: table
            .optional("channels", |value| value.one_of(&channels))?
            .unwrap_or_default(),
        layout: table
            .optional("layout", |value| value.one_of(&layouts))?
            .unwrap_or_default(),
        mean: table.optional("mean", read_channels)?.unwrap_or([0.0; 3]),
        scale: table.optional("scale", read_channels)?.unwrap_or([1.0; 3]),
    })
}

/// Reads a number for each channel.
fn read_channels(value: &Value<'_>) -> Result<[f32; 3], InvalidModelToml> {
    let expected = "an array of 3 numbers";
    let numbers = value
        .items(expected)?
        .iter()
        .map(Value::f32)
        .collect::<Result<Vec<f32>, _>>()?;
    numbers.try_into().map_err(|_| value.fail(expected))
}

fn read_bytes(table: &Table<'_>) -> Result<BytesInput, InvalidModelToml> {
    table.only(&["kind", "input", "begin", "end", "block", "padding"])?;
    let block = table.field("block").integer(1..=MAX_ELEMENTS / 2)?;
    let begin = table.field("begin").integer(0..=block)?;
    Ok(BytesInput {
        input: table.field("input").text()?,
        begin,
        end: table.field("end").integer(u32::from(begin == 0)..=block)?,
        block,
        padding: table.field("padding").integer(i32::MIN..=i32::MAX)?,
    })
}

fn read_audio(table: &Table<'_>) -> Result<AudioInput, InvalidModelToml> {
    table.only(&[
        "kind",
        "input",
        "sample_rate",
        "chunk",
        "context",
        "state",
        "state_dims",
    ])?;
    let chunk = table.field("chunk").integer(1..=MAX_ELEMENTS)?;
    let context = |value: &Value<'_>| value.integer(0..=MAX_ELEMENTS - chunk);
    let input = table.field("input").text()?;
    Ok(AudioInput {
        sample_rate: table.field("sample_rate").integer(1..=MAX_SAMPLE_RATE)?,
        chunk,
        context: table.optional("context", context)?.unwrap_or(0),
        state: read_state(table, &input)?,
        input,
    })
}

/// Reads `state` and `state_dims`, which have the same keys. `input` is the one that no state can be.
fn read_state(table: &Table<'_>, input: &str) -> Result<Vec<State>, InvalidModelToml> {
    let Some(outputs) = table.optional("state", Value::table)? else {
        return match table.optional("state_dims", |value| {
            Ok(value.fail("nothing without `state`"))
        })? {
            Some(error) => Err(error),
            None => Ok(vec![]),
        };
    };
    let dims = table.field("state_dims").table()?;
    let names: Vec<&str> = outputs.entries().map(|(name, _)| name).collect();
    dims.only(&names)?;
    outputs
        .entries()
        .map(|(name, output)| {
            if name == input {
                return Err(output.fail(&format!("an input other than `{input}`")));
            }
            Ok(State {
                input: name.into(),
                output: output.text()?,
                dims: dims.field(name).dims(MAX_ELEMENTS)?,
            })
        })
        .collect()
}
