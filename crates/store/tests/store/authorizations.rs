use tessera_store::{AuthorizationCodeRecord, AuthorizationRequest, StoreError};
use tessera_types::{OpaqueHash, Timestamp};

use crate::harness::{Fixture, belongings, client, code, on_both, people, request, user, which, winners};

on_both!(ready:
    requests_and_codes_read_back_as_written,
    requests_and_codes_need_whom_they_belong_to,
    of_many_who_decide_one_request_at_once_one_does,
    of_many_who_redeem_one_code_at_once_one_does,
    a_rolled_back_redemption_leaves_the_code_as_it_was,
    a_withdrawal_forgets_the_codes_that_were_not_redeemed,
    a_deleted_client_takes_everything_along,
    a_nul_is_refused,
    a_row_that_says_nonsense_is_corrupt,
);

const END: i64 = 2_000_000_000;

async fn insert(f: &Fixture, codes: &[AuthorizationCodeRecord]) {
    let tx = f.db.begin().await.expect("begins");
    for code in codes {
        tx.authorizations().insert_code(code).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

async fn insert_request(f: &Fixture, request: &AuthorizationRequest) {
    let tx = f.db.begin().await.expect("begins");
    tx.authorizations().insert_request(request).await.expect("inserts");
    tx.commit().await.expect("commits");
}

async fn requests_and_codes_read_back_as_written(f: Fixture) {
    people(&f).await;
    let sparse_request = AuthorizationRequest {
        redirect_given: false,
        state: None,
        audience: None,
        challenge: None,
        locales: None,
        scopes: tessera_types::ScopeSet::empty(),
        ..request(2, "b", END)
    };
    let sparse_code = AuthorizationCodeRecord {
        redirect_uri: None,
        audience: None,
        challenge: None,
        redeemed: Some(Timestamp(5)),
        ..code(2, "b", user(2).id, END)
    };
    let full = (request(1, "a", END), code(1, "a", user(1).id, END));
    for (request, code) in [full, (sparse_request, sparse_code)] {
        insert_request(&f, &request).await;
        insert(&f, std::slice::from_ref(&code)).await;
        assert_eq!(f.db.authorizations().request(request.token).await.expect("finds"), Some(request));
        assert_eq!(f.db.authorizations().code(code.code).await.expect("finds"), Some(code));
    }
    assert_eq!(f.db.authorizations().request(OpaqueHash([9; 32])).await.expect("finds"), None);
    assert_eq!(f.db.authorizations().code(OpaqueHash([9; 32])).await.expect("finds"), None);
}

async fn requests_and_codes_need_whom_they_belong_to(f: Fixture) {
    people(&f).await;
    for orphan in [code(1, "nobody", user(1).id, END), code(1, "a", user(9).id, END)] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.authorizations().insert_code(&orphan).await.expect_err("missing");
        assert!(matches!(error, StoreError::Missing), "{error:?}");
    }
    let tx = f.db.begin().await.expect("begins");
    let error = tx.authorizations().insert_request(&request(1, "nobody", END)).await.expect_err("missing");
    assert!(matches!(error, StoreError::Missing), "{error:?}");
}

async fn of_many_who_decide_one_request_at_once_one_does(f: Fixture) {
    people(&f).await;
    let request = request(1, "a", END);
    insert_request(&f, &request).await;
    let racers = (0..16).map(|_| {
        let db = f.db.clone();
        tokio::spawn(async move {
            let tx = db.begin().await.expect("begins");
            let taken = tx.authorizations().take_request(request.token).await.expect("answers");
            tx.commit().await.expect("commits");
            taken
        })
    });
    assert_eq!(winners(racers).await, 1);
    assert_eq!(f.db.authorizations().request(request.token).await.expect("finds"), None);
}

async fn of_many_who_redeem_one_code_at_once_one_does(f: Fixture) {
    people(&f).await;
    let code = code(1, "a", user(1).id, END);
    insert(&f, std::slice::from_ref(&code)).await;
    let racers = (0..16).map(|number| {
        let db = f.db.clone();
        tokio::spawn(async move {
            let tx = db.begin().await.expect("begins");
            let won = tx.authorizations().redeem(code.code, Timestamp(1000 + number)).await.expect("answers");
            tx.commit().await.expect("commits");
            won
        })
    });
    assert_eq!(winners(racers).await, 1);
    let stored = f.db.authorizations().code(code.code).await.expect("finds").expect("is there");
    assert!(stored.redeemed.is_some_and(|at| (1000..1016).contains(&at.0)), "{stored:?}");
    assert_eq!(AuthorizationCodeRecord { redeemed: None, ..stored }, code, "and nothing else changed");
    let tx = f.db.begin().await.expect("begins");
    assert!(!tx.authorizations().redeem(OpaqueHash([9; 32]), Timestamp(1)).await.expect("answers"), "no such code");
}

async fn a_rolled_back_redemption_leaves_the_code_as_it_was(f: Fixture) {
    people(&f).await;
    let code = code(1, "a", user(1).id, END);
    insert(&f, std::slice::from_ref(&code)).await;
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.authorizations().redeem(code.code, Timestamp(1)).await.expect("redeems"));
    tx.rollback().await.expect("rolls back");
    assert_eq!(f.db.authorizations().code(code.code).await.expect("finds"), Some(code));
}

