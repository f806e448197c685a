package main

import (
	"testing"

	"pelton.dev/pelton/peltontest"
)

func TestEachPingIsAnsweredAndCounted(t *testing.T) {
	host := peltontest.New(t, Processor)
	host.Append("ping", `{}`)
	answers := host.Append("ping", `{"message":"still there?"}`)
	if len(answers) != 1 || answers[0].Type != "pong" || answers[0].Payload != `{"to":3,"count":2}` {
		t.Errorf("answers: %+v", answers)
	}
}
