package wasihttp

import (
	"errors"
	"fmt"
	"io"

	"go.bytecodealliance.org/pkg/wit/types"

	"pelton.dev/pelton/internal/bindings/wasi_http_outgoing_handler"
	"pelton.dev/pelton/internal/bindings/wasi_http_types"
	"pelton.dev/pelton/internal/bindings/wasi_io_streams"
	"pelton.dev/pelton/internal/host"
)

// Do makes the request and returns when the head of the response is there.
//
// Resources are dropped by hand, children before parents, as wasi:io demands; what the bindings do when they are collected knows no order.
func Do(request Request) (*Response, error) {
	outgoing, err := prepare(request)
	if err != nil {
		return nil, err
	}
	body := outgoing.Body().Ok()
	sent := wasi_http_outgoing_handler.Handle(outgoing, options(request))
	if sent.IsErr() {
		body.Drop()
		return nil, errorOf(sent.Err())
	}
	future := sent.Ok()
	defer future.Drop()
	if err := send(body, request.Body); err != nil && !errors.Is(err, errNotTaken) {
		return nil, err
	}
	// A connection that takes no more has ended, or has been answered before all was sent; the future knows which.
	result := await(future)
	if result.IsErr() {
		return nil, errorOf(result.Err())
	}
	return received(result.Ok()), nil
}

func prepare(request Request) (*wasi_http_types.OutgoingRequest, error) {
	fields := wasi_http_types.MakeFields()
	for _, header := range request.Headers {
		if result := fields.Append(header.Name, []byte(header.Value)); result.IsErr() {
			fields.Drop()
			if result.Err().Tag() == wasi_http_types.HeaderErrorForbidden {
				return nil, fmt.Errorf("header %s: the host sets it, a request may not", header.Name)
			}
			return nil, fmt.Errorf("header %s: not a valid name or value", header.Name)
		}
	}
	outgoing := wasi_http_types.MakeOutgoingRequest(fields)
	refused := outgoing.SetMethod(methodOf(request.Method)).IsErr() ||
		outgoing.SetScheme(wit_types.Some(schemeOf(request.Scheme))).IsErr() ||
		outgoing.SetAuthority(wit_types.Some(request.Authority)).IsErr() ||
		outgoing.SetPathWithQuery(wit_types.Some(request.PathWithQuery)).IsErr()
	if refused {
		outgoing.Drop()
		return nil, fmt.Errorf("not a valid request: %s %s://%s%s", request.Method, request.Scheme, request.Authority, request.PathWithQuery)
	}
	return outgoing, nil
}

func options(request Request) wit_types.Option[*wasi_http_types.RequestOptions] {
	if request.Timeout <= 0 {
		return wit_types.None[*wasi_http_types.RequestOptions]()
	}
	options := wasi_http_types.MakeRequestOptions()
	timeout := wit_types.Some(uint64(request.Timeout))
	// A host that does not keep one of these refuses it, which is no reason not to ask.
	options.SetConnectTimeout(timeout)
	options.SetFirstByteTimeout(timeout)
	options.SetBetweenBytesTimeout(timeout)
	return wit_types.Some(options)
}

// errNotTaken is why sending ends before the end.
var errNotTaken = errors.New("the connection takes no more")

func send(body *wasi_http_types.OutgoingBody, from io.Reader) error {
	if from != nil {
		stream := body.Write().Ok()
		err := write(stream, from)
		stream.Drop()
		if err != nil {
			body.Drop()
			return err
		}
	}
	if result := wasi_http_types.OutgoingBodyFinish(body, wit_types.None[*wasi_http_types.Fields]()); result.IsErr() {
		return fmt.Errorf("%w: %w", errNotTaken, errorOf(result.Err()))
	}
	return nil
}

