//! Percent-encoding and pairs: query strings, form bodies and S3 keys.

/// Decodes `%XX`; with `plus_is_space` also `+`. A broken escape is kept as it stands.
pub(super) fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| hex_pair(bytes.get(at + 1..at + 3))).flatten();
        match (escaped, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 2;
            }
            (None, b'+') if plus_is_space => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_pair(pair: Option<&[u8]>) -> Option<u8> {
    let pair = std::str::from_utf8(pair?).ok()?;
    pair.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
    u8::from_str_radix(pair, 16).ok()
}

/// Encodes all but letters, digits and `-._~/`, a space as `+`: how S3 writes keys for
/// `encoding-type=url`.
pub(super) fn encode_key(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else if byte == b' ' {
            out.push('+');
        } else {
            let escape = format!("%{byte:02X}");
            out.push_str(&escape);
        }
    }
    out
}

/// Names and values in the order of writing; a name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Reads `a=1&b=2&c`.
    pub(super) fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name, true), decode(value, true))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The first value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every pair whose name begins with this.
    pub(super) fn beginning(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_are_kept() {
        assert_eq!(decode("a%20b%2Fc", false), "a b/c");
        assert_eq!(decode("100%", false), "100%");
        assert_eq!(decode("%+1", false), "%+1");
        assert_eq!(decode("a+b", true), "a b");
        assert_eq!(decode("a+b", false), "a+b");
        assert_eq!(decode("%C3%A9", false), "é");
    }

    #[test]
    fn keys_survive_encoding_and_decoding() {
        let key = "parking/import_date=20220601/é ü+&%.zip";
        assert_eq!(decode(&encode_key(key), true), key);
        assert!(encode_key(key).is_ascii());
    }

    #[test]
    fn pairs_keep_names_without_values() {
        let pairs = Pairs::parse("uploads&prefix=a%2Fb&x=");
        assert!(pairs.has("uploads"));
        assert_eq!(pairs.get("prefix"), Some("a/b"));
        assert_eq!(pairs.get("x"), Some(""));
        assert_eq!(pairs.get("y"), None);
    }
}
