use super::{super::checksum::sum, uploads::SMALLEST_PART_BYTES, *};

const PART: usize = SMALLEST_PART_BYTES as usize;

pub(in crate::s3) fn store() -> Result<(tempfile::TempDir, Store), io::Error> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), "bucket")?;
    Ok((folder, store))
}

pub(in crate::s3) fn attributes(key: &str) -> Attributes {
    Attributes {
        key: key.to_owned(),
        content_type: Some("text/plain".to_owned()),
        content_encoding: None,
        cache_control: None,
        metadata: BTreeMap::new(),
        tags: Tags::new(),
        bytes: 0,
        e_tag: String::new(),
        checksums: Sums::new(),
    }
}

fn crc64(bytes: &[u8]) -> Stated {
    Stated { checksums: [(Algorithm::Crc64nvme, sum(Algorithm::Crc64nvme, bytes))].into(), ..Stated::default() }
}

fn upload(store: &Store, key: &str) -> io::Result<String> {
    let upload = OpenUpload {
        key: key.to_owned(),
        upload_id: Uuid::new_v4().to_string(),
        content_type: Some("application/json".to_owned()),
        content_encoding: None,
        cache_control: None,
        metadata: BTreeMap::new(),
        tags: Tags::new(),
        algorithm: Algorithm::Crc64nvme,
        initiated: time::OffsetDateTime::UNIX_EPOCH,
    };
    store.create_upload(&upload)?;
    Ok(upload.upload_id)
}

fn all(numbers: &[i32]) -> Vec<Chosen> {
    numbers.iter().map(|number| Chosen { number: *number, e_tag: None, checksums: Sums::new() }).collect()
}

fn tags() -> Tags {
    [("tenant".to_owned(), "acme".to_owned())].into()
}

fn code<T>(result: S3Result<T>) -> String {
    result.err().map(|error| error.code().as_str().to_owned()).unwrap_or_default()
}

#[test]
fn an_object_is_read_back_with_its_attributes_after_a_restart() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, store) = store()?;
    store.put(attributes("a/b.txt"), b"hello", &crc64(b"hello"))?;
    drop(store);
    let store = Store::open(folder.path(), "bucket")?;
    let (attributes, bytes) = store.get("a/b.txt")?.ok_or("no object")?;
    assert_eq!((bytes.as_slice(), attributes.content_type.as_deref()), (&b"hello"[..], Some("text/plain")));
    assert_eq!(store.keys()?, ["a/b.txt"]);
    assert_eq!(fs::read(folder.path().join("bucket/a/b.txt"))?, b"hello");
    Ok(())
}

#[test]
fn tags_belong_to_one_version_of_an_object() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, store) = store()?;
    store.put(Attributes { tags: tags(), ..attributes("k") }, b"first", &Stated::default())?;
    drop(store);
    let store = Store::open(folder.path(), "bucket")?;
    assert_eq!(store.attributes("k")?.ok_or("no object")?.tags, tags());
    store.put(attributes("k"), b"second", &Stated::default())?;
    assert_eq!(store.attributes("k")?.ok_or("no object")?.tags, Tags::new());

    store.put(Attributes { tags: tags(), ..attributes("k") }, b"third", &Stated::default())?;
    store.delete("k")?;
    assert!(store.attributes("k")?.is_none());
    // A file that appears later under the same name has no attributes, and so is no object.
    fs::write(folder.path().join("bucket/k"), "other")?;
    assert!(store.attributes("k")?.is_none() && store.keys()?.is_empty());
    store.delete("k")?;
    store.delete("k")?;

    let upload = OpenUpload {
        key: "big".to_owned(),
        upload_id: Uuid::new_v4().to_string(),
        content_type: None,
        content_encoding: None,
        cache_control: None,
        metadata: BTreeMap::new(),
        tags: tags(),
        algorithm: Algorithm::Crc64nvme,
        initiated: time::OffsetDateTime::UNIX_EPOCH,
    };
    store.create_upload(&upload)?;
    store.put_part("big", &upload.upload_id, 1, b"part", &Sums::new())?;
    let stored = store.complete("big", &upload.upload_id, &all(&[1]), None, &Stated::default())?;
    assert_eq!(stored.tags, tags());
    Ok(())
}

#[test]
fn attributes_from_before_tags_have_none() -> Result<(), Box<dyn std::error::Error>> {
    let mut stored = serde_json::to_value(attributes("k"))?;
    stored.as_object_mut().and_then(|fields| fields.remove("tags")).ok_or("no tags")?;
    assert_eq!(serde_json::from_value::<Attributes>(stored)?, attributes("k"));
    Ok(())
}

#[test]
fn a_wrong_checksum_leaves_what_was_there() -> Result<(), Box<dyn std::error::Error>> {
    let (_folder, store) = store()?;
    assert_eq!(code(store.put(attributes("k"), b"hello", &crc64(b"other"))), "BadDigest");
    assert!(store.get("k")?.is_none());
    store.put(attributes("k"), b"first", &crc64(b"first"))?;
    assert_eq!(code(store.put(attributes("k"), b"hello", &crc64(b"other"))), "BadDigest");
    assert_eq!(store.get("k")?.ok_or("no object")?.1, b"first");
    Ok(())
}

