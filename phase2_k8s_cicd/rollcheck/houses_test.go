package main

// A houses file that is misread checks less than its author believes.

import (
	"io"
	"strings"
	"testing"
)

func TestTheBuiltInHousesAreReadable(t *testing.T) {
	houses, err := loadHouses("", nil)

	if err != nil || len(houses) < 3 || string(houses[0].Fields) != `{"land_area_sqft": 5000, "bedrooms": 3}` {
		t.Errorf("%v, %d houses", err, len(houses))
	}
}

func TestHousesComeFromStdinToo(t *testing.T) {
	houses, err := loadHouses("-", strings.NewReader(`[{"house": {"bedrooms": 3}, "price_usd": 5}]`))

	if err != nil || len(houses) != 1 || *houses[0].PriceUSD != 5 {
		t.Errorf("%v, %+v", err, houses)
	}
}

func TestAHousesFileThatWouldCheckLessIsRefused(t *testing.T) {
	tests := map[string]string{
		`[]`:                             "no houses in it",
		`[{"house": {}, "price": 5}]`:    `unknown field "price"`,
		`[{"price_usd": 5}]`:             `entry 1 has no "house"`,
		`[{"house": 3}]`:                 `entry 1 has no "house"`,
		`[{"house": {}}, {"house": []}]`: `entry 2 has no "house"`,
		`[{"house": {}, "price_usd":0}]`: "price_usd must be above 0",
		`[{"house": {}}] [1]`:            "something follows the array",
		`{"house": {}}`:                  "it should look like",
		``:                               "it should look like",
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			_, err := loadHouses("-", strings.NewReader(text))

			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "stdin") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAnEndlessHousesFileIsRefused(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("["), zeros{})

	_, err := parseHouses(endless)

	if err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("%v", err)
	}
}

// zeros is a Reader without an end: an interface of one method is quickly implemented.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func FuzzParseHouses(f *testing.F) {
	f.Add(string(embeddedHouses))
	f.Add(`[{"house": {"bedrooms": 3}, "price_usd": 444343.1}]`)
	f.Add(`[{"house": null}]`)
	f.Add(`[{}]`)
	f.Fuzz(func(t *testing.T, text string) {
		houses, err := parseHouses(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(houses) == 0 {
			t.Fatalf("%q: no houses, and no error", text)
		}
		for _, h := range houses {
			if h.Fields[0] != '{' || h.PriceUSD != nil && *h.PriceUSD <= 0 {
				t.Fatalf("%q: %s passed", text, h.Fields)
			}
		}
	})
}
