//! Which stand-in a call reaches, and what is refused.

use super::*;

#[tokio::test]
async fn each_service_is_reached_and_recorded() -> Result<()> {
    let lab = Lab::start().await?;
    let (wire, aws) = (&lab.stack.wire, &lab.aws);

    let id = "0b8e2b1a-6c5e-4c6e-9f1d-2f3a4b5c6d7e";
    let (table, key) = (aws.dynamodb(), AttributeValue::S(id.to_owned()));
    table.put_item().table_name(lab.output("TableName").await?).item("recording_id", key).send().await?;
    ensure!(lab.stack.dynamodb.item(JOBS_TABLE, id)?.is_some());
    assert_eq!(wire.count(Service::DynamoDb, "PutItem"), 1);

    // Without path style in its configuration: the SDK finds out by itself that a bucket cannot be part of an address.
    let s3 = aws_sdk_s3::Client::new(&aws.service("S3").0);
    let (bucket, body) = (lab.output("BucketName").await?, ByteStream::from_static(b"hello"));
    s3.put_object().bucket(&bucket).key("k").body(body).send().await?;
    assert_eq!(lab.stack.s3.object("k")?.as_deref(), Some(&b"hello"[..]));
    assert_eq!(s3.list_objects_v2().bucket(&bucket).send().await?.contents().len(), 1);
    assert_eq!(wire.count(Service::S3, BUCKET), 2);
    // A signed URL, as a browser opens it.
    let hour = PresigningConfig::expires_in(Duration::from_secs(3600))?;
    let signed = s3.get_object().bucket(&bucket).key("k").presigned(hour).await?;
    assert_eq!(send(Request::get(signed.uri()), "").await?, (200, "hello".into()));

    // The URL of a queue names the port of its stand-in. The SDK sends the call to the endpoint all the same.
    let (sqs, url) = (aws.sqs(), lab.output("DeadLetterQueueUrl").await?);
    sqs.send_message().queue_url(&url).message_body("{}").send().await?;
    let received = sqs.receive_message().queue_url(&url).send().await?;
    assert_eq!(received.messages().len(), 1);
    let handle = received.messages()[0].receipt_handle().context("no handle")?;
    sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await?;
    assert_eq!(
        sqs.get_queue_url().queue_name(WORK_QUEUE).send().await?.queue_url,
        Some(lab.output("WorkQueueUrl").await?)
    );
    ensure!(wire.count(Service::Sqs, "") == 4);

    let secret = aws.secrets_manager().get_secret_value().secret_id(lab.output("SecretArn").await?).send().await?;
    ensure!(secret.secret_string().is_some_and(|text| text.contains("webhook_secrets")));
    assert_eq!(wire.count(Service::Secrets, "GetSecretValue"), 1);

    let entry = PutEventsRequestEntry::builder().event_bus_name(EVENT_BUS).source("test").detail_type("x").detail("{}");
    aws.event_bridge().put_events().entries(entry.build()).send().await?;
    assert_eq!(lab.stack.bus.events().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_has_no_stand_in_is_refused_in_each_protocol_and_not_tried_again() -> Result<()> {
    let lab = Lab::start().await?;
    let credential =
        |service: &str| format!("AWS4-HMAC-SHA256 Credential=x/20261201/us-east-1/{service}/aws4_request, x");
    let post = async |headers: &[(&str, &str)]| {
        let request = Request::post(lab.stack.aws.url());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        send(request, "Action=ListUsers").await
    };
    let (iam, logs, monitoring) = (credential("iam"), credential("logs"), credential("monitoring"));
    let (status, body) =
        post(&[("authorization", &iam), ("content-type", "application/x-www-form-urlencoded; charset=utf-8")]).await?;
    let body = String::from_utf8(body.into())?;
    assert_eq!(status, 501);
    ensure!(body.contains("<Code>NotAvailableLocally</Code>") && body.contains("service \"iam\""), "{body}");

    let (status, body) = post(&[("authorization", &logs), ("x-amz-target", "Logs_20140328.X")]).await?;
    let body: Value = serde_json::from_slice(&body)?;
    let message = "There is no stand-in for the service \"logs\".";
    assert_eq!((status, body), (501, json!({"__type": "NotAvailableLocally", "message": message})));

    let (status, body) = post(&[("authorization", &monitoring), ("smithy-protocol", "rpc-v2-cbor")]).await?;
    let expected = b"\xA2\x66__type\x73NotAvailableLocally\x67message\x78\x32There is no stand-in for";
    ensure!(status == 501 && body.starts_with(expected), "{body:?}");
    assert_eq!(lab.stack.wire.count(Service::Unavailable, ""), 3);
    Ok(())
}

#[tokio::test]
async fn an_unsigned_call_and_a_foreign_name_are_refused() -> Result<()> {
    let lab = Lab::start().await?;
    let (status, body) = send(Request::get(lab.stack.aws.url()), "").await?;
    let body: Value = serde_json::from_slice(&body)?;
    assert_eq!((status, &body["__type"]), (403, &json!("MissingAuthenticationToken")));

    let signed = "AWS4-HMAC-SHA256 Credential=x/20261201/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0";
    let call = |host: &'static str| {
        let request = Request::post(lab.stack.aws.url()).header("authorization", signed).header("host", host);
        send(request.header("content-type", "application/x-www-form-urlencoded"), "Action=GetCallerIdentity")
    };
    assert_eq!(call("localhost:1").await?.0, 200);
    let (status, body) = call("example.com").await?;
    ensure!(status == 403 && String::from_utf8_lossy(&body).contains("<Code>AccessDenied</Code>"));
    Ok(())
}

#[test]
fn the_signature_names_the_service() {
    let of = |authorization: Option<&str>, uri: &str| {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().expect("a value"));
        }
        signed_for(&headers, &uri.parse().expect("a URI"))
    };
    let found = Some("s3".to_owned());
    assert_eq!(
        of(Some("AWS4-HMAC-SHA256 Credential=a/20261201/eu-west-1/s3/aws4_request, SignedHeaders=x"), "/"),
        found
    );
    // Without a space after the comma, and without a region.
    assert_eq!(of(Some("AWS4-HMAC-SHA256 Credential=a/20261201/eu-west-1/s3/aws4_request,x"), "/"), found);
    assert_eq!(of(Some("AWS4-ECDSA-P256-SHA256 Credential=a/20261201/s3/aws4_request, x"), "/"), found);
    assert_eq!(of(None, "/b/k?X-Amz-Credential=a%2F20261201%2Feu-west-1%2Fs3%2Faws4_request&x=1"), found);
    for (authorization, uri) in [
        (None, "/"),
        (None, "/?X-Amz-Credential=a%2F20261201%2Feu-west-1%2Fsecretsmanager%2Faws4_request"),
        (None, "/?X-Amz-Credential=s3"),
        (Some("Bearer x"), "/"),
        (Some("AWS4-HMAC-SHA256 Credential=a/20261201/eu-west-1/s3/aws3_request"), "/"),
        (Some("AWS4-HMAC-SHA256 Credential=aws4_request"), "/"),
        (Some("AWS4-HMAC-SHA256 Credential=a//aws4_request"), "/"),
    ] {
        assert_eq!(of(authorization, uri), None, "{authorization:?} {uri}");
    }
}
