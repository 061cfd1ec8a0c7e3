//! Introspectors that may still answer.

use std::time::Duration;

use tessera_ledger::ReplicaId;
use tessera_store::HolderRecord;
use tessera_types::Timestamp;

use crate::harness::{Fixture, on_both};

on_both!(ready: a_holder_is_kept_once_and_forgotten);

fn holder(id: u8) -> HolderRecord {
    HolderRecord {
        replica: ReplicaId([id; 16]),
        name: format!("host-{id}"),
        max_staleness: Duration::from_millis(5500),
        joined: Timestamp(7),
    }
}

async fn a_holder_is_kept_once_and_forgotten(f: Fixture) {
    let holders = f.db.holders();
    holders.keep(&holder(1)).await.expect("kept");
    holders.keep(&holder(0)).await.expect("kept");
    let again = HolderRecord { joined: Timestamp(9), max_staleness: Duration::from_secs(60), ..holder(1) };
    holders.keep(&again).await.expect("kept");
    let mut all = holders.list().await.expect("listed");
    all.sort_by_key(|holder| holder.replica);
    assert_eq!(all, [holder(0), again]);
    holders.forget(ReplicaId([0; 16])).await.expect("forgotten");
    holders.forget(ReplicaId([9; 16])).await.expect("was not there");
    assert_eq!(holders.list().await.expect("listed").len(), 1);
}
