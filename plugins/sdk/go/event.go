package pelton

import (
	"encoding/json"
	"fmt"
	"time"

	"pelton.dev/pelton/internal/host"
)

// Event is a recorded event. It never changes.
type Event struct {
	// StreamPath is the stream it is in: "/" or "/segment/segment".
	StreamPath string
	// Offset is its place in that stream: 1, 2, 3 and so on; 1 is the stream's own stream/initialized.
	Offset uint64
	// Type is its type, such as "order/placed".
	Type string
	// Payload is the JSON text of an object, as it was recorded: numbers are as they were written.
	Payload json.RawMessage
	// Metadata is the JSON text of an object, or nil where the event has none.
	Metadata json.RawMessage
	// IdempotencyKey is the key under which a repeated append finds this event, or "" where it has none.
	IdempotencyKey string
	// CreatedAt is when the host recorded it, in UTC, to the millisecond.
	CreatedAt time.Time
	// Source is the processor that appended it, or nil for an event from outside.
	Source *Source
}

// Source is who appended an event, as stamped by the host.
type Source struct {
	// Slug of the processor that appended the event.
	Slug string
	// Digest of its component: "sha256:" and 64 hexadecimal digits.
	Digest string
	// StreamPath and Offset say which event it was handling.
	StreamPath string
	Offset     uint64
	// Depth is 1 for an answer to an event from outside, 2 for an answer to such an answer, and so on.
	Depth uint32
}

// DecodePayload reads the payload into what v points to, as encoding/json does. A number that is read into an `any` becomes a
// json.Number, so that it stays as it was written; a json.RawMessage takes any part unread.
//
// It fails when the payload is not of that shape, and says which event, which field and where.
func (event Event) DecodePayload(v any) error {
	if err := decode(string(event.Payload), v); err != nil {
		return fmt.Errorf("payload of %v: %w", event, err)
	}
	return nil
}

// String gives type, offset and stream, as in "`ping` at offset 7 of /games".
func (event Event) String() string {
	return fmt.Sprintf("`%s` at offset %d of %s", event.Type, event.Offset, event.StreamPath)
}

// NewEvent is an event to be appended:
//
//	pelton.NewEvent{Type: "order/placed", Payload: order}.WithIdempotencyKey("order 7")
type NewEvent struct {
	// Type has 1 to 2048 characters, without white space at its ends.
	Type string
	// Payload is anything that encoding/json makes an object of; a json.RawMessage goes out with its numbers as they are. Nil is {}.
	Payload any
	// Metadata is the same; nil means none.
	Metadata any

	idempotencyKey *string
	expectedOffset *uint64
}

// WithIdempotencyKey is the same event with a key: an append with one that the stream has seen gives back the event recorded then, and records
// nothing. An empty key is refused as invalid.
func (event NewEvent) WithIdempotencyKey(key string) NewEvent {
	event.idempotencyKey = &key
	return event
}

// WithExpectedOffset is the same event, whose append is refused as a conflict unless the event gets this offset.
func (event NewEvent) WithExpectedOffset(offset uint64) NewEvent {
	event.expectedOffset = &offset
	return event
}

func (event NewEvent) raw() (host.NewEvent, error) {
	raw := host.NewEvent{Type: event.Type, Payload: "{}", IdempotencyKey: event.idempotencyKey, ExpectedOffset: event.expectedOffset}
	var err error
	if event.Payload != nil {
		if raw.Payload, err = encode(event.Payload); err != nil {
			return raw, fmt.Errorf("%w: payload: %w", ErrInvalid, err)
		}
	}
	if event.Metadata != nil {
		metadata, err := encode(event.Metadata)
		if err != nil {
			return raw, fmt.Errorf("%w: metadata: %w", ErrInvalid, err)
		}
		raw.Metadata = &metadata
	}
	return raw, nil
}

func eventOf(raw host.Event) Event {
	event := Event{
		StreamPath: raw.StreamPath,
		Offset:     raw.Offset,
		Type:       raw.Type,
		Payload:    json.RawMessage(raw.Payload),
		CreatedAt:  time.UnixMilli(int64(raw.CreatedAt)).UTC(),
	}
	if raw.Metadata != nil {
		event.Metadata = json.RawMessage(*raw.Metadata)
	}
	if raw.IdempotencyKey != nil {
		event.IdempotencyKey = *raw.IdempotencyKey
	}
	if source := raw.Source; source != nil {
		event.Source = (*Source)(source)
	}
	return event
}
