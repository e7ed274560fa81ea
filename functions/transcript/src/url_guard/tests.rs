//! Which URLs a download may come from.

use pipeline::env::{Env, Reader};

use super::*;

const BUCKET: &str = "us-west-2-recallai-production-bot-data";

fn guard<const N: usize>(pairs: [(&str, &str); N]) -> UrlGuard {
    let env = Env::from_pairs(pairs);
    let mut reader = Reader::new(&env);
    let guard = UrlGuard::new(&RecallSettings::read(&mut reader));
    reader.finish(guard).expect("good settings")
}

#[test]
fn recalls_own_hosts_pass_over_https() {
    let guard = guard([("RECALL_REGION", "us-west-2"), ("DOWNLOAD_HOSTS", "cdn.recall.ai")]);
    for good in [
        "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com/_workspace-1/x?Signature=s",
        "https://US-WEST-2-recallai-production-bot-data.s3.amazonaws.com/x",
        "https://us-west-2-recallai-production-bot-data.s3.us-west-2.amazonaws.com/_workspace-1/x?Signature=s",
        "https://s3.us-west-2.amazonaws.com/us-west-2-recallai-production-bot-data/_workspace-1/a%20b.json?Signature=s",
        "https://us-west-2.recall.ai/api/v1/download/transcript?token=t",
        "https://us-west-2.recall.ai/api/v1/download/participant_events/?token=t",
        "https://cdn.recall.ai/x",
    ] {
        guard.parse(good).expect(good);
    }
}

#[test]
fn regions_have_their_own_buckets() {
    for region in REGIONS {
        let guard = guard([("RECALL_REGION", region)]);
        let bucket = if region == "us-east-1" { String::new() } else { format!("{region}-") };
        let bucket = format!("{bucket}recallai-production-bot-data");
        for good in [
            format!("https://{bucket}.s3.amazonaws.com/x"),
            format!("https://{bucket}.s3.{region}.amazonaws.com/x"),
            format!("https://s3.{region}.amazonaws.com/{bucket}/x"),
            format!("https://{region}.recall.ai/api/v1/download/transcript?token=t"),
        ] {
            guard.parse(&good).expect(&good);
            let others = REGIONS.into_iter().filter(|other| *other != region);
            for other in others {
                self::guard([("RECALL_REGION", other)]).parse(&good).expect_err(&good);
            }
            self::guard([("RECALL_BASE_URL", "https://proxy.example")])
                .parse(&good)
                .expect("without a region, all regions are allowed");
        }
    }
}

#[test]
fn other_urls_do_not_pass() {
    let guard = guard([("RECALL_REGION", "us-west-2")]);
    for bad in [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://us-west-2-recallai-production-bot-data.s3.amazonaws.com/x",
        "http://us-west-2-recallai-production-bot-data.s3.amazonaws.com/x",
        "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com:8443/x",
        "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com.evil.example/x",
        "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com@evil.example/x",
        "https://user@us-west-2-recallai-production-bot-data.s3.amazonaws.com/x",
        "https://us-west-2-recallai-production-bot-data.s3.amazonaws.com./x",
        "https://us-west-2-recallai-production-bot-data.s3.eu-central-1.amazonaws.com/x",
        "https://eu-central-1-recallai-production-bot-data.s3.amazonaws.com/x",
        "https://s3.amazonaws.com/us-west-2-recallai-production-bot-data/x",
        "https://evil.example/x",
        "https://recall.ai/api/v1/download/transcript",
        "https://api.recall.ai/api/v1/download/transcript",
        "https://us-west-2.recall.ai.evil.example/api/v1/download/transcript",
        "https://169.254.169.254/latest/meta-data/",
        "https://0xa9fea9fe/",
        "https://[::ffff:169.254.169.254]/",
        "https://2852039166/",
        "https://127.0.0.1/",
        "https://localhost/",
        "http://localhost/",
    ] {
        guard.parse(bad).expect_err(bad);
    }
}

