//! The page of `cargo dev`: what it shows, opens, plays, and refuses.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use local::{
    page::{self, Kind, Page},
    recall::{Meeting, Target},
    stack::{RecallTarget, Stack, StackConfig},
    wire::{Fault, Service, When},
};
use pipeline::secret::Secret;
use serde_json::{Value, json};
use tests::{Reply, pipeline_test, request};
use uuid::Uuid;

async fn page_of(stack: &Arc<Stack>) -> Result<Page> {
    Page::start(stack.clone(), page::listen(Some(0)).await?)
}

async fn get(page: &Page, path: &str) -> Result<Reply> {
    request("GET", &format!("{}{path}", page.url()), &[], b"").await
}

/// Presses a button, as the page does, and returns the recording's id.
async fn press(page: &Page, kind: Kind) -> Result<Uuid> {
    let url = format!("{}api/play/{}", page.url(), kind.name());
    let origin = page.url().trim_end_matches('/').to_owned();
    let reply = request("POST", &url, &[("origin", origin)], b"").await?;
    ensure!(reply.status == 201, "{reply:?}");
    Ok(reply.body["recording_id"].as_str().context("no id")?.parse()?)
}

/// Returns what the page shows about a recording.
async fn job(page: &Page, recording: Uuid) -> Result<Value> {
    let list = get(page, "api/jobs").await?.body;
    let jobs = list["jobs"].as_array().context("no jobs")?;
    let found = jobs.iter().find(|job| job["recording_id"] == recording.to_string());
    found.cloned().with_context(|| format!("{recording} is not in {list}"))
}

/// Returns the key of a file of the first transcript, by its name.
fn key_of(job: &Value, name: &str) -> Result<String> {
    let files = job["transcripts"][0]["files"].as_array().context("no files")?;
    let file = files.iter().find(|file| file["name"] == name).with_context(|| format!("no {name} in {job}"))?;
    Ok(file["key"].as_str().context("no key")?.to_owned())
}

fn header<'r>(reply: &'r Reply, name: &str) -> &'r str {
    reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_button_leads_to_a_stored_transcript() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        assert_eq!(get(&page, "api/jobs").await?.body["total"], 0);
        for kind in [Kind::Hour, Kind::Japanese, Kind::Silent, Kind::Faults] {
            let recording = press(&page, kind).await?;
            let manifest = pipeline.ends_stored(recording).await?;
            assert_eq!(manifest["empty"], kind == Kind::Silent);

            let job = job(&page, recording).await?;
            assert_eq!(
                (&job["status"], &job["attempts"], &job["transcript_count"]),
                (&json!("stored"), &json!(1), &json!(1))
            );
            // One payment for each attempt, whatever went wrong.
            assert_eq!(job["recall"]["paid"], 1, "{job}");
            assert_eq!(job["title"], manifest["recording"]["metadata"]["title"]);
            assert!(job["due_at"].is_null() && job["updated_at"].is_string(), "{job}");
            let faults = job["faults"].as_array().context("no faults")?.len();
            assert_eq!(faults, if kind == Kind::Faults { 6 } else { 0 });
            let transcript = &job["transcripts"][0];
            assert_eq!((&transcript["state"], &transcript["provider"]), (&json!("stored"), &json!("recallai_async")));
            assert_eq!(transcript["counts"]["words"], manifest["counts"]["words"]);

            let key = key_of(&job, "transcript.json")?;
            let reply = get(&page, &format!("objects/{key}")).await?;
            assert_eq!((reply.status, header(&reply, "content-type")), (200, "application/json"));
            assert_eq!(Some(reply.bytes), pipeline.stack.s3.object(&key)?);
            if kind == Kind::Japanese {
                let said: Vec<&str> = reply.body.as_array().context("no turns")?.iter().flat_map(texts).collect();
                assert!(said.contains(&"おはよう"), "{said:?}");
            }
            let shown = get(&page, &format!("objects/{}", key_of(&job, "manifest.json")?)).await?;
            assert_eq!(shown.body, manifest);
        }
        let sums = get(&page, "api/jobs").await?.body;
        assert_eq!((&sums["paid"], &sums["twice"], &sums["attempts"]), (&json!(4), &json!(0), &json!(4)));
        Ok(())
    })
    .await
}

