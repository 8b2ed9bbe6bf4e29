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
	"strings"
	"time"

	"example.com/domo/domo"
)

// The generated client sets no timeout, and Go would follow redirects with the credentials.
var httpClient = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Refused is an answer without a token. The error has no fields if the body was not one.
type Refused struct {
	Status int
	domo.TokenError
}

func (refused *Refused) Error() string {
	return fmt.Sprintf("no token: status %d, %s", refused.Status, refused.Message.Or(refused.TokenError.Error.Or("-")))
}

// sender keeps the status of an answer that is not JSON: ogen's own error for it has none.
type sender struct{}

func (sender) Do(request *http.Request) (*http.Response, error) {
	request.Header.Set("Accept", "application/json")
	response, err := httpClient.Do(request)
	if err == nil && !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		response.Body.Close()
		return nil, &Refused{Status: response.StatusCode}
	}
	return response, err
}

// login is the id and secret of HTTP Basic authentication.
type login struct{ id, secret string }

func (login login) BasicAuth(context.Context, domo.OperationName) (domo.BasicAuth, error) {
	return domo.BasicAuth{Username: login.id, Password: login.secret}, nil
}

// requestToken asks once. Each status has a type of its own.
func requestToken(url, secret, scope string) (*domo.AccessTokenResponse, error) {
	client, err := domo.NewClient(url, login{os.Getenv("DOMO_CLIENT_ID"), secret}, domo.WithClient(sender{}))
	if err != nil {
		return nil, err
	}
	answer, err := client.GetAccessToken(context.Background(), domo.GetAccessTokenParams{
		GrantType: domo.GetAccessTokenGrantTypeClientCredentials,
		Scope:     domo.NewOptString(scope),
	})
	if err != nil {
		return nil, err
	}
	switch answer := answer.(type) {
	case *domo.AccessTokenResponseHeaders:
		return &answer.Response, nil
	case *domo.GetAccessTokenBadRequest:
		return nil, &Refused{http.StatusBadRequest, answer.Response}
	case *domo.GetAccessTokenUnauthorizedHeaders:
		return nil, &Refused{http.StatusUnauthorized, answer.Response}
	case *domo.GetAccessTokenForbidden:
		return nil, &Refused{http.StatusForbidden, answer.Response}
	case *domo.GetAccessTokenTooManyRequests: // answer.RetryAfter says when to repeat the request
		return nil, &Refused{http.StatusTooManyRequests, answer.Response}
	case *domo.GetAccessTokenInternalServerError:
		return nil, &Refused{http.StatusInternalServerError, domo.TokenError(*answer)}
	case *domo.GetAccessTokenBadGateway:
		return nil, &Refused{http.StatusBadGateway, domo.TokenError(*answer)}
	case *domo.GetAccessTokenServiceUnavailable:
		return nil, &Refused{http.StatusServiceUnavailable, answer.Response}
	case *domo.GetAccessTokenGatewayTimeout:
		return nil, &Refused{http.StatusGatewayTimeout, domo.TokenError(*answer)}
	}
	return nil, fmt.Errorf("unexpected type %T", answer)
}

// refusal returns the refusal that is expected.
func refusal(url, secret, scope string) *Refused {
	_, err := requestToken(url, secret, scope)
	var refused *Refused
	if !errors.As(err, &refused) {
		log.Fatalf("it was not refused: %v", err)
	}
	return refused
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

	token, err := requestToken(url, secret, "data user")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("token: customer %s, role %s, scopes %s\n", token.Customer.Or("-"), token.Role.Or("-"), token.Scope.Or("-"))
	status, count, err := listDatasets(url, token.AccessToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("datasets: status %d, %d of them\n", status, count)

	// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
	if os.Getenv("DOMO_ERROR_URL") == "" {
		return
	}
	refused := refusal(url, "wrong", "data")
	fmt.Printf("wrong secret: status %d, %s\n", refused.Status, refused.Message.Or("-"))
	refused = refusal(url, secret, "workflow2")
	fmt.Printf("wrong scope: status %d, %s\n", refused.Status, refused.TokenError.Error.Or("-"))
	refused = refusal(os.Getenv("DOMO_ERROR_URL"), secret, "data")
	fmt.Printf("Domo's own error: status %d, toe %s\n", refused.Status, refused.Toe.Or("-"))
	refused = refusal(os.Getenv("DOMO_HTML_URL"), secret, "data")
	fmt.Printf("HTML: status %d\n", refused.Status)
}
