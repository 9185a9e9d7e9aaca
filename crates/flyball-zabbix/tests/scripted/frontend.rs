//! A scripted frontend that records every call.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use flyball_zabbix::{Api, ApiSettings, ApiToken, ApiUrl, TlsSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A frontend, and all that it was asked.
pub(crate) struct Frontend {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Frontend {
    /// One of this version. Where `answer` gives `null` it answers as an empty Zabbix would: lists
    /// are empty, and whatever is made has the id 1.
    pub(crate) async fn start(
        version: &'static str,
        answer: impl Fn(&str, &Value) -> Value + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&calls);
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let call = read(&mut stream).await;
                let (method, params) = (call["method"].as_str().unwrap(), &call["params"]);
                let result = match method {
                    "apiinfo.version" => version.into(),
                    _ => match answer(method, params) {
                        Value::Null => of_an_empty_zabbix(method),
                        answer => answer,
                    },
                };
                kept.lock().unwrap().push((method.to_owned(), params.clone()));
                let body =
                    json!({ "jsonrpc": "2.0", "result": result, "id": call["id"] }).to_string();
                let head = format!("content-length: {}\r\nconnection: close", body.len());
                let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
                let _gone = stream.write_all(text.as_bytes()).await;
            }
        });
        Self { address, calls }
    }

    pub(crate) async fn api(&self) -> Api {
        let url = format!("http://{}/api_jsonrpc.php", self.address);
        let settings = ApiSettings {
            url: ApiUrl::parse(&url).unwrap(),
            token: ApiToken::new("0123456789abcdef").unwrap(),
            tls: TlsSettings::default(),
            limit: None,
        };
        Api::open(settings).await.unwrap()
    }

    /// What `method` was called with, each time.
    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        let of_method = calls.iter().filter(|(name, _)| name == method);
        of_method.map(|(_, params)| params.clone()).collect()
    }

    /// The methods that change something, in the order in which they were called.
    pub(crate) fn changes(&self) -> Vec<String> {
        let changing = |name: &str| {
            ["create", "update", "delete", "import"]
                .iter()
                .any(|end| name.ends_with(&format!(".{end}")))
        };
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(name, _)| name.clone()).filter(|name| changing(name)).collect()
    }
}

fn of_an_empty_zabbix(method: &str) -> Value {
    if !method.ends_with(".create") {
        return json!([]);
    }
    let ids = ["hostids", "groupids", "usrgrpids", "userids", "mediatypeids", "actionids"];
    ids.iter().map(|name| ((*name).to_owned(), json!(["1"]))).collect()
}

async fn read(stream: &mut TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 65_536];
        let count = stream.read(&mut more).await.unwrap();
        assert!(count > 0, "the call ends early: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&more[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(call) = serde_json::from_str(body) {
            return call;
        }
    }
}
