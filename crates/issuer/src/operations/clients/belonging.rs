//! Whose a client is: its organization and its owner.
//!
//! A client whose organization or owner is disabled or deleted is refused as a disabled one is. That is looked up where it is used,
//! and told to replicas as part of the client's state. Whoever disables or deletes the one or the other raises the watermark of every
//! client concerned in the same transaction; enabling again revives nothing.

use std::collections::BTreeSet;

use tessera_ledger::event::{ClientState, Event, Subject};
use tessera_store::{Client, ClientFilter, Clients, Enabled, StoreError, Transaction, User};
use tessera_types::{ClientId, OrganizationId, UserId};

use super::{AdminError, DraftError};

/// How many clients are read at a time.
const PAGE: u64 = 500;

/// Whether a client may be used: it is enabled, and so are its organization and its owner, where it has them. One query at most.
pub(crate) async fn is_usable(clients: &Clients<'_>, client: &Client) -> Result<bool, StoreError> {
    Ok(usable(client, &enabled_of(clients, std::slice::from_ref(client)).await?))
}

/// Which of the organizations and owners of these clients are enabled.
async fn enabled_of(clients: &Clients<'_>, of: &[Client]) -> Result<Enabled, StoreError> {
    let organizations: BTreeSet<_> = of.iter().filter_map(|client| client.organization).collect();
    let owners: BTreeSet<_> = of.iter().filter_map(|client| client.owner).collect();
    let (organizations, owners): (Vec<_>, Vec<_>) = (organizations.into_iter().collect(), owners.into_iter().collect());
    clients.enabled_among(&organizations, &owners).await
}

fn usable(client: &Client, enabled: &Enabled) -> bool {
    client.enabled
        && client.organization.is_none_or(|id| enabled.organization(id))
        && client.owner.is_none_or(|id| enabled.user(id))
}

/// Organization and owner must be there, and the owner a member of the organization, or of a global one.
pub(super) async fn check(tx: &Transaction, client: &Client) -> Result<(), AdminError> {
    if let Some(owner) = client.owner
        && tx.users().find(owner).await?.is_none()
    {
        return Err(DraftError::UnknownOwner.into());
    }
    let Some(id) = client.organization else { return Ok(()) };
    let organizations = tx.organizations();
    if organizations.find(id).await?.is_none() {
        return Err(DraftError::UnknownOrganization.into());
    }
    let Some(owner) = client.owner else { return Ok(()) };
    if organizations.is_member(id, owner).await? || organizations.in_a_global_one(owner).await? {
        Ok(())
    } else {
        Err(DraftError::OwnerNotOfOrganization.into())
    }
}

/// A client's owner, with the name of its organization, where it has them.
pub(super) async fn owner(tx: &Transaction, client: &Client) -> Result<Option<(User, Option<String>)>, StoreError> {
    let Some(owner) = client.owner else { return Ok(None) };
    let Some(owner) = tx.users().find(owner).await? else { return Ok(None) };
    let organization = match client.organization {
        Some(id) => tx.organizations().find(id).await?.map(|organization| organization.name),
        None => None,
    };
    Ok(Some((owner, organization)))
}

/// The event that tells replicas a client's state, as the transaction has it.
pub(in crate::operations) async fn changed_in(tx: &Transaction, client: &Client) -> Result<Event, StoreError> {
    Ok(changed(client, is_usable(&tx.clients(), client).await?))
}

/// The event that tells replicas a client's state.
pub(in crate::operations) fn changed(client: &Client, usable: bool) -> Event {
    let state = ClientState {
        enabled: usable,
        audiences: client.audiences.clone(),
        resources: client.resources.clone(),
        owner: client.owner,
    };
    Event::ClientChanged { client: client.id.clone(), state: Some(state) }
}

/// Whose clients.
#[derive(Clone, Copy, Debug)]
pub(in crate::operations) enum Belonging {
    /// An organization's.
    Organization(OrganizationId),
    /// A user's.
    Owner(UserId),
}

impl Belonging {
    fn filter(self) -> ClientFilter {
        match self {
            Self::Organization(id) => ClientFilter { organization: Some(id), ..ClientFilter::default() },
            Self::Owner(id) => ClientFilter { owner: Some(id), ..ClientFilter::default() },
        }
    }
}

/// Tells replicas the state of every client concerned. Where something was taken away, their tokens are inactive from now on.
pub(in crate::operations) async fn tell_all(
    tx: &mut Transaction,
    of: Belonging,
    taken_away: bool,
) -> Result<(), AdminError> {
    let mut after = None;
    // Page by page, with one look-up for a page: nobody else may append meanwhile.
    while let Some(page) = page(tx, of, after.as_ref()).await? {
        let enabled = enabled_of(&tx.clients(), &page).await?;
        for client in &page {
            if taken_away {
                tx.record(Event::WatermarkRaised(Subject::Client(client.id.clone())));
            }
            tx.record(changed(client, usable(client, &enabled)));
        }
        after = page.into_iter().next_back().map(|client| client.id);
    }
    Ok(())
}

/// Disables every client concerned, for good: whom they belonged to is gone. Their tokens are inactive from now on.
pub(in crate::operations) async fn disable_all(
    tx: &mut Transaction,
    of: Belonging,
    now: tessera_types::Timestamp,
) -> Result<(), AdminError> {
    tx.clients().disable_all(&of.filter(), now).await?;
    let mut after = None;
    while let Some(page) = page(tx, of, after.as_ref()).await? {
        for client in &page {
            tx.record(Event::WatermarkRaised(Subject::Client(client.id.clone())));
            tx.record(changed(client, false));
        }
        after = page.into_iter().next_back().map(|client| client.id);
    }
    Ok(())
}

/// The next clients concerned; none where there are no more.
async fn page(tx: &Transaction, of: Belonging, after: Option<&ClientId>) -> Result<Option<Vec<Client>>, AdminError> {
    let page = tx.clients().list(&of.filter(), after, PAGE).await?;
    Ok(Some(page).filter(|page| !page.is_empty()))
}
