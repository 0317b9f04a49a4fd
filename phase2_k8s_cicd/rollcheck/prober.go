package main

// One request: sent once, never again. Every failure that a strict client would see is handed on, not smoothed over.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
	"unicode"
)

// maxAnswerBytes is far more than any price takes.
const maxAnswerBytes = 1 << 20

// idleTimeout is how long an unused connection is kept. It is shorter than servers wait (uvicorn: 5 s), so that it is
// the client who closes: else a request can cross the server's goodbye on the wire, a loss that no rollout caused.
const idleTimeout = 2 * time.Second

// outcome is what became of one request.
type outcome struct {
	at      time.Duration // when it was due, since the start
	latency time.Duration // from when it was due to the last byte of its answer
	version string        // that answered; empty if none did
	fresh   bool          // it had a connection of its own
	loss    *loss         // nil: a good answer
	unasked bool          // not sent, since too many were under way: nothing is known of the service
}

// prober asks for prices. Each of its two transports is an interface, so that a test can put another in its place.
type prober struct {
	url     string
	expect  expectation
	timeout time.Duration
	kept    http.RoundTripper // keeps connections alive
	fresh   http.RoundTripper // makes a new one for every request
}

// newProber makes a prober that goes straight to the service: no proxy, no redirects, no second try.
func newProber(o options) *prober {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	kept := &http.Transport{
		Protocols:           protocols,
		MaxIdleConnsPerHost: maxInFlight, // the default of 2 would close most connections after one request
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}
	fresh := kept.Clone()
	fresh.DisableKeepAlives = true
	return &prober{url: o.url + o.path, expect: o.expect, timeout: o.timeout, kept: kept, fresh: fresh}
}

// ask sends one request and judges the answer. The time counts from when the request was due, not from when it was
// sent: if this program itself falls behind, that must show.
func (p *prober) ask(h house, fresh bool, due time.Time) outcome {
	ctx, cancel := context.WithDeadline(context.Background(), due.Add(p.timeout))
	defer cancel()

	version, err := p.price(ctx, h, fresh)

	o := outcome{latency: time.Since(due), version: version, fresh: fresh}
	if err != nil {
		o.loss = asLoss(err)
	}
	return o
}

// price does what ask promises, up to the version that answered and an error if the answer was not good.
func (p *prober) price(ctx context.Context, h house, fresh bool) (version string, err error) {
	var connection string // what it was like; empty while there is none
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { connection = describe(info) },
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(h.Fields))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	// With GetBody a Transport may send a request again, unasked, when a kept connection turns out to be closed.
	// Without it, it never does.
	request.GetBody = nil

	// A Transport and not a Client: a Client would follow redirects.
	response, err := p.transport(fresh).RoundTrip(request)
	if err != nil {
		return "", broken(err, connection, p.timeout)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return "", broken(err, connection, p.timeout)
	}
	return p.judge(response, body, h)
}

// transport is the one for fresh or for kept connections.
func (p *prober) transport(fresh bool) http.RoundTripper {
	if fresh {
		return p.fresh
	}
	return p.kept
}

// judge says which version answered, and with an error why the answer is not good.
func (p *prober) judge(response *http.Response, body []byte, h house) (version string, err error) {
	version = printable(response.Header.Get("X-Service-Version"))
	if response.StatusCode != http.StatusOK {
		return version, &loss{fmt.Sprintf("status %d", response.StatusCode), printable(string(body))}
	}
	a, err := parseAnswer(body)
	if err != nil && !p.expect.admits(a, body) {
		return version, &loss{kindBody, printable(err.Error())}
	}
	if version == "" {
		version = printable(a.ModelVersion)
	}
	if err := p.expect.checkVersion(version); err != nil || a.PriceUSD == nil {
		return version, err
	}
	return version, p.expect.checkPrice(*a.PriceUSD, h.PriceUSD)
}

// describe tells a new connection from one that was used before; whoever looks for a cause needs to know.
func describe(info httptrace.GotConnInfo) string {
	if !info.Reused {
		return "a new connection"
	}
	return fmt.Sprintf("a connection that was idle for %v", info.IdleTime.Round(time.Millisecond))
}

// broken tells the three ways apart in which no whole answer came.
func broken(err error, connection string, timeout time.Duration) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded) && connection != "":
		return &loss{kindTimeout, fmt.Sprintf("no whole answer within %v, on %s", timeout, connection)}
	case errors.Is(err, context.DeadlineExceeded):
		return &loss{kindTimeout, fmt.Sprintf("no connection within %v", timeout)}
	case connection != "":
		return &loss{kindReset, printable(err.Error())}
	}
	return &loss{kindConnect, printable(err.Error())}
}

// asLoss finds the loss in an error.
func asLoss(err error) *loss {
	if l, ok := errors.AsType[*loss](err); ok {
		return l
	}
	return &loss{kindConnect, printable(err.Error())}
}

// printable makes what a server said fit for a terminal and a report: one short line without control characters.
func printable(text string) string {
	const maxRunes = 200
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > maxRunes {
		clean = string(runes[:maxRunes]) + "…"
	}
	return clean
}
