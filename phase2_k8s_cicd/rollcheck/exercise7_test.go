//go:build exercise7

package main

// Exercise 7: with -histogram the summary shows how the latencies spread: one line for each doubling.

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A line is like "  ≤ 256 ms   ██████████  2".
var histogramLine = regexp.MustCompile(`(?m)^ *≤ *(\d+) ms +(█*) +(\d+)$`)

func TestExercise7TheHistogramShowsQuickAndSlowAnswers(t *testing.T) {
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 8 {
			time.Sleep(150 * time.Millisecond) // in the line "≤ 256 ms", or later on a busy computer
		}
		saying(200, goodBody)(w, r)
	})

	_, _, shown := check(t, "-requests", "10", "-rate", "20", "-histogram", url)

	lines := histogramLine.FindAllStringSubmatch(shown, -1)
	if len(lines) < 2 {
		t.Fatalf("no histogram in:\n%s", shown)
	}
	sum, before, longest := 0, 0, 0
	for _, line := range lines {
		bound, _ := strconv.Atoi(line[1])
		count, _ := strconv.Atoi(line[3])
		if before > 0 && bound != 2*before {
			t.Errorf("≤ %d ms follows ≤ %d ms; each line should double", bound, before)
		}
		if (count > 0) != (line[2] != "") {
			t.Errorf("%q: a bar for something, and none for nothing", line[0])
		}
		sum, before, longest = sum+count, bound, max(longest, strings.Count(line[2], "█"))
	}
	if sum != 10 || longest != 40 {
		t.Errorf("%d answers in all, longest bar %d; want 10 and 40", sum, longest)
	}
	if last := lines[len(lines)-1]; before < 256 || last[3] == "0" {
		t.Errorf("the last line is %q; it should hold the slowest answer", last[0])
	}
}

func TestExercise7WithoutTheFlagThereIsNone(t *testing.T) {
	url, _ := serve(t, saying(200, goodBody))

	_, _, shown := check(t, "-requests", "2", url)

	if histogramLine.MatchString(shown) {
		t.Errorf("%s", shown)
	}
}
