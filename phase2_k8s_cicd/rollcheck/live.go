package main

// What somebody sees who watches: how it goes, and each event that matters.

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// live writes the live lines. On a terminal there is one that changes every second; elsewhere, say in a CI log, one
// more every five.
type live struct {
	w        io.Writer
	every    time.Duration
	terminal bool
}

func newLive(o options, w io.Writer) *live {
	switch {
	case o.quiet:
		return &live{w: io.Discard, every: 5 * time.Second}
	case isTerminal(w):
		return &live{w: w, every: time.Second, terminal: true}
	}
	return &live{w: w, every: 5 * time.Second}
}

// isTerminal says whether people will read w as it is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// collect counts outcomes until there are no more, and shows what it sees. Select waits for whichever comes first.
func collect(outcomes <-chan outcome, t *tally, l *live) {
	ticker := time.NewTicker(l.every)
	defer ticker.Stop()
	defer l.end()
	for {
		select {
		case o, open := <-outcomes:
			if !open {
				return
			}
			if event := t.add(o); event != "" {
				l.event(time.Since(t.started), event) // and not o.at: a timeout is known late, and time must only go on
			}
		case <-ticker.C:
			now := time.Since(t.started)
			for _, name := range t.newlySilent(now) {
				l.event(now, fmt.Sprintf("last answer of %s was at %.1f s", name, t.versions[name].last.Seconds()))
			}
			l.progress(progressLine(now, l.every, t))
		}
	}
}

// event writes a line that stays.
func (l *live) event(at time.Duration, text string) {
	if l.terminal {
		fmt.Fprint(l.w, "\r\x1b[K") // back to the start, and wipe the line that changes
	}
	fmt.Fprintf(l.w, "%7.1f s   %s\n", at.Seconds(), text)
}

// progress writes how it goes: over the line before on a terminal, below it elsewhere.
func (l *live) progress(text string) {
	if l.terminal {
		// Without wrapping (?7l) for as long: half a wrapped line would stay behind.
		fmt.Fprintf(l.w, "\r\x1b[?7l%s\x1b[K\x1b[?7h", text)
		return
	}
	fmt.Fprintln(l.w, text)
}

// end leaves the terminal with a line of its own for what follows.
func (l *live) end() {
	if l.terminal {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}

// progressLine says how many there were in all, and how fast and by whom they were answered since the line before.
func progressLine(now, every time.Duration, t *tally) string {
	r := t.takeRecent()
	line := fmt.Sprintf("%5.0f s   %.0f/s   %d ok   %d lost", now.Seconds(), float64(r.requests)/every.Seconds(), t.ok, t.lost)
	if t.notAsked > 0 {
		line += fmt.Sprintf("   %d not asked", t.notAsked)
	}
	if r.latencies.count == 0 {
		return line + "   no good answer"
	}
	line += fmt.Sprintf("   p50 %s   p99 %s", inMS(r.latencies.quantile(0.5)), inMS(r.latencies.quantile(0.99)))
	var shares strings.Builder
	for _, name := range t.names {
		if n := r.versions[name]; n > 0 {
			fmt.Fprintf(&shares, "   %s %.0f %%", name, 100*float64(n)/float64(r.latencies.count))
		}
	}
	return line + shares.String()
}

// inMS writes a duration in milliseconds.
func inMS(d time.Duration) string { return fmt.Sprintf("%.1f ms", milliseconds(d)) }
