package pelton

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"pelton.dev/pelton/internal/host"
)

// ReduceContext is what Reduce may reach: the configuration and the log. There is no way to append from here.
type ReduceContext struct {
	host host.Host
}

// Config reads the processor's configuration into what v points to, as [Event.DecodePayload] does. What the configuration does not name
// stays as it is, so v can hold the defaults. Where none was given it is {}. It is the same for as long as this version of the processor is
// configured. It fails when the configuration is not of that shape.
func (ctx *ReduceContext) Config(v any) error {
	if err := decode(ctx.host.Config(), v); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

// ConfigJSON is the text of the processor's configuration; {} where none was given.
func (ctx *ReduceContext) ConfigJSON() json.RawMessage {
	return json.RawMessage(ctx.host.Config())
}

// Slug is the name under which this processor is configured.
func (ctx *ReduceContext) Slug() string {
	return ctx.host.Slug()
}

// Log writes to the host's log, which adds tenant, stream, slug and offset to each line: the message, then the attributes as
// key=value. The host cuts long lines, and drops those past its limit for one call. It is also what slog.Default and package log write to.
func (ctx *ReduceContext) Log() *slog.Logger {
	return slog.New(logHandler{host: ctx.host})
}

// EffectContext is what AfterAppend may reach: all of [ReduceContext], and appending. It is a [context.Context] that never ends, for the
// many functions that want one: the host ends a call that takes too long.
//
// The path in the functions below is absolute ("/orders"), or relative to the stream of the event being handled ("./below",
// "../beside"). The errors of all of them are told apart by errors.Is and [ErrPaused], [ErrConflict], [ErrDenied], [ErrInvalid] and
// [ErrUnavailable].
type EffectContext struct {
	ReduceContext
	context.Context
}

// Append appends to the stream of the event being handled: recorded when AfterAppend returns nil, exactly once, and not at all when it
// returns an error.
//
// A nil error means well formed and kept for the commit. ErrInvalid and ErrDenied show at once; a refusal that only the commit can show (an
// expected offset, a paused stream) fails the whole call, which the host then repeats.
func (ctx *EffectContext) Append(event NewEvent) error {
	return ctx.append(nil, event)
}

// AppendTo is Append to another stream.
func (ctx *EffectContext) AppendTo(path string, event NewEvent) error {
	return ctx.append(&path, event)
}

// AppendNow records an event at once, whatever comes of this call, and returns it. For what cannot wait, such as streamed output.
//
// Without an idempotency key the host derives one from the slug, the offset being handled and the number of this append in the call,
// so that a repeated call finds what it recorded before. Every error is possible.
func (ctx *EffectContext) AppendNow(event NewEvent) (Event, error) {
	return ctx.appendNow(nil, event)
}

// AppendNowTo is AppendNow to another stream.
func (ctx *EffectContext) AppendNowTo(path string, event NewEvent) (Event, error) {
	return ctx.appendNow(&path, event)
}

func (ctx *EffectContext) append(to *string, event NewEvent) error {
	raw, err := event.raw()
	if err != nil {
		return err
	}
	return refusal(ctx.host.Append(to, raw))
}

func (ctx *EffectContext) appendNow(to *string, event NewEvent) (Event, error) {
	raw, err := event.raw()
	if err != nil {
		return Event{}, err
	}
	recorded, refused := ctx.host.AppendNow(to, raw)
	if refused != nil {
		return Event{}, refusal(refused)
	}
	return eventOf(recorded), nil
}

// Why an append was refused.
var (
	// ErrPaused: the stream is paused; the text says why. It may succeed later.
	ErrPaused = errors.New("append refused as paused")
	// ErrConflict: the expected offset is not the next one. It will not succeed unchanged.
	ErrConflict = errors.New("append refused as conflict")
	// ErrDenied: the processor may not do this: too deep in a chain of answers, or over a quota. It will not succeed unchanged.
	ErrDenied = errors.New("append refused as denied")
	// ErrInvalid: the path, the type, the key, the payload or the metadata is malformed. It will not succeed unchanged.
	ErrInvalid = errors.New("append refused as invalid")
	// ErrUnavailable: the host cannot write now. It may succeed later.
	ErrUnavailable = errors.New("append refused as unavailable")
)

func refusal(refused *host.Refused) error {
	if refused == nil {
		return nil
	}
	reasons := map[host.Reason]error{
		host.Paused: ErrPaused, host.Conflict: ErrConflict, host.Denied: ErrDenied, host.Invalid: ErrInvalid, host.Unavailable: ErrUnavailable,
	}
	return fmt.Errorf("%w: %s", reasons[refused.Reason], refused.Text)
}