fn texts(turn: &Value) -> impl Iterator<Item = &str> {
    turn["words"].as_array().into_iter().flatten().filter_map(|word| word["text"].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_shown_step_by_step() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        let recording = press(&page, Kind::Faults).await?;
        pipeline.ends_stored(recording).await?;
        let other = press(&page, Kind::Silent).await?;
        pipeline.ends_stored(other).await?;

        let steps = get(&page, &format!("api/jobs/{recording}/steps")).await?.body;
        let steps = steps["steps"].as_array().context("no steps")?;
        let of = |what: &str| -> Vec<&Value> {
            steps.iter().filter(|step| step["what"] == what).map(|step| &step["status"]).collect()
        };
        // Two deliveries arrive at once, and one of them meets the other's lease.
        assert!(of("recording.done").len() >= 3 && of("recording.done").contains(&&json!(503)), "{steps:?}");
        assert_eq!(of("create_transcript")[0], &Value::Null);
        assert!(of("transcript.processing").is_empty(), "{steps:?}");
        assert_eq!(of("transcript.done"), [200]);
        assert_eq!(of("download").len(), 2);
        let refused = steps.iter().filter(|step| step["to"] == "bucket" && step["status"] == 503).count();
        assert_eq!((refused, of("transcript.json").last()), (1, Some(&&json!(200))));
        assert_eq!(of("manifest.json"), [200]);
        assert!(steps.is_sorted_by_key(|step| step["at_ms"].as_u64()), "{steps:?}");
        // The steps of the other meeting are separate.
        let steps = get(&page, &format!("api/jobs/{other}/steps")).await?.body;
        assert!(!steps.to_string().contains("503") && steps.to_string().contains("create_transcript"), "{steps}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_shown_before_it_is_a_job() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        let recording = press(&page, Kind::Unannounced).await?;
        let waiting = job(&page, recording).await?;
        assert_eq!((&waiting["status"], &waiting["recall"]["paid"]), (&Value::Null, &json!(0)));
        assert!(waiting["title"].is_string() && waiting["faults"].as_array().is_some_and(|faults| faults.len() == 1));
        // The missing webhook is sent.
        pipeline.simulator().announce(recording);
        pipeline.ends_stored(recording).await?;
        assert_eq!(job(&page, recording).await?["status"], "stored");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_outside_the_bucket_are_refused() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        std::fs::write(pipeline.data().join("secret.txt"), "not for you")?;
        std::fs::write(pipeline.bucket().join("no-object.txt"), "not for you")?;
        pipeline.stack.s3.put("recordings/x/a b&c.txt", "text/plain; charset=utf-8", "é".as_bytes())?;
        let reply = get(&page, "objects/recordings/x/a%20b%26c.txt").await?;
        assert_eq!((reply.status, &reply.bytes[..]), (200, "é".as_bytes()));
        assert_eq!(header(&reply, "content-type"), "text/plain; charset=utf-8");
        for path in [
            "objects/../secret.txt",
            "objects/../../secret.txt",
            "objects/..%2f..%2fsecret.txt",
            "objects/recordings/x/..%2f..%2f..%2f..%2fsecret.txt",
            "objects/%2e%2e/%2e%2e/secret.txt",
            "objects/..%5c..%5csecret.txt",
            "objects/%2fetc%2fpasswd",
            "objects//etc/passwd",
            "objects/recordings/x/a%20b%26c.txt%00",
            "objects/recordings/x",
            "objects/no-object.txt",
            "objects/%ff",
            "objects/",
            "api/jobs/..%2f..%2fsecret.txt/steps",
        ] {
            let reply = get(&page, path).await?;
            assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
            assert!(!String::from_utf8_lossy(&reply.bytes).contains("not for you"), "{path}: {reply:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_files_are_isolated_from_the_page() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        pipeline.stack.s3.put("a.html", "text/html; charset=utf-8", b"<script>1</script>")?;
        pipeline.stack.s3.put("a.svg", "image/svg+xml", b"<svg/>")?;
        for (path, policy) in [
            ("", "default-src 'none'; script-src 'self';"),
            ("api/jobs", "default-src 'none';"),
            ("nothing/here", "default-src 'none';"),
            // Without `allow-same-origin` the file may run scripts, but it has no access to the page.
            ("objects/a.html", "sandbox allow-scripts allow-downloads allow-modals allow-popups"),
            ("objects/a.svg", "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        ] {
            let reply = get(&page, path).await?;
            assert!(header(&reply, "content-security-policy").starts_with(policy), "{path}: {reply:?}");
            assert_eq!(header(&reply, "x-content-type-options"), "nosniff", "{path}");
            assert_eq!(header(&reply, "cross-origin-resource-policy"), "same-origin", "{path}");
            assert_eq!(header(&reply, "access-control-allow-origin"), "", "{path}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_are_refused() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        let own = page.url().trim_end_matches('/').to_owned();
        for path in ["", "api/jobs", "objects/x", "page.js"] {
            let url = format!("{}{path}", page.url());
            let reply = request("GET", &url, &[("host", "evil.example".to_owned())], b"").await?;
            assert_eq!(reply.status, 403, "{path}: {reply:?}");
        }
        let url = format!("{}api/play/silent", page.url());
        for headers in [
            vec![],
            vec![("origin", "null".to_owned())],
            vec![("origin", "http://evil.example".to_owned())],
            vec![("origin", own.replace("127.0.0.1", "localhost"))],
            vec![("origin", own.clone()), ("sec-fetch-site", "cross-site".to_owned())],
            vec![("origin", "http://evil.example".to_owned()), ("host", "evil.example".to_owned())],
        ] {
            let reply = request("POST", &url, &headers, b"").await?;
            assert_eq!(reply.status, 403, "{headers:?}: {reply:?}");
        }
        assert_eq!(request("GET", &url, &[], b"").await?.status, 405);
        let unknown = format!("{}api/play/whatever", page.url());
        assert_eq!(request("POST", &unknown, &[("origin", own)], b"").await?.status, 404);
        assert_eq!(get(&page, "api/jobs").await?.body["total"], 0);
        // None of these requests is a call of the pipeline.
        assert!(pipeline.stack.wire.calls().is_empty(), "{:?}", pipeline.stack.wire.calls());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_are_absent_with_the_real_recall() -> Result<()> {
    let data = tempfile::tempdir()?;
    let recall = RecallTarget::Real {
        region: "us-east-1".to_owned(),
        api_key: Secret::new("key".to_owned()),
        webhook_secrets: Secret::new(vec!["whsec_c2VjcmV0".to_owned()]),
    };
    let config = StackConfig { recall, ..StackConfig::default() };
    let stack = Arc::new(Stack::start(data.path(), tests::binaries().await?, config).await?);
    let page = page_of(&stack).await?;
    let list = get(&page, "api/jobs").await?.body;
    assert_eq!((&list["simulator"], &list["meetings"]), (&json!(false), &json!([])));
    let origin = page.url().trim_end_matches('/').to_owned();
    let url = format!("{}api/play/hour", page.url());
    assert_eq!(request("POST", &url, &[("origin", origin)], b"").await?.status, 404);
    let steps = get(&page, &format!("api/jobs/{}/steps", Uuid::nil())).await?.body;
    assert_eq!(steps, json!({"steps": []}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_described_in_words() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        let away = Fault::Answer { status: 402, retry_after: None };
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, away, 1);
        let unpaid = pipeline.simulator().play(Meeting::silent());
        pipeline.reaches(unpaid, "waiting").await?;
        let unpaid = job(&page, unpaid).await?;
        assert_eq!(unpaid["hold"], "Recall answered 402; the next call comes later");
        assert!(unpaid["due_at"].is_i64(), "{unpaid}");
        assert_eq!((&unpaid["recall"]["calls"], &unpaid["recall"]["paid"]), (&json!(1), &json!(0)));

        pipeline.simulator().faults().fail_transcription(Target::next(1), Some("provider_error"));
        let failed = pipeline.simulator().play(Meeting::silent());
        pipeline.reaches(failed, "waiting").await?;
        let failed = job(&page, failed).await?;
        assert_eq!(failed["hold"], "the last attempt failed; the next one comes later");
        let transcript = &failed["transcripts"][0];
        assert_eq!((&transcript["state"], &transcript["why"]), (&json!("failed"), &json!("provider_error")));

        let never = pipeline.simulator().recording_failed(Meeting::silent(), Some("bot_kicked"));
        pipeline.reaches(never, "failed").await?;
        assert_eq!(job(&page, never).await?["recording"], "Recall could not record it: bot_kicked");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_the_newest_two_hundred() -> Result<()> {
    pipeline_test(async |pipeline| {
        let page = page_of(&pipeline.stack).await?;
        let oldest = pipeline.simulator().play(Meeting::silent());
        pipeline.ends_stored(oldest).await?;
        job(&page, oldest).await?;
        // No webhook announces the following meetings.
        pipeline.simulator().set_webhook_url(None);
        let mut last = oldest;
        for _ in 0..200 {
            last = press(&page, Kind::Silent).await?;
        }
        let list = get(&page, "api/jobs").await?.body;
        let jobs = list["jobs"].as_array().context("no jobs")?;
        assert_eq!((&list["total"], jobs.len()), (&json!(201), 200));
        assert!(jobs.iter().any(|job| job["recording_id"] == last.to_string()));
        assert!(!jobs.iter().any(|job| job["recording_id"] == oldest.to_string()));
        // The limit of one run is reached.
        let full = press(&page, Kind::Silent).await;
        assert!(full.is_err_and(|error| error.to_string().contains("at most 200 meetings")));
        Ok(())
    })
    .await
}
