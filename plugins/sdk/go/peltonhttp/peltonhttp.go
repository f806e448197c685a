// Package peltonhttp lets net/http call out of a component: imported for its effect, it becomes the http.DefaultTransport.
//
//	import (
//		"net/http"
//
//		_ "pelton.dev/pelton/peltonhttp"
//	)
//
//	response, err := http.Post(url, "application/json", body)
//
// Requests can be made in AfterAppend only. They pass the rules of the operator and those of the processor's own egress; one that they do not
// allow fails with [ErrDenied]. [pelton.Secret] in the value of a header is replaced on the way out. Redirects are net/http's to follow, each a
// request of its own. The body of a response can be read as it arrives. A deadline of the request's context, such as http.Client.Timeout sets,
// bounds connecting, the wait for the first byte, and each wait for more.
//
// In an ordinary program, and so in `go test`, the package does nothing: net/http calls as it always does.
//
// net/http is large. Package fetch does without it.
package peltonhttp

import "pelton.dev/pelton/internal/wasihttp"

// ErrDenied is what errors.Is finds in the error of a request that the host does not allow.
var ErrDenied = wasihttp.ErrDenied
