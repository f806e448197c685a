// Package fetch is a small HTTP client for components that would rather not carry net/http, which makes a component twice as large.
//
// Requests can be made in AfterAppend only. They pass the rules of the operator and those of the processor's own egress. pelton.Secret in the value
// of a header is replaced on the way out. Redirects are not followed: a response with a Location is a response.
package fetch

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"pelton.dev/pelton/internal/wasihttp"
)

// ErrDenied is what errors.Is finds in the error of a request that the host does not allow.
var ErrDenied = wasihttp.ErrDenied

// Request is a request to be made.
type Request struct {
	// Method is GET where it is "".
	Method string
	// URL is absolute, http or https.
	URL string
	// Header has one value a name.
	Header map[string]string
	Body   []byte
	// Timeout, where not 0, bounds each of connecting, the wait for the first byte, and the wait between bytes.
	Timeout time.Duration
}

// Response is what came back, whatever its status.
type Response struct {
	Status int
	// Header has names in lower case; several values of one name are joined by ", ".
	Header map[string]string
	Body   []byte
}

// Do makes a request and reads the whole response. An error means that there is no complete response; it is made in a component only,
// in an ordinary program it fails, unless a test has put something else in the place of Do.
var Do = func(request Request) (*Response, error) {
	outgoing, err := requestOf(request)
	if err != nil {
		return nil, err
	}
	incoming, err := wasihttp.Do(outgoing)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", outgoing.Method, request.URL, err)
	}
	defer incoming.Body.Close()
	response := &Response{Status: incoming.Status, Header: map[string]string{}}
	for _, header := range incoming.Headers {
		name := strings.ToLower(header.Name)
		if before, ok := response.Header[name]; ok {
			header.Value = before + ", " + header.Value
		}
		response.Header[name] = header.Value
	}
	if response.Body, err = io.ReadAll(incoming.Body); err != nil {
		return nil, fmt.Errorf("%s %s: %w", outgoing.Method, request.URL, err)
	}
	return response, nil
}

func requestOf(request Request) (wasihttp.Request, error) {
	scheme, rest, ok := strings.Cut(request.URL, "://")
	if !ok || (scheme != "http" && scheme != "https") {
		return wasihttp.Request{}, fmt.Errorf("%q is not an absolute URL of http or https", request.URL)
	}
	rest, _, _ = strings.Cut(rest, "#")
	authority, path := rest, "/"
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		authority, path = rest[:at], rest[at:]
		if path[0] == '?' {
			path = "/" + path
		}
	}
	if authority == "" || strings.Contains(authority, "@") {
		return wasihttp.Request{}, fmt.Errorf("%q names no host, or a user, which belongs into a header", request.URL)
	}
	outgoing := wasihttp.Request{Method: request.Method, Scheme: scheme, Authority: authority, PathWithQuery: path, Timeout: request.Timeout}
	if outgoing.Method == "" {
		outgoing.Method = "GET"
	}
	for name, value := range request.Header {
		outgoing.Headers = append(outgoing.Headers, wasihttp.Header{Name: name, Value: value})
	}
	if len(request.Body) > 0 {
		outgoing.Body = bytes.NewReader(request.Body)
		outgoing.Headers = append(outgoing.Headers, wasihttp.Header{Name: "content-length", Value: fmt.Sprint(len(request.Body))})
	}
	return outgoing, nil
}
