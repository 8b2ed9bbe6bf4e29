// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"example.com/domo/domo"
)

// The generated client sets no timeout, and Go would follow redirects with the credentials.
var httpClient = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// requestToken asks once. Any answer without a token is a *domo.GenericOpenAPIError, and comes with its response.
func requestToken(url, secret, scope string) (*domo.AccessTokenResponse, *http.Response, error) {
	configuration := domo.NewConfiguration()
	configuration.HTTPClient = httpClient
	configuration.Servers = domo.ServerConfigurations{{URL: url}}
	login := domo.BasicAuth{UserName: os.Getenv("DOMO_CLIENT_ID"), Password: secret}
	ctx := context.WithValue(context.Background(), domo.ContextBasicAuth, login)
	return domo.NewAPIClient(configuration).OauthAPI.GetAccessToken(ctx).
		GrantType("client_credentials").Scope(scope).Execute()
}

// refusal returns the status of a refusal and the typed error, which is empty if the body was not one.
func refusal(url, secret, scope string) (int, domo.TokenError) {
	_, response, err := requestToken(url, secret, scope)
	if response == nil {
		log.Fatal(err)
	}
	var failed *domo.GenericOpenAPIError
	if errors.As(err, &failed) {
		if typed, ok := failed.Model().(domo.TokenError); ok {
			return response.StatusCode, typed
		}
	}
	return response.StatusCode, domo.TokenError{}
}

func listDatasets(url, token string) (status, count int, err error) {
	request, err := http.NewRequest(http.MethodGet, url+"/v1/datasets", nil)
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	var datasets []struct{ Name string }
	err = json.NewDecoder(response.Body).Decode(&datasets)
	return response.StatusCode, len(datasets), err
}

func main() {
	url, secret := cmp.Or(os.Getenv("DOMO_API_URL"), "https://api.domo.com"), os.Getenv("DOMO_CLIENT_SECRET")

	token, _, err := requestToken(url, secret, "data user")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("token: customer %s, role %s, scopes %s\n", token.GetCustomer(), token.GetRole(), token.GetScope())
	status, count, err := listDatasets(url, token.AccessToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("datasets: status %d, %d of them\n", status, count)

	// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
	if os.Getenv("DOMO_ERROR_URL") == "" {
		return
	}
	status, refused := refusal(url, "wrong", "data")
	fmt.Printf("wrong secret: status %d, %s\n", status, refused.GetMessage())
	status, refused = refusal(url, secret, "workflow2")
	fmt.Printf("wrong scope: status %d, %s\n", status, refused.GetError())
	status, refused = refusal(os.Getenv("DOMO_ERROR_URL"), secret, "data")
	fmt.Printf("Domo's own error: status %d, toe %s\n", status, refused.GetToe())
	status, _ = refusal(os.Getenv("DOMO_HTML_URL"), secret, "data")
	fmt.Printf("HTML: status %d\n", status)
}
