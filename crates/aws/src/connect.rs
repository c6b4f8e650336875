//! The clients of one account and region, made from the standard files and variables, with every limit named.

use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::surroundings::Tenure;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::{RequestChecksumCalculation, StalledStreamProtectionConfig};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::calls::Call;
use crate::credentials::Held;
use crate::error::ask;
use crate::evidence::MeasuredBy;
use crate::pace::{Allowance, Clock};

/// To reach AWS at all.
const CONNECT_AT_MOST: Duration = Duration::from_millis(3100);
/// One try of a read. The engine gives a whole look 15 s, and a look may read in three rounds.
const READ_TRY_AT_MOST: Duration = Duration::from_secs(4);
/// All tries of a read together.
const READ_AT_MOST: Duration = Duration::from_secs(10);
/// Tries of a read, with the SDK's back-off between them.
const READ_TRIES: u32 = 3;
/// A change: one try, below the 15 s that the engine gives a step. The loop is the retry: it looks before it tries
/// again, which a retry inside the SDK cannot, and `CreateRule` has no token that would make one harmless.
const CHANGE_AT_MOST: Duration = Duration::from_secs(12);
/// A part of 8 MiB at the slowest uplink that still finishes a file in time.
const PART_AT_MOST: Duration = Duration::from_secs(300);
/// Tries of a part; its bytes are kept in memory until it is accepted.
const PART_TRIES: u32 = 5;

/// How an account's logs name us where we act in a role.
const SESSION: &str = "arya";

/// Which account and region, and as whom.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSettings {
    /// A profile of the standard files; `None` = what the environment says.
    pub profile: Option<String>,
    /// A role that is taken on by whoever the profile or the environment says we are.
    pub role_arn: Option<String>,
    /// `None` = the profile's or the environment's.
    pub region: Option<String>,
    /// Another endpoint for every service; `None` = what the environment says, as a rule AWS itself.
    pub endpoint: Option<String>,
    /// Where evidence is read.
    pub measured_by: MeasuredBy,
    /// Credentials that do not come from the standard places.
    pub credentials: Option<SharedCredentialsProvider>,
    /// How often an account may be asked; `None` = as its endpoint is AWS's or somebody's own.
    pub allowance: Option<Allowance>,
    pub clock: Clock,
}

/// Who we are to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// The ARN of the user or the assumed role.
    pub arn: String,
    pub region: String,
}

/// The clients. Reads are retried by the SDK, changes are not.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) reading: Services,
    pub(crate) changing: Services,
    /// For parts of files: long tries, several of them.
    pub(crate) sending: Files,
    /// For presigned URLs: a checksum of the body cannot be signed before there is one.
    pub(crate) signing: Files,
    pub(crate) region: String,
    /// Another endpoint than AWS's own; empty for AWS's.
    pub(crate) endpoint: String,
    held: Option<Held>,
    sts: aws_sdk_sts::Client,
}

#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) s3: aws_sdk_s3::Client,
}

#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) s3: aws_sdk_s3::Client,
}

impl Clients {
    pub(crate) async fn new(settings: &ConnectionSettings) -> Result<Self, CloudError> {
        let (base, held) = renewed_early(load(settings).await);
        let Some(region) = base.region().map(ToString::to_string) else {
            return Err(CloudError::refused(
                "No region is set for the connection. Nothing was asked.",
                "Name one in the connection, in the profile, or in AWS_REGION.",
            ));
        };
        let reads = limited(&base, READ_TRIES, READ_TRY_AT_MOST, READ_AT_MOST);
        let changes = limited(&base, 1, CHANGE_AT_MOST, CHANGE_AT_MOST);
        let parts = limited(&base, PART_TRIES, PART_AT_MOST, PART_AT_MOST * PART_TRIES);
        Ok(Self {
            sts: aws_sdk_sts::Client::new(&reads),
            sending: Files {
                s3: s3(&parts, RequestChecksumCalculation::WhenSupported),
            },
            signing: Files {
                s3: s3(&base, RequestChecksumCalculation::WhenRequired),
            },
            reading: Services::new(&reads),
            changing: Services::new(&changes),
            endpoint: base.endpoint_url().unwrap_or_default().to_owned(),
            region,
            held,
        })
    }

    /// The end of the credentials that sign now, whether others follow or not.
    pub(crate) async fn session_ends(&self) -> Option<arya_judge::Timestamp> {
        match &self.held {
            Some(held) => held.session_ends().await,
            None => None,
        }
    }

    /// How long the credentials hold.
    pub(crate) async fn tenure(&self) -> Tenure {
        match &self.held {
            Some(held) => held.tenure().await,
            None => Tenure::Lasting,
        }
    }

