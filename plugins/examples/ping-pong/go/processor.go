// Answers each ping with a pong: the smallest processor that does everything.
//
//   - state: {"count": <pings so far>, "last": <the last ping's message, or null>}
//   - a ping's payload: {"message"?: any JSON}
//   - a pong's payload: {"to": <offset of the ping>, "count": <pings up to that one>, "message"?: <the ping's>}
package main

import (
	"encoding/json"

	"pelton.dev/pelton"
)

// Pings is the state.
type Pings struct {
	Count uint64          `json:"count"`
	Last  json.RawMessage `json:"last"`
}

// Ping is the payload of what it consumes.
type Ping struct {
	Message json.RawMessage `json:"message"`
}

// Pong is the payload of what it appends.
type Pong struct {
	To      uint64          `json:"to"`
	Count   uint64          `json:"count"`
	Message json.RawMessage `json:"message,omitempty"`
}

// Processor is what this component is.
var Processor = pelton.Processor[Pings]{
	Manifest: pelton.Manifest{
		Name:        "ping-pong",
		Version:     "0.1.0",
		Description: "Answers each ping with a pong, and counts them.",
		Consumes:    []string{"ping"},
		Emits:       []string{"pong"},
	},
	Reduce: func(_ *pelton.ReduceContext, state *Pings, event pelton.Event) error {
		var ping Ping
		if err := event.DecodePayload(&ping); err != nil {
			return err
		}
		state.Count++
		state.Last = ping.Message
		return nil
	},
	AfterAppend: func(ctx *pelton.EffectContext, event pelton.Event, state Pings) error {
		var ping Ping
		if err := event.DecodePayload(&ping); err != nil {
			return err
		}
		return ctx.Append(pelton.NewEvent{Type: "pong", Payload: Pong{To: event.Offset, Count: state.Count, Message: ping.Message}})
	},
}

func init() { pelton.Register(Processor) }

func main() {}
