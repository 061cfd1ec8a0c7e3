//! `tessera.admin.v1.UserService`.

use tessera_api::admin::v1::password::Value;
use tessera_api::admin::v1::user_service_server::UserService;
use tessera_api::admin::v1::{self as api};
use tessera_store::{User, UserFilter};
use tessera_types::password::InvalidPasswordHash;
use tessera_types::scope::reserved;
use tessera_types::{Email, PasswordHash, PresentedSecret, UserId, Username};
use tonic::{Request, Response, Status};

use super::page::Page;
use super::{access, wire};
use crate::context::Context;
use crate::operations::users::{self, NewPassword, UserDraft, UserDraftError, UserPatch};

/// The service.
pub(crate) struct UserAdministration(pub Context);

const READ: &[&str] = &[reserved::ADMIN_READ, reserved::ADMIN];
const WRITE: &[&str] = &[reserved::ADMIN];

#[tonic::async_trait]
impl UserService for UserAdministration {
    async fn create_user(
        &self,
        request: Request<api::CreateUserRequest>,
    ) -> Result<Response<api::CreateUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let draft = draft(request.user.unwrap_or_default(), request.password)?;
        let created = users::create(&cx, draft).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::CreateUserResponse { user: Some(user(created)) }))
    }

    async fn get_user(&self, request: Request<api::GetUserRequest>) -> Result<Response<api::GetUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let who = request.into_inner().user;
        if who.is_empty() {
            return Err(wire::invalid("user", "Name the user by identifier, username or e-mail address."));
        }
        let found = users::find(&cx, &who).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::GetUserResponse { user: Some(user(found)) }))
    }

    async fn list_users(
        &self,
        request: Request<api::ListUsersRequest>,
    ) -> Result<Response<api::ListUsersResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let request = request.into_inner();
        let page = Page::read(request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(id_of_page).transpose()?;
        let contains = Some(request.contains).filter(|text| !text.is_empty());
        let filter = UserFilter { contains, enabled: request.enabled };
        let found = users::list(&cx, &filter, after, page.size + 1).await.map_err(|error| access::refused(&error))?;
        let found: Vec<api::User> = found.into_iter().map(user).collect();
        let (users, next_page_token) = page.cut(found, |user| user.user_id.as_str());
        Ok(Response::new(api::ListUsersResponse { users, next_page_token }))
    }

    async fn update_user(
        &self,
        request: Request<api::UpdateUserRequest>,
    ) -> Result<Response<api::UpdateUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let wanted = request.user.unwrap_or_default();
        let id = id(&wanted.user_id)?;
        let etag = wire::etag(&wanted.etag)?;
        let patch = patch(&wanted, &request.update_mask.unwrap_or_default().paths)?;
        let changed = users::update(&cx, id, etag, patch).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::UpdateUserResponse { user: Some(user(changed)) }))
    }

    async fn delete_user(
        &self,
        request: Request<api::DeleteUserRequest>,
    ) -> Result<Response<api::DeleteUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().user_id)?;
        let revision = users::delete(&cx, id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DeleteUserResponse { revision: revision.to_string() }))
    }

    async fn enable_user(
        &self,
        request: Request<api::EnableUserRequest>,
    ) -> Result<Response<api::EnableUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().user_id)?;
        let (enabled, _) = users::set_enabled(&cx, id, true).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::EnableUserResponse { user: Some(user(enabled)) }))
    }

    async fn disable_user(
        &self,
        request: Request<api::DisableUserRequest>,
    ) -> Result<Response<api::DisableUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().user_id)?;
        let (disabled, revision) = users::set_enabled(&cx, id, false).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DisableUserResponse { user: Some(user(disabled)), revision: revision.to_string() }))
    }

    async fn set_user_password(
        &self,
        request: Request<api::SetUserPasswordRequest>,
    ) -> Result<Response<api::SetUserPasswordResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let id = id(&request.user_id)?;
        let password = password(request.password)?
            .ok_or_else(|| wire::invalid("password", "The new password, or the hash of it, is missing."))?;
        let revision = users::set_password(&cx, id, &password).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::SetUserPasswordResponse { revision: revision.to_string() }))
    }

    async fn revoke_user_tokens(
        &self,
        request: Request<api::RevokeUserTokensRequest>,
    ) -> Result<Response<api::RevokeUserTokensResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().user_id)?;
        let revision = users::revoke_tokens(&cx, id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::RevokeUserTokensResponse { revision: revision.to_string() }))
    }
}

fn id(text: &str) -> Result<UserId, Status> {
    text.parse().map_err(|_| {
        wire::invalid("user_id", "A user id begins with usr_. Get the user by username or e-mail address to see it.")
    })
}

fn id_of_page(text: &str) -> Result<UserId, Status> {
    text.parse().map_err(|_| Page::refused())
}

fn username(text: &str) -> Result<Username, Status> {
    text.parse().map_err(|_| {
        wire::invalid("username", "A username has 1 to 255 characters, without @, white space and control characters.")
    })
}

/// Empty is none.
fn email(text: &str) -> Result<Option<Email>, Status> {
    let given = Some(text).filter(|text| !text.is_empty());
    given.map(str::parse).transpose().map_err(|_| {
        wire::invalid(
            "email",
            "An e-mail address has at most 254 bytes, an @ with something on both sides, and no white space.",
        )
    })
}

