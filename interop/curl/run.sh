#!/bin/sh
# Gets an access token with curl, uses it, and shows what each refusal looks like.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap exit HUP INT TERM
: "${DOMO_API_URL:=https://api.domo.com}"

# Asks once, prints the status, and leaves the body in a file that only this user can read. The credentials go through
# standard input, so they do not show in the process list. curl follows redirects only with --location.
request_token() { # url, secret, scope
  printf '%s:%s\n' "$DOMO_CLIENT_ID" "$2" | sed 's/["\\]/\\&/g; s/.*/user = "&"/' |
    curl --config - --silent --show-error --max-time 30 --get "$1/oauth/token" \
      --header 'Accept: application/json' \
      --data-urlencode 'grant_type=client_credentials' \
      --data-urlencode "scope=$3" \
      --output "$folder/body" --write-out '%{http_code}'
}

# Prints one text field of the body, or nothing if the body is not JSON. With jq: jq --raw-output ".$1".
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$folder/body"; }

status=$(request_token "$DOMO_API_URL" "$DOMO_CLIENT_SECRET" 'data user')
test "$status" = 200 || { echo "no token: status $status" >&2; exit 1; }
echo "token: customer $(field customer), role $(field role), scopes $(field scope)"

printf 'header = "Authorization: Bearer %s"\n' "$(field access_token)" |
  curl --config - --silent --show-error --max-time 30 "$DOMO_API_URL/v1/datasets" \
    --output "$folder/body" --write-out 'datasets: status %{http_code}, '
echo "$(grep --only-matching '"rows":' "$folder/body" | wc -l) of them"

# Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
test -n "${DOMO_ERROR_URL:-}" || exit 0
status=$(request_token "$DOMO_API_URL" wrong data); echo "wrong secret: status $status, $(field message)"
status=$(request_token "$DOMO_API_URL" "$DOMO_CLIENT_SECRET" workflow2); echo "wrong scope: status $status, $(field error)"
status=$(request_token "$DOMO_ERROR_URL" "$DOMO_CLIENT_SECRET" data); echo "Domo's own error: status $status, toe $(field toe)"
status=$(request_token "$DOMO_HTML_URL" "$DOMO_CLIENT_SECRET" data); echo "HTML: status $status"
