//! Who may see whom, over a restart.

use std::sync::Arc;

use clock_types::Date;
use gateway_role::{Authorisation, KeptDialog, KeptWatch, Pair, Record, WatchDirection, WatchRecord};
use store::Store;

use crate::support::{Place, commit};

fn pair() -> Arc<Pair> {
    Arc::new(Pair::of_key("ann@bücher.example bob@s.example").expect("it is a key"))
}

fn kept(tag: &str, number: u32) -> KeptDialog {
    KeptDialog {
        tag: tag.to_owned(),
        call_id: "c1@host".to_owned(),
        local: format!("<sip:ann@xn--bcher-kva.example>;tag={tag}"),
        remote: "<sip:bob@s.example>;tag=b;epid=2c19".to_owned(),
        local_seq: number,
        remote_seq: None,
        target: "sip:bob@s.example;opaque=user:epid:Kq1;gruu".to_owned(),
        routes: vec![b"<sip:pool.s.example;ms-route-sig=\xFF\xC3;lr>".to_vec(), b"<sip:b;lr>".to_vec()],
        secure: false,
        event: "presence;id=7".to_owned(),
        authorised: true,
        expires: Date::from_unix_millis(1_800_000_000_123),
    }
}

fn dialog(direction: WatchDirection, tag: &str, number: u32) -> Record {
    let kept = Box::new(kept(tag, number));
    Record::Watch(Box::new(WatchRecord::Dialog { direction, pair: pair(), kept }))
}

fn authorisation(direction: WatchDirection, authorisation: Authorisation) -> Record {
    Record::Watch(Box::new(WatchRecord::Authorisation { direction, pair: pair(), authorisation }))
}

fn shown(devices: &[&str]) -> Record {
    let devices = devices.iter().map(|device| Box::from(*device)).collect();
    Record::Watch(Box::new(WatchRecord::Shown { pair: pair(), devices }))
}

#[test]
fn permissions_and_dialogs_come_back_octet_for_octet() {
    let place = Place::new();
    let (store, _) = Store::open(&place.file()).unwrap();
    let (out, inward) = (WatchDirection::Outward, WatchDirection::Inward);
    commit(
        &store,
        vec![
            authorisation(out, Authorisation::Pending),
            authorisation(inward, Authorisation::Denied),
            dialog(out, "w1", 1),
            dialog(out, "w1", 2),
            authorisation(out, Authorisation::Granted),
            dialog(inward, "n1", 9),
            shown(&["", "pc"]),
            shown(&["pc", "phone"]),
        ],
    )
    .expect_stored();
    commit(&store, vec![Record::Watch(Box::new(WatchRecord::DialogEnded { tag: "n1".into() }))])
        .expect_stored();
    drop(store);

    let (store, recovered) = Store::open(&place.file()).unwrap();

    let watch = |direction, authorisation, shown: &[&str], dialogs| {
        let shown = shown.iter().map(|device| Box::from(*device)).collect();
        KeptWatch { direction, pair: pair(), authorisation, shown, dialogs }
    };
    assert_eq!(
        recovered.watches,
        [
            watch(out, Authorisation::Granted, &["pc", "phone"], vec![kept("w1", 2)]),
            watch(inward, Authorisation::Denied, &[], Vec::new()),
        ]
    );
    commit(&store, vec![Record::Watch(Box::new(WatchRecord::Forgotten { direction: out, pair: pair() }))])
        .expect_stored();
    drop(store);
    let (_store, recovered) = Store::open(&place.file()).unwrap();
    assert_eq!(recovered.watches, [watch(inward, Authorisation::Denied, &[], Vec::new())]);
}

#[test]
fn to_whom_somebody_wrote_comes_back_with_the_last_day() {
    let place = Place::new();
    let (store, _) = Store::open(&place.file()).unwrap();
    let pair: Arc<str> = Arc::clone(&pair().key);
    let at = |millis| Record::Wrote { pair: Arc::clone(&pair), date: Date::from_unix_millis(millis) };
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later");
    let today = i64::try_from(today.as_millis()).expect("it is not that late");
    commit(&store, vec![at(today - 5), at(today)]).expect_stored();
    drop(store);

    let (_store, recovered) = Store::open(&place.file()).unwrap();

    assert_eq!(recovered.written, [(pair, Date::from_unix_millis(today))]);
}
