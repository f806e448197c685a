// The HTTP client in Go; ../README.md says what it does.
package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"pelton.dev/pelton"
	"pelton.dev/pelton/fetch"
	_ "pelton.dev/pelton/peltonhttp"
)

type request struct {
	With    string            `json:"with"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

type answer struct {
	Status int    `json:"status"`
	Kind   string `json:"kind"`
	Body   string `json:"body"`
}

var Processor = pelton.Processor[struct{}]{
	Manifest: pelton.Manifest{Name: "http-client", Version: "1.0.0", Consumes: []string{"fetch"}, Emits: []string{"began", "fetched"}},
	AfterAppend: func(ctx *pelton.EffectContext, event pelton.Event, _ struct{}) error {
		var asked request
		if err := event.DecodePayload(&asked); err != nil {
			return err
		}
		by := byNetHTTP
		if asked.With == "fetch" {
			by = byFetch
		}
		payload, err := by(ctx, asked)
		if err != nil {
			return ctx.Append(pelton.NewEvent{Type: "fetched", Payload: map[string]string{"error": err.Error()}})
		}
		return ctx.Append(pelton.NewEvent{Type: "fetched", Payload: payload})
	},
}

func byNetHTTP(ctx *pelton.EffectContext, asked request) (answer, error) {
	outgoing, err := http.NewRequestWithContext(ctx, asked.Method, asked.URL, strings.NewReader(asked.Body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range asked.Headers {
		outgoing.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(outgoing)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	piece := make([]byte, 1024)
	n, err := response.Body.Read(piece)
	if err != nil {
		return answer{}, fmt.Errorf("the first piece: %w", err)
	}
	if _, err := ctx.AppendNow(pelton.NewEvent{Type: "began", Payload: map[string]int{"status": response.StatusCode}}); err != nil {
		return answer{}, err
	}
	rest, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("X-Kind"), string(piece[:n]) + string(rest)}, err
}

// byFetch reads the whole answer at once.
func byFetch(_ *pelton.EffectContext, asked request) (answer, error) {
	response, err := fetch.Do(fetch.Request{Method: asked.Method, URL: asked.URL, Header: asked.Headers, Body: []byte(asked.Body)})
	if err != nil {
		return answer{}, err
	}
	return answer{response.Status, response.Header["x-kind"], string(response.Body)}, nil
}

func init() { pelton.Register(Processor) }

func main() {}
