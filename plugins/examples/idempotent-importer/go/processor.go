// Imports the rows of an HTTP feed, each of them once; ../README.md says what is consumed, kept and appended.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"pelton.dev/pelton"
	"pelton.dev/pelton/fetch"
)

// Imports is the state. The running ones have the offsets of their requests.
type Imports struct {
	Rows    int                `json:"rows"`
	Running map[uint64]*Import `json:"running"`
}

// Import is how far one has come.
type Import struct {
	Feed  string `json:"feed"`
	Pages int    `json:"pages"`
	Rows  int    `json:"rows"`
	New   int    `json:"new"`
}

// Progress is what the payloads of its own events have in common.
type Progress struct {
	Import uint64  `json:"import"`
	Feed   *string `json:"feed,omitempty"`
	Page   int     `json:"page"`
	Rows   int     `json:"rows"`
	Next   *int    `json:"next"`
}

// Page is what a feed answers.
type Page struct {
	Rows []json.RawMessage `json:"rows"`
	Next *int              `json:"next"`
}

const (
	rowsMax = 900
	timeout = 20 * time.Second
)

// Processor is what this component is.
var Processor = pelton.Processor[Imports]{
	Manifest: pelton.Manifest{
		Name:        "idempotent-importer",
		Version:     "0.1.0",
		Description: "Imports the rows of an HTTP feed page by page, each row once.",
		Consumes:    []string{"import/*"},
		Emits:       []string{"import/row", "import/page-read", "import/finished", "import/failed"},
	},
	InitialState: Imports{Running: map[uint64]*Import{}},
	Reduce:       reduce,
	AfterAppend:  afterAppend,
}

func init() { pelton.Register(Processor) }

func main() {}

func reduce(_ *pelton.ReduceContext, state *Imports, event pelton.Event) error {
	progress, ok := progressOf(event)
	if !ok {
		return nil
	}
	if event.Type == "import/requested" {
		if progress.Feed != nil {
			state.Running[event.Offset] = &Import{Feed: *progress.Feed}
		}
		return nil
	}
	running := state.Running[progress.Import]
	if running == nil {
		return nil
	}
	switch event.Type {
	case "import/row":
		state.Rows++
		running.New++
	case "import/page-read":
		running.Pages++
		running.Rows += progress.Rows
	case "import/finished", "import/failed":
		delete(state.Running, progress.Import)
	}
	return nil
}

func afterAppend(ctx *pelton.EffectContext, event pelton.Event, state Imports) error {
	progress, ok := progressOf(event)
	if !ok {
		return nil
	}
	if event.Type == "import/requested" && progress.Feed != nil {
		return importPage(ctx, event.Offset, *progress.Feed, 1)
	}
	running := state.Running[progress.Import]
	if event.Type != "import/page-read" || running == nil {
		return nil
	}
	if progress.Next != nil {
		return importPage(ctx, progress.Import, running.Feed, *progress.Next)
	}
	return ctx.Append(pelton.NewEvent{Type: "import/finished", Payload: struct {
		Number uint64 `json:"import"`
		*Import
	}{progress.Import, running}})
}

// progressOf steps over what others may have appended under these types.
func progressOf(event pelton.Event) (progress Progress, ok bool) {
	return progress, event.DecodePayload(&progress) == nil
}

func importPage(ctx *pelton.EffectContext, number uint64, feed string, page int) error {
	found, err := readPage(ctx, feed, page)
	var refused refusal
	if errors.As(err, &refused) {
		return ctx.Append(pelton.NewEvent{Type: "import/failed", Payload: struct {
			Import uint64 `json:"import"`
			Feed   string `json:"feed"`
			Page   int    `json:"page"`
			Reason string `json:"reason"`
		}{number, feed, page, string(refused)}})
	}
	if err != nil {
		return fmt.Errorf("%s, page %d: %w", feed, page, err)
	}
	for _, row := range found.Rows {
		id, err := idOf(row)
		if err != nil {
			return err
		}
		event := pelton.NewEvent{Type: "import/row", Payload: struct {
			Import uint64          `json:"import"`
			ID     any             `json:"id"`
			Row    json.RawMessage `json:"row"`
		}{number, id, row}}
		if err := ctx.Append(event.WithIdempotencyKey(fmt.Sprintf("import %s %v", feed, id))); err != nil {
			return err
		}
	}
	return ctx.Append(pelton.NewEvent{Type: "import/page-read", Payload: struct {
		Import uint64 `json:"import"`
		Page   int    `json:"page"`
		Rows   int    `json:"rows"`
		Next   *int   `json:"next"`
	}{number, page, len(found.Rows), found.Next}})
}

// refusal is why the feed will not give a page, also if it is asked again.
type refusal string

func (reason refusal) Error() string { return string(reason) }

func readPage(ctx *pelton.EffectContext, feed string, page int) (*Page, error) {
	var config struct {
		Secret string `json:"secret"`
	}
	if err := ctx.Config(&config); err != nil {
		return nil, err
	}
	separator := "?"
	if strings.Contains(feed, "?") {
		separator = "&"
	}
	request := fetch.Request{URL: fmt.Sprintf("%s%spage=%d", feed, separator, page), Timeout: timeout}
	if config.Secret != "" {
		request.Header = map[string]string{"Authorization": "Bearer " + pelton.Secret(config.Secret)}
	}
	response, err := fetch.Do(request)
	switch {
	case errors.Is(err, fetch.ErrDenied):
		return nil, refusal("denied")
	case err != nil:
		return nil, err
	case response.Status == 429 || response.Status >= 500:
		return nil, fmt.Errorf("status %d", response.Status)
	case response.Status >= 400:
		return nil, refusal(fmt.Sprintf("status %d", response.Status))
	}
	found, err := pageOf(response.Body)
	if err != nil {
		ctx.Log().Warn(fmt.Sprintf("%s, page %d: %v", feed, page, err))
		return nil, refusal("not a page")
	}
	return found, nil
}

func pageOf(body []byte) (*Page, error) {
	var page Page
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	if page.Rows == nil || len(page.Rows) > rowsMax {
		return nil, fmt.Errorf("no rows, or more than %d", rowsMax)
	}
	for _, row := range page.Rows {
		if _, err := idOf(row); err != nil {
			return nil, err
		}
	}
	return &page, nil
}

// idOf is a row's id, a string or an integer.
func idOf(row json.RawMessage) (any, error) {
	var fields struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(row, &fields); err != nil {
		return nil, err
	}
	var text string
	if json.Unmarshal(fields.ID, &text) == nil {
		return text, nil
	}
	var number json.Number
	if json.Unmarshal(fields.ID, &number) == nil && !strings.ContainsAny(number.String(), ".eE") {
		return number, nil
	}
	return nil, fmt.Errorf("a row has no id: %s", row)
}
