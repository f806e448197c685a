// Package export_pelton_processor_processor is where the generated bindings look for what the component exports. Its name is theirs to
// choose. The functions are variables, since package pelton, which sets them, imports the bindings.
package export_pelton_processor_processor

import (
	"go.bytecodealliance.org/pkg/wit/types"

	"pelton.dev/pelton/internal/bindings/pelton_processor_types"
)

// What the component exports.
var (
	Describe    func() string
	Reduce      func(state string, events []pelton_processor_types.Event) wit_types.Result[string, string]
	AfterAppend func(event pelton_processor_types.Event, state string) wit_types.Result[wit_types.Unit, string]
)
