//go:build exercise5

package main

// Exercise 5: a -header flag, for services behind a gateway that looks at headers.

import (
	"net/http"
	"strings"
	"testing"
)

func TestExercise5HeadersAreSentWithEachRequest(t *testing.T) {
	seen := make(chan string, 10)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Canary") + " from " + r.Header.Get("X-Team")
		saying(200, goodBody)(w, r)
	})

	code, _, shown := check(t, "-requests", "2", "-header", "X-Canary: yes", "-header", "X-Team: blue:7", url)

	if code != exitNothingLost {
		t.Fatalf("exit %d: %s", code, shown)
	}
	for range 2 {
		if got := <-seen; got != "yes from blue:7" {
			t.Errorf("the service saw %q", got)
		}
	}
}

func TestExercise5AHeaderWithoutANameOrAColonIsWrongUsage(t *testing.T) {
	for _, header := range []string{"X-Canary", ": yes", "X Canary: yes"} {
		code, _, shown := check(t, "-requests", "1", "-header", header, "http://127.0.0.1:1")

		if code != exitUsage || !strings.Contains(shown, "Name: value") || strings.Count(shown, "\n") != 1 {
			t.Errorf("%q: exit %d: %s", header, code, shown)
		}
	}
}
