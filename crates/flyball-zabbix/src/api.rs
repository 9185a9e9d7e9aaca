//! Zabbix's JSON-RPC API, from 6.0 to 7.4. The version is requested first and without a token, as
//! Zabbix requires. No message contains the token.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flyball_net::TlsSettings;
use serde_json::{Value, json};

use crate::error::{ZabbixError, start_of};
use crate::http::{ApiUrl, Http};
use crate::version::Version;

/// An import of a template takes a second or two; a busy frontend ten times that.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// An API token, or a session's id. `Debug` does not show it.
#[derive(Clone)]
pub struct ApiToken(String);

impl ApiToken {
    /// The token in `text`, without the white space around it; `None` if nothing is left or it
    /// holds what no token has.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    /// For where it must be said.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}

/// Where the API is and how it is asked.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Its address.
    pub url: ApiUrl,
    /// Who asks.
    pub token: ApiToken,
    /// Whom to trust, for https.
    pub tls: TlsSettings,
    /// The longest that one call may take; `None`: 30 s, which suits an import.
    pub limit: Option<Duration>,
}

/// The API of one Zabbix, whose version is known.
#[derive(Debug)]
pub struct Api {
    http: Http,
    token: ApiToken,
    version: Version,
    /// Calls that were made.
    calls: AtomicU64,
}

impl Api {
    /// Asks which version is there.
    ///
    /// # Errors
    /// Nothing answers, something else answers, or the version is older than 6.0.
    pub async fn open(settings: ApiSettings) -> Result<Self, ZabbixError> {
        let limit = settings.limit.unwrap_or(CALL_LIMIT);
        let http = Http::new(settings.url, &settings.tls, limit)?;
        let version = Version::OLDEST;
        let mut api = Self { http, token: settings.token, version, calls: AtomicU64::new(0) };
        let answer = api.ask("apiinfo.version", json!([]), None, None).await?;
        let text = answer.as_str().unwrap_or_default();
        let found = Version::parse(text).ok_or_else(|| ZabbixError::NotApi {
            url: api.http.url.to_string(),
            why: format!("its version is {answer}"),
        })?;
        if found < Version::OLDEST {
            let url = api.http.url.to_string();
            return Err(ZabbixError::TooOld { version: text.to_owned(), url });
        }
        api.version = found;
        Ok(api)
    }

    /// Which Zabbix it is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where it is.
    pub fn url(&self) -> &ApiUrl {
        &self.http.url
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls `method` and gives its result.
    ///
    /// # Errors
    /// Zabbix cannot be asked, or refuses.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ZabbixError> {
        let token = self.token.0.as_str();
        if self.version.has_bearer() {
            self.ask(method, params, Some(token), None).await
        } else {
            self.ask(method, params, None, Some(token)).await
        }
    }

    /// The same, for a method that gives a list.
    ///
    /// # Errors
    /// As [`Self::call`], or it gave no list.
    pub async fn list(&self, method: &str, params: Value) -> Result<Vec<Value>, ZabbixError> {
        match self.call(method, params).await? {
            Value::Array(list) => Ok(list),
            other => Err(self.not_api(format!("{method} gave {}", kind(&other)))),
        }
    }

    /// The same, for a method that makes something: the first id under `name`.
    ///
    /// # Errors
    /// As [`Self::call`], or it gave no such id.
    pub async fn make(
        &self,
        method: &str,
        params: Value,
        name: &str,
    ) -> Result<String, ZabbixError> {
        let made = self.call(method, params).await?;
        let id = made.get(name).and_then(|ids| ids.get(0)).and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| self.not_api(format!("{method} gave no {name}")))
    }

    async fn ask(
        &self,
        method: &str,
        params: Value,
        bearer: Option<&str>,
        auth: Option<&str>,
    ) -> Result<Value, ZabbixError> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let mut call = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id });
        if let Some(auth) = auth {
            call["auth"] = auth.into();
        }
        let answer = self.http.post(call.to_string(), bearer).await?;
        let url = self.http.url.to_string();
        if answer.status() != 200 {
            return Err(ZabbixError::Status { url, status: answer.status().as_u16() });
        }
        let mut json: Value = serde_json::from_slice(answer.body())
            .map_err(|_| ZabbixError::NotJson { url, start: start_of(answer.body()) })?;
        if let Some(error) = json.get("error") {
            return Err(self.refusal(method, error));
        }
        if json.get("id") != Some(&Value::from(id)) {
            return Err(self.not_api("its answer has another call's id".to_owned()));
        }
        let result = json.get_mut("result").map(Value::take);
        result.ok_or_else(|| self.not_api("its answer has neither result nor error".to_owned()))
    }

    fn not_api(&self, why: String) -> ZabbixError {
        ZabbixError::NotApi { url: self.http.url.to_string(), why }
    }

    /// What an error of Zabbix's means. Its codes are few, so the words decide, in the spellings
    /// of all versions.
    fn refusal(&self, method: &str, error: &Value) -> ZabbixError {
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let message = match text("data") {
            "" => text("message"),
            data => data,
        };
        let message = start_of(message.as_bytes());
        let (url, method) = (self.http.url.to_string(), method.to_owned());
        let lower = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if error.get("code") == Some(&Value::from(1)) || says(&["connecting to database"]) {
            ZabbixError::NoDatabase { url, message }
        } else if says(&["re-login", "not authori", "token expired", "api token"]) {
            ZabbixError::Token { url, message }
        } else if says(&["no permissions"]) {
            ZabbixError::Rights { method, message }
        } else {
            ZabbixError::Call { method, message }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The text under `key`; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The list under `key`; empty where there is none.
pub(crate) fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
