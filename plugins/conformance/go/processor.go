// The conformance processor in Go; ../README.md says what it does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"unicode/utf8"

	"pelton.dev/pelton"
)

type folded struct {
	Count uint64          `json:"count"`
	Sum   string          `json:"sum"`
	Last  *float64        `json:"last"`
	Total float64         `json:"total"`
	Text  string          `json:"text"`
	Chars int             `json:"chars"`
	Kept  json.RawMessage `json:"kept"`
	Echo  string          `json:"echo"`
	Seen  *details        `json:"seen"`
}

type details struct {
	StreamPath     string          `json:"streamPath"`
	Offset         uint64          `json:"offset"`
	Type           string          `json:"type"`
	Payload        json.RawMessage `json:"payload"`
	Metadata       json.RawMessage `json:"metadata"`
	IdempotencyKey *string         `json:"idempotencyKey"`
	CreatedAt      int64           `json:"createdAt"`
	Source         *source         `json:"source"`
	Slug           string          `json:"slug"`
	Config         json.RawMessage `json:"config"`
}

type source struct {
	Slug       string `json:"slug"`
	Digest     string `json:"digest"`
	StreamPath string `json:"streamPath"`
	Offset     uint64 `json:"offset"`
	Depth      uint32 `json:"depth"`
}

type ending struct {
	In      string `json:"in"`
	Message string `json:"message"`
}

type proposal struct {
	Type           string          `json:"type"`
	Payload        json.RawMessage `json:"payload"`
	Metadata       json.RawMessage `json:"metadata"`
	IdempotencyKey *string         `json:"idempotencyKey"`
	ExpectedOffset *uint64         `json:"expectedOffset"`
	To             *string         `json:"to"`
	Now            bool            `json:"now"`
}

// Processor is what this component is.
var Processor = pelton.Processor[*folded]{
	Manifest: pelton.Manifest{
		Name:         "conformance",
		Version:      "1.0.0",
		Description:  "Does what events tell it to, the same in every language.",
		Consumes:     []string{"do/*"},
		Emits:        []string{"did/*"},
		StateVersion: 2,
	},
	Reduce:      reduce,
	AfterAppend: afterAppend,
}

func init() { pelton.Register(Processor) }

func main() {}

func reduce(ctx *pelton.ReduceContext, state **folded, event pelton.Event) error {
	if *state == nil {
		*state = &folded{Sum: "0"}
	}
	now := *state
	now.Count++
	switch event.Type {
	case "do/add":
		var payload struct{ Amount string }
		if err := event.DecodePayload(&payload); err != nil {
			return err
		}
		sum, ok := new(big.Int).SetString(now.Sum, 10)
		amount, okToo := new(big.Int).SetString(payload.Amount, 10)
		if !ok || !okToo {
			return fmt.Errorf("not a number: %q", payload.Amount)
		}
		now.Sum = sum.Add(sum, amount).String()
	case "do/measure":
		var payload struct{ Value float64 }
		if err := event.DecodePayload(&payload); err != nil {
			return err
		}
		now.Last = &payload.Value
		now.Total += payload.Value
	case "do/text":
		var payload struct{ Value string }
		if err := event.DecodePayload(&payload); err != nil {
			return err
		}
		now.Text, now.Chars = payload.Value, utf8.RuneCountInString(payload.Value)
	case "do/keep":
		var payload struct{ Value json.RawMessage }
		if err := event.DecodePayload(&payload); err != nil {
			return err
		}
		now.Kept = payload.Value
	case "do/echo":
		now.Echo = string(event.Payload)
	case "do/show":
		now.Seen = detailsOf(ctx, event)
	case "do/log":
		return log(ctx, event, "reduce")
	case "do/forget":
		*state = nil
	case "do/reject":
		return rejection(event)
	case "do/throw", "do/trap":
		return end(event, "reduce")
	case "do/spin":
		for {
		}
	case "do/hoard":
		var hoarded [][]byte
		for {
			hoarded = append(hoarded, make([]byte, 1<<20))
		}
	}
	return nil
}

