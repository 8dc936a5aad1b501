//! From a URL and the environment to an object store.
//!
//! Credentials come from the environment and the places it names, never from the URL.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{ClientOptions, HeaderMap, HeaderValue, RetryConfig};
use reqwest::header::AUTHORIZATION;
use url::Url;

use super::attempts::Limits;
use super::failure::WatchedConnector;
use super::profile::profile;
use super::webdav::WebDav;
use super::{Backend, CloudStore};
use crate::store::url::{OpenError, StoreOptions, shown};

const AGENT: &str = concat!("dag/", env!("CARGO_PKG_VERSION"));

/// Opens the store of a URL whose scheme is s3, gs, az, http or https.
pub(crate) fn open(url: &Url, options: &StoreOptions) -> Result<CloudStore, OpenError> {
    let refused = |reason: String| OpenError::Settings {
        url: shown(url),
        reason,
    };
    if url.fragment().is_some() {
        return Err(refused("a store's URL has no part behind `#`".to_owned()));
    }
    let web = matches!(url.scheme(), "http" | "https");
    if !web && (!url.username().is_empty() || url.password().is_some()) {
        return Err(refused(
            "credentials do not belong into a URL; they come from the environment".to_owned(),
        ));
    }
    let name = url.host_str().filter(|host| !host.is_empty());
    let name = name.ok_or_else(|| refused("it names no bucket, container or host".to_owned()))?;
    let prefix = Key::from_url_path(url.path().trim_matches('/'))
        .map_err(|_| refused("its path cannot be the beginning of names".to_owned()))?;
    let settings = Settings::of(url, options).map_err(refused)?;
    let backend = match url.scheme() {
        "s3" => settings.s3(name),
        "gs" => settings.gs(name),
        "az" => settings.az(name),
        _ => settings.web(url),
    }
    .map_err(refused)?;
    let mut place = shown(url);
    if let Some(endpoint) = settings.endpoint() {
        place = format!("{place} ({})", shown(&endpoint));
    }
    Ok(CloudStore {
        backend,
        prefix,
        place: place.into(),
        limits: Limits {
            small: options.small,
            silence: options.silence,
        },
        state: options.state.clone(),
    })
}

/// What is known when the client is built. Errors are sentences without secrets.
struct Settings<'a> {
    options: &'a StoreOptions,
    query: BTreeMap<String, String>,
}

impl<'a> Settings<'a> {
    fn of(url: &Url, options: &'a StoreOptions) -> Result<Self, String> {
        let known: &[&str] = match url.scheme() {
            "s3" => &["endpoint", "region"],
            "gs" | "az" => &["endpoint"],
            _ => &[],
        };
        let mut query = BTreeMap::new();
        for (key, value) in url.query_pairs() {
            if !known.contains(&&*key) {
                // The key is shown only if it cannot be a secret itself.
                let plain = key.len() < 20 && key.bytes().all(|byte| byte.is_ascii_alphabetic());
                let named = if plain {
                    format!("`?{key}=`")
                } else {
                    "a part behind `?`".to_owned()
                };
                return Err(match known {
                    [] => format!(
                        "{named} does not belong into this URL, which has nothing behind its path"
                    ),
                    known => format!(
                        "{named} is no setting of this store; there is {}",
                        known.join(", ")
                    ),
                });
            }
            query.insert(key.into_owned(), value.into_owned());
        }
        Ok(Self { options, query })
    }

    fn endpoint(&self) -> Option<Url> {
        Url::parse(self.query.get("endpoint")?).ok()
    }

