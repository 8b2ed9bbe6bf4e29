//! Gets an access token with the generated client, uses it, and shows what each refusal looks like.
use std::{env, error, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use domo::{Client, Error, types};
use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};

mod domo {
    progenitor::generate_api!(spec = "domo-oauth.yaml");
}

/// Keeps the status of an answer that is not JSON; progenitor itself only says that the payload is invalid.
impl ClientHooks<()> for Client {
    async fn post<E>(&self, result: &reqwest::Result<reqwest::Response>, _: &OperationInfo) -> Result<(), Error<E>> {
        match result {
            Ok(answer) if !is_json(answer) => Err(Error::Custom(format!("status {}", answer.status().as_u16()))),
            _ => Ok(()),
        }
    }
}

fn is_json(answer: &reqwest::Response) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

fn http(authorization: &str) -> Result<reqwest::Client, Box<dyn error::Error>> {
    let mut value = HeaderValue::from_str(authorization)?;
    value.set_sensitive(true);
    Ok(reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]))
        .redirect(reqwest::redirect::Policy::none()) // never follow one with the credentials
        .timeout(Duration::from_secs(30))
        .build()?)
}

type Answer = Result<types::AccessTokenResponse, Error<types::TokenError>>;

/// Asks once.
async fn request_token(url: &str, secret: &str, scope: &str) -> Result<Answer, Box<dyn error::Error>> {
    let login = BASE64_STANDARD.encode(format!("{}:{secret}", env::var("DOMO_CLIENT_ID")?));
    let client = Client::new_with_client(url, http(&format!("Basic {login}"))?);
    let scope = scope.parse()?; // checked against the contract's pattern
    let answer = client.get_access_token(types::GetAccessTokenGrantType::ClientCredentials, Some(&scope)).await;
    Ok(answer.map(|token| token.into_inner()).map_err(|error| match error {
        // Its text is the whole answer, and perhaps a token.
        Error::InvalidResponsePayload(..) => Error::Custom("an answer that breaks the contract".into()),
        other => other,
    }))
}

/// Describes a refusal in one line: its status, and a field of the typed error if there is one.
fn refusal(answer: Answer, field: impl Fn(types::TokenError) -> Option<String>) -> String {
    match answer {
        Err(Error::ErrorResponse(refused)) => {
            let status = refused.status().as_u16();
            format!("status {status}, {}", field(refused.into_inner()).unwrap_or_default())
        }
        Err(Error::Custom(text)) => text,
        Err(other) => other.to_string(),
        Ok(_) => "it was not refused".into(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn error::Error>> {
    let url = env::var("DOMO_API_URL").unwrap_or("https://api.domo.com".into());
    let secret = env::var("DOMO_CLIENT_SECRET")?;

    let token = request_token(&url, &secret, "data user").await??;
    let text = Option::unwrap_or_default;
    println!("token: customer {}, role {}, scopes {}", text(token.customer), text(token.role), text(token.scope));
    let bearer = http(&format!("Bearer {}", *token.access_token))?;
    let answer = bearer.get(format!("{url}/v1/datasets")).send().await?;
    let status = answer.status().as_u16();
    let datasets: Vec<serde_json::Value> = answer.json().await?;
    println!("datasets: status {status}, {} of them", datasets.len());

    // Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
    let (Ok(error_url), Ok(html_url)) = (env::var("DOMO_ERROR_URL"), env::var("DOMO_HTML_URL")) else {
        return Ok(());
    };
    println!("wrong secret: {}", refusal(request_token(&url, "wrong", "data").await?, |error| error.message));
    println!("wrong scope: {}", refusal(request_token(&url, &secret, "workflow2").await?, |error| error.error));
    let own = request_token(&error_url, &secret, "data").await?;
    println!("Domo's own error: {}", refusal(own, |error| error.toe.map(|toe| format!("toe {toe}"))));
    println!("HTML: {}", refusal(request_token(&html_url, &secret, "data").await?, |_| None));
    Ok(())
}
