//! What housekeeping deletes, to be there.

use tessera_store::{AuthorizationCodeRecord, AuthorizationRequest, RefreshFamily, Session, StoredSecret, User};
use tessera_types::{ClientId, Clock as _, GrantId, OpaqueHash, Revision, ScopeSet, SecretHash, Timestamp, UserId};
use uuid::Uuid;

use super::TestIssuer;
use crate::operations::grants::REMEMBERED;

const USER: UserId = UserId([1; 16]);

/// One thing of each kind, told apart by the number.
struct Belongings {
    number: u8,
    client: ClientId,
    rev: Revision,
    created: Timestamp,
    expires: Timestamp,
}

/// Keeps a user, and one of each of their things for each end; they are numbered from 1.
pub(super) async fn keep(issuer: &TestIssuer, client: &str, ends: &[Timestamp]) {
    let cx = issuer.cx();
    let rev = cx.replica.position().expect("loaded").revision();
    let created = cx.clock.now();
    let tx = cx.store.begin().await.expect("begins");
    tx.users().insert(&user(created)).await.expect("inserted");
    for (number, expires) in (1..).zip(ends.iter().copied()) {
        let one = Belongings { number, client: client.parse().expect("an id"), rev, created, expires };
        tx.authorizations().insert_request(&one.request()).await.expect("inserted");
        tx.authorizations().insert_code(&one.code()).await.expect("inserted");
        tx.families().insert(&one.family()).await.expect("inserted");
        tx.sessions().insert(&one.session()).await.expect("inserted");
        tx.clients().insert_secret(&one.client, &one.secret()).await.expect("inserted");
    }
    tx.commit().await.expect("committed");
}

/// How many there are: requests, codes, families, sessions, and secrets beside the client's own.
pub(super) async fn left(issuer: &TestIssuer, client: &str) -> [usize; 5] {
    let store = &issuer.cx().store;
    let mut left = [0; 5];
    for number in 1..10 {
        let hash = OpaqueHash([number; 32]);
        let found = [
            store.authorizations().request(hash).await.expect("read").is_some(),
            store.authorizations().code(hash).await.expect("read").is_some(),
            store.families().find(GrantId([number; 16])).await.expect("read").is_some(),
            store.sessions().find(hash).await.expect("read").is_some(),
        ];
        for (count, found) in left.iter_mut().zip(found) {
            *count += usize::from(found);
        }
    }
    left[4] = store.clients().secrets(&client.parse().expect("an id")).await.expect("read").len() - 1;
    left
}

fn user(created: Timestamp) -> User {
    User {
        id: USER,
        username: "ada".parse().expect("a name"),
        name: String::new(),
        email: None,
        password: None,
        enabled: true,
        created,
        updated: created,
        version: 1,
    }
}

fn scopes() -> ScopeSet {
    "a".parse().expect("scopes")
}

impl Belongings {
    fn hash(&self) -> OpaqueHash {
        OpaqueHash([self.number; 32])
    }

    fn request(&self) -> AuthorizationRequest {
        AuthorizationRequest {
            token: self.hash(),
            client: self.client.clone(),
            redirect_uri: "http://127.0.0.1/callback".parse().expect("a URI"),
            redirect_given: true,
            state: None,
            scopes: scopes(),
            audience: None,
            challenge: None,
            locales: None,
            created: self.created,
            expires: self.expires,
        }
    }

    fn code(&self) -> AuthorizationCodeRecord {
        AuthorizationCodeRecord {
            code: self.hash(),
            grant: GrantId([self.number; 16]),
            client: self.client.clone(),
            user: USER,
            redirect_uri: None,
            scopes: scopes(),
            audience: None,
            challenge: None,
            rev: self.rev,
            created: self.created,
            expires: self.expires,
            redeemed: Some(self.created),
        }
    }

    fn family(&self) -> RefreshFamily {
        RefreshFamily {
            grant: GrantId([self.number; 16]),
            client: self.client.clone(),
            user: USER,
            scopes: scopes(),
            audience: "demo-resource".parse().expect("an audience"),
            rev: self.rev,
            generation: 0,
            current: self.hash(),
            recent: Vec::new(),
            created: self.created,
            used: self.created,
            // It is kept beyond its end, as long as it may have to be revoked.
            expires: self.expires.minus(REMEMBERED),
            ends: self.expires.minus(REMEMBERED),
            last_access: None,
        }
    }

    fn session(&self) -> Session {
        Session {
            id: Uuid::from_bytes([self.number; 16]),
            token: self.hash(),
            user: USER,
            rev: self.rev,
            created: self.created,
            seen: self.created,
            expires: self.expires,
            agent: String::new(),
            address: String::new(),
        }
    }

    fn secret(&self) -> StoredSecret {
        StoredSecret {
            id: Uuid::from_bytes([self.number; 16]),
            hash: SecretHash::Fast([self.number; 32]),
            created: self.created,
            expires: Some(self.expires),
            generated: true,
            last_used: None,
        }
    }
}
