package pelton

import (
	"encoding/json"
	"strings"
)

func decode(text string, v any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	// A float64 would lose digits of what was recorded.
	decoder.UseNumber()
	return decoder.Decode(v)
}

func encode(v any) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	// It is not going to stand in a page of HTML.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}