func write(stream *wasi_io_streams.OutputStream, from io.Reader) error {
	// As much as wasi:io takes at once.
	var chunk [4096]byte
	for {
		n, err := from.Read(chunk[:])
		if n > 0 {
			if result := stream.BlockingWriteAndFlush(chunk[:n]); result.IsErr() {
				return fmt.Errorf("%w: %w", errNotTaken, streamError(result.Err()))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func await(future *wasi_http_types.FutureIncomingResponse) wit_types.Result[*wasi_http_types.IncomingResponse, wasi_http_types.ErrorCode] {
	for {
		if answer := future.Get(); answer.IsSome() {
			// The outer result fails when the answer was taken before, which it was not.
			return answer.Some().Ok()
		}
		pollable := future.Subscribe()
		pollable.Block()
		pollable.Drop()
	}
}

func received(incoming *wasi_http_types.IncomingResponse) *Response {
	response := &Response{Status: int(incoming.Status())}
	fields := incoming.Headers()
	for _, entry := range fields.Entries() {
		response.Headers = append(response.Headers, Header{Name: entry.F0, Value: string(entry.F1)})
	}
	fields.Drop()
	content := incoming.Consume().Ok()
	body := &body{response: incoming, content: content, stream: content.Stream().Ok()}
	open[body] = struct{}{}
	response.Body = body
	return response
}

// open is the bodies that are not closed. They are kept from the collector, and closed when the call ends.
var open = map[*body]struct{}{}

func init() {
	host.AtReturn = append(host.AtReturn, func() {
		for body := range open {
			body.release()
		}
	})
}

type body struct {
	response *wasi_http_types.IncomingResponse
	content  *wasi_http_types.IncomingBody
	stream   *wasi_io_streams.InputStream
	rest     []byte
	err      error
}

func (b *body) Read(to []byte) (int, error) {
	for len(b.rest) == 0 && b.err == nil {
		result := b.stream.BlockingRead(16 << 10)
		if result.IsErr() {
			b.err = io.EOF
			if result.Err().Tag() != wasi_io_streams.StreamErrorClosed {
				b.err = fmt.Errorf("reading the response: %w", streamError(result.Err()))
			}
			b.release()
		} else {
			b.rest = result.Ok()
		}
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(to, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error {
	b.rest = nil
	if b.err == nil {
		b.err = errors.New("the body of the response is closed")
	}
	b.release()
	return nil
}

func (b *body) release() {
	if _, isOpen := open[b]; isOpen {
		delete(open, b)
		b.stream.Drop()
		b.content.Drop()
		b.response.Drop()
		if b.err == nil {
			b.err = errors.New("the call that made the request has ended")
		}
	}
}

func streamError(err wasi_io_streams.StreamError) error {
	if err.Tag() == wasi_io_streams.StreamErrorClosed {
		return errors.New("the connection is closed")
	}
	failed := err.LastOperationFailed()
	defer failed.Drop()
	if code := wasi_http_types.HttpErrorCode(failed); code.IsSome() {
		return errorOf(code.Some())
	}
	return errors.New(failed.ToDebugString())
}

// names are the cases of wasi:http's error-code, in its order.
var names = [...]string{
	"DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited", "destination-IP-unroutable",
	"connection-refused", "connection-terminated", "connection-timeout", "connection-read-timeout", "connection-write-timeout",
	"connection-limit-reached", "TLS-protocol-error", "TLS-certificate-error", "TLS-alert-received", "HTTP-request-denied",
	"HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid", "HTTP-request-URI-invalid",
	"HTTP-request-URI-too-long", "HTTP-request-header-section-size", "HTTP-request-header-size", "HTTP-request-trailer-section-size",
	"HTTP-request-trailer-size", "HTTP-response-incomplete", "HTTP-response-header-section-size", "HTTP-response-header-size",
	"HTTP-response-body-size", "HTTP-response-trailer-section-size", "HTTP-response-trailer-size", "HTTP-response-transfer-coding",
	"HTTP-response-content-coding", "HTTP-response-timeout", "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected",
	"configuration-error", "internal-error",
}

func errorOf(code wasi_http_types.ErrorCode) error {
	detail := wit_types.None[string]()
	switch code.Tag() {
	case wasi_http_types.ErrorCodeHttpRequestDenied:
		return ErrDenied
	case wasi_http_types.ErrorCodeDnsError:
		detail = code.DnsError().Rcode
	case wasi_http_types.ErrorCodeTlsAlertReceived:
		detail = code.TlsAlertReceived().AlertMessage
	case wasi_http_types.ErrorCodeInternalError:
		detail = code.InternalError()
	}
	if detail.IsSome() {
		return fmt.Errorf("%s: %s", names[code.Tag()], detail.Some())
	}
	return errors.New(names[code.Tag()])
}

func methodOf(name string) wasi_http_types.Method {
	switch name {
	case "", "GET":
		return wasi_http_types.MakeMethodGet()
	case "HEAD":
		return wasi_http_types.MakeMethodHead()
	case "POST":
		return wasi_http_types.MakeMethodPost()
	case "PUT":
		return wasi_http_types.MakeMethodPut()
	case "DELETE":
		return wasi_http_types.MakeMethodDelete()
	case "OPTIONS":
		return wasi_http_types.MakeMethodOptions()
	case "PATCH":
		return wasi_http_types.MakeMethodPatch()
	default:
		return wasi_http_types.MakeMethodOther(name)
	}
}

func schemeOf(name string) wasi_http_types.Scheme {
	switch name {
	case "http":
		return wasi_http_types.MakeSchemeHttp()
	case "https":
		return wasi_http_types.MakeSchemeHttps()
	default:
		return wasi_http_types.MakeSchemeOther(name)
	}
}