fn draft(wanted: api::User, given: Option<api::Password>) -> Result<UserDraft, Status> {
    Ok(UserDraft {
        username: username(&wanted.username)?,
        email: email(&wanted.email)?,
        name: wanted.name,
        password: password(given)?,
    })
}

/// A new password, where one was sent.
fn password(given: Option<api::Password>) -> Result<Option<NewPassword>, Status> {
    match given.and_then(|password| password.value) {
        None => Ok(None),
        Some(Value::Plain(plain)) => {
            let plain = PresentedSecret::new(plain).ok_or_else(|| access::refused(&UserDraftError::Password))?;
            Ok(Some(NewPassword::Plain(plain)))
        }
        Some(Value::Hash(hash)) => imported(&hash).map(NewPassword::Imported).map(Some),
    }
}

fn imported(hash: &str) -> Result<PasswordHash, Status> {
    hash.parse().map_err(|error| {
        let advice = match error {
            InvalidPasswordHash::Kind => {
                "A hash is argon2id as a PHC string ($argon2id$...) or bcrypt ($2a$, $2b$ or $2y$). No other kind is accepted."
            }
            InvalidPasswordHash::Malformed => {
                "The hash is not well-formed. Accepted are argon2id as $argon2id$v=19$m=...,t=...,p=...$salt$hash, and bcrypt as $2b$cost$ with 53 characters after it."
            }
            InvalidPasswordHash::Cost => {
                "The hash costs too much or too little. Accepted are argon2id up to m*t=262144, t=16 and p=16, and bcrypt with a cost of 4 to 12."
            }
        };
        wire::invalid("password", advice)
    })
}

fn patch(wanted: &api::User, paths: &[String]) -> Result<UserPatch, Status> {
    let refused = || {
        let advice = "The update mask names fields of a user that can change: username, name, email.";
        wire::invalid("update_mask", advice)
    };
    if paths.is_empty() {
        return Err(refused());
    }
    let mut patch = UserPatch::default();
    for path in paths {
        match path.as_str() {
            "username" => patch.username = Some(username(&wanted.username)?),
            "name" => patch.name = Some(wanted.name.clone()),
            "email" => patch.email = Some(email(&wanted.email)?),
            _ => return Err(refused()),
        }
    }
    Ok(patch)
}

fn user(found: User) -> api::User {
    api::User {
        user_id: found.id.to_string(),
        username: found.username.to_string(),
        name: found.name,
        email: found.email.map(|email| email.to_string()).unwrap_or_default(),
        enabled: found.enabled,
        has_password: found.password.is_some(),
        create_time: Some(wire::timestamp(found.created)),
        update_time: Some(wire::timestamp(found.updated)),
        etag: found.version.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    fn violation(status: &Status) -> (Code, String, String) {
        let field = status.get_details_bad_request().map(|bad| bad.field_violations[0].field.clone());
        (status.code(), field.unwrap_or_default(), status.message().to_owned())
    }

    #[test]
    fn a_hash_that_cannot_be_imported_is_refused_with_the_kinds_that_can() {
        for bad in
            ["", "5f4dcc3b5aa765d61d8327deb882cf99", "$1$x$y", "$argon2i$v=19$m=64,t=1,p=1$x$y", "$2b$31$x", "$2b$06$x"]
        {
            let given = api::Password { value: Some(Value::Hash(bad.to_owned())) };
            let (code, field, message) = violation(&password(Some(given)).expect_err(bad));
            assert_eq!((code, field.as_str()), (Code::InvalidArgument, "password"), "{bad}");
            assert!(message.contains("argon2id") && message.contains("bcrypt"), "{bad}: {message}");
            assert!(bad.is_empty() || !message.contains(bad), "a hash is not repeated: {message}");
        }
        let good = "$2y$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
        let given = api::Password { value: Some(Value::Hash(good.to_owned())) };
        assert!(matches!(password(Some(given)), Ok(Some(NewPassword::Imported(hash))) if hash.to_stored() == good));
    }

    #[test]
    fn a_password_that_is_none_is_refused_and_an_absent_one_is_none() {
        for bad in [String::new(), "x".repeat(PresentedSecret::MAX_LEN + 1)] {
            let given = api::Password { value: Some(Value::Plain(bad)) };
            let (code, field, _) = violation(&password(Some(given)).expect_err("out of bounds"));
            assert_eq!((code, field.as_str()), (Code::InvalidArgument, "password"));
        }
        for absent in [None, Some(api::Password::default())] {
            assert!(matches!(password(absent), Ok(None)));
        }
    }

    #[test]
    fn an_update_names_fields_that_can_change() {
        let wanted = api::User { username: "ada".into(), email: "not an address".into(), ..api::User::default() };
        let patched = |paths: &[&str]| patch(&wanted, &paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        for bad in [&[][..], &["user_id"], &["enabled"], &["password"], &["etag"], &["*"], &[""], &["username", "x"]] {
            let refused = violation(&patched(bad).expect_err("a bad mask"));
            assert_eq!((refused.0, refused.1.as_str()), (Code::InvalidArgument, "update_mask"), "{bad:?}");
        }
        assert!(patched(&["username", "name"]).is_ok_and(|patch| patch.email.is_none() && patch.name.is_some()));
        assert_eq!(violation(&patched(&["email"]).expect_err("no address")).1, "email");
        let homeless = patch(&api::User::default(), &["email".to_owned()]).expect("it may be taken away");
        assert_eq!(homeless.email, Some(None));
    }
}
