//! What a stop still writes.

use futures::FutureExt as _;
use tessera_store::{Action, Actor, AuditFilter};
use tokio::sync::oneshot;

use super::*;
use crate::server::write_the_rest;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_writer_could_not_write_any_more_is_written_at_the_stop() {
    let issuer = TestIssuer::start(Backend::Sqlite).await.expect("SQLite is always there");
    let (refuse, refused) = oneshot::channel();
    let cx = issuer.cx().clone();
    // One that has taken what it writes, and puts it back when the database refuses it.
    let writer = tokio::spawn(async move {
        let _ = refused.await;
        cx.refused(cx.did_as(Actor::Unknown, Action::UserLogin).because("PUT_BACK"));
    });
    let mut closing = Box::pin(write_the_rest(issuer.cx(), vec![writer]));
    assert!(closing.as_mut().now_or_never().is_none(), "it waits for the writer");
    refuse.send(()).expect("awaited");
    closing.await;
    let records = issuer.cx().store.audit().after(&AuditFilter::default(), 0, 10_000).await.expect("listed");
    assert!(records.iter().any(|record| record.reason.as_deref() == Some("PUT_BACK")), "{records:?}");
}
