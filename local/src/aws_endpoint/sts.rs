//! STS: `GetCallerIdentity`, with which a command shows whose account it works on.

use axum::{Router, body::Bytes, response::Response};

use super::answers::{Form, Protocol, not_available, query_result};
use crate::ACCOUNT_ID;

pub(super) fn router() -> Router {
    Router::new().fallback(answer)
}

async fn answer(body: Bytes) -> Response {
    let form = Form::read(&body);
    match form.action() {
        "GetCallerIdentity" => query_result(
            "GetCallerIdentity",
            &format!(
                "<Arn>arn:aws:iam::{ACCOUNT_ID}:user/local</Arn><UserId>local</UserId><Account>{ACCOUNT_ID}</Account>"
            ),
        ),
        other => not_available(Protocol::Query, &format!("sts:{other}")),
    }
}
