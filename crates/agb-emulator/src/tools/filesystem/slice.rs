//! Slices of text by byte offsets that never cut a character.

use std::ops::Range;

/// Bytes that a character may have beyond its first.
pub(super) const CHARACTER_TAIL_BYTES: u64 = 3;

/// The part of the file to read so that `text` can see whole characters at both ends of a slice.
pub(super) fn window(slice: &Range<u64>) -> Range<u64> {
    slice.start.saturating_sub(CHARACTER_TAIL_BYTES)..slice.end.saturating_add(CHARACTER_TAIL_BYTES)
}

/// The characters whose first byte lies in the slice, so that joined slices equal the file; bytes that are no UTF-8
/// become U+FFFD, as they would in the whole file.
///
/// `bytes` are the file's bytes from `from` on, as far as `window` asks for them.
pub(super) fn text(bytes: &[u8], from: u64, slice: &Range<u64>) -> String {
    let index = |offset: u64| usize::try_from(offset.saturating_sub(from)).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (index(slice.start), index(slice.end));
    let first = synchronized(bytes, start);
    let mut at = first;
    let mut text = String::new();
    let mut keep = |length: usize, unit: &str| {
        if (start..end).contains(&at) {
            text.push_str(unit);
        }
        at += length;
    };
    for chunk in bytes.get(first..).unwrap_or_default().utf8_chunks() {
        for character in chunk.valid().chars() {
            keep(character.len_utf8(), character.encode_utf8(&mut [0; 4]));
        }
        if !chunk.invalid().is_empty() {
            keep(chunk.invalid().len(), "\u{FFFD}");
        }
    }
    text
}

/// A place at or before `start` where a character begins: the last byte before it that begins one, as a byte that
/// continues a character can't belong to an earlier one than that.
fn synchronized(bytes: &[u8], start: usize) -> usize {
    let before = bytes.get(..start).unwrap_or_default();
    before.iter().rposition(|byte| !is_continuation(*byte)).unwrap_or(start)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(bytes: &[u8], step: usize) -> String {
        let total = bytes.len() as u64;
        let mut text = String::new();
        let mut start = 0;
        while start < total {
            let slice = start..(start + step as u64);
            let window = window(&slice);
            let seen = &bytes[window.start as usize..bytes.len().min(window.end as usize)];
            text.push_str(&super::text(seen, window.start, &slice));
            start = slice.end;
        }
        text
    }

    #[test]
    fn a_character_belongs_to_the_slice_of_its_first_byte() {
        let bytes = "a€b".as_bytes();
        assert_eq!(text(bytes, 0, &(0..2)), "a€");
        assert_eq!(text(bytes, 0, &(2..4)), "");
        assert_eq!(text(bytes, 0, &(2..5)), "b");
        assert_eq!(text(bytes, 0, &(1..2)), "€");
        assert_eq!(text(bytes, 0, &(5..9)), "");
    }

    #[test]
    fn stray_bytes_become_replacement_characters_once_each() {
        let bytes = [0x80, 0x80, 0x80, 0x80, 0x80, b'a', 0xF0, 0x9F, b'b'];
        for step in 1..=bytes.len() {
            assert_eq!(joined(&bytes, step), String::from_utf8_lossy(&bytes), "step {step}");
        }
    }

    proptest! {
        #[test]
        fn joined_slices_equal_the_text(text in "(?s).{0,60}", step in 1_usize..20) {
            prop_assert_eq!(joined(text.as_bytes(), step), text);
        }

        #[test]
        fn joined_slices_equal_what_the_whole_file_decodes_to(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80_u8..0xC0, 0xE0_u8..0xF5], 0..60),
            step in 1_usize..20,
        ) {
            prop_assert_eq!(joined(&bytes, step), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}
