//go:build exercise8

package main

// Exercise 8: with -ramp the rate climbs in a straight line from 0 to -rate: nobody opens a shop to a full queue.

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestExercise8TheRateClimbsInAStraightLine(t *testing.T) {
	var early atomic.Int64
	started := time.Now()
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if time.Since(started) < 500*time.Millisecond {
			early.Add(1)
		}
		saying(200, goodBody)(w, r)
	})

	_, r, shown := check(t, "-rate", "100", "-ramp", "1s", "-duration", "2s", url)

	// Half a triangle in the first second, 100 in the next; an eighth of 100 in the first half second.
	if r.Requests < 149 || r.Requests > 151 {
		t.Errorf("%d requests, want 150: %s", r.Requests, shown)
	}
	if n := early.Load(); n > 16 {
		t.Errorf("%d requests in the first half second, want about 12", n)
	}
}

func TestExercise8WithoutARampNothingChanges(t *testing.T) {
	url, _ := serve(t, saying(200, goodBody))

	_, r, _ := check(t, "-rate", "100", "-duration", "500ms", url)

	if r.Requests != 50 {
		t.Errorf("%d requests, want 50", r.Requests)
	}
}

func TestExercise8ARampIsNoTimeMachine(t *testing.T) {
	code, _, shown := check(t, "-requests", "1", "-ramp", "-1s", "http://127.0.0.1:1")

	if code != exitUsage || !strings.Contains(shown, "-ramp -1s") || strings.Count(shown, "\n") != 1 {
		t.Errorf("exit %d: %s", code, shown)
	}
}
