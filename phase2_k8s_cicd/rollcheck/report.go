package main

// What stays after the run: a summary for people, and the same as JSON for scripts.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"time"
)

// report is the JSON report; scripts rely on its names.
type report struct {
	URL        string                   `json:"url"`
	StartedAt  string                   `json:"started_at"`
	Seconds    float64                  `json:"seconds"`
	Requests   int                      `json:"requests"`
	OK         int                      `json:"ok"`
	Lost       int                      `json:"lost"`
	NotAsked   int                      `json:"not_asked"`
	P50MS      float64                  `json:"p50_ms"`
	P99MS      float64                  `json:"p99_ms"`
	MaxMS      float64                  `json:"max_ms"`
	Versions   map[string]versionReport `json:"versions"`
	LostByKind map[string]int           `json:"lost_by_kind"`
	Losses     []lossReport             `json:"losses"`
}

// versionReport is about the good answers of one version; its seconds count from the start.
type versionReport struct {
	OK     int     `json:"ok"`
	P50MS  float64 `json:"p50_ms"`
	P99MS  float64 `json:"p99_ms"`
	FirstS float64 `json:"first_s"`
	LastS  float64 `json:"last_s"`
}

// lossReport is one loss; AtS is when its request was due.
type lossReport struct {
	AtS     float64 `json:"at_s"`
	Kind    string  `json:"kind"`
	Detail  string  `json:"detail"`
	Version string  `json:"version"`
	Fresh   bool    `json:"fresh"`
}

// report sums up the tally.
func (t *tally) report(url string) report {
	r := report{
		URL:        url,
		StartedAt:  t.started.UTC().Format(time.RFC3339),
		Seconds:    seconds(time.Since(t.started)),
		Requests:   t.ok + t.lost,
		OK:         t.ok,
		Lost:       t.lost,
		NotAsked:   t.notAsked,
		P50MS:      milliseconds(t.latencies.quantile(0.5)),
		P99MS:      milliseconds(t.latencies.quantile(0.99)),
		MaxMS:      milliseconds(t.latencies.max),
		Versions:   map[string]versionReport{},
		LostByKind: t.lostByKind,
		Losses:     []lossReport{}, // not nil, which JSON would call null
	}
	for name, v := range t.versions {
		r.Versions[name] = versionReport{
			OK:     v.ok,
			P50MS:  milliseconds(v.latencies.quantile(0.5)),
			P99MS:  milliseconds(v.latencies.quantile(0.99)),
			FirstS: seconds(v.first),
			LastS:  seconds(v.last),
		}
	}
	for _, o := range t.losses {
		r.Losses = append(r.Losses, lossReport{seconds(o.at), o.loss.kind, o.loss.detail, o.version, o.fresh})
	}
	return r
}

// writeSummary says in a few lines what a person wants to know first.
func (r report) writeSummary(w io.Writer) {
	switch {
	case r.Requests == 0:
		fmt.Fprintln(w, "nothing was asked, so nothing is known")
		return
	case r.Lost == 0:
		fmt.Fprintf(w, "✓ nothing lost: %d requests in %.1f s\n", r.Requests, r.Seconds)
	default:
		fmt.Fprintf(w, "✗ %d of %d requests lost in %.1f s\n", r.Lost, r.Requests, r.Seconds)
	}
	if r.NotAsked > 0 {
		fmt.Fprintf(w, "  %d more were not sent: %d were under way; the service is too slow, or this computer too busy\n",
			r.NotAsked, maxInFlight)
	}
	if r.OK > 0 {
		fmt.Fprintf(w, "  latency   p50 %.1f ms   p99 %.1f ms   max %.1f ms\n", r.P50MS, r.P99MS, r.MaxMS)
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Versions), r.byFirstAnswer) {
		v := r.Versions[name]
		fmt.Fprintf(w, "  %s   %d ok   from %.1f s to %.1f s   p50 %.1f ms   p99 %.1f ms\n",
			name, v.OK, v.FirstS, v.LastS, v.P50MS, v.P99MS)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.LostByKind)) {
		fmt.Fprintf(w, "  %s   %d lost%s\n", kind, r.LostByKind[kind], r.firstLoss(kind))
	}
}

// byFirstAnswer orders two versions by when they answered first.
func (r report) byFirstAnswer(a, b string) int {
	return cmp.Or(cmp.Compare(r.Versions[a].FirstS, r.Versions[b].FirstS), cmp.Compare(a, b))
}

// firstLoss describes the first loss of a kind, if it is among those that were kept.
func (r report) firstLoss(kind string) string {
	for _, l := range r.Losses {
		if l.Kind == kind {
			return fmt.Sprintf(", first at %.1f s: %s", l.AtS, l.Detail)
		}
	}
	return ""
}

// writeJSON writes the report as one line.
func (r report) writeJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}

// createReport opens what -report names; without a name, what is written there is thrown away.
func createReport(path string, stdout io.Writer) (io.WriteCloser, error) {
	switch path {
	case "":
		return unclosed{io.Discard}, nil
	case "-":
		return unclosed{stdout}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("-report: %w", err)
	}
	return file, nil
}

// unclosed makes a Writer that outlives its user into a WriteCloser.
type unclosed struct{ io.Writer }

// Close does nothing.
func (unclosed) Close() error { return nil }

// milliseconds is a duration in milliseconds, to the microsecond.
func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// seconds is a duration in seconds, to the millisecond.
func seconds(d time.Duration) float64 { return math.Round(float64(d)/1e6) / 1e3 }
