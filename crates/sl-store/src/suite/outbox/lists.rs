//! Deliveries as people list them.

use sl_core::{delivery::DeliveryState, ids::ClickId};

use super::{
    super::{
        Backend,
        sample::{self, HOUR, STRANGER, TEAM},
    },
    PIXEL, POSTBACK, id, ids, progress, with_jobs,
};

use crate::outbox::DeliveryFilter;

/// Lists are newest first; their pages cover every delivery of the filter once.
pub async fn pages_cover_every_delivery_once(backend: &dyn Backend) {
    let jobs: Vec<_> = (0..40).map(|n| (n, if n % 4 == 0 { POSTBACK } else { PIXEL }, n / 3)).collect();
    let store = with_jobs(backend, &jobs).await;
    for &(number, _, seconds) in jobs.iter().filter(|(number, ..)| number % 3 == 0) {
        sample::record(&store, id(number, seconds), None, progress(DeliveryState::Parked, None))
            .await
            .unwrap();
    }
    let parked = Some(DeliveryState::Parked);
    for (state, destination) in [(None, None), (parked, None), (None, Some(PIXEL)), (parked, Some(POSTBACK))]
    {
        let mut filter = DeliveryFilter { state, destination, limit: 7, after: None };
        let mut all = Vec::new();
        loop {
            let page = store.deliveries.list(TEAM, filter.clone()).await.unwrap();
            all.extend(ids(&page));
            if page.len() < filter.limit {
                break;
            }
            filter.after = all.last().copied();
        }
        let expected: Vec<_> = jobs
            .iter()
            .rev()
            .filter(|(number, to, _)| {
                (state.is_none() || number % 3 == 0) && destination.is_none_or(|wanted| wanted == *to)
            })
            .map(|&(number, _, seconds)| id(number, seconds))
            .collect();
        assert_eq!(all, expected, "{state:?} {destination:?}");
        let nothing = DeliveryFilter { limit: 0, after: None, ..filter };
        assert_eq!(store.deliveries.list(TEAM, nothing).await.unwrap(), []);
    }
}

/// A team sees its own deliveries only.
pub async fn deliveries_of_another_team_are_not_there(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1), (4, PIXEL, 2)]).await;
    let deliveries = &store.deliveries;
    let click = ClickId::from_bytes(sample::ulid(HOUR, 1));
    let everything = DeliveryFilter { limit: 99, ..DeliveryFilter::default() };
    assert_eq!(deliveries.list(TEAM, everything.clone()).await.unwrap().len(), 2);
    assert_eq!(ids(&deliveries.of_click(TEAM, click).await.unwrap()), [id(1, 1), id(4, 2)]);
    assert!(deliveries.delivery(TEAM, id(1, 1)).await.unwrap().is_some());
    assert_eq!(deliveries.list(STRANGER, everything.clone()).await.unwrap(), []);
    assert_eq!(deliveries.of_click(STRANGER, click).await.unwrap(), []);
    assert_eq!(deliveries.delivery(STRANGER, id(1, 1)).await.unwrap(), None);
    let with_cursor = DeliveryFilter { after: Some(id(4, 2)), ..everything };
    assert_eq!(deliveries.list(STRANGER, with_cursor).await.unwrap(), []);
}
