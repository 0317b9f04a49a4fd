package main

// Here it is decided whether an answer is good. Everything that is not has a kind, because "12 lost" helps nobody.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// The kinds of loss. A wrong status has its code in its kind: "status 503".
const (
	kindConnect = "connect" // no connection came about
	kindReset   = "reset"   // a connection was there, and broke before the answer was whole
	kindTimeout = "timeout" // no whole answer in time
	kindBody    = "body"    // not the JSON of a price with its interval
	kindPrice   = "price"   // a price that is not credible, or not the expected one
	kindVersion = "version" // answered by a version that should not
)

// loss is an error with a kind: what was lost, and why.
type loss struct {
	kind   string
	detail string
}

// Error makes *loss an error, so that functions return it like any other.
func (l *loss) Error() string { return l.kind + ": " + l.detail }

// answer is what the service says about a house; fields that nobody checks are left out.
type answer struct {
	PriceUSD    *float64 `json:"price_usd"` // a pointer tells "absent" from 0
	IntervalUSD *struct {
		Low  *float64 `json:"low"`
		High *float64 `json:"high"`
	} `json:"interval_usd"`
	ModelVersion string `json:"model_version"`
}

// parseAnswer reads the body of an answer. Without an error there is a price, inside its interval.
func parseAnswer(body []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return a, err
	}
	if a.PriceUSD == nil {
		return a, errors.New("no price_usd")
	}
	if a.IntervalUSD == nil || a.IntervalUSD.Low == nil || a.IntervalUSD.High == nil {
		return a, errors.New("no interval_usd with low and high")
	}
	if low, high := *a.IntervalUSD.Low, *a.IntervalUSD.High; low > *a.PriceUSD || *a.PriceUSD > high {
		return a, fmt.Errorf("price_usd %.2f is outside its interval %.2f to %.2f", *a.PriceUSD, low, high)
	}
	return a, nil
}

// expectation is what a good answer has to keep to.
type expectation struct {
	minUSD, maxUSD float64
	tolerance      float64  // relative, around a price that is known
	versions       []string // empty: any
	anyShape       bool     // another path than /predict: JSON without a price is good too
}

// admits says whether a body that is no answer of /predict is good all the same.
func (e expectation) admits(a answer, body []byte) bool {
	return e.anyShape && a.PriceUSD == nil && json.Valid(body)
}

// checkPrice compares a price with the bounds and, if it is known, with the one expected.
func (e expectation) checkPrice(priceUSD float64, expectedUSD *float64) error {
	if priceUSD < e.minUSD || priceUSD > e.maxUSD {
		return &loss{kindPrice, fmt.Sprintf("%.2f USD is not between %.0f and %.0f", priceUSD, e.minUSD, e.maxUSD)}
	}
	if expectedUSD != nil && math.Abs(priceUSD-*expectedUSD) > e.tolerance**expectedUSD {
		return &loss{kindPrice, fmt.Sprintf("%.2f USD instead of %.2f", priceUSD, *expectedUSD)}
	}
	return nil
}

// checkVersion refuses a version that may not answer.
func (e expectation) checkVersion(version string) error {
	if len(e.versions) > 0 && !slices.Contains(e.versions, version) {
		return &loss{kindVersion, fmt.Sprintf("unknown version %q", version)}
	}
	return nil
}
