// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

// The generated client sets no timeout, and Go would follow redirects with the credentials.
var httpClient = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// requestToken asks once. The status comes first: an error's body may be empty or HTML, and then no field is set.
func requestToken(url, secret, scope string) (*GetAccessTokenResponse, error) {
	client, err := NewClientWithResponses(url, WithHTTPClient(httpClient),
		WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
			request.SetBasicAuth(os.Getenv("DOMO_CLIENT_ID"), secret)
			request.Header.Set("Accept", "application/json")
			return nil
		}))
	if err != nil {
		return nil, err
	}
	params := &GetAccessTokenParams{GrantType: ClientCredentials, Scope: &scope}
	return client.GetAccessTokenWithResponse(context.Background(), params)
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

// refusal is the typed error of an answer. It has no fields if the answer did not say that it is JSON.
func refusal(answer *GetAccessTokenResponse) TokenError {
	typed := cmp.Or(answer.JSON400, answer.JSON401, answer.JSON403, answer.JSON429,
		answer.JSON500, answer.JSON502, answer.JSON503, answer.JSON504)
	if typed == nil {
		return TokenError{}
	}
	return *typed
}

// text is the value of an optional field.
func text(field *string) string {
	if field == nil {
		return "-"
	}
	return *field
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	url, secret := cmp.Or(os.Getenv("DOMO_API_URL"), "https://api.domo.com"), os.Getenv("DOMO_CLIENT_SECRET")

	answer := must(requestToken(url, secret, "data user"))
	token := answer.JSON200
	if token == nil {
		log.Fatalf("no token: status %d, %s", answer.StatusCode(), text(refusal(answer).Message))
	}
	fmt.Printf("token: customer %s, role %s, scopes %s\n", text(token.Customer), text(token.Role), text(token.Scope))
	status, count, err := listDatasets(url, token.AccessToken)
	fmt.Printf("datasets: status %d, %d of them\n", status, must(count, err))

	// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
	if os.Getenv("DOMO_ERROR_URL") == "" {
		return
	}
	refused := must(requestToken(url, "wrong", "data"))
	fmt.Printf("wrong secret: status %d, %s\n", refused.StatusCode(), text(refusal(refused).Message))
	refused = must(requestToken(url, secret, "workflow2"))
	fmt.Printf("wrong scope: status %d, %s\n", refused.StatusCode(), text(refusal(refused).Error))
	refused = must(requestToken(os.Getenv("DOMO_ERROR_URL"), secret, "data"))
	fmt.Printf("Domo's own error: status %d, toe %s\n", refused.StatusCode(), text(refusal(refused).Toe))
	refused = must(requestToken(os.Getenv("DOMO_HTML_URL"), secret, "data"))
	fmt.Printf("HTML: status %d\n", refused.StatusCode())
}
