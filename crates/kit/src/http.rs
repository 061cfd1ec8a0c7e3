//! HTTP as OAuth wants it: forms read strictly, credentials parsed, errors as JSON, nothing cached.

pub mod authorization;
pub mod cookie;
pub mod error;
pub mod form;
pub mod multipart;
pub mod query;
mod request;

pub use authorization::{Authorization, AuthorizationError, BearerToken, Credentials, basic_as_written, says_nothing};
pub use cookie::{Cookies, SetCookie};
pub use error::Challenge;
pub use form::{Form, FormError};
pub use multipart::MultipartError;
pub use request::{FormBody, MAX_BODY, RawBody, RequestError};