    /// The name of the key that signs now; `None` where there are no credentials.
    pub(crate) async fn key(&self) -> Option<String> {
        match &self.held {
            Some(held) => held.key().await,
            None => None,
        }
    }

    /// The credentials are those of the identity that was just told.
    pub(crate) async fn note_key(&self) {
        if let Some(held) = &self.held {
            held.note_key(held.unknown_key().await).await;
        }
    }

    /// Whoever logged in since must have come to the same account: seen from another one nothing of ours stands.
    pub(crate) async fn still(&self, known: &Identity) -> Result<(), CloudError> {
        let Some(held) = &self.held else { return Ok(()) };
        let Some(key) = held.unknown_key().await else {
            return Ok(());
        };
        let now = self.identity().await?;
        if now.account != known.account {
            return Err(other_account(&now.account, &known.account, &known.region));
        }
        held.note_key(Some(key)).await;
        Ok(())
    }

    pub(crate) async fn identity(&self) -> Result<Identity, CloudError> {
        let answer = ask(Call::GetCallerIdentity, self.sts.get_caller_identity().send()).await?;
        Ok(Identity {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
            region: self.region.clone(),
        })
    }
}

impl Identity {
    /// A listener's ARN says where it stands; what is no ARN says nothing.
    pub(crate) fn has(&self, listener: &str) -> Result<(), CloudError> {
        let mut fields = listener.split(':').skip(3);
        let (Some(region), Some(account)) = (fields.next(), fields.next()) else {
            return Ok(());
        };
        if (region, account) == (&self.region, &self.account) {
            return Ok(());
        }
        Err(other_account(
            &format!("{} ({})", self.account, self.region),
            account,
            region,
        ))
    }
}

fn other_account(ours: &str, wanted: &str, region: &str) -> CloudError {
    CloudError::refused(
        format!(
            "The connection is to account {ours}, and the deployment stands in account {wanted} ({region}). Nothing was \
             looked at or changed."
        ),
        format!("Log in to account {wanted}, or have the connection name it."),
    )
}

impl Services {
    fn new(config: &SdkConfig) -> Self {
        Self {
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            s3: s3(config, RequestChecksumCalculation::WhenSupported),
        }
    }
}

/// The behaviour is pinned: a newer SDK must not change retries or time-outs under us.
async fn load(settings: &ConnectionSettings) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https());
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(credentials) = &settings.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    let base = loader.load().await;
    match &settings.role_arn {
        Some(role) => in_role(&base, role).await,
        None => base,
    }
}

/// The same as somebody else: the role's credentials are asked for anew before they end.
async fn in_role(base: &SdkConfig, role: &str) -> SdkConfig {
    let provider = AssumeRoleProvider::builder(role).session_name(SESSION).configure(base);
    let credentials = SharedCredentialsProvider::new(provider.build().await);
    base.clone().into_builder().credentials_provider(credentials).build()
}

/// The same with credentials that are renewed long before they end. The SDK would keep them to the last seconds.
fn renewed_early(base: SdkConfig) -> (SdkConfig, Option<Held>) {
    let Some(source) = base.credentials_provider() else {
        return (base, None);
    };
    let held = Held::new(source);
    let builder = base.into_builder();
    let builder = builder.credentials_provider(SharedCredentialsProvider::new(held.clone()));
    (builder.identity_cache(IdentityCache::no_cache()).build(), Some(held))
}

/// TLS by ring, and the proxy that the environment names, if any.
fn https() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build()
    })
}

fn limited(base: &SdkConfig, tries: u32, one: Duration, all: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_AT_MOST)
        .operation_attempt_timeout(one)
        .operation_timeout(all)
        .build();
    base.clone()
        .into_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(tries))
        .timeout_config(timeouts)
        .build()
}

fn s3(config: &SdkConfig, checksums: RequestChecksumCalculation) -> aws_sdk_s3::Client {
    // A server of one's own has no name for every bucket.
    let own_server = config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(own_server)
        .request_checksum_calculation(checksums)
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_another_account_or_region_is_not_looked_for_here() {
        let identity = Identity {
            account: "123456789012".into(),
            arn: String::new(),
            region: "eu-west-1".into(),
        };
        let listener = |region: &str, account: &str| {
            format!("arn:aws:elasticloadbalancing:{region}:{account}:listener/app/shop/50dc/f2f7")
        };
        assert_eq!(identity.has(&listener("eu-west-1", "123456789012")), Ok(()));
        assert_eq!(identity.has(""), Ok(()), "nothing is said of where it stands");
        for (region, account) in [("us-east-1", "123456789012"), ("eu-west-1", "210987654321")] {
            let error = identity.has(&listener(region, account)).unwrap_err().to_string();
            assert!(error.contains(region) && error.contains(account), "{error}");
        }
    }
}
