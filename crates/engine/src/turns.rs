//! Who may hold a thread while a guest runs on it: so many in all, so many of a tenant, and none waits for long because of another.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::EngineError;

/// The places of a host. Half of them are for tenants that have none yet, so that those who fill all they get keep nobody else waiting.
pub(crate) struct Places {
    first: Arc<Semaphore>,
    further: Arc<Semaphore>,
}

impl Places {
    /// At least two.
    pub fn new(max: usize) -> Self {
        let max = max.clamp(2, Semaphore::MAX_PERMITS);
        Self { first: Arc::new(Semaphore::new(max / 2)), further: Arc::new(Semaphore::new(max - max / 2)) }
    }
}

/// What one tenant may take of the places.
pub(crate) struct Turns {
    own: Arc<Semaphore>,
    /// Held by the one turn that is on a place for the first of a tenant.
    first: Arc<Semaphore>,
    places: Arc<Places>,
}

/// A place on a thread, given back when dropped.
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _first: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub fn new(max: usize, places: Arc<Places>) -> Self {
        Self { own: Arc::new(Semaphore::new(max)), first: Arc::new(Semaphore::new(1)), places }
    }

    /// Waits for a place: for the first of the tenant among all tenants that have none, for a further one among all that want more. Whoever came
    /// first is served first.
    pub async fn take(&self) -> Result<Turn, EngineError> {
        let own = acquire(&self.own).await?;
        let first = async { Ok((acquire(&self.first).await?, acquire(&self.places.first).await?)) };
        tokio::select! {
            biased;
            taken = first => taken.map(|(first, place)| Turn { _own: own, _first: Some(first), _place: place }),
            place = acquire(&self.places.further) => place.map(|place| Turn { _own: own, _first: None, _place: place }),
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, EngineError> {
    Arc::clone(semaphore).acquire_owned().await.map_err(|_closed| EngineError::Stopping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// `None` where it would have to wait.
    async fn try_take(turns: &Turns) -> Option<Turn> {
        tokio::time::timeout(Duration::ZERO, turns.take()).await.ok().map(Result::unwrap)
    }

    async fn take_all(turns: &Turns) -> Vec<Turn> {
        let mut taken = Vec::new();
        while let Some(turn) = try_take(turns).await {
            taken.push(turn);
        }
        taken
    }

    #[tokio::test]
    async fn who_takes_all_there_is_leaves_the_others_a_place_each() {
        let places = Arc::new(Places::new(6));
        let [greedy, late, later, last] = std::array::from_fn(|_| Turns::new(32, Arc::clone(&places)));
        let taken = take_all(&greedy).await;
        assert_eq!(taken.len(), 1 + 3);
        let (first, second) = (take_all(&late).await, take_all(&later).await);
        assert_eq!((first.len(), second.len(), take_all(&last).await.len()), (1, 1, 0));
        drop(first);
        assert_eq!((take_all(&last).await.len(), take_all(&greedy).await.len()), (1, 0));
        drop(taken);
        assert_eq!(take_all(&late).await.len(), 1 + 3);
    }

    #[tokio::test]
    async fn a_tenant_has_no_more_than_its_own() {
        let turns = Turns::new(3, Arc::new(Places::new(100)));
        assert_eq!(take_all(&turns).await.len(), 3);
    }

    #[tokio::test]
    async fn who_waits_comes_before_who_asks_again() {
        let places = Arc::new(Places::new(2));
        let [one, other] = std::array::from_fn(|_| Turns::new(32, Arc::clone(&places)));
        let mut taken = take_all(&one).await;
        let waiting = tokio::spawn(async move { other.take().await.map(drop) });
        tokio::task::yield_now().await;
        let again = tokio::spawn(async move { one.take().await });
        tokio::task::yield_now().await;
        taken.pop();
        waiting.await.unwrap().unwrap();
        drop(again.await.unwrap().unwrap());
    }
}
