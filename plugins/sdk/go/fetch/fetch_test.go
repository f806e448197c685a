package fetch

import (
	"strings"
	"testing"
)

func TestAURLIsTakenApart(t *testing.T) {
	for url, expected := range map[string][3]string{
		"http://a":                  {"http", "a", "/"},
		"https://a:8443/b?c=d#e":    {"https", "a:8443", "/b?c=d"},
		"http://a?b":                {"http", "a", "/?b"},
		"https://[::1]:80/x//y/%20": {"https", "[::1]:80", "/x//y/%20"},
	} {
		request, err := requestOf(Request{URL: url})
		if got := [3]string{request.Scheme, request.Authority, request.PathWithQuery}; err != nil || got != expected {
			t.Errorf("%s: %v %v", url, got, err)
		}
	}
	for _, url := range []string{"", "/path", "ftp://a", "http://", "http:///x", "https://user@a/"} {
		if _, err := requestOf(Request{URL: url}); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
}

func TestOutsideAComponentARequestFailsAndSaysWhy(t *testing.T) {
	if _, err := Do(Request{URL: "http://a"}); err == nil || !strings.Contains(err.Error(), "component") {
		t.Error(err)
	}
}
