//! The closed set of HTTP statuses that a problem may carry.
//!
//! Boundary: statuses of successful answers are chosen by handlers; only refusals are limited
//! to this set, so that clients can be written against a finite list.

use http::StatusCode;

use super::problem::Severity;

/// Status of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 400: the request itself is wrong; sending it again unchanged cannot help.
    BadRequest,
    /// 401: no credential, or one that is not accepted.
    Unauthorized,
    /// 402: whoever was to pay refused to.
    PaymentRequired,
    /// 403: a good credential without the permission.
    Forbidden,
    /// 404: no such thing, or none that the caller may know of.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 408: the request body did not arrive in time.
    RequestTimeout,
    /// 409: conflicts with the present state.
    Conflict,
    /// 410: existed once, will not come back.
    Gone,
    /// 412: a precondition given by the caller does not hold.
    PreconditionFailed,
    /// 413: the body is larger than the route takes.
    PayloadTooLarge,
    /// 415: the body is not of the type that the route takes.
    UnsupportedMediaType,
    /// 422: well formed, but against a business rule.
    UnprocessableEntity,
    /// 429: more requests than the rate limit.
    TooManyRequests,
    /// 500: a fault of the server.
    InternalServerError,
    /// 502: a system behind this one failed.
    BadGateway,
    /// 503: not now; `Retry-After` says when.
    ServiceUnavailable,
}

impl Status {
    /// Every member, in rising order of the number.
    pub const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::PaymentRequired,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::Gone,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::UnprocessableEntity,
        Self::TooManyRequests,
        Self::InternalServerError,
        Self::BadGateway,
        Self::ServiceUnavailable,
    ];

    /// The number, such as 404.
    pub const fn as_u16(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::PaymentRequired => 402,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::PreconditionFailed => 412,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::UnprocessableEntity => 422,
            Self::TooManyRequests => 429,
            Self::InternalServerError => 500,
            Self::BadGateway => 502,
            Self::ServiceUnavailable => 503,
        }
    }

    /// The member with this number; `None` outside the set.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_u16() == number)
    }

    /// The status as the `http` crate spells it.
    pub fn code(self) -> StatusCode {
        StatusCode::from_u16(self.as_u16()).expect("every member is a valid status number")
    }

    /// True for faults of the server, whose causes stay inside.
    pub const fn is_server_error(self) -> bool {
        self.as_u16() >= 500
    }

    /// How loudly a problem of this status is logged unless it says otherwise.
    pub const fn severity(self) -> Severity {
        match self {
            Self::InternalServerError => Severity::Error,
            Self::BadGateway | Self::ServiceUnavailable => Severity::Warn,
            Self::TooManyRequests => Severity::Info,
            _ => Severity::Debug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_u16(status.as_u16()), Some(status));
            assert_eq!(status.code().as_u16(), status.as_u16());
        }
        assert_eq!(Status::from_u16(418), None);
    }
}
