package peltonhttp

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"pelton.dev/pelton/internal/wasihttp"
)

func init() {
	http.DefaultTransport = transport{}
}

type transport struct{}

func (transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		defer request.Body.Close()
	}
	timeout, err := timeoutOf(request.Context())
	if err != nil {
		return nil, err
	}
	outgoing := wasihttp.Request{
		Method:        request.Method,
		Scheme:        request.URL.Scheme,
		Authority:     request.URL.Host,
		PathWithQuery: request.URL.RequestURI(),
		Timeout:       timeout,
	}
	for name, values := range request.Header {
		for _, value := range values {
			outgoing.Headers = append(outgoing.Headers, wasihttp.Header{Name: name, Value: value})
		}
	}
	if request.Body != nil && request.Body != http.NoBody {
		outgoing.Body = request.Body
		if request.ContentLength > 0 {
			outgoing.Headers = append(outgoing.Headers, wasihttp.Header{Name: "Content-Length", Value: fmt.Sprint(request.ContentLength)})
		}
	}
	incoming, err := wasihttp.Do(outgoing)
	if err != nil {
		return nil, err
	}
	return responseTo(request, incoming), nil
}

func responseTo(request *http.Request, incoming *wasihttp.Response) *http.Response {
	response := &http.Response{
		Status:        fmt.Sprintf("%d %s", incoming.Status, http.StatusText(incoming.Status)),
		StatusCode:    incoming.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{},
		Body:          incoming.Body,
		ContentLength: -1,
		Request:       request,
	}
	for _, header := range incoming.Headers {
		response.Header.Add(header.Name, header.Value)
	}
	if text := response.Header.Get("Content-Length"); text != "" {
		var length int64
		if _, err := fmt.Sscan(text, &length); err == nil {
			response.ContentLength = length
		}
	}
	return response
}

func timeoutOf(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return 0, context.DeadlineExceeded
	}
	return left, nil
}
