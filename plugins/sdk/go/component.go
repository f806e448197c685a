package pelton

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"pelton.dev/pelton/internal/host"
)

// Component is the processor as the host sees it, for [Register] and package peltontest.
func (processor Processor[S]) Component() host.Component {
	return component[S]{processor}
}

// component stands between the host, which speaks JSON text, and a Processor, which speaks types.
type component[S any] struct {
	processor Processor[S]
}

func (c component[S]) Describe() string {
	manifest := c.processor.Manifest
	text, err := encode(struct {
		Name         string   `json:"name"`
		Version      string   `json:"version,omitempty"`
		Description  string   `json:"description,omitempty"`
		Consumes     []string `json:"consumes,omitzero"`
		Emits        []string `json:"emits,omitzero"`
		StateVersion int      `json:"stateVersion"`
		InitialState S        `json:"initialState"`
	}{
		manifest.Name, manifest.Version, manifest.Description, manifest.Consumes, manifest.Emits,
		max(manifest.StateVersion, 1), c.processor.InitialState,
	})
	if err != nil {
		panic(fmt.Sprintf("the initial state does not become JSON: %v", err))
	}
	return text
}

func (c component[S]) Reduce(h host.Host, text string, events []host.Event) (_ string, err error) {
	defer recoverAs(&err)
	if c.processor.Reduce == nil {
		return text, nil
	}
	state, err := c.decodeState(text)
	if err != nil {
		return "", err
	}
	ctx := &ReduceContext{host: h}
	for _, event := range events {
		if err := c.processor.Reduce(ctx, &state, eventOf(event)); err != nil {
			return "", err
		}
	}
	text, err = encode(state)
	if err != nil {
		return "", fmt.Errorf("state: %w", err)
	}
	return text, nil
}

func (c component[S]) AfterAppend(h host.Host, event host.Event, text string) (err error) {
	defer recoverAs(&err)
	if c.processor.AfterAppend == nil {
		return nil
	}
	state, err := c.decodeState(text)
	if err != nil {
		return err
	}
	ctx := &EffectContext{ReduceContext: ReduceContext{host: h}, Context: context.Background()}
	return c.processor.AfterAppend(ctx, eventOf(event), state)
}

func (c component[S]) decodeState(text string) (state S, err error) {
	if err = decode(text, &state); err != nil {
		err = fmt.Errorf("state: %w", err)
	}
	return state, err
}

// recoverAs makes an error of a panic, with the stack up to this package. It is for `defer`.
func recoverAs(err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("panic: %v\n%s", value, stack())
	}
}

// stack is the functions that were running when the panic began, a line each. Those of the runtime and of this file are of no use to the
// processor's author.
func stack() string {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters[:])])
	var lines []string
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "pelton.dev/pelton.component[") {
			break
		}
		if !strings.HasPrefix(frame.Function, "runtime.") && frame.Function != "pelton.dev/pelton.recoverAs" {
			lines = append(lines, fmt.Sprintf("    at %s (%s:%d)", frame.Function, frame.File, frame.Line))
		}
		if !more {
			break
		}
	}
	return strings.Join(lines, "\n")
}
