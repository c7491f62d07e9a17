//! One place that turns whatever the SDK says into a [`PlatformError`].
//!
//! Two questions are answered here, once, for every service: what kind of failure is it
//! ([`ErrorClass`]), and may the same request be sent again ([`Again`])? Codes are compared as
//! strings, because the same code is modelled by one operation and unmodelled by the next.
//!
//! It never lets a secret through: what the services say about signatures quotes the signed
//! headers, the session token among them, so those messages are cut.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::http::NeverConnected;
use crate::domain::ErrorClass;
use crate::platform::{Answer, PlatformError};

/// Enough to understand any message; some quote whole requests.
const MESSAGE_LIMIT_CHARS: usize = 600;

/// Deeper chains are a loop or noise.
const SOURCE_LIMIT: usize = 12;

/// S3's code for an object that must be restored first; its status is the one of a denial.
const ARCHIVED: &str = "InvalidObjectState";

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The next answer would be the same.
    Never,
    /// Nothing was done, and the reason passes: anything may be sent again.
    NothingDone,
    /// It may have been carried out: only what is safe to repeat may be sent again.
    MayBeDone,
}

/// A failed attempt, before it is known which operation it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What kind of failure it is.
    pub(super) class: ErrorClass,
    /// Whether the same request may be sent again.
    pub(super) again: Again,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
}

impl Failure {
    /// The failure as the rest of the project sees it.
    pub(super) fn of(self, operation: &'static str) -> PlatformError {
        PlatformError {
            operation,
            class: self.class,
            code: self.code,
            message: self.message,
            request_id: self.request_id,
        }
    }

    /// An answer that came, and cannot be right.
    pub(super) fn nonsense(message: impl Into<String>) -> Self {
        Self::without_code(ErrorClass::Server, Again::MayBeDone, message)
    }

    /// Something that we refuse to do or to believe.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::without_code(ErrorClass::Invalid, Again::Never, message)
    }

    /// The connection broke while the answer was being read.
    pub(super) fn broken_answer(error: &(dyn Error + 'static)) -> Self {
        Self::without_code(ErrorClass::Transport, Again::MayBeDone, chain(error))
    }

    /// A code in the body of an answer that went well on the whole: one key, one partition.
    pub(super) fn coded(code: String, message: &str) -> Self {
        let class = classify(&code, 400);
        let again = again(&code, message, class);
        let message = explain(&code, message);
        Self { class, again, code: Some(code), message, request_id: None }
    }

    fn without_code(class: ErrorClass, again: Again, message: impl Into<String>) -> Self {
        Self { class, again, code: None, message: message.into(), request_id: None }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let request_id = error.request_id().map(str::to_owned);
        let failure = match &error {
            SdkError::ConstructionFailure(_) => Self::unsent(&error),
            SdkError::TimeoutError(_) => {
                Self::without_code(ErrorClass::Timeout, Again::MayBeDone, "no answer in time")
            }
            SdkError::DispatchFailure(dispatch) => Self::undelivered(dispatch, &error),
            SdkError::ResponseError(response) => Self::unreadable(response.raw(), &error),
            // A proxy's page, or half an answer: it may have been carried out.
            SdkError::ServiceError(service)
                if service.raw().status().is_success() && service.err().code().is_none() =>
            {
                Self::unreadable(service.raw(), &error)
            }
            SdkError::ServiceError(service) => {
                Self::answered(service.err(), service.raw().status().as_u16())
            }
            other => Self::without_code(ErrorClass::Transport, Again::MayBeDone, chain(other)),
        };
        Self { request_id, ..failure }
    }
}

