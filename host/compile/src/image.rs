//! How the memory of an instance comes to be on hosts that do not know Tensorlet.
//!
//! Wasmtime maps a memory's image copy-on-write, so that instances share it and cost only what they write. But it makes an image only where data
//! segments cover more than half of the range from the first to the last of them, or where that range is small. All else is copied, segment by segment, into every
//! instance: for a host that makes an instance for each request, all weights at each request.
//!
//! A snapshot leaves out what is zero. A model whose weights are mostly zeros would be copied, so `densify` writes some of the zeros down, the shortest
//! runs first, until the segments cover more than half.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{
    Component, ConstExpr, DataCountSection, DataSection, Module, RawSection, SectionId,
};
use wasmparser::{BinaryReader, Data, DataKind, DataSectionReader, Operator, Parser, Payload};

use crate::sections::{Section, core_module, sections, text};

/// Ranges below this are mapped, however little of them is data: Wasmtime's default, which stock hosts leave as it is.
const ALWAYS_MAPPED_BYTES: u64 = 16 << 20;

/// The image of one memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryImage {
    /// From the first byte that a segment sets to the last.
    pub range_bytes: u64,
    /// How many of them segments set.
    pub data_bytes: u64,
    /// Whether it is known at build time where all segments go.
    pub is_placed: bool,
}

impl MemoryImage {
    /// Reports whether stock hosts map it, rather than copying it into every instance.
    pub fn is_mapped(&self) -> bool {
        let is_dense = self.data_bytes.saturating_mul(2) > self.range_bytes;
        self.is_placed && (is_dense || self.range_bytes < ALWAYS_MAPPED_BYTES)
    }
}

/// Returns the image of each memory in a component, in order.
///
/// # Errors
/// If the bytes are no component.
pub fn memory_images(component: &[u8]) -> Result<Vec<MemoryImage>, String> {
    let mut images = vec![];
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::DataSection(section) = payload.map_err(text)? {
            images.extend(images_of(section).map_err(text)?);
        }
    }
    Ok(images)
}

/// Returns how many bytes a stock host copies for every fresh instance of a component.
///
/// # Errors
/// If the bytes are no component.
pub fn copied_bytes(component: &[u8]) -> Result<u64, String> {
    let images = memory_images(component)?;
    let copied = images.iter().filter(|image| !image.is_mapped());
    Ok(copied.map(|image| image.data_bytes).sum())
}

/// Returns the component with enough data in its core module that stock hosts map its memory.
///
/// # Errors
/// If it has no core module, or one whose data is not in one memory, in order.
pub(crate) fn densify(component: Vec<u8>) -> Result<Vec<u8>, String> {
    if copied_bytes(&component)? == 0 {
        return Ok(component);
    }
    let parts = sections(&component)?;
    let core = core_module(&parts)?;
    let module = dense_module(&component[core.clone()])?;
    let mut dense = Component::new();
    for Section { id, content } in parts {
        let data = match content == core {
            true => &module,
            false => &component[content],
        };
        dense.section(&RawSection { id, data });
    }
    Ok(dense.finish())
}

fn dense_module(module: &[u8]) -> Result<Vec<u8>, String> {
    let parts = sections(module)?;
    let is_data = |section: &&Section| section.id == u8::from(SectionId::Data);
    let data = parts.iter().find(is_data);
    let data = data.ok_or("expected a core module with data, found none")?;
    let reader = BinaryReader::new(&module[data.content.clone()], 0);
    let segments = Segments::read(DataSectionReader::new(reader).map_err(text)?)?.dense();

    let mut dense = Module::new();
    for Section { id, content } in &parts {
        if *id == u8::from(SectionId::Data) {
            dense.section(&segments.section());
        } else if *id == u8::from(SectionId::DataCount) {
            let count = segments.len() as u32;
            dense.section(&DataCountSection { count });
        } else {
            let data = &module[content.clone()];
            dense.section(&RawSection { id: *id, data });
        }
    }
    Ok(dense.finish())
}

/// The data of a module.
struct Segments<'a> {
    /// What code puts into memory itself, and knows by its number. It comes first, so that these numbers stay.
    passive: Vec<&'a [u8]>,
    /// What memory begins with: in order, without overlaps.
    placed: Vec<Segment<'a>>,
}

/// Data with a place, and zeros that follow it and are to be written down.
struct Segment<'a> {
    begin: u64,
    pieces: Vec<Piece<'a>>,
}

enum Piece<'a> {
    Data(&'a [u8]),
    Zeros(u64),
}

