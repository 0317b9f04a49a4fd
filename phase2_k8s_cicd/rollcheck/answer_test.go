package main

// The parser reads what a broken service might say, so anything at all may come.

import (
	"encoding/json"
	"math"
	"testing"
)

func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []string{
		goodBody,
		`{"price_usd":0,"interval_usd":{"low":0,"high":0}}`,
		`{"price_usd":null,"interval_usd":{"low":1,"high":2}}`,
		`{"price_usd":1,"interval_usd":null}`,
		`{"price_usd":1,"interval_usd":{"low":2}}`,
		`{"price_usd":"1","interval_usd":[1,2]}`,
		`{"price_usd":1e999}`,
		`[]`, `null`, ``, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAnswer(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is no JSON, and passed", body)
		}
		price, low, high := *a.PriceUSD, *a.IntervalUSD.Low, *a.IntervalUSD.High
		if !(low <= price && price <= high) || math.IsInf(price, 0) {
			t.Fatalf("%q: price %v in %v to %v passed", body, price, low, high)
		}
		if _, err := json.Marshal(printable(a.ModelVersion)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatAServerSaysCannotSteerTheTerminal(t *testing.T) {
	got := printable("v1\x1b[2J\nv2\u202e")

	if got != "v1 [2J v2 " {
		t.Errorf("%q", got)
	}
}
