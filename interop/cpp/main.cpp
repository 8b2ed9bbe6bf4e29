// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
#include <cpprest/http_client.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "domo/ApiClient.h"
#include "domo/ApiException.h"
#include "domo/api/OauthApi.h"

using domo::model::AccessTokenResponse;
using domo::model::TokenError;

static std::string environment(const char* name, const char* otherwise = nullptr) {
    const char* value = std::getenv(name);
    if (!value && !otherwise) throw std::runtime_error(std::string(name) + " is not set");
    return value ? value : otherwise;
}

// cpprest would follow redirects with the credentials, and with the token.
static web::http::client::http_client_config http_config() {
    web::http::client::http_client_config http;
    http.set_timeout(std::chrono::seconds(30));
    http.set_max_redirects(0);
    return http;
}

// Asks once. A refusal is an ApiException. The generated client takes a redirect for a token without fields.
static std::shared_ptr<AccessTokenResponse> request_token(
    const std::string& url, const std::string& secret, const std::string& scope) {
    auto http = http_config();
    http.set_credentials(web::credentials(environment("DOMO_CLIENT_ID"), secret));
    auto configuration = std::make_shared<domo::api::ApiConfiguration>();
    configuration->setBaseUrl(url);
    configuration->setHttpConfig(http);
    auto client = std::make_shared<domo::api::ApiClient>(configuration);
    const auto token = domo::api::OauthApi(client).getAccessToken("client_credentials", scope).get();
    if (!token || token->getAccessToken().empty()) throw std::runtime_error("no token in the response");
    return token;
}

struct Refusal {
    int status;
    TokenError error;  // has no fields if the body was not one
};

static Refusal refusal(const std::string& url, const std::string& secret, const std::string& scope) {
    try {
        request_token(url, secret, scope);
    } catch (const domo::api::ApiException& refused) {
        Refusal result{refused.error_code().value(), {}};
        try {
            if (const auto body = refused.getContent()) result.error.fromJson(web::json::value::parse(*body));
        } catch (const web::json::json_exception&) {
        }  // HTML, or an empty body
        return result;
    }
    throw std::runtime_error("it was not refused");
}

static web::http::http_response list_datasets(const std::string& url, const std::string& token) {
    web::http::http_request request(web::http::methods::GET);
    request.headers().add("Authorization", "Bearer " + token);
    request.set_request_uri("/v1/datasets");
    return web::http::client::http_client(url, http_config()).request(request).get();
}

int main() try {
    const auto url = environment("DOMO_API_URL", "https://api.domo.com");
    const auto secret = environment("DOMO_CLIENT_SECRET");

    const auto token = request_token(url, secret, "data user");
    std::cout << "token: customer " << token->getCustomer() << ", role " << token->getRole() << ", scopes "
              << token->getScope() << "\n";
    const auto datasets = list_datasets(url, token->getAccessToken());
    std::cout << "datasets: status " << datasets.status_code() << ", " << datasets.extract_json().get().size()
              << " of them\n";

    // Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
    const auto error_url = environment("DOMO_ERROR_URL", "");
    if (error_url.empty()) return 0;
    auto refused = refusal(url, "wrong", "data");
    std::cout << "wrong secret: status " << refused.status << ", " << refused.error.getMessage() << "\n";
    refused = refusal(url, secret, "workflow2");
    std::cout << "wrong scope: status " << refused.status << ", " << refused.error.getError() << "\n";
    refused = refusal(error_url, secret, "data");
    std::cout << "Domo's own error: status " << refused.status << ", toe " << refused.error.getToe() << "\n";
    refused = refusal(environment("DOMO_HTML_URL"), secret, "data");
    std::cout << "HTML: status " << refused.status << "\n";
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