impl<'a> Segments<'a> {
    fn read(reader: DataSectionReader<'a>) -> Result<Self, String> {
        let (mut passive, mut placed) = (vec![], vec![]);
        let mut end = 0;
        for data in reader {
            let data = data.map_err(text)?;
            if matches!(data.kind, DataKind::Passive) {
                if !placed.is_empty() {
                    return Err("expected passive data before other data, found it behind".into());
                }
                passive.push(data.data);
                continue;
            }
            let (0, Some(range)) = place(&data).map_err(text)? else {
                return Err("expected data at known places of one memory, found other data".into());
            };
            if range.start < end {
                return Err("expected data in order, found some before what came earlier".into());
            }
            end = range.end;
            placed.push(Segment {
                begin: range.start,
                pieces: vec![Piece::Data(data.data)],
            });
        }
        Ok(Self { passive, placed })
    }

    /// Returns how many there are.
    fn len(&self) -> usize {
        self.passive.len() + self.placed.len()
    }

    /// Fills gaps, the shortest first, until more than half of the range is data.
    fn dense(self) -> Self {
        let Self { passive, placed } = self;
        let data_bytes: u64 = placed.iter().map(Segment::len).sum();
        let range_bytes = match (placed.first(), placed.last()) {
            (Some(first), Some(last)) => last.end() - first.begin,
            _ => 0,
        };
        let mut missing = (range_bytes / 2 + 1).saturating_sub(data_bytes);
        let gaps = placed.windows(2).map(|pair| pair[1].begin - pair[0].end());
        let mut gaps: Vec<(u64, usize)> = gaps.zip(0..).collect();
        gaps.sort_unstable();
        let mut fills = vec![0; placed.len()];
        for (len, index) in gaps {
            fills[index] = len.min(missing);
            missing -= fills[index];
        }

        let mut dense: Vec<Segment<'_>> = vec![];
        for (segment, fill) in placed.into_iter().zip(fills) {
            match dense.last_mut() {
                Some(last) if last.end() == segment.begin => last.pieces.extend(segment.pieces),
                _ => dense.push(segment),
            }
            if fill > 0
                && let Some(last) = dense.last_mut()
            {
                last.pieces.push(Piece::Zeros(fill));
            }
        }
        Self {
            passive,
            placed: dense,
        }
    }

    fn section(&self) -> DataSection {
        let mut section = DataSection::new();
        for data in &self.passive {
            section.passive(data.iter().copied());
        }
        for segment in &self.placed {
            let mut bytes = Vec::with_capacity(segment.len() as usize);
            for piece in &segment.pieces {
                match piece {
                    Piece::Data(data) => bytes.extend_from_slice(data),
                    Piece::Zeros(len) => bytes.resize(bytes.len() + *len as usize, 0),
                }
            }
            // Memory of a component has 32 bits.
            let offset = ConstExpr::i32_const((segment.begin as u32).cast_signed());
            section.active(0, &offset, bytes);
        }
        section
    }
}

impl Segment<'_> {
    fn len(&self) -> u64 {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Data(data) => data.len() as u64,
            Piece::Zeros(len) => *len,
        });
        pieces.sum()
    }

    fn end(&self) -> u64 {
        self.begin + self.len()
    }
}

fn images_of(section: DataSectionReader<'_>) -> wasmparser::Result<Vec<MemoryImage>> {
    struct Extent {
        begin: u64,
        end: u64,
        data_bytes: u64,
        is_placed: bool,
    }
    let mut extents: BTreeMap<u32, Extent> = BTreeMap::new();
    for data in section {
        let data = data?;
        let DataKind::Active { .. } = data.kind else {
            continue;
        };
        let (memory, range) = place(&data)?;
        let extent = extents.entry(memory).or_insert(Extent {
            begin: u64::MAX,
            end: 0,
            data_bytes: 0,
            is_placed: true,
        });
        extent.data_bytes += data.data.len() as u64;
        match range {
            Some(range) if range.is_empty() => {}
            Some(range) => {
                extent.begin = extent.begin.min(range.start);
                extent.end = extent.end.max(range.end);
            }
            None => extent.is_placed = false,
        }
    }
    let images = extents.into_values().map(|extent| MemoryImage {
        range_bytes: extent.end.saturating_sub(extent.begin),
        data_bytes: extent.data_bytes,
        is_placed: extent.is_placed,
    });
    Ok(images.collect())
}

/// Returns the memory that data goes to, and where in it, if that is a number.
fn place(data: &Data<'_>) -> wasmparser::Result<(u32, Option<Range<u64>>)> {
    let DataKind::Active {
        memory_index,
        offset_expr,
    } = &data.kind
    else {
        return Ok((0, None));
    };
    let mut operators = offset_expr.get_operators_reader();
    let begin = match operators.read()? {
        Operator::I32Const { value } => Some(u64::from(value.cast_unsigned())),
        Operator::I64Const { value } => Some(value.cast_unsigned()),
        _ => None,
    };
    let is_alone = matches!(operators.read()?, Operator::End);
    let begin = begin.filter(|_| is_alone);
    let range = begin.map(|begin| begin..begin.saturating_add(data.data.len() as u64));
    Ok((*memory_index, range))
}

#[cfg(test)]
mod tests;
