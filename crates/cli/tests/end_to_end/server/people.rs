use tessera_api::admin::v1::user_service_server::UserService;
use tessera_api::admin::v1::*;
use tonic::{Code, Request, Response, Status};

use super::{Fake, refusal};

const REVISION: &str = "1-43";

impl Fake {
    fn user(&self, who: &str) -> Result<User, Status> {
        let is = |user: &&User| [&user.user_id, &user.username, &user.email].iter().any(|name| *name == who);
        let found = self.book(|book| book.users.iter().find(is).cloned());
        found.ok_or_else(|| refusal(Code::NotFound, "USER_NOT_FOUND", "not_found", "there is no such user"))
    }

    /// By the identifier alone, as the issuer does it.
    fn change_user(&self, id: &str, work: impl FnOnce(&mut User)) -> Result<Option<User>, Status> {
        if !id.starts_with("usr_") {
            return Err(refusal(Code::InvalidArgument, "INVALID_FIELD", "invalid_request", "not a user's id"));
        }
        self.user(id)?;
        Ok(self.book(|book| {
            let user = book.users.iter_mut().find(|u| u.user_id == id)?;
            work(user);
            Some(user.clone())
        }))
    }

    fn given(&self, password: Option<Password>) -> bool {
        let value = password.and_then(|password| password.value);
        let there = value.is_some();
        self.book(|book| {
            book.imported = match value {
                Some(password::Value::Plain(text)) => format!("plain {text}"),
                Some(password::Value::Hash(text)) => format!("hash {text}"),
                None => String::new(),
            };
        });
        there
    }
}

#[tonic::async_trait]
impl UserService for Fake {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        self.admin("CreateUser", &request)?;
        let CreateUserRequest { user, password } = request.into_inner();
        let mut user = user.expect("the user");
        if self.user(&user.username).is_ok() {
            return Err(refusal(Code::AlreadyExists, "USERNAME_TAKEN", "already_exists", "the username is taken"));
        }
        user.user_id = format!("usr_{}", user.username);
        user.enabled = true;
        user.has_password = self.given(password);
        self.book(|book| book.users.push(user.clone()));
        Ok(Response::new(CreateUserResponse { user: Some(user) }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        self.admin("GetUser", &request)?;
        let user = Some(self.user(&request.get_ref().user)?);
        Ok(Response::new(GetUserResponse { user }))
    }

    /// Pages of two, so that whoever reads only the first is found out.
    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        self.admin("ListUsers", &request)?;
        let request = request.into_inner();
        let from: usize = request.page_token.parse().unwrap_or(0);
        let meant = |user: &&User| {
            request.enabled.is_none_or(|e| user.enabled == e) && user.username.contains(&request.contains)
        };
        let all: Vec<User> = self.book(|book| book.users.iter().filter(meant).cloned().collect());
        let size = usize::try_from(request.page_size).expect("positive").min(2);
        let users: Vec<User> = all.iter().skip(from).take(size).cloned().collect();
        let next = from + users.len();
        let next_page_token = if next < all.len() { next.to_string() } else { String::new() };
        Ok(Response::new(ListUsersResponse { users, next_page_token }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        self.admin("UpdateUser", &request)?;
        let request = request.into_inner();
        let wanted = request.user.expect("the user");
        if self.user(&wanted.user_id)?.etag != wanted.etag {
            return Err(refusal(Code::Aborted, "CHANGED_MEANWHILE", "conflict", "somebody else changed it"));
        }
        self.book(|book| book.masks.push(request.update_mask.expect("the mask").paths));
        let user = self.change_user(&wanted.user_id.clone(), |user| *user = wanted)?;
        Ok(Response::new(UpdateUserResponse { user }))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        self.admin("DeleteUser", &request)?;
        let id = request.into_inner().user_id;
        self.change_user(&id, |_| ())?;
        self.book(|book| book.users.retain(|u| u.user_id != id));
        Ok(Response::new(DeleteUserResponse { revision: REVISION.into() }))
    }

    async fn enable_user(&self, request: Request<EnableUserRequest>) -> Result<Response<EnableUserResponse>, Status> {
        self.admin("EnableUser", &request)?;
        let user = self.change_user(&request.get_ref().user_id, |user| user.enabled = true)?;
        Ok(Response::new(EnableUserResponse { user }))
    }

    async fn disable_user(
        &self,
        request: Request<DisableUserRequest>,
    ) -> Result<Response<DisableUserResponse>, Status> {
        self.admin("DisableUser", &request)?;
        let user = self.change_user(&request.get_ref().user_id, |user| user.enabled = false)?;
        Ok(Response::new(DisableUserResponse { user, revision: REVISION.into() }))
    }

    async fn set_user_password(
        &self,
        request: Request<SetUserPasswordRequest>,
    ) -> Result<Response<SetUserPasswordResponse>, Status> {
        self.admin("SetUserPassword", &request)?;
        let request = request.into_inner();
        let there = self.given(request.password);
        self.change_user(&request.user_id, |user| user.has_password = there)?;
        Ok(Response::new(SetUserPasswordResponse { revision: REVISION.into() }))
    }

    async fn revoke_user_tokens(
        &self,
        request: Request<RevokeUserTokensRequest>,
    ) -> Result<Response<RevokeUserTokensResponse>, Status> {
        self.admin("RevokeUserTokens", &request)?;
        self.change_user(&request.get_ref().user_id, |_| ())?;
        Ok(Response::new(RevokeUserTokensResponse { revision: REVISION.into() }))
    }
}
