//! The only place that names `aws_sdk_*`: the real services behind [`crate::platform::Platform`].
