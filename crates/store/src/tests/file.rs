//! Files: making, locking, refusing.

use redb::{Database, TableDefinition};

use super::{all_events, append, commit_one, event, options, path, unit};
use crate::keyspace::{BUCKETS, FORMAT_KEY, META, RUNS, SECRETS};
use crate::{Store, StoreError};

#[test]
fn a_file_is_made_once_and_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.redb");
    for round in 1..=3 {
        let (store, mut writer) = Store::open(&file, &options()).unwrap();
        let written = commit_one(&mut writer, unit(vec![append("/a", event("x", "{}"))])).unwrap();
        assert_eq!(written.events[0].offset.get(), round + 1);
        assert!(store.file_bytes().unwrap() > 0);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_an_interrupted_making_left_behind_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.redb");
    std::fs::write(directory.path().join("acme.redb.unfinished"), [0; 5000]).unwrap();
    Store::open(&file, &options()).unwrap();
}

#[test]
fn an_open_file_is_not_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.redb");
    let (store, writer) = Store::open(&file, &options()).unwrap();
    drop(writer);
    let error = Store::open(&file, &options()).err().unwrap();
    assert!(matches!(error, StoreError::AlreadyOpen { .. }));
    assert_eq!(error.to_string(), format!("{} is already open, here or in another process", file.display()));
    drop(store);
    Store::open(&file, &options()).unwrap();
}

#[test]
fn a_newer_format_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.redb");
    drop(Store::open(&file, &options()).unwrap());
    change(&file, |transaction| {
        transaction.open_table(META).unwrap().insert(FORMAT_KEY, 3_u64.to_le_bytes().as_slice()).unwrap();
    });
    let error = Store::open(&file, &options()).err().unwrap();
    assert!(error.to_string().ends_with("expected file format 2 or older, found 3; a newer version of Pelton wrote it"), "{error}");
}

#[test]
fn a_file_of_the_first_format_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.redb");
    let (store, mut writer) = Store::open(&file, &options()).unwrap();
    commit_one(&mut writer, unit(vec![append("/a", event("x", "{}"))])).unwrap();
    drop((store, writer));
    change(&file, |transaction| {
        transaction.open_table(META).unwrap().insert(FORMAT_KEY, 1_u64.to_le_bytes().as_slice()).unwrap();
        assert!(transaction.delete_table(BUCKETS).unwrap() && transaction.delete_table(SECRETS).unwrap());
    });
    for round in 2..=3 {
        let (store, mut writer) = Store::open(&file, &options()).unwrap();
        assert_eq!(commit_one(&mut writer, unit(vec![append("/a", event("x", "{}"))])).unwrap().events[0].offset.get(), round + 1);
        assert_eq!(store.secrets().unwrap(), []);
    }
}

#[test]
fn a_file_of_someone_else_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    std::fs::write(&text, "dear diary, ".repeat(1000)).unwrap();
    let error = Store::open(&text, &options()).err().unwrap();
    assert!(matches!(error, StoreError::NotPelton { .. }), "{error}");
    assert!(std::fs::read_to_string(&text).unwrap().ends_with("diary, "));

    let foreign = directory.path().join("foreign");
    drop(Database::create(&foreign).unwrap());
    change(&foreign, |transaction| drop(transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap()));
    let error = Store::open(&foreign, &options()).err().unwrap();
    assert!(error.to_string().ends_with("expected a Pelton file, found a redb file with the tables theirs"), "{error}");
}

#[test]
fn a_malformed_row_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.redb");
    let (store, mut writer) = Store::open(&file, &options()).unwrap();
    commit_one(&mut writer, unit(vec![append("/", event("x", "{}"))])).unwrap();
    assert_eq!(all_events(&store, "/").len(), 2);
    drop((store, writer));
    change(&file, |transaction| {
        transaction.open_table(RUNS).unwrap().insert((1, 1), [9_u8; 21].as_slice()).unwrap();
    });
    let (store, mut writer) = Store::open(&file, &options()).unwrap();
    let error = store.read_stream(&path("/"), super::offset(1)..super::offset(9), crate::PageLimit::default()).unwrap_err();
    assert_eq!(error.to_string(), "corrupt row in table `runs`, stream 1 offset 1: unknown flags of an event");
    writer.commit(vec![unit(vec![append("/", super::keyed("x", "{}", "k"))])], super::millis(1)).unwrap();
}

fn change(file: &std::path::Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let transaction = Database::open(file).unwrap().begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}
