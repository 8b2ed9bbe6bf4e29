# frozen_string_literal: true

# Gets an access token with the generated client, uses it, and shows what each refusal looks like.
require 'json'
require 'uri'
require 'domo'

# Asks once. A refusal raises Domo::ApiError. Faraday follows no redirect.
def request_token(url, secret, scope)
  config = Domo::Configuration.new do |c|
    c.scheme, c.host, c.base_path = URI(url).then { |u| [u.scheme, "#{u.host}:#{u.port}", u.path] }
    c.username = ENV.fetch('DOMO_CLIENT_ID')
    c.password = secret
    c.timeout = 30
  end
  token = Domo::OauthApi.new(Domo::ApiClient.new(config)).get_access_token('client_credentials', scope: scope)
  token or raise 'no token: an empty answer'
rescue JSON::ParserError
  raise 'no token: an answer that is not JSON', cause: nil # the text of the cause is the whole answer
end

# The status of a refusal, and its error, which has no fields if the body was not one.
def refusal(url, secret, scope)
  request_token(url, secret, scope)
  abort 'it was not refused'
rescue Domo::ApiError => e
  body = begin
    JSON.parse(e.response_body.to_s, symbolize_names: true)
  rescue JSON::ParserError
    nil
  end
  [e.code, Domo::TokenError.build_from_hash(body) || Domo::TokenError.new]
end

url = ENV.fetch('DOMO_API_URL', 'https://api.domo.com')
secret = ENV.fetch('DOMO_CLIENT_SECRET')
token = request_token(url, secret, 'data user')
puts "token: customer #{token.customer}, role #{token.role}, scopes #{token.scope}"
answer = Faraday.get("#{url}/v1/datasets", nil, 'Authorization' => "Bearer #{token.access_token}")
puts "datasets: status #{answer.status}, #{JSON.parse(answer.body).size} of them"

# Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
exit unless ENV.key?('DOMO_ERROR_URL')
status, error = refusal(url, 'wrong', 'data')
puts "wrong secret: status #{status}, #{error.message}"
status, error = refusal(url, secret, 'workflow2')
puts "wrong scope: status #{status}, #{error.error}"
status, error = refusal(ENV.fetch('DOMO_ERROR_URL'), secret, 'data')
puts "Domo's own error: status #{status}, toe #{error.toe}"
status, = refusal(ENV.fetch('DOMO_HTML_URL'), secret, 'data')
puts "HTML: status #{status}"
