//! `Debug` for messages that carry tokens or secrets: the name and nothing else.

use std::fmt;

macro_rules! redacted {
    ($($message:ty),+ $(,)?) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), " { … }"))
            }
        })+
    };
}

redacted! {
    crate::oauth::v1::IssueTokenRequest,
    crate::oauth::v1::IssueTokenResponse,
    crate::oauth::v1::RevokeTokenRequest,
    crate::oauth::v1::PasswordGrant,
    crate::oauth::v1::RefreshTokenGrant,
    crate::oauth::v1::AuthorizationCodeGrant,
    crate::oauth::v1::AuthenticateUserRequest,
    crate::oauth::v1::AuthenticateUserResponse,
    crate::oauth::v1::DecideAuthorizationRequest,
    crate::oauth::v1::decide_authorization_request::User,
    crate::oauth::v1::DecideAuthorizationResponse,
    crate::introspection::v1::IntrospectRequest,
    crate::sync::v1::AuthenticateClientRequest,
    crate::admin::v1::Password,
    crate::admin::v1::password::Value,
    crate::admin::v1::CreateClientRequest,
    crate::admin::v1::CreateClientResponse,
    crate::admin::v1::RotateClientSecretResponse,
}