func afterAppend(ctx *pelton.EffectContext, event pelton.Event, state *folded) error {
	if state == nil {
		return nil
	}
	switch event.Type {
	case "do/text":
		return ctx.Append(pelton.NewEvent{Type: "did/text", Payload: map[string]any{"value": state.Text, "chars": state.Chars}})
	case "do/keep":
		return ctx.Append(pelton.NewEvent{Type: "did/keep", Payload: map[string]any{"value": state.Kept}})
	case "do/echo":
		return ctx.Append(pelton.NewEvent{Type: "did/echo", Payload: event.Payload})
	case "do/show":
		return ctx.Append(pelton.NewEvent{Type: "did/show", Payload: detailsOf(&ctx.ReduceContext, event)})
	case "do/log":
		return log(&ctx.ReduceContext, event, "after-append")
	case "do/append":
		var payload struct{ Appends []proposal }
		if err := event.DecodePayload(&payload); err != nil {
			return err
		}
		for _, proposal := range payload.Appends {
			if err := add(ctx, proposal); err != nil {
				return err
			}
		}
	case "do/fail":
		if err := ctx.Append(pelton.NewEvent{Type: "did/fail"}); err != nil {
			return err
		}
		return rejection(event)
	case "do/throw", "do/trap":
		return end(event, "after-append")
	}
	return nil
}

func detailsOf(ctx *pelton.ReduceContext, event pelton.Event) *details {
	seen := &details{
		StreamPath: event.StreamPath, Offset: event.Offset, Type: event.Type, Payload: event.Payload, Metadata: event.Metadata,
		CreatedAt: event.CreatedAt.UnixMilli(), Slug: ctx.Slug(), Config: ctx.ConfigJSON(), Source: (*source)(event.Source),
	}
	if event.IdempotencyKey != "" {
		seen.IdempotencyKey = &event.IdempotencyKey
	}
	return seen
}

func log(ctx *pelton.ReduceContext, event pelton.Event, phase string) error {
	var payload struct{ Level, Message string }
	if err := event.DecodePayload(&payload); err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(payload.Level)); err != nil {
		return err
	}
	ctx.Log().Log(context.Background(), level, phase+": "+payload.Message)
	return nil
}

func rejection(event pelton.Event) error {
	var payload struct{ Message string }
	if err := event.DecodePayload(&payload); err != nil {
		return err
	}
	return errors.New(payload.Message)
}

func end(event pelton.Event, phase string) error {
	var payload ending
	if err := event.DecodePayload(&payload); err != nil {
		return err
	}
	if payload.In != phase {
		return nil
	}
	if event.Type == "do/trap" {
		os.Exit(1)
	}
	panic(payload.Message)
}

func add(ctx *pelton.EffectContext, proposal proposal) error {
	event := pelton.NewEvent{Type: proposal.Type}
	if proposal.Payload != nil {
		event.Payload = proposal.Payload
	}
	if proposal.Metadata != nil {
		event.Metadata = proposal.Metadata
	}
	if proposal.IdempotencyKey != nil {
		event = event.WithIdempotencyKey(*proposal.IdempotencyKey)
	}
	if proposal.ExpectedOffset != nil {
		event = event.WithExpectedOffset(*proposal.ExpectedOffset)
	}
	var recorded pelton.Event
	var err error
	switch {
	case proposal.Now && proposal.To != nil:
		recorded, err = ctx.AppendNowTo(*proposal.To, event)
	case proposal.Now:
		recorded, err = ctx.AppendNow(event)
	case proposal.To != nil:
		err = ctx.AppendTo(*proposal.To, event)
	default:
		err = ctx.Append(event)
	}
	if err != nil {
		return ctx.Append(pelton.NewEvent{Type: "did/refuse", Payload: map[string]any{"case": caseOf(err)}})
	}
	if !proposal.Now {
		return nil
	}
	record := map[string]any{
		"streamPath": recorded.StreamPath, "type": recorded.Type, "payload": recorded.Payload, "metadata": recorded.Metadata, "idempotencyKey": nil,
	}
	if recorded.IdempotencyKey != "" {
		record["idempotencyKey"] = recorded.IdempotencyKey
	}
	return ctx.Append(pelton.NewEvent{Type: "did/record", Payload: record})
}

func caseOf(err error) string {
	for name, reason := range map[string]error{
		"paused": pelton.ErrPaused, "conflict": pelton.ErrConflict, "denied": pelton.ErrDenied, "invalid": pelton.ErrInvalid, "unavailable": pelton.ErrUnavailable,
	} {
		if errors.Is(err, reason) {
			return name
		}
	}
	return err.Error()
}
