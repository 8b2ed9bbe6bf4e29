package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// The parts of a HAR file that this test reads.
type recording struct {
	Log struct {
		Entries []struct {
			Response struct {
				Status  int
				Headers []struct{ Name, Value string }
				Content struct{ Text string }
			}
		}
	}
}

// Headers that describe the bytes on the wire rather than the recorded text.
var wireHeaders = map[string]bool{"Connection": true, "Content-Encoding": true, "Content-Length": true, "Transfer-Encoding": true}

// Serves each recording to the generated client, and compares the model with what was recorded.
func TestRecordings(t *testing.T) {
	folder := cmp.Or(os.Getenv("DOMO_RECORDINGS"), "recordings")
	files, _ := filepath.Glob(filepath.Join(folder, "*.har"))
	if len(files) == 0 {
		t.Fatalf("no recordings in %s: copy openapi/recordings, or set DOMO_RECORDINGS to its path", folder)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { checkRecording(t, file) })
	}
}

func checkRecording(t *testing.T, file string) {
	var har recording
	if err := json.Unmarshal(must(os.ReadFile(file)), &har); err != nil {
		t.Fatal(err)
	}
	recorded := har.Log.Entries[0].Response
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		for _, header := range recorded.Headers {
			if !wireHeaders[header.Name] {
				writer.Header().Add(header.Name, header.Value)
			}
		}
		writer.WriteHeader(recorded.Status)
		fmt.Fprint(writer, recorded.Content.Text)
	}))
	defer server.Close()

	answer, err := requestToken(server.URL, "secret", "data")
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode() != recorded.Status {
		t.Fatalf("status %d, recorded %d", answer.StatusCode(), recorded.Status)
	}
	model := reflect.ValueOf(answer).Elem().FieldByName(fmt.Sprintf("JSON%d", recorded.Status))
	if recorded.Content.Text == "" {
		if !model.IsNil() {
			t.Fatal("a model out of an empty body")
		}
		return
	}
	if model.IsNil() {
		t.Fatal("no model")
	}
	// The models keep unknown fields, so nothing may be lost or changed.
	if got, want := decode(t, must(json.Marshal(model.Interface()))), decode(t, []byte(recorded.Content.Text)); !reflect.DeepEqual(got, want) {
		t.Errorf("the model holds %v, recorded was %v", got, want)
	}
}

func decode(t *testing.T, text []byte) (value map[string]any) {
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	// The model writes null for a missing field that has no type. No recording has a null.
	maps.DeleteFunc(value, func(_ string, field any) bool { return field == nil })
	return value
}