impl Failure {
    /// The request could not even be built.
    fn unsent(error: &(dyn Error + 'static)) -> Self {
        Self::from_credentials(error)
            .unwrap_or_else(|| Self::without_code(ErrorClass::Invalid, Again::Never, chain(error)))
    }

    /// The request may or may not have reached the service.
    fn undelivered(dispatch: &DispatchFailure, error: &(dyn Error + 'static)) -> Self {
        if let Some(failure) = Self::from_credentials(error) {
            return failure;
        }
        let again = if never_connected(error) { Again::NothingDone } else { Again::MayBeDone };
        if dispatch.is_timeout() {
            Self::without_code(ErrorClass::Timeout, again, chain(error))
        } else if dispatch.is_user() {
            Self::without_code(ErrorClass::Invalid, Again::Never, chain(error))
        } else {
            Self::without_code(ErrorClass::Transport, again, chain(error))
        }
    }

    /// Credentials are needed before anything is sent, so nothing was done.
    fn from_credentials(error: &(dyn Error + 'static)) -> Option<Self> {
        let cause = sources(error).find_map(|source| source.downcast_ref::<CredentialsError>())?;
        let passes = matches!(
            cause,
            CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)
        );
        let again = if passes { Again::NothingDone } else { Again::Never };
        let message = format!(
            "no usable AWS credentials: {}. Give the process a role (ECS task role, instance \
             profile, web identity) or AWS_PROFILE or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY; an emulator needs made-up ones",
            chain(cause).trim_end_matches('.')
        );
        Some(Self::without_code(ErrorClass::Denied, again, message))
    }

    /// An answer that could not be understood.
    fn unreadable(response: &HttpResponse, error: &(dyn Error + 'static)) -> Self {
        let status = response.status().as_u16();
        let class = if status >= 500 { ErrorClass::Server } else { ErrorClass::Transport };
        let message = format!("unreadable answer with status {status}: {}", chain(error));
        Self::without_code(class, Again::MayBeDone, cut(&message))
    }

    /// An error that the service itself reported.
    fn answered(error: &dyn ProvideErrorMetadata, status: u16) -> Self {
        let code = error.code().map(str::to_owned);
        let said = error.message().unwrap_or_default();
        let name = code.as_deref().unwrap_or_default();
        let class = classify(name, status);
        let message = match code {
            None if said.is_empty() => format!("status {status} without an error code"),
            _ => explain(name, said),
        };
        let again = again(name, said, class);
        Self { class, again, code, message, request_id: None }
    }
}

/// `None` for an answer that the thing is not there.
pub(super) fn if_present<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class == ErrorClass::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The kind of failure that a service's code and status mean.
fn classify(code: &str, status: u16) -> ErrorClass {
    if is_throttle(code) || status == 429 {
        ErrorClass::Throttled
    } else if is_denial(code) {
        ErrorClass::Denied
    } else if is_absence(code) {
        ErrorClass::NotFound
    } else if code == ARCHIVED {
        ErrorClass::Invalid
    } else if is_collision(code) {
        ErrorClass::Conflict
    } else if is_timeout(code) {
        ErrorClass::Timeout
    } else if is_server_fault(code) || status >= 500 {
        ErrorClass::Server
    } else {
        classify_status(status)
    }
}

/// Absence is never read from a status: a proxy says 404 too.
fn classify_status(status: u16) -> ErrorClass {
    match status {
        401 | 403 => ErrorClass::Denied,
        408 => ErrorClass::Timeout,
        409 | 412 => ErrorClass::Conflict,
        _ => ErrorClass::Invalid,
    }
}

/// The SDK's own list; `LimitExceededException` is a quota in some services and a rate in others.
fn is_throttle(code: &str) -> bool {
    aws_runtime::retries::classifiers::THROTTLING_ERRORS.contains(&code)
}

fn is_denial(code: &str) -> bool {
    const DENIALS: [&str; 19] = [
        "AllAccessDisabled",
        "AuthFailure",
        "AuthorizationError",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    ];
    DENIALS.contains(&code) || code.contains("AccessDenied")
}

fn is_absence(code: &str) -> bool {
    const ABSENCES: [&str; 3] = ["NoSuchBucket", "NoSuchKey", "NoSuchUpload"];
    ABSENCES.contains(&code)
        || code.ends_with("NotFound")
        || code.ends_with("NotFoundException")
        || code.ends_with("NotFoundFault")
}

fn is_collision(code: &str) -> bool {
    const COLLISIONS: [&str; 11] = [
        "ConcurrentModificationException",
        "ConcurrentRunsExceededException",
        "ConditionalRequestConflict",
        "ConflictException",
        "CrawlerRunningException",
        "IdempotentParameterMismatchException",
        "InvalidDBInstanceState",
        "InvalidDBSnapshotState",
        "OperationAborted",
        "PreconditionFailed",
        "ResourceNotReadyException",
    ];
    COLLISIONS.contains(&code) || code.contains("AlreadyExists")
}

fn is_timeout(code: &str) -> bool {
    ["OperationTimeoutException", "RequestTimeout", "RequestTimeoutException"].contains(&code)
}

fn is_server_fault(code: &str) -> bool {
    const FAULTS: [&str; 9] = [
        "InternalError",
        "InternalException",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InternalServiceException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ];
    FAULTS.contains(&code)
}

fn again(code: &str, said: &str, class: ErrorClass) -> Again {
    /// Two changes met; neither of these leaves ours half done.
    const PASSING_COLLISIONS: [&str; 3] =
        ["ConcurrentModificationException", "ConditionalRequestConflict", "OperationAborted"];
    match class {
        ErrorClass::Throttled => Again::NothingDone,
        ErrorClass::Server | ErrorClass::Timeout | ErrorClass::Transport => Again::MayBeDone,
        ErrorClass::Conflict if PASSING_COLLISIONS.contains(&code) => Again::NothingDone,
        // The SDK learns AWS's time from this very answer and signs the next request with it.
        ErrorClass::Denied if is_skew(code, said) => Again::NothingDone,
        ErrorClass::Conflict | ErrorClass::Denied | ErrorClass::NotFound | ErrorClass::Invalid => {
            Again::Never
        }
    }
}

fn is_skew(code: &str, said: &str) -> bool {
    code == "RequestTimeTooSkewed"
        || (code == "InvalidSignatureException"
            && (said.contains("Signature expired") || said.contains("not yet current")))
}

/// The service's words, without what must not be repeated and with what helps.
fn explain(code: &str, said: &str) -> String {
    let said = cut(without_canonical_request(said));
    match advice(code, &said) {
        Some(advice) if said.is_empty() => advice.to_owned(),
        Some(advice) => format!("{said} ({advice})"),
        None => said,
    }
}

fn advice(code: &str, said: &str) -> Option<&'static str> {
    if is_skew(code, said) {
        return Some("this machine's clock is wrong");
    }
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            Some("the credentials have expired; an unattended process needs a role")
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" => {
            Some("AWS does not know these credentials")
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
            Some("the secret key does not belong to the access key, or a proxy changes requests")
        }
        "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => {
            Some("the bucket is in another region than aws.region")
        }
        "OptInRequired" => Some("the account has not enabled this service or region"),
        _ => None,
    }
}

