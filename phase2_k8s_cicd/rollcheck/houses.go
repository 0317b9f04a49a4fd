package main

// What is asked for: houses from a file, or the few that travel inside the binary.

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxHousesBytes keeps a wrong path, say of a disk image, from filling the memory.
const maxHousesBytes = 64 << 20

//go:embed houses.json
var embeddedHouses []byte

// house is one thing to ask for, and the price to expect if that is known.
type house struct {
	Fields   json.RawMessage `json:"house"` // sent as it stands
	PriceUSD *float64        `json:"price_usd"`
}

// loadHouses reads the houses at path; "-" is stdin and "" the built-in ones.
func loadHouses(path string, stdin io.Reader) ([]house, error) {
	switch path {
	case "":
		return parseHouses(bytes.NewReader(embeddedHouses))
	case "-":
		return named("stdin")(parseHouses(stdin))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("-houses: %w", err)
	}
	defer file.Close()
	return named(path)(parseHouses(file))
}

// named adds to an error which houses were meant.
func named(source string) func([]house, error) ([]house, error) {
	return func(houses []house, err error) ([]house, error) {
		if err != nil {
			err = fmt.Errorf("-houses %s: %w", source, err)
		}
		return houses, err
	}
}

// parseHouses reads a JSON array of houses and refuses one that would check less than its author meant.
func parseHouses(r io.Reader) ([]house, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxHousesBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxHousesBytes {
		return nil, fmt.Errorf("more than %d MiB; a few hundred houses are plenty", maxHousesBytes>>20)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // "price" for "price_usd" would leave the prices unchecked
	var houses []house
	if err := decoder.Decode(&houses); err != nil {
		return nil, fmt.Errorf(`%w; it should look like [{"house": {"bedrooms": 3}, "price_usd": 444343.1}]`, err)
	}
	if decoder.More() {
		return nil, errors.New("something follows the array; give one JSON array")
	}
	if len(houses) == 0 {
		return nil, errors.New("no houses in it; give at least one")
	}
	for i, h := range houses {
		if len(h.Fields) == 0 || h.Fields[0] != '{' {
			return nil, fmt.Errorf(`entry %d has no "house" with fields in braces`, i+1)
		}
		if h.PriceUSD != nil && *h.PriceUSD <= 0 {
			return nil, fmt.Errorf("entry %d: price_usd must be above 0; leave it out if it is not known", i+1)
		}
	}
	return houses, nil
}
