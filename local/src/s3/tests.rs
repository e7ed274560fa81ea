//! Object tags, as the SDK's client sends and reads them.

use aws_sdk_s3::{
    Client,
    error::ProvideErrorMetadata as _,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use pipeline::{
    aws::Aws,
    env::{Env, Reader},
};

use super::*;
use crate::REGION;

const BUCKET: &str = "bucket";

struct Lab {
    _folder: tempfile::TempDir,
    s3: S3,
    client: Client,
}

impl Lab {
    async fn start() -> Result<Lab> {
        let folder = tempfile::tempdir()?;
        let s3 = S3::start(&Wire::default(), folder.path(), BUCKET).await?;
        let env = Env::from_pairs([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_S3", s3.endpoint()),
        ]);
        let mut reader = Reader::new(&env);
        let (config, _) = Aws::read(&env, &mut reader).service("S3");
        let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let client = Client::from_conf(config);
        Ok(reader.finish(Lab { _folder: folder, s3, client })?)
    }

    /// Returns the code of the refusal, or `""`.
    async fn put(&self, key: &str, tagging: Option<&str>) -> String {
        let body = ByteStream::from_static(b"hello");
        let put = self.client.put_object().bucket(BUCKET).key(key).set_tagging(tagging.map(str::to_owned)).body(body);
        put.send().await.err().and_then(|error| error.code().map(str::to_owned)).unwrap_or_default()
    }

    async fn tags(&self, key: &str) -> Result<Vec<(String, String)>> {
        let tagging = self.client.get_object_tagging().bucket(BUCKET).key(key).send().await?;
        Ok(tagging.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}

fn pairs(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn tags_are_stored_counted_and_replaced_with_their_object() -> Result<()> {
    let lab = Lab::start().await?;
    assert_eq!(lab.put("k", Some("tenant=a%20b&cost%3Acenter=7")).await, "");
    let expected = pairs(&[("cost:center", "7"), ("tenant", "a b")]);
    assert_eq!(lab.tags("k").await?, expected);
    assert_eq!(lab.s3.tags("k")?, Some(expected.into_iter().collect()));
    let (get, head) = (lab.client.get_object(), lab.client.head_object());
    assert_eq!(get.bucket(BUCKET).key("k").send().await?.tag_count(), Some(2));
    assert_eq!(head.bucket(BUCKET).key("k").send().await?.tag_count(), Some(2));

    // A refused request leaves the object as it was.
    assert_eq!(lab.put("k", Some("tenant=a%2Cb")).await, "InvalidTag");
    assert_eq!(lab.put("k", Some("tenant=a&tenant=b")).await, "InvalidArgument");
    assert_eq!(lab.tags("k").await?.len(), 2);
    assert_eq!(lab.put("k", None).await, "");
    assert_eq!(lab.tags("k").await?, []);
    assert_eq!(lab.client.head_object().bucket(BUCKET).key("k").send().await?.tag_count(), None);

    lab.client.delete_object().bucket(BUCKET).key("k").send().await?;
    assert_eq!(lab.s3.tags("k")?, None);
    let gone = lab.client.get_object_tagging().bucket(BUCKET).key("k").send().await;
    assert_eq!(gone.err().and_then(|error| error.code().map(str::to_owned)).as_deref(), Some("NoSuchKey"));
    Ok(())
}

#[tokio::test]
async fn tags_of_an_upload_in_parts_are_those_of_its_start() -> Result<()> {
    let lab = Lab::start().await?;
    let algorithm = ChecksumAlgorithm::Crc64Nvme;
    let start = || lab.client.create_multipart_upload().bucket(BUCKET).key("big").checksum_algorithm(algorithm.clone());
    let refused = start().tagging("a=%7B").send().await;
    assert_eq!(refused.err().and_then(|error| error.code().map(str::to_owned)).as_deref(), Some("InvalidTag"));
    assert!(lab.s3.open_uploads()?.is_empty());

    let upload_id = start().tagging("tenant=acme").send().await?.upload_id.context("no id")?;
    let part = lab.client.upload_part().bucket(BUCKET).key("big").upload_id(&upload_id).part_number(1);
    let part = part.checksum_algorithm(algorithm.clone()).body(ByteStream::from_static(b"hello")).send().await?;
    assert_eq!(lab.s3.tags("big")?, None);
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
    let complete = lab.client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(&upload_id);
    complete.multipart_upload(CompletedMultipartUpload::builder().parts(part).build()).send().await?;
    assert_eq!(lab.tags("big").await?, pairs(&[("tenant", "acme")]));
    Ok(())
}
