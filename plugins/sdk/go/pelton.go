// Package pelton is what a Pelton stream processor in Go needs.
//
// A processor is state and two functions. Reduce folds each event into the state and does nothing else, so that the host can
// rebuild, inspect and verify any state. AfterAppend acts on each new event: it appends, logs, calls out.
//
//	package main
//
//	import "pelton.dev/pelton"
//
//	// Orders is the state, JSON between calls.
//	type Orders struct {
//		Open int `json:"open"`
//	}
//
//	type Placed struct {
//		Customer string `json:"customer"`
//	}
//
//	var Processor = pelton.Processor[Orders]{
//		Manifest: pelton.Manifest{
//			Name:     "order-desk",
//			Version:  "1.0.0",
//			Consumes: []string{"order/placed", "order/shipped"},
//			Emits:    []string{"order/thanked"},
//		},
//		Reduce: func(ctx *pelton.ReduceContext, orders *Orders, event pelton.Event) error {
//			switch event.Type {
//			case "order/placed":
//				orders.Open++
//			case "order/shipped":
//				orders.Open--
//			}
//			return nil
//		},
//		AfterAppend: func(ctx *pelton.EffectContext, event pelton.Event, orders Orders) error {
//			if event.Type != "order/placed" {
//				return nil
//			}
//			var placed Placed
//			if err := event.DecodePayload(&placed); err != nil {
//				return err
//			}
//			return ctx.Append(pelton.NewEvent{Type: "order/thanked", Payload: placed})
//		},
//	}
//
//	func init() { pelton.Register(Processor) }
//
//	func main() {}
//
// `pelton plugin build` makes the component, with the stock Go compiler. A component is a library: its init functions run, main does not.
// Package peltontest runs the same processor in an ordinary `go test`.
//
// # What to know
//
// Nothing lasts in memory. The host drops instances between any two calls; what must last belongs into the state.
//
// Reduce is pure. The same events and configuration always give the same state. Within it the clock stands still (an event says when it
// was recorded) and crypto/rand gives a constant. Do not let the state depend on math/rand, on the order in which a map is ranged over, or on which
// case a select takes: Go shuffles these. encoding/json sorts the keys of maps, so a map is fine as a part of the state.
//
// AfterAppend may run twice for one event, after a crash or an error. What it appends with [EffectContext.Append] is recorded once all the
// same. In it clocks, timers, crypto/rand and os.Getenv (the variables that events of the stream set) are the real ones, and net/http calls
// out once package peltonhttp is imported for its effect.
//
// An error or a panic in either becomes the reason that the host shows; a panic's has the stack. A fatal error of the Go runtime (a deadlock, a
// concurrent map write, no memory) ends the instance, and its text is in the log.
//
// What is printed, to standard output or standard error, becomes lines of the host's log.
package pelton

import (
	"pelton.dev/pelton/internal/host"
)

// Processor is a stream processor with the state S: what it is, how events change its state, and what it does about each.
type Processor[S any] struct {
	// Manifest says what the processor is and which events it wants.
	Manifest Manifest

	// InitialState is the state before the first event. Its zero value will often do; mind that a nil map or slice is null in JSON.
	// When the shape of S changes, raise Manifest.StateVersion.
	InitialState S

	// Reduce folds one event into the state. Pure, see the package's page. Nil leaves the state as it is.
	//
	// An error or a panic discards the change and parks the processor at this event, with the error's text as the reason. So return one
	// for what only a new version can mend, and step over what others may send at any time, such as odd payloads from outside.
	Reduce func(ctx *ReduceContext, state *S, event Event) error

	// AfterAppend acts on one event; state includes it. Nil does nothing.
	//
	// A nil error commits what was appended, together with the processor's place in the stream. An error or a panic discards it; the
	// host calls again later with the same event and state, and parks the processor after its last attempt.
	AfterAppend func(ctx *EffectContext, event Event, state S) error
}

// Manifest is what a processor says about itself.
type Manifest struct {
	// Name is required.
	Name string
	// Version is the processor's own, such as "1.2.0".
	Version string
	// Description is one or two sentences for people.
	Description string
	// Consumes names the event types it wants; * matches any run of characters. Nil means all.
	Consumes []string
	// Emits names the event types it appends, for people and tools; not enforced. Nil means unknown.
	Emits []string
	// StateVersion counts from 1, which 0 stands for. Raise it whenever the shape of the state changes: the host then rebuilds the state
	// from the events instead of handing over one of the old shape.
	StateVersion int
}

// Register makes the processor the component's. Call it once, from an init function.
func Register[S any](processor Processor[S]) {
	if host.Registered != nil {
		panic("pelton.Register is called twice; a component is one processor")
	}
	host.Registered = processor.Component()
}

// Secret is a placeholder for the tenant's secret of this name, to be put into the value of a request's header. The host puts the value
// in its place on the way out, if the secret may go to the request's host; else the request fails. The value itself is never seen here.
func Secret(name string) string {
	return "{{secret:" + name + "}}"
}
