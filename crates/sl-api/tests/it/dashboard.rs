//! The dashboard: signing in, pages, buttons.

use reqwest::{Method, Response, StatusCode, header};
use serde_json::json;
use sl_core::{
    catalog::SmartLink,
    delivery::{Attempt, DeliveryState, Destination, Progress},
    ids::PixelId,
    money::Cents,
    step::{LinkTotals, Step},
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::World;

pub(crate) async fn sign_in(world: &World, key: &str) -> Response {
    world.client.post(format!("{}/login", world.base)).body(format!("key={key}")).send().await.unwrap()
}

pub(crate) fn cookie(response: &Response) -> String {
    let header = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(header.contains("HttpOnly") && header.contains("SameSite=Strict"), "{header}");
    header.split(';').next().unwrap().to_owned()
}

pub(crate) async fn page(world: &World, path: &str, cookie: &str) -> (StatusCode, String) {
    let request = world.client.get(format!("{}{path}", world.base)).header(header::COOKIE, cookie);
    let response = request.send().await.unwrap();
    assert!(
        response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'")
    );
    (response.status(), response.text().await.unwrap())
}

async fn post(world: &World, path: &str, cookie: &str, form: String) -> StatusCode {
    let request = world.client.request(Method::POST, format!("{}{path}", world.base));
    request.header(header::COOKIE, cookie).body(form).send().await.unwrap().status()
}

fn csrf(html: &str) -> String {
    html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
pub(crate) async fn pages_send_strangers_to_the_sign_in_form() {
    let world = World::start().await;
    for path in ["/", "/deliveries", "/pool", "/dead-letters", "/links/01KZ4M8Q2T7V9W3X5Y6B1C0DEF"] {
        let response = world.client.get(format!("{}{path}", world.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(response.headers()[header::LOCATION], "/login");
    }
    assert_eq!(sign_in(&world, "slk_wrong").await.status(), StatusCode::UNAUTHORIZED);
    let too_long = sign_in(&world, &"k".repeat(2 << 20)).await;
    assert_eq!(too_long.status(), StatusCode::PAYLOAD_TOO_LARGE, "no fault of ours");
}

#[tokio::test]
async fn every_page_opens_with_an_api_key() {
    let world = World::start().await;
    let mut link = sample::smart_link(1, TEAM);
    link.name = "<b>bold</b>".to_owned();
    world.store.catalog.put_link(link).await.unwrap();
    let click = sample::click(1, sample::link_id(1), HOUR);
    world.store.ledger.open(0).await.unwrap();
    let step =
        Step { clicks: vec![click], dead_letters: vec![sample::dead_letter(1, HOUR)], ..sample::step(1) };
    world.store.ledger.apply(step).await.unwrap();
    let cookie = cookie(&sign_in(&world, &world.key).await);
    assert!(!cookie.contains("slk_"));
    for (path, expected) in [
        ("/".to_owned(), "&lt;b&gt;bold"),
        (format!("/links/{}", sample::link_id(1)), "l.instagram.com"),
        ("/deliveries".to_owned(), "Nothing here"),
        ("/pool".to_owned(), "acct_sample"),
        ("/dead-letters".to_owned(), "payload.amount: missing"),
    ] {
        let (status, html) = page(&world, &path, &cookie).await;
        assert_eq!(status, StatusCode::OK, "{path}: {html}");
        let expected = if expected == "l.instagram.com" { "Instagram" } else { expected };
        assert!(html.contains(expected), "{path}: {html}");
        assert!(!html.contains("<b>bold"), "{path}");
    }
    let (_, html) = page(&world, &format!("/links/{}", sample::link_id(1)), &cookie).await;
    assert!(html.contains("in no figure: 1<") && html.contains("<time datetime=\"20"), "{html}");
    let style = world.client.get(format!("{}/assets/style.css", world.base)).send().await.unwrap();
    assert_eq!(style.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
}

#[tokio::test]
async fn a_paused_link_is_marked_and_no_other() {
    let world = World::start().await;
    let paused = SmartLink { paused: true, ..sample::smart_link(1, TEAM) };
    world.store.catalog.put_link(paused).await.unwrap();
    world.store.catalog.put_link(sample::smart_link(2, TEAM)).await.unwrap();
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let (_, html) = page(&world, "/", &cookie).await;
    let row = |number| html.lines().find(|line| line.contains(&sample::link_id(number).to_string())).unwrap();
    assert!(row(1).contains("paused") && !row(2).contains("paused"), "{html}");
    for (number, is_marked) in [(1, true), (2, false)] {
        let (_, html) = page(&world, &format!("/links/{}", sample::link_id(number)), &cookie).await;
        assert_eq!(html.contains("paused"), is_marked, "{html}");
    }
}

#[tokio::test]
async fn a_button_works_only_with_the_forms_own_token() {
    let world = World::start().await;
    world.store.catalog.put_pixel(sample::pixel(1, TEAM)).await.unwrap();
    let job = sample::job(1, Destination::Pixel(PixelId(1)), HOUR);
    let id = job.id;
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: vec![job], ..sample::step(1) }).await.unwrap();
    let parked = Progress { state: DeliveryState::Parked, next_attempt_at: None, ..Progress::fresh(HOUR) };
    sl_store::suite::sample::record(&world.store, id, None, parked).await.unwrap();
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let (_, html) = page(&world, "/deliveries?state=parked", &cookie).await;
    let path = format!("/deliveries/{id}/replay");
    let state = async || world.store.deliveries.delivery(TEAM, id).await.unwrap().unwrap().progress.state;
    assert_eq!(post(&world, &path, &cookie, String::new()).await, StatusCode::BAD_REQUEST);
    assert_eq!(post(&world, &path, &cookie, "csrf=guess".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(state().await, DeliveryState::Parked);
    assert_eq!(post(&world, &path, &cookie, format!("csrf={}", csrf(&html))).await, StatusCode::SEE_OTHER);
    assert_eq!(state().await, DeliveryState::Waiting);
}

#[tokio::test]
async fn what_was_meant_for_a_deleted_destination_has_no_button_and_its_form_is_refused() {
    let world = World::start().await;
    let gone = sample::job(1, Destination::Pixel(PixelId(1)), HOUR);
    let there = sample::job(2, Destination::Pixel(PixelId(2)), HOUR);
    let ids = [gone.id, there.id];
    world.store.catalog.put_pixel(sample::pixel(2, TEAM)).await.unwrap();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: vec![gone, there], ..sample::step(1) }).await.unwrap();
    for id in ids {
        let parked =
            Progress { state: DeliveryState::Parked, next_attempt_at: None, ..Progress::fresh(HOUR) };
        sample::record(&world.store, id, None, parked).await.unwrap();
    }
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let (_, list) = page(&world, "/deliveries", &cookie).await;
    for (id, is_deleted) in [(ids[0], true), (ids[1], false)] {
        let (path, shown) = (format!("/deliveries/{id}/replay"), format!("/deliveries/{id}"));
        let (_, one) = page(&world, &shown, &cookie).await;
        for html in [&list, &one] {
            assert_eq!(html.contains(&format!("action=\"{path}\"")), !is_deleted, "{html}");
        }
        assert_eq!(one.contains("(deleted)"), is_deleted, "{one}");
    }
    let form = format!("csrf={}", csrf(&list));
    let path = format!("/deliveries/{}/replay", ids[0]);
    assert_eq!(post(&world, &path, &cookie, form).await, StatusCode::UNPROCESSABLE_ENTITY);
    let stored = world.store.deliveries.delivery(TEAM, ids[0]).await.unwrap().unwrap();
    assert_eq!(stored.progress.state, DeliveryState::Parked);
}

#[tokio::test]
async fn a_delivery_shows_its_attempts_and_who_had_it_sent_again() {
    let world = World::start().await;
    world.store.catalog.put_pixel(sample::pixel(1, TEAM)).await.unwrap();
    let jobs: Vec<_> = (1..=2).map(|n| sample::job(n, Destination::Pixel(PixelId(1)), HOUR)).collect();
    let (id, other) = (jobs[0].id, jobs[1].id);
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs, ..sample::step(1) }).await.unwrap();
    let attempt = Attempt {
        at: HOUR,
        millis: 81,
        status: Some(400),
        error_type: Some("http".to_owned()),
        message: Some("Purchase <b>without</b> value".to_owned()),
    };
    let parked = Progress { state: DeliveryState::Parked, next_attempt_at: None, ..Progress::fresh(HOUR) };
    sample::record(&world.store, id, Some(attempt), parked).await.unwrap();
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let shown = async |id| page(&world, &format!("/deliveries/{id}"), &cookie).await;
    let (status, html) = shown(id.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("Purchase &lt;b&gt;without") && html.contains("400 http"), "{html}");
    assert!(html.contains("Nobody asked for this one alone"), "{html}");
    assert!(page(&world, "/deliveries/replays", &cookie).await.1.contains("Nobody had anything"));
    let form = format!("csrf={}", csrf(&html));
    assert_eq!(post(&world, &format!("/deliveries/{id}/replay"), &cookie, form).await, StatusCode::SEE_OTHER);
    let again = json!({ "destination": "pixel:1", "states": ["parked"] });
    world.send("POST", "/api/x/deliveries/replay", again).await;
    let (_, html) = shown(id.to_string()).await;
    assert!(html.contains("<td>yes</td>") && html.contains("waiting"), "{html}");
    let (_, html) = shown(other.to_string()).await;
    assert!(html.contains("Nobody asked for this one alone"), "it was another one's: {html}");
    let (_, html) = page(&world, "/deliveries/replays", &cookie).await;
    assert!(html.contains(&format!("href=\"/deliveries/{id}\"")) && html.contains("pixel:1"), "{html}");
    let (_, html) = page(&world, "/deliveries", &cookie).await;
    assert!(html.contains(&format!("href=\"/deliveries/{id}\"")) && html.contains("/deliveries/replays"));
    for wrong in ["nothing", "01KZ4M8Q2T7V9W3X5Y6B1C0DEF"] {
        assert_eq!(shown(wrong.to_owned()).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_first_page_sums_all_links_and_says_how_many_it_shows() {
    let world = World::start().await;
    world.store.ledger.open(0).await.unwrap();
    let totals = LinkTotals { clicks: 3, subscribers: 2, revenue: Some(Cents(150)), ..LinkTotals::default() };
    let mut step = sample::step(1);
    for number in 1..=203 {
        world.store.catalog.put_link(sample::smart_link(number, TEAM)).await.unwrap();
        step.totals.push((sample::link_id(number), totals));
    }
    world.store.ledger.apply(step).await.unwrap();
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let (_, html) = page(&world, "/", &cookie).await;
    for said in [
        "<dd>609</dd>",
        "<dd>406</dd>",
        "<dd>$304.50</dd>",
        "<dd>$0.50</dd>",
        ">66.7 %<",
        "203 Smart Links",
        "the newest 200,",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert_eq!(html.matches("href=\"&#x2f;links").count() + html.matches("href=\"/links/").count(), 200);
}

#[tokio::test]
async fn the_next_page_of_a_filtered_list_is_filtered_too() {
    let world = World::start().await;
    let to = |n: u64| Destination::Pixel(PixelId(n % 2 + 1));
    let jobs: Vec<_> = (1..=6).map(|n| sample::job(n, to(n), HOUR)).collect();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs, ..sample::step(1) }).await.unwrap();
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let mut path = "/deliveries?state=waiting&destination=pixel%3A1&limit=1".to_owned();
    for pages_left in [2, 1, 0] {
        let (_, html) = page(&world, &path, &cookie).await;
        assert!(html.contains("<td>pixel 1<br>") && !html.contains("<td>pixel 2<br>"), "{html}");
        let older = html.split('"').find(|text| text.contains("cursor="));
        assert_eq!(older.is_some(), pages_left > 0, "{path}: {html}");
        path = older.map(|older| older.replace("&amp;", "&").replace("&#x2f;", "/")).unwrap_or_default();
    }
}

#[tokio::test]
async fn a_session_ends_with_its_day_and_a_viewer_gets_no_buttons() {
    let world = World::start().await;
    let viewer = world.key_with(&["smart-links.view"]).await;
    let viewer = cookie(&sign_in(&world, &viewer).await);
    assert_eq!(page(&world, "/", &viewer).await.0, StatusCode::OK);
    let (status, html) = page(&world, "/deliveries", &viewer).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(html.contains("postbacks.view"));
    world.clock.advance(std::time::Duration::from_secs(12 * 3600));
    let request = world.client.get(format!("{}/", world.base)).header(header::COOKIE, &viewer);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::SEE_OTHER);
}
