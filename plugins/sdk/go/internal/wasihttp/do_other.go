//go:build !wasip1

package wasihttp

import "errors"

// Do is for components alone.
func Do(Request) (*Response, error) {
	return nil, errors.New("wasi:http is there in a component only")
}
