// Tells another service of chosen events, by a POST with a secret in a header.
//
//   - config: {"url", "types": ["order/placed", …], "secret": <name>, "header"?: "authorization", "dedupeBy"?: "id", "attempts"?: 3}
//   - the request: JSON {"streamPath", "offset", "type", "payload"}, the header `authorization: Bearer <the secret>` (another header has the
//     secret alone), and an idempotency-key that is the same when the same event is tried again
//   - an event whose payload has the same dedupeBy field as one of the last 1000 of its type is not sent again
//   - output: notified {"to": <offset>, "status"}, or notify-failed {"to", "status"?, "reason"} when no attempt succeeded; a status from
//     400 to 499 other than 429 is not tried again
//   - state: {"sent", "duplicates", "seen": [<type and field>, …], "send": <offset of the last event, if it is to be sent, or null>}
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"pelton.dev/pelton"
	_ "pelton.dev/pelton/peltonhttp"
)

// Config is the processor's configuration.
type Config struct {
	URL      string   `json:"url"`
	Types    []string `json:"types"`
	Secret   string   `json:"secret"`
	Header   string   `json:"header"`
	DedupeBy string   `json:"dedupeBy"`
	Attempts int      `json:"attempts"`
}

// State is what was sent, and whether the last event is to be.
type State struct {
	Sent       int      `json:"sent"`
	Duplicates int      `json:"duplicates"`
	Seen       []string `json:"seen"`
	Send       *uint64  `json:"send"`
}

// Outcome is the payload of what it appends.
type Outcome struct {
	To     uint64 `json:"to"`
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

const (
	seenMax   = 1000
	reasonMax = 200
	pause     = 200 * time.Millisecond
)

// Processor is what this component is.
var Processor = pelton.Processor[State]{
	Manifest: pelton.Manifest{
		Name:        "webhook-notifier",
		Version:     "0.1.0",
		Description: "Tells another service of chosen events, with a secret in a header.",
		Emits:       []string{"notified", "notify-failed"},
	},
	InitialState: State{Seen: []string{}},
	Reduce:       reduce,
	AfterAppend:  afterAppend,
}

func init() { pelton.Register(Processor) }

func main() {}

func reduce(ctx *pelton.ReduceContext, state *State, event pelton.Event) error {
	config, err := configOf(ctx)
	if err != nil {
		return err
	}
	state.Send = nil
	if !slices.Contains(config.Types, event.Type) {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := event.DecodePayload(&fields); err != nil {
		return err
	}
	if field, ok := fields[config.DedupeBy]; ok {
		key := fmt.Sprintf("%s %s", event.Type, field)
		if slices.Contains(state.Seen, key) {
			state.Duplicates++
			return nil
		}
		state.Seen = append(state.Seen, key)
		state.Seen = state.Seen[max(0, len(state.Seen)-seenMax):]
	}
	state.Sent++
	state.Send = &event.Offset
	return nil
}

func afterAppend(ctx *pelton.EffectContext, event pelton.Event, state State) error {
	if state.Send == nil || *state.Send != event.Offset {
		return nil
	}
	config, err := configOf(&ctx.ReduceContext)
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		StreamPath string          `json:"streamPath"`
		Offset     uint64          `json:"offset"`
		Type       string          `json:"type"`
		Payload    json.RawMessage `json:"payload"`
	}{event.StreamPath, event.Offset, event.Type, event.Payload})
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%s%s@%d", ctx.Slug(), event.StreamPath, event.Offset)
	outcome := Outcome{To: event.Offset}
	var isFinal bool
	for attempt := range config.Attempts {
		if attempt > 0 {
			time.Sleep(pause << (attempt - 1))
		}
		outcome.Status, outcome.Reason, isFinal = post(ctx, config, key, body)
		if isFinal {
			break
		}
	}
	if outcome.Reason != "" {
		return ctx.Append(pelton.NewEvent{Type: "notify-failed", Payload: outcome})
	}
	return ctx.Append(pelton.NewEvent{Type: "notified", Payload: outcome})
}

// post tries once. The reason is "" on success; isFinal says that another try would end the same.
func post(ctx *pelton.EffectContext, config Config, key string, body []byte) (status int, reason string, isFinal bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, config.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error(), true
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	secret := pelton.Secret(config.Secret)
	if config.Header == "authorization" {
		secret = "Bearer " + secret
	}
	request.Header.Set(config.Header, secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error(), false
	}
	defer response.Body.Close()
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return response.StatusCode, "", true
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, reasonMax))
	if err != nil {
		return response.StatusCode, err.Error(), false
	}
	isFinal = response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests
	return response.StatusCode, fmt.Sprintf("%s: %s", response.Status, text), isFinal
}

func configOf(ctx *pelton.ReduceContext) (Config, error) {
	config := Config{Header: "authorization", DedupeBy: "id", Attempts: 3}
	err := ctx.Config(&config)
	return config, err
}
