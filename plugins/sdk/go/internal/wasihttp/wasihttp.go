// Package wasihttp makes one request by wasi:http, in the terms of neither net/http nor the generated bindings.
package wasihttp

import (
	"errors"
	"io"
	"time"
)

// ErrDenied is why a request fails that the operator's rules or the processor's own egress rules do not allow.
var ErrDenied = errors.New("the request is not allowed: the operator's rules and the processor's egress rules must both name its host (HTTP-request-denied)")

// Request is a request to be made.
type Request struct {
	Method string
	// Scheme is "http" or "https".
	Scheme string
	// Authority is the host, with a port where it is not the scheme's own.
	Authority string
	// PathWithQuery is what stands in the request's first line.
	PathWithQuery string
	Headers       []Header
	// Body may be nil.
	Body io.Reader
	// Timeout, where not 0, bounds each of connecting, the wait for the first byte, and the wait between bytes.
	Timeout time.Duration
}

// Header is one field of a request's or response's head.
type Header struct {
	Name, Value string
}

// Response is what came back.
type Response struct {
	Status  int
	Headers []Header
	// Body is to be closed; what is not is closed when the call of after-append ends.
	Body io.ReadCloser
}