    /// The endpoint's text; plain HTTP is spoken only with one that says so.
    fn checked_endpoint(&self) -> Result<Option<String>, String> {
        let Some(text) = self.query.get("endpoint") else {
            return Ok(None);
        };
        match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
                Err("`endpoint` begins with `http://` or `https://` and a host".to_owned())
            }
            Ok(url)
                if !url.username().is_empty()
                    || url.password().is_some()
                    || url.query().is_some() =>
            {
                Err("`endpoint` holds no credentials and no query".to_owned())
            }
            Ok(_) => Ok(Some(text.trim_end_matches('/').to_owned())),
            Err(_) => Err("`endpoint` is a URL such as `http://127.0.0.1:8333`".to_owned()),
        }
    }

    fn client(&self, plain_http: bool) -> ClientOptions {
        ClientOptions::new()
            .with_user_agent(HeaderValue::from_static(AGENT))
            .with_connect_timeout(self.options.connect)
            // Every attempt has its own time: see `attempts.rs`.
            .with_timeout_disabled()
            .with_allow_http(plain_http)
    }

    /// One attempt each: every retry is our own.
    fn retry(&self) -> RetryConfig {
        RetryConfig {
            max_retries: 0,
            retry_timeout: self.options.small,
            ..RetryConfig::default()
        }
    }

    /// The variables that begin with a prefix, as settings of a builder. Its unknown ones are for others.
    fn variables<K: FromStr>(&self, prefix: &str) -> Vec<(K, &'a str)> {
        let environment = &self.options.environment;
        environment
            .iter()
            .filter(|(name, value)| name.starts_with(prefix) && !value.is_empty())
            .filter_map(|(name, value)| {
                Some((name.to_ascii_lowercase().parse().ok()?, value.as_str()))
            })
            .collect()
    }

    fn variable(&self, name: &str) -> Option<&'a str> {
        let value = self.options.environment.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A builder's complaint, without anything that the environment holds.
    fn complaint(&self, error: &object_store::Error) -> String {
        let mut text = error.to_string();
        for value in self
            .options
            .environment
            .values()
            .filter(|value| value.len() > 3)
        {
            text = text.replace(value.as_str(), "…");
        }
        format!("what the environment says of it does not fit: {text}")
    }

    fn s3(&self, bucket: &str) -> Result<Backend, String> {
        let profile = profile(&self.options.environment)?;
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"]
            .into_iter()
            .find_map(|name| self.variable(name))
            .or_else(|| profile.get("region").map(String::as_str));
        let endpoint = match self.checked_endpoint()? {
            Some(endpoint) => Some(endpoint),
            None => ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
                .into_iter()
                .find_map(|name| self.variable(name))
                .or_else(|| profile.get("endpoint_url").map(String::as_str))
                .map(str::to_owned),
        };
        let plain_http = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_client_options(self.client(plain_http))
            .with_http_connector(WatchedConnector::default())
            .with_retry(self.retry())
            // One request an object: not every server knows the other one.
            .with_disable_bulk_delete(true);
        let from_profile = [
            ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
            ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
            ("aws_session_token", AmazonS3ConfigKey::Token),
        ];
        // Keys of the environment come without parts of the profile's.
        if self.variable("AWS_ACCESS_KEY_ID").is_none() {
            for (name, key) in from_profile {
                if let Some(value) = profile.get(name) {
                    builder = builder.with_config(key, value);
                }
            }
        }
        for (key, value) in self.variables("AWS_") {
            match key {
                AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::S3Endpoint => {}
                key => builder = builder.with_config(key, value),
            }
        }
        if let Some(region) = self.query.get("region").map(String::as_str).or(region) {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder
            .with_bucket_name(bucket)
            .build()
            .map_err(|error| self.complaint(&error))?;
        Ok(Backend::Cloud(Arc::new(store)))
    }

    fn gs(&self, bucket: &str) -> Result<Backend, String> {
        let endpoint = self.checked_endpoint()?;
        let plain_http = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_client_options(self.client(plain_http))
            .with_http_connector(WatchedConnector::default())
            .with_retry(self.retry());
        if let Some(path) = self.variable("SERVICE_ACCOUNT") {
            builder = builder.with_service_account_path(path);
        }
        for (key, value) in self.variables::<GoogleConfigKey>("GOOGLE_") {
            builder = builder.with_config(key, value);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint);
        }
        let store = builder
            .with_bucket_name(bucket)
            .build()
            .map_err(|error| self.complaint(&error))?;
        Ok(Backend::Cloud(Arc::new(store)))
    }

    fn az(&self, container: &str) -> Result<Backend, String> {
        let endpoint = match self.checked_endpoint()? {
            Some(endpoint) => Some(endpoint),
            None => ["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]
                .into_iter()
                .find_map(|name| self.variable(name))
                .map(str::to_owned),
        };
        let plain_http = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut builder = MicrosoftAzureBuilder::new()
            .with_client_options(self.client(plain_http))
            .with_http_connector(WatchedConnector::default())
            .with_retry(self.retry());
        // What Azure's own command line calls them.
        let plain = [
            ("AZURE_STORAGE_ACCOUNT", AzureConfigKey::AccountName),
            ("AZURE_STORAGE_KEY", AzureConfigKey::AccessKey),
            ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
        ];
        for (name, key) in plain {
            if let Some(value) = self.variable(name) {
                builder = builder.with_config(key, value);
            }
        }
        for (key, value) in self.variables::<AzureConfigKey>("AZURE_") {
            if key != AzureConfigKey::Endpoint {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder
            .with_container_name(container)
            .build()
            .map_err(|error| self.complaint(&error))?;
        Ok(Backend::Cloud(Arc::new(store)))
    }

    fn web(&self, url: &Url) -> Result<Backend, String> {
        let odd = || "its address cannot be used".to_owned();
        let mut root = url.clone();
        root.set_path("/");
        let mut headers = HeaderMap::new();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(AGENT)
                .connect_timeout(self.options.connect)
                .no_gzip()
        };
        // The client knows how a user and a password become a header, which it never shows.
        let request = builder()
            .build()
            .and_then(|client| client.get(root.clone()).build())
            .map_err(|_| odd())?;
        if let Some(value) = request.headers().get(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, value.clone());
        }
        root.set_username("").map_err(|()| odd())?;
        root.set_password(None).map_err(|()| odd())?;
        let objects = HttpBuilder::new()
            .with_url(root.as_str())
            .with_client_options(
                self.client(url.scheme() == "http")
                    .with_default_headers(headers.clone()),
            )
            .with_http_connector(WatchedConnector::default())
            .with_retry(self.retry())
            .build()
            .map_err(|error| self.complaint(&error))?;
        let reading = builder().default_headers(headers.clone()).build();
        let storing = builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Backend::Dav(Arc::new(WebDav {
            objects: Arc::new(objects),
            reading: reading.map_err(|_| odd())?,
            storing: storing.map_err(|_| odd())?,
            root,
        })))
    }
}
