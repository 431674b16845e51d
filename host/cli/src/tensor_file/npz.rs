//! `.npz`: a zip with one `.npy` an array.

use std::io::{Read, Seek};

use anyhow::Result;
use tensorlet_tensor::Tensor;
use zip::ZipArchive;
use zip::result::ZipError;

use super::npy;
use crate::exit::Failure;

/// Reads the array of this name, or the only one.
///
/// # Errors
/// If the bytes are no zip, there is no such array, or that cannot be read.
pub(super) fn read(reader: impl Read + Seek, name: &str) -> Result<Tensor> {
    let mut archive = ZipArchive::new(reader).map_err(zip_error)?;
    let mut index = None;
    let mut names = vec![];
    for entry in 0..archive.len() {
        let file = archive.by_index_raw(entry).map_err(zip_error)?;
        let array = file.name().map_err(zip_error)?.into_owned();
        let array = array
            .strip_suffix(".npy")
            .map_or(array.clone(), str::to_owned);
        if array == name {
            index = Some(entry);
        }
        names.push(array);
    }
    let only = (archive.len() == 1).then_some(0);
    let Some(index) = index.or(only) else {
        let found = if names.is_empty() {
            "none".to_owned()
        } else {
            format!("`{}`", names.join("`, `"))
        };
        return Err(Failure::input(format!(
            "expected an array `{name}` or a single one, found {found}"
        ))
        .into());
    };
    npy::read(archive.by_index(index).map_err(zip_error)?)
}

fn zip_error(error: ZipError) -> anyhow::Error {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error.into(),
        error => Failure::input(format!(
            "expected a .npz of numpy, found no zip that can be read: {error}"
        ))
        .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(arrays: &[(&str, &[f32])]) -> Cursor<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(vec![]));
        for (index, (name, values)) in arrays.iter().enumerate() {
            // numpy.savez stores, numpy.savez_compressed deflates.
            let method = [
                zip::CompressionMethod::Stored,
                zip::CompressionMethod::Deflated,
            ][index % 2];
            zip.start_file(
                format!("{name}.npy"),
                SimpleFileOptions::default().compression_method(method),
            )
            .unwrap();
            let tensor = Tensor::from_values(vec![values.len() as u32], values).unwrap();
            zip.write_all(&npy::write(&tensor)).unwrap();
        }
        zip.finish().unwrap()
    }

    #[test]
    fn arrays_are_found_by_name() {
        let arrays: &[(&str, &[f32])] = &[("a", &[1.0]), ("b/c", &[2.0, 3.0])];
        assert_eq!(
            read(archive(arrays), "b/c").unwrap().to_values(),
            Some(vec![2.0f32, 3.0])
        );
        assert_eq!(
            read(archive(arrays), "a").unwrap().to_values(),
            Some(vec![1.0f32])
        );
        assert_eq!(
            read(archive(&arrays[..1]), "x").unwrap().to_values(),
            Some(vec![1.0f32]),
            "the only one"
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |reader: Cursor<Vec<u8>>| {
            let error = read(reader, "x").unwrap_err();
            assert_eq!(
                crate::exit::of(&error),
                crate::exit::Exit::Input,
                "{error:#}"
            );
            format!("{error:#}")
        };
        assert_eq!(
            error(archive(&[("a", &[1.0]), ("b", &[2.0])])),
            "expected an array `x` or a single one, found `a`, `b`"
        );
        assert_eq!(
            error(archive(&[])),
            "expected an array `x` or a single one, found none"
        );
        assert!(
            error(Cursor::new(b"not a zip".to_vec()))
                .starts_with("expected a .npz of numpy, found no zip")
        );
        let whole = archive(&[("a", &[1.0; 100])]).into_inner();
        for len in (0..whole.len()).step_by(7) {
            error(Cursor::new(whole[..len].to_vec()));
        }
    }
}
