//! Bodies in the `aws-chunked` encoding, and the checksums that come with a body.
//!
//! The SDKs send an upload in chunks of their own inside the HTTP body, with the checksum in
//! a trailer. Chunk signatures are not checked; sizes and CRC-32, SHA-256 and MD5 are.

use axum::http::HeaderMap;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::reply::Refusal;

/// The name that the checksum of a whole body has in headers and trailers.
pub(super) const CRC32_HEADER: &str = "x-amz-checksum-crc32";

/// The content of an upload, decoded and checked.
pub(super) fn content(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Refusal> {
    let (content, trailers) =
        if is_chunked(headers) { decode(headers, body)? } else { (body.clone(), Vec::new()) };
    let stated = |name: &str| {
        let trailer = trailers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        trailer.or_else(|| header(headers, name).map(str::to_owned))
    };
    check("CRC32", stated(CRC32_HEADER), || crc32_base64(&content))?;
    check("SHA256", stated("x-amz-checksum-sha256"), || base64(&Sha256::digest(&content)))?;
    check("Content-MD5", stated("content-md5"), || base64(&Md5::digest(&content)))?;
    Ok(content)
}

/// The CRC-32 as S3 writes it.
pub(super) fn crc32_base64(content: &[u8]) -> String {
    base64(&crc32fast::hash(content).to_be_bytes())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_chunked(headers: &HeaderMap) -> bool {
    header(headers, "x-amz-content-sha256").is_some_and(|value| value.starts_with("STREAMING-"))
        || header(headers, "content-encoding").is_some_and(|value| value.contains("aws-chunked"))
}

fn check(
    name: &str,
    stated: Option<String>,
    computed: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    match stated {
        Some(stated) if stated != computed() => {
            let message =
                format!("The {name} you specified did not match the calculated checksum.");
            Err(Refusal::bad("BadDigest", message))
        }
        Some(_) | None => Ok(()),
    }
}

type Trailers = Vec<(String, String)>;

fn decode(headers: &HeaderMap, body: &Bytes) -> Result<(Bytes, Trailers), Refusal> {
    let broken = || Refusal::bad("IncompleteBody", "The request body terminated unexpectedly");
    let (content, trailers) = chunks(body).ok_or_else(broken)?;
    let stated = header(headers, "x-amz-decoded-content-length");
    match stated.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length == content.len() => Ok((content, trailers)),
        Some(_) => Err(broken()),
        None => Err(Refusal::new(
            411,
            "MissingContentLength",
            "You must provide the x-amz-decoded-content-length HTTP header.",
        )),
    }
}

/// `size[;extension]CRLF data CRLF … 0CRLF name:value CRLF … CRLF`.
fn chunks(body: &[u8]) -> Option<(Bytes, Trailers)> {
    let mut content = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let (head, after) = line(rest)?;
        let size = head.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some((Bytes::from(content), trailers(after)?));
        }
        content.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn trailers(mut rest: &[u8]) -> Option<Trailers> {
    let mut trailers = Vec::new();
    while !rest.is_empty() {
        let (text, after) = line(rest)?;
        if let Some((name, value)) = text.split_once(':') {
            trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        rest = after;
    }
    Some(trailers)
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

/// Base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for position in 0..4 {
            let index = (bits >> (18 - 6 * position)) & 0x3f;
            let is_padding = position > group.len();
            out.push(if is_padding { '=' } else { char::from(ALPHABET[index as usize]) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(length: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers
            .insert("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER".parse().unwrap());
        headers.insert("x-amz-decoded-content-length", length.parse().unwrap());
        headers
    }

    #[test]
    fn base64_pads_as_it_should() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn chunks_are_joined_and_their_trailing_checksum_is_checked() {
        let crc = crc32_base64(b"hello world");
        let body = format!(
            "5\r\nhello\r\n6;chunk-signature=ab\r\n world\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n"
        );
        let content = content(&streamed("11"), &Bytes::from(body)).unwrap();
        assert_eq!(&content[..], b"hello world");
    }

    #[test]
    fn a_wrong_checksum_is_a_bad_digest() {
        let body = Bytes::from("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        assert_eq!(content(&streamed("5"), &body).unwrap_err().code, "BadDigest");
    }

    #[test]
    fn a_body_cut_short_is_incomplete() {
        for body in ["5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "zz\r\n"] {
            let error = content(&streamed("5"), &Bytes::from(body)).unwrap_err();
            assert_eq!(error.code, "IncompleteBody", "{body}");
        }
        let body = Bytes::from("5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(content(&streamed("6"), &body).unwrap_err().code, "IncompleteBody");
    }
}
