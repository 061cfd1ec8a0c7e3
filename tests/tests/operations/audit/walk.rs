//! Every call that changes something, found through the descriptors, leaves its record.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use http::HeaderValue;
use prost::Message;
use rstest::rstest;
use tessera_api::admin::v1 as admin;
use tessera_api::oauth::v1 as oauth;
use tessera_testkit::pair::{ADMINISTRATOR, Backend};
use tessera_tests::channel;
use tessera_tests::people::{PASSWORD, People, asked, people, plain};
use tessera_tests::rpcs::{self, framed};
use tonic::transport::Channel;

use super::{Auditor, id};

/// Calls that change nothing anybody relies on: a token is in nobody's table, and a request that waits is nothing yet.
const NOTHING_TO_TELL: [&str; 2] =
    ["/tessera.oauth.v1.TokenService/IssueToken", "/tessera.oauth.v1.AuthorizationService/CreateAuthorization"];

/// Calls, one after the other, each with what it must leave behind.
struct Walk<'a> {
    people: &'a People,
    auditor: Auditor,
    channel: Channel,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    /// Calls a method of administration; its record names the administrator, the target and where the call came from.
    async fn step<A: Message + Default>(&mut self, method: &str, ask: impl Message, told: [&str; 2]) -> Result<A> {
        let path = format!("/tessera.admin.v1.{method}");
        let bearer = self.people.admin.clone();
        self.call(&path, &bearer, ask, [told[0], told[1], ADMINISTRATOR]).await
    }

    async fn call<A: Message + Default>(
        &mut self,
        path: &str,
        bearer: &str,
        ask: impl Message,
        [action, target, actor]: [&str; 3],
    ) -> Result<A> {
        let end = self.auditor.end().await?;
        let bearer = HeaderValue::try_from(format!("Bearer {bearer}"))?;
        let answer =
            rpcs::call(&self.channel, path, &[("authorization", bearer)], framed(&ask.encode_to_vec())).await?;
        let status = answer.clone().status()?;
        ensure!(status.code() == tonic::Code::Ok, "{path}: {status:?}");
        let records = self.auditor.after(end).await?;
        let record = records.first().with_context(|| format!("{path} leaves no record"))?;
        ensure!(records.len() == 1, "{path} leaves {records:?}");
        ensure!(record.action == action && id(record.actor.as_ref()) == actor, "{path}: {record:?}");
        ensure!(target.is_empty() || id(record.target.as_ref()) == target, "{path}: {record:?}");
        ensure!(record.address == "127.0.0.1" && record.count == 1, "{path}: {record:?}");
        ensure!(record.outcome() == admin::AuditOutcome::Ok, "{path}: {record:?}");
        self.seen.insert(path.to_owned());
        Ok(A::decode(&answer.body[5..])?)
    }

    async fn clients(&mut self) -> Result<()> {
        let shape = admin::Client {
            client_id: "walked".into(),
            name: "walked".into(),
            resources: vec!["orders-api".into()],
            ..Default::default()
        };
        let ask = admin::CreateClientRequest { client: Some(shape.clone()), ..Default::default() };
        let _: admin::CreateClientResponse =
            self.step("ClientService/CreateClient", ask, ["client.create", "walked"]).await?;
        let update_mask = Some(prost_types::FieldMask { paths: vec!["name".into(), "description".into()] });
        let client = Some(admin::Client { name: "walked on".into(), ..shape });
        let ask = admin::UpdateClientRequest { client, update_mask };
        let _: admin::UpdateClientResponse =
            self.step("ClientService/UpdateClient", ask, ["client.update", "walked"]).await?;
        let changed = self.auditor.list(admin::ListAuditRecordsRequest { page_size: 1, ..Default::default() }).await?;
        ensure!(changed[0].details["fields"] == "name", "what stayed as it was is not named: {changed:?}");
        let client_id = || "walked".to_owned();
        let ask = admin::RotateClientSecretRequest { client_id: client_id(), ..Default::default() };
        let rotated: admin::RotateClientSecretResponse =
            self.step("ClientService/RotateClientSecret", ask, ["client.secret.rotate", "walked"]).await?;
        let secret_id = rotated.secret.context("a secret")?.secret_id;
        let ask = admin::DeleteClientSecretRequest { client_id: client_id(), secret_id };
        let _: admin::DeleteClientSecretResponse =
            self.step("ClientService/DeleteClientSecret", ask, ["client.secret.delete", "walked"]).await?;
        let ask = admin::RevokeClientTokensRequest { client_id: client_id() };
        let _: admin::RevokeClientTokensResponse =
            self.step("ClientService/RevokeClientTokens", ask, ["client.tokens.revoke", "walked"]).await?;
        let ask = admin::DisableClientRequest { client_id: client_id() };
        let _: admin::DisableClientResponse =
            self.step("ClientService/DisableClient", ask, ["client.disable", "walked"]).await?;
        let ask = admin::EnableClientRequest { client_id: client_id() };
        let _: admin::EnableClientResponse =
            self.step("ClientService/EnableClient", ask, ["client.enable", "walked"]).await?;
        let ask = admin::DeleteClientRequest { client_id: client_id() };
        let _: admin::DeleteClientResponse =
            self.step("ClientService/DeleteClient", ask, ["client.delete", "walked"]).await?;
        Ok(())
    }

    /// Everything but its end; the user.
    async fn users(&mut self) -> Result<String> {
        let user = admin::User { username: "walker".into(), ..Default::default() };
        let ask = admin::CreateUserRequest { user: Some(user.clone()), password: None };
        let created: admin::CreateUserResponse = self.step("UserService/CreateUser", ask, ["user.create", ""]).await?;
        let user_id = created.user.context("a user")?.user_id;
        let update_mask = Some(prost_types::FieldMask { paths: vec!["name".into()] });
        let user = Some(admin::User { user_id: user_id.clone(), name: "W.".into(), ..user });
        let ask = admin::UpdateUserRequest { user, update_mask };
        let _: admin::UpdateUserResponse = self.step("UserService/UpdateUser", ask, ["user.update", &user_id]).await?;
        let ask = admin::SetUserPasswordRequest { user_id: user_id.clone(), password: Some(plain(PASSWORD)) };
        let _: admin::SetUserPasswordResponse =
            self.step("UserService/SetUserPassword", ask, ["user.password.set", &user_id]).await?;
        let ask = admin::RevokeUserTokensRequest { user_id: user_id.clone() };
        let _: admin::RevokeUserTokensResponse =
            self.step("UserService/RevokeUserTokens", ask, ["user.tokens.revoke", &user_id]).await?;
        let ask = admin::DisableUserRequest { user_id: user_id.clone() };
        let _: admin::DisableUserResponse =
            self.step("UserService/DisableUser", ask, ["user.disable", &user_id]).await?;
        let ask = admin::EnableUserRequest { user_id: user_id.clone() };
        let _: admin::EnableUserResponse = self.step("UserService/EnableUser", ask, ["user.enable", &user_id]).await?;
        Ok(user_id)
    }

    async fn organizations(&mut self, user_id: &str) -> Result<()> {
        let organization = admin::Organization { name: "Walkers".into(), ..Default::default() };
        let ask = admin::CreateOrganizationRequest { organization: Some(organization.clone()) };
        let created: admin::CreateOrganizationResponse =
            self.step("OrganizationService/CreateOrganization", ask, ["organization.create", ""]).await?;
        let it = created.organization.context("an organization")?.organization_id;
        let update_mask = Some(prost_types::FieldMask { paths: vec!["name".into()] });
        let renamed = admin::Organization { organization_id: it.clone(), name: "Runners".into(), ..organization };
        let ask = admin::UpdateOrganizationRequest { organization: Some(renamed), update_mask };
        let _: admin::UpdateOrganizationResponse =
            self.step("OrganizationService/UpdateOrganization", ask, ["organization.update", &it]).await?;
        let ask = admin::AddOrganizationMemberRequest { organization_id: it.clone(), user_id: user_id.into() };
        let _: admin::AddOrganizationMemberResponse =
            self.step("OrganizationService/AddOrganizationMember", ask, ["organization.member.add", &it]).await?;
        let ask = admin::RemoveOrganizationMemberRequest { organization_id: it.clone(), user_id: user_id.into() };
        let _: admin::RemoveOrganizationMemberResponse =
            self.step("OrganizationService/RemoveOrganizationMember", ask, ["organization.member.remove", &it]).await?;
        let ask = admin::DisableOrganizationRequest { organization_id: it.clone() };
        let _: admin::DisableOrganizationResponse =
            self.step("OrganizationService/DisableOrganization", ask, ["organization.disable", &it]).await?;
        let ask = admin::EnableOrganizationRequest { organization_id: it.clone() };
        let _: admin::EnableOrganizationResponse =
            self.step("OrganizationService/EnableOrganization", ask, ["organization.enable", &it]).await?;
        let ask = admin::DeleteOrganizationRequest { organization_id: it.clone() };
        let _: admin::DeleteOrganizationResponse =
            self.step("OrganizationService/DeleteOrganization", ask, ["organization.delete", &it]).await?;
        let ask = admin::DeleteUserRequest { user_id: user_id.into() };
        let _: admin::DeleteUserResponse = self.step("UserService/DeleteUser", ask, ["user.delete", user_id]).await?;
        Ok(())
    }

    async fn scopes(&mut self) -> Result<()> {
        let scope = Some(admin::Scope { name: "walk".into(), ..Default::default() });
        let ask = admin::CreateScopeRequest { scope: scope.clone() };
        let _: admin::CreateScopeResponse =
            self.step("ScopeService/CreateScope", ask, ["scope.create", "walk"]).await?;
        let update_mask = Some(prost_types::FieldMask { paths: vec!["descriptions".into()] });
        let ask = admin::UpdateScopeRequest { scope, update_mask };
        let _: admin::UpdateScopeResponse =
            self.step("ScopeService/UpdateScope", ask, ["scope.update", "walk"]).await?;
        let ask = admin::DeleteScopeRequest { name: "walk".into() };
        let _: admin::DeleteScopeResponse =
            self.step("ScopeService/DeleteScope", ask, ["scope.delete", "walk"]).await?;
        Ok(())
    }

    /// The key that signs stays good: the administrator's own token is under it.
    async fn keys(&mut self) -> Result<()> {
        let ask = || admin::RotateKeyRequest { promote_now: false };
        let first: admin::RotateKeyResponse = self.step("KeyService/RotateKey", ask(), ["key.publish", ""]).await?;
        let key_id = first.key.context("a key")?.key_id;
        let promote = admin::PromoteKeyRequest { key_id: String::new(), now: true };
        let _: admin::PromoteKeyResponse =
            self.step("KeyService/PromoteKey", promote, ["key.promote", &key_id]).await?;
        let second: admin::RotateKeyResponse = self.step("KeyService/RotateKey", ask(), ["key.publish", ""]).await?;
        let key_id = second.key.context("a key")?.key_id;
        let retire = admin::RetireKeyRequest { key_id: key_id.clone() };
        let _: admin::RetireKeyResponse = self.step("KeyService/RetireKey", retire, ["key.retire", &key_id]).await?;
        let rewrap = admin::RewrapKeysRequest {};
        let _: admin::RewrapKeysResponse = self.step("KeyService/RewrapKeys", rewrap, ["key.rewrap", ""]).await?;
        Ok(())
    }

    /// A token that an administrator revokes, and what a front end does for a person.
    async fn tokens(&mut self) -> Result<()> {
        let (people, front) = (self.people, self.people.front.clone());
        let token = people.world.token().await?;
        let ask = oauth::RevokeTokenRequest { token, ..Default::default() };
        let path = "/tessera.oauth.v1.TokenService/RevokeToken";
        let revoked: oauth::RevokeTokenResponse =
            self.call(path, &people.admin, ask, ["token.revoke", "", ADMINISTRATOR]).await?;
        let record = self.auditor.list(admin::ListAuditRecordsRequest { page_size: 1, ..Default::default() }).await?;
        ensure!(record[0].revision == revoked.revision, "the record says where it stands in the log: {record:?}");
        let (ada, service) = (people.ada.clone(), "/tessera.oauth.v1.AuthorizationService");
        let ask = oauth::AuthenticateUserRequest {
            username: ada.name.clone(),
            password: PASSWORD.into(),
            ..Default::default()
        };
        let path = format!("{service}/AuthenticateUser");
        let _: oauth::AuthenticateUserResponse =
            self.call(&path, &front, ask, ["user.login", &ada.id, &ada.id]).await?;
        for (allow, action) in [(true, "authorization.allow"), (false, "authorization.deny")] {
            let authorization_id = people.request(asked(&people.app, "orders:read")).await?;
            let user = Some(oauth::decide_authorization_request::User::UserId(ada.id.clone()));
            let ask = oauth::DecideAuthorizationRequest { authorization_id, user, allow, ..Default::default() };
            let path = format!("{service}/DecideAuthorization");
            let _: oauth::DecideAuthorizationResponse =
                self.call(&path, &front, ask, [action, &people.app.id, &ada.id]).await?;
        }
        let record = self.auditor.list(admin::ListAuditRecordsRequest { page_size: 1, ..Default::default() }).await?;
        ensure!(record[0].details["via"] == "front-end", "who spoke for the person: {record:?}");
        Ok(())
    }
}

/// Item 43: who, what, from where and how it ended, for every call there is that changes something. A call that is added and does
/// not stand here, or leaves no record, fails this.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_changes_something_leaves_its_record(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "").await? else { return Ok(()) };
    let mut walk = Walk {
        auditor: Auditor::of(&people.world).await?,
        channel: channel(people.at().grpc).await?,
        people: &people,
        seen: BTreeSet::new(),
    };
    walk.clients().await?;
    let user = walk.users().await?;
    walk.organizations(&user).await?;
    walk.scopes().await?;
    walk.tokens().await?;
    walk.keys().await?;
    let changes = |method: &rpcs::Method| {
        let reads = ["Get", "List"].iter().any(|verb| method.name().starts_with(verb));
        matches!(method.package.as_str(), "tessera.admin.v1" | "tessera.oauth.v1") && !reads
    };
    let all: BTreeSet<String> = rpcs::methods()?.into_iter().filter(changes).map(|method| method.path).collect();
    let forgotten: Vec<&String> =
        all.iter().filter(|path| !walk.seen.contains(*path) && !NOTHING_TO_TELL.contains(&path.as_str())).collect();
    ensure!(forgotten.is_empty(), "not walked over: {forgotten:?}");
    Ok(())
}