/// One that was redeemed stays, so that its replay is recognised.
async fn a_withdrawal_forgets_the_codes_that_were_not_redeemed(f: Fixture) {
    people(&f).await;
    let (one, two) = (user(1).id, user(2).id);
    let redeemed = AuthorizationCodeRecord { redeemed: Some(Timestamp(5)), ..code(2, "a", one, END) };
    insert(&f, &[code(1, "a", one, END), redeemed, code(3, "b", one, END), code(4, "a", two, END)]).await;
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.authorizations().delete_codes(one, &client("a").id).await.expect("deletes"), 1);
    tx.commit().await.expect("commits");
    for (number, left) in [(1, false), (2, true), (3, true), (4, true)] {
        let found = f.db.authorizations().code(OpaqueHash([number; 32])).await.expect("finds");
        assert_eq!(found.is_some(), left, "{number}");
    }
}

async fn a_deleted_client_takes_everything_along(f: Fixture) {
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    belongings(&tx, 1, "a", user(1).id).await;
    belongings(&tx, 2, "b", user(1).id).await;
    tx.commit().await.expect("commits");
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.clients().delete(&client("a").id).await.expect("deletes"));
    tx.commit().await.expect("commits");
    assert_eq!(which(&f.db, 1, "a", user(1).id).await, [true, false, false, false, false], "the session is the user's");
    assert_eq!(which(&f.db, 2, "b", user(1).id).await, [true; 5]);
}

async fn a_nul_is_refused(f: Fixture) {
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    let request = request(1, "a", END);
    for nul in [
        AuthorizationRequest { state: Some("a\0b".into()), ..request.clone() },
        AuthorizationRequest { locales: Some("\0".into()), ..request },
    ] {
        let error = tx.authorizations().insert_request(&nul).await.expect_err("refused");
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    }
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    people(&f).await;
    let (request, code) = (request(1, "a", END), code(1, "a", user(1).id, END));
    for nonsense in ["scopes = 'no JSON'", "audience = 'a b'", "challenge = 'short'", "redirect_uri = 'x'"] {
        insert_request(&f, &request).await;
        f.sql(&format!("UPDATE authorization_requests SET {nonsense}")).await;
        let error = f.db.authorizations().request(request.token).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "authorization_requests", .. }), "{nonsense}: {error:?}");
        f.sql("DELETE FROM authorization_requests").await;
    }
    for nonsense in ["scopes = 'no JSON'", "audience = 'a b'", "challenge = 'short'", "grant_id = 'x'", "rev = '1'"] {
        insert(&f, std::slice::from_ref(&code)).await;
        f.sql(&format!("UPDATE authorization_codes SET {nonsense}")).await;
        let error = f.db.authorizations().code(code.code).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "authorization_codes", .. }), "{nonsense}: {error:?}");
        f.sql("DELETE FROM authorization_codes").await;
    }
}