#[test]
fn paths_outside_the_folder_do_not_pass() {
    let guard = guard([("RECALL_REGION", "us-west-2"), ("DOWNLOAD_HOSTS", "eu-central-1.recall.ai,api.recall.ai")]);
    let hosts = ["us-west-2.recall.ai", "eu-central-1.recall.ai", "api.recall.ai"];
    let places = hosts.map(|host| (host, "/api/v1/download".to_owned()));
    let style = [("s3.us-west-2.amazonaws.com", format!("/{BUCKET}"))];
    for (host, folder) in places.into_iter().chain(style) {
        let url = |path: &str| format!("https://{host}{path}");
        guard.parse(&url(&format!("{folder}/transcript?token=a/../b"))).expect("the folder itself");
        for bad in [
            "/".to_owned(),
            "/api/v1/bot/".to_owned(),
            "/another-bucket/x".to_owned(),
            folder.clone(),
            format!("{folder}/"),
            format!("{folder}-too/x"),
            format!("{}/x", folder.to_uppercase()),
            format!("/{folder}/x"),
            format!("{folder}//x"),
            format!("{folder}/x//y"),
            format!("{folder}/../x"),
            format!("{folder}/%2e%2e/x"),
            format!("{folder}/.%2E/x"),
            format!("{folder}/x/..\\../../y"),
            format!("{folder}/..%2fx"),
            format!("{folder}/..%5Cx"),
            format!("{folder}/x%2fy"),
            format!("{folder}/..;/x"),
            format!("{folder}/%252e%252e/x"),
            format!("/x/..{folder}%2fx"),
        ] {
            assert_eq!(guard.parse(&url(&bad)), Err(Forbidden::Path(host.to_owned())), "{bad}");
        }
        let path = format!("{folder}/x");
        for (bad, why) in [
            (format!("http://{host}{path}"), Forbidden::NotHttps),
            (format!("https://{host}:444{path}"), Forbidden::HasPort),
            (format!("https://:x@{host}{path}"), Forbidden::HasUser),
            (format!("https://{host}.{path}"), Forbidden::Host(format!("{host}."))),
        ] {
            assert_eq!(guard.parse(&bad), Err(why), "{bad}");
        }
    }
}

#[test]
fn errors_never_quote_path_query_or_user() {
    let guard = guard([("RECALL_REGION", "us-west-2")]);
    for bad in [
        "https://evil.example/secret?Signature=secret#secret",
        "https://user:secret@evil.example/secret",
        "http://evil.example/secret",
        "https://us-west-2.recall.ai/secret",
        "https://us-west-2.recall.ai:8443/secret",
        "https://10.0.0.1/secret",
        "secret",
    ] {
        let reason = guard.parse(bad).expect_err(bad).to_string();
        assert!(!reason.contains("secret"), "{reason}");
    }
    let long = format!("https://{}example/", "a.".repeat(120));
    assert!(guard.parse(&long).expect_err("another host").to_string().len() < 200);
}

#[test]
fn plain_address_passes_only_as_the_base_url_host() {
    let guard = guard([("RECALL_BASE_URL", "http://127.0.0.1:4010")]);
    guard.parse("http://127.0.0.1:4011/x").expect("the simulator");
    assert_eq!(guard.parse("http://127.0.0.2:4011/x").err(), Some(Forbidden::NotHttps));
    assert_eq!(guard.parse("https://10.0.0.1/x").err(), Some(Forbidden::IpAddress));
    assert_eq!(guard.parse("ftp://127.0.0.1/x").err(), Some(Forbidden::NotHttps));
}

#[test]
fn base_url_over_https_allows_its_host_only_over_https() {
    let guard = guard([("RECALL_BASE_URL", "https://proxy.example:8443/recall")]);
    guard.parse("https://proxy.example:8443/files/x").expect("the proxy");
    assert_eq!(guard.parse("http://proxy.example:8443/files/x").err(), Some(Forbidden::NotHttps));
}

#[test]
fn base_url_on_the_api_host_allows_no_other_path() {
    for base in ["https://us-west-2.recall.ai", "https://api.recall.ai", "http://us-west-2.recall.ai"] {
        let guard = guard([("RECALL_REGION", "us-west-2"), ("RECALL_BASE_URL", base)]);
        guard.parse("https://us-west-2.recall.ai/api/v1/download/transcript?token=t").expect("a download");
        for bad in ["/api/v1/bot/", "/x", "/api/v1/download/../bot/"] {
            guard.parse(&format!("{base}{bad}")).expect_err(bad);
        }
    }
}

#[test]
fn localhost_may_be_plain_only_with_a_plain_base_url_on_loopback() {
    let local = [("RECALL_BASE_URL", "http://127.0.0.1:4010"), ("DOWNLOAD_HOSTS", "localhost,cdn.example")];
    guard(local).parse("http://localhost:4011/x").expect("the simulator's downloads");
    guard([("RECALL_BASE_URL", "http://[::1]:4010"), local[1]]).parse("http://localhost:4011/x").expect("over IPv6");
    for bad in ["http://cdn.example/x", "http://localhost.:4011/x", "http://a.localhost:4011/x", "http://[::1]:4011/x"]
    {
        assert_eq!(guard(local).parse(bad).err(), Some(Forbidden::NotHttps), "{bad}");
    }
    let plain = "http://localhost:4011/x";
    assert_eq!(guard([local[0]]).parse(plain).err(), Some(Forbidden::NotHttps), "localhost is not listed");
    for base in ["https://127.0.0.1:4010", "http://10.0.0.1:4010", "http://proxy.example"] {
        let guard = guard([("RECALL_BASE_URL", base), local[1]]);
        assert_eq!(guard.parse(plain).err(), Some(Forbidden::NotHttps), "{base}");
    }
    assert_eq!(guard([("RECALL_REGION", "us-west-2"), local[1]]).parse(plain).err(), Some(Forbidden::NotHttps));
}
