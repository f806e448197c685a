// Makes one `debounced` event of a burst of `input` events with the same key.
//
//   - an input's payload: {"key"?: string, "value"?: any JSON}; without a key, the key is the empty string
//   - a burst ends when quietSeconds have passed without an input, and at the latest maxSeconds after its first one
//   - output: debounced {"key", "value": <the last input's>, "count", "first": <offset>, "last": <offset>}
//   - config: {"quietSeconds"?: 2, "maxSeconds"?: 30}, whole numbers
//   - state: {"open": [{"key", "value", "count", "first": <offset>, "firstAtMs", "last": <offset>}, …], "closed": <the burst that the last
//     event ended, or null>}
//
// The timer is the stream's: a stream/append-scheduled event has the host append debounce/elapsed when it is time, whoever restarted in the
// meantime. Each input puts it off by configuring the same schedule again.
package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pelton.dev/pelton"
)

// State is the bursts.
type State struct {
	Open   []Burst `json:"open"`
	Closed *Burst  `json:"closed"`
}

// Burst is inputs with one key that follow each other closely.
type Burst struct {
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value"`
	Count     int             `json:"count"`
	First     uint64          `json:"first"`
	FirstAtMs int64           `json:"firstAtMs"`
	Last      uint64          `json:"last"`
}

// Debounced is the payload of what a burst becomes.
type Debounced struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	Count int             `json:"count"`
	First uint64          `json:"first"`
	Last  uint64          `json:"last"`
}

// Elapsed is the payload of a timer.
type Elapsed struct {
	Key  string `json:"key"`
	Last uint64 `json:"last"`
}

// AppendScheduled is the payload of what sets a timer.
type AppendScheduled struct {
	Slug     string   `json:"slug"`
	Append   Timer    `json:"append"`
	Schedule Schedule `json:"schedule"`
}

// Timer is the event that the host appends when it is time.
type Timer struct {
	Type    string  `json:"type"`
	Payload Elapsed `json:"payload"`
}

// Schedule says when.
type Schedule struct {
	Kind string `json:"kind"`
	At   string `json:"at"`
}

// Processor is what this component is.
var Processor = pelton.Processor[State]{
	Manifest: pelton.Manifest{
		Name:        "debouncer",
		Version:     "0.1.0",
		Description: "Makes one event of a burst of them, with the stream's schedules as its timers.",
		Consumes:    []string{"input", "debounce/elapsed"},
		Emits:       []string{"debounced", "stream/append-scheduled"},
	},
	InitialState: State{Open: []Burst{}},
	Reduce:       reduce,
	AfterAppend:  afterAppend,
}

func init() { pelton.Register(Processor) }

func main() {}

func reduce(_ *pelton.ReduceContext, state *State, event pelton.Event) error {
	var payload struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
		Last  uint64          `json:"last"`
	}
	if err := event.DecodePayload(&payload); err != nil {
		return err
	}
	state.Closed = nil
	burst := Burst{Key: payload.Key, First: event.Offset, FirstAtMs: event.CreatedAt.UnixMilli()}
	at := slices.IndexFunc(state.Open, func(burst Burst) bool { return burst.Key == payload.Key })
	if at >= 0 {
		burst = state.Open[at]
	}
	// A timer that an input has overtaken means nothing any more: that input has set its own.
	if event.Type == "debounce/elapsed" && (at < 0 || burst.Last != payload.Last) {
		return nil
	}
	if at >= 0 {
		state.Open = slices.Delete(state.Open, at, at+1)
	}
	if event.Type == "debounce/elapsed" {
		state.Closed = &burst
		return nil
	}
	burst.Value, burst.Last = payload.Value, event.Offset
	burst.Count++
	state.Open = append(state.Open, burst)
	return nil
}

func afterAppend(ctx *pelton.EffectContext, event pelton.Event, state State) error {
	if event.Type == "debounce/elapsed" {
		if burst := state.Closed; burst != nil {
			return ctx.Append(pelton.NewEvent{Type: "debounced", Payload: Debounced{burst.Key, burst.Value, burst.Count, burst.First, burst.Last}})
		}
		return nil
	}
	config := struct {
		QuietSeconds int64 `json:"quietSeconds"`
		MaxSeconds   int64 `json:"maxSeconds"`
	}{2, 30}
	if err := ctx.Config(&config); err != nil {
		return err
	}
	// Its input has just put it there.
	burst := state.Open[len(state.Open)-1]
	at := time.UnixMilli(min(event.CreatedAt.UnixMilli()+config.QuietSeconds*1000, burst.FirstAtMs+config.MaxSeconds*1000)).UTC()
	return ctx.Append(pelton.NewEvent{Type: "stream/append-scheduled", Payload: AppendScheduled{
		Slug:     fmt.Sprintf("%s-%d", ctx.Slug(), burst.First),
		Append:   Timer{Type: "debounce/elapsed", Payload: Elapsed{burst.Key, burst.Last}},
		Schedule: Schedule{Kind: "once-at", At: at.Format("2006-01-02T15:04:05.000Z")},
	}})
}
