//! Names in AWS, and addresses.

use super::Refusal::{Because, NotThis};
use super::{FromText, LedgerUrl, Refusal};

impl FromText for LedgerUrl {
    const NAME: &'static str = "LedgerUrl";
    const EXPECTED: &'static str = "\"file:///directory\" or \"s3://bucket/prefix\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if let Some(directory) = text.strip_prefix("file://") {
            let absolute = directory.starts_with('/') && !directory.contains('\0');
            return absolute.then(|| Self::Directory(directory.into())).ok_or(NotThis);
        }
        let rest = text.strip_prefix("s3://").ok_or(NotThis)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let Bucket(bucket) = Bucket::from_text(bucket)?;
        Ok(Self::S3 { bucket, prefix: prefix.trim_matches('/').to_owned() })
    }
}

/// The name of an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Bucket(pub(in crate::config) String);

impl FromText for Bucket {
    const NAME: &'static str = "Bucket";
    const EXPECTED: &'static str =
        "the name of a bucket (3 to 63 small letters, digits, dots and hyphens)";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        let valid = (3..=63).contains(&text.len()) && text.chars().all(allowed);
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// What comes before a key's name, with its trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Prefix(pub(in crate::config) String);

impl FromText for Prefix {
    const NAME: &'static str = "Prefix";
    const EXPECTED: &'static str = "a prefix such as \"parking/\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.ends_with('/') && !text.starts_with('/') {
            return Ok(Self(text.to_owned()));
        }
        if text.starts_with('/') {
            return Err(Because(format!("`{text}` begins with a slash; keys in S3 do not")));
        }
        Ok(Self(format!("{text}/")))
    }
}

/// An AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct AccountId(pub(in crate::config) String);

impl FromText for AccountId {
    const NAME: &'static str = "AccountId";
    const EXPECTED: &'static str = "twelve digits in quotes, such as \"111122223333\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let valid = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// An AWS region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Region(pub(in crate::config) String);

impl FromText for Region {
    const NAME: &'static str = "Region";
    const EXPECTED: &'static str = "a region such as \"eu-west-2\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let parts: Vec<&str> = text.split('-').collect();
        let plain =
            |part: &&str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let valid = parts.len() >= 3
            && parts.iter().all(|part| !part.is_empty() && plain(part))
            && parts.last().is_some_and(number);
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}

/// The address of an emulator. Never shown: it could hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Endpoint(pub(in crate::config) String);

impl FromText for Endpoint {
    const NAME: &'static str = "Endpoint";
    const EXPECTED: &'static str = "an address such as \"http://127.0.0.1:5000\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest) if rest.contains('@') => {
                Err(Because("an endpoint takes no user name and no password".to_owned()))
            }
            Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(Because(format!("not an endpoint; expected {}", Self::EXPECTED))),
        }
    }
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Listen(pub(in crate::config) String);

impl FromText for Listen {
    const NAME: &'static str = "Listen";
    const EXPECTED: &'static str = "an address and a port such as \"127.0.0.1:9464\"";

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let (host, port) = text.rsplit_once(':').ok_or(NotThis)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', ' ']);
        let valid = (bracketed || plain) && port.parse::<u16>().is_ok();
        valid.then(|| Self(text.to_owned())).ok_or(NotThis)
    }
}
