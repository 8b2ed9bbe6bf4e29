package com.example;

import com.example.domo.ApiClient;
import com.example.domo.ApiException;
import com.example.domo.api.OauthApi;
import com.example.domo.model.AccessTokenResponse;
import com.example.domo.model.TokenError;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Base64;

/** Gets an access token with the generated client, uses it, and shows what each refusal looks like. */
public final class Main {
  // java.net.http follows no redirects by default.
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  /** Asks once. Any answer without a token is an ApiException. */
  static AccessTokenResponse requestToken(String url, String secret, String scope) throws ApiException {
    String login = System.getenv("DOMO_CLIENT_ID") + ":" + secret;
    String basic = "Basic " + Base64.getEncoder().encodeToString(login.getBytes());
    ApiClient client = new ApiClient();
    client.updateBaseUri(url);
    client.setReadTimeout(Duration.ofSeconds(30));
    // The library `native` has no Basic authentication of its own.
    client.setRequestInterceptor(request -> request.header("Authorization", basic));
    return new OauthApi(client).getAccessToken("client_credentials", scope);
  }

  /** Returns the status of a refusal and its error, which has no fields if the body was not one. */
  record Refusal(int status, TokenError error) {}

  static Refusal refusal(String url, String secret, String scope) {
    try {
      requestToken(url, secret, scope);
    } catch (ApiException refused) {
      return new Refusal(refused.getCode(), parse(refused.getResponseBody()));
    }
    throw new IllegalStateException("it was not refused");
  }

  // ApiException has the body as text; the model parses it.
  static TokenError parse(String body) {
    try {
      return ApiClient.createDefaultObjectMapper().readValue(body == null ? "{}" : body, TokenError.class);
    } catch (JsonProcessingException notJson) {
      return new TokenError();
    }
  }

  static HttpResponse<String> listDatasets(String url, String token) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(url + "/v1/datasets")).header("Authorization", "Bearer " + token).build();
    return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
  }

  public static void main(String[] args) throws Exception {
    String url = System.getenv().getOrDefault("DOMO_API_URL", "https://api.domo.com");
    String secret = System.getenv("DOMO_CLIENT_SECRET");

    AccessTokenResponse token = requestToken(url, secret, "data user");
    System.out.printf(
        "token: customer %s, role %s, scopes %s%n", token.getCustomer(), token.getRole(), token.getScope());
    HttpResponse<String> datasets = listDatasets(url, token.getAccessToken());
    int count = ApiClient.createDefaultObjectMapper().readTree(datasets.body()).size();
    System.out.printf("datasets: status %d, %d of them%n", datasets.statusCode(), count);

    // Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
    if (System.getenv("DOMO_ERROR_URL") == null) {
      return;
    }
    Refusal refused = refusal(url, "wrong", "data");
    System.out.printf("wrong secret: status %d, %s%n", refused.status(), refused.error().getMessage());
    refused = refusal(url, secret, "workflow2");
    System.out.printf("wrong scope: status %d, %s%n", refused.status(), refused.error().getError());
    refused = refusal(System.getenv("DOMO_ERROR_URL"), secret, "data");
    System.out.printf("Domo's own error: status %d, toe %s%n", refused.status(), refused.error().getToe());
    refused = refusal(System.getenv("DOMO_HTML_URL"), secret, "data");
    System.out.printf("HTML: status %d%n", refused.status());
  }
}
