// Package peltontest runs a processor in an ordinary `go test`, through the same code as the component.
//
//	func TestEachPingIsAnswered(t *testing.T) {
//		host := peltontest.New(t, Processor)
//		answers := host.Append("ping", `{"message":"hi"}`)
//		if len(answers) != 1 || answers[0].Payload != `{"to":2,"count":1,"message":"hi"}` {
//			t.Errorf("answers: %v", answers)
//		}
//	}
package peltontest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pelton.dev/pelton"
	"pelton.dev/pelton/internal/host"
)

// Host is a stream with one processor attached, in memory.
//
// It does what the host does for one event after the other: Reduce, then AfterAppend, once. What the processor appends is returned, and
// neither fed back to it nor put to the limits of a real host.
type Host[S any] struct {
	// Config is the processor's configuration, a JSON text; {} to begin with.
	Config string
	// Slug is "test" to begin with.
	Slug string
	// Log is the lines logged so far.
	Log []Line

	t         testing.TB
	component host.Component
	consumes  []string
	state     string
	next      uint64
	appended  []Appended
}

// Line is a line of the log.
type Line struct {
	// Level is "debug", "info", "warn" or "error".
	Level   string
	Message string
}

// Appended is an event that the processor appended.
type Appended struct {
	// To is the path it was appended to, as the processor wrote it; "" for the stream of the event being handled.
	To   string
	Type string
	// Payload and Metadata are JSON texts; Metadata is "" where there is none.
	Payload  string
	Metadata string
	// IdempotencyKey is "" where there is none, ExpectedOffset 0.
	IdempotencyKey string
	ExpectedOffset uint64
	// Now is whether it was recorded at once, rather than with the outbox.
	Now bool
}

// New is an initialized stream /test: the next event gets offset 2.
func New[S any](t testing.TB, processor pelton.Processor[S]) *Host[S] {
	t.Helper()
	component := processor.Component()
	var description struct {
		Consumes     []string
		InitialState json.RawMessage
	}
	if err := json.Unmarshal([]byte(component.Describe()), &description); err != nil {
		t.Fatal(err)
	}
	return &Host[S]{
		Config: "{}", Slug: "test", t: t, component: component,
		consumes: description.Consumes, state: string(description.InitialState), next: 2,
	}
}

// Append appends an event from outside, its payload a JSON text, and returns what the processor appended in answer. An error or a panic of
// the processor ends the test, and so does a type of event that the processor does not consume.
func (h *Host[S]) Append(eventType, payload string) []Appended {
	h.t.Helper()
	answers, err := h.Try(pelton.Event{Type: eventType, Payload: json.RawMessage(payload)})
	if err != nil {
		h.t.Fatalf("%s %s: %v", eventType, payload, err)
	}
	return answers
}

// Try is [Host.Append] with an event of which everything can be said (what is left out is filled in, the offset is always the next), and
// with the error of the processor returned. The state stays as it was when Reduce fails, and what was appended is dropped when AfterAppend does.
func (h *Host[S]) Try(event pelton.Event) ([]Appended, error) {
	if h.consumes != nil && !slices.ContainsFunc(h.consumes, func(pattern string) bool { return matches(pattern, event.Type) }) {
		return nil, fmt.Errorf("the manifest does not consume %q", event.Type)
	}
	raw := h.raw(event)
	h.next++
	state, err := h.component.Reduce(recorder[S]{h}, h.state, []host.Event{raw})
	if err != nil {
		return nil, err
	}
	h.state = state
	h.appended = nil
	if err := h.component.AfterAppend(recorder[S]{h}, raw, h.state); err != nil {
		return nil, err
	}
	return h.appended, nil
}

// State is the state after the events so far.
func (h *Host[S]) State() S {
	h.t.Helper()
	var state S
	if err := json.Unmarshal([]byte(h.state), &state); err != nil {
		h.t.Fatal(err)
	}
	return state
}

// StateJSON is the JSON text of the state after the events so far.
func (h *Host[S]) StateJSON() string {
	return h.state
}

func (h *Host[S]) raw(event pelton.Event) host.Event {
	raw := host.Event{StreamPath: event.StreamPath, Offset: h.next, Type: event.Type, Payload: string(event.Payload)}
	if raw.StreamPath == "" {
		raw.StreamPath = "/test"
	}
	if raw.Payload == "" {
		raw.Payload = "{}"
	}
	if event.Metadata != nil {
		metadata := string(event.Metadata)
		raw.Metadata = &metadata
	}
	if event.IdempotencyKey != "" {
		raw.IdempotencyKey = &event.IdempotencyKey
	}
	if event.CreatedAt.IsZero() {
		raw.CreatedAt = 1_700_000_000_000 + h.next
	} else {
		raw.CreatedAt = uint64(event.CreatedAt.UnixMilli())
	}
	raw.Source = (*host.Source)(event.Source)
	return raw
}

// matches is whether a pattern with * covers a type.
func matches(pattern, eventType string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
	return regexp.MustCompile(`(?s)^` + quoted + `$`).MatchString(eventType)
}

// recorder is the host's other side.
type recorder[S any] struct {
	host *Host[S]
}

func (r recorder[S]) Config() string { return r.host.Config }

func (r recorder[S]) Slug() string { return r.host.Slug }

func (r recorder[S]) Log(level host.Level, message string) {
	r.host.Log = append(r.host.Log, Line{Level: [...]string{"debug", "info", "warn", "error"}[level], Message: message})
}

func (r recorder[S]) Append(to *string, event host.NewEvent) *host.Refused {
	return r.record(to, event, false)
}

func (r recorder[S]) AppendNow(to *string, event host.NewEvent) (host.Event, *host.Refused) {
	if refused := r.record(to, event, true); refused != nil {
		return host.Event{}, refused
	}
	recorded := host.Event{
		StreamPath: "/test", Offset: uint64(len(r.host.appended)), Type: event.Type, Payload: event.Payload, Metadata: event.Metadata,
		IdempotencyKey: event.IdempotencyKey, CreatedAt: 1_700_000_000_000,
	}
	if to != nil {
		recorded.StreamPath = *to
	}
	return recorded, nil
}

func (r recorder[S]) record(to *string, event host.NewEvent, now bool) *host.Refused {
	appended := Appended{Type: event.Type, Payload: event.Payload, Now: now}
	if to != nil {
		appended.To = *to
	}
	if event.Metadata != nil {
		appended.Metadata = *event.Metadata
	}
	for _, text := range []string{appended.Payload, appended.Metadata} {
		if text != "" && !isObject(text) {
			return &host.Refused{Reason: host.Invalid, Text: "not a JSON object: " + text}
		}
	}
	if event.IdempotencyKey != nil {
		appended.IdempotencyKey = *event.IdempotencyKey
	}
	if event.ExpectedOffset != nil {
		appended.ExpectedOffset = *event.ExpectedOffset
	}
	r.host.appended = append(r.host.appended, appended)
	return nil
}

func isObject(text string) bool {
	return json.Valid([]byte(text)) && strings.HasPrefix(text, "{")
}
