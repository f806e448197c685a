package pelton

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"pelton.dev/pelton/internal/host"
)

// logHandler writes a record as one line of the host's log: the message, then each attribute as key=value. The host adds time and level.
type logHandler struct {
	host host.Host
	// attributes are those that the logger was made with, as text.
	attributes string
	// group is what the keys of further attributes begin with.
	group string
}

func (handler logHandler) Enabled(context.Context, slog.Level) bool {
	return true
}

func (handler logHandler) Handle(_ context.Context, record slog.Record) error {
	var line strings.Builder
	line.WriteString(record.Message)
	line.WriteString(handler.attributes)
	record.Attrs(func(attribute slog.Attr) bool {
		write(&line, handler.group, attribute)
		return true
	})
	handler.host.Log(levelOf(record.Level), line.String())
	return nil
}

func (handler logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	var text strings.Builder
	for _, attribute := range attributes {
		write(&text, handler.group, attribute)
	}
	handler.attributes += text.String()
	return handler
}

func (handler logHandler) WithGroup(name string) slog.Handler {
	handler.group += name + "."
	return handler
}

func write(line *strings.Builder, group string, attribute slog.Attr) {
	value := attribute.Value.Resolve()
	switch {
	case value.Kind() == slog.KindGroup:
		if attribute.Key != "" {
			group += attribute.Key + "."
		}
		for _, member := range value.Group() {
			write(line, group, member)
		}
	case !attribute.Equal(slog.Attr{}):
		line.WriteString(" " + group + attribute.Key + "=" + quoted(value.String()))
	}
}

// quoted is the text as it stands, where it is one word.
func quoted(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f }) {
		return strconv.Quote(text)
	}
	return text
}

func levelOf(level slog.Level) host.Level {
	switch {
	case level < slog.LevelInfo:
		return host.Debug
	case level < slog.LevelWarn:
		return host.Info
	case level < slog.LevelError:
		return host.Warn
	default:
		return host.Error
	}
}
