//! Lists and pages that the platform does not give, or gives in another shape.

use super::*;

#[tokio::test]
async fn a_link_whose_subscribers_cannot_be_read_keeps_no_other_from_being_matched() {
    // Refused, not found, and an answer that can't be used.
    for status in [400, 404, 200] {
        let world = World::start().await;
        let links = stocked(&world, 3).await;
        give(&world, 1, &links).await;
        let list = format!("/{}/subscribers", links[0].number);
        world.upstream.refuse(&list, status);
        world.upstream.subscribe("tracking-links", links[0].number, 4, None);
        world.upstream.subscribe("tracking-links", links[2].number, 5, None);
        world.clock.advance(Duration::from_secs(61));
        let role = start(&world);
        until("the look at the rest of the page", async || looked(&world, links[2]).await).await;
        assert!(looked(&world, links[1]).await && !looked(&world, links[0]).await);
        let fans = || world.tape.seen().iter().map(|seen| seen.fan.to_string()).collect::<Vec<_>>();
        assert_eq!((fans(), world.upstream.count(&list)), (vec!["5".to_owned()], 1));
        // It is tried again by itself, and found once its list can be read.
        world.clock.advance(Duration::from_secs(30));
        until("another reading", async || world.upstream.count(&list) == 2).await;
        world.upstream.change(|rows| rows.refusals.clear());
        let passing = || world.clock.advance(Duration::from_secs(5));
        // Its wait begins when the refusal has come, which may be after this.
        until("the subscriber", async || {
            passing();
            fans() == ["5", "4"]
        })
        .await;
        until("the look is written down", async || looked(&world, links[0]).await).await;
        world.stop.cancel();
        role.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_links_that_is_refused_keeps_no_other_from_being_matched() {
    let world = World::start().await;
    let links = stocked(&world, 250).await;
    give(&world, 1, &links).await;
    world.upstream.refuse("/tracking-links?limit=100&offset=100&", 400);
    for (fan, link) in [(1, 50), (2, 150), (3, 220)] {
        world.upstream.subscribe("tracking-links", links[link].number, fan, None);
    }
    world.clock.advance(Duration::from_secs(61));
    let role = start(&world);
    let fans = || {
        let mut fans: Vec<_> = world.tape.seen().iter().map(|seen| seen.fan.to_string()).collect();
        fans.sort();
        fans.join(" ")
    };
    until("the looks at the other pages", async || fans() == "1 3").await;
    world.upstream.change(|rows| rows.refusals.clear());
    world.clock.advance(Duration::from_secs(60));
    until("the look at the page", async || fans() == "1 2 3").await;
    world.stop.cancel();
    role.await.unwrap();
}

#[tokio::test]
async fn what_keeps_every_list_from_being_read_ends_the_look() {
    for status in [401, 403, 503] {
        let world = World::start().await;
        let links = stocked(&world, 3).await;
        give(&world, 1, &links).await;
        world.upstream.refuse("/subscribers", status);
        for link in &links {
            world.upstream.subscribe("tracking-links", link.number, link.number, None);
        }
        world.clock.advance(Duration::from_secs(61));
        let role = start(&world);
        until("a look", async || world.upstream.count("/subscribers") == 1).await;
        world.clock.advance(Duration::from_secs(1));
        until("another one", async || world.upstream.count("/subscribers") == 2).await;
        let first = world.upstream.count(&format!("/{}/subscribers", links[0].number));
        assert_eq!(first, 2, "{status}: the other lists are not even tried");
        world.upstream.change(|rows| rows.refusals.clear());
        world.clock.advance(Duration::from_secs(1));
        until("all are told", async || world.tape.seen().len() == 3).await;
        world.stop.cancel();
        role.await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_page_ends_a_list_of_subscribers_whatever_it_promises() {
    let world = World::start().await;
    let links = stocked(&world, 1).await;
    give(&world, 1, &links).await;
    world.upstream.change(|rows| rows.endless = true);
    world.upstream.subscribe("tracking-links", links[0].number, 5, None);
    world.clock.advance(Duration::from_secs(61));
    let role = start(&world);
    until("the look is written down", async || looked(&world, links[0]).await).await;
    assert_eq!((world.tape.seen().len(), world.upstream.count("/subscribers")), (1, 2));
    world.stop.cancel();
    role.await.unwrap();
}
