//! A token as a picture: SVG for screens and paper, PNG for mails.

use std::io::Write as _;

use fast_qr::{ECL, Mask, QRBuilder};
use flate2::Compression;
use flate2::Crc;
use flate2::write::ZlibEncoder;

/// Blank modules around the code (ISO/IEC 18004: four).
const QUIET: usize = 4;
/// Pixels of a module: with one bit each, a module of a row is a byte.
const PIXELS: usize = 8;

/// A square of dark and light modules.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Modules of a side, without the quiet zone.
    side: usize,
    dark: Vec<bool>,
}

/// The text does not fit a code.
#[derive(Debug, thiserror::Error)]
#[error("the text does not fit a QR code: {0}")]
pub struct TooLong(String);

impl Picture {
    /// The code of a text, error correction M.
    ///
    /// # Errors
    /// [`TooLong`], never for a token.
    pub fn of(text: &str) -> Result<Self, TooLong> {
        // To choose the mask by its penalty takes as long again for each of the eight. A token is
        // as good as random: none of them leaves it with large patches or false finders.
        let code = QRBuilder::new(text)
            .ecl(ECL::M)
            .mask(Mask::Checkerboard)
            .build();
        let code = code.map_err(|error| TooLong(format!("{error:?}")))?;
        let rows = (0..code.size).flat_map(|row| code[row].iter());
        Ok(Self {
            side: code.size,
            dark: rows.map(|module| module.value()).collect(),
        })
    }

    /// Modules of a side, without the quiet zone.
    pub fn side(&self) -> usize {
        self.side
    }

    fn is_dark(&self, row: usize, column: usize) -> bool {
        let inside = |at: usize| (QUIET..QUIET + self.side).contains(&at);
        inside(row) && inside(column) && self.dark[(row - QUIET) * self.side + column - QUIET]
    }

    /// As SVG, one unit a module.
    pub fn svg(&self) -> String {
        let whole = self.side + 2 * QUIET;
        let mut path = String::new();
        for row in 0..whole {
            let mut column = 0;
            while column < whole {
                let start = column;
                while column < whole && self.is_dark(row, column) {
                    column += 1;
                }
                if column > start {
                    path.push_str(&format!("M{start} {row}h{}v1H{start}z", column - start));
                }
                column += 1;
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{whole}v{whole}H0z\"/>\
             <path d=\"{path}\"/></svg>"
        )
    }

    /// As PNG: greyscale, one bit a pixel.
    ///
    /// # Errors
    /// None that memory has.
    pub fn png(&self) -> std::io::Result<Vec<u8>> {
        let whole = self.side + 2 * QUIET;
        let pixels = whole * PIXELS;
        let mut raw = Vec::with_capacity((whole + 1) * pixels);
        for row in 0..whole {
            // Filter type 0: as it is. Type 2: what differs from the row above, nothing.
            raw.push(0);
            let module = |column| if self.is_dark(row, column) { 0 } else { 0xff };
            raw.extend((0..whole).map(module));
            for _ in 1..PIXELS {
                raw.push(2);
                raw.resize(raw.len() + whole, 0);
            }
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&raw)?;
        let side = u32::try_from(pixels).map_err(std::io::Error::other)?;
        let mut header = Vec::with_capacity(13);
        header.extend_from_slice(&side.to_be_bytes());
        header.extend_from_slice(&side.to_be_bytes());
        // One bit, greyscale, deflate, adaptive filters, not interlaced.
        header.extend_from_slice(&[1, 0, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, b"IHDR", &header);
        chunk(&mut file, b"IDAT", &zlib.finish()?);
        chunk(&mut file, b"IEND", &[]);
        Ok(file)
    }
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(kind);
    file.extend_from_slice(body);
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(body);
    file.extend_from_slice(&crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;

    use super::*;

    const TOKEN: &str = "FT1.AFLEOWVHAGNJYAAAABYABAAAAAAAAAAAAEAACAABRLHRLG2FNSEKRXJB6VY7CGFX5ISZQMOFZYBEOTFJ5UXJXII5H5BDVEUYKG3GAC4FSESQGLXYHY37JIZI5DVRF3YHUTBBV4NWMFFJWBA";

    /// Contract D2: version 6-M, which has 41 modules.
    #[test]
    fn a_token_fits_version_six() {
        let picture = Picture::of(TOKEN).unwrap();
        assert_eq!(picture.side(), 41);
        let svg = picture.svg();
        assert!(svg.starts_with("<svg ") && svg.contains("viewBox=\"0 0 49 49\""));
        assert!(Picture::of(&"A".repeat(5_000)).is_err());
    }

    #[test]
    fn the_png_holds_the_modules() {
        let picture = Picture::of(TOKEN).unwrap();
        let file = picture.png().unwrap();
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[12..16], b"IHDR");
        let side = u32::from_be_bytes(file[16..20].try_into().unwrap()) as usize;
        assert_eq!(side, 49 * PIXELS);
        let at = file.windows(4).position(|w| w == b"IDAT").unwrap();
        let length = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
        let mut raw = Vec::new();
        ZlibDecoder::new(&file[at + 4..at + 4 + length])
            .read_to_end(&mut raw)
            .unwrap();
        assert_eq!(raw.len(), (side.div_ceil(8) + 1) * side);
        // The finder pattern's corner is dark, the quiet zone before it light.
        let pixel = |row: usize, column: usize| {
            let byte = raw[row * (side.div_ceil(8) + 1) + 1 + column / 8];
            byte >> (7 - column % 8) & 1
        };
        assert_eq!(pixel(QUIET * PIXELS, QUIET * PIXELS), 0);
        assert_eq!(pixel(QUIET * PIXELS, QUIET * PIXELS - 1), 1);
    }
}
