package main

// The schedule and the prober with a transport of the test's own, which can do what a server cannot: be exact.

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// transport is a function that answers a request, as an http.RoundTripper.
type transport func(*http.Request) (*http.Response, error)

func (answer transport) RoundTrip(r *http.Request) (*http.Response, error) { return answer(r) }

// ok is a good answer.
func ok() *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(goodBody))}
}

// testOptions ask for houses 0, 1 and 2 in turn and as fast as may be.
func testOptions() options {
	houses := []house{{Fields: json.RawMessage(`{"n":0}`)}, {Fields: json.RawMessage(`{"n":1}`)}, {Fields: json.RawMessage(`{"n":2}`)}}
	return options{
		url: "http://house", path: "/predict", rate: maxRate, duration: time.Minute, timeout: time.Minute, houses: houses,
		expect: expectation{maxUSD: 1e9},
	}
}

// proberWith makes a prober whose kept connections are the test's.
func proberWith(o options, kept transport) *prober {
	p := newProber(o)
	p.kept = kept
	return p
}

func TestWhatDoesNotFitIsNotAskedAndNotLost(t *testing.T) {
	release := make(chan struct{})
	o := testOptions()
	o.requests = maxInFlight + 200
	p := proberWith(o, func(*http.Request) (*http.Response, error) { <-release; return ok(), nil })
	outcomes := make(chan outcome)
	go askOnSchedule(t.Context(), o, p, time.Now(), outcomes)

	for range 200 {
		if o := <-outcomes; !o.unasked || o.loss != nil {
			t.Fatalf("%+v", o)
		}
	}
	close(release)
	for range maxInFlight {
		if o := <-outcomes; o.loss != nil || o.unasked {
			t.Fatalf("%+v", o)
		}
	}
}

func TestARequestThatIsAnsweredMakesRoomForAnother(t *testing.T) {
	o := testOptions()
	o.requests = maxInFlight + 100
	outcomes := make(chan outcome, o.requests)

	askOnSchedule(t.Context(), o, proberWith(o, func(*http.Request) (*http.Response, error) { return ok(), nil }), time.Now(), outcomes)

	for range o.requests {
		if o := <-outcomes; o.loss != nil {
			t.Fatal(o.loss)
		}
	}
}

func TestTheFreshShareLeavesTheKeptConnectionsAlone(t *testing.T) {
	tests := []struct {
		fresh    float64
		min, max int64 // of 200 requests; with .5, one run in a million is outside
	}{
		{0, 200, 200},
		{0.5, 65, 135},
		{1, 0, 0},
	}
	for _, test := range tests {
		var kept atomic.Int64
		o := testOptions()
		o.requests, o.fresh = 200, test.fresh
		p := proberWith(o, func(*http.Request) (*http.Response, error) { kept.Add(1); return ok(), nil })
		p.fresh = transport(func(*http.Request) (*http.Response, error) { return ok(), nil })

		askOnSchedule(t.Context(), o, p, time.Now(), make(chan outcome, o.requests))

		if n := kept.Load(); n < test.min || n > test.max {
			t.Errorf("-fresh %v: %d of 200 on kept connections", test.fresh, n)
		}
	}
}

func TestWhenTheWatchingEndsRequestsUnderWayAreStillAwaited(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	o := testOptions()
	p := proberWith(o, func(*http.Request) (*http.Response, error) {
		cancel()
		<-release
		return ok(), nil
	})
	outcomes := make(chan outcome, maxInFlight)
	ended := make(chan struct{})
	go func() {
		askOnSchedule(ctx, o, p, time.Now(), outcomes)
		close(ended)
	}()

	select {
	case <-ended:
		t.Fatal("it ended with requests under way")
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	<-ended
	if len(outcomes) == 0 || (<-outcomes).loss != nil {
		t.Error("the answer was not counted")
	}
}

func TestHousesAreAskedForInTurnAndTheTransportHasNoMeansToTryAgain(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	o := testOptions()
	o.requests = 6
	p := proberWith(o, func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked[string(body)]++
		if r.GetBody != nil {
			t.Error("with GetBody a transport may send the request again")
		}
		if r.Header.Get("Content-Type") != "application/json" {
			t.Error("FastAPI reads only what says that it is JSON")
		}
		return ok(), nil
	})
	outcomes := make(chan outcome, o.requests)

	askOnSchedule(t.Context(), o, p, time.Now(), outcomes)

	if len(asked) != 3 || asked[`{"n":0}`] != 2 || asked[`{"n":2}`] != 2 {
		t.Errorf("%v", asked)
	}
}

func TestARequestHasTheTimeItWasDueAndNoOther(t *testing.T) {
	o := testOptions()
	o.rate, o.requests = 1000, 3
	outcomes := make(chan outcome, o.requests)

	// Due a second ago: as if this program had been asleep.
	askOnSchedule(t.Context(), o, proberWith(o, func(*http.Request) (*http.Response, error) { return ok(), nil }),
		time.Now().Add(-time.Second), outcomes)

	at := time.Duration(0)
	for range o.requests {
		result := <-outcomes
		at += result.at
		if result.latency < 900*time.Millisecond {
			t.Errorf("a latency of %v hides that the request left late", result.latency)
		}
	}
	if at != 3*time.Millisecond {
		t.Errorf("due at 0, 1 and 2 ms, which is %v together", at)
	}
}
