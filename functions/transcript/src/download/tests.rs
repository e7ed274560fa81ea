//! Downloads through redirects, from a server on this machine.

use pipeline::{
    env::{Env, Reader},
    settings::RecallSettings,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// Starts a server that redirects `/N` to `/N-1`, serves `/0`, and redirects `/away` to another host. Returns its URL.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            let path = String::from_utf8_lossy(&request[..length]).split(' ').nth(1).unwrap_or_default().to_owned();
            let location = match path.as_str() {
                "/0" => None,
                "/away" => Some("https://evil.example/".to_owned()),
                path => Some(format!("/{}", path[1..].parse::<u32>().expect("a number") - 1)),
            };
            let answer = match location {
                Some(location) => format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\n"),
                None => "HTTP/1.1 200 OK\r\n".to_owned(),
            };
            let answer = format!("{answer}content-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("a reader");
        }
    });
    url
}

async fn open(path: &str) -> Result<StatusCode, DownloadError> {
    let url = server().await;
    let env = Env::from_pairs([("RECALL_BASE_URL", &*url)]);
    let downloads = Downloads::new(&RecallSettings::read(&mut Reader::new(&env))).expect("a client");
    downloads.open(&Secret::new(format!("{url}{path}"))).await.map(|response| response.status())
}

#[tokio::test]
async fn few_redirects_are_followed() {
    for path in ["/0", "/1", "/3"] {
        assert_eq!(open(path).await.expect("it is served"), StatusCode::OK, "{path}");
    }
    for path in ["/4", "/9"] {
        let refused = open(path).await;
        assert!(matches!(refused, Err(DownloadError::Refused(StatusCode::FOUND))), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn redirect_to_another_host_is_not_followed() {
    let refused = open("/away").await;
    assert!(matches!(&refused, Err(DownloadError::Forbidden(Forbidden::Host(host))) if host == "evil.example"));
}
