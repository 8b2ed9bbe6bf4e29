// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
using System;
using System.Collections.Generic;
using System.Net.Http;
using Domo.Api;
using Domo.Client;
using Domo.Model;
using Newtonsoft.Json;

static class Program
{
    // HttpClient would follow redirects.
    static readonly HttpClientHandler Handler = new HttpClientHandler { AllowAutoRedirect = false };
    static readonly HttpClient Http = new HttpClient(Handler) { Timeout = TimeSpan.FromSeconds(30) };

    static string Env(string name, string otherwise = null) => Environment.GetEnvironmentVariable(name) ?? otherwise;

    // Asks once. A refusal throws ApiException. Its message is the whole body.
    static AccessTokenResponse RequestToken(string url, string secret, string scope)
    {
        var configuration = new Configuration { BasePath = url, Username = Env("DOMO_CLIENT_ID"), Password = secret };
        configuration.DefaultHeaders.Add("Accept", "application/json");
        var token = new OauthApi(Http, configuration, Handler).GetAccessToken("client_credentials", scope);
        return token ?? throw new InvalidOperationException("no token: a redirect, or an empty answer");
    }

    // The status of a refusal, and its error, which has no fields if the body was not one.
    static KeyValuePair<int, TokenError> Refusal(string url, string secret, string scope)
    {
        try
        {
            RequestToken(url, secret, scope);
        }
        catch (ApiException refused)
        {
            TokenError error = null;
            try
            {
                error = JsonConvert.DeserializeObject<TokenError>((refused.ErrorContent as string) ?? "");
            }
            catch (JsonException)
            {
                // an HTML page
            }
            return new KeyValuePair<int, TokenError>(refused.ErrorCode, error ?? new TokenError());
        }
        throw new InvalidOperationException("it was not refused");
    }

    static void Main()
    {
        string url = Env("DOMO_API_URL", "https://api.domo.com"), secret = Env("DOMO_CLIENT_SECRET");

        var token = RequestToken(url, secret, "data user");
        Console.WriteLine($"token: customer {token.Customer}, role {token.Role}, scopes {token.Scope}");
        var request = new HttpRequestMessage(HttpMethod.Get, $"{url}/v1/datasets");
        request.Headers.Add("Authorization", $"Bearer {token.AccessToken}");
        var answer = Http.SendAsync(request).Result;
        var datasets = JsonConvert.DeserializeObject<List<object>>(answer.Content.ReadAsStringAsync().Result);
        Console.WriteLine($"datasets: status {(int)answer.StatusCode}, {datasets.Count} of them");

        // Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
        if (Env("DOMO_ERROR_URL") == null) return;
        var refused = Refusal(url, "wrong", "data");
        Console.WriteLine($"wrong secret: status {refused.Key}, {refused.Value.Message}");
        refused = Refusal(url, secret, "workflow2");
        Console.WriteLine($"wrong scope: status {refused.Key}, {refused.Value.Error}");
        refused = Refusal(Env("DOMO_ERROR_URL"), secret, "data");
        Console.WriteLine($"Domo's own error: status {refused.Key}, toe {refused.Value.Toe}");
        refused = Refusal(Env("DOMO_HTML_URL"), secret, "data");
        Console.WriteLine($"HTML: status {refused.Key}");
    }
}
