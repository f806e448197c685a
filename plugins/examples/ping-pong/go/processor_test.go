package main

import (
	"testing"

	"pelton.dev/pelton/peltontest"
)

func TestEachPingIsAnsweredAndCounted(t *testing.T) {
	host := peltontest.New(t, Processor)
	answers := host.Append("ping", `{"message":"hi"}`)
	if len(answers) != 1 || answers[0].Type != "pong" || answers[0].Payload != `{"to":2,"count":1,"message":"hi"}` {
		t.Errorf("%+v", answers)
	}
	if answers := host.Append("ping", `{}`); answers[0].Payload != `{"to":3,"count":2}` {
		t.Errorf("%+v", answers)
	}
	if host.StateJSON() != `{"count":2,"last":null}` {
		t.Error(host.StateJSON())
	}
}
