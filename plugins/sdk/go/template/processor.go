// plugin-name answers each ping with a pong, and counts them.
package main

import (
	"fmt"

	"pelton.dev/pelton"
)

// State is what is known after the events so far, JSON between calls.
type State struct {
	Count int `json:"count"`
}

// Pong is the payload of an answer.
type Pong struct {
	To    uint64 `json:"to"`
	Count int    `json:"count"`
}

// Processor is what this component is.
var Processor = pelton.Processor[State]{
	Manifest: pelton.Manifest{
		Name:     "plugin-name",
		Version:  "0.1.0",
		Consumes: []string{"ping"},
		Emits:    []string{"pong"},
	},
	Reduce: func(_ *pelton.ReduceContext, state *State, _ pelton.Event) error {
		state.Count++
		return nil
	},
	AfterAppend: func(ctx *pelton.EffectContext, event pelton.Event, state State) error {
		ctx.Log().Info(fmt.Sprintf("ping %d", state.Count))
		return ctx.Append(pelton.NewEvent{Type: "pong", Payload: Pong{To: event.Offset, Count: state.Count}})
	},
}

func init() { pelton.Register(Processor) }

func main() {}
