//! How large a picture is, by its file.

/// Width and height in pixels of a PNG or JPEG file; `None`: it is neither.
pub(super) fn size(file: &[u8]) -> Option<(u64, u64)> {
    png_size(file).or_else(|| jpeg_size(file))
}

fn png_size(file: &[u8]) -> Option<(u64, u64)> {
    // The size comes first in the first chunk, behind its length and its name.
    let sides = file.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(8..)?;
    let (width, rest) = sides.split_first_chunk()?;
    let height = rest.first_chunk()?;
    Some((u32::from_be_bytes(*width).into(), u32::from_be_bytes(*height).into()))
}

fn jpeg_size(file: &[u8]) -> Option<(u64, u64)> {
    let mut segments = file.strip_prefix(b"\xff\xd8")?;
    while let [0xff, marker, length_high, length_low, content @ ..] = segments {
        if is_frame_header(*marker) {
            let [_, height_high, height_low, width_high, width_low, ..] = content else { return None };
            let side = |high: &u8, low: &u8| u64::from(u16::from_be_bytes([*high, *low]));
            return Some((side(width_high, width_low), side(height_high, height_low)));
        }
        // The length counts its own two bytes.
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        segments = segments.get(2 + length..)?;
    }
    None
}

/// The other three of this range are tables, and one that is reserved.
fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_from_the_header() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x05\0\0\0\x02\xd0\x08\x06";
        assert_eq!(size(png), Some((1_280, 720)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc4\0\x03c\xff\xc2\0\x11\x08\x02\xd0\x05\0\x03";
        assert_eq!(size(jpeg), Some((1_280, 720)));
        for cut in 0..jpeg.len() - 1 {
            assert_eq!(size(&jpeg[..cut]), None, "{cut}");
        }
        for cut in 0..png.len() - 2 {
            assert_eq!(size(&png[..cut]), None, "{cut}");
        }
        assert_eq!(size(b"<html>"), None);
    }
}