#[test]
fn concurrent_creators_have_one_winner() -> Result<(), Box<dyn std::error::Error>> {
    let (_folder, store) = store()?;
    let only_new = || Stated { if_none_match: Some(ETagCondition::Any), ..Stated::default() };
    store.put(attributes("k"), b"first", &only_new())?;
    assert_eq!(code(store.put(attributes("k"), b"second", &only_new())), "PreconditionFailed");
    Ok(())
}

#[test]
fn parts_become_an_object_only_when_completed() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, store) = store()?;
    let id = upload(&store, "big")?;
    let (first, last) = (vec![1; PART], vec![2; 10]);
    let whole = [first.clone(), last.clone()].concat();
    // The parts come in any order, and one of them twice.
    store.put_part("big", &id, 2, b"wrong", &Sums::new())?;
    store.put_part("big", &id, 2, &last, &crc64(&last).checksums)?;
    store.put_part("big", &id, 1, &first, &crc64(&first).checksums)?;
    assert!(store.get("big")?.is_none() && store.keys()?.is_empty());

    drop(store);
    let store = Store::open(folder.path(), "bucket")?;
    assert_eq!(store.uploads()?.len(), 1);
    let stored = store.complete("big", &id, &all(&[1, 2]), Some(whole.len() as u64), &crc64(&whole))?;
    assert_eq!((stored.bytes, stored.content_type.as_deref()), (whole.len() as u64, Some("application/json")));
    assert_eq!(stored.checksums, crc64(&whole).checksums);
    assert!(stored.e_tag.ends_with("-2"));
    assert_eq!(store.get("big")?.ok_or("no object")?.1, whole);
    assert!(store.uploads()?.is_empty());
    assert_eq!(code(store.complete("big", &id, &all(&[1, 2]), None, &Stated::default())), "NoSuchUpload");
    Ok(())
}

#[test]
fn a_wrong_completion_leaves_the_upload_open() -> Result<(), Box<dyn std::error::Error>> {
    let (_folder, store) = store()?;
    let id = upload(&store, "big")?;
    let complete = |numbers: &[i32], bytes, stated| code(store.complete("big", &id, &all(numbers), bytes, &stated));
    store.put_part("big", &id, 1, &[1; 100], &Sums::new())?;
    store.put_part("big", &id, 2, &[2; 100], &Sums::new())?;
    assert_eq!(complete(&[], None, Stated::default()), "MalformedXML");
    assert_eq!(complete(&[2, 1], None, Stated::default()), "InvalidPartOrder");
    assert_eq!(complete(&[1, 3], None, Stated::default()), "InvalidPart");
    assert_eq!(complete(&[1, 2], None, Stated::default()), "EntityTooSmall");
    assert_eq!(complete(&[1], Some(99), Stated::default()), "InvalidRequest");
    assert_eq!(complete(&[1], Some(100), crc64(b"other")), "BadDigest");
    assert!(store.keys()?.is_empty());
    assert_eq!(store.uploads()?.len(), 1);
    assert_eq!(complete(&[1], Some(100), crc64(&[1; 100])), "");
    Ok(())
}

#[test]
fn an_unknown_upload_is_not_found() -> Result<(), Box<dyn std::error::Error>> {
    let (_folder, store) = store()?;
    let id = upload(&store, "big")?;
    for (key, id) in [("big", "nothing"), ("big", "../../x"), ("other", &id), ("big", &Uuid::nil().to_string())] {
        assert_eq!(code(store.put_part(key, id, 1, b"x", &Sums::new())), "NoSuchUpload");
        assert_eq!(code(store.abort(key, id)), "NoSuchUpload");
    }
    store.abort("big", &id)?;
    assert!(store.uploads()?.is_empty());
    Ok(())
}

#[test]
fn a_part_is_checked_by_the_algorithm_of_its_upload() -> Result<(), Box<dyn std::error::Error>> {
    let (_folder, store) = store()?;
    let id = upload(&store, "big")?;
    let crc32 = Sums::from([(Algorithm::Crc32, sum(Algorithm::Crc32, b"x"))]);
    assert_eq!(code(store.put_part("big", &id, 1, b"x", &crc32)), "InvalidRequest");
    assert_eq!(code(store.put_part("big", &id, 1, b"x", &crc64(b"y").checksums)), "BadDigest");
    assert_eq!(code(store.complete("big", &id, &all(&[1]), None, &Stated::default())), "InvalidPart");
    Ok(())
}

#[test]
fn a_key_never_leaves_the_bucket() -> Result<(), Box<dyn std::error::Error>> {
    let (_folder, store) = store()?;
    for key in ["../x", "/x", "a//b", "a/../../x", ""] {
        assert_eq!(code(store.put(attributes(key), b"x", &Stated::default())), "InvalidArgument");
    }
    assert!(store.keys()?.is_empty());
    Ok(())
}
