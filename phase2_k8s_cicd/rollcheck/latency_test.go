package main

// Quantiles that nobody can check by eye have to be right.

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreRightToOnePercent(t *testing.T) {
	var l latencies
	var all []time.Duration
	for range 10_000 {
		d := time.Duration((1 + rand.ExpFloat64()*20) * float64(time.Millisecond))
		l.add(d)
		all = append(all, d)
	}
	slices.Sort(all)

	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := all[int(q*10_000)-1]
		if got := l.quantile(q); got < exact || float64(got) > 1.0101*float64(exact) {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
	if l.quantile(1) != all[len(all)-1] {
		t.Errorf("the largest is %v, not %v", all[len(all)-1], l.quantile(1))
	}
}

func TestTheMedianOfThreeIsTheSecond(t *testing.T) {
	var l latencies
	for _, ms := range []time.Duration{1, 2, 3} {
		l.add(ms * time.Millisecond)
	}

	if got := l.quantile(0.5); got < 2*time.Millisecond || got > 2020*time.Microsecond {
		t.Errorf("%v", got)
	}
}

func TestQuantilesOfExtremes(t *testing.T) {
	var l latencies
	if l.quantile(0.5) != 0 {
		t.Error("of nothing there is no quantile but 0")
	}

	l.add(-time.Second) // a clock that went wrong
	l.add(0)
	l.add(time.Hour)

	if got := l.quantile(1); got != time.Hour && got < maxTimeout {
		t.Errorf("%v", got)
	}
}
