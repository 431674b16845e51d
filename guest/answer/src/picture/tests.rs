//! Pictures made here, and those of `models/`.

use image::{ImageFormat, Rgb, Rgba};

use super::*;
use crate::testing::{damage, model, model_file, npy};

fn picture_input(width: u32, height: u32) -> PictureInput {
    PictureInput {
        input: "x".into(),
        width,
        height,
        crop: None,
        filter: Filter::Nearest,
        channels: Channels::Rgb,
        layout: Layout::Nchw,
        mean: [0.0; 3],
        scale: [1.0; 3],
    }
}

/// A picture whose red is 10 × column, whose green is 10 × row, and whose blue is 200.
fn slope(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([10 * x as u8, 10 * y as u8, 200]))
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(vec![]);
    picture.into().write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    encode(picture, ImageFormat::Png)
}

fn values(input: &PictureInput, file: &[u8]) -> (String, Vec<f32>) {
    let inputs = input.inputs(file).unwrap();
    assert_eq!((inputs.len(), inputs[0].0.as_str()), (1, "x"));
    let tensor = &inputs[0].1;
    (tensor.type_text(), tensor.to_values().unwrap())
}

fn refused(input: &PictureInput, file: &[u8]) -> String {
    input.inputs(file).unwrap_err().to_string()
}

#[test]
fn layouts_and_channels() {
    let file = png(slope(2, 1));
    let mut input = picture_input(2, 1);
    input.mean = [0.0, 1.0, 2.0];
    input.scale = [1.0, 10.0, 0.5];
    assert_eq!(
        values(&input, &file),
        (
            "f32[1, 3, 1, 2]".into(),
            vec![0.0, 10.0, -10.0, -10.0, 99.0, 99.0]
        )
    );
    input.layout = Layout::Nhwc;
    assert_eq!(
        values(&input, &file),
        (
            "f32[1, 1, 2, 3]".into(),
            vec![0.0, -10.0, 99.0, 10.0, -10.0, 99.0]
        )
    );
    input.channels = Channels::Bgr;
    assert_eq!(
        values(&input, &file).1,
        [200.0, -10.0, -1.0, 200.0, -10.0, 4.0],
        "mean and scale are in the order of the channels"
    );
}

#[test]
fn a_crop_is_central() {
    let mut input = picture_input(2, 2);
    input.crop = Some(0.5);
    let (_, values) = values(&input, &png(slope(7, 4)));
    assert_eq!(
        values[..4],
        [20.0, 30.0, 20.0, 30.0],
        "columns 2 and 3 of 7"
    );
    assert_eq!(values[4..8], [10.0, 10.0, 20.0, 20.0], "rows 1 and 2 of 4");

    input.crop = Some(1e-9);
    assert_eq!(input.crop_area(7, 4), (3, 1, 1, 1), "never empty");
    input.crop = Some(1.0);
    assert_eq!(input.crop_area(7, 4), (1, 0, 4, 4));
}

#[test]
fn without_a_crop_the_picture_is_stretched() {
    let mut input = picture_input(2, 4);
    input.filter = Filter::Bilinear;
    let (_, values) = values(&input, &png(slope(4, 4)));
    assert_eq!(
        values[..2],
        [7.0, 23.0],
        "each column weighs the four around"
    );
    input.filter = Filter::Bicubic;
    input.inputs(&png(slope(4, 4))).unwrap();
}

#[test]
fn grey_and_deep_pictures_become_rgb_and_alpha_is_dropped() {
    let input = picture_input(1, 1);
    let one = |file: &[u8]| values(&input, file).1;
    let grey = image::GrayImage::from_pixel(1, 1, image::Luma([7]));
    assert_eq!(one(&png(grey)), [7.0; 3]);
    let clear = image::RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 0]));
    assert_eq!(one(&png(clear)), [1.0, 2.0, 3.0]);
    let deep = image::ImageBuffer::from_pixel(1, 1, Rgb([0x0101u16, 0x8080, 0xffff]));
    assert_eq!(one(&png(deep)), [1.0, 128.0, 255.0]);
}

#[test]
fn every_format_is_read() {
    let input = picture_input(4, 3);
    let expected = values(&input, &png(slope(4, 3))).1;
    for format in [
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
    ] {
        let found = values(&input, &encode(slope(4, 3), format)).1;
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 12.0;
        assert!(
            !expected.iter().zip(&found).any(far),
            "{format:?}: {found:?}"
        );
    }
}

