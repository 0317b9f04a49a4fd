package main

// What somebody sees who watches.

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// good is a good answer at a moment, by a version.
func good(at time.Duration, version string) outcome {
	return outcome{at: at, latency: 3100 * time.Microsecond, version: version}
}

func TestTheProgressLineSaysHowItGoes(t *testing.T) {
	tally := newTally()
	for range 35 {
		tally.add(good(0, "v1"))
	}
	for range 15 {
		tally.add(good(0, "v2"))
	}

	line := progressLine(12*time.Second, time.Second, tally)

	if want := "   12 s   50/s   50 ok   0 lost   p50 3.1 ms   p99 3.1 ms   v1 70 %   v2 30 %"; line != want {
		t.Errorf("\n%q, not\n%q", line, want)
	}
}

func TestWhatWasNotAskedIsCountedApart(t *testing.T) {
	tally := newTally()
	tally.add(good(0, "v1"))
	first, second := tally.add(outcome{unasked: true}), tally.add(outcome{unasked: true})

	r := tally.report("http://house")
	line := progressLine(time.Second, time.Second, tally)
	var summary bytes.Buffer
	r.writeSummary(&summary)

	if r.Requests != 1 || r.Lost != 0 || r.NotAsked != 2 || len(r.LostByKind) != 0 {
		t.Errorf("report %+v", r)
	}
	if !strings.HasPrefix(line, "    1 s   1/s   1 ok   0 lost   2 not asked   p50") {
		t.Errorf("%q", line)
	}
	if s := summary.String(); !strings.Contains(s, "✓ nothing lost: 1 requests") || !strings.Contains(s, "2 more were not sent: 1000 were under way") {
		t.Errorf("%q", s)
	}
	if !strings.Contains(first, "not sent: 1000 were under way") || second != "" {
		t.Errorf("%q, %q", first, second)
	}
}

func TestTheNextProgressLineForgetsTheOneBeforeButNotTheSums(t *testing.T) {
	tally := newTally()
	tally.add(good(0, "v1"))
	progressLine(time.Second, time.Second, tally)

	line := progressLine(2*time.Second, time.Second, tally)

	if want := "    2 s   0/s   1 ok   0 lost   no good answer"; line != want {
		t.Errorf("%q", line)
	}
}

func TestAVersionThatDidNotAnswerLatelyIsNotShown(t *testing.T) {
	tally := newTally()
	tally.add(good(0, "v1"))
	progressLine(time.Second, time.Second, tally)
	tally.add(good(time.Second, "v2"))

	line := progressLine(2*time.Second, time.Second, tally)

	if strings.Contains(line, "v1") || !strings.HasSuffix(line, "v2 100 %") {
		t.Errorf("%q", line)
	}
}

func TestEachEventIsToldOnce(t *testing.T) {
	tally := newTally()
	refused := outcome{loss: &loss{kindConnect, "connection refused"}}
	var events []string
	for _, o := range []outcome{good(0, "v1"), good(1, "v1"), refused, refused, good(2, "v2")} {
		if event := tally.add(o); event != "" {
			events = append(events, event)
		}
	}

	got := strings.Join(events, "; ")

	if got != "first answer of v1; first loss of kind connect: connection refused; first answer of v2" {
		t.Errorf("%s", got)
	}
}

func TestAVersionThatFellSilentIsToldOnceAndSoIsItsReturn(t *testing.T) {
	tally := newTally()
	tally.add(good(time.Second, "v1"))
	tally.add(good(9*time.Second, "v2"))

	first, second := tally.newlySilent(10*time.Second), tally.newlySilent(11*time.Second)
	event := tally.add(good(12*time.Second, "v1"))
	repeated := tally.add(good(13*time.Second, "v1"))

	if len(first) != 1 || first[0] != "v1" || len(second) != 0 || event != "v1 answers again" || repeated != "" {
		t.Errorf("%v, %v, %q, %q", first, second, event, repeated)
	}
}

