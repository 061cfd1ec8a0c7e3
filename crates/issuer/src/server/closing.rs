//! What an issuer still has to write after its last call.

use tessera_types::error::chain;
use tokio::task::JoinHandle;

use crate::context::Context;

/// Writes what is noted in memory. `writers` are the tasks that did so until now, and were told to end: what one of them is just
/// writing is in its hands alone, and comes back to be written here where the database refuses it.
pub(crate) async fn write_the_rest(cx: &Context, writers: Vec<JoinHandle<()>>) {
    for writer in writers {
        // A panic was reported where it happened.
        let _ = writer.await;
    }
    cx.write_attempts(true).await;
    if let Err(error) = cx.last_used.write(&cx.store).await {
        tracing::debug!(error = %chain(&error), "when clients were used last is not written");
    }
}
