//! Frontends that misbehave, and the differences between versions. No error contains the token.

use flyball_zabbix::{Api, ApiSettings, ApiToken, ApiUrl, TlsSettings, ZabbixError};
use serde_json::{Value, json};

use crate::peer::{Act, Peer, SHORT};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

async fn opened(peer: &Peer) -> Result<Api, ZabbixError> {
    let url = format!("http://{}/api_jsonrpc.php", peer.address);
    let settings = ApiSettings {
        url: ApiUrl::parse(&url).unwrap(),
        token: ApiToken::new(TOKEN).unwrap(),
        tls: TlsSettings::default(),
        limit: Some(SHORT),
    };
    Api::open(settings).await
}

fn page(status: &str, body: &str) -> Act {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    Act::Say(text.into_bytes())
}

/// The `id`-th answer of a frontend.
fn result(id: u64, result: Value) -> Act {
    page("200 OK", &json!({ "jsonrpc": "2.0", "result": result, "id": id }).to_string())
}

fn refusal(id: u64, code: i64, data: &str) -> Act {
    let error = json!({ "code": code, "message": "Invalid params.", "data": data });
    page("200 OK", &json!({ "jsonrpc": "2.0", "error": error, "id": id }).to_string())
}

/// Shows that opening ends in an error with a hint, whose text holds `part`.
async fn fails(act: Act, part: &str) {
    let error = opened(&Peer::start(vec![act]).await).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(part), "{text}");
    assert!(error.hint().is_some() && !text.contains(TOKEN), "{text}");
}

/// The error of a call that is answered by `act`.
async fn refused(act: Act) -> ZabbixError {
    let peer = Peer::start(vec![result(1, "6.0.14".into()), act]).await;
    let api = opened(&peer).await.unwrap();
    let error = api.call("host.get", json!({})).await.unwrap_err();
    assert!(error.hint().is_some() && !error.to_string().contains(TOKEN), "{error}");
    error
}

#[tokio::test]
async fn the_version_is_asked_first_and_without_the_token() {
    let peer = Peer::start(vec![result(1, "6.0.14".into()), result(2, json!([]))]).await;
    let api = opened(&peer).await.unwrap();
    assert_eq!(api.version().to_string(), "6.0");
    api.call("host.get", json!({})).await.unwrap();
    let received = peer.received();
    assert!(
        received[0].contains("apiinfo.version") && !received[0].contains(TOKEN),
        "{}",
        received[0]
    );
    assert!(received[1].contains(&format!("\"auth\":\"{TOKEN}\"")), "{}", received[1]);
    assert!(!received[1].contains("authorization"), "{}", received[1]);
    assert!(!format!("{api:?}").contains(TOKEN));
}

#[tokio::test]
async fn from_6_4_on_the_token_is_in_a_header_alone() {
    for version in ["6.4.0", "7.0.3", "7.4.1", "8.0.0alpha1"] {
        let peer = Peer::start(vec![result(1, version.into()), result(2, json!([]))]).await;
        opened(&peer).await.unwrap().call("host.get", json!({})).await.unwrap();
        let received = &peer.received()[1];
        assert!(received.contains(&format!("authorization: Bearer {TOKEN}")), "{received}");
        assert!(!received.contains("\"auth\""), "{received}");
    }
}

#[tokio::test]
async fn version_5_is_refused() {
    fails(result(1, "5.0.46".into()), "Zabbix 5.0.46 at http://127.0.0.1").await;
    fails(result(1, "many".into()), "its version is \"many\"").await;
}

#[tokio::test]
async fn a_frontend_that_misbehaves_is_one_clear_error() {
    fails(Act::Silent, "did not answer within 300 ms").await;
    fails(Act::HangUp, "was cut off").await;
    fails(page("412 Precondition Failed", ""), "HTTP status 412").await;
    fails(page("404 Not Found", "<html>"), "HTTP status 404").await;
    fails(page("301 Moved Permanently", ""), "HTTP status 301").await;
    fails(page("200 OK", "<!DOCTYPE html>\n<html>"), "other than JSON: \"<!DOCTYPE html> <html>\"")
        .await;
    fails(page("200 OK", "{}"), "another call's id").await;
    fails(page("200 OK", "[1]"), "another call's id").await;
    fails(result(7, "6.0.14".into()), "another call's id").await;
    fails(Act::Say(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "not HTTP").await;
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\"".to_vec();
    fails(Act::Say(short.clone()), "was cut off").await;
    fails(Act::SayAndWait(short), "did not answer within").await;
    let huge = b"HTTP/1.1 200 OK\r\ncontent-length: 17179869184\r\n\r\n{".to_vec();
    fails(Act::SayAndWait(huge), "announces an answer of 17179869184 bytes").await;
}

#[tokio::test]
async fn errors_of_zabbix_are_distinguished_in_all_spellings() {
    for words in ["Session terminated, re-login, please.", "Not authorized.", "Not authorised."] {
        let error = refused(refusal(2, -32602, words)).await;
        assert!(matches!(error, ZabbixError::Token { .. }), "{error:?}");
    }
    let words = "No permissions to referred object or it does not exist!";
    let error = refused(refusal(2, -32500, words)).await;
    assert_eq!(error.to_string(), format!("the token's user may not call host.get: {words}"));
    let error = refused(refusal(2, 1, "Error connecting to database.")).await;
    assert!(matches!(error, ZabbixError::NoDatabase { .. }) && error.may_pass());
}
