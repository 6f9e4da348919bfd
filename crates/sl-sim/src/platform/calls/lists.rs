//! User lists (contract E.4): ids are texts in the list and numbers where one is made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::reply::{Reply, invalid, refused},
    Call,
    ask::{Body, Query},
};

pub(super) fn list(call: &mut Call<'_>) -> Result<Reply, Reply> {
    let query = Query::of(call.request);
    let (limit, offset) = (query.limit(Some(10), 50)?, query.offset(Some(0))?);
    let lists = &call.world.account(call.account)?.lists;
    let page: Vec<Value> = lists
        .iter()
        .skip(offset)
        .take(limit)
        .map(|list| {
            json!({
                "id": list.id.to_string(), "name": list.name, "type": "custom",
                "usersCount": list.fans.len(), "canAddUsers": true,
            })
        })
        .collect();
    Ok(Reply::Data(Value::Array(page)))
}

pub(super) fn make(call: &mut Call<'_>) -> Result<Reply, Reply> {
    let body = Body::of(call.request)?;
    let name = body.text("name", 64)?.ok_or_else(|| invalid("name", "is required"))?;
    let list = call.world.make_list(call.account, name)?;
    Ok(Reply::Data(json!({"id": list.id, "name": list.name, "canAddUsers": true})))
}

/// One bad id fails the batch with 400, unless `skip_invalid` asks for the other shape.
pub(super) fn add(call: &mut Call<'_>, list: &str) -> Result<Reply, Reply> {
    let body = Body::of(call.request)?;
    let ids = body.texts("ids")?;
    if ids.is_empty() {
        return Err(invalid("ids", "is required"));
    }
    let skip_invalid = body.flag("skip_invalid")?;
    let account = call.world.account(call.account)?;
    let (mut added, mut failed) = (Vec::new(), BTreeMap::new());
    for id in ids {
        match id.parse::<u64>().ok().filter(|fan| account.fans.contains_key(fan)) {
            Some(fan) => added.push(fan),
            None => {
                failed.insert(id, "User not found");
            }
        }
    }
    let found = list.parse::<u64>().ok();
    let found = account.lists.iter_mut().find(|one| Some(one.id) == found);
    let found = found.ok_or_else(|| refused(400, "The list does not exist."))?;
    if !skip_invalid && !failed.is_empty() {
        return Err(refused(400, "One of the users can't be added."));
    }
    found.fans.extend(&added);
    Ok(Reply::Data(match skip_invalid {
        true => json!({"added": added, "failed": failed}),
        false => json!({list: added}),
    }))
}
