// Package host is the two sides between which package pelton stands: the host, and the component.
package host

// Host is what a processor may call: the component's imports, or package peltontest in a native test.
type Host interface {
	Config() string
	Slug() string
	Log(level Level, message string)
	Append(to *string, event NewEvent) *Refused
	AppendNow(to *string, event NewEvent) (Event, *Refused)
}

// Component is what a host may call. All state is JSON text.
type Component interface {
	Describe() string
	Reduce(host Host, state string, events []Event) (string, error)
	AfterAppend(host Host, event Event, state string) error
}

// Registered is the processor of this program.
var Registered Component

// AtReturn is called after each call of after-append.
var AtReturn []func()

// Level is how serious a log line is.
type Level uint8

// The levels, in the order of the contract.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Event is a recorded event with its JSON unread.
type Event struct {
	StreamPath     string
	Offset         uint64
	Type           string
	Payload        string
	Metadata       *string
	IdempotencyKey *string
	CreatedAt      uint64
	Source         *Source
}

// Source is who appended an event.
type Source struct {
	Slug       string
	Digest     string
	StreamPath string
	Offset     uint64
	Depth      uint32
}

// NewEvent is a proposed event.
type NewEvent struct {
	Type           string
	Payload        string
	Metadata       *string
	IdempotencyKey *string
	ExpectedOffset *uint64
}

// Reason is why an append was refused, in the order of the contract.
type Reason uint8

// The reasons.
const (
	Paused Reason = iota
	Conflict
	Denied
	Invalid
	Unavailable
)

// Refused is a refusal, with a text for people.
type Refused struct {
	Reason Reason
	Text   string
}
