package pelton_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"pelton.dev/pelton"
	"pelton.dev/pelton/peltontest"
)

type counted struct {
	Count int             `json:"count"`
	Last  json.RawMessage `json:"last"`
	Any   any             `json:"any,omitempty"`
}

// does makes a processor of what its two functions do.
func does(
	reduce func(*pelton.ReduceContext, *counted, pelton.Event) error,
	afterAppend func(*pelton.EffectContext, pelton.Event, counted) error,
) pelton.Processor[counted] {
	return pelton.Processor[counted]{Manifest: pelton.Manifest{Name: "test"}, Reduce: reduce, AfterAppend: afterAppend}
}

func TestAManifestSaysWhatWasGivenAndNoMore(t *testing.T) {
	bare := pelton.Processor[counted]{Manifest: pelton.Manifest{Name: "bare"}}.Component().Describe()
	if bare != `{"name":"bare","stateVersion":1,"initialState":{"count":0,"last":null}}` {
		t.Error(bare)
	}
	full := pelton.Processor[map[string]int]{
		Manifest: pelton.Manifest{
			Name: "n", Version: "1", Description: "a < b", Consumes: []string{"a/*"}, Emits: []string{}, StateVersion: 3,
		},
		InitialState: map[string]int{"b": 1, "a": 2},
	}.Component().Describe()
	if full != `{"name":"n","version":"1","description":"a < b","consumes":["a/*"],"emits":[],"stateVersion":3,"initialState":{"a":2,"b":1}}` {
		t.Error(full)
	}
}

func TestNumbersStayAsTheyWereWritten(t *testing.T) {
	processor := does(func(_ *pelton.ReduceContext, state *counted, event pelton.Event) error {
		var payload struct {
			Raw json.RawMessage
			Any any
		}
		err := event.DecodePayload(&payload)
		state.Last, state.Any = payload.Raw, payload.Any
		return err
	}, nil)
	host := peltontest.New(t, processor)
	host.Append("any", `{"raw":{"n":12345678901234567890.50},"any":[1e2,18446744073709551615]}`)
	if host.StateJSON() != `{"count":0,"last":{"n":12345678901234567890.50},"any":[1e2,18446744073709551615]}` {
		t.Error(host.StateJSON())
	}
}

func TestAnErrorLeavesTheStateAsItWas(t *testing.T) {
	processor := does(func(_ *pelton.ReduceContext, state *counted, event pelton.Event) error {
		state.Count++
		if event.Type == "bad" {
			return errors.New("not this one")
		}
		return nil
	}, nil)
	host := peltontest.New(t, processor)
	host.Append("good", `{}`)
	if _, err := host.Try(pelton.Event{Type: "bad"}); err == nil || err.Error() != "not this one" {
		t.Error(err)
	}
	if host.State().Count != 1 {
		t.Error(host.StateJSON())
	}
}

func TestAPanicBecomesAnErrorWithTheAuthorsPartOfTheStack(t *testing.T) {
	var nothing map[string]int
	for _, processor := range []pelton.Processor[counted]{
		does(func(*pelton.ReduceContext, *counted, pelton.Event) error { nothing["a"] = 1; return nil }, nil),
		does(nil, func(*pelton.EffectContext, pelton.Event, counted) error { nothing["a"] = 1; return nil }),
	} {
		_, err := peltontest.New(t, processor).Try(pelton.Event{Type: "any"})
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != 2 || lines[0] != "panic: assignment to entry in nil map" || !strings.Contains(lines[1], "pelton_test.go:") {
			t.Error(err)
		}
	}
}

func TestAnOddPayloadNamesTheEventAndTheField(t *testing.T) {
	processor := does(func(_ *pelton.ReduceContext, _ *counted, event pelton.Event) error {
		return event.DecodePayload(&struct{ Message string }{})
	}, nil)
	_, err := peltontest.New(t, processor).Try(pelton.Event{Type: "ping", Payload: json.RawMessage(`{"message":1}`)})
	if text := err.Error(); !strings.HasPrefix(text, "payload of `ping` at offset 2 of /test: ") || !strings.Contains(strings.ToLower(text), "message") {
		t.Error(text)
	}
}

func TestWhatAnEventSaysIsAllThere(t *testing.T) {
	event := pelton.Event{
		StreamPath: "/a/b", Offset: 2, Type: "t", Payload: json.RawMessage(`{"a":1}`), Metadata: json.RawMessage(`{"b":2}`), IdempotencyKey: "k",
		CreatedAt: time.UnixMilli(1_700_000_000_123).UTC(), Source: &pelton.Source{Slug: "s", Digest: "d", StreamPath: "/", Offset: 1, Depth: 2},
	}
	var seen pelton.Event
	processor := does(nil, func(_ *pelton.EffectContext, event pelton.Event, _ counted) error { seen = event; return nil })
	if _, err := peltontest.New(t, processor).Try(event); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(seen, event) {
		t.Errorf("%+v", seen)
	}
}

