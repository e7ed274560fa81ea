//! Splits keys into pages, as ListObjectsV2 does.

use s3s::dto::{CommonPrefix, ETag, Object};

use super::store::Store;

/// Objects, folders, and the start of the next page.
pub(super) type Page = (Vec<Object>, Vec<CommonPrefix>, Option<String>);

/// Returns one page of the keys behind `after`. Keys that share a folder become one entry.
pub(super) fn list(
    store: &Store,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    limit: usize,
) -> std::io::Result<Page> {
    let (mut contents, mut folders, mut last) = (Vec::new(), Vec::<String>::new(), String::new());
    for key in store.keys()? {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let folder = delimiter.and_then(|delimiter| Some(prefix.len() + rest.find(delimiter)? + delimiter.len()));
        let folder = folder.map(|end| key[..end].to_owned());
        // A page that ended with a folder has shown all of its keys.
        if key.as_str() <= after || folder.as_ref().is_some_and(|folder| folder.as_str() <= after) {
            continue;
        }
        if folder.is_some() && folder.as_ref() == folders.last() {
            continue;
        }
        if contents.len() + folders.len() == limit {
            return Ok((contents, common_prefixes(folders), Some(last)));
        }
        match folder {
            Some(folder) => {
                last.clone_from(&folder);
                folders.push(folder);
            }
            None => {
                let Some(attributes) = store.attributes(&key)? else { continue };
                last.clone_from(&key);
                contents.push(Object {
                    size: Some(attributes.bytes as i64),
                    e_tag: Some(ETag::Strong(attributes.e_tag)),
                    last_modified: Some(store.modified(&key)?.into()),
                    key: Some(key),
                    ..Object::default()
                });
            }
        }
    }
    Ok((contents, common_prefixes(folders), None))
}

fn common_prefixes(folders: Vec<String>) -> Vec<CommonPrefix> {
    folders.into_iter().map(|folder| CommonPrefix { prefix: Some(folder) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::store::tests::{attributes, store};

    #[test]
    fn pages_and_folders_show_every_key_once() -> Result<(), Box<dyn std::error::Error>> {
        let (_folder, store) = store()?;
        let keys = ["a", "b/1", "b/2", "b/c/3", "d", "e/4"];
        for key in keys {
            store.put(attributes(key), b"x", &Default::default())?;
        }
        for (delimiter, expected) in [(None, keys.as_slice()), (Some("/"), &["a", "b/", "d", "e/"])] {
            for limit in 1..=7 {
                let (mut seen, mut after) = (Vec::new(), String::new());
                loop {
                    let (objects, folders, next) = list(&store, "", delimiter, &after, limit)?;
                    assert!(objects.len() + folders.len() <= limit);
                    seen.extend(objects.into_iter().filter_map(|object| object.key));
                    seen.extend(folders.into_iter().filter_map(|folder| folder.prefix));
                    match next {
                        Some(next) => after = next,
                        None => break,
                    }
                }
                seen.sort();
                assert_eq!(seen, expected);
            }
        }
        assert_eq!(list(&store, "b/", None, "", 10)?.0.len(), 3);
        Ok(())
    }
}