func TestATerminalHasOneLineThatChangesAndALogHasMany(t *testing.T) {
	var screen, log bytes.Buffer

	for _, l := range []*live{{w: &screen, terminal: true}, {w: &log}} {
		l.progress("one")
		l.event(1200*time.Millisecond, "happened")
		l.progress("two")
		l.end()
	}

	if log.String() != "one\n    1.2 s   happened\ntwo\n" {
		t.Errorf("log: %q", log.String())
	}
	if s := screen.String(); strings.Count(s, "\n") != 1 || strings.Count(s, "\r") != 4 || !strings.HasSuffix(s, "\r\x1b[K") {
		t.Errorf("screen: %q", s)
	}
}

func TestCollectShowsAVersionsLastAnswer(t *testing.T) {
	var shown bytes.Buffer
	tally := newTally()
	tally.started = time.Now().Add(-20 * time.Second) // as if it had begun then
	outcomes := make(chan outcome, 1)
	outcomes <- good(3*time.Second, "v1")
	time.AfterFunc(200*time.Millisecond, func() { close(outcomes) })

	collect(outcomes, tally, &live{w: &shown, every: 50 * time.Millisecond})

	if s := shown.String(); strings.Count(s, " s   last answer of v1 was at 3.0 s\n") != 1 || !strings.Contains(s, "1 ok   0 lost") {
		t.Errorf("%s", s)
	}
}

func TestTimeNeverGoesBackInWhatIsShown(t *testing.T) {
	var shown bytes.Buffer
	tally := newTally()
	tally.started = time.Now().Add(-20 * time.Second)
	outcomes := make(chan outcome)
	go func() {
		defer close(outcomes)
		outcomes <- good(3*time.Second, "v1")
		time.Sleep(120 * time.Millisecond) // some progress, and v1 is silent
		outcomes <- outcome{at: 15 * time.Second, loss: &loss{kindTimeout, "no whole answer within 5s"}}
	}()

	collect(outcomes, tally, &live{w: &shown, every: 50 * time.Millisecond})

	var last float64
	for line := range strings.Lines(shown.String()) {
		at, err := strconv.ParseFloat(strings.Fields(line)[0], 64)
		if err != nil || math.Round(at) < math.Round(last) {
			t.Errorf("%q comes after %.1f s in\n%s", line, last, shown.String())
		}
		last = at
	}
	if s := shown.String(); !strings.Contains(s, "last answer") || !strings.Contains(s, "first loss") {
		t.Errorf("%s", s)
	}
}

func TestQuietMeansNoLiveLines(t *testing.T) {
	url, _ := serve(t, saying(200, goodBody))

	_, _, shown := check(t, "-quiet", "-requests", "3", url)

	if strings.Contains(shown, "first answer") || !strings.Contains(shown, "nothing lost") {
		t.Errorf("%s", shown)
	}
}

func TestAVersionsFirstAndLastAnswersAreKnownInWhateverOrderTheyCome(t *testing.T) {
	tally := newTally()
	for _, at := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
		tally.add(good(at, "v1"))
	}

	v1 := tally.report("").Versions["v1"]

	if v1.FirstS != 1 || v1.LastS != 3 || v1.OK != 3 {
		t.Errorf("%+v", v1)
	}
}

func TestTheSummaryNamesVersionsInTheOrderInWhichTheyAnswered(t *testing.T) {
	tally := newTally()
	tally.add(good(time.Second, "a-new-one"))
	tally.add(good(0, "old"))
	tally.add(outcome{at: 2 * time.Second, loss: &loss{"status 503", "warming up"}})
	var shown bytes.Buffer

	tally.report("").writeSummary(&shown)

	old, young, lost := strings.Index(shown.String(), "  old   1 ok"), strings.Index(shown.String(), "  a-new-one   1 ok"),
		strings.Index(shown.String(), "  status 503   1 lost, first at 2.0 s: warming up")
	if old < 0 || young < old || lost < young {
		t.Errorf("%s", shown.String())
	}
}
