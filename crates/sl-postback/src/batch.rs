//! Several events in one request: each as it is stored, to the byte, one after the other in the list that the platform
//! names (decisions 56).

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use sl_core::{batch::Batching, delivery::RenderedRequest};

/// Everything of a request but its event. Events may be in one request only when this is the same: address, headers, and
/// whatever stands beside the list, such as a test event code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Around<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(String, String)],
    beside: Vec<(String, &'a str)>,
}

/// One request for these events; `None` when they can't be in one: each must hold one event, and they may differ in nothing
/// else.
#[must_use]
pub fn join(requests: &[RenderedRequest], batching: Batching) -> Option<RenderedRequest> {
    let mut cut = requests.iter().map(|request| cut(request, batching.list));
    let (around, first) = cut.next()??;
    let mut events = vec![first];
    for one in cut {
        let (other, event) = one?;
        (other == around).then(|| events.push(event))?;
    }
    let first = requests.first().filter(|_| events.len() <= batching.most)?;
    let mut members: BTreeMap<&str, String> =
        around.beside.iter().map(|(name, value)| (name.as_str(), (*value).to_owned())).collect();
    members.insert(batching.list, format!("[{}]", events.join(",")));
    let members = members.iter().map(|(name, value)| format!("{}:{value}", serde_json::Value::from(*name)));
    let body = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    Some(RenderedRequest { body: body.into_bytes(), ..first.clone() })
}

/// Shares members out to requests: those that may go together are together, in their order; whatever is of another shape
/// goes alone.
pub(crate) fn alike<T>(
    members: Vec<T>,
    batching: Option<Batching>,
    request: impl Fn(&T) -> &RenderedRequest,
) -> Vec<Vec<T>> {
    let Some(Batching { list, .. }) = batching.filter(|_| members.len() > 1) else {
        return members.into_iter().map(|member| vec![member]).collect();
    };
    // Which of the requests each member is in; `None`: in one of its own.
    let placed: Vec<Option<usize>> = {
        let mut places = HashMap::new();
        let mut placed = Vec::with_capacity(members.len());
        for member in &members {
            let next = places.len();
            let around = cut(request(member), list).map(|(around, _)| around);
            placed.push(around.map(|around| *places.entry(around).or_insert(next)));
        }
        placed
    };
    let mut together: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (place, member) in placed.into_iter().zip(members) {
        match place {
            None => alone.push(vec![member]),
            Some(place) => together.entry(place).or_default().push(member),
        }
    }
    together.into_values().chain(alone).collect()
}

/// The event of a request, and everything else.
fn cut<'a>(request: &'a RenderedRequest, list: &str) -> Option<(Around<'a>, &'a str)> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(&request.body).ok()?;
    let events: Vec<&RawValue> = serde_json::from_str(members.remove(list)?.get()).ok()?;
    let [event] = events.as_slice() else { return None };
    let around = Around {
        method: &request.method,
        url: &request.url,
        headers: &request.headers,
        beside: members.into_iter().map(|(name, value)| (name, value.get())).collect(),
    };
    Some((around, event.get()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const DATA: Batching = Batching { most: 1_000, list: "data" };

    fn request(url: &str, body: &Value) -> RenderedRequest {
        RenderedRequest {
            url: url.to_owned(),
            body: body.to_string().into_bytes(),
            ..RenderedRequest::default()
        }
    }

    #[test]
    fn what_differs_in_more_than_the_event_is_in_another_request() {
        let with = |name: &str, value: Value| json!({ "data": [{ "id": 1 }], name: value });
        let plain = request("https://a/1", &json!({ "data": [{ "id": 1 }] }));
        let coded = request("https://a/1", &with("test_event_code", json!("T1")));
        let other_code = request("https://a/1", &with("test_event_code", json!("T2")));
        let other_pixel = request("https://a/2", &json!({ "data": [{ "id": 1 }] }));
        let headed = RenderedRequest { headers: vec![("A".to_owned(), "b".to_owned())], ..plain.clone() };
        let mut all = vec![plain.clone(), coded, other_code, other_pixel, headed];
        for pair in all.windows(2) {
            assert_eq!(join(pair, DATA), None, "{pair:?}");
        }
        // Of another shape: no list, none or two in it, no JSON.
        for body in
            [json!({}), json!({ "data": [] }), json!({ "data": [1, 2] }), json!({ "data": 1 }), json!([])]
        {
            let odd = request("https://a/1", &body);
            assert_eq!(join(std::slice::from_ref(&odd), DATA), None, "{body}");
            all.push(odd);
        }
        let doubled = all.iter().chain(&all).cloned().collect::<Vec<_>>();
        let shared = alike(doubled, Some(DATA), |request| request);
        let sizes: Vec<usize> = shared.iter().map(Vec::len).collect();
        assert_eq!(sizes, [[2; 5].as_slice(), &[1; 10]].concat());
        assert!(shared.iter().take(5).all(|pair| join(pair, DATA).is_some()));
        assert_eq!(alike(all, None, |request| request).len(), 10);
        assert_eq!(join(&[plain.clone(), plain], Batching { most: 1, ..DATA }), None, "more than it takes");
        assert_eq!(join(&[], DATA), None);
    }

    /// Whatever an event may hold: texts with brackets and quotes, numbers as they were written, members called like the list.
    fn event() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<f64>().prop_map(|number| json!(number).to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            ".*".prop_map(|text: String| json!(text).to_string()),
            Just("1.10".to_owned()),
            Just("\"],\\\"data\\\":[{\"".to_owned()),
        ];
        prop::collection::vec(leaf, 1..5).prop_map(|leaves| {
            let members = leaves.iter().enumerate().map(|(nth, leaf)| format!("\"m{nth}\":[{leaf}]"));
            format!("{{\"data\":[1,2],{}}}", members.collect::<Vec<_>>().join(","))
        })
    }

    proptest! {
        #[test]
        fn every_event_is_in_the_request_as_it_is_stored_to_the_byte(
            events in prop::collection::vec(event(), 1..20),
            text in ".*",
        ) {
            let tail = json!(text).to_string();
            let stored = |event: &String| RenderedRequest {
                body: format!("{{\"data\":[{event}],\"test_event_code\":{tail}}}").into_bytes(),
                ..RenderedRequest::default()
            };
            let requests: Vec<_> = events.iter().map(stored).collect();
            let joined = join(&requests, DATA).unwrap();
            let want = format!("{{\"data\":[{}],\"test_event_code\":{tail}}}", events.join(","));
            prop_assert_eq!(String::from_utf8(joined.body).unwrap(), want);
            // One alone is the request as it would have been without this.
            prop_assert_eq!(join(&requests[..1], DATA).unwrap(), requests[0].clone());
        }
    }
}