#[test]
fn pictures_are_turned_as_exif_says() {
    // Little-endian TIFF with one entry: orientation (0x112), a short, one of them, 6: turn by 90 degrees.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let upright = encode(
        RgbImage::from_fn(16, 8, |x, _| Rgb([if x < 8 { 0 } else { 255 }; 3])),
        ImageFormat::Jpeg,
    );
    let mut turned = upright[..2].to_vec();
    turned.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
    turned.extend(exif);
    turned.extend(&upright[2..]);

    let input = picture_input(1, 2);
    let is_light = |file: &[u8]| [0, 1].map(|row| values(&input, file).1[row] > 128.0);
    assert_eq!(decode(&turned).unwrap().dimensions(), (8, 16));
    assert_eq!(is_light(&turned), [false, true], "the left half is on top");
}

#[test]
fn files_that_are_no_pictures_are_refused() {
    let input = picture_input(1, 1);
    expect_test::expect![[r#"
        file: expected a PNG, JPEG, WebP, BMP or GIF picture, found another format
        file: expected a PNG, JPEG, WebP, BMP or GIF picture, found another format
        file: expected a PNG, JPEG, WebP, BMP or GIF picture, found another format
        file: expected a PNG, JPEG, WebP, BMP or GIF picture, found a damaged one"#]]
    .assert_eq(
        &[
            refused(&input, b""),
            refused(&input, b"no picture"),
            refused(&input, b"II*\0 is TIFF"),
            refused(&input, &png(slope(4, 4))[..60]),
        ]
        .join("\n"),
    );
}

#[test]
fn pictures_beyond_the_limits_are_refused_before_decoding() {
    let bmp = |width: i32, height: i32| {
        let mut file = encode(slope(1, 1), ImageFormat::Bmp);
        file[18..22].copy_from_slice(&width.to_le_bytes());
        file[22..26].copy_from_slice(&height.to_le_bytes());
        file
    };
    let input = picture_input(1, 4096);
    expect_test::expect![[r#"
        file: expected a PNG, JPEG, WebP, BMP or GIF picture, found one that is too large
        file: expected a picture of at most 100000000 pixels and 536870912 bytes, found 20000 × 5001 pixels, 300060000 bytes
        file: expected a picture of at most 8192 pixels in width, found one of 8193"#]].assert_eq(
        &[
            refused(&input, &png(RgbImage::new(65_536, 1))),
            refused(&input, &bmp(20_000, 5_001)),
            refused(&input, &png(RgbImage::new(8193, 1))),
        ]
        .join("\n"),
    );
    assert!(input.check_width(8192).is_ok());
    input.inputs(&png(RgbImage::new(1, 65_535))).unwrap();
}

#[test]
fn damaged_files_give_an_input_or_an_error() {
    let input = picture_input(3, 2);
    for format in [
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
    ] {
        damage(&encode(slope(5, 4), format), |file| {
            if let Ok(inputs) = input.inputs(file) {
                assert_eq!(inputs[0].1.dims(), [1, 3, 2, 3]);
            }
        });
    }
}

/// The references were made with Pillow, whose filters round after each axis and whose JPEG decoder smooths
/// colours in another way.
#[test]
fn inputs_are_those_of_the_references() {
    struct Case {
        model: &'static str,
        sample: &'static str,
        reference: &'static str,
        dims: [u32; 4],
        /// What a step of one in a colour makes.
        step: f32,
        most_steps: f32,
    }
    let case = |model, sample, reference, dims, step, most_steps| Case {
        model,
        sample,
        reference,
        dims,
        step,
        most_steps,
    };
    let lite = [1, 3, 224, 224];
    let line = [1, 3, 48, 192];
    for Case {
        model: name,
        sample,
        reference,
        dims,
        step,
        most_steps,
    } in [
        case(
            "efficientnet-lite0",
            "coffee.png",
            "coffee",
            lite,
            1.0 / 128.0,
            1.0,
        ),
        case(
            "efficientnet-lite0",
            "rocket.jpg",
            "rocket",
            lite,
            1.0 / 128.0,
            2.0,
        ),
        case("ppocr-cls", "line-0.png", "line-0", line, 1.0 / 127.5, 1.0),
        case(
            "ppocr-cls",
            "line-180.png",
            "line-180",
            line,
            1.0 / 127.5,
            1.0,
        ),
    ] {
        let answerer = model(name).answerer(Some("label")).unwrap();
        let inputs = answerer
            .inputs(&model_file(&format!("samples/{sample}")))
            .unwrap();
        let (input, tensor) = &inputs[0];
        assert_eq!(tensor.dims(), dims);
        let expected = npy(
            &format!("{name}/reference/{reference}/inputs/{input}.npy"),
            f32::from_le_bytes,
        );
        let found: Vec<f32> = tensor.to_values().unwrap();
        assert_eq!(expected.len(), found.len());
        let furthest = expected
            .iter()
            .zip(&found)
            .map(|(a, b)| (a - b).abs() / step)
            .fold(0.0, f32::max);
        assert!(
            furthest < most_steps + 0.01,
            "{sample}: {furthest} steps from the reference"
        );
    }
}