/// "The Canonical String for this request should have been" is followed by the signed headers.
fn without_canonical_request(said: &str) -> &str {
    let end = said.find("The Canonical String").or_else(|| said.find('\n'));
    end.map_or(said, |end| said[..end].trim_end())
}

/// Whether the chain says that no connection came about, so that nothing can have been sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(<dyn Error>::is::<NeverConnected>)
}

pub(super) fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
        .take(SOURCE_LIMIT)
}

/// An error and its causes in one line, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for source in sources(error) {
        let words = source.to_string();
        if words.is_empty() || line.contains(&words) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&words);
    }
    cut(&line)
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_LIMIT_CHARS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_have_their_class() {
        for (code, status, class) in [
            ("ThrottlingException", 400, ErrorClass::Throttled),
            ("Throttling", 400, ErrorClass::Throttled),
            ("TooManyRequestsException", 429, ErrorClass::Throttled),
            ("SlowDown", 503, ErrorClass::Throttled),
            ("", 429, ErrorClass::Throttled),
            ("AccessDenied", 403, ErrorClass::Denied),
            ("KMS.AccessDeniedException", 400, ErrorClass::Denied),
            ("UnrecognizedClientException", 400, ErrorClass::Denied),
            ("", 403, ErrorClass::Denied),
            ("EntityNotFoundException", 400, ErrorClass::NotFound),
            ("ClusterNotFoundException", 400, ErrorClass::NotFound),
            ("DBSnapshotNotFoundFault", 404, ErrorClass::NotFound),
            ("ExportTaskNotFound", 404, ErrorClass::NotFound),
            ("", 404, ErrorClass::Invalid),
            ("ConflictException", 409, ErrorClass::Conflict),
            ("ConcurrentRunsExceededException", 400, ErrorClass::Conflict),
            ("PreconditionFailed", 412, ErrorClass::Conflict),
            ("ExportTaskAlreadyExists", 400, ErrorClass::Conflict),
            ("OperationTimeoutException", 400, ErrorClass::Timeout),
            ("InternalServiceException", 400, ErrorClass::Server),
            ("WhateverTheyAddNext", 502, ErrorClass::Server),
            ("InvalidObjectState", 403, ErrorClass::Invalid),
            ("PermanentRedirect", 301, ErrorClass::Invalid),
            ("ValidationException", 400, ErrorClass::Invalid),
            ("WhateverTheyAddNext", 400, ErrorClass::Invalid),
        ] {
            assert_eq!(classify(code, status), class, "{code} {status}");
        }
    }

    #[test]
    fn only_passing_failures_may_be_asked_again() {
        for (code, class, expected) in [
            ("ThrottlingException", ErrorClass::Throttled, Again::NothingDone),
            ("ConcurrentModificationException", ErrorClass::Conflict, Again::NothingDone),
            ("ConditionalRequestConflict", ErrorClass::Conflict, Again::NothingDone),
            ("ConcurrentRunsExceededException", ErrorClass::Conflict, Again::Never),
            ("PreconditionFailed", ErrorClass::Conflict, Again::Never),
            ("InternalError", ErrorClass::Server, Again::MayBeDone),
            ("OperationTimeoutException", ErrorClass::Timeout, Again::MayBeDone),
            ("RequestTimeTooSkewed", ErrorClass::Denied, Again::NothingDone),
            ("AccessDenied", ErrorClass::Denied, Again::Never),
            ("NoSuchKey", ErrorClass::NotFound, Again::Never),
        ] {
            assert_eq!(again(code, "", class), expected, "{code}");
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let cut = cut(&"ü".repeat(2_000));
        assert_eq!(cut.chars().count(), MESSAGE_LIMIT_CHARS + 1);
        assert!(cut.ends_with('…'));
    }
}
