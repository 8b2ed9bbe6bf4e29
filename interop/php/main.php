<?php
// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
declare(strict_types=1);

use Domo\Api\OauthApi;
use Domo\ApiException;
use Domo\Configuration;
use Domo\Model\AccessTokenResponse;
use Domo\Model\TokenError;
use GuzzleHttp\Client;

// With Composer, require vendor/autoload.php instead of these two.
require 'GuzzleHttp/autoload.php';
spl_autoload_register(fn (string $name) => require __DIR__ . '/domo/lib/' . strtr(substr($name, strlen('Domo\\')), '\\', '/') . '.php');

/** The generated client sets no timeout, and Guzzle would follow redirects. */
function http(): Client
{
    return new Client(['timeout' => 30, 'allow_redirects' => false]);
}

/** Asks once. A refusal throws ApiException. */
function requestToken(string $url, string $secret, string $scope): AccessTokenResponse
{
    $configuration = (new Configuration())->setHost($url)->setUsername(getenv('DOMO_CLIENT_ID'))->setPassword($secret);
    $token = (new OauthApi(http(), $configuration))->getAccessToken('client_credentials', $scope);
    return $token->valid() ? $token : throw new UnexpectedValueException('no token: the answer lacks a field');
}

/** @return array{int, TokenError} the status of a refusal, and its error, which has no fields if the body was not one */
function refusal(string $url, string $secret, string $scope): array
{
    try {
        requestToken($url, $secret, $scope);
    } catch (ApiException $error) {
        return [$error->getCode(), $error->getResponseObject() ?? new TokenError()];
    }
    exit('it was not refused');
}

$url = getenv('DOMO_API_URL') ?: 'https://api.domo.com';
$secret = getenv('DOMO_CLIENT_SECRET');
$token = requestToken($url, $secret, 'data user');
echo "token: customer {$token->getCustomer()}, role {$token->getRole()}, scopes {$token->getScope()}\n";
$answer = http()->get("$url/v1/datasets", ['headers' => ['Authorization' => "Bearer {$token->getAccessToken()}"]]);
$datasets = json_decode((string) $answer->getBody());
echo "datasets: status {$answer->getStatusCode()}, ", count($datasets), " of them\n";

// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
if (!getenv('DOMO_ERROR_URL')) {
    exit;
}
[$status, $error] = refusal($url, 'wrong', 'data');
echo "wrong secret: status $status, {$error->getMessage()}\n";
[$status, $error] = refusal($url, $secret, 'workflow2');
echo "wrong scope: status $status, {$error->getError()}\n";
[$status, $error] = refusal(getenv('DOMO_ERROR_URL'), $secret, 'data');
echo "Domo's own error: status $status, toe {$error->getToe()}\n";
[$status] = refusal(getenv('DOMO_HTML_URL'), $secret, 'data');
echo "HTML: status $status\n";
