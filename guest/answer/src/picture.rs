//! Makes the input of a model that looks at a picture.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage};
use tensorlet_tensor::{NamedTensor, Tensor};

use crate::InvalidFile;
use crate::model_toml::{Channels, Filter, Layout, PictureInput};

/// The longest side of a picture, in pixels. JPEG has no longer ones.
const MAX_SIDE: u32 = 65_535;

/// The most pixels of a picture.
const MAX_PIXELS: u64 = 100_000_000;

/// The most bytes of a decoded picture, and of one that is resized along one axis.
const MAX_BYTES: u64 = 512 << 20;

/// What a pixel takes while resizing: four `f32`.
const RESIZED_PIXEL_BYTES: u64 = 16;

impl PictureInput {
    pub(crate) fn inputs(&self, file: &[u8]) -> Result<Vec<NamedTensor>, InvalidFile> {
        let picture = decode(file)?;
        let resized = self.resize(&picture)?;
        Ok(vec![(self.input.clone(), self.tensor(&resized))])
    }

    fn resize(&self, picture: &RgbImage) -> Result<RgbImage, InvalidFile> {
        let (left, top, width, height) = self.crop_area(picture.width(), picture.height());
        self.check_width(width)?;
        let filter = match self.filter {
            Filter::Nearest => FilterType::Nearest,
            Filter::Bilinear => FilterType::Triangle,
            Filter::Bicubic => FilterType::CatmullRom,
        };
        let cropped = imageops::crop_imm(picture, left, top, width, height);
        Ok(imageops::resize(&*cropped, self.width, self.height, filter))
    }

    /// Checks that resizing, which starts with the vertical axis, does not need too much memory.
    fn check_width(&self, width: u32) -> Result<(), InvalidFile> {
        let most = MAX_BYTES / RESIZED_PIXEL_BYTES / u64::from(self.height);
        if u64::from(width) <= most {
            return Ok(());
        }
        Err(InvalidFile::new(
            format!("a picture of at most {most} pixels in width"),
            format!("one of {width}"),
        ))
    }

    /// Returns left, top, width and height of what is kept.
    fn crop_area(&self, width: u32, height: u32) -> (u32, u32, u32, u32) {
        let Some(share) = self.crop else {
            return (0, 0, width, height);
        };
        let shorter = width.min(height);
        let side = (f64::from(shorter) * share).round() as u32;
        let side = side.clamp(1, shorter);
        ((width - side) / 2, (height - side) / 2, side, side)
    }

    fn tensor(&self, picture: &RgbImage) -> Tensor {
        // Where each channel is in a pixel.
        let order = match self.channels {
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        };
        let value = |pixel: &image::Rgb<u8>, channel: usize| {
            let value = f32::from(pixel.0[order[channel]]);
            (value - self.mean[channel]) * self.scale[channel]
        };
        let (width, height) = picture.dimensions();
        let (dims, values): (_, Vec<f32>) = match self.layout {
            Layout::Nchw => (
                vec![1, 3, height, width],
                (0..3)
                    .flat_map(|channel| picture.pixels().map(move |pixel| (pixel, channel)))
                    .map(|(pixel, channel)| value(pixel, channel))
                    .collect(),
            ),
            Layout::Nhwc => (
                vec![1, height, width, 3],
                picture
                    .pixels()
                    .flat_map(|pixel| [0, 1, 2].map(|channel| value(pixel, channel)))
                    .collect(),
            ),
        };
        Tensor::from_values(dims, &values).expect("every pixel gave three values")
    }
}

/// Decodes a picture, turns it upright and makes it RGB. Alpha is dropped, not blended.
fn decode(file: &[u8]) -> Result<RgbImage, InvalidFile> {
    let invalid = |error: ImageError| {
        let expected = "a PNG, JPEG, WebP, BMP or GIF picture";
        let found = match &error {
            ImageError::Unsupported(_) => "another format",
            ImageError::Limits(_) => "one that is too large",
            _ => "a damaged one",
        };
        InvalidFile::new(expected, found).because(error)
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);

    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|error| invalid(error.into()))?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(invalid)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_BYTES {
        return Err(InvalidFile::new(
            format!("a picture of at most {MAX_PIXELS} pixels and {MAX_BYTES} bytes"),
            format!("{width} × {height} pixels, {} bytes", decoder.total_bytes()),
        ));
    }
    let orientation = decoder.orientation().map_err(invalid)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(invalid)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

#[cfg(test)]
mod tests;
