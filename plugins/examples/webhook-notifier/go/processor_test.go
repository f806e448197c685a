package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"pelton.dev/pelton/peltontest"
)

func TestAChosenEventIsToldOnceWithTheSecretsPlaceholder(t *testing.T) {
	var arrived []string
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		header := request.Header
		arrived = append(arrived, fmt.Sprint(request.Method, " ", header.Get("Authorization"), " ", header.Get("Idempotency-Key"), " ", string(body)))
		response.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	host := peltontest.New(t, Processor)
	config, _ := json.Marshal(map[string]any{"url": server.URL, "types": []string{"order/placed"}, "secret": "hook"})
	host.Config = string(config)

	answers := host.Append("order/placed", `{"id":7,"total":12.50}`)
	if len(answers) != 1 || answers[0].Type != "notified" || answers[0].Payload != `{"to":2,"status":202}` {
		t.Errorf("%+v", answers)
	}
	for _, other := range []string{"order/placed", "order/asked"} {
		if answers := host.Append(other, `{"id":7}`); len(answers) != 0 {
			t.Errorf("%s: %+v", other, answers)
		}
	}
	expected := `POST Bearer {{secret:hook}} test/test@2 {"streamPath":"/test","offset":2,"type":"order/placed","payload":{"id":7,"total":12.50}}`
	if len(arrived) != 1 || arrived[0] != expected {
		t.Errorf("%q", arrived)
	}
	if state := host.State(); state.Sent != 1 || state.Duplicates != 1 {
		t.Error(host.StateJSON())
	}
}

func TestAStatusThatIsFinalIsNotTriedAgain(t *testing.T) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		calls++
		http.Error(response, "no such hook", http.StatusNotFound)
	}))
	defer server.Close()
	host := peltontest.New(t, Processor)
	host.Config = `{"url":"` + server.URL + `","types":["a"],"secret":"s"}`
	answers := host.Append("a", `{}`)
	if calls != 1 || answers[0].Type != "notify-failed" || answers[0].Payload != `{"to":2,"status":404,"reason":"404 Not Found: no such hook\n"}` {
		t.Errorf("%d calls, %+v", calls, answers)
	}
}