func TestAppendsSayAllThatTheyCan(t *testing.T) {
	processor := does(nil, func(ctx *pelton.EffectContext, _ pelton.Event, _ counted) error {
		recorded, err := ctx.AppendNowTo("/other", pelton.NewEvent{Type: "now", Payload: map[string]any{"a": "<&>"}})
		return errors.Join(
			ctx.Append(pelton.NewEvent{Type: "bare"}),
			ctx.AppendTo("./below", pelton.NewEvent{
				Type: "full", Payload: json.RawMessage(`{"n":1.0}`), Metadata: struct{}{},
			}.WithIdempotencyKey("k").WithExpectedOffset(7)),
			err,
			ctx.Append(pelton.NewEvent{Type: "seen", Payload: recorded.Payload}),
		)
	})
	appended := peltontest.New(t, processor).Append("any", `{}`)
	expected := []peltontest.Appended{
		{To: "/other", Type: "now", Payload: `{"a":"<&>"}`, Now: true},
		{Type: "bare", Payload: `{}`},
		{To: "./below", Type: "full", Payload: `{"n":1.0}`, Metadata: `{}`, IdempotencyKey: "k", ExpectedOffset: 7},
		{Type: "seen", Payload: `{"a":"<&>"}`},
	}
	if !reflect.DeepEqual(appended, expected) {
		t.Errorf("%+v", appended)
	}
}

func TestARefusedAppendIsToldFromOthers(t *testing.T) {
	processor := does(nil, func(ctx *pelton.EffectContext, _ pelton.Event, _ counted) error {
		for _, payload := range []any{[]int{1}, make(chan int)} {
			if err := ctx.Append(pelton.NewEvent{Type: "bad", Payload: payload}); !errors.Is(err, pelton.ErrInvalid) || errors.Is(err, pelton.ErrDenied) {
				t.Error(err)
			}
		}
		return nil
	})
	if appended := peltontest.New(t, processor).Append("any", `{}`); len(appended) != 0 {
		t.Error(appended)
	}
}

func TestAConfigurationFillsInWhatItNames(t *testing.T) {
	config := struct {
		Limit int
		Name  string
	}{Limit: 10, Name: "default"}
	processor := does(func(ctx *pelton.ReduceContext, _ *counted, _ pelton.Event) error { return ctx.Config(&config) }, nil)
	host := peltontest.New(t, processor)
	host.Config = `{"limit":20}`
	host.Append("any", `{}`)
	if config.Limit != 20 || config.Name != "default" {
		t.Error(config)
	}
	host.Config = `{"limit":"many"}`
	if _, err := host.Try(pelton.Event{Type: "any"}); err == nil || !strings.HasPrefix(err.Error(), "configuration: ") {
		t.Error(err)
	}
}

func TestALogLineIsMessageThenAttributes(t *testing.T) {
	processor := does(func(ctx *pelton.ReduceContext, _ *counted, _ pelton.Event) error {
		ctx.Log().Info("plain text")
		ctx.Log().With("a", 1).WithGroup("g").Warn("more", "b", "two words", slog.Group("h", "c", true), "d", "")
		return nil
	}, nil)
	host := peltontest.New(t, processor)
	host.Append("any", `{}`)
	expected := []peltontest.Line{{Level: "info", Message: "plain text"}, {Level: "warn", Message: `more a=1 g.b="two words" g.h.c=true g.d=""`}}
	if !reflect.DeepEqual(host.Log, expected) {
		t.Errorf("%q", host.Log)
	}
}

func TestOnlyConsumedTypesReachTheProcessor(t *testing.T) {
	processor := does(nil, nil)
	processor.Manifest.Consumes = []string{"order/*", "ping"}
	host := peltontest.New(t, processor)
	for eventType, wanted := range map[string]bool{"ping": true, "pings": false, "order/": true, "order/a/b": true, "order": false} {
		if _, err := host.Try(pelton.Event{Type: eventType}); (err == nil) != wanted {
			t.Errorf("%s: %v", eventType, err)
		}
	}
}

func TestASecretIsAPlaceholder(t *testing.T) {
	if secret := pelton.Secret("api-key"); secret != "{{secret:api-key}}" {
		t.Error(secret)
	}
}
