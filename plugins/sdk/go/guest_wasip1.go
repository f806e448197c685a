package pelton

import (
	"log"
	"log/slog"
	"os"
	"unsafe"

	"go.bytecodealliance.org/pkg/wit/types"

	"pelton.dev/pelton/internal/bindings/pelton_processor_appender"
	"pelton.dev/pelton/internal/bindings/pelton_processor_context"
	"pelton.dev/pelton/internal/bindings/pelton_processor_outbox"
	"pelton.dev/pelton/internal/bindings/pelton_processor_types"
	"pelton.dev/pelton/internal/bindings/wasi_cli_environment"
	_ "pelton.dev/pelton/internal/bindings/wit_exports"
	"pelton.dev/pelton/internal/export_pelton_processor_processor"
	"pelton.dev/pelton/internal/host"
)

// scratch is memory for the adapter that stands for preview 1, which has none of its own: for what the host answers, and for a line of
// output that is not yet complete.
var scratch [4096]byte

//go:wasmimport wasi_snapshot_preview1 pelton_scratch
//go:noescape
func giveScratch(start unsafe.Pointer, size uint32)

// flush logs a line of output that has no end.
//
//go:wasmimport wasi_snapshot_preview1 pelton_flush
func flush()

func init() {
	giveScratch(unsafe.Pointer(&scratch), uint32(len(scratch)))
	slog.SetDefault(slog.New(logHandler{host: imports{}}))
	log.SetFlags(0)
	export_pelton_processor_processor.Describe = func() string { return registered().Describe() }
	export_pelton_processor_processor.Reduce = reduce
	export_pelton_processor_processor.AfterAppend = afterAppend
}

func registered() host.Component {
	if host.Registered == nil {
		panic("no processor is registered; call pelton.Register in an init function")
	}
	return host.Registered
}

func reduce(state string, events []pelton_processor_types.Event) wit_types.Result[string, string] {
	defer flush()
	raw := make([]host.Event, len(events))
	for i, event := range events {
		raw[i] = fromWit(event)
	}
	state, err := registered().Reduce(imports{}, state, raw)
	if err != nil {
		return wit_types.Err[string, string](err.Error())
	}
	return wit_types.Ok[string, string](state)
}

func afterAppend(event pelton_processor_types.Event, state string) wit_types.Result[wit_types.Unit, string] {
	defer ended()
	setEnvironment()
	if err := registered().AfterAppend(imports{}, fromWit(event), state); err != nil {
		return wit_types.Err[wit_types.Unit, string](err.Error())
	}
	return wit_types.Ok[wit_types.Unit, string](wit_types.Unit{})
}

func ended() {
	for _, f := range host.AtReturn {
		f()
	}
	flush()
}

// setEnvironment makes os.Getenv see what the host has now: an instance can be older than a variable.
func setEnvironment() {
	variables := wasi_cli_environment.GetEnvironment()
	if len(variables) != len(os.Environ()) {
		os.Clearenv()
	}
	for _, variable := range variables {
		if value, ok := os.LookupEnv(variable.F0); !ok || value != variable.F1 {
			// A name that this refuses could not be asked for either.
			_ = os.Setenv(variable.F0, variable.F1)
		}
	}
}

// imports is the host that runs the component.
type imports struct{}

func (imports) Config() string { return pelton_processor_context.Config() }

func (imports) Slug() string { return pelton_processor_context.Slug() }

func (imports) Log(level host.Level, message string) {
	pelton_processor_context.Log(pelton_processor_context.Level(level), message)
}

func (imports) Append(to *string, event host.NewEvent) *host.Refused {
	if result := pelton_processor_outbox.Append(option(to), toWit(event)); result.IsErr() {
		return refusedOf(result.Err())
	}
	return nil
}

func (imports) AppendNow(to *string, event host.NewEvent) (host.Event, *host.Refused) {
	result := pelton_processor_appender.Append(option(to), toWit(event))
	if result.IsErr() {
		return host.Event{}, refusedOf(result.Err())
	}
	return fromWit(result.Ok()), nil
}

func toWit(event host.NewEvent) pelton_processor_types.NewEvent {
	return pelton_processor_types.NewEvent{
		EventType: event.Type, Payload: event.Payload, Metadata: option(event.Metadata),
		IdempotencyKey: option(event.IdempotencyKey), ExpectedOffset: option(event.ExpectedOffset),
	}
}

func fromWit(event pelton_processor_types.Event) host.Event {
	raw := host.Event{
		StreamPath: event.StreamPath, Offset: event.Offset, Type: event.EventType, Payload: event.Payload,
		Metadata: pointer(event.Metadata), IdempotencyKey: pointer(event.IdempotencyKey), CreatedAt: event.CreatedAt,
	}
	if source := pointer(event.Source); source != nil {
		raw.Source = &host.Source{
			Slug: source.Slug, Digest: source.Digest, StreamPath: source.StreamPath, Offset: source.Offset, Depth: source.Depth,
		}
	}
	return raw
}

func refusedOf(refused pelton_processor_types.AppendError) *host.Refused {
	var text string
	switch refused.Tag() {
	case pelton_processor_types.AppendErrorPaused:
		text = refused.Paused()
	case pelton_processor_types.AppendErrorConflict:
		text = refused.Conflict()
	case pelton_processor_types.AppendErrorDenied:
		text = refused.Denied()
	case pelton_processor_types.AppendErrorInvalid:
		text = refused.Invalid()
	case pelton_processor_types.AppendErrorUnavailable:
		text = refused.Unavailable()
	}
	return &host.Refused{Reason: host.Reason(refused.Tag()), Text: text}
}

func option[T any](value *T) wit_types.Option[T] {
	if value == nil {
		return wit_types.None[T]()
	}
	return wit_types.Some(*value)
}

func pointer[T any](value wit_types.Option[T]) *T {
	if value.IsNone() {
		return nil
	}
	some := value.Some()
	return &some
}
