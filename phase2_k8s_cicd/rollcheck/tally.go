package main

// The count of everything, kept by one goroutine alone: what only one touches needs no lock.

import (
	"fmt"
	"time"
)

const (
	maxLossesKept = 20
	// A broken server might name a new version with every answer; the memory of hours has to stay bounded.
	maxVersions   = 50
	otherVersions = "(others)"
	noVersion     = "(none)"
	// A version that was silent for so long has probably answered for the last time.
	silence = 5 * time.Second
)

// tally is what is known so far.
type tally struct {
	started    time.Time
	ok, lost   int
	notAsked   int // apart from what was lost: the service never saw these
	latencies  latencies
	versions   map[string]*versionTally
	names      []string // the versions in the order in which they came
	lostByKind map[string]int
	kinds      []string  // likewise
	losses     []outcome // the first few
	recent     recent
}

// versionTally is what is known of one version; first and last are when its good answers were due.
type versionTally struct {
	ok          int
	latencies   latencies
	first, last time.Duration
	silent      bool // said to have answered for the last time
}

// recent is what came since the last live line.
type recent struct {
	requests  int
	latencies latencies
	versions  map[string]int
}

func newTally() *tally {
	return &tally{
		started:    time.Now(),
		versions:   map[string]*versionTally{},
		lostByKind: map[string]int{},
		recent:     recent{versions: map[string]int{}},
	}
}

// add counts one outcome and returns what is new about it for somebody who watches; mostly that is "".
func (t *tally) add(o outcome) (event string) {
	if o.unasked {
		return t.addUnasked()
	}
	t.recent.requests++
	if o.loss != nil {
		return t.addLoss(o)
	}
	return t.addGood(o)
}

func (t *tally) addUnasked() (event string) {
	t.notAsked++
	if t.notAsked > 1 {
		return ""
	}
	return fmt.Sprintf("first request that was not sent: %d were under way", maxInFlight)
}

func (t *tally) addLoss(o outcome) (event string) {
	t.lost++
	kind := o.loss.kind
	t.lostByKind[kind]++
	if len(t.losses) < maxLossesKept {
		t.losses = append(t.losses, o)
	}
	if t.lostByKind[kind] > 1 {
		return ""
	}
	t.kinds = append(t.kinds, kind)
	return fmt.Sprintf("first loss of kind %s: %s", kind, o.loss.detail)
}

func (t *tally) addGood(o outcome) (event string) {
	t.ok++
	t.latencies.add(o.latency)
	name := t.nameOf(o.version)
	t.recent.latencies.add(o.latency)
	t.recent.versions[name]++

	v, known := t.versions[name]
	switch {
	case !known:
		v = &versionTally{first: o.at}
		t.versions[name] = v
		t.names = append(t.names, name)
		event = "first answer of " + name
	case v.silent:
		v.silent = false
		event = name + " answers again"
	}
	v.ok++
	v.latencies.add(o.latency)
	v.first, v.last = min(v.first, o.at), max(v.last, o.at)
	return event
}

// nameOf is the name under which a version is counted.
func (t *tally) nameOf(version string) string {
	if version == "" {
		return noVersion
	}
	if _, known := t.versions[version]; !known && len(t.versions) >= maxVersions {
		return otherVersions
	}
	return version
}

// newlySilent returns the versions that seem to have answered for the last time and were not returned before.
func (t *tally) newlySilent(now time.Duration) (names []string) {
	for _, name := range t.names {
		v := t.versions[name]
		if !v.silent && now-v.last > silence {
			v.silent = true
			names = append(names, name)
		}
	}
	return names
}

// takeRecent returns what came since it was called last.
func (t *tally) takeRecent() recent {
	r := t.recent
	t.recent = recent{versions: map[string]int{}}
	return r
}
