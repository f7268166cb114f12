//! The store as its user sees it: what was told durable is there after any end.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use clock_types::Date;
use gateway_role::{REMEMBERED, Record, Recovered};
use store::{Options, Outcome, Store, StoreError};

use crate::support::{Place, accepted, commit, key, message};

#[test]
fn what_was_accepted_comes_back_oldest_first() {
    let place = Place::new();
    let (store, empty) = Store::open(&place.file()).unwrap();
    commit(&store, vec![accepted("b"), accepted("a")]).expect_stored();
    commit(&store, vec![accepted("c"), Record::Failed { key: key("a"), report: "<gone/>".into() }])
        .expect_stored();
    drop(store);

    let (_store, recovered) = Store::open(&place.file()).unwrap();

    assert_eq!(empty, Recovered::default());
    let mut failed = message("a");
    failed.report = Some("<gone/>".into());
    assert_eq!(recovered.unsettled, [message("b"), failed, message("c")]);
}

#[test]
fn a_settled_message_is_gone_and_its_key_remembered_for_a_while() {
    let place = Place::new();
    let (store, _) = Store::open(&place.file()).unwrap();
    let start = Date::from_unix_millis(1_700_000_000_000);
    let settled = |name: &str, after| Record::Settled { key: key(name), date: start.plus(after) };
    commit(&store, vec![accepted("a"), accepted("b")]).expect_stored();
    commit(&store, vec![settled("a", Duration::ZERO)]).expect_stored();

    commit(&store, vec![settled("b", REMEMBERED + Duration::from_millis(1))]).expect_stored();
    drop(store);

    let (_store, recovered) = Store::open(&place.file()).unwrap();
    assert_eq!(recovered.unsettled, []);
    let dates: Vec<_> = recovered.settled.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(dates, [key("b")]);
}

#[test]
fn the_same_message_accepted_twice_is_one() {
    let place = Place::new();
    let (store, _) = Store::open(&place.file()).unwrap();

    commit(&store, vec![accepted("a"), accepted("a")]).expect_stored();
    drop(store);

    let (_store, recovered) = Store::open(&place.file()).unwrap();
    assert_eq!(recovered.unsettled, [message("a")]);
}

#[test]
fn batches_are_told_in_the_order_they_came() {
    let place = Place::new();
    let (store, _) = Store::open(&place.file()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();

    for number in 0..1000 {
        let tell = tell.clone();
        store.submit(vec![accepted(&number.to_string())], move |outcome| {
            tell.send((number, outcome)).unwrap();
        });
    }
    drop(store);

    let told: Vec<_> = told.try_iter().collect();
    let expected: Vec<_> = (0..1000).map(|number| (number, Outcome::Stored)).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_full_disk_refuses_new_messages_and_lets_old_ones_settle() {
    let place = Place::new();
    let (store, _) = Store::open_with(&place.file(), Options { pages_max: Some(40) }).unwrap();
    let large = |name: &str| {
        let mut message = message(name);
        message.stanza = "x".repeat(16_000);
        Record::Accepted(Box::new(message))
    };
    let mut kept = Vec::new();
    let refused = loop {
        let name = kept.len().to_string();
        match commit(&store, vec![large(&name)]).0 {
            Outcome::Stored => kept.push(name),
            outcome => break outcome,
        }
        assert!(kept.len() < 40, "forty pages cannot hold all that");
    };
    let settled = Record::Settled { key: key(&kept[0]), date: Date::from_unix_millis(0) };

    assert_eq!(refused, Outcome::Refused { reason: "disk full".into() });
    commit(&store, vec![settled]).expect_stored();
    commit(&store, vec![large("again")]).expect_stored();
}

#[test]
fn a_batch_too_large_for_the_disk_does_not_take_others_with_it() {
    let place = Place::new();
    let (store, _) = Store::open_with(&place.file(), Options { pages_max: Some(40) }).unwrap();
    let mut huge = message("huge");
    huge.stanza = "x".repeat(400_000);
    let (tell, told) = std::sync::mpsc::channel();
    let submit = |records| {
        let tell = tell.clone();
        store.submit(records, move |outcome| tell.send(outcome).unwrap());
    };

    submit(vec![accepted("before")]);
    submit(vec![Record::Accepted(Box::new(huge))]);
    submit(vec![accepted("after")]);
    drop(store);

    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told, [Outcome::Stored, Outcome::Refused { reason: "disk full".into() }, Outcome::Stored]);
}

#[test]
fn only_its_owner_can_read_the_file() {
    let place = Place::new();
    std::fs::write(place.file(), "").unwrap();
    std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o644)).unwrap();

    let (store, _) = Store::open(&place.file()).unwrap();
    commit(&store, vec![accepted("a")]).expect_stored();

    for entry in std::fs::read_dir(place.directory()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let place = Place::new();
    let (_store, _) = Store::open(&place.file()).unwrap();

    let second = Store::open(&place.file()).unwrap_err();

    assert_eq!(second, StoreError::InUse { path: place.file() });
}

#[test]
fn a_file_of_something_else_is_refused_and_left_as_it_was() {
    let place = Place::new();
    let other = "this is a text and no database, long enough to have a header of its own ".repeat(20);
    std::fs::write(place.file(), &other).unwrap();

    let refused = Store::open(&place.file()).unwrap_err();

    assert_eq!(refused, StoreError::NotAStore { path: place.file() });
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), other);
}

#[test]
fn a_damaged_file_is_explained() {
    let place = Place::new();
    let (store, _) = Store::open(&place.file()).unwrap();
    for number in 0..500 {
        commit(&store, vec![accepted(&number.to_string())]).expect_stored();
    }
    drop(store);
    let mut octets = std::fs::read(place.file()).unwrap();
    let middle = octets.len() / 2;
    octets[middle..middle + 4096].fill(0x5a);
    std::fs::write(place.file(), octets).unwrap();

    let refused = Store::open(&place.file()).unwrap_err();

    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
    assert!(refused.to_string().contains(".recover"), "{refused}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new();

    let refused = Store::open(&place.directory().join("none/gateway.db")).unwrap_err();

    assert!(refused.to_string().contains("none/gateway.db cannot be opened"), "{refused}");
}

#[test]
fn a_store_of_each_earlier_schema_opens_with_what_it_held() {
    for (schema, dump) in SCHEMAS {
        let place = Place::new();
        rusqlite::Connection::open(place.file()).unwrap().execute_batch(dump).unwrap();

        let (_store, recovered) = Store::open(&place.file()).unwrap();

        assert_eq!(recovered.unsettled, [message("old")], "schema {schema}");
        assert_eq!(recovered.settled, [(key("older"), Date::from_unix_millis(1_700_000_000_000))]);
    }
}

#[test]
fn a_store_of_a_newer_schema_is_refused_clearly() {
    let place = Place::new();
    drop(Store::open(&place.file()).unwrap());
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    connection.execute_batch("INSERT INTO schema_version (version) VALUES (999)").unwrap();
    drop(connection);

    let refused = Store::open(&place.file()).unwrap_err();

    assert!(refused.to_string().contains("newer gangway (schema 999, this one knows 4)"), "{refused}");
}

/// What each released schema looked like, with a message and a settled key in it.
const SCHEMAS: [(u32, &str); 1] = [(1, include_str!("schemas/1.sql"))];
