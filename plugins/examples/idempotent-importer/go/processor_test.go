package main

import (
	"fmt"
	"strings"
	"testing"

	"pelton.dev/pelton"
	"pelton.dev/pelton/fetch"
	"pelton.dev/pelton/peltontest"
)

// answers puts a feed of these answers, by the number of the page, in the place of HTTP.
func answers(t *testing.T, pages map[string]fetch.Response) (asked *[]string) {
	do := fetch.Do
	t.Cleanup(func() { fetch.Do = do })
	asked = new([]string)
	fetch.Do = func(request fetch.Request) (*fetch.Response, error) {
		*asked = append(*asked, request.URL+" "+request.Header["Authorization"])
		_, page, _ := strings.Cut(request.URL, "page=")
		response := pages[page]
		return &response, nil
	}
	return asked
}

func TestEachRowHasAKeyAndThePageFollows(t *testing.T) {
	asked := answers(t, map[string]fetch.Response{"1": {Status: 200, Body: []byte(`{"rows":[{"id":"a","price":1.50},{"id":17}],"next":2}`)}})
	host := peltontest.New(t, Processor)
	host.Config = `{"secret":"token"}`
	var said []string
	for _, answer := range host.Append("import/requested", `{"feed":"http://feed?all"}`) {
		said = append(said, fmt.Sprint(answer.Type, " ", answer.IdempotencyKey, " ", answer.Payload))
	}
	expected := []string{
		`import/row import http://feed?all a {"import":2,"id":"a","row":{"id":"a","price":1.50}}`,
		`import/row import http://feed?all 17 {"import":2,"id":17,"row":{"id":17}}`,
		`import/page-read  {"import":2,"page":1,"rows":2,"next":2}`,
	}
	if strings.Join(said, "\n") != strings.Join(expected, "\n") {
		t.Errorf("%q", said)
	}
	if len(*asked) != 1 || (*asked)[0] != "http://feed?all&page=1 Bearer {{secret:token}}" {
		t.Errorf("%q", *asked)
	}
}

func TestWhatMayComeLaterIsAnErrorAndWhatWillNotIsTheEnd(t *testing.T) {
	answers(t, map[string]fetch.Response{
		"1": {Status: 503}, "2": {Status: 404}, "3": {Status: 200, Body: []byte(`{"rows":[{"id":1.5}],"next":null}`)},
	})
	host := peltontest.New(t, Processor)
	if _, err := host.Try(pelton.Event{Type: "import/requested", Payload: []byte(`{"feed":"http://feed"}`)}); err == nil {
		t.Error("a status of 503 is taken")
	}
	for page, reason := range map[int]string{2: "status 404", 3: "not a page"} {
		failed := host.Append("import/page-read", fmt.Sprintf(`{"import":2,"page":1,"rows":0,"next":%d}`, page))
		if len(failed) != 1 || !strings.Contains(failed[0].Payload, fmt.Sprintf(`"reason":"%s"`, reason)) {
			t.Errorf("%+v", failed)
		}
	}
}
