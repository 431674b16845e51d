//! Plans that are changed at random.

use crate::builder::Random;

/// Changes one to four bytes of the header.
pub(super) fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let header_len = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    for _ in 0..1 + random.below(4) {
        let byte = &mut bytes[20 + random.below(header_len)];
        *byte = match random.below(6) {
            0 => random.below(256) as u8,
            1 => byte.wrapping_add(1),
            2 => byte.wrapping_sub(1),
            3 => random.below(4) as u8,
            4 => *byte ^ (1 << random.below(8)),
            _ => [0, 0x7f, 0x80, 0xff][random.below(4)],
        };
    }
    if random.below(20) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}
