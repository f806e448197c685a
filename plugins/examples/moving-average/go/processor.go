// The average of the latest readings of each sensor; ../README.md says what is consumed, kept and appended.
package main

import (
	"encoding/json"
	"fmt"

	"pelton.dev/pelton"
)

// Config is the processor's configuration.
type Config struct {
	Count   int      `json:"count"`
	Seconds *float64 `json:"seconds"`
	Limit   *float64 `json:"limit"`
}

// Averages is the state.
type Averages struct {
	Sensors map[string]*Sensor `json:"sensors"`
}

// Sensor is the window of one sensor, and its average.
type Sensor struct {
	Readings   []Reading `json:"readings"`
	Average    float64   `json:"average"`
	ExceededAt *uint64   `json:"exceededAt"`
}

// Reading is one value in a window.
type Reading struct {
	At    int64   `json:"at"`
	Value float64 `json:"value"`
}

// Average is the payload of an answer.
type Average struct {
	Sensor   string   `json:"sensor"`
	Average  *float64 `json:"average"`
	Readings int      `json:"readings"`
	To       uint64   `json:"to"`
}

// Exceeded is the payload of a warning.
type Exceeded struct {
	Sensor  string  `json:"sensor"`
	Average float64 `json:"average"`
	Limit   float64 `json:"limit"`
}

// Processor is what this component is.
var Processor = pelton.Processor[Averages]{
	Manifest: pelton.Manifest{
		Name:        "moving-average",
		Version:     "0.1.0",
		Description: "The average of the latest readings of each sensor, when asked and when it exceeds a limit.",
		Consumes:    []string{"reading", "average/requested"},
		Emits:       []string{"average", "average/exceeded"},
	},
	InitialState: Averages{Sensors: map[string]*Sensor{}},
	Reduce:       reduce,
	AfterAppend:  afterAppend,
}

func init() { pelton.Register(Processor) }

func main() {}

func reduce(ctx *pelton.ReduceContext, state *Averages, event pelton.Event) error {
	if event.Type != "reading" {
		return nil
	}
	var reading struct {
		Sensor *string  `json:"sensor"`
		Value  *float64 `json:"value"`
	}
	// What sensors send is not ours to judge; a bad reading must not park the processor.
	if err := json.Unmarshal(event.Payload, &reading); err != nil || reading.Sensor == nil || reading.Value == nil {
		ctx.Log().Warn(fmt.Sprintf("skipped `reading` at offset %d: no sensor or value", event.Offset))
		return nil
	}
	config, err := configOf(ctx)
	if err != nil {
		return err
	}
	sensor := state.Sensors[*reading.Sensor]
	if sensor == nil {
		sensor = &Sensor{}
		state.Sensors[*reading.Sensor] = sensor
	}
	sensor.take(Reading{At: event.CreatedAt.UnixMilli(), Value: *reading.Value}, event.Offset, config)
	return nil
}

func (sensor *Sensor) take(reading Reading, offset uint64, config Config) {
	window := append(sensor.Readings, reading)
	window = window[max(0, len(window)-config.Count):]
	for config.Seconds != nil && float64(window[0].At) < float64(reading.At)-*config.Seconds*1000 {
		window = window[1:]
	}
	var sum float64
	for _, reading := range window {
		sum += reading.Value
	}
	sensor.Readings = window
	sensor.Average = sum / float64(len(window))
	switch {
	case config.Limit == nil || sensor.Average <= *config.Limit:
		sensor.ExceededAt = nil
	case sensor.ExceededAt == nil:
		sensor.ExceededAt = &offset
	}
}

func afterAppend(ctx *pelton.EffectContext, event pelton.Event, state Averages) error {
	var payload struct {
		Sensor string `json:"sensor"`
	}
	// An odd one names no sensor that there is.
	_ = json.Unmarshal(event.Payload, &payload)
	sensor := state.Sensors[payload.Sensor]
	if event.Type == "average/requested" {
		answer := Average{Sensor: payload.Sensor, To: event.Offset}
		if sensor != nil {
			answer.Average, answer.Readings = &sensor.Average, len(sensor.Readings)
		}
		return ctx.Append(pelton.NewEvent{Type: "average", Payload: answer})
	}
	if sensor == nil || sensor.ExceededAt == nil || *sensor.ExceededAt != event.Offset {
		return nil
	}
	config, err := configOf(&ctx.ReduceContext)
	if err != nil {
		return err
	}
	return ctx.Append(pelton.NewEvent{Type: "average/exceeded", Payload: Exceeded{payload.Sensor, sensor.Average, *config.Limit}})
}

func configOf(ctx *pelton.ReduceContext) (Config, error) {
	config := Config{Count: 10}
	err := ctx.Config(&config)
	return config, err
}
